"""Whether a start fills a demo: what every start asks, so nothing heavy is imported here."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
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


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a demo; what is not named is as usual, or as in the demo that is there.

    Its story ends at `end`, from which its clock then goes on; without one it ends now.
    """

    seed: int | None = None
    end: datetime | None = None
    days: int | None = None
    players: int | None = None
    every: timedelta | None = None

    def granted(self) -> marks.Demo:
        """The demo that is to be filled."""
        named = {"days": self.days, "players": self.players, "every": self.every}
        return marks.Demo(
            (self.end or clock.real()).replace(microsecond=0),
            1 if self.seed is None else self.seed,
            is_whole=False,
            has_own_time=self.end is not None,
            **{name: wanted for name, wanted in named.items() if wanted is not None},  # type: ignore[arg-type]
        )


ANY = Wish()


async def begin_demo(wired: Wiring, *, asked: bool | None, wish: Wish = ANY) -> bool:
    """Begin a demo, or go on with one that was not finished. Returns whether there is anything to fill.

    Without being `asked` an empty embedded database that only this machine reaches gets one, unless a feed is given or
    an earlier start was told to leave it out. Raises DemoRefusedError.
    """
    known = marks.demo()
    if known:
        _require_same(known, asked=asked, wish=wish)
        return not known.is_whole
    reasons = [*_against(wired, wish.end)]
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
    await _begin(wired, wish)
    await wiring.simulate(wired.database)
    return True


async def _begin(wired: Wiring, wish: Wish) -> None:
    """Mark the database as a demo's, once, whoever else starts at the same time."""
    while marks.demo() is None:
        with suppress(OnTheMove):  # of another process, whose mark the next look sees
            async with moving(wired.addresses.direct), wired.database.begin_system("a demo is begun") as tx:
                await marks.look(tx)
                if marks.demo() is None:
                    await marks.begin(tx, wish.granted())
                return
        await asyncio.sleep(LOOK_SECONDS)


def _require_same(known: marks.Demo, *, asked: bool | None, wish: Wish) -> None:
    if asked is False:
        raise DemoRefusedError(["this database holds a demo already: for one without, choose another PALIO_DATA"])
    others = [
        f"{what} {held}"
        for what, wanted, held in (
            ("of seed", wish.seed, known.seed),
            ("that ends", wish.end and clock.text(wish.end), clock.text(known.created_at)),
            ("of days:", wish.days, known.days),
            ("of players:", wish.players, known.players),
            ("read every", wish.every, known.every),
        )
        if wanted is not None and wanted != held
    ]
    if others:
        raise DemoRefusedError(
            [f"this database holds a demo {others[0]}: begin it anew with --reset, or choose another PALIO_DATA"]
        )


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
