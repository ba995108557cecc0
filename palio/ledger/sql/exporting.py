"""Statements that hand out everything: in an order that two exports share, a part at a time."""

from collections.abc import AsyncIterator
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.types import ExportedEntry, ExportedWallet


def entries(
    tx: Tx, since: datetime | None, until: datetime | None, address: str | None, asset: str | None
) -> AsyncIterator[ExportedEntry]:
    """Entries posted within `[since, until)`, of one address and asset or of all, in the order of time."""
    return db.stream(
        tx,
        ExportedEntry,
        """
        select e.posted_at, t.id as transfer, e.leg::int, t.kind, k.category, a.address, s.code as asset, s.scale::int,
          e.amount, e.seq, e.balance_after, t.key, t.actor, coalesce(t.description, '') as description, t.reverses_id
        from ledger.entries e
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        join ledger.kinds k on k.code = t.kind
        join ledger.accounts a on a.id = e.account_id
        join ledger.assets s on s.id = a.asset_id
        where e.posted_at >= coalesce(%s::timestamptz, '-infinity')
          and e.posted_at < coalesce(%s::timestamptz, 'infinity')
          and (%s::text is null or a.address = %s::text) and (%s::text is null or s.code = %s::text)
        order by e.posted_at, e.transfer_id, e.leg""",
        *(since, until, address, address, asset, asset),
    )


def wallets(tx: Tx, address: str | None, asset: str | None, now: datetime) -> AsyncIterator[ExportedWallet]:
    """What every guarded account holds, in the order of addresses and assets; what has expired is not available."""
    return db.stream(
        tx,
        ExportedWallet,
        """
        select a.address, s.code as asset, s.scale::int, b.balance, b.held, b.balance - b.held
            - case when b.lots is null then 0 else ledger.lapsed(b.account_id, %s::timestamptz) end as available,
          b.seq, b.status, nullif(b.last_posted_at, 'epoch') as last_posted_at
        from ledger.balances b join ledger.accounts a on a.id = b.account_id join ledger.assets s on s.id = a.asset_id
        where (%s::text is null or a.address = %s::text) and (%s::text is null or s.code = %s::text)
        order by a.address, s.id""",
        *(now, address, address, asset, asset),
    )
