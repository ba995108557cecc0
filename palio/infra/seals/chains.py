"""What is done by the clock for every chain, and the chain of the audit rows."""

import structlog

from palio.infra import outbox
from palio.infra.db import Database
from palio.infra.messages import SealAudit, SealLate
from palio.infra.seals import anchoring, sealing, telling
from palio.infra.seals.sealing import Chain
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

log = structlog.get_logger()

BLOCK_SECONDS_MAX = 60
AUDIT = Chain("audit", "infra", "audit_rows")
SCHEDULE = Schedule("infra.seal", "every 1m", SealAudit(), at_start=True)


class _Told:
    """For which chains this process has said that sealing is late, and after which seal."""

    def __init__(self) -> None:
        self.after: dict[str, int] = {}


async def keep(database: Database, chain: Chain) -> bool:
    """Seal what is final, anchor it, tell those who are to know the heads, and raise the alarm if sealing is late.

    Answers whether there may be more to seal.
    What cannot be sealed stands in nobody's way: the rows go on to be written.
    """
    is_more = False
    try:
        async with database.begin_system(f"sealing {chain.name}", seconds_max=BLOCK_SECONDS_MAX) as tx:
            await anchoring.require_reached(tx, chain=chain)
            sealed = await sealing.seal(tx, chain=chain, now=clock.now())
            is_more = sealed is not None and sealed.rows >= sealing.ROWS_OF_A_BLOCK_MAX
        async with database.begin_system(f"anchoring {chain.name}") as tx:
            await anchoring.anchor(tx, chain=chain, now=clock.now())
    except (Refusal, OSError) as failure:
        log.warning("nothing is sealed, or it is not anchored", chain=chain.name, why=str(failure))
    await telling.tell_witnesses(database.equipment, now=clock.now())
    await _watch(database, chain)
    return is_more


async def _watch(database: Database, chain: Chain) -> None:
    """Tell that sealing is late, once for each seal that is not followed by another."""
    async with database.begin_system(f"is sealing of {chain.name} late") as tx:
        if not await sealing.is_late(tx, chain=chain, now=clock.now()):
            return
        last = await sealing.find_last(tx, chain=chain)
        n, told = last.n if last else 0, database.remembered(_Told).after
        log.error("sealing is late", chain=chain.name, last=n)
        if told.get(chain.name) != n:
            await outbox.send(tx, SealLate(chain.name))
            told[chain.name] = n


@handles(SealAudit)
async def seal_audit(database: Database, job: SealAudit) -> None:
    """Seal the audit rows, block after block until none is left."""
    while await keep(database, AUDIT):
        pass
