-- What outside programmes say their players wagered. Amounts are metrics in micro-units, never balances.
create schema affiliates;
grant usage on schema affiliates to palio_app;

create table affiliates.programmes (
  id uuid primary key,
  code text not null unique check (code ~ '^[a-z0-9-]{2,40}$'),
  name text not null,
  currency char(3) not null default 'USD',
  link_url text,
  site_hosts text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'paused')),
  seq bigint not null default 0,
  first_as_of timestamptz,
  last_as_of timestamptz,
  last_snapshot_id uuid,
  stale_since timestamptz, -- since when it is known that the numbers are too old
  is_default bool not null default false,
  version int not null default 1); -- of what staff change
create unique index on affiliates.programmes (is_default) where is_default;

create table affiliates.feeds (
  id uuid primary key,
  programme_id uuid not null references affiliates.programmes,
  name text not null,
  kind text not null check (kind in ('pull', 'push', 'upload')),
  mapping_version int not null default 0, -- 0 is the built-in one
  url text,
  auth_kind text not null default 'none' check (auth_kind in ('none', 'bearer', 'header', 'basic', 'query')),
  secret bytea,
  secret_hint text,
  interval_s int not null default 900 check (interval_s between 10 and 86400),
  timeout_s int not null default 20 check (timeout_s between 1 and 120),
  max_attempts int not null default 4 check (max_attempts between 1 and 10),
  max_bytes int not null default 67108864 check (max_bytes between 1024 and 536870912),
  coverage text not null default 'full' check (coverage in ('full', 'partial')),
  enabled bool not null default true,
  breaker text not null default 'closed' check (breaker in ('closed', 'open', 'half_open')),
  failed_cycles int not null default 0,
  opened_at timestamptz,
  probe_at timestamptz,
  next_due timestamptz,
  version int not null default 1, -- of what staff change
  unique (programme_id, name));
comment on column affiliates.feeds.secret is 'sealed';
create unique index on affiliates.feeds (programme_id) where enabled and kind = 'pull';

create table affiliates.feed_mappings (
  feed_id uuid not null references affiliates.feeds,
  version int not null check (version > 0),
  mapping jsonb not null,
  sha256 bytea not null,
  created_by uuid,
  note text not null default '',
  primary key (feed_id, version));
create trigger append_only before update or delete on affiliates.feed_mappings
  for each row execute function infra.refuse_change();

create table affiliates.pushes ( -- what providers sent by themselves, for a week: the same again has no effect
  feed_id uuid not null references affiliates.feeds,
  event_key text not null check (length(event_key) between 1 and 256),
  received_at timestamptz not null,
  primary key (feed_id, event_key));

create table affiliates.payloads (
  id uuid primary key,
  feed_id uuid not null references affiliates.feeds,
  sha256 bytea not null check (length(sha256) = 32),
  bytes int not null,
  content_type text not null,
  storage_key text not null,
  received_at timestamptz not null,
  unique (feed_id, sha256));

create table affiliates.cycles (
  id uuid primary key,
  feed_id uuid not null references affiliates.feeds,
  due_at timestamptz not null,
  trigger text not null check (trigger in ('schedule', 'manual', 'probe', 'push', 'upload')),
  state text not null check (state in
    ('running', 'applied', 'unchanged', 'suspicious', 'invalid', 'failed', 'skipped_open', 'missed')),
  attempts smallint not null default 0,
  error_code text,
  snapshot_id uuid,
  started_at timestamptz not null,
  ended_at timestamptz,
  unique (feed_id, due_at, trigger));
create index on affiliates.cycles (feed_id) where state = 'running';

create table affiliates.attempts (
  cycle_id uuid not null references affiliates.cycles,
  n smallint not null check (n > 0),
  at timestamptz not null, -- when the answer was there: `fetched_at` of what it brought
  waited_ms int not null,
  duration_ms int not null,
  http_status smallint,
  outcome text not null check (outcome in ('ok', 'network', 'timeout', 'http_4xx', 'http_5xx', 'throttled', 'too_large',
    'bad_content_type', 'bad_encoding', 'upstream_refused')),
  bytes int not null,
  payload_id uuid references affiliates.payloads,
  detail text not null check (length(detail) <= 500),
  primary key (cycle_id, n));

create table affiliates.snapshots (
  id uuid primary key,
  programme_id uuid not null references affiliates.programmes,
  feed_id uuid not null references affiliates.feeds,
  cycle_id uuid references affiliates.cycles,
  payload_id uuid not null references affiliates.payloads,
  mapping_version int not null,
  seq bigint,
  fetched_at timestamptz not null,
  upstream_at timestamptz,
  as_of timestamptz not null,
  status text not null check (status in ('applied', 'suspicious', 'invalid', 'discarded')),
  reason text,
  shape text check (shape in ('flat', 'array', 'results', 'users', 'object', 'grouped')),
  complete bool not null,
  rows_total int not null,
  accepted int not null,
  quarantined int not null,
  new_players int not null,
  changed int not null,
  all_time_changed int not null,
  vanished int not null,
  corrections int not null,
  sum_today_micro bigint not null,
  sum_week_micro bigint not null,
  sum_month_micro bigint not null,
  sum_all_time_micro bigint not null,
  delta_micro bigint not null,
  total_users int,
  anomaly_counts jsonb not null,
  decided_by uuid,
  decided_at timestamptz,
  unique (programme_id, seq),
  check ((seq is not null) = (status = 'applied')));
create index on affiliates.snapshots (programme_id, fetched_at desc) where status = 'applied';
create index on affiliates.snapshots (programme_id, id desc);
create index on affiliates.snapshots (payload_id);
create index on affiliates.snapshots (id) where status = 'suspicious';

create function affiliates.check_snapshot() returns trigger language plpgsql as $$
begin
  if old.status <> 'suspicious' or new.status not in ('applied', 'discarded') then
    raise exception 'snapshot %: % is final', old.id, old.status using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger states before update on affiliates.snapshots
  for each row execute function affiliates.check_snapshot();

create table affiliates.players (
  id uuid primary key,
  programme_id uuid not null references affiliates.programmes,
  no int not null,
  uid text collate "C" not null,
  name text,
  name_key text collate "C", -- so that a beginning of a name is a range of the index
  today_micro bigint,
  week_micro bigint,
  month_micro bigint,
  all_time_micro bigint,
  value_at timestamptz not null,
  value_snapshot_id uuid not null,
  all_time_at timestamptz,
  first_seen_at timestamptz not null,
  first_snapshot_id uuid not null,
  stale_since timestamptz,
  flags int not null default 0,
  tier_id uuid,
  name_hidden bool not null default false,
  unique (programme_id, uid),
  unique (programme_id, no)) with (fillfactor = 75);
create index on affiliates.players (programme_id, name_key);

create table affiliates.player_names (
  player_id uuid not null references affiliates.players,
  seen_at timestamptz not null,
  name text not null,
  name_key text not null,
  snapshot_id uuid not null,
  primary key (player_id, seen_at));
create index on affiliates.player_names (name_key);
create trigger append_only before update or delete on affiliates.player_names
  for each row execute function infra.refuse_change();

-- From when to when a player's row was missing (1, stale) or not believed (2, quarantined): what a picture marks.
create table affiliates.absences (
  player_id uuid not null references affiliates.players,
  since timestamptz not null,
  until timestamptz,
  mark smallint not null check (mark in (1, 2)),
  primary key (player_id, since),
  check (until > since));
create unique index on affiliates.absences (player_id) where until is null;

create table affiliates.stats (
  player_id uuid not null,
  at timestamptz not null,
  snapshot_id uuid not null,
  kind text not null check (kind in ('first', 'change', 'columns_only', 'correction')),
  today_micro bigint,
  week_micro bigint,
  month_micro bigint,
  all_time_micro bigint,
  delta_micro bigint not null,
  commission_micro bigint not null default 0,
  rule_id uuid,
  primary key (player_id, at)) partition by range (at);
create index on affiliates.stats (snapshot_id);
create trigger append_only before update or delete on affiliates.stats
  for each row execute function infra.refuse_change();
create table affiliates.stats_default partition of affiliates.stats default;
create trigger not_emptied before truncate on affiliates.stats_default
  for each statement execute function infra.refuse_change();
insert into infra.partition_parents (parent, period, bound) values ('affiliates.stats', 'month', 'instant');

create table affiliates.pictures (
  snapshot_id uuid primary key references affiliates.snapshots,
  programme_id uuid not null references affiliates.programmes,
  reasons text[] not null,
  players int not null,
  data bytea not null,
  sha256 bytea not null,
  keep_until timestamptz); -- null is for ever
create index on affiliates.pictures (programme_id);

-- What closed days, weeks and months (and ALL, once a day) say of each player; the programme's total bears its own id.
create table affiliates.periods (
  programme_id uuid not null references affiliates.programmes,
  player_id uuid not null,
  period_key text collate "C" not null check (period_key ~ '^(D:\d{4}-\d\d-\d\d|W:\d{4}-W\d\d|M:\d{4}-\d\d|ALL)$'),
  wagered_micro bigint not null,
  corrected_micro bigint not null,
  commission_micro bigint not null default 0,
  reported_micro bigint,
  growth_bps int,
  share_bps int not null,
  is_total bool not null,
  final bool not null,
  updated_at timestamptz not null,
  primary key (player_id, period_key),
  check (is_total = (player_id = programme_id)),
  check (final = (period_key <> 'ALL')));
create index on affiliates.periods (programme_id, period_key);

create function affiliates.check_period() returns trigger language plpgsql as $$
begin
  if old.final then
    raise exception 'period % of %: it is closed', old.period_key, old.player_id using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger closed before update on affiliates.periods
  for each row execute function affiliates.check_period();

create table affiliates.quarantine (
  id uuid primary key,
  snapshot_id uuid not null references affiliates.snapshots,
  feed_id uuid not null references affiliates.feeds,
  row_no int not null,
  uid text,
  reason text not null check (reason in ('not_object', 'missing_uid', 'bad_uid', 'bad_name', 'no_values',
    'missing_wagered', 'bad_number', 'negative', 'too_large', 'jump')),
  row jsonb not null, -- a text: the row as it came, which need not be anything that jsonb could hold
  held_all_time_micro bigint,
  state text not null default 'held' check (state in ('held', 'accepted', 'dismissed')),
  decided_by uuid,
  decided_at timestamptz,
  note text not null default '');
create index on affiliates.quarantine (snapshot_id);
create index on affiliates.quarantine (id) where state = 'held';
create index on affiliates.quarantine (feed_id) where state = 'held' and reason = 'jump';

create table affiliates.anomalies (
  id uuid primary key,
  snapshot_id uuid not null references affiliates.snapshots,
  player_id uuid references affiliates.players,
  code text not null check (code in ('column_lag', 'totals_mismatch', 'dup_conflict', 'correction', 'renamed',
    'name_reused', 'name_cleaned', 'all_time_missing', 'first_seen_jump', 'jump_confirmed', 'mass_vanish',
    'total_users_mismatch', 'total_users_jump', 'upstream_future', 'schema_drift', 'page_skew')),
  facts jsonb not null default '{}',
  at timestamptz not null);
create index on affiliates.anomalies (at desc, id desc);
create index on affiliates.anomalies (player_id) where player_id is not null;
create trigger append_only before update or delete on affiliates.anomalies
  for each row execute function infra.refuse_change();

create table affiliates.link_requests (
  id uuid primary key,
  ref text not null unique check (ref ~ '^V-[0-9A-HJKMNP-TV-Z]{6}$'),
  programme_id uuid not null references affiliates.programmes,
  user_id uuid not null,
  player_id uuid not null references affiliates.players,
  uid text not null,
  name_at_request text,
  telegram_id bigint,
  telegram_name text,
  source text not null check (source in ('web', 'telegram', 'console')),
  proof text not null check (proof in
    ('name_code', 'screenshot', 'transaction', 'email', 'support_ticket', 'staff', 'import', 'other')),
  proof_code text not null check (proof_code ~ '^PL[0-9A-HJKMNP-TV-Z]{8}$'),
  code_seen_at timestamptz,
  code_snapshot_id uuid references affiliates.snapshots,
  attachments uuid[] not null default '{}',
  note text not null default '' check (length(note) <= 1000),
  state text not null check (state in
    ('pending', 'under_review', 'approved', 'rejected', 'cancelled', 'superseded', 'expired')),
  staff_notes text not null default '',
  player_note text not null default '', -- what the user is told
  taken_by uuid,
  taken_until timestamptz,
  decided_by uuid,
  decided_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null);
create unique index on affiliates.link_requests (user_id, programme_id) where state in ('pending', 'under_review');
create index on affiliates.link_requests (player_id) where state in ('pending', 'under_review');
create index on affiliates.link_requests (created_at, id) where state in ('pending', 'under_review');
create index on affiliates.link_requests (user_id, created_at);

create function affiliates.request_moves() returns trigger language plpgsql as $$
begin
  if old.state not in ('pending', 'under_review') and new.state = old.state and new.attachments = '{}'
    and (new.note, new.staff_notes, new.player_note) = ('', '', '')
    and num_nonnulls(new.name_at_request, new.telegram_id, new.telegram_name) = 0 then
    return new; -- what is personal is forgotten
  end if;
  if old.state not in ('pending', 'under_review')
    or (new.id, new.ref, new.programme_id, new.user_id, new.player_id, new.uid, new.proof_code, new.created_at)
      is distinct from
      (old.id, old.ref, old.programme_id, old.user_id, old.player_id, old.uid, old.proof_code, old.created_at) then
    raise exception 'a request to link does not go from % to %', old.state, new.state using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger moves before update on affiliates.link_requests
  for each row execute function affiliates.request_moves();

alter table affiliates.link_requests enable row level security;
alter table affiliates.link_requests force row level security;
create policy owner_sees on affiliates.link_requests for select to palio_app
  using (user_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on affiliates.link_requests for all to palio_app
  using      (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on affiliates.link_requests for all to palio_app
  using      ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));

create table affiliates.attachments ( -- pictures that prove something, drawn anew
  id uuid primary key,
  request_id uuid not null references affiliates.link_requests,
  user_id uuid not null,
  storage_key text not null,
  sha256 bytea not null,
  bytes int not null,
  width int not null,
  height int not null,
  created_at timestamptz not null,
  unique (request_id, sha256));
alter table affiliates.attachments enable row level security;
alter table affiliates.attachments force row level security;
create policy owner_sees on affiliates.attachments for select to palio_app
  using (user_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_adds on affiliates.attachments for insert to palio_app
  with check (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on affiliates.attachments for all to palio_app
  using      ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));

create table affiliates.links (
  id uuid primary key,
  programme_id uuid not null references affiliates.programmes,
  player_id uuid not null references affiliates.players,
  user_id uuid not null,
  state text not null check (state in ('active', 'unlinked', 'transferred')),
  proof text not null check (proof in
    ('name_code', 'screenshot', 'transaction', 'email', 'support_ticket', 'staff', 'import', 'other')),
  request_id uuid references affiliates.link_requests,
  linked_at timestamptz not null,
  linked_by uuid,
  unlinked_at timestamptz,
  unlinked_by uuid,
  reason text not null default '');
create unique index on affiliates.links (player_id) where state = 'active';
create unique index on affiliates.links (user_id, programme_id) where state = 'active';
create index on affiliates.links (player_id, unlinked_at) where state <> 'active';

create function affiliates.link_moves() returns trigger language plpgsql as $$
begin
  if old.state <> 'active' or new.state = 'active'
    or (new.id, new.programme_id, new.player_id, new.user_id, new.linked_at)
      is distinct from (old.id, old.programme_id, old.player_id, old.user_id, old.linked_at) then
    raise exception 'a link does not go from % to %', old.state, new.state using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger moves before update on affiliates.links for each row execute function affiliates.link_moves();

alter table affiliates.links enable row level security;
alter table affiliates.links force row level security;
create policy owner_sees on affiliates.links for select to palio_app
  using (user_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on affiliates.links for all to palio_app
  using      (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on affiliates.links for all to palio_app
  using      ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));
create policy definer_reads on affiliates.links for select to palio_owner using (true);

create table affiliates.link_events (
  id uuid primary key,
  request_id uuid references affiliates.link_requests,
  link_id uuid references affiliates.links,
  user_id uuid not null,
  player_id uuid not null references affiliates.players,
  uid text not null,
  name text,
  telegram_id bigint,
  from_state text,
  to_state text not null,
  actor_id uuid,
  note text not null,
  at timestamptz not null);
create index on affiliates.link_events (player_id, at);
create index on affiliates.link_events (user_id, at);
create index on affiliates.link_events (request_id, at) where request_id is not null;
create trigger never_removed before delete on affiliates.link_events
  for each row execute function infra.refuse_change();
create function affiliates.event_forgets() returns trigger language plpgsql as $$
begin -- a step stays as it was; only the words that name somebody go, once he is erased
  if infra.actor_kind() <> 'system' or new.name is not null or new.telegram_id is not null or new.note <> ''
    or (new.id, new.request_id, new.link_id, new.user_id, new.player_id, new.uid, new.from_state, new.to_state,
        new.actor_id, new.at)
      is distinct from
      (old.id, old.request_id, old.link_id, old.user_id, old.player_id, old.uid, old.from_state, old.to_state,
        old.actor_id, old.at) then
    raise exception 'a step of a link never changes' using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger forgets before update on affiliates.link_events
  for each row execute function affiliates.event_forgets();
alter table affiliates.link_events enable row level security;
alter table affiliates.link_events force row level security;
create policy owner_sees on affiliates.link_events for select to palio_app
  using (user_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_adds on affiliates.link_events for insert to palio_app
  with check (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on affiliates.link_events for all to palio_app
  using      ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));

-- Who is behind a player, for anybody: public boards need the linked user's name rule.
create function affiliates.active_links(of_players uuid[], of_users uuid[]) returns table (player_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select l.player_id, l.user_id from affiliates.links l
  where l.state = 'active' and (l.player_id = any (of_players) or l.user_id = any (of_users))
$$;
revoke all on function affiliates.active_links from public;
grant execute on function affiliates.active_links to palio_app;

-- Why a user cannot have a player: somebody has him, or had him a short while ago. Not who.
create function affiliates.link_obstacle(of_player uuid, for_user uuid, rest_since timestamptz) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when l.state = 'active' then 'taken' else 'resting' end from affiliates.links l
  where l.player_id = of_player and l.user_id <> for_user and (l.state = 'active' or l.unlinked_at > rest_since)
  order by l.state = 'active' desc limit 1
$$;
revoke all on function affiliates.link_obstacle from public;
grant execute on function affiliates.link_obstacle to palio_app;

grant select, insert, update on affiliates.programmes, affiliates.feeds, affiliates.cycles, affiliates.attempts,
  affiliates.snapshots, affiliates.players, affiliates.absences, affiliates.pictures, affiliates.periods, affiliates.quarantine,
  affiliates.links, affiliates.link_requests to palio_app;
grant select, insert, delete on affiliates.pushes to palio_app;
grant select, insert on affiliates.feed_mappings, affiliates.payloads, affiliates.player_names, affiliates.stats,
  affiliates.anomalies, affiliates.link_events, affiliates.attachments to palio_app;
grant delete on affiliates.attachments to palio_app;
grant update (name, telegram_id, note) on affiliates.link_events to palio_app;
