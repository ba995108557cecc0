"""Statements about what players allow themselves, and what counts for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import LimitGroup, PendingLimit, Period


@dataclass(frozen=True, slots=True)
class StoredLimit:
    """A limit as it was set. Without `pending_from` nothing is pending."""

    amount: int | None
    pending_amount: int | None
    pending_from: datetime | None

    @property
    def pending(self) -> PendingLimit | None:
        """What it will be."""
        return PendingLimit(self.pending_amount, self.pending_from) if self.pending_from else None


@dataclass(frozen=True, slots=True)
class OwnedLimit(StoredLimit):
    """One of those of an owner, with its asset."""

    owner_id: UserId
    asset: str
    scale: int
    limit_group: LimitGroup
    period: Period


@dataclass(frozen=True, slots=True)
class Usage:
    """What an owner has used in a period, by its key."""

    owner_id: UserId
    asset: str
    limit_group: LimitGroup
    period_key: str
    used: int


async def list_limits(tx: Tx, owners: Sequence[UserId]) -> list[OwnedLimit]:
    """Every limit that owners ever set, in a fixed order: of each at most one per asset, group and period."""
    return await db.rows(
        tx,
        OwnedLimit,
        """
        select l.amount, l.pending_amount, l.pending_from, l.owner_id, s.code as asset, s.scale, l.limit_group, l.period
        from ledger.limits l join ledger.assets s on s.id = l.asset_id
        where l.owner_id = any (%s::uuid[])
        order by l.owner_id, s.id, array_position('{stake,spend,loss,deposit}', l.limit_group),
          array_position('{day,week,month}', l.period)""",
        list(owners),
    )


async def list_usage(tx: Tx, owners: Sequence[UserId], keys: Sequence[str]) -> list[Usage]:
    """What owners have used in these periods."""
    return await db.rows(
        tx,
        Usage,
        """
        select g.owner_id, s.code as asset, g.limit_group, g.period_key, g.used
        from ledger.limit_usage g join ledger.assets s on s.id = g.asset_id
        where g.owner_id = any (%s::uuid[]) and g.period_key = any (%s::text[])""",
        *(list(owners), list(keys)),
    )


async def lock_limit(tx: Tx, owner: UserId, asset_id: int, group: LimitGroup, period: Period) -> StoredLimit:
    """A limit of an owner, made if there is none, ours until the transaction ends."""
    found = await db.rows(
        tx,
        StoredLimit,
        """select amount, pending_amount, pending_from
        from ledger.lock_limit(%s::uuid, %s::smallint, %s::text, %s::text)""",
        *(owner, asset_id, group, period),
    )
    return found[0]


async def update_limit(
    tx: Tx,
    owner: UserId,
    asset_id: int,
    group: LimitGroup,
    period: Period,
    amount: int | None,
    pending: PendingLimit | None,
) -> None:
    """Let it be so from now on."""
    await db.run(
        tx,
        "select ledger.put_limit(%s::uuid, %s::smallint, %s::text, %s::text, %s::bigint, %s::bigint, %s::timestamptz)",
        *(owner, asset_id, group, period, amount),
        *(pending or (None, None)),
    )


async def add_usage(tx: Tx, counts: Sequence[tuple[UserId, str, LimitGroup, str, int]]) -> None:
    """Count more or less in periods: owner, asset, group, key, by how much; each period once."""
    await db.run(tx, "select ledger.count_usage(%s::text::jsonb)", json.dumps(counts, default=str))
