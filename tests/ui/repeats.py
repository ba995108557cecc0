"""Requests under keys, as tests of modules send them: what is accepted is sent again, and happens once."""

from collections.abc import Mapping
from itertools import chain

import httpx2

from palio.entry import web
from palio.ui.routes import Call

KEYED = [
    route
    for route in chain.from_iterable(module.all for module in web.MODULES)
    if isinstance(route, Call) and route.rules.idempotency != "none"
]


async def sent(
    client: httpx2.AsyncClient, method: str, path: str, *, headers: Mapping[str, str], json: object = None
) -> httpx2.Response:
    """The answer. An accepted act is sent once more under its key, as by whoever has lost the answer, who hears the
    same; something else under that key is refused.

    `ELSEWHERE` of `tests/journeys/test_idempotency.py` names calls that nothing but this shows.
    """
    first = await client.request(method, path, json=json, headers=dict(headers))
    is_new, address = first.is_success and "idempotency-replayed" not in first.headers, first.request.url.path
    if is_new and any(method in (one.methods or ()) and one.path_regex.match(address) for one in KEYED):
        again = await client.request(method, path, json=json, headers=dict(headers))
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        if json is not None:
            other = await client.request(method, path, json={"another": 1}, headers=dict(headers))
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    return first
