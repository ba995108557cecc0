"""What is put into the feed of a demo on purpose, and where it is to be seen."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from palio.sim.feed import DATA, Order
from palio.sim.growth import nickname

AFTERNOON = timedelta(hours=14)
OUTAGE, SHORT_LIST = timedelta(hours=3), timedelta(hours=1)
CORRECTED = "250.00"
EMOJI, RIGHT_TO_LEFT, RENAMED = "lucky\N{GAME DIE}dice", "\u0646\u0648\u0631", "once_another"
TIED_PLACE = 3


@dataclass(frozen=True, slots=True)
class Plant:
    """One oddity: when it happens, what a person sees of it, how long it lasts, and the acts that make it."""

    name: str
    at: datetime
    shows: str
    orders: tuple[Order, ...]
    lasts: timedelta = timedelta()


def plants(start: datetime, *, tie: tuple[datetime, datetime], reset: datetime) -> list[Plant]:
    """The oddities of a feed that began at `start`, in order of time; `tie` is from when to when the tied race counts.

    `reset` is a Monday at which a race is on: the column of the week begins anew there by itself. The others lie in the
    afternoon, UTC, away from the ends of races.
    """
    players = _richest()
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)

    def afternoon(days: int) -> datetime:
        return day + timedelta(days=days) + AFTERNOON

    def renamed(player: int, name: str, at: datetime) -> tuple[Order, ...]:
        return (Order(at, "rename", {"uid": players[player], "name": name}),)

    outage, short, since, until = afternoon(9), afternoon(12), *tie
    planted = [
        Plant("emoji name", afternoon(1), f"{players[2]} is called {EMOJI}", renamed(2, EMOJI, afternoon(1))),
        Plant(
            "right-to-left name",
            afternoon(1),
            f"{players[3]} is called {RIGHT_TO_LEFT}",
            renamed(3, RIGHT_TO_LEFT, afternoon(1)),
        ),
        Plant(
            "outage",
            outage,
            "the feed answers 500 for three hours: failed cycles, then all of it in one step",
            (Order(outage, "outage", {"until": (outage + OUTAGE).isoformat()}),),
            OUTAGE,
        ),
        Plant(
            "short list",
            short,
            "a list of four in ten players: a suspicious snapshot that was not applied",
            (Order(short, "shrink", {"share": 0.4}), Order(short + SHORT_LIST, "shrink", {"share": 1})),
        ),
        Plant(
            "correction",
            afternoon(16),
            f"the total of {players[0]} falls by {CORRECTED}",
            (Order(afternoon(16), "correct", {"uid": players[0], "amount": CORRECTED}),),
        ),
        Plant(
            "rename", afternoon(18), f"{players[1]} is called {RENAMED} from now on", renamed(1, RENAMED, afternoon(18))
        ),
        Plant(
            "week reset", reset, "this_week of everybody is 0 again while a weekend race is on, whose totals stand", ()
        ),
        Plant(
            "tie",
            until,
            f"two players share place {TIED_PLACE} of a race, and its prizes",
            (Order(until, "level", {"place": TIED_PLACE, "since": since.isoformat()}),),
        ),
    ]
    return sorted(planted, key=lambda plant: plant.at)


def nicknames(at: datetime) -> list[Order]:
    """Names for the players of the captures, who have none but numbers there, in order of time."""
    return [Order(at, "rename", {"uid": uid, "name": nickname(uid)}) for uid in _richest()]


def _richest() -> list[str]:
    """The players of the second capture, those with the highest counters first."""
    listed = json.loads((DATA / "affiliate_snapshot_T2.json").read_bytes())["data"]
    return [one["uid"] for one in sorted(listed, key=lambda one: (-one["wagered"]["all_time"], one["uid"]))]
