"""What the ledger does by the clock."""

from palio.infra import outbox
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from palio.ledger.messages import CollectDebts, ExpireHolds, ExpireLots
from palio.ledger.service import debts, holding, lots

HOLDS_SCHEDULE = Schedule("ledger.expire_holds", "every 1m", ExpireHolds(), at_start=True)
DEBTS_SCHEDULE = Schedule("ledger.collect_debts", "every 15m", CollectDebts(), at_start=True)
LOTS_SCHEDULE = Schedule("ledger.expire_lots", "20 * * * *", ExpireLots(), at_start=True)


@handles(ExpireLots)
async def expire_lots(tx: Tx, job: ExpireLots) -> None:
    """Move what is due, in transactions of a size that holds nobody up."""
    if await lots.expire(tx, now=clock.now()):
        await outbox.send(tx, ExpireLots(), key="more")


@handles(ExpireHolds)
async def expire_holds(tx: Tx, job: ExpireHolds) -> None:
    """Release what is due, in transactions of a size that holds nobody up."""
    if await holding.expire(tx, now=clock.now()):
        await outbox.send(tx, ExpireHolds(), key="more")


@handles(CollectDebts)
async def collect_debts(tx: Tx, job: CollectDebts) -> None:
    """Have debts paid by those who can, in transactions of a size that holds nobody up."""
    if await debts.collect(tx, now=clock.now()):
        await outbox.send(tx, CollectDebts(), key="more")
