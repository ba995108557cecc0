"""What a database says of itself: that its people and numbers are invented, and whether they are all there.

Written by the demo, never by an operator; kept as settings, so that every process knows them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from palio.infra import settings
from palio.infra.db import Tx
from palio.infra.settings import Change
from palio.kernel import clock
from palio.kernel.settings import Setting

State: TypeAlias = Literal["none", "declined", "begun", "whole"]

STATE: Setting[str] = Setting(
    "demo.state",
    "choice",
    "none",
    "How far the demo of this database is; written by Palio itself",
    choices=("none", "declined", "begun", "whole"),
)
CREATED_AT: Setting[str] = Setting(
    "demo.created_at", "text", "", "When the demo of this database was begun; written by Palio itself", high=40
)
SEED: Setting[int] = Setting(
    "demo.seed", "int", 1, "What the demo's chance begins with; written by Palio itself", "seed", low=0, high=2**31
)
HAS_OWN_TIME: Setting[bool] = Setting(
    "demo.has_own_time", "bool", default=False, description="Does the demo live in a time of its own; written by Palio"
)
DAYS: Setting[int] = Setting(
    "demo.days", "int", 30, "How far the demo's past goes back; written by Palio itself", "days", low=18, high=90
)
PLAYERS: Setting[int] = Setting(
    "demo.players",
    "int",
    127,
    "How many players the demo's feed had at first; written by Palio itself",
    "players",
    low=127,
    high=10_000,
)
EVERY_S: Setting[int] = Setting(
    "demo.every_s",
    "int",
    7_200,
    "How often the feed of the demo's past was read; written by Palio itself",
    "s",
    low=900,
    high=21_600,
)
SETTINGS: tuple[Setting[str] | Setting[int] | Setting[bool], ...] = (
    *(STATE, CREATED_AT, SEED, HAS_OWN_TIME),
    *(DAYS, PLAYERS, EVERY_S),
)
REASON = "the demo"


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that was begun; with a time of its own its clock goes on from `created_at`, else it shows real time.

    Its past goes back so many `days`, in which its feed was read `every` so often, and had so many `players` at first.
    """

    created_at: datetime
    seed: int
    is_whole: bool
    has_own_time: bool = False
    days: int = DAYS.default
    players: int = PLAYERS.default
    every: timedelta = timedelta(seconds=EVERY_S.default)


def state() -> str:
    """How far the demo is, as this process knows it."""
    return settings.value(STATE)


def demo() -> Demo | None:
    """The demo of this database, as this process knows it; None where nothing is invented."""
    if state() not in {"begun", "whole"}:
        return None
    return Demo(
        datetime.fromisoformat(settings.value(CREATED_AT)),
        settings.value(SEED),
        is_whole=state() == "whole",
        has_own_time=settings.value(HAS_OWN_TIME),
        days=settings.value(DAYS),
        players=settings.value(PLAYERS),
        every=timedelta(seconds=settings.value(EVERY_S)),
    )


async def begin(tx: Tx, demo: Demo) -> None:
    """Say that this database is this demo's from now on."""
    wanted: list[tuple[Setting[int] | Setting[bool], int]] = [
        (HAS_OWN_TIME, demo.has_own_time),
        (DAYS, demo.days),
        (PLAYERS, demo.players),
        (EVERY_S, int(demo.every.total_seconds())),
    ]
    unusual = [Change(setting, value) for setting, value in wanted if value != setting.default]
    always = (Change(CREATED_AT, clock.text(demo.created_at)), Change(SEED, demo.seed), Change(STATE, "begun"))
    await _write(tx, *always, *unusual)


async def complete(tx: Tx) -> None:
    """Say that nothing of the demo is missing."""
    await _write(tx, Change(STATE, "whole"))


async def decline(tx: Tx) -> None:
    """Say that no demo is wanted here, so that no later start begins one."""
    await _write(tx, Change(STATE, "declined"))


async def look(tx: Tx) -> None:
    """Know what is committed."""
    await settings.snapshot.load(tx)


async def _write(tx: Tx, *changes: Change) -> None:
    await settings.change(tx, tx.actor, changes, REASON)
    await settings.snapshot.load(tx)
