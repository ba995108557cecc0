-- role: palio_ledger
-- reviewed: balanced by statement triggers, moved only by definer functions, readable through row security.
create schema ledger;
grant usage on schema ledger to palio_app;

-- What is counted, and why it may move.
create table ledger.assets (
  id smallint primary key check (id between 1 and 32767),
  code text not null unique check (code ~ '^[A-Z][A-Z0-9]{1,11}$'),
  name text not null,
  scale smallint not null check (scale between 0 and 8),
  kind text not null check (kind in ('money', 'play', 'points', 'credit')),
  withdrawable bool not null default false,
  giftable bool not null default false,
  lots bool not null default false,
  active bool not null default true,
  created_at timestamptz not null default clock_timestamp());
insert into ledger.assets (id, code, name, scale, kind, withdrawable) values
  (1, 'USD', 'US dollar', 2, 'money', true),
  (2, 'QC', 'Play credits', 2, 'play', false),
  (3, 'COIN', 'Coins', 0, 'points', false),
  (4, 'INPUT', 'Inputs', 0, 'credit', false),
  (5, 'XTR', 'Telegram Stars', 0, 'money', false);

create table ledger.kinds (
  code text primary key check (code ~ '^[a-z]+\.[a-z_]+$'),
  category text not null check (category in (
    'bet', 'win', 'bonus', 'admin_adjustment', 'prize', 'steps', 'achievement', 'challenge', 'purchase', 'order', 'refund', 'deposit',
    'withdrawal', 'fee', 'transfer', 'contribution', 'commission', 'expiry', 'clawback', 'reversal')),
  label text not null,
  player_visible bool not null default true,
  final bool not null default false,  -- the books of a module say that this was given back: taking it back would make them wrong
  limit_group text check (limit_group in ('stake', 'spend', 'loss', 'deposit')));
insert into ledger.kinds (code, category, label, limit_group) values
  ('ledger.transfer', 'transfer', 'Transfer', null),
  ('ledger.adjustment', 'admin_adjustment', 'Adjustment', null),
  ('ledger.reversal', 'reversal', 'Reversal', null),
  ('ledger.clawback', 'clawback', 'Taken back', null),
  ('ledger.debt', 'clawback', 'Debt settled', null),
  ('ledger.gift', 'transfer', 'Gift', null),
  ('ledger.expiry', 'expiry', 'Expired', null),
  ('ledger.opening', 'transfer', 'Opening balance', null),
  ('payments.quest_input', 'purchase', 'Quest inputs', 'spend'),
  ('payments.entry', 'purchase', 'Entry', 'spend'),
  ('payments.wallet_credit', 'purchase', 'Wallet credit', 'spend'),
  ('payments.custom', 'purchase', 'Purchase', 'spend'),
  ('payments.deposit', 'deposit', 'Deposit', 'deposit'),
  ('payments.grant', 'purchase', 'Bought', null),
  ('payments.fee', 'fee', 'Fee', null),
  ('payments.refund', 'refund', 'Refund', null),
  ('payments.chargeback', 'refund', 'Chargeback', null),
  ('payments.withdrawal', 'withdrawal', 'Withdrawal', null),
  ('competitions.fund', 'contribution', 'Prize pool', null),
  ('competitions.contribution', 'contribution', 'Contribution', null),
  ('competitions.entry_fee', 'contribution', 'Entry fee', 'spend'),
  ('competitions.take_back', 'refund', 'Contribution taken back', null),
  ('competitions.refund', 'refund', 'Refund', null),
  ('competitions.prize', 'prize', 'Prize', null),
  ('competitions.leftover', 'contribution', 'Left over', null),
  ('games.bet', 'bet', 'Bet', 'stake'),
  ('games.win', 'win', 'Win', 'loss'),
  ('games.refund', 'refund', 'Refund', null),
  ('games.bank', 'transfer', 'Market bank', null),
  ('bonuses.daily', 'bonus', 'Daily bonus', null),
  ('bonuses.wheel', 'bonus', 'Wheel', null),
  ('bonuses.ad', 'bonus', 'Advertisement', null),
  ('bonuses.code', 'bonus', 'Bonus code', null),
  ('bonuses.referral', 'bonus', 'Referral', null),
  ('bonuses.welcome', 'bonus', 'Welcome', null),
  ('bonuses.gift', 'bonus', 'Gift', null),
  ('bonuses.spin_cost', 'purchase', 'Spin', 'spend'),
  ('steps.award', 'steps', 'Steps', null),
  ('steps.clawback', 'clawback', 'Steps taken back', null),
  ('achievements.reward', 'achievement', 'Achievement', null),
  ('achievements.repair', 'purchase', 'Streak repair', 'spend'),
  ('achievements.clawback', 'clawback', 'Achievement taken back', null),
  ('store.order', 'order', 'Order', 'spend'),
  ('store.refund', 'refund', 'Refund', null),
  ('challenges.escrow', 'contribution', 'Challenge stake', null),
  ('challenges.prize', 'challenge', 'Challenge prize', null),
  ('affiliates.commission', 'commission', 'Commission', null),
  ('affiliates.milestone', 'bonus', 'Milestone', null),
  ('affiliates.vip_transfer', 'bonus', 'VIP transfer', null);

update ledger.kinds set final = true where code in ('competitions.refund', 'competitions.take_back');

-- Accounts. The number says what an account is: n * 65536 + asset * 2 + (1 if guarded). So entries need neither column, and the guards no look-up.
create function ledger.is_guarded(p_address text) returns bool language sql immutable parallel safe
  return split_part(p_address, ':', 1) = 'user';

create function ledger.owner_of(p_address text) returns uuid language sql immutable parallel safe
  return case when split_part(p_address, ':', 1) = 'user' then split_part(p_address, ':', 2)::uuid end;

create sequence ledger.account_numbers;
create table ledger.accounts (
  id bigint primary key,
  address text collate "C" not null check (address ~ '^[a-z0-9._-]+(:[a-z0-9._-]+){1,3}$'),  -- counted repetition would cost the row five times over
  asset_id smallint not null,
  guarded bool not null,
  owner_id uuid,
  status text not null default 'active' check (status in ('active', 'no_debit', 'frozen', 'closed')),
  created_at timestamptz not null default clock_timestamp(),
  unique (address, asset_id),
  constraint number_says_asset_and_mode check (id & 65535 = asset_id * 2 + guarded::int),
  constraint address_says_mode_and_owner check (guarded = ledger.is_guarded(address) and owner_id is not distinct from ledger.owner_of(address)),
  constraint family_is_known check (split_part(address, ':', 1) in ('user', 'pool', 'treasury', 'house', 'fees', 'suspense', 'issuance', 'external', 'clearing',
    'breakage', 'writeoff', 'commission')));
create index on ledger.accounts (owner_id) where owner_id is not null;
create index on ledger.accounts (id) where address like '%:debt';

create table ledger.balances (
  account_id bigint primary key,
  owner_id uuid,
  status text not null default 'active',
  balance bigint not null default 0,
  held bigint not null default 0,
  floor bigint not null default 0,
  ceiling bigint,
  seq bigint not null default 0,
  last_posted_at timestamptz not null default 'epoch',
  lots bigint,  -- what the lots of a wallet add up to, where its asset has them: nobody moves it who does not know
  -- one check for all, because each is parsed anew by every statement
  check (account_id & 1 = 1 and held >= 0 and balance - held >= floor and (ceiling is null or balance <= ceiling)
    and (lots is null or lots = balance))) with (fillfactor = 60);

-- Movements. A key is claimed once and kept for ever; transfers and entries are only ever added.
create table ledger.keys (
  key text collate "C" primary key,
  request_hash bytea not null,
  ref_id uuid not null,
  op text not null check (op in ('transfer', 'hold', 'void')),
  tx_id bigint not null,
  check (octet_length(request_hash) = 32));

create table ledger.transfers (
  id uuid not null,
  posted_at timestamptz not null,
  tx_id bigint not null,
  key text collate "C" not null,
  kind text not null,
  actor text not null,
  description text,
  metadata jsonb,
  reverses_id uuid,
  hold_id uuid,
  primary key (id, posted_at)) partition by range (posted_at);
create index on ledger.transfers using brin (tx_id, posted_at) with (autosummarize = on);  -- of a day, too
create index on ledger.transfers (reverses_id) where reverses_id is not null;
create index on ledger.transfers (hold_id) where hold_id is not null;

create table ledger.entries (
  transfer_id uuid not null,
  posted_at timestamptz not null,
  account_id bigint not null,
  amount bigint not null check (amount <> 0 and amount between -9007199254740991 and 9007199254740991),
  seq bigint,
  balance_after bigint,
  tx_id bigint not null,
  leg smallint not null,
  primary key (transfer_id, leg, posted_at)) partition by range (posted_at);
create index on ledger.entries (account_id, seq desc) where seq is not null;
create index on ledger.entries (account_id, tx_id) where seq is null;
create index on ledger.entries using brin (tx_id, posted_at) with (autosummarize = on);

-- Value that is set aside. What is open has something left; a hold that is closed has given all of it away or back.
create table ledger.holds (
  id uuid primary key,
  key text collate "C" not null,
  account_id bigint not null,
  owner_id uuid not null,
  amount bigint not null check (amount between 1 and 9007199254740991),
  captured bigint not null default 0 check (captured >= 0),
  released bigint not null default 0 check (released >= 0),
  state text not null default 'open' check (state in ('open', 'captured', 'voided', 'expired')),
  subject text not null,
  kind text not null,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  closed_at timestamptz,
  check (captured + released <= amount),
  check ((state = 'open') = (captured + released < amount) and (state = 'open') = (closed_at is null)));
create index on ledger.holds (expires_at) where state = 'open';
create index on ledger.holds (account_id) where state = 'open';

-- How much of each leg of a transfer was taken back. A row is made when somebody first wants to, and locked by whoever does.
create table ledger.reversals (
  original_id uuid not null,
  leg smallint not null,
  original bigint not null check (original > 0),
  reversed bigint not null default 0,
  primary key (original_id, leg),
  check (reversed between 0 and original));

create table ledger.transfers_default partition of ledger.transfers default;
create table ledger.entries_default partition of ledger.entries default;
insert into infra.partition_parents (parent, period, bound) values
  ('ledger.transfers', 'month', 'instant'), ('ledger.entries', 'month', 'instant');

-- What a check found broken. A finding stays open until somebody resolves it.
create table ledger.findings (
  id uuid primary key,
  check_code text not null,
  subject text not null,
  account_id bigint references ledger.accounts,
  expected text not null,
  actual text not null,
  found_at timestamptz not null,
  resolved_at timestamptz,
  resolution text);
create unique index on ledger.findings (check_code, subject) where resolved_at is null;

create view ledger.wallets with (security_invoker = on) as
  select b.account_id, b.owner_id, s.code as asset, b.balance, b.held as frozen, b.balance - b.held as available, b.last_posted_at
  from ledger.balances b join ledger.accounts a on a.id = b.account_id join ledger.assets s on s.id = a.asset_id
  where a.address = 'user:' || a.owner_id || ':main';

-- sum() of bigint counts in numeric; this one is quicker, and fails when it overflows
create aggregate ledger.sum8(bigint) (sfunc = int8pl, stype = bigint, initcond = '0', parallel = safe);

-- Guards: they hold even if the program is wrong.
create function ledger.entries_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare tx bigint := infra.tx_id(); broken bool; unbalanced bool; mixed bool; misfit bool;
begin  -- two statements, because each costs a batch as much as two transfers do
  select f.unbalanced, f.mixed,
      f.broken or row(f.transfers, f.moments) is distinct from (select row(array_agg(t.id), array_agg(t.posted_at)) from (
        select t.id, t.posted_at from ledger.transfers t
        where t.id = any (f.transfers) and t.posted_at between f.first and f.last and t.tx_id = tx order by t.id, t.posted_at) t),
      f.misfit or f.houses and exists (select 1 from (select distinct h.account_id from fresh h where h.account_id & 1 = 0) o
        where (select a.guarded from ledger.accounts a where a.id = o.account_id) is distinct from false)
    into unbalanced, mixed, broken, misfit
    from (select array_agg(g.transfer_id) as transfers, array_agg(g.posted_at) as moments, min(g.posted_at) as first, max(g.posted_at) as last,
        bool_or(g.total <> 0) as unbalanced, bool_or(g.low_asset <> g.high_asset) as mixed,
        bool_or(g.latest <> g.posted_at or g.low <> 0 or g.high <> g.n - 1) as broken, bool_or(g.misfit) as misfit, bool_or(g.houses) as houses
      from (select transfer_id, count(*) as n, min(leg) as low, max(leg) as high, min(posted_at) as posted_at, max(posted_at) as latest,
          ledger.sum8(amount) as total, min(account_id & 65534) as low_asset, max(account_id & 65534) as high_asset,
          bool_or((account_id & 1 = 0) <> (seq is null) or (seq is null) <> (balance_after is null) or tx_id <> tx) as misfit,
          bool_or(account_id & 1 = 0) as houses
        from fresh group by transfer_id order by transfer_id) g) f;
  if mixed then
    unbalanced := unbalanced or exists (select 1 from fresh group by transfer_id, account_id & 65534 having ledger.sum8(amount) <> 0);
  end if;
  if unbalanced then
    raise exception 'a transfer is not balanced' using errcode = 'PL001';
  end if;
  if broken then
    raise exception 'an entry without its transfer' using errcode = 'PL006';
  end if;
  if misfit then
    raise exception 'an entry does not fit its account' using errcode = 'PL003';
  end if;
  select c.broken or row(c.seqs, c.sums) is distinct from (select row(array_agg(b.seq), array_agg(b.balance))
      from (select b.seq, b.balance from ledger.balances b where b.account_id = any (c.ids) order by b.account_id) b)
    into broken
    from (select bool_or(l.next_seq <> l.seq + 1 or l.next_before <> l.balance_after) as broken,
        array_agg(l.account_id) filter (where l.next_seq is null) as ids, array_agg(l.seq) filter (where l.next_seq is null) as seqs,
        array_agg(l.balance_after) filter (where l.next_seq is null) as sums
      from (select account_id, seq, balance_after, lead(seq) over w as next_seq, lead(balance_after - amount) over w as next_before
        from fresh where seq is not null window w as (partition by account_id order by seq)) l) c;
  if broken then
    raise exception 'an account does not add up' using errcode = 'PL002';
  end if;
  return null;
end $$;
create trigger entries_check after insert on ledger.entries referencing new table as fresh
  for each statement execute function ledger.entries_check();

create function ledger.transfers_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare tx bigint := infra.tx_id(); broken bool;
begin
  select f.broken or f.ids is distinct from (select array_agg(k.ref_id) from (
      select k.ref_id from ledger.keys k where k.key = any (f.names) and k.tx_id = tx order by k.key collate "C") k)
    into broken
    from (select array_agg(o.key) as names, array_agg(o.id) as ids, bool_or(o.tx_id <> tx) as broken
      from (select key, id, tx_id from fresh order by key collate "C") o) f;
  if broken then
    raise exception 'a transfer without its key' using errcode = 'PL006';
  end if;
  return null;
end $$;
create trigger transfers_check after insert on ledger.transfers referencing new table as fresh
  for each statement execute function ledger.transfers_check();

-- What is held in an account is the sum of its open holds, each of these has its key, and what was captured of one is what its transfers
-- have taken from its account. An insert and an update of one statement both look when it has ended.
create function ledger.holds_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare names text[]; ids uuid[]; broken bool; lotted bigint[];
begin
  select bool_or(t.held is distinct from (
        select ledger.sum8(h.amount - h.captured - h.released) from ledger.holds h where h.account_id = t.account_id and h.state = 'open')),
      array_agg(t.account_id) filter (where t.lots is not null)
    into broken, lotted
    from (select f.account_id, b.held, b.lots from (select distinct account_id from fresh) f
      left join ledger.balances b on b.account_id = f.account_id) t;
  if broken then
    raise exception 'what is held is not the sum of the open holds' using errcode = 'PL005';
  end if;
  if lotted is not null then
    perform ledger.held_lots_check(lotted, array(select f.id from fresh f where f.account_id = any (lotted)));
  end if;
  if tg_op = 'INSERT' then
    select array_agg(f.key), array_agg(f.id) into names, ids from (select * from fresh order by key collate "C") f;
    if ids is distinct from (select array_agg(k.ref_id) from (
        select k.ref_id from ledger.keys k where k.key = any (names) and k.tx_id = infra.tx_id() and k.op = 'hold'
        order by k.key collate "C") k) then
      raise exception 'a hold without its key' using errcode = 'PL006';
    end if;
  -- the day before says which partitions to look into, though the clock of another machine may be behind
  elsif exists (select 1 from fresh f where f.captured <> (
      select -ledger.sum8(e.amount) from ledger.transfers t join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at
        where t.hold_id = f.id and t.posted_at >= f.created_at - interval '1 day' and e.account_id = f.account_id)) then
    raise exception 'what was captured is not what its transfers took' using errcode = 'PL005';
  end if;
  return null;
end $$;
create trigger holds_placed after insert on ledger.holds referencing new table as fresh
  for each statement execute function ledger.holds_check();
create trigger holds_changed after update on ledger.holds referencing new table as fresh
  for each statement execute function ledger.holds_check();
create trigger same_hold before update on ledger.holds for each row
  when (old.state <> 'open' or (old.id, old.key, old.account_id, old.owner_id, old.amount, old.kind, old.expires_at, old.created_at)
    is distinct from (new.id, new.key, new.account_id, new.owner_id, new.amount, new.kind, new.expires_at, new.created_at))
  execute function infra.refuse_change();
create trigger kept before delete on ledger.holds for each row execute function infra.refuse_change();

-- What was taken back of a leg only grows.
create trigger only_more before update on ledger.reversals for each row
  when ((old.original_id, old.leg, old.original) is distinct from (new.original_id, new.leg, new.original) or new.reversed < old.reversed)
  execute function infra.refuse_change();
create trigger kept before delete on ledger.reversals for each row execute function infra.refuse_change();

create trigger append_only before update or delete on ledger.transfers for each row execute function infra.refuse_change();
create trigger append_only before update or delete on ledger.entries for each row execute function infra.refuse_change();
do $$ declare t text; begin
  foreach t in array array['transfers', 'entries', 'transfers_default', 'entries_default', 'keys', 'holds', 'reversals', 'accounts', 'assets'] loop
    execute format('create trigger no_truncate before truncate on ledger.%I execute function infra.refuse_change()', t);
  end loop;
end $$;

create function ledger.keys_keep() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' and old.tx_id = infra.tx_id() then return old; end if;
  raise exception 'ledger.keys are kept for ever' using errcode = 'PL004';
end $$;
create trigger keys_keep before update or delete on ledger.keys for each row execute function ledger.keys_keep();

-- What foreign keys would see to, and more, once a statement: a check for each of a hundred thousand new wallets is half of making them.
create function ledger.accounts_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from (select distinct f.asset_id from fresh f) f
      where not exists (select 1 from ledger.assets s where s.id = f.asset_id for key share)) then
    raise exception 'an account of no asset' using errcode = 'foreign_key_violation';
  end if;
  return null;
end $$;
create trigger accounts_check after insert on ledger.accounts referencing new table as fresh
  for each statement execute function ledger.accounts_check();
create function ledger.assets_used() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin  -- afterwards, and so not before whoever was making an account of it has ended
  if exists (select 1 from ledger.accounts a where a.asset_id = old.id) then
    raise exception 'an asset that has accounts is kept' using errcode = 'foreign_key_violation';
  end if;
  return null;
end $$;
create trigger assets_used after delete or update of id on ledger.assets for each row execute function ledger.assets_used();
create function ledger.balances_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- one look-up each: a join would read all accounts for each balance while statistics know of no wallets
  if exists (select 1 from fresh f where (select a.guarded and a.owner_id is not distinct from f.owner_id
      from ledger.accounts a where a.id = f.account_id) is not true) then
    raise exception 'a balance without its account' using errcode = 'foreign_key_violation';
  end if;
  return null;
end $$;
create trigger balances_check after insert on ledger.balances referencing new table as fresh
  for each statement execute function ledger.balances_check();
create trigger same_account before update of account_id, owner_id on ledger.balances for each statement execute function infra.refuse_change();

-- The meaning of entries rests on what an account is, so that never changes.
create trigger same_account before update on ledger.accounts for each row
  when ((old.id, old.address, old.asset_id, old.guarded, old.owner_id) is distinct from
    (new.id, new.address, new.asset_id, new.guarded, new.owner_id)) execute function infra.refuse_change();
create trigger kept before delete on ledger.accounts for each row execute function infra.refuse_change();

create function ledger.assets_keep() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from ledger.accounts a where a.asset_id = old.id and (
      exists (select 1 from ledger.entries e where e.account_id = a.id and e.seq is not null)
      or exists (select 1 from ledger.entries e where e.account_id = a.id and e.seq is null))) then
    raise exception 'the scale and kind of % are fixed since its first entry', old.code using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger assets_keep before update on ledger.assets for each row
  when ((old.id, old.code, old.scale, old.kind) is distinct from (new.id, new.code, new.scale, new.kind))
  execute function ledger.assets_keep();

-- Row security: an owner sees his own, operators all, the functions below (whose owner it binds too) all.
do $$ declare t text; own text; begin
  foreach t in array array['accounts', 'balances', 'holds', 'entries', 'transfers'] loop
    own := case t
      when 'entries' then 'account_id = any (array(select a.id from ledger.accounts a where a.owner_id = (select infra.actor_id())))'
      when 'transfers' then 'exists (select 1 from ledger.entries e where e.transfer_id = transfers.id and e.posted_at = transfers.posted_at)'
      else 'owner_id = (select infra.actor_id())' end;
    -- who asks comes first: for operators nobody looks for owners, which of transfers would read all entries
    execute format('create policy owner_sees on ledger.%I for select to palio_app
      using ((select infra.actor_kind()) in (''player'', ''viewer'') and %s)', t, own);
    execute format('create policy owner_writes on ledger.%I for all to palio_app
      using ((select infra.actor_kind()) = ''player'' and %2$s) with check ((select infra.actor_kind()) = ''player'' and %2$s)', t, own);
  end loop;
  foreach t in array array['accounts', 'balances', 'holds', 'entries', 'transfers', 'keys', 'reversals', 'findings'] loop
    execute format('alter table ledger.%I enable row level security', t);
    execute format('alter table ledger.%I force row level security', t);
    execute format('create policy operators on ledger.%I for all to palio_app
      using ((select infra.actor_kind()) in (''staff'', ''system'')) with check ((select infra.actor_kind()) in (''staff'', ''system''))', t);
    execute format('create policy definer on ledger.%I for all to palio_ledger using (true) with check (true)', t);
  end loop;
end $$;
-- The legs of a transfer for whoever may see one of them: of accounts of other people only that they are such.
create function ledger.sides(p_transfer uuid, p_posted_at timestamptz, p_owner uuid)
returns table (leg smallint, family text, name text, is_own bool, is_main bool, asset text, scale smallint, amount bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select e.leg, split_part(a.address, ':', 1),
    case when a.owner_id is null and a.address not like 'pool:%' then split_part(a.address, ':', 2) end,
    coalesce(a.owner_id = p_owner, false), a.address like '%:main', s.code, s.scale, e.amount
  from ledger.entries e join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
  where e.transfer_id = p_transfer and e.posted_at = p_posted_at
    and (infra.actor_kind() in ('staff', 'system') or infra.actor_kind() in ('player', 'viewer') and p_owner = infra.actor_id())
    and exists (select from ledger.entries m join ledger.accounts o on o.id = m.account_id
      where m.transfer_id = p_transfer and m.posted_at = p_posted_at and o.owner_id = p_owner)
$$;

grant select on ledger.assets, ledger.kinds, ledger.accounts, ledger.balances, ledger.keys, ledger.transfers, ledger.entries,
  ledger.holds, ledger.reversals, ledger.findings, ledger.wallets to palio_app;

-- The functions of the application. Sorted arrays come in, so that everybody locks in one order: keys by text, balances by number.

-- What is known of a key that was taken before.
create function ledger.taken(p_key ledger.keys) returns jsonb language sql stable set search_path = pg_catalog, pg_temp
  return jsonb_build_object('key', (p_key).key, 'hash', encode((p_key).request_hash, 'hex'), 'op', (p_key).op, 'ref', (p_key).ref_id,
    'at', (select t.posted_at from ledger.transfers t where (p_key).op = 'transfer' and t.id = (p_key).ref_id),
    'result', case (p_key).op
      when 'transfer' then (select jsonb_agg(jsonb_build_array(a.address, e.balance_after, e.seq) order by e.leg)
        from ledger.entries e join ledger.accounts a on a.id = e.account_id where e.transfer_id = (p_key).ref_id and e.seq is not null)
      when 'hold' then (select jsonb_build_array(h.amount, h.expires_at) from ledger.holds h where h.id = (p_key).ref_id) end);

-- Claim keys; a row for each that somebody has had before. One that an open transaction has claimed is waited for, so what it left
-- behind is read here, by a statement that began afterwards.
create function ledger.claim(p_keys text[], p_hashes bytea[], p_ids uuid[], p_ops text[])
returns setof jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare tx bigint := infra.tx_id();
begin
  insert into ledger.keys (key, request_hash, ref_id, op, tx_id)
    select u.k, u.h, u.i, coalesce(u.o, 'transfer'), tx
      from (select unnest(p_keys) as k, unnest(p_hashes) as h, unnest(p_ids) as i, unnest(p_ops) as o) u order by u.k collate "C";
exception when unique_violation then  -- rare, so it may cost twice
  insert into ledger.keys (key, request_hash, ref_id, op, tx_id)
    select u.k, u.h, u.i, coalesce(u.o, 'transfer'), tx from unnest(p_keys, p_hashes, p_ids, p_ops) u(k, h, i, o) order by u.k collate "C"
    on conflict do nothing;
  return query select ledger.taken(k) from unnest(p_keys, p_ids) u(name, id) join ledger.keys k on k.key = u.name where k.ref_id <> u.id;
end $$;

-- Accounts for addresses that have none yet, and balances for those that are guarded.
create function ledger.make_accounts(p_addresses text[], p_assets smallint[], p_debt_max bigint) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  -- so that an asset which is about to have lots waits for us, or we for it, and then know
  perform 1 from ledger.assets s where s.id = any (p_assets) order by s.id for key share;
  with made as (
    insert into ledger.accounts (id, address, asset_id, guarded, owner_id)
      select nextval('ledger.account_numbers') * 65536 + u.s * 2 + ledger.is_guarded(u.a)::int, u.a, u.s, ledger.is_guarded(u.a),
          ledger.owner_of(u.a)
        from (select v.a, v.s from (select unnest(p_addresses) as a, unnest(p_assets) as s) v
          where not exists (select 1 from ledger.accounts a where a.address = v.a and a.asset_id = v.s)
          order by v.a collate "C", v.s) u
      on conflict do nothing returning id, address, asset_id, guarded, owner_id)
  insert into ledger.balances (account_id, owner_id, floor, ceiling, lots)
    select m.id, m.owner_id, case when m.address like '%:debt' then -p_debt_max else 0 end, case when m.address like '%:debt' then 0 end,
        case when m.address like '%:main' and m.asset_id = any (array(select s.id from ledger.assets s where s.lots)) then 0 end
      from made m where m.guarded order by m.id;
end $$;

-- Lock the legs of transfers that are to be taken back, in one order: a row for each, made when it is first needed.
create function ledger.lock_originals(p_originals uuid[]) returns void language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  insert into ledger.reversals (original_id, leg, original)
    select e.transfer_id, e.leg, abs(e.amount) from ledger.entries e where e.transfer_id = any (p_originals)
      order by e.transfer_id, e.leg on conflict do nothing;
  for n in 0 .. (cardinality(p_originals) - 1) / 250 loop  -- short lists, as for balances
    perform 1 from ledger.reversals r where r.original_id = any (p_originals[n * 250 + 1 : n * 250 + 250])
      order by r.original_id, r.leg for no key update;
  end loop;
end $$;

-- Claim keys, then lock guarded accounts in the order of their numbers: a row per 500 of these, in that order. `odd` lists accounts of
-- which more is to be said: those sent by address, open ones that are not active (null: there is none), and guarded ones with a status,
-- hold, floor, ceiling or a last_posted_at after p_now. Besides, a row with `taken` for each key that somebody had before, and one with
-- the holds that were asked for, read when their accounts are locked: whoever changes a hold holds its balance. The legs of the transfers
-- in p_originals are locked before all accounts; these are locked with the others, and so are the wallets of those who came to owe
-- something by them, and, for the transfers in p_debtors, the debt accounts of those who got something. A row with `more` has the lots of
-- wallets that keep them, one the limits of those in p_limited: read last, when nobody else can spend from these wallets.
create function ledger.open_batch(p_keys text[], p_hashes bytea[], p_ids uuid[], p_ops text[], p_guarded bigint[], p_open bigint[],
  p_addresses text[], p_assets smallint[], p_holds uuid[], p_originals uuid[], p_debtors uuid[], p_now timestamptz, p_debt_max bigint,
  p_limited uuid[] default '{}', p_limited_assets smallint[] default '{}')
returns table (accounts bigint[], balances bigint[], seqs bigint[], odd jsonb, taken jsonb, holds jsonb, originals jsonb, more jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare wanted bigint[] := p_guarded; kept bigint[]; lotted bigint[];
begin
  return query select null::bigint[], null::bigint[], null::bigint[], null::jsonb, c, null::jsonb, null::jsonb, null::jsonb
    from ledger.claim(p_keys, p_hashes, p_ids, p_ops) c;
  if cardinality(p_originals) > 0 then
    perform ledger.lock_originals(p_originals);
    wanted := array(select w.id from (select unnest(wanted) union select e.account_id from ledger.entries e
      where e.transfer_id = any (p_originals) and e.seq is not null) w(id) order by w.id);
    p_open := array(select unnest(p_open) union select e.account_id from ledger.entries e
      where e.transfer_id = any (p_originals) and e.seq is null);
    select p_addresses || array_agg(d.address), p_assets || array_agg(d.asset_id) into p_addresses, p_assets
      from (select distinct 'user:' || a.owner_id || ':main' as address, a.asset_id from ledger.entries e
        join ledger.accounts a on a.id = e.account_id
        where e.transfer_id = any (p_originals) and e.amount < 0 and a.address = 'user:' || a.owner_id || ':debt') d;
  end if;
  if cardinality(p_debtors) > 0 then
    select p_addresses || array_agg(d.address), p_assets || array_agg(d.asset_id) into p_addresses, p_assets
      from (select distinct 'user:' || a.owner_id || ':debt' as address, a.asset_id from ledger.entries e
        join ledger.accounts a on a.id = e.account_id
        where e.transfer_id = any (p_debtors) and e.amount > 0 and a.address = 'user:' || a.owner_id || ':main') d;
  end if;
  if cardinality(p_holds) > 0 then
    wanted := array(select w.id from (select unnest(wanted) union select h.account_id from ledger.holds h where h.id = any (p_holds)) w(id)
      order by w.id);
  end if;
  if cardinality(p_addresses) > 0 then
    perform ledger.make_accounts(p_addresses, p_assets, p_debt_max);
    return query select null::bigint[], null::bigint[], null::bigint[],
        jsonb_agg(jsonb_build_object('address', a.address, 'asset', k.code, 'id', a.id, 'status', a.status)), null::jsonb, null::jsonb, null::jsonb,
        null::jsonb
      from unnest(p_addresses, p_assets) u(a, s) join ledger.accounts a on a.address = u.a and a.asset_id = u.s
      join ledger.assets k on k.id = u.s;
    wanted := array(select w.id from (select unnest(wanted) union select a.id from unnest(p_addresses, p_assets) u(a, s)
      join ledger.accounts a on a.address = u.a and a.asset_id = u.s where a.guarded) w(id) order by w.id);
  end if;
  if cardinality(p_open) > 0 then
    return query select null::bigint[], null::bigint[], null::bigint[],
        jsonb_agg(jsonb_build_object('id', o.id, 'status', a.status)), null::jsonb, null::jsonb, null::jsonb,
        null::jsonb
      from unnest(p_open) o(id) left join ledger.accounts a on a.id = o.id where a.status is distinct from 'active';
  end if;
  for n in 0 .. (cardinality(wanted) - 1) / 500 loop  -- a row that waited is compared with the whole list again: keep lists short
    select array_agg(b.account_id), array_agg(b.balance), array_agg(b.seq),
        jsonb_agg(jsonb_build_object('id', b.account_id, 'status', b.status, 'held', b.held, 'floor', b.floor, 'ceiling', b.ceiling,
          'last_posted_at', b.last_posted_at, 'lots', b.lots))
          filter (where b.status <> 'active' or b.held <> 0 or b.floor <> 0 or b.ceiling is not null or b.last_posted_at > p_now
            or b.lots is not null),
        array_agg(b.account_id) filter (where b.lots is not null)
      into accounts, balances, seqs, odd, kept
      from (select * from ledger.balances r where r.account_id = any (wanted[n * 500 + 1 : n * 500 + 500])
        order by r.account_id for no key update) b;
    return next;
    lotted := lotted || kept;
  end loop;
  if cardinality(p_holds) > 0 then
    return query select null::bigint[], null::bigint[], null::bigint[], null::jsonb, null::jsonb, jsonb_agg(jsonb_build_array(
        h.id, h.account_id, h.amount, h.captured, h.released, h.state, h.expires_at, h.kind, h.owner_id, k.code, h.created_at)),
        null::jsonb, null::jsonb
      from ledger.holds h join ledger.assets k on k.id = (h.account_id >> 1) & 32767 where h.id = any (p_holds);
  end if;
  if cardinality(p_originals) > 0 then
    return query select null::bigint[], null::bigint[], null::bigint[], null::jsonb, null::jsonb, null::jsonb,
        jsonb_agg(jsonb_build_array(r.original_id, t.reverses_id is not null, r.leg, e.account_id, a.address, k.code, e.amount, r.reversed,
          t.kind, t.posted_at, h.kind, h.created_at, h.account_id) order by r.original_id, r.leg),
        null::jsonb
      from ledger.reversals r join ledger.entries e on e.transfer_id = r.original_id and e.leg = r.leg
      join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at join ledger.accounts a on a.id = e.account_id
      join ledger.assets k on k.id = a.asset_id left join ledger.holds h on h.id = t.hold_id where r.original_id = any (p_originals);
  end if;
  if cardinality(lotted) > 0 then
    return query select null::bigint[], null::bigint[], null::bigint[], null::jsonb, null::jsonb, null::jsonb, null::jsonb,
      ledger.read_lots(lotted, p_holds, p_originals);
  end if;
  if cardinality(p_limited) > 0 then
    return query select null::bigint[], null::bigint[], null::bigint[], null::jsonb, null::jsonb, null::jsonb, null::jsonb,
      ledger.read_limits(p_limited, p_limited_assets, p_now);
  end if;
end $$;

-- Balances change by the sums of the entries handed in, and what is held by those of the holds, never to a value. A hold is no entry: it
-- leaves seq and the instant of the last one alone.
create function ledger.move(e_accounts bigint[], e_amounts bigint[], e_posted timestamptz[]) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_nestloop = off set enable_mergejoin = on as $$
begin
  update ledger.balances b set balance = b.balance + d.amount, seq = b.seq + d.n, last_posted_at = greatest(b.last_posted_at, d.posted)
    from (select u.a as account_id, ledger.sum8(u.x) as amount, count(*) as n, max(u.p) as posted
          from (select unnest(e_accounts) as a, unnest(e_amounts) as x, unnest(e_posted) as p) u where u.a & 1 = 1 group by u.a) d
    where b.account_id = d.account_id and b.account_id = any (e_accounts);
end $$;
create function ledger.move_held(e_accounts bigint[], e_amounts bigint[], e_posted timestamptz[], h_accounts bigint[], h_amounts bigint[])
returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_nestloop = off set enable_mergejoin = on as $$
declare touched bigint[] := e_accounts || h_accounts;
begin
  update ledger.balances b set balance = b.balance + d.amount, held = b.held + d.held, seq = b.seq + d.n,
      last_posted_at = greatest(b.last_posted_at, d.posted)
    from (select u.a as account_id, ledger.sum8(u.x) as amount, ledger.sum8(u.h) as held, count(u.x) as n, max(u.p) as posted
          from (select unnest(e_accounts) as a, unnest(e_amounts) as x, unnest(e_posted) as p, null::bigint as h
            union all select unnest(h_accounts), null, null, unnest(h_amounts)) u where u.a & 1 = 1 group by u.a) d
    where b.account_id = d.account_id and b.account_id = any (touched);
end $$;

-- Tell owners that their wallets have changed, in one row for all of them. Of more than 200 movements at once everybody is told only that there were some: whoever
-- listens reads his wallet again, and a payment to a hundred thousand costs one row.
create function ledger.tell(e_transfers uuid[], e_accounts bigint[], e_amounts bigint[], e_seqs bigint[], e_balances bigint[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if (select count(*) from unnest(e_seqs) u(s) where u.s <> 0) > 200 then
    insert into infra.stream_pending (topic, user_id, type, data, at) values ('me:wallet', null, 'wallet.changed', '{}', clock_timestamp());
    return;
  end if;
  insert into infra.stream_pending (topic, users, type, data, at)
    select 'me:wallet', array_agg(m.owner_id), 'wallet.changed', jsonb_build_object('transfer', jsonb_agg(m.t), 'asset', jsonb_agg(m.code),
        'amount', jsonb_agg(m.x), 'balance', jsonb_agg(m.b), 'held', jsonb_agg(m.held)), clock_timestamp()
      from (select a.owner_id, u.t, k.code, u.x, u.b, b.held
        from unnest(e_transfers, e_accounts, e_amounts, e_seqs, e_balances) with ordinality u(t, a, x, s, b, n)
        join ledger.accounts a on a.id = u.a join ledger.balances b on b.account_id = u.a join ledger.assets k on k.id = (u.a >> 1) & 32767
        where u.s <> 0 and a.owner_id is not null order by u.n) m having count(*) > 0;
end $$;

-- The same where nothing moved, but something was set aside or given back.
create function ledger.tell_held(p_accounts bigint[]) returns void language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if cardinality(p_accounts) > 200 then
    insert into infra.stream_pending (topic, user_id, type, data, at) values ('me:wallet', null, 'wallet.changed', '{}', clock_timestamp());
    return;
  end if;
  insert into infra.stream_pending (topic, users, type, data, at)
    select 'me:wallet', array_agg(m.owner_id), 'wallet.changed', jsonb_build_object('transfer', jsonb_agg(null::uuid),
        'asset', jsonb_agg(m.code), 'amount', jsonb_agg(0), 'balance', jsonb_agg(m.balance), 'held', jsonb_agg(m.held)), clock_timestamp()
      from (select b.owner_id, k.code, b.balance, b.held
        from unnest(p_accounts) u(a) join ledger.balances b on b.account_id = u.a join ledger.assets k on k.id = (u.a >> 1) & 32767
        order by u.a) m having count(*) > 0;
end $$;

-- Give back the keys of what was refused; write the rest. Entries come ordered by (account, seq), because neighbours in the index are
-- inserted together; seq 0 stands for none. In a batch of the system an item may name its own actor. `h_` are holds that are placed,
-- `c_` what of others is captured and released: both are written by one statement, after which what is held has to add up. `r_` is what is
-- taken back of legs. `p_more` is what becomes of lots, and what counts for limits: nothing in most batches.
create function ledger.write(p_refused text[],
  t_ids uuid[], t_posted timestamptz[], t_keys text[], t_kinds text[], t_actors text[], t_descriptions text[], t_metadata jsonb[],
  t_holds uuid[], t_reverses uuid[],
  e_transfers uuid[], e_legs smallint[], e_posted timestamptz[], e_accounts bigint[], e_amounts bigint[], e_seqs bigint[], e_balances bigint[],
  h_ids uuid[], h_keys text[], h_accounts bigint[], h_amounts bigint[], h_subjects text[], h_kinds text[], h_expire timestamptz[],
  c_holds uuid[], c_captured bigint[], c_released bigint[], c_states text[],
  r_originals uuid[], r_legs smallint[], r_amounts bigint[], p_now timestamptz, p_more jsonb default null)
returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
  tx bigint := infra.tx_id(); who text := concat_ws(':', infra.actor_kind(), infra.actor_id());
  holding bool := cardinality(h_ids) > 0 or cardinality(c_holds) > 0; lotting bool := p_more ? 'lots'; c_accounts bigint[]; h_changed bigint[];
begin
  if cardinality(p_refused) > 0 then
    delete from ledger.keys k where k.key = any (p_refused) and k.tx_id = tx;
  end if;
  if cardinality(t_holds) > 0 and exists (select 1 from unnest(t_holds) u(h) where u.h is not null and u.h <> all (c_holds)) then
    raise exception 'a transfer out of a hold that stays as it is' using errcode = 'PL005';
  end if;
  if holding then
    c_accounts := array(select (select h.account_id from ledger.holds h where h.id = u.i and h.state = 'open')
      from (select unnest(c_holds) as i) u);
    h_changed := h_amounts || array(select -u.c - u.r from (select unnest(c_captured) as c, unnest(c_released) as r) u);
  end if;
  if lotting then
    perform ledger.move_lots(e_accounts, e_amounts, e_posted, h_accounts || c_accounts, h_changed, p_more -> 'lots');
  elsif holding then
    perform ledger.move_held(e_accounts, e_amounts, e_posted, h_accounts || c_accounts, h_changed);
  elsif cardinality(t_ids) > 0 then
    perform ledger.move(e_accounts, e_amounts, e_posted);
  end if;
  if cardinality(t_ids) > 0 then
    if infra.actor_kind() <> 'system' then t_actors := '{}'; end if;
    insert into ledger.transfers (id, posted_at, tx_id, key, kind, actor, description, metadata, hold_id, reverses_id)
      select u.i, u.p, tx, u.k, u.d, coalesce(u.w, who), u.t, u.m, u.h, u.r
      from (select unnest(t_ids) as i, unnest(t_posted) as p, unnest(t_keys) as k, unnest(t_kinds) as d, unnest(t_actors) as w,
        unnest(t_descriptions) as t, unnest(t_metadata) as m, unnest(t_holds) as h, unnest(t_reverses) as r) u;
    insert into ledger.entries (transfer_id, posted_at, account_id, amount, seq, balance_after, tx_id, leg)
      select u.t, u.p, u.a, u.x, nullif(u.s, 0), case when u.s <> 0 then u.b end, tx, u.l
      from (select unnest(e_transfers) as t, unnest(e_posted) as p, unnest(e_accounts) as a, unnest(e_amounts) as x,
        unnest(e_seqs) as s, unnest(e_balances) as b, unnest(e_legs) as l) u;
    perform ledger.tell(e_transfers, e_accounts, e_amounts, e_seqs, e_balances);
  end if;
  if cardinality(r_originals) > 0 then
    update ledger.reversals r set reversed = r.reversed + u.x
      from (select unnest(r_originals) as o, unnest(r_legs) as l, unnest(r_amounts) as x) u where r.original_id = u.o and r.leg = u.l;
  end if;
  if lotting then
    perform ledger.write_lots(p_more -> 'lots', p_now);
  end if;
  if p_more ? 'usage' then
    perform ledger.add_usage(p_more -> 'usage');
  end if;
  if holding then
    with changed as (
      update ledger.holds h set captured = h.captured + c.captured, released = h.released + c.released, state = c.state,
          closed_at = case when c.state <> 'open' then p_now end
        from (select unnest(c_holds) as id, unnest(c_captured) as captured, unnest(c_released) as released, unnest(c_states) as state) c
        where h.id = c.id and h.state = 'open')
    insert into ledger.holds (id, key, account_id, owner_id, amount, subject, kind, expires_at, created_at)
      select u.i, u.k, u.a, b.owner_id, u.x, u.s, u.d, u.e, p_now
      from (select unnest(h_ids) as i, unnest(h_keys) as k, unnest(h_accounts) as a, unnest(h_amounts) as x, unnest(h_subjects) as s,
        unnest(h_kinds) as d, unnest(h_expire) as e) u join ledger.balances b on b.account_id = u.a;
    perform ledger.tell_held(array(select unnest(h_accounts || c_accounts) except select unnest(e_accounts)));
  end if;
end $$;

-- The batch that most batches are, in one statement: every key is new, every account is there and active, and each wallet has what it gives at
-- every step. `g_` are legs of guarded accounts by their numbers, `o_` those of open ones; -n stands for the n-th of u_addresses. Where a wallet
-- takes more than one leg, `s_` say of each guarded one which of its wallet's it is, the sum so far, the lowest after a debit and the highest
-- after a credit (2^62 and -2^62 where there is none). Answers the wallets with what was in them before, the numbers of u_addresses, and when it
-- was posted: all of it at one instant, which is not before p_now nor before an entry of those who overtook it. No row, and nothing done, if
-- anything is not as described, or if it was overtaken by more than it could have waited: then open_batch finds out what. Locks as that does:
-- keys by text, balances by number. p_alone is for a statement that is a transaction of its own, on behalf of the system: it comes without the settings with which transactions begin.
create function ledger.post_plain(t_ids uuid[], t_keys text[], t_hashes bytea[], t_kinds text[], t_actors text[], t_descriptions text[],
  t_metadata jsonb[], g_transfers uuid[], g_legs smallint[], g_accounts bigint[], g_amounts bigint[], o_transfers uuid[], o_legs smallint[],
  o_accounts bigint[], o_amounts bigint[], s_numbers bigint[], s_sums bigint[], s_lows bigint[], s_highs bigint[], u_addresses text[],
  u_assets smallint[], p_now timestamptz, p_alone bool)
returns table (accounts bigint[], balances bigint[], seqs bigint[], numbers bigint[], posted timestamptz) language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
  tx bigint := infra.tx_id(); who text; has_steps bool := cardinality(s_numbers) > 0;
  w_accounts bigint[]; w_amounts bigint[]; w_legs bigint[]; w_lows bigint[]; w_highs bigint[];
  g_places bigint[]; g_balances bigint[]; g_seqs bigint[]; owners uuid[]; held bigint[];
begin
  if p_alone then
    if infra.actor_kind() <> 'none' then
      raise exception 'a transaction has begun, on somebody''s behalf' using errcode = '25001';
    end if;
    perform set_config('palio.kind', 'system', true), set_config('lock_timeout', '2s', true);
  end if;
  who := concat_ws(':', infra.actor_kind(), infra.actor_id());
  if cardinality(u_addresses) > 0 then
    numbers := array(select (select a.id from ledger.accounts a where a.address = u.a and a.asset_id = u.s)
      from (select unnest(u_addresses) as a, unnest(u_assets) as s) u);
    if array_position(numbers, null) is not null then return; end if;
    select array_agg(l.t), array_agg(l.l), array_agg(l.a), array_agg(l.x), array_agg(l.n), array_agg(l.s), array_agg(l.low), array_agg(l.high)
      into g_transfers, g_legs, g_accounts, g_amounts, s_numbers, s_sums, s_lows, s_highs
      from (select u.*, case when u.w < 0 then numbers[-u.w] else u.w end as a
        from (select unnest(g_transfers) as t, unnest(g_legs) as l, unnest(g_accounts) as w, unnest(g_amounts) as x, unnest(s_numbers) as n,
          unnest(s_sums) as s, unnest(s_lows) as low, unnest(s_highs) as high) u order by a, u.n) l;
    o_accounts := array(select case when u.a < 0 then numbers[-u.a] else u.a end from (select unnest(o_accounts) as a) u);
  end if;
  w_accounts := g_accounts; w_amounts := g_amounts;
  if has_steps then  -- the last leg of a wallet says how it moves, and whose place among the wallets all its legs have
    with legs as (
      select u.*, lead(u.a) over (order by u.i) is distinct from u.a as is_last, dense_rank() over (order by u.a) as place
        from (select unnest(g_accounts) as a, generate_series(1, cardinality(g_accounts)) as i, unnest(s_numbers) as n, unnest(s_sums) as s,
          unnest(s_lows) as low, unnest(s_highs) as high) u)
    select array_agg(l.place order by l.i), array_agg(l.a order by l.i) filter (where l.is_last), array_agg(l.s order by l.i) filter (where l.is_last),
        array_agg(l.n order by l.i) filter (where l.is_last), array_agg(l.low order by l.i) filter (where l.is_last),
        array_agg(l.high order by l.i) filter (where l.is_last)
      into g_places, w_accounts, w_amounts, w_legs, w_lows, w_highs from legs l;
  end if;
  begin
    insert into ledger.keys (key, request_hash, ref_id, op, tx_id)
      select u.k, u.h, u.i, 'transfer', tx
        from (select unnest(t_keys) as k, unnest(t_hashes) as h, unnest(t_ids) as i) u
        where not exists (select from (select unnest(o_accounts) as id) o
          where (select a.status from ledger.accounts a where a.id = o.id) is distinct from 'active')
        order by u.k collate "C";
    if not found then return; end if;
    with moved as (
      update ledger.balances b set balance = b.balance + d.x, seq = b.seq + d.n, last_posted_at = greatest(b.last_posted_at, p_now)
        from (select u.a, u.x, coalesce(u.n, 1) as n, coalesce(u.low, case when u.x < 0 then u.x else 1::bigint << 62 end) as low,
            coalesce(u.high, case when u.x > 0 then u.x else -(1::bigint << 62) end) as high
          from (select unnest(w_accounts) as a, unnest(w_amounts) as x, unnest(w_legs) as n, unnest(w_lows) as low, unnest(w_highs) as high) u) d
        where b.account_id = d.a and b.status = 'active' and b.lots is null
          and b.balance + d.low - b.held >= b.floor and b.balance + d.low >= -9007199254740991
          and b.balance + d.high <= coalesce(b.ceiling, 9007199254740991)
        returning b.account_id, b.balance, b.balance - d.x as balance_before, b.seq, b.seq - d.n as seq_before, b.owner_id, b.held,
          b.last_posted_at)
    select array_agg(m.account_id), array_agg(m.balance), array_agg(m.balance_before), array_agg(m.seq), array_agg(m.seq_before),
        array_agg(m.owner_id), array_agg(m.held), coalesce(max(m.last_posted_at), p_now)
      into accounts, g_balances, balances, g_seqs, seqs, owners, held, posted from moved m;
    if accounts is distinct from nullif(w_accounts, '{}') or posted > p_now + interval '10 seconds' then
      raise exception 'not plain' using errcode = 'PL000';
    end if;
    if posted > p_now then
      update ledger.balances b set last_posted_at = posted from (select unnest(w_accounts) as a) d where b.account_id = d.a and b.last_posted_at < posted;
    end if;
  exception when unique_violation or sqlstate 'PL000' then return;
  end;
  if has_steps then
    select array_agg(balances[u.p] + u.s), array_agg(seqs[u.p] + u.n), array_agg(owners[u.p]), array_agg(held[u.p])
      into g_balances, g_seqs, owners, held
      from (select unnest(g_places) as p, unnest(s_sums) as s, unnest(s_numbers) as n) u;
  end if;
  if infra.actor_kind() <> 'system' then t_actors := '{}'; end if;
  with written as (
    insert into ledger.transfers (id, posted_at, tx_id, key, kind, actor, description, metadata)
      select u.i, posted, tx, u.k, u.d, coalesce(u.w, who), u.t, u.m
        from (select unnest(t_ids) as i, unnest(t_keys) as k, unnest(t_kinds) as d, unnest(t_actors) as w, unnest(t_descriptions) as t,
          unnest(t_metadata) as m) u),
  told as (
    insert into infra.stream_pending (topic, users, type, data, at)
      select 'me:wallet', owners, 'wallet.changed', jsonb_build_object('transfer', to_jsonb(g_transfers),
          'asset', (select jsonb_agg((select k.code from ledger.assets k where k.id = (u.a >> 1) & 32767)) from (select unnest(g_accounts) as a) u),
          'amount', to_jsonb(g_amounts), 'balance', to_jsonb(g_balances), 'held', to_jsonb(held)), clock_timestamp()
        where cardinality(g_accounts) between 1 and 200
      union all select 'me:wallet', null, 'wallet.changed', '{}', clock_timestamp() where cardinality(g_accounts) > 200)
  insert into ledger.entries (transfer_id, posted_at, account_id, amount, seq, balance_after, tx_id, leg)
    select u.t, posted, u.a, u.x, u.s, u.b, tx, u.l
      from (select unnest(g_transfers) as t, unnest(g_legs) as l, unnest(g_accounts) as a, unnest(g_amounts) as x, unnest(g_seqs) as s,
          unnest(g_balances) as b
        union all select unnest(o_transfers), unnest(o_legs), unnest(o_accounts), unnest(o_amounts), null, null) u;
  return next;
end $$;

-- One open account pays the main wallets of many owners. Ids come rising, and are handed out and rows written in the order of the wallets, so that one
-- batch enters every index from left to right. Answers the payments (from 1) in the order of their ids, what was refused (place from 0, code, of:
-- source or wallet), and the keys that somebody had before.
create function ledger.fan_out(p_source text, p_asset smallint, p_kind text, p_keys text[], p_hashes bytea[], p_ids uuid[],
  p_owners uuid[], p_amounts bigint[], p_metadata jsonb[], p_now timestamptz, p_origin text default 'earned', p_expires timestamptz default null)
returns table (places bigint[], refused jsonb, taken jsonb) language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off set work_mem = '64MB' as $$
declare
  tx bigint := infra.tx_id(); who text := concat_ws(':', infra.actor_kind(), infra.actor_id());
  source bigint; source_status text; owners uuid[]; wallets bigint[]; moved_wallets bigint[]; amounts bigint[]; ids uuid[] := p_ids; keys text[]; metadata jsonb[];
  posted timestamptz[]; seqs bigint[]; balances bigint[]; refused_keys text[]; is_plain bool; has_lots bool;
begin
  if ledger.is_guarded(p_source) then
    raise exception 'only an open account pays many' using errcode = 'PL003';
  end if;
  -- wallets are looked up in the order of their owners: neighbours in the index are found in one page
  select array_agg(l.n), array_agg(l.wallet), array_agg(l.owner), array_agg(l.amount) into places, wallets, owners, amounts
    from (select u.n, u.owner, u.amount, (select a.id from ledger.accounts a
          where a.owner_id = u.owner and a.asset_id = p_asset and a.address = 'user:' || u.owner || ':main') as wallet
        from (select unnest(p_owners) as owner, generate_series(1, cardinality(p_owners))::bigint as n, unnest(p_amounts) as amount
          order by owner) u
        order by wallet, u.owner, u.n) l;
  select array_agg(u.id) into ids from (select unnest(places) as n, unnest(p_ids) as id order by n) u;
  select jsonb_agg(c) into taken from ledger.claim(p_keys, p_hashes, ids, '{}') c;
  select array_agg(u.id), array_agg(u.key), array_agg(u.metadata) into ids, keys, metadata
    from (select unnest(ids) as id, unnest(p_keys) as key, unnest(p_metadata) as metadata order by id) u;
  select a.id, a.status into source, source_status from ledger.accounts a where a.address = p_source and a.asset_id = p_asset;
  if source is null or array_position(wallets, null) is not null then
    perform ledger.make_accounts(d.a, array_fill(p_asset, array[cardinality(d.a)]), 0)
      from (select array_agg(distinct u.a) as a from (
          select p_source union all select 'user:' || v.owner || ':main'
            from (select unnest(owners) as owner, unnest(wallets) as wallet) v where v.wallet is null) u(a)) d;
    select a.id, a.status into source, source_status from ledger.accounts a where a.address = p_source and a.asset_id = p_asset;
    wallets := array(select coalesce(u.wallet, (select a.id from ledger.accounts a
          where a.owner_id = u.owner and a.asset_id = p_asset and a.address = 'user:' || u.owner || ':main'))
        from (select unnest(wallets) as wallet, unnest(owners) as owner) u);
  end if;
 -- The plain case: every key is new, and each of the wallets, rising, takes one payment. What has to wait or to be refused shows in
  -- the number of those that moved, and is undone.
  is_plain := taken is null and source_status = 'active' and wallets = array(select distinct u.w from unnest(wallets) u(w) order by u.w);
  if is_plain then
    begin
      with moved as (
        update ledger.balances b
          set balance = b.balance + d.amount, seq = b.seq + 1, last_posted_at = greatest(b.last_posted_at, p_now),
            lots = b.lots + d.amount
          from (select unnest(wallets) as wallet, unnest(amounts) as amount) d
          where b.account_id = d.wallet and b.status in ('active', 'no_debit') and b.balance <= 9007199254740991 - d.amount
          returning b.account_id, b.balance, b.seq, b.last_posted_at, b.lots)
      select array_agg(m.account_id), array_agg(m.balance), array_agg(m.seq), array_agg(m.last_posted_at), bool_or(m.lots is not null)
        into moved_wallets, balances, seqs, posted, has_lots from moved m;
      if moved_wallets is distinct from wallets then
        raise exception 'not plain' using errcode = 'PL000';
      end if;
    exception when sqlstate 'PL000' then is_plain := false;
    end;
  end if;
  if not is_plain then
    with judged as (
      select l.*, greatest(p_now, l.last_posted_at) as posted,
          case when taken is not null and (select k.ref_id from ledger.keys k where k.key = l.key) <> l.id then 'taken'
            when source_status = 'closed' or l.status = 'closed' then 'ledger.account_closed'
            when source_status <> 'active' or l.status = 'frozen' then 'ledger.account_frozen' end as code,
          case when source_status <> 'active' then 'source' else 'wallet' end as of
        from (select u.*, b.balance, b.seq, b.last_posted_at, b.status
          from (select unnest(places) as n, unnest(keys) as key, unnest(ids) as id, unnest(wallets) as wallet,
              unnest(amounts) as amount, unnest(metadata) as metadata order by wallet, n) u
            join ledger.balances b on b.account_id = u.wallet order by u.wallet, u.n for no key update of b) l),
    summed as (
      select j.n, j.key, j.id, j.wallet, j.amount, j.metadata, j.posted, j.code, j.of,
          j.balance + ledger.sum8(j.amount) filter (where j.code is null) over w as after,
          j.seq + count(*) filter (where j.code is null) over w as next
        from judged j window w as (partition by j.wallet order by j.n)),
    decided as (
      select s.n, s.key, s.id, s.wallet, s.amount, s.metadata, s.posted, s.after, s.next, s.of,
          case when s.code is null and s.after > 9007199254740991 then 'ledger.balance_limit' else s.code end as code
        from summed s order by s.id)
    select array_agg(d.id) filter (where d.code is null), array_agg(d.posted) filter (where d.code is null),
        array_agg(d.key) filter (where d.code is null), array_agg(d.metadata) filter (where d.code is null),
        array_agg(d.wallet) filter (where d.code is null), array_agg(d.amount) filter (where d.code is null),
        array_agg(d.next) filter (where d.code is null), array_agg(d.after) filter (where d.code is null),
        array_agg(d.key) filter (where d.code <> 'taken'),
        jsonb_agg(jsonb_build_object('n', d.n - 1, 'code', d.code, 'of', d.of)) filter (where d.code <> 'taken')
      into ids, posted, keys, metadata, wallets, amounts, seqs, balances, refused_keys, refused
      from decided d;
    delete from ledger.keys k where k.key = any (refused_keys) and k.tx_id = tx;
    has_lots := (select b.lots is not null from ledger.balances b where b.account_id = wallets[1]);
    if has_lots then
      perform ledger.move_lots(wallets, amounts, posted, '{}', '{}', jsonb_build_object('credits', true));
    else
      perform ledger.move(wallets, amounts, posted);
    end if;
  end if;
  if ids is null then
    return next;
    return;
  end if;
  insert into ledger.transfers (id, posted_at, tx_id, key, kind, actor, metadata)
    select u.i, u.p, tx, u.k, p_kind, who, u.m
      from (select unnest(ids) as i, unnest(posted) as p, unnest(keys) as k, unnest(metadata) as m) u;
  insert into ledger.entries (transfer_id, posted_at, account_id, amount, seq, balance_after, tx_id, leg)
    select u.t, u.p, case l.leg when 0 then source else u.a end, case l.leg when 0 then -u.x else u.x end, case l.leg when 1 then u.s end,
        case l.leg when 1 then u.b end, tx, l.leg
      from (select unnest(ids) as t, unnest(posted) as p, unnest(wallets) as a, unnest(amounts) as x, unnest(seqs) as s,
          unnest(balances) as b) u cross join (values (0::smallint), (1::smallint)) l(leg);
  if has_lots then
    perform ledger.open_lots(ids, wallets, amounts, p_origin, p_expires, p_now);
  end if;
  if (select k.limit_group from ledger.kinds k where k.code = p_kind) = 'loss' then
    perform ledger.add_wins(wallets, amounts, p_now);
  end if;
  perform ledger.tell(ids, wallets, amounts, seqs, balances);
  return next;
end $$;

-- Keep what a check found, once while it is open. The accounts of new findings are frozen: answers each with the status it had.
create function ledger.report(p_ids uuid[], p_checks text[], p_subjects text[], p_accounts bigint[], p_expected text[], p_actual text[],
  p_now timestamptz)
returns table (finding uuid, account bigint, was text) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare fresh uuid[];
begin
  with added as (
    insert into ledger.findings (id, check_code, subject, account_id, expected, actual, found_at)
      select u.i, u.c, u.s, u.a, u.e, u.x, p_now from unnest(p_ids, p_checks, p_subjects, p_accounts, p_expected, p_actual) u(i, c, s, a, e, x)
      on conflict (check_code, subject) where resolved_at is null do nothing returning id)
  select array_agg(d.id) into fresh from added d;
  perform 1 from ledger.balances b where b.account_id in (select f.account_id from ledger.findings f where f.id = any (fresh))
    order by b.account_id for no key update;
  return query select f.id, a.id, a.status from ledger.findings f
    left join ledger.accounts a on a.id = f.account_id and a.status in ('active', 'no_debit') where f.id = any (fresh);
  update ledger.balances b set status = 'frozen' from ledger.findings f
    where f.id = any (fresh) and b.account_id = f.account_id and b.status in ('active', 'no_debit');
  update ledger.accounts a set status = 'frozen' from ledger.findings f
    where f.id = any (fresh) and a.id = f.account_id and a.status in ('active', 'no_debit');
end $$;

-- An account whose status is to change: locked with its owner's wallet and debt of that asset, so that nothing is posted meanwhile.
create function ledger.lock_account(p_account bigint)
returns table (address text, asset text, owner_id uuid, status text, balance bigint, held bigint, debt bigint) language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  if infra.actor_kind() not in ('staff', 'system') then
    raise exception 'the status of an account is not its owner''s to change' using errcode = '42501';
  end if;
  perform 1 from ledger.balances b where b.account_id in (select o.id from ledger.accounts a
      join ledger.accounts o on o.owner_id = a.owner_id and o.asset_id = a.asset_id where a.id = p_account)
    order by b.account_id for no key update;
  return query select a.address, s.code, a.owner_id, a.status,
      coalesce(b.balance, (select ledger.sum8(e.amount) from ledger.entries e where e.account_id = a.id and e.seq is null)),
      coalesce(b.held, 0),
      coalesce((select d.balance from ledger.accounts o join ledger.balances d on d.account_id = o.id
        where o.address = 'user:' || a.owner_id || ':debt' and o.asset_id = a.asset_id), 0)
    from ledger.accounts a join ledger.assets s on s.id = a.asset_id left join ledger.balances b on b.account_id = a.id
    where a.id = p_account for no key update of a;
end $$;

-- Only an account in which nothing is, is held or is owed can be closed.
create function ledger.set_status(p_account bigint, p_status text) returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare found record;
begin
  select * into found from ledger.lock_account(p_account);
  if found.status = 'closed' or p_status = 'closed' and (found.balance <> 0 or found.held <> 0 or found.debt <> 0) then
    raise exception 'a closed account is empty, and stays closed' using errcode = 'PL005';
  end if;
  update ledger.balances b set status = p_status where b.account_id = p_account;
  update ledger.accounts a set status = p_status where a.id = p_account;
end $$;

-- The twin of infra.make_partition: a partition for the rows of one month; answers how many had to wait in the default one and moved.
-- Detached, that one has lost the triggers which would refuse it, and the parent's do not hear what is written into a partition.
create function ledger.make_partition(of_parent text, lower_at timestamptz, upper_at timestamptz) returns bigint language plpgsql
security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare child text := of_parent || to_char(lower_at, '"_"YYYY"_"MM'); stray text := of_parent || '_default'; crowded bool; moved bigint := 0;
begin
  if of_parent not in ('ledger.transfers', 'ledger.entries') then
    raise exception '% is not a partitioned table of the ledger', of_parent using errcode = '42501';
  end if;
  if lower_at <> date_trunc('month', lower_at) or upper_at <> lower_at + interval '1 month' then
    raise exception '% to % is not one month', lower_at, upper_at using errcode = '22023';
  end if;
  if exists (select 1 from infra.partitions p where p.parent = of_parent and p.from_at = lower_at) then return 0; end if;
  execute format('lock table %s in share update exclusive mode', of_parent);  -- one at a time, beside those who write
  if exists (select 1 from infra.partitions p where p.parent = of_parent and p.from_at = lower_at) then return 0; end if;
  execute format('lock table %s in access exclusive mode', stray);  -- or a row that comes now refuses the new partition
  execute format('select exists (select 1 from %s where posted_at >= $1 and posted_at < $2)', stray) into crowded using lower_at, upper_at;
  if crowded then
    execute format('alter table %s detach partition %s', of_parent, stray);
  end if;
  execute format('create table %s partition of %s for values from (%L) to (%L)', child, of_parent, lower_at, upper_at);
  execute format('create trigger no_truncate before truncate on %s execute function infra.refuse_change()', child);
  if crowded then
    execute format('insert into %s select * from %s where posted_at >= $1 and posted_at < $2', child, stray) using lower_at, upper_at;
    get diagnostics moved = row_count;
    execute format('delete from %s where posted_at >= $1 and posted_at < $2', stray) using lower_at, upper_at;
    execute format('alter table %s attach partition %s default', of_parent, stray);
  end if;
  insert into infra.partitions (parent, child, from_at, to_at) values (of_parent, child, lower_at, upper_at);
  return moved;
end $$;

revoke execute on all functions in schema ledger from public;
grant execute on function ledger.open_batch, ledger.write, ledger.post_plain, ledger.fan_out, ledger.report, ledger.make_partition,
  ledger.lock_account, ledger.set_status, ledger.sides to palio_app;
