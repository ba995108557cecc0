-- Who somebody is: one row per person or service, its id the key everywhere.
create schema identity;
grant usage on schema identity to palio_app;

create type identity.user_kind as enum ('person', 'service');
create type identity.user_status as enum ('pending', 'active', 'suspended', 'closing', 'erased');
create type identity.auth_method as enum
  ('password', 'google', 'apple', 'oidc', 'telegram', 'phone_otp', 'email_link', 'passkey');
create type identity.country_source as enum ('geo', 'user', 'staff');
create type identity.board_name as enum ('full', 'masked', 'hidden');

create table identity.users (
  id uuid primary key,
  username text not null check (username ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{2,79}$'),
  username_key text not null generated always as (lower(username)) stored unique,
  display_name text not null check (char_length(display_name) between 1 and 60),
  kind identity.user_kind not null,
  status identity.user_status not null,
  registered_with identity.auth_method, -- null: an operator made the account
  locale text not null check (char_length(locale) between 2 and 35),
  time_zone text not null check (char_length(time_zone) between 1 and 64),
  country char(2) check (country ~ '^[A-Z]{2}$'),
  country_source identity.country_source,
  city text check (char_length(city) between 1 and 100),
  board_name identity.board_name not null,
  created_at timestamptz not null,
  activated_at timestamptz,
  suspended_until timestamptz,
  suspension_reason text check (char_length(suspension_reason) between 5 and 500),
  version int not null default 1 check (version > 0),
  check ((country is null) = (country_source is null)),
  check (status <> 'pending' or activated_at is null),
  check (status not in ('active', 'suspended') or activated_at is not null),
  check (status <> 'suspended' or suspension_reason is not null),
  check (status in ('suspended', 'closing') or (suspended_until is null and suspension_reason is null))
);
-- A search by the beginning of a name; equality has the unique index.
create index users_username_prefix on identity.users (username_key text_pattern_ops);

-- Each status and where it may lead; `closing` goes back to what it was, which `activated_at` and the reason remember.
create function identity.refuse_transition() returns trigger language plpgsql as $$
begin
  if new.id <> old.id or new.kind <> old.kind or new.created_at <> old.created_at then
    raise exception 'identity.users: id, kind and created_at never change' using errcode = 'PL010';
  end if;
  if new.status <> old.status and (old.status, new.status) not in (
    ('pending', 'active'), ('active', 'suspended'), ('suspended', 'active'),
    ('pending', 'closing'), ('active', 'closing'), ('suspended', 'closing'),
    ('closing', 'pending'), ('closing', 'active'), ('closing', 'suspended'), ('closing', 'erased')
  ) then
    raise exception 'identity.users: % does not become %', old.status, new.status using errcode = 'PL010';
  end if;
  new.version := old.version + 1;
  return new;
end $$;
create trigger refuse_transition before update on identity.users
  for each row execute function identity.refuse_transition();

alter table identity.users enable row level security;
alter table identity.users force row level security;
create policy owner_sees on identity.users for select to palio_app
  using (id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on identity.users for all to palio_app
  using      (id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on identity.users for all to palio_app
  using      ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));
create policy definer_reads on identity.users for select to palio_owner using (true);
grant select, insert, update on identity.users to palio_app;

-- What everybody may know of a user: the only way past row security to other people's rows.
create function identity.cards(ids uuid[])
  returns table (id uuid, username text, display_name text, board_name identity.board_name,
                 status identity.user_status, created_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.username, u.display_name, u.board_name, u.status, u.created_at
  from identity.users u where u.id = any (ids) and u.status <> 'pending' $$;
revoke all on function identity.cards(uuid[]) from public;
grant execute on function identity.cards(uuid[]) to palio_app;
