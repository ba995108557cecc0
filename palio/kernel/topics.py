"""Live topics: what can be listened to, who may, and which types of events are told there.

Modules declare what they tell; `entry/topics.py` puts it together. The same names are those of webhooks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PARTS = {  # what stands for a name in an address
    "id": ID,
    "number": r"[0-9]{1,18}",
    "code": r"[a-z0-9_.-]{2,60}",
    "period": r"D|W|WE|M|ALL",
}
PUBLIC, OWNER = "public", "owner"
ALL_OF_MINE = "me"  # every topic of the owner at once


@dataclass(frozen=True, slots=True)
class LiveType:
    """A type of events, `noun.verb`: what has happened when one is told.

    `facts` is a dataclass of ids, codes and public figures, which tells the shape of what is sent; `example` is one.
    """

    name: str
    summary: str
    facts: type[Any]
    example: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Topic:
    """Something to listen to. Its address may have names in braces, as in `race:{id}`.

    Of a state topic the newest event wins; a log topic tells every event, in order, and again from where somebody left
    off. `access` is `public`, `owner` (each hears his own), or the permission that staff need; a token also needs the
    `scope`. What is `for_staff` each of them hears of his own as well, in the console.
    """

    address: str
    summary: str
    types: tuple[LiveType, ...]
    is_log: bool = False
    access: str = PUBLIC
    scope: str = ""
    for_staff: bool = False
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        written = re.sub(r"\\\{(\w+)\\\}", lambda name: f"(?:{PARTS[name[1]]})", re.escape(self.address))
        object.__setattr__(self, "pattern", re.compile(written))

    @property
    def names(self) -> list[str]:
        """The names in its address, in order."""
        return re.findall(r"\{(\w+)\}", self.address)

    def is_called(self, address: str) -> bool:
        """Is this the topic of that address?"""
        return self.pattern.fullmatch(address) is not None
