"""Statements about what expires: which lots are due, what is owed to owners, and what does not add up."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import Finding, Lapsing, OfOrigin


@dataclass(frozen=True, slots=True)
class DueLot:
    """A lot past its end; `expired` is what of it was moved away before."""

    id: UUID
    address: str
    asset: str
    expired: int


async def list_due_lots(tx: Tx, now: datetime, limit: int) -> list[DueLot]:
    """Lots of which something has expired and is under no hold, the earliest end first; not of frozen wallets."""
    return await db.rows(
        tx,
        DueLot,
        """
        select l.id, a.address, s.code as asset, l.expired
        from ledger.lots l join ledger.balances b on b.account_id = l.account_id and b.status = 'active'
        join ledger.accounts a on a.id = l.account_id join ledger.assets s on s.id = a.asset_id
        where l.expires_at <= %s and l.remaining > l.held order by l.expires_at, l.id limit %s""",
        now,
        limit,
    )


async def list_lapsing(tx: Tx, owner: UserId, asset: str, now: datetime, limit: int) -> list[Lapsing]:
    """What of a main wallet expires next, and is under no hold; what ends at one instant together."""
    return await db.rows(
        tx,
        Lapsing,
        """
        select sum(l.remaining - l.held)::bigint as amount, l.expires_at from ledger.lots l
        where l.remaining > 0 and l.remaining > l.held and l.expires_at > %s::timestamptz
          and l.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        group by l.expires_at order by l.expires_at limit %s::int""",
        *(now, owner, asset, limit),
    )


async def list_origins(tx: Tx, now: datetime) -> list[OfOrigin]:
    """Per asset and origin what is left in wallets, what of it is held or over, and what has expired."""
    return await db.rows(
        tx,
        OfOrigin,
        """
        select s.code as asset, l.origin, sum(l.remaining)::bigint as outstanding, sum(l.held)::bigint as held,
          coalesce(sum(l.remaining - l.held) filter (where l.expires_at <= %s), 0)::bigint as lapsed,
          sum(l.expired)::bigint as expired
        from ledger.lots l join ledger.assets s on s.id = (l.account_id >> 1) & 32767
        group by s.code, l.origin order by s.code, l.origin""",
        now,
    )


TOUCHED = """
    with touched as materialized (select distinct t.account_id from ledger.entries t where t.tx_id >= %s::bigint) """
WRONG_LOTS = """
    select 'R8' as check, a.address || ' ' || s.code as subject, a.id as account_id,
      b.balance || ' of which ' || b.held || ' held' as expected,
      coalesce(l.remaining, 0) || ' of which ' || coalesce(l.held, 0) || ' held' as actual
    from ledger.balances b join ledger.accounts a on a.id = b.account_id join ledger.assets s on s.id = a.asset_id
    left join lateral (select sum(o.remaining) as remaining, sum(o.held) as held
      from ledger.lots o where o.account_id = b.account_id) l on true
    where case when s.lots and a.address like '%%:main'
      then b.lots is null or row(b.balance, b.held) <> row(coalesce(l.remaining, 0), coalesce(l.held, 0))
      else b.lots is not null or coalesce(l.remaining, 0) <> 0 end """
OF_TOUCHED = """
    and b.account_id in (select account_id from touched) """


async def list_wrong_lots(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R8: wallets whose lots are not their balance, or that keep none though their asset has them, or the reverse."""
    if since is None:
        return await db.rows(tx, Finding, WRONG_LOTS + "order by 2 limit %s", limit)
    return await db.rows(tx, Finding, TOUCHED + WRONG_LOTS + OF_TOUCHED + "order by 2 limit %s", since, limit)
