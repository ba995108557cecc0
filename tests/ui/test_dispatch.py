"""Requests reach the route that is the first to fit, and a route is read when it is first used."""

import asyncio
from collections.abc import Iterator
from itertools import chain

import pytest
from starlette.routing import Match
from starlette.types import Scope

from palio.entry import web
from palio.ui.dispatch import Dispatch, Way
from palio.ui.routes import Handler, Routes

WAYS: list[Way] = [*chain.from_iterable(module.all for module in web.MODULES)]
WAYS += chain.from_iterable(module.sockets for module in web.MODULES)
VALUES = {"int": "7", "uuid": "0190b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "str": "word", "path": "some/where"}
ODD = ("", "/", "//", "/api", "/api/", "/api/v1", "/api/v1/", "/console", "/console/", "/nothing", "/api/v1/nothing/7")


def addresses() -> Iterator[str]:
    """One address for each route, and what is beside all of them."""
    yield from ODD
    for way in WAYS:
        address = way.path_format
        for name, convertor in way.param_convertors.items():
            kind = type(convertor).__name__.removesuffix("Convertor").lower()
            address = address.replace(f"{{{name}}}", VALUES.get(kind, VALUES["int" if kind == "_number" else "str"]))
        yield address


def asked_one_by_one(scope: Scope) -> tuple[Match, object]:
    """What asking every route in its order finds: the rule itself."""
    partial: tuple[Match, object] = Match.NONE, None
    for way in WAYS:
        match, found = way.matches(scope)
        if match == Match.FULL:
            return match, (found["endpoint"], found["path_params"])
        if match == Match.PARTIAL and partial[0] == Match.NONE:
            partial = match, (found["endpoint"], found["path_params"])
    return partial


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "TRACE"])
def test_the_first_route_that_fits_is_found(method: str) -> None:
    dispatch = Dispatch(WAYS)
    for address in addresses():
        scope: Scope = {"type": "http", "method": method, "path": address, "headers": []}
        match, found = dispatch.matches(scope)
        assert (match, (found["endpoint"], found["path_params"]) if found else None) == asked_one_by_one(scope), address


def test_a_subject_asks_few() -> None:
    """Else nothing is gained: an address is compared with a small part of all routes."""
    dispatch = Dispatch(WAYS)

    assert max(map(len, dispatch._of_subject.values())) < len(WAYS) / 4


async def test_a_route_is_read_once_by_whoever_is_first() -> None:
    """The description is made in a thread while the loop reads the same routes for requests."""
    reads = []
    routes = Routes("shop")

    @routes.get("/shop", access="public", example={"open": True})
    async def get_shop() -> dict[str, bool]:
        """Is it open."""
        return {"open": True}

    (route,) = routes.all
    assert "app" not in vars(route)
    complete = route.get_route_handler

    def read() -> Handler:
        reads.append(1)
        return complete()

    route.get_route_handler = read  # type: ignore[method-assign]
    found = await asyncio.gather(*(asyncio.to_thread(lambda: (route.app, route.dependant)) for _ in range(20)))

    assert len(reads) == 1
    assert len({id(app) for app, _ in found}) == 1
    assert not hasattr(route, "anything_else")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.path)
def test_a_route_can_be_read(way: Way) -> None:
    """What is wrong with a handler is found here, not by whoever first asks for it."""
    assert callable(way.app)
