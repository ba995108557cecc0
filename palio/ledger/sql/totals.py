"""Statements that sum up: days, periods, where everything is. Each is one statement, and so of one moment."""

from collections.abc import Sequence
from datetime import date, datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.rules.totals import AccountPart, DayPart, PlacePart
from palio.ledger.types import Activity


async def list_day(tx: Tx, day: date, begins: datetime, ends: datetime) -> list[DayPart]:
    """A day of every asset: families of open accounts, flows of all families, what was held when it had ended.

    Sums of whole days are kept, so that only what moved on that day is read, and what is not rolled up yet.
    """
    return await db.rows(
        tx,
        DayPart,
        """
        select 'family' as part, a.asset_id::int, split_part(a.address, ':', 1) as family, '' as category,
          coalesce(sum(x.amount) filter (where x.day < %s::date), 0) as first, sum(x.amount) as second
        from (select account_id, day, amount from ledger.daily_sums where day <= %s::date
            union all
            select account_id, (posted_at at time zone 'UTC')::date, amount from ledger.entries
            where seq is null and posted_at < %s::timestamptz
              and tx_id >= (select g.through_tx from ledger.rounds g where g.job = 'rollup')) x
          join ledger.accounts a on a.id = x.account_id
        group by 2, 3
        union all
        select 'flow', ((e.account_id >> 1) & 32767)::int,
          case when e.account_id & 1 = 1 then 'user' else split_part(a.address, ':', 1) end, k.category,
          coalesce(sum(e.amount) filter (where e.amount > 0), 0),
          coalesce(-sum(e.amount) filter (where e.amount < 0), 0)
        from ledger.entries e
          join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
          join ledger.kinds k on k.code = t.kind
          left join ledger.accounts a on a.id = e.account_id and not a.guarded
        where e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
          and t.posted_at >= %s::timestamptz and t.posted_at < %s::timestamptz
        group by 2, 3, 4
        union all
        select 'held', ((h.account_id >> 1) & 32767)::int, '', '', sum(h.amount - coalesce(c.amount, 0)), 0
        from ledger.holds h left join lateral (
          select -sum(e.amount) as amount from ledger.transfers t
            join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at
          where t.hold_id = h.id and e.account_id = h.account_id and t.posted_at < %s::timestamptz) c on true
        where h.created_at < %s::timestamptz and (h.closed_at is null or h.closed_at >= %s::timestamptz)
        group by 2""",
        *(day, day, ends, begins, ends, begins, ends, ends, ends, ends),
    )


async def list_activity(tx: Tx, begins: datetime, ends: datetime, after: UserId | None, limit: int) -> list[Activity]:
    """What a day did to main wallets, by owner and asset, of so many owners behind one."""
    return await db.rows(
        tx,
        Activity,
        """
        with moved as materialized (
          select a.owner_id, ((e.account_id >> 1) & 32767)::int as asset_id,
            coalesce(sum(e.amount) filter (where e.amount > 0), 0)::bigint as came,
            coalesce(-sum(e.amount) filter (where e.amount < 0), 0)::bigint as went, count(*)::int as movements
          from ledger.entries e join ledger.accounts a on a.id = e.account_id
          where e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz and e.seq is not null
            and a.address = 'user:' || a.owner_id || ':main' and (%s::uuid is null or a.owner_id > %s::uuid)
          group by 1, 2)
        select m.owner_id, s.code as asset, m.came, m.went, m.movements
        from moved m join ledger.assets s on s.id = m.asset_id
        where m.owner_id in (select d.owner_id from moved d group by 1 order by 1 limit %s::int)
        order by m.owner_id, s.id""",
        *(begins, ends, after, after, limit),
    )


async def list_periods(tx: Tx, owners: Sequence[UserId], begins: datetime, ends: datetime) -> list[AccountPart]:
    """The main wallets of owners in a period, a row for each category that moved in one, or one without a category."""
    return await db.rows(
        tx,
        AccountPart,
        """
        select a.owner_id, s.code as asset, s.scale, coalesce(o.balance_after, r.balance, 0)::bigint as opening,
          coalesce(c.balance_after, r.balance, 0)::bigint as closing, f.category,
          coalesce(f.came, 0) as came, coalesce(f.went, 0) as went
        from unnest(%s::uuid[]) u(id) join ledger.accounts a
          on a.owner_id = u.id and a.address = 'user:' || a.owner_id || ':main'
        join ledger.assets s on s.id = a.asset_id
        left join ledger.archived_sums r on r.account_id = a.id
        left join lateral (select e.balance_after from ledger.entries e
          where e.account_id = a.id and e.seq is not null and e.posted_at < %s::timestamptz
          order by e.seq desc limit 1) o on true
        left join lateral (select e.balance_after from ledger.entries e
          where e.account_id = a.id and e.seq is not null and e.posted_at < %s::timestamptz
          order by e.seq desc limit 1) c on true
        left join lateral (
          select k.category, coalesce(sum(e.amount) filter (where e.amount > 0), 0) as came,
            coalesce(-sum(e.amount) filter (where e.amount < 0), 0) as went
          from ledger.entries e
            join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
            join ledger.kinds k on k.code = t.kind
          where e.account_id = a.id and e.seq is not null
            and e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
          group by 1) f on true
        order by u.id, s.id, f.category""",
        *(list(owners), begins, ends, begins, ends),
    )


async def list_places(tx: Tx) -> list[PlacePart]:
    """Where everything is now: families of open accounts, wallets and debts."""
    return await db.rows(
        tx,
        PlacePart,
        """
        select ((b.account_id >> 1) & 32767)::int as asset_id,
          case when b.ceiling is null then 'wallets' else 'debts' end as family,
          sum(b.balance) as balance, sum(b.held) as held
        from ledger.balances b group by 1, 2
        union all
        select a.asset_id::int, split_part(a.address, ':', 1), sum(x.amount), 0
        from (select account_id, balance as amount from ledger.rollups
            union all
            select account_id, amount from ledger.entries
            where seq is null and tx_id >= (select g.through_tx from ledger.rounds g where g.job = 'rollup')) x
          join ledger.accounts a on a.id = x.account_id
        group by 1, 2""",
    )
