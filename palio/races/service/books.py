"""What the pictures of a race say, beside what was submitted: the totals anew, and how scores are brought to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, ReadingAt, SnapshotId, SnapshotView
from palio.competitions.types import Competition, EntrantId, Submission
from palio.infra.db import Tx
from palio.races import sql
from palio.races.rules import pictures, totals
from palio.races.service import counting
from palio.races.types import Baseline, Pair, Race


@dataclass(frozen=True, slots=True)
class Book:
    """Two pictures of a race and what is not simply in them."""

    start: SnapshotView
    final: SnapshotView
    before: Mapping[PlayerId, ReadingAt]
    after: Mapping[PlayerId, ReadingAt]
    exceptions: Mapping[PlayerId, Baseline]


def _player_of(ref: str) -> PlayerId:
    """The player whom an entrant of a race stands for."""
    return PlayerId(UUID(ref))


async def read(tx: Tx, *, race: Race, start_id: SnapshotId, final_id: SnapshotId) -> Book:
    """The pictures of a race as they are stored. Refuses with affiliates.NoSuchSnapshot."""
    start, final = [
        await affiliates.applied_snapshot(tx, snapshot_id=snapshot_id) for snapshot_id in (start_id, final_id)
    ]
    before, after = [
        await affiliates.readings_at(tx, programme_id=race.programme_id, snapshot_id=snapshot_id)
        for snapshot_id in (start_id, final_id)
    ]
    return Book(start, final, before, after, await sql.list_baselines(tx, race.competition_id, None))


async def now_of(tx: Tx, *, race: Race, competition: Competition) -> Book:
    """The picture that opened a race, and the last one that was counted. Refuses with affiliates.NoSuchSnapshot."""
    newest = await counting.newest_of(tx, race=race, competition=competition)
    assert race.start_snapshot_id and newest  # noqa: S101, PT018 - it has begun, so there is one since its start
    return await read(tx, race=race, start_id=race.start_snapshot_id, final_id=newest.id)


async def differences(tx: Tx, *, race: Race, book: Book) -> dict[PlayerId, int]:
    """By how much scores differ from the pictures, adjustments of staff left aside.

    Whoever was disqualified is left out: his wagers were refused meanwhile.
    """
    found = await compare(tx, race=race, book=book)
    return {player_id: pair.submitted - pair.recomputed for player_id, pair in found.items()}


async def compare(tx: Tx, *, race: Race, book: Book) -> dict[PlayerId, Pair]:
    """The same with both totals of whom they differ for."""
    scores = await competitions.scores(tx, competition_id=race.competition_id)
    adjusted = await competitions.adjustments(tx, competition_id=race.competition_id)
    out = await competitions.disqualified(tx, competition_id=race.competition_id)
    submitted = {_player_of(score.ref): score.score - adjusted.get(score.entrant_id, 0) for score in scores}
    left_out = {_player_of(score.ref) for score in scores if score.entrant_id in out}
    found = totals.differences(totals.recompute(book.before, book.after, book.exceptions), submitted)
    return {player_id: pair for player_id, pair in found.items() if player_id not in left_out}


async def level(
    tx: Tx,
    *,
    race: Race,
    competition: Competition,
    book: Book,
    cause: str,
    now: datetime,
    players: Collection[PlayerId] | None = None,
) -> int:
    """Bring the scores of these players, or of all, to what the pictures say; answers how many changed.

    Each difference is a receipt of kind `correction` whose key is the cause. The header is locked by the caller.
    """
    wrong = {
        player_id: difference
        for player_id, difference in (await differences(tx, race=race, book=book)).items()
        if players is None or player_id in players
    }
    if not wrong:
        return 0
    entrants = await _entrants(tx, race, wrong, now)
    items = [
        _correction(competition, entrants[player_id], -difference, cause, book, now)
        for player_id, difference in sorted(wrong.items())
    ]
    counted = await counting.submit(tx, race=race, items=items, now=now)
    await counting.tell(tx, race=race, competition=competition, snapshot=book.final, counted=counted, now=now)
    return counted


async def open_score(
    tx: Tx,
    *,
    race: Race,
    competition: Competition,
    player_id: PlayerId,
    entrant: Mapping[PlayerId, EntrantId],
    now: datetime,
) -> None:
    """Let a player who never was above his baseline begin with what he lies below it: later changes count as they are.

    Before there is a start picture nothing is known of him, and his total begins with it.
    """
    if race.start_snapshot_id is None:
        return
    book = await now_of(tx, race=race, competition=competition)
    total = totals.recompute(book.before, book.after, book.exceptions).get(player_id, 0)
    if total:
        item = _correction(competition, entrant[player_id], total, "entered", book, now)
        await counting.submit(tx, race=race, items=[item], now=now)


async def _entrants(tx: Tx, race: Race, players: Collection[PlayerId], now: datetime) -> dict[PlayerId, EntrantId]:
    """The entrants behind players; who has none yet enters."""
    refs = {str(player_id): player_id for player_id in players}
    entered = await competitions.entered(tx, competition_id=race.competition_id, kind="player", refs=list(refs))
    entrants = {refs[ref]: entrant_id for ref, entrant_id in entered.items()}
    missing = sorted(player_id for player_id in players if player_id not in entrants)
    return entrants | await counting.enter(tx, race=race, player_ids=missing, now=now)


def _correction(
    competition: Competition, entrant_id: EntrantId, delta: int, cause: str, book: Book, now: datetime
) -> Submission:
    return Submission(
        competition.id,
        entrant_id,
        delta,
        key=cause,
        happened_at=pictures.counted_at(now, competition.starts_at, competition.ends_at),
        kind="correction",
        facts={"cause": cause.partition(":")[0], "snapshot": str(book.final.id), "seq": book.final.seq},
    )
