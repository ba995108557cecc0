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
  username_changed_at timestamptz,
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
  avatar_key text unique check (avatar_key ~ '^[0-9a-f]{32}$'),
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
create index users_newest on identity.users (created_at desc, id desc);
create index users_suspended on identity.users (suspended_until) where suspended_until is not null;

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

-- Pictures of players as files. A row stands before its file does, so that none is left that nobody knows of.
create table identity.avatar_files (
  key text primary key check (key ~ '^[0-9a-f]{32}$'),
  user_id uuid not null references identity.users on delete cascade,
  created_at timestamptz not null,
  dropped_at timestamptz check (dropped_at >= created_at)); -- another took its place, or it was removed
create index on identity.avatar_files (user_id);
create index on identity.avatar_files (created_at);

-- How many bytes somebody has sent on a day of UTC, in files of every kind, the refused ones too.
create table identity.upload_days (
  user_id uuid not null references identity.users on delete cascade,
  day date not null,
  bytes bigint not null check (bytes > 0),
  primary key (user_id, day));
create index on identity.upload_days (day);

-- What everybody may know of a user: the only way past row security to other people's rows.
create function identity.cards(ids uuid[])
  returns table (id uuid, username text, display_name text, board_name identity.board_name,
                 status identity.user_status, created_at timestamptz, avatar_key text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.username, u.display_name, u.board_name, u.status, u.created_at, u.avatar_key
  from identity.users u where u.id = any (ids) and u.status <> 'pending' $$;
revoke all on function identity.cards(uuid[]) from public;
grant execute on function identity.cards(uuid[]) to palio_app;

-- The same of whoever bears a name: it stands on boards, and signing up tells that it is taken.
create function identity.card_named(name text)
  returns table (id uuid, username text, display_name text, board_name identity.board_name,
                 status identity.user_status, created_at timestamptz, avatar_key text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.username, u.display_name, u.board_name, u.status, u.created_at, u.avatar_key
  from identity.users u where u.username_key = name and u.status <> 'pending' $$;
revoke all on function identity.card_named(text) from public;
grant execute on function identity.card_named(text) to palio_app;

-- What is personal is sealed under the key of its person; `bidx` finds it again. Everything below belongs to one user.
create type identity.token_purpose as enum
  ('email_verification', 'password_reset', 'email_change', 'login_link', 'invite', 'telegram_link', 'erase_confirm',
   'mfa_reset', 'first_owner');
create type identity.session_kind as enum ('browser', 'console', 'app', 'mini_app', 'impersonation');
create type identity.session_end as enum
  ('logout', 'idle', 'absolute', 'revoked_by_user', 'revoked_by_staff', 'password_changed', 'suspended',
   'refresh_reused', 'role_changed', 'erased');
create type identity.login_outcome as enum
  ('success', 'second_factor_required', 'bad_credentials', 'mfa_failed', 'throttled', 'suspended', 'not_allowed',
   'token_reused', 'looked_at', 'revealed'); -- the last two: staff looked as this user, or read a sealed value of his

create table identity.user_pii (
  user_id uuid primary key references identity.users on delete cascade,
  full_name bytea,
  birth_date bytea,
  created_at timestamptz not null);
comment on column identity.user_pii.full_name is 'sealed';
comment on column identity.user_pii.birth_date is 'sealed';

create table identity.emails (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  address bytea not null,
  bidx bytea not null check (length(bidx) = 32),
  bidx_next bytea check (length(bidx_next) = 32), -- by the index key that is to follow, while one follows
  bidx_version smallint not null,
  normal_bidx bytea not null check (length(normal_bidx) = 32), -- without what only tells apart letters to one person
  normal_next bytea check (length(normal_next) = 32),
  check ((bidx_next is null) = (normal_next is null)),
  is_primary bool not null,
  verified_at timestamptz,
  bounced_at timestamptz, -- since when nothing arrives there
  created_at timestamptz not null,
  unique (user_id, bidx));
comment on column identity.emails.address is 'sealed';
create unique index emails_verified on identity.emails (bidx_version, bidx) where verified_at is not null;
create unique index emails_primary on identity.emails (user_id) where is_primary;
create index on identity.emails (bidx, created_at desc);
create index on identity.emails (normal_bidx) where verified_at is not null;
create unique index emails_verified_next on identity.emails (bidx_next) where verified_at is not null;
create index emails_next on identity.emails (bidx_next) where bidx_next is not null;
create index on identity.emails (normal_next) where normal_next is not null;

create table identity.phones (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  number bytea not null,
  bidx bytea not null check (length(bidx) = 32),
  bidx_next bytea check (length(bidx_next) = 32),
  bidx_version smallint not null,
  country char(2) check (country ~ '^[A-Z]{2}$'), -- null: a number of no country
  verified_at timestamptz,
  created_at timestamptz not null,
  unique (user_id, bidx));
comment on column identity.phones.number is 'sealed';
create unique index phones_verified on identity.phones (bidx_version, bidx) where verified_at is not null;
create unique index phones_verified_next on identity.phones (bidx_next) where verified_at is not null;
create index on identity.phones (bidx);
create index phones_next on identity.phones (bidx_next) where bidx_next is not null;
create unique index phones_one on identity.phones (user_id) where verified_at is not null;

-- How far one index key has taken the place of another: a row for each table that has such indexes.
create table identity.index_rotations (
  version smallint not null, -- of the key that follows
  part text not null check (part in ('emails', 'phones', 'external_identities')),
  begun_at timestamptz not null,
  filled_to uuid, -- the last row of this pass
  filled_at timestamptz, -- since when every row has both indexes
  moved_at timestamptz, -- since when every row has the later one alone
  primary key (version, part));

create table identity.username_holds (
  username_key text primary key,
  held_at timestamptz not null,
  until timestamptz not null check (until > held_at));

-- From when on the days of a user are those of a zone; nobody who has never changed his has a row.
create table identity.time_zone_changes (
  user_id uuid not null references identity.users on delete cascade,
  valid_from timestamptz not null,
  zone text not null check (char_length(zone) between 1 and 64),
  asked_at timestamptz not null,
  primary key (user_id, valid_from));

create table identity.passwords (
  user_id uuid primary key references identity.users on delete cascade,
  hash text not null check (hash like '$argon2id$%'),
  pepper_id smallint, -- which key of the keyring the password was mixed with before it was hashed; null: none
  changed_at timestamptz not null,
  must_change bool not null default false); -- until there is another one its owner only reads
create index on identity.passwords (pepper_id) where pepper_id is not null;

create table identity.verification_tokens (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  purpose identity.token_purpose not null,
  token_hash bytea not null unique check (length(token_hash) = 32),
  target_bidx bytea not null, -- the address it was sent to
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  used_at timestamptz,
  revoked_at timestamptz,
  check (used_at is null or revoked_at is null));
create unique index verification_tokens_live on identity.verification_tokens (user_id, purpose)
  where used_at is null and revoked_at is null;
create index on identity.verification_tokens (target_bidx, created_at);
create index verification_tokens_invited on identity.verification_tokens (created_at)
  where purpose = 'invite' and used_at is null and revoked_at is null;

-- Accounts elsewhere that somebody comes in by. `subject` is what the provider calls him.
create table identity.external_identities (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  provider text not null check (provider ~ '^(google|apple|oidc:[a-z][a-z0-9-]{0,19})$'),
  subject bytea not null,
  subject_bidx bytea not null check (length(subject_bidx) = 32),
  bidx_next bytea check (length(bidx_next) = 32),
  bidx_version smallint not null,
  linked_at timestamptz not null,
  last_used_at timestamptz,
  unique (subject_bidx, bidx_version, provider),
  unique (user_id, provider));
comment on column identity.external_identities.subject is 'sealed';
create unique index external_identities_next on identity.external_identities (bidx_next, provider)
  where bidx_next is not null;

-- Telegram accounts that were met, whether they belong to a user here or not.
create table identity.telegram_accounts (
  id uuid primary key,
  telegram_id bigint not null unique check (telegram_id > 0),
  telegram_username text check (char_length(telegram_username) between 1 and 64),
  user_id uuid unique references identity.users on delete set null,
  verified_at timestamptz,
  bot_blocked_at timestamptz,
  language_code text check (char_length(language_code) between 1 and 35),
  last_active_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check ((user_id is null) or (verified_at is not null)));

create table identity.telegram_link_events (
  id uuid primary key,
  telegram_id bigint not null,
  user_id uuid,
  action text not null check (action in ('linked', 'unlinked', 'moved', 'bot_blocked', 'bot_unblocked')),
  actor_id uuid,
  at timestamptz not null,
  reason text check (char_length(reason) between 5 and 500));
create index on identity.telegram_link_events (telegram_id, at);
create trigger never_changed before update on identity.telegram_link_events -- whoever is forgotten takes his rows along
  for each row execute function infra.refuse_change();

-- Short codes that somebody types. Of each only a slow hash is here; its number is sealed until it was sent.
create table identity.otp_challenges (
  id uuid primary key,
  user_id uuid references identity.users on delete cascade, -- null: whoever has the number
  purpose text not null check (purpose in ('sign_in', 'phone_link', 'telegram_link')),
  target bytea, -- the number it goes to
  target_bidx bytea not null check (length(target_bidx) = 32),
  telegram_id bigint, -- the account that a typed code links
  code_hash text not null check (code_hash like '$argon2id$%'),
  attempts smallint not null default 0 check (attempts between 0 and 5),
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  used_at timestamptz,
  check ((purpose = 'telegram_link') = (telegram_id is not null)));
comment on column identity.otp_challenges.target is 'sealed';
create index on identity.otp_challenges (target_bidx, created_at desc);
create index on identity.otp_challenges (created_at);

-- Somebody is away at a provider; whoever comes back with the state is in the browser that left.
create table identity.auth_flows (
  id uuid primary key,
  state_hash bytea not null unique check (length(state_hash) = 32),
  provider text not null,
  nonce text not null,
  pkce_verifier bytea not null,
  browser_hash bytea not null check (length(browser_hash) = 32),
  return_path text not null check (return_path like '/%'),
  intent text not null check (intent in ('login', 'link')),
  user_id uuid references identity.users on delete cascade,
  consents jsonb not null default '{}', -- documents that he accepts if he turns out to be new, and which versions
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  used_at timestamptz,
  check ((intent = 'link') = (user_id is not null)));
comment on column identity.auth_flows.pkce_verifier is 'sealed';
create index on identity.auth_flows (expires_at);

-- What proved something and proves nothing again.
create table identity.used_proofs (
  kind text not null check (kind ~ '^[a-z_]{1,30}$'),
  proof_hash bytea not null check (length(proof_hash) = 32),
  used_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (kind, proof_hash));
create index on identity.used_proofs (expires_at);

-- Which devices have asked for accounts in the last day, whether any was made of it.
create table identity.sign_ups (
  id uuid primary key,
  device_hash bytea not null check (length(device_hash) = 32),
  at timestamptz not null);
create index on identity.sign_ups (device_hash, at);
create index on identity.sign_ups (at);

create table identity.devices (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  key_hash bytea not null check (length(key_hash) = 32),
  label text not null check (char_length(label) between 1 and 80),
  platform text check (platform in ('android', 'ios', 'macos', 'windows', 'linux')), -- null: it does not say
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  mfa_trusted_until timestamptz, -- until then its cookie stands for the second factor of a player
  unique (user_id, key_hash));
create index on identity.devices (user_id, last_seen_at desc);

create table identity.sessions (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  kind identity.session_kind not null,
  token_hash bytea unique check (length(token_hash) = 32), -- null: its tokens lie in refresh_tokens
  device_id uuid references identity.devices on delete set null, -- null: it was forgotten, or staff look as this user
  method identity.auth_method, -- null: staff look as this user
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  idle_expires_at timestamptz not null,
  absolute_expires_at timestamptz not null,
  mfa_at timestamptz,
  step_up_at timestamptz,
  ip bytea,
  ip_bidx bytea, -- null: staff look as this user
  country char(2) check (country ~ '^[A-Z]{2}$'),
  city text check (char_length(city) between 1 and 100),
  user_agent text not null check (char_length(user_agent) <= 256),
  impersonator_id uuid references identity.users,
  impersonation_reason text check (char_length(impersonation_reason) between 10 and 500),
  ended_at timestamptz,
  end_reason identity.session_end,
  check ((kind = 'impersonation') = (impersonator_id is not null)),
  check ((impersonator_id is null) = (impersonation_reason is null)),
  check (device_id is not null or ended_at is not null or kind = 'impersonation'),
  check (method is not null or kind = 'impersonation'),
  check (ip_bidx is not null or kind = 'impersonation'),
  check (kind = 'mini_app' or (token_hash is null) = (kind = 'app')), -- a Mini App has a cookie or tokens
  check ((ended_at is null) = (end_reason is null)));
comment on column identity.sessions.ip is 'sealed';
create index sessions_open on identity.sessions (user_id, id) where ended_at is null;
create index on identity.sessions (device_id);
create index sessions_of_impersonators on identity.sessions (impersonator_id) where impersonator_id is not null;

create function identity.refuse_reopening() returns trigger language plpgsql as $$
begin
  if old.ended_at is not null and (new.ended_at is distinct from old.ended_at
      or new.token_hash is distinct from old.token_hash) then
    raise exception 'identity.sessions: % has ended', old.id using errcode = 'PL010';
  end if;
  return new;
end $$;
create trigger refuse_reopening before update on identity.sessions
  for each row execute function identity.refuse_reopening();

create table identity.refresh_tokens (
  id uuid primary key,
  session_id uuid not null references identity.sessions on delete cascade,
  user_id uuid not null references identity.users on delete cascade,
  generation int not null check (generation > 0),
  token_hash bytea not null unique check (length(token_hash) = 32),
  access_hash bytea not null unique check (length(access_hash) = 32),
  access_expires_at timestamptz not null,
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  unique (session_id, generation));

create table identity.api_tokens (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  name text not null check (char_length(name) between 1 and 60),
  prefix char(14) not null,
  last4 char(4) not null,
  token_hash bytea not null unique check (length(token_hash) = 32),
  scopes text[] not null check (cardinality(scopes) > 0),
  ip_allow cidr[] not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  last_used_at timestamptz,
  last_used_ip_bidx bytea,
  revoked_at timestamptz,
  revoke_reason text,
  check ((revoked_at is null) = (revoke_reason is null)));
create index api_tokens_live on identity.api_tokens (user_id) where revoked_at is null;

-- Every attempt to sign in. A row is written before the proof is judged, as if it had failed, and amended after it.
create table identity.login_events (
  at timestamptz not null,
  id uuid not null,
  user_id uuid, -- null: nobody has this name or address
  account_bidx bytea not null, -- of the name or address as it was typed: unknown ones are throttled alike
  outcome identity.login_outcome not null,
  method identity.auth_method, -- null: nobody signed in, staff looked
  device_id uuid, -- null: a device that this account has not signed in on
  ip bytea,
  ip_bidx bytea not null,
  net_bidx bytea not null,
  country char(2) check (country ~ '^[A-Z]{2}$'),
  city text check (char_length(city) between 1 and 100),
  user_agent text not null check (char_length(user_agent) <= 256),
  primary key (at, id)) partition by range (at);
comment on column identity.login_events.ip is 'sealed';
create index on identity.login_events (user_id, at desc);
create index on identity.login_events (account_bidx, at);
create index on identity.login_events (net_bidx, at);
create index on identity.login_events (at) where outcome = 'bad_credentials';
create index on identity.login_events (at desc, id desc);
create table identity.login_events_default partition of identity.login_events default;
insert into infra.partition_parents (parent, period, bound) values ('identity.login_events', 'month', 'instant');

-- That all second factors of somebody who has lost them are to go: agreed by two people, a day before it happens.
create table identity.factor_resets (
  id uuid primary key, -- of the approval
  user_id uuid not null references identity.users on delete cascade,
  created_at timestamptz not null,
  due_at timestamptz not null check (due_at > created_at),
  cancelled_at timestamptz,
  done_at timestamptz,
  check (cancelled_at is null or done_at is null));
create unique index factor_resets_live on identity.factor_resets (user_id) where cancelled_at is null and done_at is null;
create index factor_resets_due on identity.factor_resets (due_at) where cancelled_at is null and done_at is null;

-- Sealed values that staff have read: how many in an hour, and which stand open on a page for a few minutes.
create table identity.reveals (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  name text not null check (name in ('email', 'phone', 'full_name', 'birth_date', 'ip')),
  row_id uuid,
  by_id uuid not null,
  at timestamptz not null,
  approval_id uuid unique, -- what two people agreed on, where it is beyond the limit of an hour
  check ((row_id is null) = (name in ('full_name', 'birth_date'))));
create index on identity.reveals (by_id, at);
create index on identity.reveals (user_id, by_id, at);

create table identity.reveal_permits (
  id uuid primary key, -- of the approval
  user_id uuid not null references identity.users on delete cascade,
  name text not null,
  row_id uuid,
  by_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at));

-- What staff write about somebody for each other; he never reads it here.
create table identity.staff_notes (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  author_id uuid not null references identity.users,
  body text not null check (char_length(body) between 1 and 2000),
  created_at timestamptz not null);
create index on identity.staff_notes (user_id, created_at desc, id desc);

create table identity.ip_addresses (
  id uuid not null unique,
  user_id uuid not null references identity.users on delete cascade,
  ip_bidx bytea not null,
  ip bytea,
  net_bidx bytea not null,
  country char(2) check (country ~ '^[A-Z]{2}$'),
  city text check (char_length(city) between 1 and 100),
  first_kind text not null check (first_kind in ('registration', 'login', 'api')),
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  seen_count int not null default 1,
  primary key (user_id, ip_bidx));
comment on column identity.ip_addresses.ip is 'sealed';
create index on identity.ip_addresses (net_bidx, first_seen_at);
create index on identity.ip_addresses (user_id, last_seen_at desc, id desc);

-- When somebody did something last; written at most every five minutes.
create table identity.user_activity (
  user_id uuid primary key references identity.users on delete cascade,
  last_active_at timestamptz not null) with (fillfactor = 70);

create table identity.totp_secrets (
  user_id uuid primary key references identity.users on delete cascade,
  secret bytea not null,
  created_at timestamptz not null,
  confirmed_at timestamptz,
  last_step bigint not null default 0);
comment on column identity.totp_secrets.secret is 'sealed';

create table identity.recovery_codes (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  number smallint not null check (number between 1 and 10),
  code_hash text not null check (code_hash like '$argon2id$%'),
  created_at timestamptz not null,
  used_at timestamptz,
  unique (user_id, number));

create table identity.passkeys (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  credential_id bytea not null unique check (length(credential_id) between 1 and 1023),
  public_key bytea not null check (length(public_key) between 1 and 2000),
  sign_count bigint not null check (sign_count >= 0),
  aaguid uuid not null,
  transports text[] not null,
  backed_up bool not null,
  name text not null check (char_length(name) between 1 and 60),
  created_at timestamptz not null,
  last_used_at timestamptz);
create index on identity.passkeys (user_id, created_at);

create table identity.roles (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{1,39}$'),
  title text not null check (char_length(title) between 1 and 60),
  builtin bool not null,
  permissions text[] not null,
  mfa_required bool not null,
  version int not null default 1,
  created_at timestamptz not null);

create table identity.role_grants (
  id uuid primary key,
  user_id uuid not null references identity.users,
  role text not null references identity.roles,
  object_kind text check (object_kind in ('competition')), -- null: it counts everywhere
  object_id uuid,
  granted_by uuid, -- null: the house, at the command line
  reason text not null check (char_length(reason) between 5 and 500),
  granted_at timestamptz not null,
  expires_at timestamptz check (expires_at > granted_at),
  revoked_at timestamptz,
  revoked_by uuid,
  check ((object_kind is null) = (object_id is null)),
  check (object_kind is null or role not in ('owner', 'admin', 'finance')));
create unique index role_grants_live on identity.role_grants (user_id, role, object_kind, object_id)
  nulls not distinct where revoked_at is null;
create index on identity.role_grants (role) where revoked_at is null;

create table identity.email_rules (
  id uuid primary key,
  position int not null unique deferrable initially deferred check (position > 0),
  action text not null check (action in ('allow', 'deny')),
  kind text not null check (kind in ('regex', 'domain', 'address', 'domain_file')),
  pattern text not null check (char_length(pattern) between 1 and 200),
  note text not null default '' check (char_length(note) <= 200),
  enabled bool not null default true,
  version int not null default 1,
  created_at timestamptz not null);

-- Domains that an operator has loaded from a file, such as those of throwaway addresses: a rule names the whole list.
create table identity.email_domain_lists (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9._-]{0,59}$'),
  domains int not null check (domains >= 0),
  loaded_at timestamptz not null);

create table identity.email_domains (
  list text not null references identity.email_domain_lists on delete cascade,
  domain text not null check (char_length(domain) between 3 and 254), -- with a dot in front: and all below it
  primary key (list, domain));

-- What people are asked to accept. A version is one text in several languages; a later one that need not be accepted
-- corrects the words and binds nobody anew.
create table identity.documents (
  key text not null check (key ~ '^[a-z][a-z0-9-]{1,39}$'),
  version int not null check (version > 0),
  locale text not null check (char_length(locale) between 2 and 35),
  body_md text not null check (char_length(body_md) between 1 and 200000),
  sha256 bytea not null check (length(sha256) = 32),
  acceptance_required bool not null,
  published_at timestamptz not null,
  primary key (key, version, locale));
create trigger append_only before update or delete on identity.documents
  for each row execute function infra.refuse_change();

create table identity.consents (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  document_key text not null,
  version int not null,
  given_at timestamptz not null,
  withdrawn_at timestamptz check (withdrawn_at >= given_at),
  source text not null check (source in ('registration', 'account')),
  ip_bidx bytea check (length(ip_bidx) = 32)); -- of where it was given from
create unique index consents_live on identity.consents (user_id, document_key, version) where withdrawn_at is null;

-- What users were called in a system that was there before.
create table identity.legacy_ids (
  source text not null check (source ~ '^[a-z][a-z0-9_-]{0,39}$'),
  legacy_id text not null check (char_length(legacy_id) between 1 and 100),
  user_id uuid not null references identity.users on delete cascade,
  created_at timestamptz not null,
  primary key (source, legacy_id));
create index on identity.legacy_ids (user_id);

-- When somebody is not to play, and what. Value is never kept from its owner: nobody is excluded from taking it out.
create type identity.play_activity as enum
  ('stake', 'pay_in', 'bonus', 'compete', 'redeem', 'withdraw', 'marketing');
create type identity.exclusion_kind as enum ('time_out', 'self_exclusion', 'operator_exclusion');

create table identity.play_exclusions (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  kind identity.exclusion_kind not null,
  activities identity.play_activity[] not null check (cardinality(activities) > 0
    and not activities && array['redeem', 'withdraw']::identity.play_activity[]),
  starts_at timestamptz not null,
  ends_at timestamptz check (ends_at > starts_at), -- null: it does not end
  created_by uuid, -- null: the player himself
  reason bytea,
  return_requested_at timestamptz check (return_requested_at >= ends_at),
  lifted_at timestamptz, -- by two people, for it was a mistake
  ended_at timestamptz, -- noted once it is over
  check ((kind = 'operator_exclusion') = (created_by is not null)),
  check (return_requested_at is null or kind = 'self_exclusion'));
comment on column identity.play_exclusions.reason is 'sealed';
create index on identity.play_exclusions (user_id) where lifted_at is null;
create index on identity.play_exclusions (ends_at) where lifted_at is null and ended_at is null;
create index on identity.play_exclusions (starts_at desc, id desc);

create function identity.refuse_shortening() returns trigger language plpgsql as $$
begin
  if new.id <> old.id or new.user_id <> old.user_id or new.kind <> old.kind or new.starts_at <> old.starts_at
      or coalesce(new.ends_at, 'infinity') < coalesce(old.ends_at, 'infinity')
      or not new.activities @> old.activities then
    raise exception 'identity.play_exclusions: % never becomes shorter', old.id using errcode = 'PL010';
  end if;
  return new;
end $$;
create trigger refuse_shortening before update on identity.play_exclusions
  for each row execute function identity.refuse_shortening();

-- Mailbox, number, Telegram account and accounts at providers of somebody who is not to play: keyed, so that they tell
-- nothing, and outliving his account.
create table identity.exclusion_marks (
  mark_bidx bytea not null check (length(mark_bidx) = 32),
  bidx_version smallint not null,
  kind identity.exclusion_kind not null,
  ends_at timestamptz, -- null: it does not end
  created_by uuid, -- null: the player himself
  created_at timestamptz not null,
  primary key (mark_bidx, kind));
alter table identity.exclusion_marks enable row level security;
alter table identity.exclusion_marks force row level security;
create policy operators on identity.exclusion_marks for all to palio_app
  using ((select infra.actor_kind()) in ('staff', 'system'))
  with check ((select infra.actor_kind()) in ('staff', 'system'));

-- What somebody asks of his own data: a copy of all of it, or that it is forgotten. A step for each module.
create type identity.privacy_kind as enum ('export', 'erase');
create type identity.privacy_state as enum ('requested', 'confirmed', 'running', 'done', 'failed', 'cancelled');

create table identity.privacy_requests (
  id uuid primary key,
  user_id uuid not null references identity.users on delete cascade,
  kind identity.privacy_kind not null,
  state identity.privacy_state not null,
  requested_at timestamptz not null,
  confirmed_at timestamptz,
  due_at timestamptz, -- when it begins
  finished_at timestamptz,
  status_before identity.user_status, -- what an account that is to be erased goes back to
  file_key text check (length(file_key) <= 200),
  file_secret bytea, -- what the file is encrypted with
  file_bytes bigint,
  sha256 bytea check (length(sha256) = 32),
  expires_at timestamptz,
  check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null)),
  check (state not in ('confirmed', 'running') or due_at is not null));
comment on column identity.privacy_requests.file_secret is 'sealed';
create unique index privacy_requests_open on identity.privacy_requests (user_id, kind)
  where state in ('requested', 'confirmed', 'running');
create index on identity.privacy_requests (state, due_at) where state in ('requested', 'confirmed', 'running');
create index on identity.privacy_requests (requested_at desc, id desc);
create index on identity.privacy_requests (expires_at) where file_key is not null;

create function identity.refuse_privacy() returns trigger language plpgsql as $$
begin
  if new.id <> old.id or new.user_id <> old.user_id or new.kind <> old.kind
      or new.state <> old.state and (old.state, new.state) not in (
        ('requested', 'confirmed'), ('requested', 'cancelled'), ('confirmed', 'cancelled'), ('confirmed', 'running'),
        ('running', 'done'), ('running', 'failed'), ('failed', 'running')) then
    raise exception 'identity.privacy_requests: % does not become %', old.state, new.state using errcode = 'PL010';
  end if;
  return new;
end $$;
create trigger refuse_privacy before update on identity.privacy_requests
  for each row execute function identity.refuse_privacy();

create table identity.privacy_steps (
  request_id uuid not null references identity.privacy_requests on delete cascade,
  user_id uuid not null references identity.users on delete cascade,
  section text not null,
  position smallint not null,
  attempts smallint not null default 0,
  rows bigint,
  error_code text check (length(error_code) <= 100),
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (request_id, section));

-- Two rows for two people, one for each of them: what he knows of the other.
create type identity.friend_state as enum ('asked', 'asking', 'accepted', 'blocked');

create table identity.friends (
  user_id uuid not null references identity.users on delete cascade,
  friend_id uuid not null references identity.users on delete cascade,
  state identity.friend_state not null,
  changed_at timestamptz not null,
  primary key (user_id, friend_id),
  check (user_id <> friend_id));
create index on identity.friends (user_id, state, changed_at desc, friend_id desc);
create index on identity.friends (friend_id);

-- Whom a player may find: those who show their whole name by its beginning, everybody else by the whole user name.
-- Letters of user names sort before '~'.
create function identity.cards_found(beginning text, count int)
  returns table (id uuid, username text, display_name text, board_name identity.board_name,
                 status identity.user_status, created_at timestamptz, avatar_key text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.username, u.display_name, u.board_name, u.status, u.created_at, u.avatar_key
  from identity.users u
  where u.username_key ~>=~ beginning and u.username_key ~<~ (beginning || '~')
    and (u.board_name = 'full' or u.username_key = beginning)
    and u.kind = 'person' and u.status in ('active', 'suspended')
  order by u.username_key using ~<~ limit count $$;
revoke all on function identity.cards_found(text, int) from public;
grant execute on function identity.cards_found(text, int) to palio_app;

do $$
declare owned text;
begin
  foreach owned in array array['reveals', 'reveal_permits', 'staff_notes'] -- of staff: their subject does not see them
  loop
    execute format('alter table identity.%I enable row level security', owned);
    execute format('alter table identity.%I force row level security', owned);
    execute format($p$create policy operators on identity.%I for all to palio_app
      using ((select infra.actor_kind()) in ('staff', 'system'))
      with check ((select infra.actor_kind()) in ('staff', 'system'))$p$, owned);
    execute format('create policy forgets on identity.%I for all to palio_owner using (true)', owned);
  end loop;
  foreach owned in array array['user_pii', 'emails', 'passwords', 'verification_tokens', 'devices', 'sessions',
    'refresh_tokens', 'api_tokens', 'login_events', 'ip_addresses', 'totp_secrets', 'recovery_codes', 'role_grants',
    'user_activity', 'passkeys', 'time_zone_changes', 'factor_resets',
    'consents', 'play_exclusions', 'friends', 'privacy_requests', 'privacy_steps', 'phones', 'external_identities',
    'telegram_accounts', 'telegram_link_events', 'otp_challenges', 'auth_flows', 'avatar_files',
    'upload_days', 'legacy_ids']
  loop
    execute format('alter table identity.%I enable row level security', owned);
    execute format('alter table identity.%I force row level security', owned);
    execute format($p$create policy owner_sees on identity.%I for select to palio_app
      using (user_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'))$p$, owned);
    execute format($p$create policy operators on identity.%I for all to palio_app
      using ((select infra.actor_kind()) in ('staff', 'system'))
      with check ((select infra.actor_kind()) in ('staff', 'system'))$p$, owned);
    execute format('create policy forgets on identity.%I for all to palio_owner using (true)', owned);
  end loop;
  -- What a player may change of himself. Proofs of who he is are judged by the system: a bug of a page cannot forge one.
  foreach owned in array array['user_pii', 'sessions', 'api_tokens', 'devices']
  loop
    execute format($p$create policy owner_writes on identity.%I for all to palio_app
      using      (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
      with check (user_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')$p$, owned);
  end loop;
end $$;

grant select, insert, update on identity.user_pii, identity.sessions, identity.devices, identity.api_tokens,
  identity.ip_addresses, identity.roles, identity.role_grants, identity.consents, identity.play_exclusions,
  identity.user_activity, identity.time_zone_changes, identity.factor_resets to palio_app;
grant select, insert on identity.documents, identity.legacy_ids, identity.reveals, identity.reveal_permits, identity.staff_notes to palio_app;
grant select, insert, update, delete on identity.emails, identity.passwords, identity.verification_tokens,
  identity.refresh_tokens, identity.login_events, identity.totp_secrets, identity.recovery_codes, identity.email_rules,
  identity.username_holds, identity.friends, identity.passkeys, identity.used_proofs, identity.phones,
  identity.external_identities, identity.telegram_accounts, identity.otp_challenges, identity.auth_flows,
  identity.avatar_files, identity.upload_days to palio_app;
grant select, insert, delete on identity.telegram_link_events, identity.sign_ups, identity.email_domains to palio_app;
grant select, insert, update on identity.email_domain_lists to palio_app;
grant delete on identity.users, identity.sessions, identity.devices, identity.roles, identity.reveals,
  identity.reveal_permits to palio_app;
grant select, insert, update on identity.index_rotations to palio_app;
grant select, insert, update on identity.privacy_requests, identity.privacy_steps to palio_app;
grant select, insert, update, delete on identity.exclusion_marks to palio_app;

-- Erasure: every row of a person in this schema goes, whatever tables there are, but for what says that he was erased.
-- For the system alone, while his account closes; each table has a policy that lets this function delete there.
create function identity.forget(who uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare owned text;
begin
  if infra.actor_kind() <> 'system'
      or not exists (select from identity.users u where u.id = who and u.status = 'closing') then
    raise exception 'identity.forget: nobody of this id is to be erased' using errcode = 'PL010';
  end if;
  delete from identity.friends where friend_id = who;
  delete from identity.sessions where user_id = who;
  for owned in
    select c.relname from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and a.attname = 'user_id' and not a.attisdropped
      and c.relname not in ('privacy_requests', 'privacy_steps', 'role_grants', 'sessions')
    order by c.relname
  loop
    execute format('delete from identity.%I where user_id = $1', owned) using who;
  end loop;
end $$;
revoke all on function identity.forget(uuid) from public;
grant execute on function identity.forget(uuid) to palio_app;
