-- What other machines are told of: who wants to hear, what there was to hear, and what became of telling it.

-- Where somebody hears us. Two secrets are live while one is replaced by the next; `paced_until` and `held_until` are of the clock of the
-- server, since what goes over the network takes real time; everything else is of the clock of the product.
create table infra.webhook_endpoints (
  id uuid primary key, url bytea not null, host text not null check (length(host) <= 253), description text not null check (length(description) <= 200),
  types text[] not null check (cardinality(types) between 1 and 50), secret bytea not null, previous_secret bytea, previous_until timestamptz,
  state text not null check (state in ('active', 'paused', 'disabled')), disabled_reason text check (disabled_reason in ('gone', 'failing')),
  per_second int not null check (per_second between 1 and 100), failing_since timestamptz, last_success_at timestamptz,
  told_days smallint not null default 0, rests_until timestamptz, paced_until timestamptz, created_by uuid, created_at timestamptz not null,
  updated_at timestamptz not null, -- when somebody changed it; not each delivery
  version int not null default 1, check ((state = 'disabled') = (disabled_reason is not null)),
  check ((previous_secret is null) = (previous_until is null)));
comment on column infra.webhook_endpoints.url is 'sealed';
comment on column infra.webhook_endpoints.secret is 'sealed';
comment on column infra.webhook_endpoints.previous_secret is 'sealed';

create table infra.webhook_events (
  at timestamptz not null, id uuid not null, type text not null check (type ~ '^[a-z_]+\.[a-z_]+$'),
  data jsonb not null check (octet_length(data::text) <= 20480), primary key (at, id)) partition by range (at);
create table infra.webhook_events_default partition of infra.webhook_events default;

-- An event reaches an endpoint by one delivery; when it is told again, that is another one, which says of which.
create table infra.webhook_deliveries (
  created_at timestamptz not null, id uuid not null, endpoint_id uuid not null, event_id uuid not null, event_at timestamptz not null,
  type text not null, webhook_id uuid not null, replay_of uuid, attempts int not null default 0,
  state text not null check (state in ('queued', 'sending', 'delivered', 'retrying', 'failed', 'cancelled')),
  next_at timestamptz not null, held_until timestamptz, sent_at timestamptz, signature text, status smallint,
  failure text check (length(failure) <= 300), duration_ms int, response_excerpt text check (octet_length(response_excerpt) <= 1024),
  primary key (created_at, id)) partition by range (created_at);
create index on infra.webhook_deliveries (endpoint_id, next_at) where state in ('queued', 'retrying', 'sending');
create index on infra.webhook_deliveries (endpoint_id, created_at desc, id desc);
create index on infra.webhook_deliveries (replay_of) where replay_of is not null;
create table infra.webhook_deliveries_default partition of infra.webhook_deliveries default;

create table infra.webhook_once (
  endpoint_id uuid not null references infra.webhook_endpoints on delete cascade, event_id uuid not null, delivery_id uuid not null,
  at timestamptz not null, primary key (endpoint_id, event_id));
create index on infra.webhook_once (at);

do $$ declare t text; begin
  foreach t in array array['webhook_endpoints', 'webhook_events', 'webhook_deliveries', 'webhook_once'] loop
    execute format('alter table infra.%I enable row level security', t);
    execute format('alter table infra.%I force row level security', t);
    execute format('create policy operators on infra.%I for all to palio_app
      using ((select infra.actor_kind()) in (''staff'', ''system'')) with check ((select infra.actor_kind()) in (''staff'', ''system''))', t);
  end loop;
end $$;
create policy definer_reads on infra.webhook_endpoints for select to palio_owner using (true);

-- Does somebody who wants these types (by name, or `race.*`) hear of this one?
create function infra.webhook_hears(wanted text[], type text) returns bool language sql immutable parallel safe
  return exists (select from unnest(wanted) as w (one) where one = type or (right(one, 2) = '.*' and starts_with(type, left(one, -1))));

-- Which of these types anybody wants to hear of: whoever acts must not see where that is.
create function infra.webhooks_want(types text[]) returns text[] language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select array_agg(t.one) from unnest(types) as t (one)
    where exists (select from infra.webhook_endpoints e where infra.webhook_hears(e.types, t.one)));
revoke all on function infra.webhooks_want(text[]) from public;
grant execute on function infra.webhooks_want(text[]) to palio_app;

insert into infra.partition_parents (parent, period, bound) values
  ('infra.webhook_events', 'day', 'instant'), ('infra.webhook_deliveries', 'month', 'instant');
grant select, insert, update, delete on infra.webhook_endpoints, infra.webhook_deliveries, infra.webhook_once to palio_app;
grant select, insert, delete on infra.webhook_events to palio_app;
