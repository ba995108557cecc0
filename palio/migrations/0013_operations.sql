-- Long pieces of work that have an address of their own, and the one-time links to what came of them. Only whoever asked for one sees it,
-- staff too; the house carries it out.
create table infra.operations (
  id uuid primary key, owner_id uuid not null, kind text not null check (kind in ('export', 'import', 'bulk', 'other')),
  state text not null check (state in ('queued', 'running', 'done', 'failed', 'cancelled')), is_of_staff bool not null,
  done bigint not null default 0, total bigint, params jsonb not null check (octet_length(params::text) <= 65536),
  snapshot text, cursor jsonb, parts int not null default 0, size_bytes bigint not null default 0, sha256 bytea check (octet_length(sha256) = 32),
  has_files bool not null default false, asked bytea check (octet_length(asked) <= 8388608), error_code text, tries smallint not null default 0, version int not null default 1,
  created_at timestamptz not null, started_at timestamptz, touched_at timestamptz not null, finished_at timestamptz, expires_at timestamptz,
  check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null)), check ((state = 'failed') = (error_code is not null)));
create index on infra.operations (owner_id, id);
create index on infra.operations (touched_at) where state in ('queued', 'running') or has_files;
create index on infra.operations (finished_at) where finished_at is not null;

create table infra.operation_links (
  link_hash bytea primary key check (octet_length(link_hash) = 32), operation_id uuid not null references infra.operations on delete cascade,
  owner_id uuid not null, expires_at timestamptz not null, used_at timestamptz);
create index on infra.operation_links (operation_id);

do $$ declare t text; begin
  foreach t in array array['operations', 'operation_links'] loop
    execute format('alter table infra.%I enable row level security', t);
    execute format('alter table infra.%I force row level security', t);
    execute format('create policy owner_sees on infra.%I for select to palio_app
      using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in (''player'', ''viewer'', ''staff''))', t);
    execute format('create policy owner_writes on infra.%I for all to palio_app
      using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in (''player'', ''staff''))
      with check (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in (''player'', ''staff''))', t);
    execute format('create policy house on infra.%I for all to palio_app
      using ((select infra.actor_kind()) = ''system'') with check ((select infra.actor_kind()) = ''system'')', t);
  end loop;
end $$;
grant select, insert, update, delete on infra.operations, infra.operation_links to palio_app;

-- Was what a transaction wrote there when a snapshot was taken? What an earlier server wrote was.
create function infra.was_there(tx_id bigint, snapshot text) returns bool language sql stable parallel safe
  return case when tx_id < infra.tx_offset() then true
    else pg_visible_in_snapshot((tx_id - infra.tx_offset())::text::xid8, snapshot::pg_snapshot) end;

-- Who still uses calls that are going away, by day and API token (all zeros: without one).
create table infra.api_calls_deprecated (
  day date not null, call text not null check (length(call) <= 100), token_id uuid not null, count bigint not null check (count > 0),
  last_at timestamptz not null, primary key (day, call, token_id));
alter table infra.api_calls_deprecated enable row level security;
alter table infra.api_calls_deprecated force row level security;
create policy operators on infra.api_calls_deprecated for all to palio_app
  using ((select infra.actor_kind()) in ('staff', 'system')) with check ((select infra.actor_kind()) = 'system');
grant select, insert, update, delete on infra.api_calls_deprecated to palio_app;
