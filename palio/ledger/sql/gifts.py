"""Statements about gifts."""

from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import Given


async def list_giftable(tx: Tx) -> list[str]:
    """The codes of the active assets that can be given away."""
    found: list[str] = await db.column(tx, "select code from ledger.assets where giftable and active order by id")
    return found


async def list_given(tx: Tx, giver: UserId, since: datetime) -> list[Given]:
    """What a player gave away since an instant, by asset; of each of his wallets only the newest lines are read."""
    return await db.rows(
        tx,
        Given,
        """
        select s.code as asset, count(*)::bigint as gifts, (-sum(e.amount))::bigint as amount
        from ledger.accounts a
        join ledger.assets s on s.id = a.asset_id
        cross join lateral (
          select n.transfer_id, n.posted_at, n.amount from ledger.entries n
          where n.account_id = a.id and n.seq is not null and n.posted_at >= %s::timestamptz and n.amount < 0
            and n.seq > coalesce((select b.seq from ledger.entries b where b.account_id = a.id and b.seq is not null
              and b.posted_at < %s::timestamptz order by b.seq desc limit 1), 0)) e
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at and t.kind = 'ledger.gift'
        where a.address = 'user:' || %s::uuid || ':main'
        group by s.code""",
        *(since, since, giver),
    )
