"""The frame of the console: a rail by job with what somebody may use, what waits there, and who is signed in.

A module states its pages as `RailEntry` in its `console.py`; `entry/web.py` holds them all. A page extends
`console.html` and is drawn by `await console.render(request, ask, tx, …, present="/console/…")`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias, get_args

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.infra.db import Tx
from palio.ui import pages
from palio.ui.access import Access, is_fresh
from palio.ui.actor import Asking
from palio.ui.problems import Problem, wrong_of

Group: TypeAlias = Literal[
    "today", "people", "money", "compete", "play", "store", "talk", "sources", "insight", "system"
]
GROUPS: tuple[Group, ...] = get_args(Group)  # in the order of the rail


@dataclass(frozen=True, slots=True)
class RailEntry:
    """A page of the console: under which job it stands, its English name, its address, and who may use it."""

    group: Group
    label: str
    path: str
    permission: Access


@dataclass(frozen=True, slots=True)
class Shown:
    """One job of the rail as somebody sees it: its first page, all of them, and how much waits."""

    group: Group
    path: str
    entries: Sequence[tuple[RailEntry, int]]  # with how many wait there

    @property
    def waiting(self) -> int:
        """How much waits on all its pages together."""
        return sum(count for _, count in self.entries)

    def holds(self, path: str) -> bool:
        """Does a page of this address stand here?"""
        return any(entry.path == path for entry, _ in self.entries)


async def _nothing(tx: Tx, ask: Asking) -> Mapping[str, int]:
    """How much waits where nobody counts."""
    return {}


async def _nameless(tx: Tx, ask: Asking) -> str:
    """What somebody is called where nobody knows names."""
    return ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page. `waiting` counts by the address of an entry; `named` says who is signed in."""

    entries: Sequence[RailEntry] = ()
    waiting: Callable[[Tx, Asking], Awaitable[Mapping[str, int]]] = _nothing
    named: Callable[[Tx, Asking], Awaitable[str]] = _nameless

    def usable(self, ask: Asking) -> list[RailEntry]:
        """What somebody may use everywhere, in the order of the rail."""
        found = [entry for entry in self.entries if entry.permission in ask.everywhere]
        return sorted(found, key=lambda entry: GROUPS.index(entry.group))

    async def rail(self, tx: Tx, ask: Asking) -> list[Shown]:
        """What somebody may use, by job."""
        counts = await self.waiting(tx, ask)
        return [
            Shown(group, found[0][0].path, found)
            for group, entries in groupby(self.usable(ask), key=lambda entry: entry.group)
            if (found := [(entry, counts.get(entry.path, 0)) for entry in entries])
        ]


async def render(
    request: Request,
    ask: Asking,
    tx: Tx,
    name: str,
    values: Mapping[str, object],
    *,
    present: str,
    block: str | None = None,
    status: int = 200,
    problem: Problem | None = None,
) -> HTMLResponse:
    """A page of the console in its frame, or its block alone; `present` is the address of its entry in the rail.

    With a `problem` a form of it was refused: the page says what is `wrong` with which field, and has its status.
    """
    frame: Frame = request.app.state.frame
    usable = {entry.path for entry in frame.usable(ask)}
    around = {"present": present, "ask": ask, "now": ask.now, "usable": usable, "is_fresh": is_fresh(ask)}
    framed: dict[str, object] = {"problem": problem, "wrong": wrong_of(problem), **values, **around}
    if not (block and "HX-Request" in request.headers):
        framed |= {"rail": await frame.rail(tx, ask), "staff_name": await frame.named(tx, ask)}
    return pages.render(request, name, framed, block=block, status=problem.status if problem else status)
