"""Every list that is read in parts, at a filled demo: whichever way it is walked and sorted, each row is there once."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from palio.entry.wiring import PERMISSIONS
from tests.journeys import test_fuzz
from tests.journeys.test_fuzz import CALLS, OF_PLAYERS, World
from tests.ui import people

world = test_fuzz.world  # the fixture of the same demo

PARTS_MAX, LIMITS = 6, (1, 3)
LISTS = {
    label: {one["name"]: one for one in call["parameters"]}
    for label, call in CALLS.items()
    if label.startswith("GET ") and {"cursor", "limit"} <= {one["name"] for one in call.get("parameters", ())}
}
SORTED = [label for label, parameters in LISTS.items() if "sort" in parameters]
FINDS: Mapping[str, list[str]] = {
    "asset": ["USD", "COIN"],
    "code": ["steps"],
    "period": ["ALL"],
}
SUBJECTS_MAX = 8
WINDOW = {
    "since": (people.NOW - timedelta(days=80)).isoformat(),
    "until": (people.NOW + timedelta(days=10)).isoformat(),
}  # of lists that need one
EVERYTHING = " ".join(permission.name for permission in PERMISSIONS)


def test_most_lists_are_sorted_by_what_orders_them() -> None:
    assert len(SORTED) > 20


@pytest.mark.parametrize("label", LISTS)
async def test_a_list_is_walked_there_and_back(world: World, label: str) -> None:
    """In parts of any size each row once, in the same order, and back again by the same parts."""
    for path in addresses(world, label):
        whole = await read(world, label, path, limit="200")
        rows = texts(whole)
        assert whole["prev"] is None
        for limit in LIMITS:
            there = await walked(world, label, path, {"limit": str(limit)})
            assert [row for part in there for row in texts(part)] == rows[: limit * PARTS_MAX]
            back = await walked_back(world, label, path, {"limit": str(limit)}, there[-1])
            assert list(map(texts, back)) == list(map(texts, there[:-1]))


@pytest.mark.parametrize("label", SORTED)
async def test_a_list_is_read_from_its_other_end(world: World, label: str) -> None:
    usual, turned = LISTS[label]["sort"]["schema"]["enum"]
    for path in addresses(world, label):
        whole = await read(world, label, path, limit="200", sort=usual)
        if whole["next"]:
            continue
        there = await walked(world, label, path, {"limit": "3", "sort": turned})
        back = await walked_back(world, label, path, {"limit": "3", "sort": turned}, there[-1])

        found = [row for part in there for row in texts(part)]
        assert found == texts(whole)[::-1][: len(found)]
        assert list(map(texts, back)) == list(map(texts, there[:-1]))
        await read(world, label, path, 422, limit="3", sort="colour")
        if there[0]["next"]:
            await read(world, label, path, 422, limit="3", sort=usual, cursor=there[0]["next"])


def addresses(world: World, label: str) -> list[str]:
    """Where the list is, of a few things that have one."""
    path = label.partition(" ")[2]
    names = re.findall(r"{(\w+)}", path)
    known = [(FINDS.get(name) or world.known.get(name, []))[:SUBJECTS_MAX] for name in names]
    return [path.format(**dict(zip(names, some, strict=True))) for some in product(*known)]


async def walked(world: World, label: str, path: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """The first parts of a list, one after the other."""
    parts = [await read(world, label, path, **asked)]
    while (cursor := parts[-1]["next"]) and len(parts) < PARTS_MAX:
        parts.append(await read(world, label, path, **asked, cursor=cursor))
    return parts


async def walked_back(
    world: World, label: str, path: str, asked: Mapping[str, str], last: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The parts in front of one, in their order."""
    parts = [dict(last)]
    while cursor := parts[0]["prev"]:
        parts.insert(0, await read(world, label, path, **asked, cursor=cursor))
    return parts[:-1]


async def read(world: World, label: str, path: str, status: int = 200, **asked: str) -> dict[str, Any]:
    """A part of the list, as whoever may read it; a subject that has none has none."""
    needed = {name: WINDOW[name] for name, one in LISTS[label].items() if one["required"] and name in WINDOW}
    if CALLS[label]["x-access"] in OF_PLAYERS:
        headers = people.caller("player", world.player)
    else:
        headers = people.caller("staff", world.staff, permissions=EVERYTHING, step_up=True)
    answer = await world.client.get(path, params={**needed, **asked}, headers=headers)
    if answer.status_code in (404, 409):
        return {"items": [], "next": None, "prev": None}
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def texts(part: Mapping[str, Any]) -> Sequence[str]:
    """The rows as they can be compared."""
    return [json.dumps(row, sort_keys=True) for row in part.get("items") or []]
