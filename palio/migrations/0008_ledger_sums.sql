-- role: palio_ledger
-- Sums that are kept up to date: what open accounts hold, day by day, and what the archive has taken.

-- reviewed: hiding is a mark in lists; balances, entries and sums never read it.
-- What an owner, or staff with a reason, leave out of the list of his movements. Nothing is undone by it.
create table ledger.hidden (
  account_id bigint not null,
  seq bigint not null check (seq > 0),
  owner_id uuid not null,
  hidden_at timestamptz not null,
  hidden_by text not null,
  reason text,
  primary key (account_id, seq));
alter table ledger.hidden enable row level security;
alter table ledger.hidden force row level security;
create policy owner_sees on ledger.hidden for select to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) in ('player', 'viewer'));
create policy owner_writes on ledger.hidden for all to palio_app
  using (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player')
  with check (owner_id = (select infra.actor_id()) and (select infra.actor_kind()) = 'player');
create policy operators on ledger.hidden for all to palio_app
  using ((select infra.actor_kind()) in ('staff', 'system')) with check ((select infra.actor_kind()) in ('staff', 'system'));
create policy definer on ledger.hidden for all to palio_ledger using (true) with check (true);
grant select on ledger.hidden to palio_app;

-- Does a wallet belong to whoever acts, or is he an operator? Whoever only looks changes nothing.
create function ledger.may_hide(p_owner uuid) returns bool language sql stable set search_path = pg_catalog, pg_temp
  return infra.actor_kind() in ('staff', 'system') or infra.actor_kind() = 'player' and p_owner = infra.actor_id();

-- Hide lines of a main wallet, or show them again; answers how many were not so before. Lines that are not there are passed over.
create function ledger.hide(p_owner uuid, p_asset text, p_seqs bigint[], p_reason text, p_now timestamptz) returns bigint language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare changed bigint;
begin
  if ledger.may_hide(p_owner) is not true then return 0; end if;
  insert into ledger.hidden (account_id, seq, owner_id, hidden_at, hidden_by, reason)
    select e.account_id, e.seq, p_owner, p_now, concat_ws(':', infra.actor_kind(), infra.actor_id()), nullif(p_reason, '')
      from ledger.accounts a join ledger.assets s on s.id = a.asset_id join ledger.entries e on e.account_id = a.id
      where a.address = 'user:' || p_owner || ':main' and s.code = p_asset and e.seq = any (p_seqs)
      order by e.seq
    on conflict do nothing;
  get diagnostics changed = row_count;
  return changed;
end $$;
create function ledger.unhide(p_owner uuid, p_asset text, p_seqs bigint[]) returns bigint language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare changed bigint;
begin
  if ledger.may_hide(p_owner) is not true then return 0; end if;
  delete from ledger.hidden h using ledger.accounts a, ledger.assets s
    where a.address = 'user:' || p_owner || ':main' and s.id = a.asset_id and s.code = p_asset
      and h.account_id = a.id and h.seq = any (p_seqs);
  get diagnostics changed = row_count;
  return changed;
end $$;

-- Is a transfer about something: is that the subject of the hold it was paid from, or a fact of its metadata, alone or with its name? With
-- the rights of whoever asks; not inlined and called cheap, so that a list which asks for nothing like it is planned once and for all.
create function ledger.is_about(p_hold uuid, p_metadata jsonb, p_subject text) returns bool language sql stable cost 1
set search_path = pg_catalog, pg_temp
return exists (select from ledger.holds h where h.id = p_hold and h.subject = p_subject)
  or exists (select from jsonb_each_text(p_metadata) m where p_subject in (m.value, m.key || ':' || m.value));

-- How much of transfers was taken back from what an owner has and owes, with the rights of whoever asks. A function keeps its plan: over many
-- months, planning costs more than looking. A debt account counts where the original did not touch it: there it stands in for the wallet.
create function ledger.taken_back(p_owner uuid, p_asset text, p_transfers uuid[], p_since timestamptz)
returns table (transfer_id uuid, amount bigint) language plpgsql stable
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
begin
  return query select t.reverses_id, abs(sum(e.amount))::bigint
    from ledger.transfers t
    join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at and e.seq is not null
    join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
    where t.reverses_id = any (p_transfers) and t.posted_at >= p_since and a.owner_id = p_owner and s.code = p_asset
      and (a.address like '%:main' or not exists (
        select from ledger.entries o where o.transfer_id = t.reverses_id and o.account_id = e.account_id))
    group by t.reverses_id;
end $$;
revoke execute on function ledger.may_hide, ledger.hide, ledger.unhide, ledger.is_about, ledger.taken_back from public;
grant execute on function ledger.hide, ledger.unhide, ledger.is_about, ledger.taken_back to palio_app;
