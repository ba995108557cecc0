"""What is seen of races. Reading never writes; only jobs and staff move a race."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from palio import affiliates, competitions, ledger
from palio.affiliates.types import Player, PlayerId, SnapshotId
from palio.competitions.types import Board, Competition, EntrantId
from palio.competitions.types import BoardRow as Ranked
from palio.infra.db import Tx
from palio.kernel.providers import After
from palio.races import sql
from palio.races.errors import NoSuchEntrant, NoSuchRace, NotStarted
from palio.races.rules import pictures, showing
from palio.races.service import naming
from palio.races.service.running import find
from palio.races.types import BoardRow, Change, Flag, Line, Picture, Race, RaceView

ROWS_MAX = 100_000
CHANGES_MAX = 10_000
AHEAD = ("draft", "upcoming")


async def view(
    tx: Tx, *, number: int, now: datetime, rows_max: int = 100, after: After = 0, has_drafts: bool = False
) -> RaceView:
    """A race as everybody may see it, with a part of the rows of its board; drafts are for staff.

    Refuses with NoSuchRace.
    """
    race, competition = await find(tx, number=number)
    if competition.status == "draft" and not has_drafts:
        raise NoSuchRace(number=number)
    limit = min(rows_max, ROWS_MAX)
    board = await competitions.top(tx, competition_id=competition.id, limit=limit, after=after, now=now)
    return await _view(tx, race, competition, board, now)


async def _view(tx: Tx, race: Race, competition: Competition, board: Board, now: datetime) -> RaceView:
    """The race with these rows of its board."""
    programme = await affiliates.programme_status(tx, programme_id=race.programme_id)
    shown = await _pictures(tx, race)
    rule = competitions.read_prize_rule(competition.prize_rule)
    ahead = competitions.preview_prizes(
        rule, pool=competition.guaranteed_pool, entrants=showing.places_of(rule), empty_rule=competition.empty_rule
    )
    final = shown.get(race.final_snapshot_id) if race.final_snapshot_id else None
    is_frozen = competition.standings_hash is not None
    return RaceView(
        competition_id=competition.id,
        number=race.number,
        title=competition.title,
        description=competition.description,
        rules_text=competition.rules_text,
        programme=programme.name,
        status=competition.status,
        phase=competition.phase,
        starts_at=competition.starts_at,
        ends_at=competition.ends_at,
        asset=competition.prize_asset,
        pool=competition.guaranteed_pool if competition.pool_final is None else competition.pool_final,
        min_wager_micro=competition.min_score,
        currency=programme.currency,
        as_of=final.as_of if final else programme.as_of,
        is_stale=pictures.is_running(competition) and final is None and programme.is_stale(now),
        is_provisional=board.is_provisional,
        rows=await rows_of(tx, race=race, competition=competition, board=board),
        entrants=board.entrants,
        qualified=board.qualified,
        prizes=showing.prize_places(ahead.shares),
        start_state=race.start_state,
        start=shown.get(race.start_snapshot_id) if race.start_snapshot_id else None,
        final_state=race.final_state,
        final=final,
        gap_from=race.gap_from,
        gap_to=race.gap_to,
        backdated_reason=race.backdated_reason,
        terms_sha256=(competition.terms_hash or b"").hex(),
        standings_sha256=competition.standings_hash.hex() if competition.standings_hash else None,
        undistributed=board.undistributed if is_frozen else 0,
        seq=race.last_seq,
        version=competition.version,
        created_at=competition.created_at,
        updated_at=competition.updated_at,
        asset_scale=await _scale(tx, competition.prize_asset),
        grace_s=competition.grace_s,
        review_h=competition.review_h,
        cancel_reason=competition.cancel_reason,
        linked_only=race.linked_only,
        after=board.after,
        above_micro=board.above,
    )


async def standings(tx: Tx, *, number: int, now: datetime, rows_max: int = 100, after: After = 0) -> RaceView:
    """The same once there are standings. Refuses with NoSuchRace, NotStarted."""
    race = await view(tx, number=number, now=now, rows_max=rows_max, after=after)
    if race.status in AHEAD:
        raise NotStarted(number=number, starts_at=race.starts_at)
    return race


async def lines(tx: Tx, *, number: int, limit: int = ROWS_MAX) -> list[Line]:
    """The standings as staff see them: uids and full names. Refuses with NoSuchRace, NotStarted."""
    _, competition = await find_started(tx, number=number)
    board = await competitions.top(tx, competition_id=competition.id, limit=limit)
    players = await affiliates.players_many(tx, [showing.player_of(row.standing) for row in board.rows])
    return [showing.line(row, players[showing.player_of(row.standing)]) for row in board.rows]


async def entrant(tx: Tx, *, number: int, entrant_id: int, now: datetime) -> RaceView:
    """The race with the one line of an entrant, all as of one moment. Refuses with NoSuchRace, NotStarted,
    NoSuchEntrant.
    """
    race, competition = await find_started(tx, number=number)
    found = await competitions.nearby(tx, competition=competition, entrant_id=EntrantId(entrant_id), radius=1, now=now)
    if found is None:
        raise NoSuchEntrant(number=number, entrant_id=entrant_id)
    passed = found.row.standing.place - 1
    above = next((row.standing.score for row in found.board.rows if row.standing.place == passed), None)
    board = replace(found.board, rows=(found.row,), after=passed, above=above)
    return await _view(tx, race, competition, board, now)


async def changes(
    tx: Tx, *, number: int, entrant_id: int, after: int = 0, limit: int = CHANGES_MAX
) -> tuple[list[Change], int]:
    """How a total came about, behind a change, in order; and how many changes there are.

    Refuses with NoSuchRace, NotStarted, NoSuchEntrant.
    """
    _, competition = await find_started(tx, number=number)
    found = await sql.list_changes(
        tx, competition.id, EntrantId(entrant_id), after=after, limit=min(limit, CHANGES_MAX)
    )
    of = await sql.count_changes(tx, competition.id, EntrantId(entrant_id))
    if not of:
        raise NoSuchEntrant(number=number, entrant_id=entrant_id)
    return found, of


async def find_started(tx: Tx, *, number: int) -> tuple[Race, Competition]:
    """A race that has begun, and its competition. Refuses with NoSuchRace, NotStarted."""
    race, competition = await find(tx, number=number)
    if competition.status == "draft":
        raise NoSuchRace(number=number)
    if competition.status == "upcoming":
        raise NotStarted(number=number, starts_at=competition.starts_at)
    return race, competition


async def _pictures(tx: Tx, race: Race) -> dict[SnapshotId, Picture]:
    ids = [snapshot_id for snapshot_id in (race.start_snapshot_id, race.final_snapshot_id) if snapshot_id]
    snapshots = [await affiliates.applied_snapshot(tx, snapshot_id=snapshot_id) for snapshot_id in ids]
    return {snapshot.id: showing.picture(snapshot) for snapshot in snapshots}


async def rows_of(tx: Tx, *, race: Race, competition: Competition, board: Board) -> tuple[BoardRow, ...]:
    """The lines of a board as everybody sees them."""
    if not board.rows:
        return ()
    player_ids = [showing.player_of(row.standing) for row in board.rows]
    players = await affiliates.players_many(tx, player_ids)
    names = await naming.names_of(tx, people=[row.standing for row in board.rows])
    flags = await _flags(tx, race, board.rows, players)
    waiting = await _claims(tx, competition)
    totals = [max(0, row.standing.score) for row in board.rows]
    return tuple(
        BoardRow(
            place=row.standing.place,
            rank=row.standing.rank or row.standing.place,
            entrant_id=row.standing.entrant_id,
            name=names[row.standing.entrant_id],
            total_micro=total,
            prize=row.prize,
            is_qualified=row.standing.rank is not None,
            flags=flags[row.standing.entrant_id],
            reward_status=row.reward_status,
            claim_by=waiting.get(row.standing.entrant_id),
            trend=row.trend,
            decimals=decimals,
            key=row.standing.key,
        )
        for row, total, decimals in zip(board.rows, totals, showing.decimals_of(totals), strict=True)
    )


async def _flags(
    tx: Tx, race: Race, rows: Sequence[Ranked], players: Mapping[PlayerId, Player]
) -> dict[EntrantId, tuple[Flag, ...]]:
    lowered = await competitions.corrections(
        tx, competition_id=race.competition_id, entrant_ids=[row.standing.entrant_id for row in rows]
    )
    adjusted = await competitions.adjustments(tx, competition_id=race.competition_id)
    held = {hold.player_id for hold in await sql.list_open_holds(tx, race.competition_id) if hold.reason != "stale"}
    return {
        row.standing.entrant_id: showing.flags(
            is_stale=players[showing.player_of(row.standing)].stale_since is not None,
            is_corrected=row.standing.entrant_id in lowered,
            is_held=showing.player_of(row.standing) in held,
            is_adjusted=row.standing.entrant_id in adjusted,
        )
        for row in rows
    }


async def _claims(tx: Tx, competition: Competition) -> dict[EntrantId, datetime]:
    if competition.standings_hash is None:
        return {}
    rewards = await competitions.rewards(tx, competition_id=competition.id)
    return {reward.entrant_id: reward.claim_by for reward in rewards if reward.claim_by}


async def _scale(tx: Tx, asset: str) -> int:
    return next(found.scale for found in await ledger.assets(tx) if found.code == asset)
