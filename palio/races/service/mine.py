"""What somebody sees of his own race: place, gaps, and how his total and his prize came about."""

from collections.abc import Mapping
from datetime import datetime

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, SnapshotView
from palio.competitions.types import Competition, CompetitionId, EntrantId, Standing
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.races import sql
from palio.races.errors import NotEntered
from palio.races.rules import showing, totals
from palio.races.service import counting, listing, reading, running
from palio.races.types import Change, Mine, OwnReceipt, Race, RaceLine, Reading

CHANGES_MAX = 1_000
LISTED_MAX = 24


async def mine(tx: Tx, *, number: int, user_id: UserId, now: datetime) -> Mine:
    """Where a user stands in a race. Refuses with NoSuchRace, NotStarted, NotEntered."""
    race, competition, entrant_id = await _entered(tx, number, user_id)
    return (await _placed(tx, race, competition, entrant_id, now))[0]


async def _mine_or_none(tx: Tx, *, race: Race, competition: Competition, user_id: UserId, now: datetime) -> Mine | None:
    found = await competitions.entered_by(tx, user_id=user_id, competition_ids=[competition.id])
    if not found:
        return None
    try:
        return (await _placed(tx, race, competition, found[competition.id], now))[0]
    except NotEntered:
        return None


async def find_mine(tx: Tx, *, number: int, actor: Actor, now: datetime) -> Mine | None:
    """Where whoever asks stands, if he is a player and in the race. Refuses with NoSuchRace."""
    if actor.user_id is None or actor.kind not in ("player", "viewer"):
        return None
    race, competition = await running.find(tx, number=number)
    return await _mine_or_none(tx, race=race, competition=competition, user_id=actor.user_id, now=now)


async def own_entrant(tx: Tx, *, number: int, user_id: UserId) -> EntrantId:
    """As whom a user is in a race. Refuses with NoSuchRace, NotStarted, NotEntered."""
    return (await _entered(tx, number, user_id))[2]


async def mine_many(tx: Tx, *, user_id: UserId, limit: int, now: datetime) -> list[tuple[RaceLine, Mine]]:
    """The races a user is in among the newest ones, those that are not over first, each with his place."""
    lines = {CompetitionId(line.competition_id): line for line in await listing.recent(tx, limit=LISTED_MAX)}
    entered = await competitions.entered_by(tx, user_id=user_id, competition_ids=list(lines))
    chosen = [competition_id for competition_id in lines if competition_id in entered][:limit]
    races = {race.competition_id: race for race in await sql.list_races(tx, chosen)}
    headers = await competitions.get_many(tx, chosen)
    found = []
    for competition_id in chosen:
        race, competition = races[competition_id], headers[competition_id]
        if own := await _mine_or_none(tx, race=race, competition=competition, user_id=user_id, now=now):
            found.append((lines[competition_id], own))
    return found


async def own_receipt(tx: Tx, *, number: int, user_id: UserId, now: datetime) -> OwnReceipt:
    """How a user's total, place and prize in a race came about. Refuses with NoSuchRace, NotStarted, NotEntered."""
    race, competition, entrant_id = await _entered(tx, number, user_id)
    own, standing = await _placed(tx, race, competition, entrant_id, now)
    player_id = showing.player_of(standing)
    exceptions = await sql.list_baselines(tx, race.competition_id, [player_id])
    start = before = newest = after = None
    if race.start_snapshot_id:
        start = await affiliates.applied_snapshot(tx, snapshot_id=race.start_snapshot_id)
        before = await _readings(tx, race, start, player_id)
        newest = await counting.newest_of(tx, race=race, competition=competition)
    if newest:
        after = await _readings(tx, race, newest, player_id)
    kind, value = totals.baseline_of(player_id, before or {}, exceptions)
    final = after.get(player_id) if after else None
    known = final.all_time_micro if final else None
    adjusted = await competitions.adjustments(tx, competition_id=competition.id)
    changes: list[Change] = await sql.list_changes(tx, competition.id, entrant_id, after=0, limit=CHANGES_MAX)
    return OwnReceipt(
        mine=own,
        start=_reading(start, before, player_id),
        baseline_kind=kind,
        baseline_micro=value,
        now=_reading(newest, after, player_id),
        raw_micro=None if known is None or value is None else known - value,
        adjusted_micro=adjusted.get(entrant_id, 0),
        changes=tuple(changes),
        won=await competitions.won_by(tx, competition_id=competition.id, entrant_id=entrant_id, user_id=user_id),
    )


async def _entered(tx: Tx, number: int, user_id: UserId) -> tuple[Race, Competition, EntrantId]:
    race, competition = await reading.find_started(tx, number=number)
    found = await competitions.entered_by(tx, user_id=user_id, competition_ids=[competition.id])
    if not found:
        raise NotEntered(number=number)
    return race, competition, found[competition.id]


async def _placed(
    tx: Tx, race: Race, competition: Competition, entrant_id: EntrantId, now: datetime
) -> tuple[Mine, Standing]:
    """His line between its neighbours, and both sides of the line where prizes end."""
    found = await competitions.nearby(tx, competition=competition, entrant_id=entrant_id, radius=1, now=now)
    if found is None:
        raise NotEntered(number=race.number)
    board = found.board
    lines = await reading.rows_of(tx, race=race, competition=competition, board=board)
    index = next(n for n, row in enumerate(lines) if row.entrant_id == entrant_id)
    paid_places = showing.places_of(competitions.read_prize_rule(competition.prize_rule))
    edge = await competitions.top(tx, competition_id=competition.id, after=paid_places - 1, limit=2, now=now)
    edges = {row.standing.place: row.standing.score for row in edge.rows if row.standing.rank is not None}
    ranked = board.rows[index]
    row, score = lines[index], ranked.standing.score
    is_paid = row.is_qualified and row.place <= paid_places
    unpaid = edges.get(paid_places + 1)
    own = Mine(
        row=row,
        above=lines[index - 1] if index else None,
        below=lines[index + 1] if index + 1 < len(lines) else None,
        score_micro=score,
        ties=ranked.ties,
        entrants=board.entrants,
        qualified=board.qualified,
        paid_places=paid_places,
        missing_micro=showing.missing(
            score=score, least=competition.least_score, is_paid=is_paid, last_paid=edges.get(paid_places)
        ),
        lead_micro=score - unpaid if is_paid and unpaid is not None else None,
        reached_at=ranked.standing.reached_at,
    )
    return own, ranked.standing


async def _readings(
    tx: Tx, race: Race, snapshot: SnapshotView, player_id: PlayerId
) -> Mapping[PlayerId, affiliates.ReadingAt]:
    return await affiliates.readings_at(
        tx, programme_id=race.programme_id, snapshot_id=snapshot.id, player_ids=[player_id]
    )


def _reading(
    snapshot: SnapshotView | None, found: Mapping[PlayerId, affiliates.ReadingAt] | None, player_id: PlayerId
) -> Reading | None:
    if snapshot is None or found is None:
        return None
    known = found.get(player_id)
    shown = showing.picture(snapshot)
    return Reading(shown, known.all_time_micro, known.kind) if known else Reading(shown, None, "absent")
