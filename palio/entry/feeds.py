"""The feed that the environment names: made at the first start, and changed when the environment is."""

from palio import affiliates
from palio.affiliates.types import DEFAULT_PROGRAMME
from palio.entry.wiring import Wiring
from palio.infra import logging
from palio.kernel import clock
from palio.kernel.errors import Refusal

log = logging.get("feeds")


async def connect(wired: Wiring) -> None:
    """Have the programme `default` read from PALIO_FEED_URL; an address or key that cannot be used is only told."""
    environment = wired.environment
    if environment.feed_url is None:
        return
    token = environment.feed_token
    new = affiliates.NewFeed(environment.feed_url, "bearer" if token else "none", token)
    try:
        async with wired.database.begin_system("the feed of the environment") as tx:
            await affiliates.ensure_feed(tx, code=DEFAULT_PROGRAMME, new=new, now=clock.now())
    except Refusal as refusal:
        log.error("the feed of PALIO_FEED_URL cannot be used", code=refusal.code, detail=refusal.detail)  # noqa: TRY400 - the facts say it all
