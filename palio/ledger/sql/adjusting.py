"""Statements of corrections by staff. They are written through functions: the application may only read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import IDS, Part
from palio.ledger import errors
from palio.ledger.types import (
    AdjustedLine,
    Adjustment,
    AdjustmentId,
    AdjustmentLine,
    AdjustmentStatus,
    Outcome,
    Posted,
    TransferId,
)

ADJUSTMENT = """
    select a.id, a.maker, a.checker, a.status, a.reason, a.note, a.ticket, a.to_debt, s.code as asset, s.scale,
      a.total_abs, a.line_count, a.created_at, a.expires_at, a.decided_at
    from ledger.adjustments a left join ledger.assets s on s.id = a.asset_id"""
WANTED = """
    where a.status = any (%s) and (%s::uuid is null or a.maker = %s)
      and (%s::uuid is null or exists (
        select from ledger.adjustment_lines l where l.adjustment_id = a.id and l.owner_id = %s))"""


async def lock_maker(tx: Tx, maker: UserId) -> None:
    """Sum what somebody adjusts, and nobody else does until the transaction ends."""
    await db.value(tx, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", f"ledger.adjust|{maker}")


@dataclass(frozen=True, slots=True)
class Done:
    """How many units of an asset somebody has adjusted for an owner, whichever way."""

    owner_id: UserId
    asset: str
    units: int


async def list_done(tx: Tx, maker: UserId, owners: Sequence[UserId], since: datetime) -> list[Done]:
    """What a maker has posted for each of the owners after an instant."""
    return await db.rows(
        tx,
        Done,
        """
        select l.owner_id, s.code as asset, sum(abs(l.amount))::bigint as units
        from ledger.adjustments a join ledger.adjustment_lines l on l.adjustment_id = a.id
        join ledger.assets s on s.id = l.asset_id
        where a.maker = %s and a.status = 'posted' and a.decided_at > %s and l.transfer_id is not null
          and l.owner_id = any (%s::uuid[])
        group by 1, 2""",
        *(maker, since, list(owners)),
    )


@dataclass(frozen=True, slots=True)
class Used:
    """How many units of an asset somebody has adjusted, whoever it was for."""

    asset: str
    units: int


async def list_used(tx: Tx, maker: UserId, since: datetime) -> list[Used]:
    """What a maker has posted since an instant, inclusive."""
    return await db.rows(
        tx,
        Used,
        """
        select s.code as asset, sum(abs(l.amount))::bigint as units
        from ledger.adjustments a join ledger.adjustment_lines l on l.adjustment_id = a.id
        join ledger.assets s on s.id = l.asset_id
        where a.maker = %s and a.status = 'posted' and a.decided_at >= %s and l.transfer_id is not null
        group by 1""",
        *(maker, since),
    )


async def insert_adjustment(
    tx: Tx,
    adjustment: Adjustment,
    lines: Sequence[AdjustmentLine],
    assets: Mapping[str, int],
    outcomes: Sequence[Outcome | None],
) -> None:
    """Keep an adjustment with its lines; an outcome is none where nothing was tried."""
    transfers, refusals = _answers(outcomes)
    await db.run(
        tx,
        """select ledger.keep_adjustment(%s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s::smallint[], %s::bigint[],
          %s::uuid[], %s::text[])""",
        *(adjustment.id, adjustment.maker, adjustment.status, adjustment.reason, adjustment.ticket),
        *(adjustment.to_debt, adjustment.created_at, adjustment.expires_at, [line.owner_id for line in lines]),
        *([assets[line.asset] for line in lines], [line.amount for line in lines], transfers, refusals),
    )


async def lock_adjustment(tx: Tx, adjustment_id: AdjustmentId) -> Adjustment:
    """An adjustment with its lines, ours until the transaction ends. Refuses with NoSuchAdjustment."""
    await db.run(tx, "select ledger.lock_adjustment(%s)", adjustment_id)
    return await get_adjustment(tx, adjustment_id)


async def update_adjustment(
    tx: Tx,
    adjustment: Adjustment,
    *,
    status: AdjustmentStatus,
    checker: UserId | None,
    note: str,
    now: datetime,
    outcomes: Sequence[Outcome] = (),
) -> None:
    """Decide an adjustment, and answer its lines where it was carried out."""
    transfers, refusals = _answers(outcomes)
    numbers = [line.n for line in adjustment.lines][: len(outcomes)]
    await db.run(
        tx,
        "select ledger.close_adjustment(%s, %s, %s, %s, %s, %s::smallint[], %s::uuid[], %s::text[])",
        *(adjustment.id, status, checker, note, now, numbers, transfers, refusals),
    )


def _answers(outcomes: Sequence[Outcome | None]) -> tuple[list[UUID | None], list[str | None]]:
    transfers: list[UUID | None] = [one.transfer_id if isinstance(one, Posted) else None for one in outcomes]
    refusals = [one.code if one is not None and not isinstance(one, Posted) else None for one in outcomes]
    return transfers, refusals


async def find_adjustment(tx: Tx, adjustment_id: AdjustmentId) -> Adjustment | None:
    """An adjustment with its lines."""
    found = await db.find(tx, Adjustment, ADJUSTMENT + " where a.id = %s", adjustment_id)
    return (await with_lines(tx, [found]))[0] if found else None


async def get_adjustment(tx: Tx, adjustment_id: AdjustmentId) -> Adjustment:
    """An adjustment with its lines. Refuses with NoSuchAdjustment."""
    found = await find_adjustment(tx, adjustment_id)
    if found is None:
        raise errors.NoSuchAdjustment
    return found


async def list_adjustments(
    tx: Tx,
    statuses: Sequence[AdjustmentStatus],
    *,
    limit: int,
    maker: UserId | None = None,
    owner: UserId | None = None,
    older_than: UUID | None = None,
    newer_than: UUID | None = None,
) -> list[Adjustment]:
    """Adjustments in these states without their lines, the newest first; of a maker, of an owner, or of all.

    Those in front of one come as the nearest to it.
    """
    values = list(statuses), maker, maker, owner, owner
    if newer_than:
        found = await db.rows(
            tx, Adjustment, ADJUSTMENT + WANTED + " and a.id > %s order by a.id limit %s", *values, newer_than, limit
        )
        return found[::-1]
    return await db.rows(
        tx,
        Adjustment,
        ADJUSTMENT + WANTED + " and (%s::uuid is null or a.id < %s) order by a.id desc limit %s",
        *(*values, older_than, older_than, limit),
    )


PROPOSED = (
    ADJUSTMENT
    + """ where a.status = any (%s) and a.expires_at is not null and (%s::uuid is null or a.maker = %s)
      and a.id > %s and a.id < %s"""
)


async def list_proposed(
    tx: Tx, statuses: Sequence[AdjustmentStatus], *, maker: UserId | None, part: Part[UUID]
) -> list[Adjustment]:
    """A part of the adjustments that waited for a second person, without their lines, the newest first."""
    values = list(statuses), maker, maker, *part.between(*IDS), part.limit
    if part.is_back:
        return (await db.rows(tx, Adjustment, PROPOSED + " order by a.id limit %s", *values))[::-1]
    return await db.rows(tx, Adjustment, PROPOSED + " order by a.id desc limit %s", *values)


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line, and the adjustment it is of."""

    adjustment_id: AdjustmentId
    n: int
    owner_id: UserId
    asset: str
    scale: int
    amount: int
    transfer_id: TransferId | None
    refusal: str | None


async def with_lines(tx: Tx, found: Sequence[Adjustment]) -> list[Adjustment]:
    """The same, each with its lines in their order."""
    rows = await db.rows(
        tx,
        LineRow,
        """
        select l.adjustment_id, l.n, l.owner_id, s.code as asset, s.scale, l.amount, l.transfer_id, l.refusal
        from ledger.adjustment_lines l join ledger.assets s on s.id = l.asset_id
        where l.adjustment_id = any (%s::uuid[]) order by l.adjustment_id, l.n""",
        [one.id for one in found],
    )
    lines: dict[AdjustmentId, list[AdjustedLine]] = {}
    for row in rows:
        line = AdjustedLine(row.n, row.owner_id, row.asset, row.scale, row.amount, row.transfer_id, row.refusal)
        lines.setdefault(row.adjustment_id, []).append(line)
    return [replace(one, lines=lines.get(one.id, [])) for one in found]


async def find_waiting(tx: Tx) -> tuple[int, datetime | None]:
    """How many adjustments wait, and since when the oldest does."""
    count = await db.value(tx, "select count(*) from ledger.adjustments where status = 'pending'")
    return count, await db.value(tx, "select min(created_at) from ledger.adjustments where status = 'pending'")


async def list_due(tx: Tx, now: datetime, limit: int) -> list[AdjustmentId]:
    """Adjustments that nobody has decided about in time, the oldest first."""
    found: list[AdjustmentId] = await db.column(
        tx,
        """select id from ledger.adjustments where status = 'pending' and expires_at <= %s
        order by expires_at, id limit %s""",
        *(now, limit),
    )
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account holds. One that does not exist holds nothing."""

    address: str
    asset: str
    scale: int
    balance: int


async def list_standings(tx: Tx, addresses: Sequence[str], assets: Sequence[str]) -> list[Standing]:
    """The balances of accounts (address and asset, pair by pair), in this order."""
    return await db.rows(
        tx,
        Standing,
        """
        select w.address, s.code as asset, s.scale, coalesce(b.balance, coalesce(r.balance, o.balance, 0) + coalesce((
          select sum(e.amount) from ledger.entries e where e.account_id = a.id and e.seq is null
            and e.tx_id >= case when r.through_tx is null then 0 else r.through_tx end), 0))::bigint as balance
        from unnest(%s::text[], %s::text[]) with ordinality w(address, asset, n)
        join ledger.assets s on s.code = w.asset
        left join ledger.accounts a on a.address = w.address and a.asset_id = s.id
        left join ledger.balances b on b.account_id = a.id
        left join ledger.rollups r on r.account_id = a.id
        left join ledger.archived_sums o on o.account_id = a.id
        order by w.n""",
        *(list(addresses), list(assets)),
    )
