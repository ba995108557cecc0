"""The totals of a race anew, beside what was submitted. Nothing is written."""

from palio import affiliates
from palio.infra.db import Tx
from palio.races.errors import NoPicture
from palio.races.rules import showing
from palio.races.service import books, reading
from palio.races.types import Difference, Recomputed


async def recompute(tx: Tx, *, number: int) -> Recomputed:
    """Every total from the stored pictures, and whose score differs. Refuses with NoSuchRace, NotStarted, NoPicture."""
    race, competition = await reading.find_started(tx, number=number)
    if race.start_snapshot_id is None:
        programme = await affiliates.programme_status(tx, programme_id=race.programme_id)
        raise NoPicture(programme=programme.name, starts_at=competition.starts_at)
    book = await books.now_of(tx, race=race, competition=competition)
    found = await books.compare(tx, race=race, book=book)
    players = await affiliates.players_many(tx, sorted(found))
    differences = [
        Difference(players[player_id].uid, showing.full_name(players[player_id]), pair.submitted, pair.recomputed)
        for player_id, pair in found.items()
    ]
    return Recomputed(
        number=number,
        start=showing.picture(book.start),
        final=showing.picture(book.final),
        players=len(book.after),
        differences=tuple(sorted(differences, key=lambda difference: difference.uid)),
    )
