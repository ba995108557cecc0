"""Statements that check rows against each other: each lists what is not as it must be, in a fixed order."""

from dataclasses import dataclass

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.types import Finding


async def find_total(tx: Tx) -> int:
    """The sum of all entries of all assets."""
    return int(await db.value(tx, "select coalesce(sum(amount), 0) from ledger.entries"))


@dataclass(frozen=True, slots=True)
class Sizes:
    accounts: int
    transfers: int
    entries: int


async def get_sizes(tx: Tx, since: int | None = None) -> Sizes:
    """How much there is to check, or how much was touched by that transaction and later ones."""
    if since is None:
        found = await db.find(
            tx,
            Sizes,
            """
            select (select count(*) from ledger.accounts) as accounts,
              (select count(*) from ledger.transfers) as transfers, (select count(*) from ledger.entries) as entries""",
        )
    else:
        found = await db.find(
            tx,
            Sizes,
            """
            select count(distinct e.account_id) as accounts, count(*) as entries,
              (select count(*) from ledger.transfers t where t.tx_id >= %s::bigint) as transfers
            from ledger.entries e where e.tx_id >= %s::bigint""",
            *(since, since),
        )
    return found or Sizes(0, 0, 0)


async def list_unbalanced(tx: Tx, limit: int) -> list[Finding]:
    """G1: transfers whose legs do not sum to zero in an asset."""
    return await db.rows(
        tx,
        Finding,
        """
        select 'G1' as check, e.transfer_id::text as subject, null::bigint as account_id,
          '0' as expected, sum(e.amount)::text as actual
        from ledger.entries e group by e.transfer_id, e.account_id & 65534 having sum(e.amount) <> 0
        order by e.transfer_id limit %s""",
        limit,
    )


async def list_misfits(tx: Tx, limit: int) -> list[Finding]:
    """G3: transfers without legs, legs without transfer, or with other numbers, times or modes than they must have."""
    return await db.rows(
        tx,
        Finding,
        """
        select 'G3' as check, coalesce(t.id, e.transfer_id)::text as subject, null::bigint as account_id,
          case when t.id is null then 'a transfer' else 'legs 0 to n - 1 at ' || t.posted_at end as expected,
          case when e.transfer_id is null then 'no legs'
            else e.low || ' to ' || e.high || ' of ' || e.n || ' at ' || e.earliest end as actual
        from ledger.transfers t full join (
          select transfer_id, count(*) as n, min(leg) as low, max(leg) as high, min(posted_at) as earliest,
            max(posted_at) as latest, min(tx_id) as first_tx, max(tx_id) as last_tx,
            bool_or((account_id & 1 = 1) <> (seq is not null) or (seq is null) <> (balance_after is null)) as misfit
          from ledger.entries group by transfer_id) e on e.transfer_id = t.id
        where t.id is null or e.transfer_id is null or e.n < 2 or e.low <> 0 or e.high <> e.n - 1 or e.misfit
          or e.earliest <> t.posted_at or e.latest <> t.posted_at or e.first_tx <> t.tx_id or e.last_tx <> t.tx_id
        order by 2 limit %s""",
        limit,
    )


async def list_broken_chains(tx: Tx, limit: int) -> list[Finding]:
    """G2: guarded accounts whose entries do not follow from one another, or from what the archive took; the first that
    does not.
    """
    return await db.rows(
        tx,
        Finding,
        """
        select distinct on (c.account_id) 'G2' as check,
          coalesce(a.address || ' ' || s.code, c.account_id::text) as subject, a.id as account_id,
          'seq ' || c.seq_before + 1 || ', balance ' || c.balance_before + c.amount as expected,
          'seq ' || c.seq || ', balance ' || c.balance_after as actual
        from (
          select e.account_id, e.seq, e.amount, e.balance_after, e.posted_at,
            coalesce(lag(e.seq) over w, o.last_seq, 0) as seq_before,
            coalesce(lag(e.balance_after) over w, o.balance, 0)::bigint as balance_before,
            lag(e.posted_at) over w as posted_before
          from ledger.entries e left join ledger.archived_sums o on o.account_id = e.account_id
          where e.seq is not null window w as (partition by e.account_id order by e.seq)) c
        left join ledger.accounts a on a.id = c.account_id left join ledger.assets s on s.id = a.asset_id
        where c.seq <> c.seq_before + 1 or c.balance_after <> c.balance_before + c.amount
          or c.posted_at < c.posted_before
        order by c.account_id, c.seq limit %s""",
        limit,
    )


async def list_odd_accounts(tx: Tx, limit: int) -> list[Finding]:
    """A1: accounts that are not what their number says or their balance row repeats, or that only entries name."""
    return await db.rows(
        tx,
        Finding,
        """
        select 'A1' as check, coalesce(a.address || ' ' || s.code, e.account_id::text) as subject, a.id as account_id,
          coalesce(concat_ws(' ', a.status, a.owner_id), 'an account') as expected,
          coalesce(concat_ws(' ', b.status, b.owner_id), 'none') as actual
        from ledger.accounts a join ledger.assets s on s.id = a.asset_id
        left join ledger.balances b on b.account_id = a.id
        full join (select distinct account_id from ledger.entries) e on e.account_id = a.id
        where a.id is null or a.id & 65535 <> a.asset_id * 2 + a.guarded::int or a.guarded <> (b.account_id is not null)
          or a.guarded and (b.owner_id is distinct from a.owner_id or b.status <> a.status)
        order by 2 limit %s""",
        limit,
    )
