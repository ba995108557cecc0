"""Use cases about what people owe."""

from datetime import datetime

from palio.infra.db import Tx
from palio.ledger.service.posting import post_many
from palio.ledger.sql import reading as sql
from palio.ledger.types import Post, Posted

KIND = "ledger.debt"
DEBTS_OF_A_TURN_MAX = 1_000


async def collect(tx: Tx, *, now: datetime) -> bool:
    """Let wallets pay what their owners owe, as far as they can, a thousand at once; whether there may be more.

    The key names the newest entry of the debt account, so that what another run has paid meanwhile is not paid again.
    """
    debts = await sql.list_payable_debts(tx, now, DEBTS_OF_A_TURN_MAX)
    posts = [
        Post(
            f"debt:{debt.owner_id}:{debt.asset}:{debt.seq}",
            KIND,
            (
                (f"user:{debt.owner_id}:main", debt.asset, -debt.payable),
                (f"user:{debt.owner_id}:debt", debt.asset, debt.payable),
            ),
        )
        for debt in debts
    ]
    outcomes = await post_many(tx, posts, now=now)
    return len(debts) == DEBTS_OF_A_TURN_MAX and any(isinstance(outcome, Posted) for outcome in outcomes)
