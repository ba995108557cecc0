-- role: palio_ledger
-- reviewed: written by definer functions only, as everything of the ledger; readable through row security.
-- Corrections by staff, with their lines: at once the proposal, and the receipt of what became of it.
create table ledger.adjustments (
  id uuid primary key,
  maker uuid not null,
  checker uuid,
  status text not null check (status in ('pending', 'posted', 'rejected', 'cancelled', 'expired', 'failed')),
  reason text not null check (length(reason) between 10 and 500),
  note text not null default '' check (length(note) <= 500),  -- why it was decided so
  ticket text not null default '' check (length(ticket) <= 64),
  to_debt bool not null,
  asset_id smallint references ledger.assets,  -- with total_abs: null where the lines are of several assets
  total_abs bigint check (total_abs > 0),
  line_count smallint not null check (line_count between 1 and 1000),
  created_at timestamptz not null,
  expires_at timestamptz,
  decided_at timestamptz,
  check ((status = 'pending') = (decided_at is null)),
  check ((asset_id is null) = (total_abs is null)),
  check (checker <> maker));
create index on ledger.adjustments (maker, decided_at) where status = 'posted';
create index on ledger.adjustments (expires_at) where status = 'pending';

create table ledger.adjustment_lines (
  adjustment_id uuid not null references ledger.adjustments,
  n smallint not null,
  owner_id uuid not null,
  asset_id smallint not null references ledger.assets,
  amount bigint not null check (amount <> 0 and amount between -9007199254740991 and 9007199254740991),
  transfer_id uuid,
  refusal text,
  primary key (adjustment_id, n),
  check (transfer_id is null or refusal is null));
create index on ledger.adjustment_lines (owner_id, adjustment_id);

-- What was proposed stays as it was; it is decided once, and its lines are answered once.
create function ledger.adjustments_keep() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.status <> 'pending' or new.status = 'pending'
    or (new.id, new.maker, new.reason, new.ticket, new.to_debt, new.asset_id, new.total_abs, new.line_count, new.created_at, new.expires_at)
      is distinct from
      (old.id, old.maker, old.reason, old.ticket, old.to_debt, old.asset_id, old.total_abs, old.line_count, old.created_at, old.expires_at) then
    raise exception 'an adjustment is decided once, and kept' using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger adjustments_keep before update or delete on ledger.adjustments for each row execute function ledger.adjustments_keep();
create trigger no_truncate before truncate on ledger.adjustments execute function infra.refuse_change();

create function ledger.adjustment_lines_keep() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.transfer_id is not null or old.refusal is not null
    or (new.adjustment_id, new.n, new.owner_id, new.asset_id, new.amount)
      is distinct from (old.adjustment_id, old.n, old.owner_id, old.asset_id, old.amount) then
    raise exception 'a line of an adjustment is answered once, and kept' using errcode = 'PL004';
  end if;
  return new;
end $$;
create trigger adjustment_lines_keep before update or delete on ledger.adjustment_lines for each row
  execute function ledger.adjustment_lines_keep();
create trigger no_truncate before truncate on ledger.adjustment_lines execute function infra.refuse_change();

-- Row security: an owner sees his own lines, never who made them.
do $$ declare t text; begin
  foreach t in array array['adjustments', 'adjustment_lines'] loop
    execute format('alter table ledger.%I enable row level security', t);
    execute format('alter table ledger.%I force row level security', t);
    execute format('create policy operators on ledger.%I for all to palio_app
      using ((select infra.actor_kind()) in (''staff'', ''system'')) with check ((select infra.actor_kind()) in (''staff'', ''system''))', t);
    execute format('create policy definer on ledger.%I for all to palio_ledger using (true) with check (true)', t);
  end loop;
end $$;
create policy owner_sees on ledger.adjustment_lines for select to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on ledger.adjustment_lines for all to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
grant select on ledger.adjustments, ledger.adjustment_lines to palio_app;

-- The functions below are for staff and for the system.
create function ledger.require_operator() returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(infra.actor_kind(), '') not in ('staff', 'system') then
    raise exception 'only staff correct the ledger' using errcode = '42501';
  end if;
end $$;

-- Keep an adjustment with its lines; the transfers and refusals of one that waits are null.
create function ledger.keep_adjustment(p_id uuid, p_maker uuid, p_status text, p_reason text, p_ticket text, p_to_debt bool,
  p_created timestamptz, p_expires timestamptz, p_owners uuid[], p_assets smallint[], p_amounts bigint[], p_transfers uuid[], p_refusals text[])
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare own smallint := case when p_assets[1] = all (p_assets) then p_assets[1] end;
begin
  perform ledger.require_operator();
  insert into ledger.adjustments (id, maker, status, reason, ticket, to_debt, asset_id, total_abs, line_count, created_at, expires_at, decided_at)
    values (p_id, p_maker, p_status, p_reason, p_ticket, p_to_debt, own,
      case when own is not null then (select ledger.sum8(abs(a)) from unnest(p_amounts) a) end, cardinality(p_owners), p_created,
      case when p_status = 'pending' then p_expires end, case when p_status <> 'pending' then p_created end);
  insert into ledger.adjustment_lines (adjustment_id, n, owner_id, asset_id, amount, transfer_id, refusal)
    select p_id, u.n, u.o, u.s, u.a, u.t, u.r
    from unnest(p_owners, p_assets, p_amounts, p_transfers, p_refusals) with ordinality u(o, s, a, t, r, n);
end $$;

-- Have an adjustment for oneself until the transaction ends.
create function ledger.lock_adjustment(p_id uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform ledger.require_operator();
  perform 1 from ledger.adjustments a where a.id = p_id for update;
end $$;

-- Decide an adjustment, and note down what became of its lines; nulls where nothing was tried.
create function ledger.close_adjustment(p_id uuid, p_status text, p_checker uuid, p_note text, p_now timestamptz,
  p_numbers smallint[], p_transfers uuid[], p_refusals text[])
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform ledger.require_operator();
  update ledger.adjustments a set status = p_status, checker = p_checker, note = p_note, decided_at = p_now where a.id = p_id;
  update ledger.adjustment_lines l set transfer_id = u.t, refusal = u.r
    from unnest(p_numbers, p_transfers, p_refusals) u(n, t, r) where l.adjustment_id = p_id and l.n = u.n;
end $$;

revoke execute on function ledger.require_operator, ledger.keep_adjustment, ledger.lock_adjustment, ledger.close_adjustment,
  ledger.adjustments_keep, ledger.adjustment_lines_keep from public;
grant execute on function ledger.keep_adjustment, ledger.lock_adjustment, ledger.close_adjustment to palio_app;
