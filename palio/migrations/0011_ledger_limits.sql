-- role: palio_ledger
-- reviewed: written by definer functions alone, like everything of the ledger; owners see their own rows.
-- Points that expire, and what players allow themselves.

-- What came in at once, and what is left of it. An asset that has lots has them for everything: the lots of a wallet add up to its balance,
-- and what is held of them to what is held there. transfer_id is null for what was there before.
create table ledger.lots (
  id uuid primary key,
  account_id bigint not null,
  owner_id uuid not null,
  transfer_id uuid,
  origin text not null check (origin in ('earned', 'paid', 'bonus')),
  amount bigint not null check (amount between 1 and 9007199254740991),
  remaining bigint not null,
  held bigint not null default 0,
  expired bigint not null default 0,
  expires_at timestamptz,
  opened_at timestamptz not null,
  check (held >= 0 and expired >= 0 and held <= remaining and remaining + expired <= amount));
create index on ledger.lots (account_id, expires_at, id) where remaining > 0;
create index on ledger.lots (expires_at) where remaining > held;

-- Which lots a hold protects: their part of it is spent by its captures alone, and outlives the end of the lot with it.
create table ledger.held_lots (
  hold_id uuid not null,
  lot_id uuid not null references ledger.lots,
  owner_id uuid not null,
  amount bigint not null check (amount >= 0),
  primary key (hold_id, lot_id));
create index on ledger.held_lots (lot_id);

-- Which lots a transfer has spent, so that taking it back gives them back with the end they had.
create table ledger.lot_uses (
  transfer_id uuid not null,
  lot_id uuid not null references ledger.lots,
  owner_id uuid not null,
  amount bigint not null check (amount > 0),
  returned bigint not null default 0,
  primary key (transfer_id, lot_id),
  check (returned between 0 and amount));
create index on ledger.lot_uses (lot_id);

-- What an owner allows himself of an asset, and from when he may have more (null: as much as he likes).
create table ledger.limits (
  owner_id uuid not null,
  asset_id smallint not null,
  limit_group text not null check (limit_group in ('stake', 'spend', 'loss', 'deposit')),
  period text not null check (period in ('day', 'week', 'month')),
  amount bigint check (amount between 0 and 9007199254740991),
  pending_amount bigint check (pending_amount between 0 and 9007199254740991),
  pending_from timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  primary key (owner_id, asset_id, limit_group, period),
  check (pending_amount is null or pending_from is not null));

-- What counts in a period. A loss is what was staked less what was won, so it may be below nothing.
create table ledger.limit_usage (
  owner_id uuid not null,
  asset_id smallint not null,
  limit_group text not null check (limit_group in ('stake', 'spend', 'loss', 'deposit')),
  period_key text collate "C" not null,
  used bigint not null,
  primary key (owner_id, asset_id, limit_group, period_key)) with (fillfactor = 70);

-- What is left in the lots of a wallet, and held of it. The triggers of lots count it, and nobody else: so what a statement changes can be
-- checked without adding up the other lots of the wallet.
create table ledger.lot_sums (
  account_id bigint primary key, remaining bigint not null, held bigint not null,
  check (held >= 0 and held <= remaining)) with (fillfactor = 70);

create function ledger.count_lots() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into ledger.lot_sums as s (account_id, remaining, held)
      select f.account_id, ledger.sum8(f.remaining), ledger.sum8(f.held) from fresh f group by f.account_id order by f.account_id
      on conflict (account_id) do update set remaining = s.remaining + excluded.remaining, held = s.held + excluded.held;
  else
    update ledger.lot_sums s set remaining = s.remaining + d.remaining, held = s.held + d.held
      from (select c.account_id, ledger.sum8(c.remaining) as remaining, ledger.sum8(c.held) as held
        from (select account_id, remaining, held from fresh union all select account_id, -remaining, -held from stale) c
        group by c.account_id) d
      where s.account_id = d.account_id;
  end if;
  return null;
end $$;
-- At the end of the transaction: a statement that opens and changes lots of a wallet has counted but a part of it when the first of its
-- triggers is through.
create function ledger.lots_check() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (select row(coalesce(b.lots, 0), case when b.lots is null then 0 else b.held end)
      from ledger.balances b where b.account_id = new.account_id) is distinct from (
        select row(s.remaining, s.held) from ledger.lot_sums s where s.account_id = new.account_id) then
    raise exception 'the lots of a wallet are not what is in it' using errcode = 'PL007';
  end if;
  return null;
end $$;
create constraint trigger lots_check after insert or update on ledger.lot_sums deferrable initially deferred
  for each row execute function ledger.lots_check();
create trigger lots_opened after insert on ledger.lots referencing new table as fresh
  for each statement execute function ledger.count_lots();
create trigger lots_changed after update on ledger.lots referencing old table as stale new table as fresh
  for each statement execute function ledger.count_lots();
create trigger same_lot before update on ledger.lots for each row
  when ((old.id, old.account_id, old.owner_id, old.transfer_id, old.origin, old.amount, old.expires_at, old.opened_at)
    is distinct from (new.id, new.account_id, new.owner_id, new.transfer_id, new.origin, new.amount, new.expires_at, new.opened_at)
    or new.expired < old.expired) execute function infra.refuse_change();
do $$ declare t text; begin
  foreach t in array array['lots', 'held_lots', 'lot_uses', 'limits', 'limit_usage'] loop
    execute format('create trigger no_truncate before truncate on ledger.%I execute function infra.refuse_change()', t);
    execute format('create trigger kept before delete on ledger.%I for each row execute function infra.refuse_change()', t);
    execute format('create policy owner_sees on ledger.%I for select to palio_app
      using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in (''player'', ''viewer''))', t);
    execute format('create policy owner_writes on ledger.%I for all to palio_app
      using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = ''player'')
      with check (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = ''player'')', t);
    execute format('alter table ledger.%I enable row level security', t);
    execute format('alter table ledger.%I force row level security', t);
    execute format('create policy operators on ledger.%I for all to palio_app
      using ((select infra.actor_kind()) in (''staff'', ''system'')) with check ((select infra.actor_kind()) in (''staff'', ''system''))', t);
    execute format('create policy definer on ledger.%I for all to palio_ledger using (true) with check (true)', t);
  end loop;
end $$;
alter table ledger.lot_sums enable row level security;
alter table ledger.lot_sums force row level security;
create policy definer on ledger.lot_sums for all to palio_ledger using (true) with check (true);
create trigger no_truncate before truncate on ledger.lot_sums execute function infra.refuse_change();
create trigger kept before delete on ledger.lot_sums for each row execute function infra.refuse_change();
grant select on ledger.lots, ledger.held_lots, ledger.lot_uses, ledger.limits, ledger.limit_usage to palio_app;

-- What of a wallet has expired by then and is under no hold: no longer there to spend, whether or not the job has come for it.
create function ledger.lapsed(p_account bigint, p_at timestamptz) returns bigint language sql stable set search_path = pg_catalog, pg_temp
  return (select coalesce(sum(l.remaining - l.held), 0)::bigint from ledger.lots l
    where l.account_id = p_account and l.remaining > 0 and l.expires_at <= p_at);
create or replace view ledger.wallets with (security_invoker = on) as
  select b.account_id, b.owner_id, s.code as asset, b.balance, b.held as frozen,
    b.balance - b.held - case when b.lots is null then 0 else ledger.lapsed(b.account_id, statement_timestamp()) end as available,
    b.last_posted_at
  from ledger.balances b join ledger.accounts a on a.id = b.account_id join ledger.assets s on s.id = a.asset_id
  where a.address = 'user:' || a.owner_id || ':main';

-- The part of holds_check that looks at lots.
create function ledger.held_lots_check(p_accounts bigint[], p_holds uuid[]) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from ledger.balances b where b.account_id = any (p_accounts) and b.held <> (
        select coalesce(max(s.held), 0) from ledger.lot_sums s where s.account_id = b.account_id))
      or exists (select 1 from ledger.holds h where h.id = any (p_holds) and h.amount - h.captured - h.released <> (
        select ledger.sum8(p.amount) from ledger.held_lots p where p.hold_id = h.id)) then
    raise exception 'what is held is not held of lots' using errcode = 'PL007';
  end if;
end $$;

-- Lots of wallets that are locked: the first `page` of those of which something is left, the earliest end first; those the holds are of,
-- and how much; and what the originals have spent and not got back, whose lots are among them. Who has more than a page is read on.
create function ledger.read_lots(p_accounts bigint[], p_holds uuid[], p_originals uuid[]) returns jsonb language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare page int := 200;
begin
  return jsonb_build_object('page', page,
    'lots', (select jsonb_agg(jsonb_build_array(l.id, l.account_id, l.transfer_id, l.remaining, l.held, l.expired, l.expires_at)
        order by l.account_id, l.expires_at nulls last, l.id)
      from ledger.lots l where l.id = any (array(
        select o.id from unnest(p_accounts) a(id) cross join lateral (select i.id from ledger.lots i
          where i.account_id = a.id and i.remaining > 0 order by i.expires_at, i.id limit page) o
        union select p.lot_id from ledger.held_lots p where p.hold_id = any (p_holds) and p.amount > 0
        union select u.lot_id from ledger.lot_uses u where u.transfer_id = any (p_originals) and u.returned < u.amount))),
    'held', (select jsonb_agg(jsonb_build_array(p.hold_id, p.lot_id, p.amount)) from ledger.held_lots p
      where p.hold_id = any (p_holds) and p.amount > 0),
    'uses', (select jsonb_agg(jsonb_build_array(u.transfer_id, u.lot_id, u.amount - u.returned)) from ledger.lot_uses u
      where u.transfer_id = any (p_originals) and u.returned < u.amount));
end $$;

-- On from there, for wallets that are locked: of each the lots that go before `needs` is reached, those asked for by number, and what is
-- over of each and under no hold.
create function ledger.read_lots_on(p_accounts bigint[], p_needs bigint[], p_lots uuid[], p_now timestamptz) returns jsonb language plpgsql
security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return jsonb_build_object(
    'lots', (select jsonb_agg(jsonb_build_array(l.id, l.account_id, l.transfer_id, l.remaining, l.held, l.expired, l.expires_at))
      from ledger.lots l where l.id = any (array(
        select w.id from unnest(p_accounts, p_needs) u(account, need) cross join lateral (
          select i.id, ledger.sum8(i.remaining - i.held) over (order by i.expires_at, i.id rows unbounded preceding) - i.remaining + i.held
            as before
          from ledger.lots i where i.account_id = u.account and i.remaining > 0 and (i.expires_at > p_now or i.expires_at is null)) w
          where w.before < u.need
        union select unnest(p_lots)))),
    'lapsed', (select jsonb_agg(jsonb_build_array(a.id, ledger.lapsed(a.id, p_now))) from unnest(p_accounts) a(id)));
end $$;

-- As move_held, where wallets have lots: their sums change by those of the lots handed in, and by all credits of a fan-out.
create function ledger.move_lots(e_accounts bigint[], e_amounts bigint[], e_posted timestamptz[], h_accounts bigint[], h_amounts bigint[],
  p_lots jsonb) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = on as $$
declare touched bigint[] := e_accounts || h_accounts; l_accounts bigint[] := e_accounts; l_amounts bigint[] := e_amounts;
begin
  if not p_lots ? 'credits' then
    select array_agg(u.account_id), array_agg(u.amount) into l_accounts, l_amounts from (
      select (o ->> 1)::bigint as account_id, (o ->> 5)::bigint as amount from jsonb_array_elements(p_lots -> 'opened') o
      union all select (select l.account_id from ledger.lots l where l.id = (c ->> 0)::uuid), (c ->> 1)::bigint
        from jsonb_array_elements(p_lots -> 'changed') c) u;
  end if;
  update ledger.balances b set balance = b.balance + d.amount, held = b.held + d.held, lots = b.lots + d.lots, seq = b.seq + d.n,
      last_posted_at = greatest(b.last_posted_at, d.posted)
    from (select u.a as account_id, ledger.sum8(u.x) as amount, ledger.sum8(u.h) as held, ledger.sum8(u.l) as lots, count(u.x) as n,
          max(u.p) as posted
        from (select unnest(e_accounts) as a, unnest(e_amounts) as x, unnest(e_posted) as p, null::bigint as h, null::bigint as l
          union all select unnest(h_accounts), null, null, unnest(h_amounts), null
          union all select unnest(l_accounts), null, null, null, unnest(l_amounts)) u where u.a & 1 = 1 group by u.a) d
    where b.account_id = d.account_id and b.account_id = any (touched);
end $$;

-- What becomes of lots in a batch: opened (id, account, transfer, origin, amount, what is left, what of it is held, end), changed (id, what
-- its rest, its held and its expired part change by), set_aside and freed (hold, lot, amount), spent and returned (transfer, lot, amount).
create function ledger.write_lots(p_lots jsonb, p_now timestamptz) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
begin
  with changed as (
    update ledger.lots l set remaining = l.remaining + c.remaining, held = l.held + c.held, expired = l.expired + c.expired
      from (select (c ->> 0)::uuid as id, (c ->> 1)::bigint as remaining, (c ->> 2)::bigint as held, (c ->> 3)::bigint as expired
        from jsonb_array_elements(p_lots -> 'changed') c) c
      where l.id = c.id)
  insert into ledger.lots (id, account_id, owner_id, transfer_id, origin, amount, remaining, held, expires_at, opened_at)
    select (o ->> 0)::uuid, b.account_id, b.owner_id, (o ->> 2)::uuid, o ->> 3, (o ->> 4)::bigint, (o ->> 5)::bigint, (o ->> 6)::bigint,
        (o ->> 7)::timestamptz, p_now
      from jsonb_array_elements(p_lots -> 'opened') o join ledger.balances b on b.account_id = (o ->> 1)::bigint;
  insert into ledger.held_lots (hold_id, lot_id, owner_id, amount)
    select (p ->> 0)::uuid, l.id, l.owner_id, (p ->> 2)::bigint
      from jsonb_array_elements(p_lots -> 'set_aside') p join ledger.lots l on l.id = (p ->> 1)::uuid;
  update ledger.held_lots h set amount = h.amount - p.amount
    from (select (p ->> 0)::uuid as hold_id, (p ->> 1)::uuid as lot_id, (p ->> 2)::bigint as amount
      from jsonb_array_elements(p_lots -> 'freed') p) p
    where h.hold_id = p.hold_id and h.lot_id = p.lot_id;
  insert into ledger.lot_uses (transfer_id, lot_id, owner_id, amount)
    select (u ->> 0)::uuid, l.id, l.owner_id, (u ->> 2)::bigint
      from jsonb_array_elements(p_lots -> 'spent') u join ledger.lots l on l.id = (u ->> 1)::uuid;
  update ledger.lot_uses u set returned = u.returned + r.amount
    from (select (r ->> 0)::uuid as transfer_id, (r ->> 1)::uuid as lot_id, (r ->> 2)::bigint as amount
      from jsonb_array_elements(p_lots -> 'returned') r) r
    where u.transfer_id = r.transfer_id and u.lot_id = r.lot_id;
end $$;

-- The lots of a fan-out: one for each payment, which has its number.
create function ledger.open_lots(p_transfers uuid[], p_accounts bigint[], p_amounts bigint[], p_origin text, p_expires timestamptz,
  p_now timestamptz) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
begin
  insert into ledger.lots (id, account_id, owner_id, transfer_id, origin, amount, remaining, expires_at, opened_at)
    select u.t, u.a, b.owner_id, u.t, p_origin, u.x, u.x, p_expires, p_now
      from (select unnest(p_transfers) as t, unnest(p_accounts) as a, unnest(p_amounts) as x) u
      join ledger.balances b on b.account_id = u.a;
end $$;

-- The day, the ISO week and the month of an instant, in UTC.
create function ledger.period_keys(p_at timestamptz) returns text[] language sql immutable set search_path = pg_catalog, pg_temp
  return array[to_char(p_at at time zone 'UTC', '"D:"YYYY-MM-DD'), to_char(p_at at time zone 'UTC', '"W:"IYYY"-W"IW'),
    to_char(p_at at time zone 'UTC', '"M:"YYYY-MM')];

-- What owners of locked wallets allow themselves, and what counts of this day, week and month.
create function ledger.read_limits(p_owners uuid[], p_assets smallint[], p_now timestamptz) returns jsonb language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare names text[] := ledger.period_keys(p_now);
begin
  return jsonb_build_object(
    'limits', (select jsonb_agg(jsonb_build_array(u.owner, u.code, l.limit_group, l.period, l.amount, l.pending_amount, l.pending_from))
      from (select w.owner, w.asset, (select s.code from ledger.assets s where s.id = w.asset) as code
        from (select unnest(p_owners) as owner, unnest(p_assets) as asset) w) u
      -- one look-up each, whatever is thought of their number
      cross join lateral (select * from ledger.limits i where i.owner_id = u.owner and i.asset_id = u.asset limit 12) l),
    'usage', (select jsonb_agg(jsonb_build_array(u.owner, u.code, g.limit_group, g.period_key, g.used))
      from (select w.owner, w.asset, (select s.code from ledger.assets s where s.id = w.asset) as code
        from (select unnest(p_owners) as owner, unnest(p_assets) as asset) w) u
      cross join lateral (select * from ledger.limit_usage i where i.owner_id = u.owner and i.asset_id = u.asset
        and i.limit_group = any (array['stake', 'spend', 'loss', 'deposit']) and i.period_key = any (names) limit 12) g));
end $$;

-- Count more or less: [owner, asset, group, period, by how much]. Whoever does holds the wallet of that owner and asset. Only a loss falls
-- below nothing; of what was never counted there is nothing to give back.
create function ledger.add_usage(p_usage jsonb) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  insert into ledger.limit_usage as g (owner_id, asset_id, limit_group, period_key, used)
    select u.owner, s.id, u.name, u.key, u.used
      from (select (u ->> 0)::uuid as owner, u ->> 1 as code, u ->> 2 as name, u ->> 3 as key, (u ->> 4)::bigint as used
        from jsonb_array_elements(p_usage) u) u join ledger.assets s on s.code = u.code
      where u.used > 0 or u.name = 'loss' or exists (select 1 from ledger.limit_usage o
        where o.owner_id = u.owner and o.asset_id = s.id and o.limit_group = u.name and o.period_key = u.key)
      order by 1, 2, 3, 4
    on conflict (owner_id, asset_id, limit_group, period_key) do update
      set used = case g.limit_group when 'loss' then g.used + excluded.used else greatest(0, g.used + excluded.used) end;
end $$;

-- What a fan-out pays as wins takes from the losses of their owners.
create function ledger.add_wins(p_accounts bigint[], p_amounts bigint[], p_now timestamptz) returns void language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
begin
  insert into ledger.limit_usage as g (owner_id, asset_id, limit_group, period_key, used)
    select b.owner_id, (u.a >> 1) & 32767, 'loss', k.name, -ledger.sum8(u.x)
      from (select unnest(p_accounts) as a, unnest(p_amounts) as x) u join ledger.balances b on b.account_id = u.a
      cross join unnest(ledger.period_keys(p_now)) k(name) group by 1, 2, 4 order by 1, 2, 4
    on conflict (owner_id, asset_id, limit_group, period_key) do update set used = g.used + excluded.used;
end $$;

create function ledger.is_for(p_owner uuid) returns bool language sql stable set search_path = pg_catalog, pg_temp
  return infra.actor_kind() in ('staff', 'system') or infra.actor_kind() = 'player' and p_owner = infra.actor_id();

-- A limit that is to change, made if there is none: nobody else changes it meanwhile.
create function ledger.lock_limit(p_owner uuid, p_asset smallint, p_group text, p_period text)
returns table (amount bigint, pending_amount bigint, pending_from timestamptz) language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  if not ledger.is_for(p_owner) then
    raise exception 'the limits of somebody else' using errcode = '42501';
  end if;
  insert into ledger.limits (owner_id, asset_id, limit_group, period) values (p_owner, p_asset, p_group, p_period) on conflict do nothing;
  return query select l.amount, l.pending_amount, l.pending_from from ledger.limits l
    where l.owner_id = p_owner and l.asset_id = p_asset and l.limit_group = p_group and l.period = p_period for update;
end $$;
create function ledger.put_limit(p_owner uuid, p_asset smallint, p_group text, p_period text, p_amount bigint, p_pending bigint,
  p_from timestamptz) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not ledger.is_for(p_owner) then
    raise exception 'the limits of somebody else' using errcode = '42501';
  end if;
  update ledger.limits l set amount = p_amount, pending_amount = p_pending, pending_from = p_from
    where l.owner_id = p_owner and l.asset_id = p_asset and l.limit_group = p_group and l.period = p_period;
end $$;

-- Count what never touches a wallet, for wallets that the caller has locked.
create function ledger.count_usage(p_usage jsonb) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if infra.actor_kind() not in ('staff', 'system') and exists (
      select 1 from jsonb_array_elements(p_usage) u where not ledger.is_for((u ->> 0)::uuid)) then
    raise exception 'what somebody else has used' using errcode = '42501';
  end if;
  perform ledger.add_usage(p_usage);
end $$;

-- What of an asset may change: not what its entries mean. Where it begins to have lots, each wallet has one of everything in it, without
-- end; where it ceases to, what is left is left without end. Wallets stand still meanwhile, and nobody makes new ones.
create function ledger.change_asset(p_asset smallint, p_name text, p_giftable bool, p_withdrawable bool, p_lots bool, p_active bool,
  p_now timestamptz) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare had_lots bool;
begin
  if infra.actor_kind() not in ('staff', 'system') then
    raise exception 'assets are changed by staff' using errcode = '42501';
  end if;
  select s.lots into had_lots from ledger.assets s where s.id = p_asset for update;
  update ledger.assets s set name = p_name, giftable = p_giftable, withdrawable = p_withdrawable, lots = p_lots, active = p_active
    where s.id = p_asset;
  if p_lots = had_lots then return; end if;
  perform 1 from ledger.accounts a join ledger.balances b on b.account_id = a.id
    where a.asset_id = p_asset and a.address like 'user:%:main' order by b.account_id for no key update of b;
  if p_lots then
    update ledger.balances b set lots = b.balance from ledger.accounts a
      where a.id = b.account_id and a.asset_id = p_asset and a.address like 'user:%:main';
    insert into ledger.lots (id, account_id, owner_id, origin, amount, remaining, held, opened_at)
      select gen_random_uuid(), b.account_id, b.owner_id, 'earned', b.balance, b.balance, b.held, p_now
        from ledger.balances b join ledger.accounts a on a.id = b.account_id
        where a.asset_id = p_asset and b.lots is not null and b.balance > 0;
    insert into ledger.held_lots (hold_id, lot_id, owner_id, amount)
      select h.id, l.id, h.owner_id, h.amount - h.captured - h.released
        from ledger.holds h join ledger.lots l on l.account_id = h.account_id and l.remaining > 0 join ledger.accounts a on a.id = h.account_id
        where a.asset_id = p_asset and h.state = 'open';
  else
    update ledger.balances b set lots = null from ledger.accounts a where a.id = b.account_id and a.asset_id = p_asset and b.lots is not null;
    update ledger.held_lots p set amount = 0 from ledger.lots l join ledger.accounts a on a.id = l.account_id
      where l.id = p.lot_id and a.asset_id = p_asset and p.amount > 0;
    update ledger.lots l set remaining = 0, held = 0 from ledger.accounts a
      where a.id = l.account_id and a.asset_id = p_asset and l.remaining > 0;
  end if;
end $$;

revoke execute on all functions in schema ledger from public;
grant execute on function ledger.lapsed, ledger.read_lots_on, ledger.lock_limit, ledger.put_limit, ledger.count_usage, ledger.change_asset to palio_app;
