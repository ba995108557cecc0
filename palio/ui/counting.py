"""How many rows a list has in all, for whoever asks (`count=exact`): counted by reading the list itself.

So the number is that of the same filter and of the same rights as the rows, whatever list it is. It goes as far as a
table does; beyond that it is said that there are at least so many.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from palio.infra import db
from palio.infra.db import Database
from palio.ui import limits, strict
from palio.ui.actor import TX, Asking
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.paging import AROUND, COUNT, OF_A_PART, WHOLE
from palio.ui.tables import ROWS_MAX

EXACT: Final = "exact"
READS = Limit("counts", 20, MINUTE_S)
PARAMETER = {
    "name": COUNT,
    "in": "query",
    "required": False,
    "description": f"Also say how many rows there are in all, up to {ROWS_MAX:,}",
    "schema": {"type": "string", "enum": [EXACT]},
}
SCHEMA = {
    "description": "How many rows there are in all, where that was asked for",
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": ROWS_MAX},
        {
            "type": "object",
            "required": ["at_least"],
            "properties": {"at_least": {"type": "integer", "const": ROWS_MAX}},
            "additionalProperties": False,
        },
    ],
}


async def tell(
    request: Request, ask: Asking, response: Response, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    """The answer of a list with its `count`. Refuses with TooMany where it is more than a look at one page."""
    told = strict.parse(bytes(response.body))
    if not isinstance(told, dict):
        return response
    is_all = not (told.get("next") or told.get("prev") or "cursor" in request.query_params)
    total = _rows_of(told) if is_all else await _walk(request, ask, answer)
    told[COUNT] = {"at_least": ROWS_MAX} if total > ROWS_MAX else total
    kept = {name: value for name, value in response.headers.items() if name not in {"content-length", "etag"}}
    return JSONResponse(told, headers=kept)


async def _walk(request: Request, ask: Asking, answer: Callable[[Request], Awaitable[Response]]) -> int:
    """Read the list from its beginning in parts as large as it gives; what that leaves behind is taken back."""
    await limits.take_besides(request, ask, READS)
    database: Database = request.app.state.database
    asked = [pair for pair in request.query_params.multi_items() if pair[0] not in OF_A_PART | {AROUND}]
    total, cursor = 0, None
    async with database.begin(ask.actor) as tx, db.taken_back(tx):
        while total <= ROWS_MAX:
            query = urlencode([*asked, *([("cursor", cursor)] if cursor else [])]).encode()
            scope = {**request.scope, "query_string": query, TX: tx, WHOLE: True}
            part = strict.parse(bytes((await answer(strict.StrictRequest(scope, request.receive))).body))
            assert isinstance(part, dict)  # noqa: S101 - the same list has just told a part of itself
            total, cursor = total + _rows_of(part), part.get("next")
            if not cursor:
                return total
    return total


def _rows_of(told: dict[str, strict.Json]) -> int:
    rows = told.get("items")
    return len(rows) if isinstance(rows, list) else 0
