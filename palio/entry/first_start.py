"""Whether a start fills a demo: what every start asks, so nothing heavy is imported here."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import ClassVar

from palio import affiliates, identity, races
from palio.affiliates.types import DEFAULT_PROGRAMME
from palio.entry import wiring
from palio.entry.wiring import Wiring
from palio.infra import marks, tasks
from palio.infra.clock import OnTheMove, moving
from palio.infra.settings.environment import WrongSettingError
from palio.kernel import clock
from palio.kernel.errors import Refusal

LOOK_SECONDS, WATCH_SECONDS = 0.5, 5


class DemoRefusedError(WrongSettingError):
    """A demo is asked for where there must be none."""

    code: ClassVar[str] = "demo.refused"


async def begin_demo(
    wired: Wiring, *, asked: bool | None, seed: int | None = None, end: datetime | None = None
) -> bool:
    """Begin a demo, or go on with one that was not finished. Returns whether there is anything to fill.

    Its story ends at `end`, from which its clock then goes on; without one it ends now. Without being `asked` an empty
    embedded database that only this machine reaches gets one, unless a feed is given or an earlier start was told to
    leave it out. Raises DemoRefusedError.
    """
    known = marks.demo()
    if known:
        _require_same(known, asked=asked, seed=seed, end=end)
        return not known.is_whole
    reasons = [*_against(wired, end)]
    if not reasons and not await _is_empty(wired):
        reasons = ["the database is not empty: its people and numbers would be taken for invented ones"]
    if asked and reasons:
        raise DemoRefusedError([f"there can be no demo here: {reason}" for reason in reasons])
    if asked is False and not reasons and marks.state() == "none":
        async with wired.database.begin_system("no demo is wanted") as tx:
            await marks.decline(tx)
    is_by_itself = marks.state() == "none" and wired.environment.is_embedded and wired.environment.feed_url is None
    if reasons or asked is False or not (asked or is_by_itself):
        return False
    await _begin(wired, 1 if seed is None else seed, end)
    await wiring.simulate(wired.database)
    return True


async def _begin(wired: Wiring, seed: int, end: datetime | None) -> None:
    """Mark the database as a demo's, once, whoever else starts at the same time."""
    while marks.demo() is None:
        with suppress(OnTheMove):  # of another process, whose mark the next look sees
            async with moving(wired.addresses.direct), wired.database.begin_system("a demo is begun") as tx:
                await marks.look(tx)
                if marks.demo() is None:
                    at = (end or clock.real()).replace(microsecond=0)
                    await marks.begin(tx, at=at, seed=seed, has_own_time=end is not None)
                return
        await asyncio.sleep(LOOK_SECONDS)


def _require_same(known: marks.Demo, *, asked: bool | None, seed: int | None, end: datetime | None) -> None:
    if asked is False:
        raise DemoRefusedError(["this database holds a demo already: for one without, choose another PALIO_DATA"])
    if seed is not None and seed != known.seed:
        raise DemoRefusedError([f"this database holds the demo of seed {known.seed}: for another, choose PALIO_DATA"])
    if end is not None and end != known.created_at:
        until = clock.text(known.created_at)
        raise DemoRefusedError([f"this database holds a demo that ends {until}: for another, choose PALIO_DATA"])


def _against(wired: Wiring, end: datetime | None) -> list[str]:
    environment = wired.environment
    reasons = []
    if end is not None and end > clock.real():
        reasons.append(f"its story cannot end in the future, at {clock.text(end)}")
    if wired.database.equipment.keyring is None:
        reasons.append("its people sign in, and there is no keyring (PALIO_KEYRING_FILE)")
    if not environment.is_here:
        reasons.append(f"players come from outside to {environment.public_url} (PALIO_PUBLIC_URL)")
    if environment.sim == "off":
        reasons.append("PALIO_SIM is off, and a demo lives on what is played")
    return reasons


async def _is_empty(wired: Wiring) -> bool:
    async with wired.database.begin_system("is anything here") as tx:
        return not (await identity.has_anybody(tx) or await affiliates.feeds(tx) or await races.recent(tx, limit=1))


async def watch(wired: Wiring) -> None:
    """Know how often the feed of the demo is read, which its pages say, until cancelled."""
    while True:
        with suppress(Refusal):  # before the feed is there, or while the database is away
            async with wired.database.begin_system("how often a feed is read") as tx:
                wired.stage.feed_interval_s = (await affiliates.pull_feed(tx, code=DEFAULT_PROGRAMME)).interval_s
        tasks.heed_cancellation()
        await asyncio.sleep(WATCH_SECONDS)


async def demo_is_whole(wired: Wiring) -> None:
    """Wait until no other process fills a demo any more."""
    while marks.state() == "begun":
        await asyncio.sleep(LOOK_SECONDS)
        async with wired.database.begin_system("is the demo whole") as tx:
            await marks.look(tx)
