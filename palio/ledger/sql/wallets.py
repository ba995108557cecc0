"""Statements about a wallet as a whole: a month of it, what is set aside of it, what its owner owes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import DebtLine, Flow, HoldId, OpenHold


@dataclass(frozen=True, slots=True)
class Edge:
    """The last line of a wallet before an instant."""

    seq: int
    balance: int


async def find_edge(tx: Tx, owner: UserId, asset: str, before: datetime) -> Edge | None:
    """Where a main wallet stood when everything before an instant was posted; None: nothing was."""
    return await db.find(
        tx,
        Edge,
        """
        select e.seq, e.balance_after as balance from ledger.entries e
        where e.seq is not null and e.posted_at < %s::timestamptz
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        order by e.seq desc limit 1""",
        *(before, owner, asset),
    )


async def find_start(tx: Tx, owner: UserId, asset: str, since: datetime, until: datetime) -> Edge | None:
    """Where a main wallet stood in front of its first line in a span of time; None: it has none there."""
    return await db.find(
        tx,
        Edge,
        """
        select e.seq - 1 as seq, e.balance_after - e.amount as balance from ledger.entries e
        where e.seq is not null and e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        order by e.seq limit 1""",
        *(since, until, owner, asset),
    )


async def find_rest(tx: Tx, owner: UserId, asset: str, until: datetime) -> Edge | None:
    """Where a main wallet stands of which nothing that was posted before an instant is here: in front of its first
    line, or as its row says; None: there is no such wallet. What the archive took is in both.
    """
    return await db.find(
        tx,
        Edge,
        """
        select coalesce(f.seq - 1, b.seq) as seq, coalesce(f.balance_after - f.amount, b.balance) as balance
        from ledger.accounts a join ledger.assets s on s.id = a.asset_id
        join ledger.balances b on b.account_id = a.id
        left join lateral (select e.seq, e.balance_after, e.amount from ledger.entries e
          where e.account_id = a.id and e.seq is not null and e.posted_at >= %s::timestamptz
          order by e.seq limit 1) f on true
        where a.address = 'user:' || %s::uuid || ':main' and s.code = %s""",
        *(until, owner, asset),
    )


async def list_flows(tx: Tx, owner: UserId, asset: str, since: datetime, until: datetime) -> list[Flow]:
    """What moved in a main wallet in a span of time, by category: whatever its owner has hidden."""
    return await db.rows(
        tx,
        Flow,
        """
        select k.category, coalesce(sum(e.amount) filter (where e.amount > 0), 0)::bigint as came,
          coalesce(-sum(e.amount) filter (where e.amount < 0), 0)::bigint as went, count(*)::bigint as lines
        from ledger.entries e
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        join ledger.kinds k on k.code = t.kind
        where e.seq is not null and e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
          and t.posted_at >= %s::timestamptz and t.posted_at < %s::timestamptz
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        group by k.category order by k.category""",
        *(since, until, since, until, owner, asset),
    )


async def find_first_posted(tx: Tx, owner: UserId, asset: str) -> datetime | None:
    """When something first moved in a main wallet that is still here."""
    found: datetime | None = await db.value(
        tx,
        """
        select e.posted_at from ledger.entries e
        where e.seq is not null
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        order by e.seq limit 1""",
        *(owner, asset),
    )
    return found


HOLD = """
    select h.id, s.code as asset, s.scale, h.subject, h.kind, k.label, h.amount, h.captured,
      h.amount - h.captured - h.released as remaining, h.created_at, h.expires_at
    from ledger.holds h
    join ledger.accounts a on a.id = h.account_id join ledger.assets s on s.id = a.asset_id
    join ledger.kinds k on k.code = h.kind
    where h.state = 'open' and a.owner_id = %s::uuid
      and h.account_id = any (array(select m.id from ledger.accounts m where m.owner_id = %s::uuid)) """


async def list_holds(tx: Tx, owner: UserId, after: HoldId | None, limit: int) -> list[OpenHold]:
    """Open holds of an owner behind one of them, the newest first."""
    return await db.rows(
        tx,
        OpenHold,
        HOLD + "and (%s::uuid is null or h.id < %s::uuid) order by h.id desc limit %s::int",
        *(owner, owner, after, after, limit),
    )


async def list_holds_before(tx: Tx, owner: UserId, before: HoldId, limit: int) -> list[OpenHold]:
    """The open holds next to one of them on its newer side, the newest first."""
    found = await db.rows(
        tx, OpenHold, HOLD + "and h.id > %s::uuid order by h.id limit %s::int", *(owner, owner, before, limit)
    )
    return found[::-1]


async def list_holds_of(tx: Tx, owner: UserId, asset: str, limit: int) -> list[OpenHold]:
    """Open holds of one main wallet, the largest first."""
    return await db.rows(
        tx,
        OpenHold,
        HOLD + "and s.code = %s order by remaining desc, h.id desc limit %s::int",
        *(owner, owner, asset, limit),
    )


async def list_debt_lines(tx: Tx, owner: UserId, asset: str, limit: int) -> Sequence[DebtLine]:
    """The newest lines of a debt account, the newest first."""
    return await db.rows(
        tx,
        DebtLine,
        """
        select e.transfer_id, e.posted_at, t.kind, k.label, e.amount, coalesce(t.description, '') as description,
          (select m.seq from ledger.entries m join ledger.accounts w on w.id = m.account_id
            where m.transfer_id = e.transfer_id and m.posted_at = e.posted_at and w.owner_id = a.owner_id
              and w.address like '%%:main' and w.asset_id = a.asset_id) as seq
        from ledger.entries e
        join ledger.accounts a on a.id = e.account_id
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        join ledger.kinds k on k.code = t.kind
        where e.seq is not null
          and e.account_id = (select d.id from ledger.accounts d join ledger.assets s on s.id = d.asset_id
            where d.address = 'user:' || %s::uuid || ':debt' and s.code = %s)
        order by e.seq desc limit %s::int""",
        *(owner, asset, limit),
    )
