"""What the ledger does by the clock."""

from palio.infra import outbox, schedules, settings
from palio.infra.db import Database, Tx
from palio.infra.messages import SettingChanged
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from palio.ledger.messages import CollectDebts, ExpireAdjustments, ExpireHolds, ExpireLots, Reconcile, RollUp
from palio.ledger.service import adjusting, checking, debts, holding, lots, rolling
from palio.ledger.types import ROLLUP_INTERVAL

HOLDS_SCHEDULE = Schedule("ledger.expire_holds", "every 1m", ExpireHolds(), at_start=True)
DEBTS_SCHEDULE = Schedule("ledger.collect_debts", "every 15m", CollectDebts(), at_start=True)
ADJUSTMENTS_SCHEDULE = Schedule("ledger.expire_adjustments", "every 10m", ExpireAdjustments(), at_start=True)
ROLLUP_SCHEDULE = Schedule("ledger.rollup", f"every {ROLLUP_INTERVAL.default}s", RollUp(), at_start=True)
RECONCILE_SCHEDULE = Schedule("ledger.reconcile", "every 1h", Reconcile())
RECONCILE_ALL_SCHEDULE = Schedule("ledger.reconcile_all", "0 4 * * 0", Reconcile(everything=True))
RECONCILE_SECONDS_MAX = 3_600  # one statement reads all entries there are, while others write
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


@handles(ExpireAdjustments)
async def expire_adjustments(tx: Tx, job: ExpireAdjustments) -> None:
    """End what nobody has decided about, in transactions of a size that holds nobody up."""
    if await adjusting.expire_adjustments(tx, now=clock.now()):
        await outbox.send(tx, ExpireAdjustments(), key="more")


@handles(RollUp)
async def roll_up(tx: Tx, job: RollUp) -> None:
    """Bring the sums of open accounts up to what is committed, in transactions of a size that holds nobody up."""
    if await rolling.roll_up(tx, now=clock.now()):
        await outbox.send(tx, RollUp(), key="more")


@handles(Reconcile, queue="bulk")
async def reconcile(database: Database, job: Reconcile) -> None:
    """Check in one transaction that holds nobody up: until something is found it only reads. Twice finds it once."""
    async with database.begin_system("ledger.reconcile", seconds_max=RECONCILE_SECONDS_MAX) as tx:
        await checking.reconcile(tx, now=clock.now(), scope="all" if job.everything else "touched")


@handles(SettingChanged)
async def keep_pace(tx: Tx, event: SettingChanged) -> None:
    """Have sums brought up as often as the setting says."""
    if event.key == ROLLUP_INTERVAL.key:
        seconds = await settings.exact(tx, ROLLUP_INTERVAL)
        await schedules.set_pace(tx, name=ROLLUP_SCHEDULE.name, when=f"every {seconds}s", now=clock.now())
