"""What an act that waits for a second person would change now: lines of a board, prizes, money, pictures."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, SnapshotId
from palio.infra import db
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId
from palio.kernel.providers import Change
from palio.races.rules import showing
from palio.races.service import reading, steering
from palio.races.service.desk import desk, foresee
from palio.races.types import Desk, Foreseen, Move, RaceView

CHANGES_MAX = 100
MICRO_PLACES = 6


async def preview_adjust(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Every line that the adjustment moves. Refuses with NoSuchRace, NotStarted, PlayerUnknown."""
    return await _foreseen(tx, approval, approval.payload["amount_micro"], now)


async def preview_exclude(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Every line that the exclusion moves. Refuses with NoSuchRace, NotStarted, PlayerUnknown."""
    return await _foreseen(tx, approval, None, now)


async def _foreseen(tx: Tx, approval: Approval, amount_micro: int | None, now: datetime) -> list[Change]:
    number, player_id = approval.payload["number"], PlayerId(UUID(approval.payload["player_id"]))
    race = await reading.view(tx, number=number, now=now, rows_max=0)
    moves = await foresee(tx, number=number, player_id=player_id, amount_micro=amount_micro, now=now)
    return [change for move in moves for change in _of(move, race)][:CHANGES_MAX]


def _of(move: Foreseen, race: RaceView) -> Iterable[Change]:
    """What of a line moves."""
    pairs = (
        ("total", move.total_before, move.total_after, (race.currency, MICRO_PLACES)),
        ("rank", move.rank_before, move.rank_after, None),
        ("prize", move.prize_before, move.prize_after, (race.asset, race.asset_scale)),
    )
    return (Change(move.name, what, before, after, asset) for what, before, after, asset in pairs if before != after)


async def preview_release(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Who is paid what, and what goes back. Refuses with NoSuchRace."""
    race, found = await _desk(tx, approval, now)
    asset = (race.asset, race.asset_scale)
    paid = [
        Change(row.name, "paid into the wallet" if row.is_linked else "waits for a link", None, row.prize, asset)
        for row in found.board
        if row.prize
    ]
    return [
        Change("", "pool in escrow", race.pool, 0, asset),
        Change("", "account for prizes", found.house, found.house + race.undistributed, asset),
        *paid[:CHANGES_MAX],
    ]


async def preview_cancel(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Where the pool goes. Refuses with NoSuchRace."""
    race, found = await _desk(tx, approval, now)
    asset = (race.asset, race.asset_scale)
    return [
        Change("", "state", race.status, "cancelled"),
        Change("", "pool in escrow", race.pool, 0, asset),
        Change("", "account for prizes", found.house, found.house + race.pool, asset),
        *(Change(row.name, "prize", row.prize, 0, asset) for row in found.board[:CHANGES_MAX] if row.prize),
    ]


async def _desk(tx: Tx, approval: Approval, now: datetime) -> tuple[RaceView, Desk]:
    number = approval.payload["number"]
    race = await reading.view(tx, number=number, now=now, rows_max=0)
    return race, await desk(tx, number=number, actor=tx.actor, now=now)


async def preview_replace_start(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Whose rank moves, found by doing it and taking it back. Refuses as `replace_start` does."""
    number, snapshot_id = approval.payload["number"], SnapshotId(UUID(approval.payload["snapshot_id"]))
    race = await reading.view(tx, number=number, now=now, rows_max=0)
    moves: list[Move] = []
    try:
        async with db.attempt(tx):
            await steering.replace_start(
                tx, number=number, snapshot_id=snapshot_id, actor=_maker(approval), reason=approval.reason, now=now
            )
    except competitions.ApprovalDue as due:
        found = due.facts["moves"]
        moves = found if isinstance(found, list) else []
    players = await affiliates.players_many(tx, [move.player_id for move in moves])
    return [
        Change("", "start picture", race.start.fetched_at if race.start else None, await _fetched_at(tx, snapshot_id)),
        *(
            Change(showing.full_name(players[move.player_id]), "rank", move.before, move.after)
            for move in sorted(moves, key=lambda move: move.after or CHANGES_MAX**2)[:CHANGES_MAX]
        ),
    ]


async def preview_force_final(tx: Tx, *, approval: Approval, now: datetime) -> list[Change]:
    """Which picture closes the race. Refuses as `force_final` does."""
    number, snapshot_id = approval.payload["number"], SnapshotId(UUID(approval.payload["snapshot_id"]))
    race = await reading.view(tx, number=number, now=now, rows_max=0)
    try:
        async with db.attempt(tx):
            await steering.force_final(
                tx, number=number, snapshot_id=snapshot_id, actor=_maker(approval), reason=approval.reason, now=now
            )
    except competitions.ApprovalDue:
        pass
    return [
        Change("", "final picture", race.final.fetched_at if race.final else None, await _fetched_at(tx, snapshot_id))
    ]


async def _fetched_at(tx: Tx, snapshot_id: SnapshotId) -> datetime:
    return await affiliates.fetched_at(tx, snapshot_id=snapshot_id)


def _maker(approval: Approval) -> Actor:
    """On whose behalf it would be done; one person alone is refused, and that is what tells what would move."""
    return Actor("staff", approval.made_by, RequestId(approval.id))
