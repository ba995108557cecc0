-- What is special about a wager race: the stored snapshots that open and close it, and what is odd about its players.
create schema races;
grant usage on schema races to palio_app;

create table races.series (
  series_id uuid primary key references competitions.series,
  programme_id uuid not null,
  chained boolean not null default true,
  linked_only boolean not null default false,
  created_at timestamptz not null);

create table races.races (
  competition_id uuid primary key references competitions.competitions,
  number bigint generated always as identity unique,
  programme_id uuid not null,
  series_id uuid references races.series,
  linked_only boolean not null default false,
  chained boolean not null default false,
  previous_id uuid unique references races.races,
  start_state text not null default 'waiting' check (start_state in ('waiting', 'exact', 'late', 'chained', 'staff')),
  start_snapshot_id uuid,
  start_seq bigint,
  final_state text not null default 'waiting' check (final_state in ('waiting', 'exact', 'late', 'forced')),
  final_snapshot_id uuid,
  last_seq bigint not null default 0,
  stage text not null default 'none' check (stage in ('none', 'waiting_final', 'computed', 'frozen', 'done')),
  review_reasons text[] not null default '{}',
  backdated_reason text check (length(backdated_reason) between 5 and 300),
  gap_from timestamptz,
  gap_to timestamptz,
  leader_entrant bigint,
  leader_told_at timestamptz,
  created_at timestamptz not null,
  check (chained = (previous_id is not null)),
  check ((start_state = 'waiting') = (start_snapshot_id is null)),
  check ((final_state = 'waiting') = (final_snapshot_id is null)));
create index on races.races (programme_id) where stage <> 'done';

-- Only players whose baseline is not simply their value in the stored start picture.
create table races.baselines (
  competition_id uuid not null references races.races,
  player_id uuid not null,
  value_micro bigint,
  kind text not null check (kind in ('last_known', 'unknown', 'first_seen', 'zero', 'staff')),
  snapshot_id uuid not null,
  decision_id uuid,
  primary key (competition_id, player_id),
  check ((kind = 'unknown') = (value_micro is null)));

create table races.decisions (
  id uuid primary key,
  competition_id uuid not null references races.races,
  player_id uuid,
  what text not null check (what in ('start_picture', 'final_picture', 'hold', 'release', 'backdate')),
  before jsonb,
  after jsonb,
  reason text not null check (length(reason) between 5 and 500),
  public_note text,
  by uuid,
  approval_id uuid,
  at timestamptz not null);
create index on races.decisions (competition_id);

create table races.holds (
  competition_id uuid not null references races.races,
  player_id uuid not null,
  reason text not null check (reason in ('first_seen_jump', 'stale', 'big_correction', 'dispute')),
  facts jsonb not null,
  state text not null default 'open' check (state in ('open', 'kept', 'from_zero', 'from_value', 'excluded')),
  decision_id uuid,
  primary key (competition_id, player_id));

create table races.picture_log (
  competition_id uuid not null references races.races,
  at timestamptz not null,
  event text not null check (event in ('waiting', 'chosen', 'late', 'replaced')),
  snapshot_id uuid,
  facts jsonb not null,
  primary key (competition_id, at));

grant select, insert, update on races.series, races.races, races.baselines, races.holds to palio_app;
grant delete on races.baselines to palio_app; -- another start picture has exceptions of its own
grant select, insert on races.decisions, races.picture_log to palio_app;
grant usage on all sequences in schema races to palio_app;

-- What lists of races show and are narrowed by, so that one statement pages them; the winners are all on rank 1.
create view races.listed with (security_invoker = on) as
  select r.competition_id, r.number, r.programme_id, c.title, c.status, c.starts_at, c.ends_at, c.prize_asset as asset,
    coalesce(c.pool_final, c.guaranteed_pool) as pool, a.year, a.month, a.participant_count,
    a.total_score::bigint as total_micro, a.metadata ->> 'standings_hash' as standings_sha256,
    a.metadata -> 'start' ->> 'sha256' as start_sha256, a.metadata -> 'final' ->> 'sha256' as final_sha256,
    array(select (w ->> 'entrant')::bigint
      from jsonb_path_query(a.participants, '$[*] ? (@.rank == 1)') w) as winners
  from races.races r join competitions.competitions c on c.id = r.competition_id
  left join competitions.archives a on a.competition_id = r.competition_id;
grant select on races.listed to palio_app;

-- Every change of a total, numbered, with the total it led to: derived, because a document growing with each snapshot
-- is refused.
create view races.wager_history with (security_invoker = on) as
  select c.id as competition_id, r.entrant_id, r.happened_at, r.kind, r.delta,
    (row_number() over in_order)::int as n, (sum(r.delta) over in_order)::bigint as total,
    case when r.kind = 'adjust' then r.facts ->> 'reason' end as note, (r.facts ->> 'snapshot')::uuid as snapshot_id, (r.facts ->> 'seq')::bigint as seq
  from competitions.competitions c join competitions.receipts r on r.list_id = c.list_id
  where c.product = 'race' and r.kind in ('score', 'correction', 'adjust')
  window in_order as (partition by r.list_id, r.entrant_id order by r.happened_at, r.created_at, r.key);
grant select on races.wager_history to palio_app;
