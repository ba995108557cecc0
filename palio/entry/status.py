"""How the instance is doing, as everybody may know it: whether it works, and how fresh the numbers are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from palio import affiliates
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Instant

routes = Routes("status")


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How fresh the numbers of a programme are; without any snapshot they are stale as of never."""

    programme: str
    as_of: Instant | None
    stale: bool


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """`degraded`: it works, but numbers are stale."""

    status: Literal["ok", "degraded"]
    now: Instant
    feeds: list[FeedStatus]


EXAMPLE = StatusAnswer(
    status="degraded",
    now=datetime.fromisoformat("2025-03-26T21:15:00Z"),
    feeds=[FeedStatus(programme="default", as_of=datetime.fromisoformat("2025-03-26T20:28:00Z"), stale=True)],
)


@routes.get("/status", access="public", example=EXAMPLE)
async def get_status(ask: Ask, tx: InTx) -> StatusAnswer:
    """Read whether all is well, and how fresh the numbers of each programme are."""
    feeds = [FeedStatus(one.programme, one.as_of, one.is_stale) for one in await affiliates.health(tx, now=ask.now)]
    return StatusAnswer("degraded" if any(one.stale for one in feeds) else "ok", ask.now, feeds)
