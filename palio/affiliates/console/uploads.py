"""The page on which staff hand in a list as a file."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Request, Response, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse

from palio.affiliates import service
from palio.affiliates.console import feeds, snapshots
from palio.affiliates.console.calls import SNAPSHOTS, take_upload
from palio.affiliates.console.forms import Why
from palio.affiliates.console.schemas import UPLOAD_BYTES_MAX
from palio.affiliates.types import FeedId
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Moment

PATH = f"{feeds.HERE}/{{feed_id:uuid}}/upload"
LIST_TYPE = "application/json"  # the one kind of list there is; what is none is refused by what it holds
routes = Routes("affiliates")


@routes.page(PATH, access=SNAPSHOTS)
async def upload_page(request: Request, feed_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """What handing in a list does, and the form for it."""
    return await _page(request, ask, tx, feed_id, {"fetched_at": f"{ask.now:%Y-%m-%dT%H:%M}"})


async def _page(
    request: Request,
    ask: Asking,
    tx: Tx,
    feed_id: UUID,
    typed: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    values = {
        "card": card,
        "programme": next(one for one in await service.programme_cards(tx) if one.code == card.programme),
        "typed": typed,
    }
    name = "affiliates/console/upload.html"
    return await console.render(request, ask, tx, name, values, present=feeds.HERE, problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and why the list was not taken; the file is chosen again."""
    return await _page(request, ask, tx, request.path_params["feed_id"], filled.values, filled.problem)


@routes.form(
    PATH,
    access=SNAPSHOTS,
    again=_again,
    idempotency="none",  # the same list again is told by its hash
    unaudited="it is written down in a transaction of its own, before the file is judged",
    body_bytes_max=UPLOAD_BYTES_MAX,
)
async def upload_by_form(
    request: Request,
    feed_id: UUID,
    ask: Ask,
    fetched_at: Annotated[Moment, Form()],
    reason: Annotated[Why, Form()],
    file: Annotated[UploadFile, File()],
) -> RedirectResponse:
    """Hand in a list: it is archived, judged and applied, or kept for a decision."""
    snapshot = await take_upload(
        request,
        ask,
        FeedId(feed_id),
        content=await file.read(),
        content_type=LIST_TYPE,
        fetched_at=fetched_at,
        reason=reason,
    )
    return RedirectResponse(f"{snapshots.HERE}/{snapshot.id}", 303)
