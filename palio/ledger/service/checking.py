"""Use cases that check: does every asset, wallet and key add up?"""

from palio.infra.db import Tx
from palio.ledger import sql


async def total(tx: Tx) -> int:
    """The sum of all entries of all assets: 0, or something is badly wrong."""
    return await sql.find_total(tx)
