"""Statements that look: balances, wallets, lines of statements. Row security decides what the actor sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    Asset,
    Cursor,
    DayMoved,
    Filter,
    HoldId,
    LimitGroup,
    Line,
    LineOf,
    Side,
    TransferId,
    Wallet,
)

SEQ_MAX = 2**63 - 1
LONG_AGO, FAR = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
SIGNS = {None: [-1, 1], "credit": [1], "debit": [-1]}


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    limit_group: LimitGroup | None
    final: bool


async def list_assets(tx: Tx) -> list[Asset]:
    """Every asset: a handful."""
    return await db.rows(tx, Asset, "select id, code, name, scale, lots from ledger.assets order by id")


async def list_kinds(tx: Tx) -> list[Kind]:
    """Every kind of transfer: some dozens."""
    return await db.rows(tx, Kind, "select code, limit_group, final from ledger.kinds order by code")


async def find_balance(tx: Tx, address: str, asset: str) -> int:
    """The posted balance now, 0 if there is no account: a guarded one's row; of an open one what is rolled up, and
    every entry of a later transaction that this statement sees.
    """
    # Where an index is asked for a number it is a column or a case, never computed: row security holds everything else
    # back as something that might tell on a row.
    return int(
        await db.value(
            tx,
            """
            select coalesce(b.balance, coalesce(r.balance, o.balance, 0) + coalesce((
              select sum(e.amount) from ledger.entries e
              where e.account_id = a.id and e.seq is null
                and e.tx_id >= case when r.through_tx is null then 0 else r.through_tx end), 0))
            from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            left join ledger.balances b on b.account_id = a.id
            left join ledger.rollups r on r.account_id = a.id
            left join ledger.archived_sums o on o.account_id = a.id
            where a.address = %s and s.code = %s""",
            address,
            asset,
        )
        or 0
    )


@dataclass(frozen=True, slots=True)
class BalanceThen:
    """A balance of the past; `archived_until` is from when on entries are still here, where the archive has some."""

    balance: Decimal
    archived_until: datetime | None


async def find_balance_at(tx: Tx, address: str, asset: str, at: datetime) -> BalanceThen | None:
    """The posted balance after everything that was posted until `at`, inclusive.

    Of a guarded account: instants rise by seq, so within the month the last one is found by halving; in front of the
    first entry that is here it has what that one, or else its row, says: the sums of the archive are not its owner's to
    read. Of an open one: the days before, the part of that day that is rolled up, and what is not rolled up yet.
    """
    return await db.find(
        tx,
        BalanceThen,
        """
        select coalesce(o.through, ledger.archived_until()) as archived_until, case when a.guarded
          then coalesce((
            with recursive step (low, high, middle) as (
              select b.low, b.high, (b.low + b.high + 1) / 2 from (
                select coalesce((select e.seq from ledger.entries e
                    where e.account_id = a.id and e.seq is not null and e.posted_at < t.month_begins
                    order by e.seq desc limit 1), (select e.seq - 1 from ledger.entries e
                    where e.account_id = a.id and e.seq is not null order by e.seq limit 1)) as low,
                  (select e.seq from ledger.entries e
                    where e.account_id = a.id and e.seq is not null and e.posted_at < t.month_ends
                    order by e.seq desc limit 1) as high) b
              union all
              select n.low, n.high, (n.low + n.high + 1) / 2
              from step s
                cross join lateral (select e.posted_at <= t.at as is_past from ledger.entries e
                  where e.account_id = a.id and e.seq = s.middle
                    and e.posted_at >= t.month_begins and e.posted_at < t.month_ends) p
                cross join lateral (select case when p.is_past then s.middle else s.low end as low,
                  case when p.is_past then s.high else s.middle - 1 end as high) n
              where s.low < s.high)
            select x.balance_after from step s cross join lateral (select e.balance_after from ledger.entries e
                where e.account_id = a.id and e.seq = s.low and e.posted_at <= t.at limit 1) x
              where s.low = s.high), (select e.balance_after - e.amount from ledger.entries e
            where e.account_id = a.id and e.seq is not null order by e.seq limit 1),
            (select b.balance from ledger.balances b where b.account_id = a.id), 0)
          else coalesce((select sum(d.amount) from ledger.daily_sums d
              where d.account_id = a.id and d.day < t.day), o.balance, 0)
            + coalesce((select x.amount from ledger.daily_sums d cross join lateral (
                select sum(e.amount) as amount from ledger.entries e
                where e.account_id = d.account_id and e.seq is null and e.tx_id between d.first_tx and d.last_tx
                  and e.posted_at >= t.begins_at and e.posted_at <= t.at) x
              where d.account_id = a.id and d.day = t.day), 0)
            + coalesce((select sum(e.amount) from ledger.entries e
              where e.account_id = a.id and e.seq is null and e.posted_at <= t.at
                and e.tx_id >= case when r.through_tx is null then 0 else r.through_tx end), 0) end::numeric as balance
        from (select u.at, (u.at at time zone 'UTC')::date as day,
            date_trunc('day', u.at, 'UTC') as begins_at, date_trunc('month', u.at, 'UTC') as month_begins,
            date_add(date_trunc('month', u.at, 'UTC'), '1 month', 'UTC') as month_ends
          from (select %s::timestamptz as at) u) t
        cross join ledger.accounts a join ledger.assets s on s.id = a.asset_id
        left join ledger.rollups r on r.account_id = a.id
        left join ledger.archived_sums o on o.account_id = a.id
        where a.address = %s and s.code = %s""",
        at,
        address,
        asset,
    )


@dataclass(frozen=True, slots=True)
class OwnedBalance:
    owner_id: UserId
    balance: int


async def list_balances(tx: Tx, owners: Sequence[UserId], asset: str) -> list[OwnedBalance]:
    """The balance of the main wallet of each owner who has one."""
    return await db.rows(
        tx,
        OwnedBalance,
        """
        select w.owner_id, w.balance from unnest(%s::uuid[]) o(id)
        join ledger.wallets w on w.owner_id = o.id where w.asset = %s""",
        list(owners),
        asset,
    )


async def list_wallets(tx: Tx, owner: UserId, now: datetime) -> list[Wallet]:
    """One per active asset, zeros included, in the order of the assets."""
    return await db.rows(
        tx,
        Wallet,
        """
        select s.code as asset, s.scale, coalesce(w.balance, 0) as balance, coalesce(w.held, 0) as held,
          coalesce(d.balance, 0) as debt, nullif(w.last_posted_at, 'epoch') as last_posted_at,
          case when w.lots is null then 0 else ledger.lapsed(w.account_id, %s) end as lapsed
        from ledger.assets s
        left join (ledger.accounts a join ledger.balances w on w.account_id = a.id)
          on a.address = 'user:' || %s::uuid || ':main' and a.asset_id = s.id
        left join (ledger.accounts c join ledger.balances d on d.account_id = c.id)
          on c.address = 'user:' || %s::uuid || ':debt' and c.asset_id = s.id
        where s.active order by s.id""",
        *(now, owner, owner),
    )


# `maker` is who of the staff corrected a wallet: its owner reads why, never by whom
LINE = """
    select e.transfer_id, e.posted_at, e.seq, t.kind, k.label, k.category, e.amount, e.balance_after,
      coalesce(t.description, '') as description, coalesce(t.metadata - 'maker', '{}') as metadata, t.reverses_id,
      (select h.hidden_at from ledger.hidden h where h.account_id = e.account_id and h.seq = e.seq) as hidden_at
    from ledger.entries e
    join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
    join ledger.kinds k on k.code = t.kind
    where e.seq is not null
      and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
        where a.address = 'user:' || %s::uuid || ':main' and s.code = %s) """
# Conditions that are not asked for must not make a plan look cheaper, or the server plans anew each time: over 60
# months that costs ten times what the list does.
WANTED = """
      and e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
      and sign(e.amount) = any (%s::int[])
      and abs(e.amount) between %s::bigint and %s::bigint
      and (cardinality(%s::text[]) = 0 or k.category = any (%s::text[]))
      and (cardinality(%s::text[]) = 0 or t.kind = any (%s::text[]))
      and (%s::bool or not exists (select from ledger.hidden h where h.account_id = e.account_id and h.seq = e.seq))
      and (%s::text is null or ledger.is_about(t.hold_id, t.metadata, %s::text)) """


def _values(wanted: Filter) -> tuple[object, ...]:
    categories, kinds = list(wanted.categories), list(wanted.kinds)
    return (
        *(wanted.since or LONG_AGO, wanted.until or FAR, SIGNS[wanted.direction], wanted.amount_min or 0),
        AMOUNT_UNITS_MAX if wanted.amount_max is None else wanted.amount_max,
        *(categories, categories, kinds, kinds),
        *(wanted.with_hidden, wanted.subject, wanted.subject),
    )


async def list_lines(tx: Tx, owner: UserId, asset: str, wanted: Filter, after: Cursor | None, limit: int) -> list[Line]:
    """Lines of a main wallet after the cursor, newest first."""
    return await db.rows(
        tx,
        Line,
        LINE
        + "and e.seq < %s::bigint and e.posted_at <= %s::timestamptz"
        + WANTED
        + "order by e.seq desc limit %s::int",
        *(owner, asset, after.seq if after else SEQ_MAX, after.posted_at if after else FAR),
        *(*_values(wanted), limit),
    )


async def list_lines_before(
    tx: Tx, owner: UserId, asset: str, wanted: Filter, before: Cursor, limit: int
) -> list[Line]:
    """The lines next to the cursor on its newer side, newest first."""
    found = await db.rows(
        tx,
        Line,
        LINE + "and e.seq > %s::bigint and e.posted_at >= %s::timestamptz" + WANTED + "order by e.seq limit %s::int",
        *(owner, asset, before.seq, before.posted_at, *_values(wanted), limit),
    )
    return found[::-1]


async def list_lines_between(
    tx: Tx, owner: UserId, asset: str, seqs: tuple[int, int], times: tuple[datetime, datetime], limit: int
) -> list[Line]:
    """Lines of a main wallet from one number through another, hidden ones too, in their order; `times` hold them."""
    return await db.rows(
        tx,
        Line,
        LINE
        + "and e.seq between %s::bigint and %s::bigint and e.posted_at >= %s::timestamptz"
        + " and e.posted_at < %s::timestamptz order by e.seq limit %s::int",
        *(owner, asset, *seqs, *times, limit),
    )


async def list_latest(tx: Tx, owner: UserId, limit: int) -> list[LineOf]:
    """The newest lines of all main wallets of an owner that he did not hide, the newest first."""
    return await db.rows(
        tx,
        LineOf,
        """
        select s.code as asset, s.scale, e.transfer_id, e.posted_at, e.seq, t.kind, k.label, k.category, e.amount,
          e.balance_after, coalesce(t.description, '') as description, coalesce(t.metadata - 'maker', '{}') as metadata,
          t.reverses_id, null::timestamptz as hidden_at
        from ledger.accounts a
        join ledger.assets s on s.id = a.asset_id
        cross join lateral (
          select * from ledger.entries n where n.account_id = a.id and n.seq is not null
            and not exists (select from ledger.hidden h where h.account_id = n.account_id and h.seq = n.seq)
          order by n.seq desc limit %s::int) e
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        join ledger.kinds k on k.code = t.kind
        where a.address = 'user:' || %s::uuid || ':main'
        order by e.posted_at desc, s.id, e.seq desc limit %s::int""",
        *(limit, owner, limit),
    )


async def list_days_moved(tx: Tx, owner: UserId, asset: str, since: datetime, until: datetime) -> list[DayMoved]:
    """The days of a main wallet (UTC) on which something moved, in order: at most as many as lie between."""
    return await db.rows(
        tx,
        DayMoved,
        """
        select (e.posted_at at time zone 'UTC')::date as day,
          coalesce(sum(e.amount) filter (where e.amount > 0), 0)::bigint as came,
          coalesce(-sum(e.amount) filter (where e.amount < 0), 0)::bigint as went,
          (array_agg(e.balance_after order by e.seq desc))[1] as balance
        from ledger.entries e
        where e.seq is not null and e.posted_at >= %s and e.posted_at < %s
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
        group by 1 order by 1""",
        *(since, until, owner, asset),
    )


async def find_line(tx: Tx, owner: UserId, asset: str, seq: int) -> Line | None:
    """One line of a main wallet."""
    return await db.find(tx, Line, LINE + "and e.seq = %s::bigint", owner, asset, seq)


@dataclass(frozen=True, slots=True)
class Numbered:
    asset: str
    seq: int


async def list_seqs(tx: Tx, owner: UserId, transfer_id: UUID) -> list[Numbered]:
    """The lines of an owner's main wallets that a transfer made, in the order of its legs."""
    return await db.rows(
        tx,
        Numbered,
        """
        select s.code as asset, e.seq from ledger.entries e
        join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
        where e.transfer_id = %s and e.seq is not null and a.address = 'user:' || %s::uuid || ':main'
        order by e.leg limit 100""",
        *(transfer_id, owner),
    )


@dataclass(frozen=True, slots=True)
class Origin:
    key: str
    actor: str
    hold_id: HoldId | None


async def find_origin(tx: Tx, transfer_id: UUID, posted_at: datetime) -> Origin | None:
    """What caused a transfer, and who acted."""
    return await db.find(
        tx,
        Origin,
        "select key, actor, hold_id from ledger.transfers where id = %s and posted_at = %s",
        *(transfer_id, posted_at),
    )


async def list_sides(tx: Tx, owner: UserId, asset: str, transfer_id: UUID, posted_at: datetime) -> list[Side]:
    """The other accounts of a transfer, those of one kind together; strangers without a name."""
    return await db.rows(
        tx,
        Side,
        """
        select family, name, is_own, asset, scale, sum(amount)::bigint as amount
        from ledger.sides(%s, %s, %s) where not (is_own and is_main and asset = %s)
        group by family, name, is_own, asset, scale order by min(leg) limit 100""",
        *(transfer_id, posted_at, owner, asset),
    )


@dataclass(frozen=True, slots=True)
class DueHold:
    id: HoldId
    owner_id: UserId
    subject: str


async def list_due_holds(tx: Tx, now: datetime, limit: int) -> list[DueHold]:
    """Open holds whose time is over, the oldest first."""
    return await db.rows(
        tx,
        DueHold,
        """select id, owner_id, subject from ledger.holds
        where state = 'open' and expires_at <= %s order by expires_at, id limit %s""",
        *(now, limit),
    )


@dataclass(frozen=True, slots=True)
class PayableDebt:
    """What somebody owes and has: `seq` is that of the newest entry of his debt account."""

    owner_id: UserId
    asset: str
    seq: int
    payable: int


async def list_payable_debts(tx: Tx, now: datetime, limit: int) -> list[PayableDebt]:
    """Debts of which the owner's wallet could pay something now; not where one of both is not active."""
    return await db.rows(
        tx,
        PayableDebt,
        """
        select d.owner_id, s.code as asset, d.seq, least(-d.balance, p.available) as payable
        from ledger.accounts a
        join ledger.balances d on d.account_id = a.id and d.balance < 0 and d.status = 'active'
        join ledger.assets s on s.id = a.asset_id
        join ledger.accounts w on w.address = 'user:' || a.owner_id || ':main' and w.asset_id = a.asset_id
        join ledger.balances m on m.account_id = w.id and m.balance > m.held and m.status = 'active'
        cross join lateral (select m.balance - m.held
          - case when m.lots is null then 0 else ledger.lapsed(m.account_id, %s) end) p(available)
        where a.address like '%%:debt' and p.available > 0 order by a.id limit %s""",
        *(now, limit),
    )


@dataclass(frozen=True, slots=True)
class _Touched:
    transfer_id: TransferId
    families: list[str]


async def families_of(tx: Tx, transfer_ids: Sequence[TransferId]) -> dict[TransferId, list[str]]:
    """The families of the accounts that each of these transfers touched; at most 10,000 transfers."""
    found = await db.rows(
        tx,
        _Touched,
        """select e.transfer_id, array_agg(distinct split_part(a.address, ':', 1)) as families
        from ledger.entries e join ledger.accounts a on a.id = e.account_id
        where e.transfer_id = any (%s::uuid[]) group by e.transfer_id limit 10000""",
        list(transfer_ids),
    )
    return {row.transfer_id: row.families for row in found}
