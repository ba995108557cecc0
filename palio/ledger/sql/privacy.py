"""Statements of what the ledger knows of somebody. It keeps everything, and knows ids only."""

from collections.abc import AsyncIterator
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import PersonalRow


def stream_known(tx: Tx, owner: UserId) -> AsyncIterator[PersonalRow]:
    """Accounts, movements, holds and limits of somebody; amounts are integers of the smallest unit."""
    return db.stream(
        tx,
        PersonalRow,
        """
        with mine as materialized (
          select a.id, a.address, a.status, a.created_at, s.code as asset, s.scale
          from ledger.accounts a join ledger.assets s on s.id = a.asset_id where a.owner_id = %s)
        select 'account' as kind, jsonb_build_object('address', m.address, 'asset', m.asset, 'scale', m.scale,
            'status', m.status, 'created_at', m.created_at, 'balance', b.balance, 'held', b.held) as facts
        from mine m left join ledger.balances b on b.account_id = m.id
        union all
        select 'movement', jsonb_build_object('at', e.posted_at, 'transfer', e.transfer_id, 'kind', t.kind,
            'address', m.address, 'asset', m.asset, 'amount', e.amount, 'balance_after', e.balance_after,
            'description', t.description)
        from mine m join ledger.entries e on e.account_id = m.id
          join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        union all
        select 'hold', jsonb_build_object('asset', m.asset, 'amount', h.amount, 'captured', h.captured,
            'released', h.released, 'state', h.state, 'kind', h.kind, 'created_at', h.created_at,
            'expires_at', h.expires_at, 'closed_at', h.closed_at)
        from mine m join ledger.holds h on h.account_id = m.id
        union all
        select 'limit', jsonb_build_object('asset', s.code, 'group', l.limit_group, 'period', l.period,
            'amount', l.amount, 'pending_amount', l.pending_amount, 'pending_from', l.pending_from)
        from ledger.limits l join ledger.assets s on s.id = l.asset_id where l.owner_id = %s""",
        *(owner, owner),
    )


async def count_open_holds(tx: Tx, owner: UserId, since: datetime) -> int:
    """How many holds of somebody are open that were placed since an instant."""
    count: int = await db.value(
        tx,
        "select count(*) from ledger.holds where owner_id = %s and state = 'open' and created_at >= %s",
        *(owner, since),
    )
    return count
