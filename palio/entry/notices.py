"""The live topic `system`: how the house is as a whole, told when `GET /status` would answer something else."""

from dataclasses import dataclass
from typing import Literal

from palio import affiliates
from palio.affiliates import FeedRecovered, FeedStale
from palio.infra import realtime
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.topics import LiveType, Topic

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Notice:
    """Whether all is well."""

    status: Literal["ok", "degraded"]


SYSTEM_NOTICE = LiveType("system.notice", "How the house is has changed.", Notice, {"status": "degraded"})
TOPICS = (Topic(SYSTEM, "How the house is as a whole, as `GET /status` says.", (SYSTEM_NOTICE,)),)


@handles(FeedStale)
async def tell_of_stale(tx: Tx, event: FeedStale) -> None:
    """Numbers are too old: tell how the house is."""
    await _tell(tx)


@handles(FeedRecovered)
async def tell_of_recovered(tx: Tx, event: FeedRecovered) -> None:
    """Numbers are fresh again: tell how the house is."""
    await _tell(tx)


async def _tell(tx: Tx) -> None:
    found = await affiliates.health(tx, now=clock.now())
    status = "degraded" if any(one.is_stale for one in found) else "ok"
    realtime.publish(tx, SYSTEM, SYSTEM_NOTICE, {"status": status})
