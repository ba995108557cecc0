-- role: palio_ledger
-- reviewed: the sums are written by one definer function alone, and read by operators through row security.
-- Sums that are kept up to date: what open accounts hold, day by day, and what the archive has taken.

-- How far a job that goes through the ledger has come, in numbers of transactions: everything below `through_tx` is done. `green_at` is
-- when a reconciliation last found nothing; only such a run moves its `through_tx` on.
create table ledger.rounds (
  job text primary key check (job in ('rollup', 'reconcile', 'reconcile_all')),
  through_tx bigint not null,
  ran_at timestamptz not null,
  findings int not null default 0 check (findings >= 0),
  green_at timestamptz);
insert into ledger.rounds (job, through_tx, ran_at) values ('rollup', infra.tx_horizon(), clock_timestamp());

-- What an open account holds: the sum of its entries below `through_tx`, all of which are committed. An account without a row has none.
create table ledger.rollups (
  account_id bigint primary key references ledger.accounts,
  balance numeric(38, 0) not null,
  entries bigint not null check (entries > 0),
  through_tx bigint not null);

-- The same entries by the day (UTC) they are posted on, and between which transactions the entries of that day were made: so that a part
-- of a day is found in the index of the account without walking through its month.
create table ledger.daily_sums (
  account_id bigint not null references ledger.accounts,
  day date not null,
  amount numeric(38, 0) not null,
  entries bigint not null check (entries > 0),
  first_tx bigint not null,
  last_tx bigint not null,
  primary key (account_id, day));

-- What the archive has taken of an account: the sum and the number of its entries before `through`, the end of the last month that was
-- detached. What open accounts held is in their rollups all the same.
create table ledger.archived_sums (
  account_id bigint primary key references ledger.accounts,
  balance numeric(38, 0) not null,
  entries bigint not null check (entries > 0),
  last_seq bigint,
  through timestamptz not null,
  check ((account_id & 1 = 1) = (last_seq is not null)));

-- Add the entries of open accounts below the horizon to their sums; answers how many, and whether more are left because `p_entries` of
-- them were enough for one transaction. Whoever runs it twice waits, and goes on where the first one ended. A transaction that is open
-- now lies at the horizon or above, wherever its entries do: identity order, and the order of instants, are not the order of commits.
create function ledger.roll_up(p_entries bigint, p_now timestamptz) returns table (added bigint, more bool) language plpgsql
security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare since bigint; upto bigint; horizon bigint; found_now bigint;
begin
  added := 0;
  select r.through_tx into since from ledger.rounds r where r.job = 'rollup' for update;
  horizon := infra.tx_horizon();  -- before the entries are read: what had ended by then is seen by every later statement
  while since < horizon and added < p_entries loop
    upto := least(horizon, since + 10000);
    with fresh as (
      select e.account_id, (e.posted_at at time zone 'UTC')::date as day, sum(e.amount) as amount, count(*) as n,
          min(e.tx_id) as first_tx, max(e.tx_id) as last_tx
        from ledger.entries e where e.tx_id >= since and e.tx_id < upto and e.seq is null group by 1, 2),
    by_day as (
      insert into ledger.daily_sums as d (account_id, day, amount, entries, first_tx, last_tx)
        select f.account_id, f.day, f.amount, f.n, f.first_tx, f.last_tx from fresh f order by f.account_id, f.day
        on conflict (account_id, day) do update set amount = d.amount + excluded.amount, entries = d.entries + excluded.entries,
          first_tx = least(d.first_tx, excluded.first_tx), last_tx = greatest(d.last_tx, excluded.last_tx)),
    in_all as (
      insert into ledger.rollups as r (account_id, balance, entries, through_tx)
        select f.account_id, sum(f.amount), sum(f.n), upto from fresh f group by 1 order by 1
        on conflict (account_id) do update set balance = r.balance + excluded.balance, entries = r.entries + excluded.entries,
          through_tx = excluded.through_tx)
    select coalesce(sum(f.n), 0) into found_now from fresh f;
    added := added + found_now;
    since := upto;
  end loop;
  update ledger.rounds r set through_tx = greatest(r.through_tx, since), ran_at = p_now where r.job = 'rollup';
  more := since < horizon;
  return next;
end $$;

-- Write down how a reconciliation went. Where it found nothing, the next one begins where it did.
create function ledger.close_round(p_job text, p_through bigint, p_findings int, p_now timestamptz) returns void language sql
security definer set search_path = pg_catalog, pg_temp as $$
  insert into ledger.rounds as r (job, through_tx, ran_at, findings, green_at)
    select p_job, case when p_findings = 0 then p_through else 0 end, p_now, p_findings, case when p_findings = 0 then p_now end
    where p_job in ('reconcile', 'reconcile_all')
    on conflict (job) do update set ran_at = excluded.ran_at, findings = excluded.findings,
      through_tx = greatest(r.through_tx, excluded.through_tx), green_at = coalesce(excluded.green_at, r.green_at)
$$;

-- Close a finding that is open: whoever looked into it says what came of it. The account it froze stays frozen.
create function ledger.resolve_finding(p_id uuid, p_resolution text, p_now timestamptz) returns bool language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  update ledger.findings f set resolved_at = p_now, resolution = p_resolution where f.id = p_id and f.resolved_at is null;
  return found;
end $$;

-- Until when transfers lie in the archive: its months were detached. A transfer that is not here, and whose number is older, is there.
create function ledger.archived_until() returns timestamptz language sql stable set search_path = pg_catalog, pg_temp as $$
  select max(p.to_at) from infra.partitions p where p.parent = 'ledger.transfers' and p.state <> 'attached'
$$;

do $$ declare t text; begin
  foreach t in array array['rounds', 'rollups', 'daily_sums', 'archived_sums'] loop
    execute format('alter table ledger.%I enable row level security', t);
    execute format('alter table ledger.%I force row level security', t);
    execute format('create policy operators on ledger.%I for all to palio_app
      using ((select infra.actor_kind()) in (''staff'', ''system'')) with check ((select infra.actor_kind()) in (''staff'', ''system''))', t);
    execute format('create policy definer on ledger.%I for all to palio_ledger using (true) with check (true)', t);
  end loop;
end $$;
grant select on ledger.rounds, ledger.rollups, ledger.daily_sums, ledger.archived_sums to palio_app;
revoke execute on function ledger.roll_up, ledger.close_round, ledger.resolve_finding, ledger.archived_until from public;
grant execute on function ledger.roll_up, ledger.close_round, ledger.resolve_finding, ledger.archived_until to palio_app;
