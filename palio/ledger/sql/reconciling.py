"""Statements that reconcile: each lists sums that are not the sum of what they are made of, in a fixed order.

`since` is None for all there is; else only what transactions from that one on have touched is looked at, and it is
found by its number, so that an hour costs what was posted in it. Each statement is one snapshot: writers go on beside
it. What does not fit into the memory of a statement, the server sorts on its disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.types import AccountId, Finding, FindingId, KeptFinding, Round

NO_TX = 2**63 - 1
TOUCHED = """
    with touched as materialized (select array(
      select distinct t.account_id from ledger.entries t where t.tx_id >= %s::bigint) as ids) """
OF_GUARDED = """
    select 'R1' as check, coalesce(a.address || ' ' || s.code, e.account_id::text) as subject, a.id as account_id,
      coalesce(e.total, 0) + coalesce(o.balance, 0) || ' after ' || coalesce(e.n, 0) + coalesce(o.entries, 0)
        || ' entries' as expected,
      coalesce(b.balance, 0) || ' after ' || coalesce(b.seq, 0) || ' entries' as actual """
GUARDED_SUMS = """
    select account_id, sum(amount) as total, count(*) as n, (max(array[seq, balance_after]))[2] as last_balance
    from ledger.entries where seq is not null """
ALL_BALANCES = """
    from ledger.balances b full join ("""
TOUCHED_BALANCES = """
    from (select * from ledger.balances where account_id = any ((select ids from touched)::bigint[])) b full join ("""
BY_ACCOUNT = """
    group by account_id) e on e.account_id = b.account_id """
OF_TOUCHED = """
    and account_id = any ((select ids from touched)::bigint[]) """
WRONG_BALANCES = """
    left join ledger.archived_sums o on o.account_id = coalesce(b.account_id, e.account_id)
    left join ledger.accounts a on a.id = coalesce(b.account_id, e.account_id)
    left join ledger.assets s on s.id = a.asset_id
    where b.account_id is null or b.balance <> coalesce(e.total, 0) + coalesce(o.balance, 0)
      or b.seq <> coalesce(e.n, 0) + coalesce(o.last_seq, 0) or b.balance <> coalesce(e.last_balance, o.balance, 0)
    order by b.account_id limit %s"""


async def list_wrong_balances(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R1: guarded accounts whose balance is not the sum of their entries, here and in the archive, and that of the
    last one, or seq not their number.
    """
    if since is None:
        statement = OF_GUARDED + ALL_BALANCES + GUARDED_SUMS + BY_ACCOUNT + WRONG_BALANCES
        return await db.rows(tx, Finding, statement, limit)
    statement = TOUCHED + OF_GUARDED + TOUCHED_BALANCES + GUARDED_SUMS + OF_TOUCHED + BY_ACCOUNT + WRONG_BALANCES
    return await db.rows(tx, Finding, statement, since, limit)


OF_HELD = """
    select 'R2' as check, coalesce(a.address || ' ' || s.code, h.account_id::text) as subject, a.id as account_id,
      coalesce(h.total, 0)::text as expected, coalesce(b.held, 0)::text as actual """
ALL_HOLDERS = """
    from ledger.balances b """
TOUCHED_HOLDERS = """
    from (select * from ledger.balances where account_id = any ((select ids from touched)::bigint[])
      or account_id in (select account_id from ledger.holds where state = 'open')) b """
WRONG_HOLDS = """
    full join (select account_id, sum(amount - captured - released) as total
      from ledger.holds where state = 'open' group by account_id) h on h.account_id = b.account_id
    left join ledger.accounts a on a.id = coalesce(b.account_id, h.account_id)
    left join ledger.assets s on s.id = a.asset_id
    where coalesce(b.held, 0) <> coalesce(h.total, 0) order by 2 limit %s"""


async def list_wrong_holds(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R2: guarded accounts of which more or less is held than their open holds add up to.

    All accounts with an open hold are looked at; of the others those that were touched.
    """
    if since is None:
        return await db.rows(tx, Finding, OF_HELD + ALL_HOLDERS + WRONG_HOLDS, limit)
    return await db.rows(tx, Finding, TOUCHED + OF_HELD + TOUCHED_HOLDERS + WRONG_HOLDS, since, limit)


async def list_wrong_totals(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R3: assets whose entries, with those in the archive, do not sum to zero; or those of the latest transactions."""
    if since is None:
        return await db.rows(
            tx,
            Finding,
            """
            select 'R3' as check, coalesce(s.code, e.asset_id::text) as subject, null::bigint as account_id,
              '0' as expected, e.total::text as actual
            from (select u.asset_id, sum(u.total) as total from (
                select (account_id >> 1) & 32767 as asset_id, sum(amount) as total from ledger.entries group by 1
                union all
                select (account_id >> 1) & 32767, sum(balance) from ledger.archived_sums group by 1) u group by 1) e
            left join ledger.assets s on s.id = e.asset_id where e.total <> 0 order by 2 limit %s""",
            limit,
        )
    return await db.rows(
        tx,
        Finding,
        """
        select 'R3' as check, coalesce(s.code, e.asset_id::text) as subject, null::bigint as account_id,
          '0' as expected, e.total::text as actual
        from (select (account_id >> 1) & 32767 as asset_id, sum(amount) as total from ledger.entries
          where tx_id >= %s::bigint group by 1) e
        left join ledger.assets s on s.id = e.asset_id where e.total <> 0 order by 2 limit %s""",
        *(since, limit),
    )


OF_ROLLUPS = """
    select 'R4' as check, coalesce(a.address || ' ' || s.code, d.account_id::text) as subject, a.id as account_id,
      coalesce(d.total, 0) || ' of ' || coalesce(d.n, 0) || ' entries until ' || coalesce(d.last_tx, 0) as expected,
      coalesce(r.balance, 0) || ' of ' || coalesce(r.entries, 0) || ' entries before ' || coalesce(r.through_tx, 0)
        as actual """
ALL_ROLLUPS = """
    from ledger.rollups r full join (
      select account_id, sum(amount) as total, sum(entries) as n, max(last_tx) as last_tx
      from ledger.daily_sums group by account_id) d on d.account_id = r.account_id """
TOUCHED_ROLLUPS = """
    from (select * from ledger.rollups where account_id = any ((select ids from touched)::bigint[])) r full join (
      select account_id, sum(amount) as total, sum(entries) as n, max(last_tx) as last_tx
      from ledger.daily_sums where account_id = any ((select ids from touched)::bigint[]) group by account_id) d
    on d.account_id = r.account_id """
WRONG_ROLLUPS = """
    left join ledger.accounts a on a.id = coalesce(r.account_id, d.account_id)
    left join ledger.assets s on s.id = a.asset_id
    where r.account_id is null or d.account_id is null or r.balance <> d.total or r.entries <> d.n
      or d.last_tx >= r.through_tx or r.through_tx > (select g.through_tx from ledger.rounds g where g.job = 'rollup')
    order by 2 limit %s"""


async def list_wrong_rollups(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R4: open accounts of which more or less is rolled up than their days add up to, or until another transaction."""
    if since is None:
        return await db.rows(tx, Finding, OF_ROLLUPS + ALL_ROLLUPS + WRONG_ROLLUPS, limit)
    return await db.rows(tx, Finding, TOUCHED + OF_ROLLUPS + TOUCHED_ROLLUPS + WRONG_ROLLUPS, since, limit)


OF_DAYS = """
    select 'R4' as check, coalesce(a.address || ' ' || s.code, coalesce(d.account_id, e.account_id)::text)
        || ' ' || coalesce(d.day, e.day) as subject, a.id as account_id,
      coalesce(e.total, 0) || ' of ' || coalesce(e.n, 0) || ' entries' as expected,
      coalesce(d.amount, 0) || ' of ' || coalesce(d.entries, 0) || ' entries' as actual """
ALL_DAYS = """
    from ledger.daily_sums d full join (
      select account_id, (posted_at at time zone 'UTC')::date as day, sum(amount) as total, count(*) as n,
        min(tx_id) as first_tx, max(tx_id) as last_tx
      from ledger.entries
      where seq is null and tx_id < (select g.through_tx from ledger.rounds g where g.job = 'rollup')
      group by 1, 2) e on e.account_id = d.account_id and e.day = d.day """
DAYS_TOUCHED = """
    with touched as materialized (
      select distinct account_id, (posted_at at time zone 'UTC')::date as day from ledger.entries
      where seq is null and tx_id >= %s::bigint
        and tx_id < (select g.through_tx from ledger.rounds g where g.job = 'rollup')) """
TOUCHED_DAYS = """
    from (select t.account_id, t.day, s.amount, s.entries, s.first_tx, s.last_tx
      from touched t left join ledger.daily_sums s on s.account_id = t.account_id and s.day = t.day) d
    left join lateral (
      select account_id, d.day, sum(amount) as total, count(*) as n, min(tx_id) as first_tx, max(tx_id) as last_tx
      from ledger.entries
      where account_id = d.account_id and seq is null
        and tx_id >= case when d.first_tx is null then 0 else d.first_tx end
        and tx_id <= case when d.last_tx is null then 9223372036854775807 else d.last_tx end
        and posted_at >= d.day::timestamp at time zone 'UTC' and posted_at < (d.day + 1)::timestamp at time zone 'UTC'
      group by 1) e on true """
WRONG_DAYS = """
    left join ledger.accounts a on a.id = coalesce(d.account_id, e.account_id)
    left join ledger.assets s on s.id = a.asset_id
    where (d.amount is null or e.account_id is null or d.amount <> e.total or d.entries <> e.n
      or d.first_tx <> e.first_tx or d.last_tx <> e.last_tx)
      and not exists (select from ledger.archived_sums o
        where o.account_id = d.account_id and d.day < (o.through at time zone 'UTC')::date)
    order by 2 limit %s"""


async def list_wrong_days(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R4: days of open accounts that are not the sum of their entries; days that are in the archive have none."""
    if since is None:
        return await db.rows(tx, Finding, OF_DAYS + ALL_DAYS + WRONG_DAYS, limit)
    return await db.rows(tx, Finding, DAYS_TOUCHED + OF_DAYS + TOUCHED_DAYS + WRONG_DAYS, since, limit)


# What an open account holds now, as `find_balance` says it.
HELD_NOW = """
    coalesce(r.balance, o.balance, 0) + coalesce((select sum(e.amount) from ledger.entries e
      where e.account_id = a.id and e.seq is null
        and e.tx_id >= case when r.through_tx is null then 0 else r.through_tx end), 0) as balance
    from ledger.accounts a join ledger.assets s on s.id = a.asset_id
    left join ledger.rollups r on r.account_id = a.id left join ledger.archived_sums o on o.account_id = a.id """


POOLS = """
    select 'R5' as check, p.subject, p.account_id, '0 or more' as expected, p.balance::text as actual
    from (select a.address || ' ' || s.code as subject, a.id as account_id,"""
OVERDRAWN = """
      where a.address like 'pool:%%' and (%s::bool or a.id = any ((select ids from touched)::bigint[]))) p
    where p.balance < 0 order by 2 limit %s"""


async def list_overdrawn_pools(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R5: pools that have paid out more than was put into them."""
    known = NO_TX if since is None else since
    return await db.rows(tx, Finding, TOUCHED + POOLS + HELD_NOW + OVERDRAWN, known, since is None, limit)


CLEARINGS = """
    select 'R7' as check, p.subject, p.account_id, '0' as expected, p.balance::text as actual
    from (select a.address || ' ' || s.code as subject, a.id as account_id,"""
STUCK = """
      where a.address like 'clearing:%%') p
    where p.balance <> 0 and not exists (select from ledger.entries e
      where e.account_id = p.account_id and e.seq is null and e.posted_at >= %s)
    order by 2 limit %s"""


async def list_stuck_clearings(tx: Tx, idle_since: datetime, limit: int) -> list[Finding]:
    """R7: clearing accounts that are not empty, and in which nothing has moved since then."""
    return await db.rows(tx, Finding, CLEARINGS + HELD_NOW + STUCK, idle_since, limit)


async def list_unpaired_keys(tx: Tx, since: int | None, limit: int) -> list[Finding]:
    """R6: keys without their transfer or hold, transfers and holds without their key.

    Of the latest transactions their transfers are looked at, each by its key. A key of a transfer whose number is older
    than those that are here belongs to the archive: there must be as many as that has transfers, once it knows how many
    these are.
    """
    if since is not None:
        return await db.rows(
            tx,
            Finding,
            """
            select 'R6' as check, t.key as subject, null::bigint as account_id,
              'a key' as expected, 'transfer ' || t.id as actual
            from ledger.transfers t where t.tx_id >= %s::bigint and (select k.ref_id = t.id and k.op = 'transfer'
              from ledger.keys k where k.key = t.key) is not true order by 2 limit %s""",
            *(since, limit),
        )
    return await db.rows(
        tx,
        Finding,
        """
        with unpaired as materialized (
          select coalesce(k.key, t.key) as subject, coalesce(k.op || ' ' || k.ref_id, 'a key') as expected,
            coalesce(t.op || ' ' || t.id, 'nothing') as actual, (k.op = 'transfer' and t.id is null
              and k.ref_id < infra.bound_of('uuid7', ledger.archived_until())::uuid) is true as is_archived
          from (select * from ledger.keys where op in ('transfer', 'hold')) k
          full join (select id, key, 'transfer' as op from ledger.transfers
            union all select id, key, 'hold' from ledger.holds) t on t.id = k.ref_id and t.key = k.key and t.op = k.op
          where k.key is null or t.id is null)
        select 'R6' as check, f.subject, null::bigint as account_id, f.expected, f.actual
        from (
          select u.subject, u.expected, u.actual from unpaired u where not u.is_archived
          union all
          select 'transfers in the archive', a.transfers || ' keys', u.keys || ' keys'
          from (select sum(p.rows)::bigint as transfers from infra.partitions p
              where p.parent = 'ledger.transfers' and p.state <> 'attached' having bool_and(p.rows is not null)) a
            cross join (select count(*) as keys from unpaired where is_archived) u
          where a.transfers <> u.keys) f
        order by 2 limit %s""",
        limit,
    )


# rounds and findings


async def find_horizon(tx: Tx) -> int:
    """The number below which every transaction has ended."""
    return int(await db.value(tx, "select infra.tx_horizon()"))


async def list_rounds(tx: Tx) -> list[Round]:
    """How far each job that goes through the ledger has come, and how it went."""
    return await db.rows(
        tx, Round, "select job, through_tx, ran_at, findings, green_at from ledger.rounds order by job limit 10"
    )


async def close_round(tx: Tx, job: str, through: int, findings: int, now: datetime) -> None:
    """Write down how a reconciliation went: where nothing was found, the next one begins at that transaction."""
    await db.run(tx, "select ledger.close_round(%s, %s, %s, %s)", job, through, findings, now)


KEPT = """
    select id, check_code as check, subject, account_id, expected, actual, found_at, resolved_at, resolution
    from ledger.findings """


async def list_findings(
    tx: Tx, *, open_only: bool, before: FindingId | None, after: FindingId | None, limit: int
) -> list[KeptFinding]:
    """Findings, the newest first: those older than `before`, or the nearest that are newer than `after`."""
    if after:
        found = await db.rows(
            tx,
            KeptFinding,
            KEPT + "where (resolved_at is null or not %s::bool) and id > %s::uuid order by id limit %s",
            *(open_only, after, limit),
        )
        return found[::-1]
    return await db.rows(
        tx,
        KeptFinding,
        KEPT
        + """where (resolved_at is null or not %s::bool) and (%s::uuid is null or id < %s::uuid)
        order by id desc limit %s""",
        *(open_only, before, before, limit),
    )


async def count_open(tx: Tx) -> int:
    """How many findings nobody has resolved."""
    return int(await db.value(tx, "select count(*) from ledger.findings where resolved_at is null"))


async def find_finding(tx: Tx, finding_id: FindingId) -> KeptFinding | None:
    """One finding."""
    return await db.find(tx, KeptFinding, KEPT + "where id = %s", finding_id)


async def resolve(tx: Tx, finding_id: FindingId, resolution: str, now: datetime) -> bool:
    """Close a finding that is open; False if it is not."""
    return bool(await db.value(tx, "select ledger.resolve_finding(%s, %s, %s)", finding_id, resolution, now))


async def find_archive_end(tx: Tx) -> datetime | None:
    """Until when transfers lie in the archive; None where it has taken none."""
    found: datetime | None = await db.value(tx, "select ledger.archived_until()")
    return found


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding that is new, and the account it froze with the status that had."""

    finding: UUID
    account: AccountId | None
    was: str | None


async def report(tx: Tx, ids: Sequence[UUID], findings: Sequence[Finding], now: datetime) -> list[Reported]:
    """Keep findings, each once while it is open, and freeze the accounts of new ones; answers the new ones."""
    return await db.rows(
        tx,
        Reported,
        """
        select finding, account, was
        from ledger.report(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s)""",
        list(ids),
        [finding.check for finding in findings],
        [finding.subject for finding in findings],
        [finding.account_id for finding in findings],
        [finding.expected for finding in findings],
        [finding.actual for finding in findings],
        now,
    )
