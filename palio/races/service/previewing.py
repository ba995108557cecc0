"""What an act that waits for a second person would change now: lines of a board, prizes, money, pictures.

Each is told by carrying the act out; `approvals.preview` takes back what was done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from palio import affiliates, competitions, ledger
from palio.infra.approvals import Approved, Executor
from palio.infra.db import Tx
from palio.kernel.providers import Change
from palio.races.rules import foreseeing, showing
from palio.races.rules.foreseeing import Moved, Standing
from palio.races.service import proposing, reading
from palio.races.service.desk import HOUSE, ROWS_MAX, staff_board
from palio.races.service.running import find
from palio.races.types import RaceView

CHANGES_MAX = 100
MICRO_PLACES = 6


@dataclass(frozen=True, slots=True)
class _Sight:
    """A race as it stands: its board, the money behind it, and the words about it."""

    race: RaceView
    board: Sequence[Standing]
    escrow: int
    house: int


async def preview_adjust(tx: Tx, *, approved: Approved) -> list[Change]:
    """Every line that the adjustment moves. Refuses as `adjust` does."""
    return await _lines(tx, approved, proposing.carry_out_adjust)


async def preview_exclude(tx: Tx, *, approved: Approved) -> list[Change]:
    """Every line that the exclusion moves. Refuses as `exclude` does."""
    return await _lines(tx, approved, proposing.carry_out_exclude)


async def preview_cancel(tx: Tx, *, approved: Approved) -> list[Change]:
    """Where the pool goes, and who loses what. Refuses as `cancel` does."""
    before = await _sight(tx, approved)
    await proposing.carry_out_cancel(tx, approved=approved)
    after = await _sight(tx, approved)
    gone = [Moved(one.player_id, one, one._replace(prize=0)) for one in before.board if one.prize]
    return [
        Change("", "state", before.race.status, after.race.status),
        *_money(before, after),
        *await _of_players(tx, before.race, gone),
    ]


async def preview_release(tx: Tx, *, approved: Approved) -> list[Change]:
    """Who will be paid what, and what goes back. Refuses as `release` does."""
    before = await _sight(tx, approved)
    await proposing.carry_out_release(tx, approved=approved)
    race, asset = before.race, (before.race.asset, before.race.asset_scale)
    rows, _ = await staff_board(tx, number=race.number, now=approved.now, limit=CHANGES_MAX)
    return [
        Change("", "pool in escrow", before.escrow, 0, asset),
        Change("", "account for prizes", before.house, before.house + race.undistributed, asset),
        *(
            Change(row.name, "paid into the wallet" if row.is_linked else "waits for a link", None, row.prize, asset)
            for row in rows
            if row.prize
        ),
    ]


async def preview_replace_start(tx: Tx, *, approved: Approved) -> list[Change]:
    """Whose total, rank and prize another start picture moves. Refuses as `replace_start` does."""
    return await _lines(tx, approved, proposing.carry_out_replace_start)


async def preview_force_final(tx: Tx, *, approved: Approved) -> list[Change]:
    """Which picture closes the race, and whom that moves. Refuses as `force_final` does."""
    return await _lines(tx, approved, proposing.carry_out_force_final)


async def _lines(tx: Tx, approved: Approved, carry_out: Executor) -> list[Change]:
    """The pictures and the lines of the board that differ afterwards."""
    before = await _sight(tx, approved)
    await carry_out(tx, approved=approved)
    after = await _sight(tx, approved)
    moved = foreseeing.between(before.board, after.board)
    return [*_pictures(before.race, after.race), *await _of_players(tx, after.race, moved)]


async def _sight(tx: Tx, approved: Approved) -> _Sight:
    number, now = approved.payload["number"], approved.now
    race, competition = await find(tx, number=number)
    board = await competitions.top(tx, competition_id=race.competition_id, limit=ROWS_MAX, now=now)
    return _Sight(
        race=await reading.view(tx, number=number, now=now, rows_max=0),
        board=[foreseeing.standing_of(row) for row in board.rows],
        escrow=await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset),
        house=await ledger.balance(tx, address=HOUSE, asset=competition.prize_asset),
    )


def _pictures(before: RaceView, after: RaceView) -> Iterable[Change]:
    pairs = (("start picture", before.start, after.start), ("final picture", before.final, after.final))
    for what, old, new in pairs:
        if old != new:
            yield Change("", what, old.fetched_at if old else None, new.fetched_at if new else None)


def _money(before: _Sight, after: _Sight) -> Iterable[Change]:
    asset = (before.race.asset, before.race.asset_scale)
    yield Change("", "pool in escrow", before.escrow, after.escrow, asset)
    yield Change("", "account for prizes", before.house, after.house, asset)


async def _of_players(tx: Tx, race: RaceView, moved: Sequence[Moved]) -> list[Change]:
    """What of each line differs, the first hundred."""
    players = await affiliates.players_many(tx, [one.player_id for one in moved[:CHANGES_MAX]])
    return [
        change for one in moved[:CHANGES_MAX] for change in _of(showing.full_name(players[one.player_id]), one, race)
    ][:CHANGES_MAX]


def _of(name: str, moved: Moved, race: RaceView) -> Iterable[Change]:
    before, after = moved.before, moved.after
    pairs = (
        ("total", before.total_micro, after.total_micro, (race.currency, MICRO_PLACES)),
        ("rank", before.rank, after.rank, None),
        ("prize", before.prize, after.prize, (race.asset, race.asset_scale)),
    )
    return (Change(name, what, old, new, asset) for what, old, new, asset in pairs if old != new)
