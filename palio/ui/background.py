"""Bulk work that its caller does not wait for (`Prefer: respond-async`): he is told the address of an operation."""

import json
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from palio.infra import operations, settings
from palio.infra.db import Database
from palio.kernel.errors import TooLarge
from palio.ui.actor import Asking
from palio.ui.operations import SHAPE, OperationAnswer
from palio.ui.types import BULK_MAX
from palio.ui.versions import tag

ASYNC = "respond-async"
APPLIED = {"Preference-Applied": ASYNC}


def is_wanted(request: Request) -> bool:
    """Does the caller prefer an answer at once to one that tells what came of it?"""
    words = ",".join(request.headers.getlist("prefer")).lower().replace(";", ",").split(",")
    return ASYNC in [word.strip() for word in words]


async def accept(request: Request, ask: Asking, *, items: int) -> Response | None:
    """Take a bulk call down and answer 202, if that is preferred; None: carry it out now.

    A preference is no more than that: staff, who have no operations of this kind, are answered at once.
    Refuses with TooLarge, and with operations.TooManyOpen.
    """
    owner = ask.actor.user_id
    if owner is None or ask.actor.kind != "player" or not is_wanted(request):
        return None
    require_few(items)
    database: Database = request.app.state.database
    wished = operations.Wished(request.scope["route"].unique_id, _names_of(request), await request.body())
    async with database.begin(ask.actor) as tx:
        operation = await operations.ask_bulk(tx, wished=wished, total=items, owner=owner)
    headers = {"Location": f"/api/v1/operations/{operation.id}", "ETag": tag(operation.version)}
    body = json.loads(SHAPE.dump_json(OperationAnswer.of(operation)))
    return JSONResponse(body, HTTPStatus.ACCEPTED, headers=headers | APPLIED)


def require_few(items: int) -> None:
    """Accept as many items as a bulk call takes. Refuses with TooLarge."""
    if items > (most := settings.value(BULK_MAX)):
        raise TooLarge(items=items, limit=most)


def _names_of(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in request.path_params.items()}
