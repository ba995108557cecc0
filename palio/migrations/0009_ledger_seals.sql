-- role: palio_ledger
-- reviewed: seals are appended only, by one function, which goes on where the chain ends; what a player may see of a leaf is his own.
-- Seals over transfers, by the scheme of infra.seals.

-- What a seal says of a transfer: all of it, with its legs in their order, and whose accounts these are.
create view ledger.leaves as
  select t.tx_id, t.id, t.posted_at as at, json_build_object(
      'id', t.id, 'posted_at', to_char(t.posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'tx_id', t.tx_id, 'key', t.key,
      'kind', t.kind, 'actor', t.actor, 'description', t.description, 'metadata', t.metadata, 'reverses_id', t.reverses_id,
      'hold_id', t.hold_id, 'entries', (
        select json_agg(json_build_object(
            'transfer_id', e.transfer_id, 'posted_at', to_char(e.posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'account_id', e.account_id, 'address', a.address, 'asset', s.code, 'amount', e.amount, 'seq', e.seq,
            'balance_after', e.balance_after, 'tx_id', e.tx_id, 'leg', e.leg) order by e.leg)
          from ledger.entries e left join ledger.accounts a on a.id = e.account_id left join ledger.assets s on s.id = a.asset_id
          where e.transfer_id = t.id and e.posted_at = t.posted_at))::text as content
  from ledger.transfers t;

create table ledger.seals (
  n bigint primary key, from_tx bigint not null, to_tx bigint not null, rows int not null check (rows >= 0), root bytea not null,
  sums jsonb not null, prev bytea not null, head bytea not null, key_id int not null, signature bytea not null, sealed_at timestamptz not null,
  check (octet_length(root) = 32 and octet_length(prev) = 32 and octet_length(head) = 32 and octet_length(signature) = 64));
create table ledger.seal_leaves (n bigint primary key references ledger.seals, leaves bytea not null check (octet_length(leaves) % 32 = 0));
alter table ledger.seal_leaves alter column leaves set storage external;  -- digests cannot be compressed
do $$ declare t text; begin
  foreach t in array array['seals', 'seal_leaves'] loop
    execute format('create trigger append_only before update or delete on ledger.%I for each row execute function infra.refuse_change()', t);
    execute format('create trigger no_truncate before truncate on ledger.%I execute function infra.refuse_change()', t);
  end loop;
end $$;
-- The rows of a block, and where the next one ends, as of infra; they see every transfer, so only the house may ask. Plans are fixed: what
-- statistics say of the newest transfers is wrong when it matters.
create function ledger.block_end(p_from bigint, p_rows int) returns bigint language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare horizon bigint := infra.tx_horizon(); cut bigint;
begin
  select t.tx_id into cut from ledger.transfers t where t.tx_id >= p_from and t.tx_id < horizon order by t.tx_id offset p_rows limit 1;
  if cut is null then return horizon; end if;
  return case when exists (select 1 from ledger.transfers t where t.tx_id >= p_from and t.tx_id < cut) then cut else cut + 1 end;
end $$;
create function ledger.block(p_from bigint, p_to bigint) returns table (tx_id bigint, id text, content text) language plpgsql stable
security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if infra.actor_kind() not in ('staff', 'system') then
    raise exception 'only the house reads everybody''s transfers' using errcode = '42501';
  end if;
  return query select l.tx_id, l.id::text, l.content from ledger.leaves l where l.tx_id >= p_from and l.tx_id < p_to order by l.tx_id, l.id;
end $$;
create function ledger.waits_since(p_before timestamptz) returns bool language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare first bigint := coalesce((select s.to_tx from ledger.seals s order by s.n desc limit 1), 0);
begin
  return exists (select 1 from ledger.transfers t where t.tx_id >= first and t.posted_at < p_before);
end $$;
create function ledger.append_seal(p_n bigint, p_from bigint, p_to bigint, p_rows int, p_first text, p_last text, p_root bytea, p_sums text,
  p_prev bytea, p_head bytea, p_key int, p_signature bytea, p_sealed_at timestamptz, p_leaves bytea) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare last ledger.seals;
begin
  select * into last from ledger.seals order by n desc limit 1;
  if p_n <> coalesce(last.n, 0) + 1 or p_from <> coalesce(last.to_tx, 0) or p_prev <> coalesce(last.head, decode(repeat('00', 32), 'hex'))
    or p_to < p_from or p_to > infra.tx_horizon() or p_sealed_at < last.sealed_at or octet_length(p_leaves) <> p_rows * 32 then
    raise exception 'seal % does not continue its chain', p_n using errcode = 'PL007';
  end if;
  insert into ledger.seals (n, from_tx, to_tx, rows, root, sums, prev, head, key_id, signature, sealed_at)
    values (p_n, p_from, p_to, p_rows, p_root, p_sums::jsonb, p_prev, p_head, p_key, p_signature, p_sealed_at);
  insert into ledger.seal_leaves (n, leaves) values (p_n, p_leaves);
end $$;

revoke execute on function ledger.append_seal, ledger.block, ledger.block_end, ledger.waits_since from public;
grant execute on function ledger.append_seal, ledger.block, ledger.block_end, ledger.waits_since to palio_app;
grant select on ledger.seals, ledger.seal_leaves to palio_app;
