-- One engine for everything that is ranked: windows, pools, scores with receipts, standings, rewards, archive.
-- reviewed: no ledger row is written here; transfer ids are kept as plain values because transfers are partitioned.
create schema competitions;
grant usage on schema competitions to palio_app;

create table competitions.boards (
  id bigint generated always as identity primary key,
  code text not null unique check (length(code) between 1 and 100),
  title text not null default '',
  metric text not null,
  unit text, -- what a score counts, where that has a name
  score_scale smallint not null default 0 check (score_scale between 0 and 6),
  op text not null default 'add' check (op in ('add', 'best', 'last', 'set')),
  direction text not null default 'desc' check (direction in ('desc', 'asc')),
  has_subscore boolean not null default false,
  periods text[] not null default '{ALL}',
  tz text not null default 'UTC',
  final_after_h int not null default 0 check (final_after_h >= 0),
  competition_id uuid unique,
  tie_rule text not null default 'share' check (tie_rule in ('share', 'earliest')),
  segments text[] not null default '{}');

create table competitions.lists (
  id bigint generated always as identity primary key,
  board_id bigint not null references competitions.boards,
  period_key text not null,
  starts_at timestamptz,
  ends_at timestamptz,
  state text not null default 'live' check (state in ('live', 'final')),
  entrants int, -- counted when it is final: a live counter would lock every submission
  final_at timestamptz,
  unique (board_id, period_key));

-- A template from which competitions are made ahead of time, one per period in the zone of the series.
create table competitions.series (
  id uuid primary key,
  code text not null unique check (length(code) between 2 and 40),
  product text not null check (product in ('quest', 'race', 'steps', 'game', 'custom')),
  cadence text not null check (cadence in ('daily', 'weekly', 'weekend', 'monthly', 'custom')),
  rrule text check (length(rrule) <= 500), -- of a custom one, whose competitions are special
  tz text not null default 'UTC',
  template jsonb not null,
  active boolean not null default true,
  create_lead_h int not null default 24 check (create_lead_h between 1 and 720),
  created_at timestamptz not null,
  version int not null default 1,
  check ((rrule is not null) = (cadence = 'custom')));

create table competitions.competitions (
  id uuid primary key,
  series_id uuid references competitions.series,
  period_key text,
  cadence text not null check (cadence in ('daily', 'weekly', 'weekend', 'monthly', 'special')),
  product text not null check (product in ('quest', 'race', 'steps', 'game', 'custom')),
  subject_ref text unique,
  title text not null check (length(title) between 1 and 200),
  description text not null default '',
  rules_text text not null default '',
  status text not null check (
    status in ('draft', 'upcoming', 'live', 'settling', 'completed', 'archived', 'cancelled')),
  phase text check (phase in ('collecting', 'review', 'paying')),
  list_id bigint not null unique references competitions.lists,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  tz text not null default 'UTC',
  join_mode text not null default 'auto' check (join_mode in ('auto', 'open', 'invite')),
  entry_fee bigint not null default 0 check (entry_fee >= 0),
  min_score bigint not null default 0,
  allow_nonpositive boolean not null default false,
  min_participants int check (min_participants > 0),
  max_participants int check (max_participants > 0),
  eligibility jsonb not null default '{}',
  blackout_s int not null default 0 check (blackout_s >= 0),
  prize_asset text not null,
  guaranteed_pool bigint not null check (guaranteed_pool >= 0),
  treasury_bps int not null check (treasury_bps between 0 and 10000),
  prize_rule jsonb not null,
  tie_rule text not null check (tie_rule in ('share', 'earliest')),
  empty_rule text not null check (empty_rule in ('redistribute', 'keep')),
  leftover_to text not null check (leftover_to in ('treasury', 'house', 'rollover')),
  no_winner text not null check (no_winner in ('treasury', 'rollover', 'refund')),
  rank_events boolean not null default true,
  results_visible text not null default 'live' check (results_visible in ('live', 'after_end')),
  grace_s int not null check (grace_s between 0 and 86400),
  collect_s int not null check (collect_s >= 0),
  review_h int not null check (review_h between 0 and 336),
  terms_hash bytea check (length(terms_hash) = 32),
  pool_final bigint,
  standings_hash bytea check (length(standings_hash) = 32),
  paused_at timestamptz,
  ending_told_at timestamptz, -- when it was last said that it ends soon
  evidence jsonb not null default '{}',
  cancel_reason text,
  backdated_reason text,
  created_by uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version int not null default 1,
  unique (series_id, period_key),
  check (starts_at < ends_at),
  check ((phase is not null) = (status = 'settling')));
alter table competitions.boards add foreign key (competition_id) references competitions.competitions;
create index on competitions.competitions (product, status, starts_at);
create index on competitions.competitions (starts_at) where status in ('upcoming', 'live', 'settling');

create table competitions.entrants (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('user', 'player', 'team')),
  ref text not null,
  user_id uuid,
  label text check (length(label) <= 100),
  country text,
  moved_tx bigint, -- that said last in which country this is
  unique (kind, ref));
create index on competitions.entrants (user_id) where user_id is not null;
create index on competitions.entrants (country, id) where country is not null;
create index on competitions.entrants (moved_tx) where moved_tx is not null;
create function competitions.entrants_move() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.moved_tx := infra.tx_id();
  return new;
end $$;
create trigger came before insert on competitions.entrants for each row when (new.country is not null)
  execute function competitions.entrants_move();
create trigger moved before update of country on competitions.entrants for each row
  when (new.country is distinct from old.country) execute function competitions.entrants_move();

-- Who has come to a country or left it, whoever looks: as `changes` below for scores. Of more than `p_limit` only so many.
-- `private` says that this transaction moved one of them.
create function competitions.moved(p_country text, p_since bigint, p_limit bigint)
returns table (horizon bigint, moment bigint, private boolean, entrants bigint[], present bigint[])
language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off as $$
declare own bigint := pg_current_xact_id_if_assigned()::text::bigint + infra.tx_offset();
begin
  return query
    select infra.tx_horizon(), infra.tx_moment(), coalesce(bool_or(e.moved_tx = own), false),
      coalesce(array_agg(e.id), '{}'), coalesce(array_agg((e.country is not distinct from p_country)::int::bigint), '{}')
    from (select m.id, m.country, m.moved_tx from competitions.entrants m where m.moved_tx >= p_since
      order by m.moved_tx desc limit p_limit) e;
end $$;

create table competitions.participants (
  competition_id uuid not null references competitions.competitions,
  entrant_id bigint not null references competitions.entrants,
  joined_at timestamptz not null,
  via text not null,
  fee_transfer_id uuid,
  state text not null default 'active' check (state in ('active', 'left', 'disqualified')),
  reason text,
  decided_by uuid,
  primary key (competition_id, entrant_id));

-- No index on a score: every update stays on its page, and ranking is done at the freeze or in memory. The hot tables
-- below name their list and entrant without foreign keys: the functions that write them have just locked the header.
create table competitions.scores (
  list_id bigint not null,
  entrant_id bigint not null,
  score bigint not null default 0,
  subscore bigint not null default 0,
  reached_at timestamptz not null default 'epoch',
  submissions int not null default 0,
  version bigint not null default 0,
  set_version bigint,
  state text not null default 'ranked' check (state in ('ranked', 'out')),
  updated_at timestamptz not null,
  primary key (list_id, entrant_id)) partition by hash (entrant_id);
do $$ begin
  for remainder in 0..15 loop
    execute format('create table competitions.scores_%s partition of competitions.scores'
      ' for values with (modulus 16, remainder %s) with (fillfactor = 60)', remainder, remainder);
  end loop;
end $$;

-- The ranking, the same live and at the freeze: who qualifies first, then by score, subscore, time, entrant.
create function competitions.ranked(competition uuid) returns table (
  list_id bigint, place int, rank int, entrant_id bigint, score bigint, subscore bigint, reached_at timestamptz,
  qualified boolean) language sql stable as $$
  select list_id, (row_number() over strict_order)::int,
    (case when qualified and tie_rule = 'share' then rank() over shown_order
      when qualified then row_number() over strict_order end)::int,
    entrant_id, score, subscore, reached_at, qualified
  from (
    select s.list_id, s.entrant_id, s.score, s.subscore, s.reached_at, c.tie_rule,
      s.score >= c.min_score and (s.score > 0 or c.allow_nonpositive) as qualified,
      case b.direction when 'asc' then s.score else -s.score end as worth
    from competitions.competitions c
    join competitions.lists l on l.id = c.list_id
    join competitions.boards b on b.id = l.board_id
    join competitions.scores s on s.list_id = c.list_id and s.state = 'ranked'
    where c.id = competition) scored
  window strict_order as (order by not qualified, worth, subscore, reached_at, entrant_id),
    shown_order as (order by not qualified, worth, subscore) $$;

-- The same of a list of everybody, where nobody has to qualify.
create function competitions.ranked_on(list bigint) returns table (
  list_id bigint, place int, rank int, entrant_id bigint, score bigint, subscore bigint, reached_at timestamptz)
  language sql stable as $$
  select list_id, (row_number() over strict_order)::int,
    (case when tie_rule = 'share' then rank() over shown_order else row_number() over strict_order end)::int,
    entrant_id, score, subscore, reached_at
  from (
    select s.list_id, s.entrant_id, s.score, s.subscore, s.reached_at, b.tie_rule,
      case b.direction when 'asc' then s.score else -s.score end as worth
    from competitions.lists l
    join competitions.boards b on b.id = l.board_id
    join competitions.scores s on s.list_id = l.id and s.state = 'ranked'
    where l.id = list) scored
  window strict_order as (order by worth, subscore, reached_at, entrant_id),
    shown_order as (order by worth, subscore) $$;

create table competitions.receipts (
  list_id bigint not null,
  entrant_id bigint not null,
  key text not null check (length(key) <= 200),
  happened_at timestamptz not null,
  kind text not null check (kind in ('score', 'correction', 'adjust', 'out', 'in')),
  delta bigint not null default 0,
  sub_delta bigint not null default 0,
  value bigint,
  facts jsonb check (length(facts::text) <= 2048),
  owner_id uuid,
  tx_id bigint not null default infra.tx_id(),
  created_at timestamptz not null,
  primary key (list_id, entrant_id, key, happened_at)) partition by range (happened_at);
create index on competitions.receipts (list_id, tx_id);
create index on competitions.receipts (list_id, entrant_id) where kind = 'adjust';
create table competitions.receipts_default partition of competitions.receipts default;
insert into infra.partition_parents (parent, period, bound) values ('competitions.receipts', 'month', 'instant');

create table competitions.contributions (
  id uuid primary key,
  competition_id uuid not null references competitions.competitions,
  source text not null check (
    source in ('user_payment', 'admin_fund', 'bonus_event', 'entry_fee', 'rollover', 'sponsor')),
  asset text not null,
  amount bigint not null check (amount > 0),
  to_pool bigint not null check (to_pool >= 0),
  to_treasury bigint not null check (to_treasury >= 0),
  treasury_bps int not null check (treasury_bps between 0 and 10000), -- as it was when this came: what goes back is split alike
  taken_back bigint not null default 0 check (taken_back between 0 and amount),
  payer_id uuid,
  from_address text not null,
  ref text,
  key text not null unique,
  transfer_id uuid not null,
  at timestamptz not null,
  check (to_pool + to_treasury = amount),
  check (to_treasury = div(amount::numeric * treasury_bps, 10000)));
create index on competitions.contributions (competition_id, id) include (source, amount, taken_back, treasury_bps);

-- What went back of contributions before the end. A row each, because the split of a part depends on the parts before it:
-- the ledger alone could not tell a repeat from another part of the same size.
create table competitions.take_backs (
  key text primary key,
  contribution_id uuid not null references competitions.contributions,
  amount bigint not null check (amount > 0),
  from_pool bigint not null check (from_pool >= 0),
  from_treasury bigint not null check (from_treasury >= 0),
  to_address text not null,
  payer_id uuid,
  transfer_id uuid not null,
  at timestamptz not null,
  check (from_pool + from_treasury = amount));
create index on competitions.take_backs (contribution_id);

create table competitions.standings (
  list_id bigint not null,
  place int not null check (place > 0),
  rank int check (rank <= place),
  entrant_id bigint not null,
  score bigint not null,
  subscore bigint not null,
  reached_at timestamptz not null,
  qualified boolean not null,
  primary key (list_id, place),
  unique (list_id, entrant_id),
  check (qualified = (rank is not null)));

create table competitions.rewards (
  competition_id uuid not null,
  entrant_id bigint not null,
  place int not null,
  rank int not null,
  asset text not null,
  amount bigint not null check (amount >= 0),
  items jsonb not null default '[]', -- what is won besides: {"kind", "ref", "title"} each
  status text not null check (status in ('pending', 'approved', 'paid', 'unclaimed', 'withheld', 'expired', 'void')),
  user_id uuid,
  transfer_id uuid,
  claim_by timestamptz,
  why jsonb not null,
  paid_at timestamptz,
  primary key (competition_id, entrant_id),
  check (amount > 0 or items <> '[]'),
  check (transfer_id is null or status = 'paid' and amount > 0),
  check (status <> 'paid' or amount = 0 or transfer_id is not null)) with (fillfactor = 80);
create index on competitions.rewards (claim_by) where status = 'unclaimed';
create index on competitions.rewards (entrant_id) where status = 'unclaimed';
create index on competitions.rewards (competition_id, entrant_id) where status = 'withheld';

-- What a foreign key would see to, once a statement: a check for each of a hundred thousand prizes is a third of writing them.
create function competitions.rewards_check() returns trigger language plpgsql as $$
begin
  if exists (select from (select distinct f.competition_id from fresh f) f
      where not exists (select from competitions.competitions c where c.id = f.competition_id for key share)) then
    raise exception 'a reward without its competition' using errcode = 'foreign_key_violation';
  end if;
  return null;
end $$;
create trigger rewards_check after insert on competitions.rewards referencing new table as fresh
  for each statement execute function competitions.rewards_check();
create trigger same_competition before update on competitions.rewards for each row
  when (old.competition_id <> new.competition_id) execute function infra.refuse_change();
create function competitions.rewards_keep() returns trigger language plpgsql as $$
begin
  if exists (select from competitions.rewards r where r.competition_id = old.id) then
    raise exception 'a competition with rewards is kept' using errcode = 'foreign_key_violation';
  end if;
  return old;
end $$;
create trigger rewards_keep before delete on competitions.competitions for each row execute function competitions.rewards_keep();

create table competitions.undistributed (
  competition_id uuid primary key references competitions.competitions,
  amount bigint not null check (amount > 0),
  to_address text not null,
  transfer_id uuid,
  reason text not null);

create table competitions.archives (
  competition_id uuid primary key references competitions.competitions,
  period_key text,
  month int not null check (month between 1 and 12),
  year int not null,
  prize_pool bigint not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  participant_count int not null,
  total_score numeric(38, 0) not null,
  participants jsonb not null,
  metadata jsonb not null,
  created_at timestamptz not null);
create index on competitions.archives (year, month);

-- The first hundred of live lists each hour: what a rank is compared with, and charts.
create table competitions.snapshots (
  list_id bigint not null references competitions.lists,
  taken_at timestamptz not null,
  kind text not null default 'hourly' check (kind in ('hourly', 'final')),
  top jsonb not null, -- [{"entrant", "rank", "score"}]
  digest bytea check (length(digest) = 32), -- of the standings, once they are final
  primary key (list_id, taken_at));
create index on competitions.snapshots (taken_at);

-- The rank that an entrant with a user knows of: the one he was told last, or the first one we saw.
create table competitions.rank_marks (
  list_id bigint not null references competitions.lists,
  entrant_id bigint not null references competitions.entrants,
  rank int check (rank > 0), -- null: below the line, or out
  at timestamptz not null,
  told_at timestamptz,
  primary key (list_id, entrant_id)) with (fillfactor = 80);

-- What a player paid or was given belongs to him; rows of entrants without a user repeat public boards.
alter table competitions.receipts enable row level security;
alter table competitions.receipts force row level security;
create policy owner_sees on competitions.receipts for select to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on competitions.receipts for all to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on competitions.receipts for all to palio_app
  using ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));
create policy without_owner on competitions.receipts for select to palio_app using (owner_id is null);
create policy definer_reads on competitions.receipts for select to palio_owner using (true);

-- Who stands elsewhere than a reader of a list remembers, whoever reads; every change of a score has a receipt. `since`
-- is the horizon of the snapshot he remembers: what was running then may be committed by now, in any order.
create function competitions.changed_since(list bigint, since bigint) returns table (entrant_id bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select distinct r.entrant_id from competitions.receipts r where r.list_id = list and r.tx_id >= since
$$;
revoke all on function competitions.changed_since from public;
grant execute on function competitions.changed_since to palio_app;

-- The newest transaction that changed a list, which tells two states of it apart; and whether the present one did.
create function competitions.newest_change(list bigint) returns table (tx_id bigint, is_mine boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select coalesce(max(r.tx_id), 0) from competitions.receipts r where r.list_id = list),
    exists (select from competitions.receipts r where r.list_id = list
      and r.tx_id = pg_current_xact_id_if_assigned()::text::bigint + infra.tx_offset())
$$;
revoke all on function competitions.newest_change from public;
grant execute on function competitions.newest_change to palio_app;

-- The same of many lists at once, each since a horizon of its own, with the present scores: one statement is one moment.
-- One row, whose columns go together from `lists` on: in which list, the newest of these changes, who, and what he has. Of
-- more than `p_limit` entrants of a list only so many, ours first. `private` are the lists that this transaction changed. A
-- plan of its own reads no list whole to find a few of it.
create function competitions.changes(p_lists bigint[], p_since bigint[], p_limit bigint)
returns table (horizon bigint, moment bigint, private bigint[], lists bigint[], versions bigint[], entrants bigint[],
  scores bigint[], reached timestamptz[], subscores bigint[], ranked bigint[]) language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare own bigint := pg_current_xact_id_if_assigned()::text::bigint + infra.tx_offset();
begin
  return query
    select infra.tx_horizon(), infra.tx_moment(), coalesce(array_agg(u.l) filter (where e.is_mine), '{}'),
      coalesce(array_agg(u.l), '{}'), coalesce(array_agg(e.tx_id), '{}'), coalesce(array_agg(s.entrant_id), '{}'),
      coalesce(array_agg(s.score), '{}'), coalesce(array_agg(s.reached_at), '{}'), coalesce(array_agg(s.subscore), '{}'),
      coalesce(array_agg((s.state = 'ranked')::int::bigint), '{}')
    from (select unnest(p_lists) as l, unnest(p_since) as h) u cross join lateral (
      select r.entrant_id, max(r.tx_id) as tx_id, bool_or(r.tx_id = own) as is_mine from (
        select r.entrant_id, r.tx_id from competitions.receipts r where r.list_id = u.l and r.tx_id >= u.h offset 0) r
      group by r.entrant_id order by 3 desc nulls last limit p_limit) e cross join lateral (
      select s.* from competitions.scores s where s.list_id = u.l and s.entrant_id = e.entrant_id offset 0) s;
end $$;
revoke all on function competitions.changes from public;
grant execute on function competitions.changes to palio_app;

-- Changes of scores on boards that add, in one statement: every list is open, everybody has been met before, no key was
-- used for that instant. `i_` are the changes, `r_` the receipts they become: which change (from 1) on which of `p_lists`,
-- which come in order. Answers the entrants of the changes, and every score that moved; no row, and nothing done, if
-- anything is not as described: then the ordinary statements find out what. Locks as they do: lists, then receipts, then
-- scores, each by number. It is a transaction of its own, on behalf of the system.
create function competitions.submit_plain(i_kinds text[], i_refs text[], i_keys text[], i_at timestamptz[], i_ways text[],
  i_deltas bigint[], i_subs bigint[], i_facts jsonb[], p_lists bigint[], r_items bigint[], r_lists bigint[],
  p_now timestamptz)
returns table (numbers bigint[], lists bigint[], entrants bigint[], scores bigint[]) language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare tx bigint; owners uuid[];
begin
  if infra.actor_kind() <> 'none' then
    raise exception 'a transaction has begun, on somebody''s behalf' using errcode = '25001';
  end if;
  perform set_config('palio.kind', 'system', true), set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock_shared(hashtextextended('competitions.list|' || u.l, 0)) from (select unnest(p_lists) as l) u;
  if (select count(*) from competitions.lists l where l.id = any (p_lists) and l.state = 'live') < cardinality(p_lists) then
    return;
  end if;
  select array_agg(e.id order by u.n), array_agg(case e.kind when 'user' then e.user_id end order by u.n)
    into numbers, owners
    from (select unnest(i_kinds) as k, unnest(i_refs) as r, generate_series(1, cardinality(i_refs)) as n) u
    join competitions.entrants e on e.kind = u.k and e.ref = u.r;
  if cardinality(numbers) is distinct from cardinality(i_refs) then return; end if;
  tx := infra.tx_id();
  begin
    insert into competitions.receipts
      (list_id, entrant_id, key, happened_at, kind, delta, sub_delta, facts, owner_id, tx_id, created_at)
      select u.l, numbers[u.i], i_keys[u.i], i_at[u.i], i_ways[u.i], i_deltas[u.i], i_subs[u.i], i_facts[u.i],
        owners[u.i], tx, p_now
      from (select unnest(r_items) as i, unnest(r_lists) as l) u order by 1, 2, 3;
  exception when unique_violation then return;
  end;
  with counted as (
    insert into competitions.scores as s
      (list_id, entrant_id, score, subscore, reached_at, submissions, version, updated_at)
      select u.l, numbers[u.i], sum(i_deltas[u.i])::bigint, sum(i_subs[u.i])::bigint,
        coalesce(max(i_at[u.i]) filter (where i_deltas[u.i] > 0), 'epoch'), count(*), 1, p_now
      from (select unnest(r_items) as i, unnest(r_lists) as l) u group by 1, 2 order by 1, 2
      on conflict (list_id, entrant_id) do update set score = s.score + excluded.score,
        subscore = s.subscore + excluded.subscore, reached_at = greatest(s.reached_at, excluded.reached_at),
        version = s.version + 1, submissions = s.submissions + excluded.submissions, updated_at = excluded.updated_at
      returning s.list_id, s.entrant_id, s.score)
  select array_agg(c.list_id), array_agg(c.entrant_id), array_agg(c.score) into lists, entrants, scores from counted c;
  return next;
end $$;

-- The same, and after its commit what has changed on `l_lists`, each since a horizon: two
-- statements in one round trip. Nothing is looked at where nothing was done.
create procedure competitions.submit_and_look(i_kinds text[], i_refs text[], i_keys text[], i_at timestamptz[], i_ways text[],
  i_deltas bigint[], i_subs bigint[], i_facts jsonb[], p_lists bigint[], r_items bigint[], r_lists bigint[],
  p_now timestamptz, l_lists bigint[], l_since bigint[], l_limit bigint,
  inout numbers bigint[], inout lists bigint[], inout entrants bigint[], inout scores bigint[],
  inout horizon bigint, inout moment bigint, inout private bigint[], inout c_lists bigint[], inout c_versions bigint[],
  inout c_entrants bigint[], inout c_scores bigint[], inout c_reached timestamptz[], inout c_subscores bigint[],
  inout c_ranked bigint[]) language plpgsql as $$
begin
  select s.numbers, s.lists, s.entrants, s.scores into numbers, lists, entrants, scores
    from competitions.submit_plain(i_kinds, i_refs, i_keys, i_at, i_ways, i_deltas, i_subs, i_facts, p_lists, r_items,
      r_lists, p_now) s;
  if numbers is null then return; end if;
  commit;
  select c.horizon, c.moment, c.private, c.lists, c.versions, c.entrants, c.scores, c.reached, c.subscores, c.ranked
    into horizon, moment, private, c_lists, c_versions, c_entrants, c_scores, c_reached, c_subscores, c_ranked
    from competitions.changes(l_lists, l_since, l_limit) c;
end $$;

-- An entrant's doubt about a frozen ranking, answered before anything is paid.
create table competitions.appeals (
  id uuid primary key,
  competition_id uuid not null references competitions.competitions,
  entrant_id bigint not null references competitions.entrants,
  user_id uuid not null,
  text text not null check (length(text) between 10 and 2000),
  state text not null default 'open' check (state in ('open', 'upheld', 'rejected')),
  answer text check (length(answer) <= 2000),
  decided_by uuid,
  created_at timestamptz not null,
  decided_at timestamptz,
  check ((state = 'open') = (decided_at is null)));
create index on competitions.appeals (competition_id, user_id);
create index on competitions.appeals (created_at) where state = 'open';

do $$ declare
  owned text; owner text;
begin
  foreach owned in array array['contributions', 'take_backs', 'appeals'] loop
    owner := case owned when 'appeals' then 'user_id' else 'payer_id' end;
    execute format('alter table competitions.%I enable row level security', owned);
    execute format('alter table competitions.%I force row level security', owned);
    execute format($p$create policy owner_sees on competitions.%I for select to palio_app
      using (%I = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'))$p$, owned, owner);
    execute format($p$create policy owner_writes on competitions.%1$I for all to palio_app
      using (%2$I = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
      with check (%2$I = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')$p$, owned, owner);
    execute format($p$create policy operators on competitions.%I for all to palio_app
      using ((select infra.actor_kind()) in ('staff', 'system'))
      with check ((select infra.actor_kind()) in ('staff', 'system'))$p$, owned);
  end loop;
end $$;
create policy definer_reads on competitions.contributions for select to palio_owner using (true);

-- What pools hold, by where it came from: sums of what everybody put in, to everybody, and nobody's single payment.
create function competitions.pool_sums(ids uuid[]) returns table (
  competition_id uuid, source text, contributions bigint, to_pool bigint, to_treasury bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.competition_id, c.source, count(*) filter (where c.taken_back < c.amount),
    sum(c.to_pool - c.taken_back + div(c.taken_back::numeric * c.treasury_bps, 10000))::bigint,
    sum(c.to_treasury - div(c.taken_back::numeric * c.treasury_bps, 10000))::bigint
  from competitions.contributions c where c.competition_id = any (ids)
  group by c.competition_id, c.source order by c.competition_id, c.source
$$;
revoke all on function competitions.pool_sums from public;
grant execute on function competitions.pool_sums to palio_app;

grant select, insert, update on competitions.series, competitions.boards, competitions.lists, competitions.competitions,
  competitions.entrants, competitions.participants, competitions.scores, competitions.contributions,
  competitions.rewards, competitions.undistributed to palio_app;
grant select, insert on competitions.receipts, competitions.standings, competitions.archives,
  competitions.take_backs to palio_app;
grant select, insert, update on competitions.appeals to palio_app;
-- A decision of staff during the review writes standings and prizes anew; nothing of them has been paid by then.
grant delete on competitions.standings, competitions.rewards, competitions.undistributed to palio_app;
grant select, insert, update, delete on competitions.snapshots to palio_app;
grant select, insert, update, delete on competitions.rank_marks to palio_app;
grant usage on all sequences in schema competitions to palio_app;

-- The boards of everybody that every deployment has; modules declare more. A day of steps ends when it has ended in the
-- last time zone, and takes what was synchronised two days late.
insert into competitions.boards (code, title, metric, score_scale, has_subscore, periods, final_after_h) values
  ('quest_points', 'Quest points', 'points', 0, false, '{D,W,M,ALL}', 0),
  ('steps', 'Steps', 'steps', 0, false, '{D,W,M,ALL}', 60),
  ('game_pnl', 'Winnings', 'profit', 2, true, '{D,W,M,ALL}', 0);
