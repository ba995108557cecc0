"""What is seen of races. Reading never writes; only jobs and staff move a race."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions, identity, ledger
from palio.affiliates.types import Player, PlayerId, SnapshotId
from palio.competitions.types import Board, Competition, EntrantId, Standing
from palio.competitions.types import BoardRow as Ranked
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.races import sql
from palio.races.errors import NotStarted
from palio.races.rules import pictures, showing
from palio.races.service.running import find
from palio.races.types import BoardRow, Flag, Line, Picture, Race, RaceLine, RaceView

ROWS_MAX = 100_000


async def view(tx: Tx, *, number: int, now: datetime, rows_max: int = 100) -> RaceView:
    """A race as everybody may see it, with the first rows of its board. Refuses with NoSuchRace."""
    race, competition = await find(tx, number=number)
    programme = await affiliates.programme_status(tx, programme_id=race.programme_id)
    shown = await _pictures(tx, race)
    board = await competitions.top(tx, competition_id=competition.id, limit=min(rows_max, ROWS_MAX))
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
        rows=await _rows(tx, race, competition, board),
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
    )


async def standings(tx: Tx, *, number: int, now: datetime, rows_max: int = 100) -> RaceView:
    """The same once there are standings. Refuses with NoSuchRace, NotStarted."""
    seen = await view(tx, number=number, now=now, rows_max=rows_max)
    if seen.status in ("draft", "upcoming"):
        raise NotStarted(number=number, starts_at=seen.starts_at)
    return seen


async def lines(tx: Tx, *, number: int, limit: int = ROWS_MAX) -> list[Line]:
    """The standings as staff see them: uids and full names. Refuses with NoSuchRace, NotStarted."""
    _, competition = await find(tx, number=number)
    if competition.status in ("draft", "upcoming"):
        raise NotStarted(number=number, starts_at=competition.starts_at)
    board = await competitions.top(tx, competition_id=competition.id, limit=limit)
    players = await affiliates.players_many(tx, [_player_id(row.standing) for row in board.rows])
    return [showing.line(row, players[_player_id(row.standing)]) for row in board.rows]


async def recent(tx: Tx, *, limit: int = 50) -> list[RaceLine]:
    """The newest races, at most 200, those that are not over first."""
    races = await sql.list_newest(tx, min(limit, 200))
    headers = await competitions.get_many(tx, [race.competition_id for race in races])
    programmes = {
        programme_id: await affiliates.programme_status(tx, programme_id=programme_id)
        for programme_id in {race.programme_id for race in races}
    }
    scales = await _scales(tx)
    counts = await competitions.counts_many(tx, list(headers))
    return [
        RaceLine(
            competition_id=race.competition_id,
            number=race.number,
            title=headers[race.competition_id].title,
            programme=programmes[race.programme_id].name,
            status=headers[race.competition_id].status,
            starts_at=headers[race.competition_id].starts_at,
            ends_at=headers[race.competition_id].ends_at,
            asset=headers[race.competition_id].prize_asset,
            asset_scale=scales[headers[race.competition_id].prize_asset],
            pool=headers[race.competition_id].guaranteed_pool,
            entrants=counts.get(race.competition_id, 0),
        )
        for race in races
    ]


async def _pictures(tx: Tx, race: Race) -> dict[SnapshotId, Picture]:
    ids = [snapshot_id for snapshot_id in (race.start_snapshot_id, race.final_snapshot_id) if snapshot_id]
    snapshots = [await affiliates.applied_snapshot(tx, snapshot_id=snapshot_id) for snapshot_id in ids]
    return {snapshot.id: showing.picture(snapshot) for snapshot in snapshots}


async def _rows(tx: Tx, race: Race, competition: Competition, board: Board) -> tuple[BoardRow, ...]:
    if not board.rows:
        return ()
    player_ids = [_player_id(row.standing) for row in board.rows]
    players = await affiliates.players_many(tx, player_ids)
    names = await _names(tx, board.rows)
    flags = await _flags(tx, race, board.rows, players)
    waiting = await _claims(tx, competition)
    return tuple(
        BoardRow(
            place=row.standing.place,
            rank=row.standing.rank or row.standing.place,
            entrant_id=row.standing.entrant_id,
            name=names[row.standing.entrant_id],
            total_micro=max(0, row.standing.score),
            prize=row.prize,
            is_qualified=row.standing.rank is not None,
            flags=flags[row.standing.entrant_id],
            reward_status=row.reward_status,
            claim_by=waiting.get(row.standing.entrant_id),
        )
        for row in board.rows
    )


async def _names(tx: Tx, rows: Sequence[Ranked]) -> dict[EntrantId, str]:
    """Linked players by the name they chose, the others by the public spelling of the feed's name."""
    linked = [row.standing.user_id for row in rows if row.standing.user_id]
    names = await identity.names(tx, ids=linked) if linked else {}
    unlinked = [_player_id(row.standing) for row in rows if row.standing.user_id not in names]
    labels = await affiliates.public_labels(tx, player_ids=unlinked) if unlinked else {}
    return {row.standing.entrant_id: _name(row.standing, names, labels) for row in rows}


def _name(standing: Standing, names: Mapping[UserId, str], labels: Mapping[PlayerId, str]) -> str:
    if standing.user_id and standing.user_id in names:
        return names[standing.user_id]
    return labels.get(_player_id(standing)) or standing.label or "Player"


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
            is_stale=players[_player_id(row.standing)].stale_since is not None,
            is_corrected=row.standing.entrant_id in lowered,
            is_held=_player_id(row.standing) in held,
            is_adjusted=row.standing.entrant_id in adjusted,
        )
        for row in rows
    }


async def _claims(tx: Tx, competition: Competition) -> dict[EntrantId, datetime]:
    if competition.standings_hash is None:
        return {}
    rewards = await competitions.rewards(tx, competition_id=competition.id)
    return {reward.entrant_id: reward.claim_by for reward in rewards if reward.claim_by}


async def _scales(tx: Tx) -> dict[str, int]:
    return {asset.code: asset.scale for asset in await ledger.assets(tx)}


async def _scale(tx: Tx, asset: str) -> int:
    return (await _scales(tx))[asset]


def _player_id(standing: Standing) -> PlayerId:
    return PlayerId(UUID(standing.ref))
