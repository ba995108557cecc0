"""A player's own account at a programme: the page and the calls by which it is asked for, shown and given up."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, TypeAlias
from urllib.parse import urlencode
from uuid import UUID

from fastapi import File, Form, Query, Request, Response, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse

from palio.affiliates import service
from palio.affiliates.errors import (
    AlreadyDecided,
    AlreadyLinked,
    NoSuchLink,
    NoSuchProgramme,
    NoSuchRequest,
    NoteMissing,
    NotLinked,
    PlayerAmbiguous,
    PlayerResting,
    PlayerTaken,
    PlayerUnknown,
    ProgrammeClosed,
    RequestOpen,
    TooManyPictures,
    TooManyRequests,
)
from palio.affiliates.schemas.linking import (
    INERT,
    LINK_EXAMPLE,
    MINE_EXAMPLE,
    REQUEST_EXAMPLE,
    REQUESTS_EXAMPLE,
    Answer,
    AskToLink,
    LinkAnswer,
    LinkForm,
    MineAnswer,
    RequestAnswer,
    SendPicture,
    StepAnswer,
)
from palio.affiliates.types import AttachmentId, LinkId, LinkRequestId
from palio.infra import files
from palio.infra.db import Database, Tx
from palio.infra.files import NotAPicture, PictureTooLarge
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.limits import Limit
from palio.ui.paging import Listed
from palio.ui.problems import wrong_of
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank

routes = Routes("affiliates")

PAGE = "/account/link"
PROOFS = ("name_code", "screenshot", "transaction", "email", "support_ticket", "other")
ASKING = (Limit("link-requests", 30, 300),)  # what is taken in has a limit of its own: this one is for guessing names
SENDING = (Limit("proof-pictures", 10, 3_600),)
PICTURE_BYTES_MAX = 8 << 20
IN_THE_WAY = (
    *(NoSuchProgramme, PlayerUnknown, PlayerAmbiguous, ProgrammeClosed, AlreadyLinked, RequestOpen, PlayerTaken),
    *(PlayerResting, TooManyRequests),
)
TO_PLAYERS: Mapping[str, str] = {  # what staff are told in other words
    PlayerTaken.code: "Somebody else is linked to this player already. If it is you, tell the staff of this house.",
    AlreadyLinked.code: "You are linked already; the page shows to whom when you open it again.",
}
ABOUT_THE_PLAYER = {kind.code for kind in (PlayerUnknown, PlayerAmbiguous, PlayerTaken, PlayerResting)}
Code: TypeAlias = Annotated[str | None, Query(max_length=64), Blank]


def _me(ask: Asking) -> UserId:
    if ask.actor.user_id is None:
        raise Unauthenticated
    return ask.actor.user_id


@routes.get("/affiliates/me", access="player", example=MINE_EXAMPLE)
async def list_mine(ask: Ask, tx: InTx) -> Listed[MineAnswer]:
    """List the programmes with what one is there: link or request, numbers, places."""
    found = await service.my_programmes(tx, user_id=_me(ask), now=ask.now)
    return Listed(tuple(MineAnswer.of(one, ask.now) for one in found), None, None)


@routes.get("/affiliates/link-requests", access="player", example=REQUESTS_EXAMPLE)
async def list_my_requests(ask: Ask, tx: InTx) -> Listed[RequestAnswer]:
    """List one's last 50 requests, newest first, with every step of their history."""
    steps = await service.history_of(tx, user_id=_me(ask))
    found = await service.requests_of(tx, user_id=_me(ask))
    return Listed(tuple(RequestAnswer.of(one, steps) for one in found), None, None)


@routes.post(
    "/affiliates/link-requests",
    access="player",
    example=REQUEST_EXAMPLE,
    refuses=IN_THE_WAY,
    rate=ASKING,
    status=201,
)
async def ask_to_link(said: AskToLink, ask: Ask, tx: InTx) -> RequestAnswer:
    """Ask to be linked to a player; staff look at the proof."""
    made = await service.request_link(tx, wish=said.wish(_me(ask)), now=ask.now)
    return await _told(tx, ask, made.id)


@routes.delete(
    "/affiliates/link-requests/{request_id:uuid}",
    access="owner",
    example=REQUEST_EXAMPLE,
    refuses=[NoSuchRequest, AlreadyDecided],
)
async def cancel_link_request(request_id: UUID, ask: Ask, tx: InTx) -> RequestAnswer:
    """Take back an open request."""
    await service.cancel(tx, request_id=LinkRequestId(request_id), user_id=_me(ask), now=ask.now)
    return await _told(tx, ask, LinkRequestId(request_id))


@routes.post(
    "/affiliates/link-requests/{request_id:uuid}/answer",
    access="owner",
    example=REQUEST_EXAMPLE,
    refuses=[NoSuchRequest, AlreadyDecided, NoteMissing],
    rate=ASKING,
)
async def answer_about_link_request(request_id: UUID, said: Answer, ask: Ask, tx: InTx) -> RequestAnswer:
    """Add to an open request what staff have asked for."""
    await service.answer(tx, request_id=LinkRequestId(request_id), user_id=_me(ask), note=said.note, now=ask.now)
    return await _told(tx, ask, LinkRequestId(request_id))


@routes.delete(
    "/affiliates/links/{link_id:uuid}", access="owner", example=LINK_EXAMPLE, refuses=[NoSuchLink, NotLinked]
)
async def end_my_link(link_id: UUID, ask: Ask, tx: InTx) -> LinkAnswer:
    """End one's own link now; what was won stays."""
    return LinkAnswer.of(await service.unlink_one(tx, link_id=LinkId(link_id), actor=ask.actor, reason="", now=ask.now))


@routes.post(
    "/affiliates/link-requests/{request_id:uuid}/pictures",
    access="owner",
    example=REQUEST_EXAMPLE,
    refuses=[NoSuchRequest, AlreadyDecided, TooManyPictures, NotAPicture, PictureTooLarge],
    rate=SENDING,
    idempotency="none",
    body_bytes_max=PICTURE_BYTES_MAX,
    status=201,
)
async def add_picture(request_id: UUID, said: SendPicture, request: Request, ask: Ask) -> RequestAnswer:
    """Add a picture to an open request; it is drawn anew, and seen by staff alone. The same again changes nothing."""
    database: Database = request.app.state.database
    await _take_picture(database, ask, LinkRequestId(request_id), said.picture)
    async with database.begin(ask.actor) as tx:
        return await _told(tx, ask, LinkRequestId(request_id))


async def _take_picture(database: Database, ask: Asking, request_id: LinkRequestId, content: bytes) -> None:
    """Look at it, store it, and only then name it: a file is stored outside of any transaction."""
    picture = await asyncio.to_thread(files.redraw, content)
    async with database.begin(ask.actor) as tx:
        await service.require_room(tx, request_id=request_id, user_id=_me(ask))
    key = await service.store_picture(files.storage_of(database), picture=picture)
    async with database.begin(ask.actor) as tx:
        await service.attach(tx, request_id=request_id, user_id=_me(ask), picture=picture, storage_key=key, now=ask.now)


@routes.page(PAGE + "/pictures/{picture_id:uuid}", access="owner")
async def my_picture(picture_id: UUID, request: Request, ask: Ask) -> Response:
    """A picture that one has sent."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        found = await service.attachment(tx, attachment_id=AttachmentId(picture_id))
    content = await service.read_picture(files.storage_of(database), attachment=found)
    return Response(content, media_type=files.MEDIA_TYPE, headers=INERT)


async def _told(tx: Tx, ask: Asking, request_id: LinkRequestId) -> RequestAnswer:
    found, steps = await service.my_request(tx, request_id=request_id, user_id=_me(ask))
    return RequestAnswer.of(found, steps)


# the page


@routes.page(PAGE, access="player")
async def link_page(request: Request, ask: Ask, tx: InTx, programme: Code = None) -> HTMLResponse:
    """One's own account at a programme: asked for, looked at, linked."""
    return await _show(request, ask, tx, programme)


async def _show(
    request: Request, ask: Asking, tx: Tx, programme: str | None, filled: Filled | None = None
) -> HTMLResponse:
    mine = await service.my_programmes(tx, user_id=_me(ask), now=ask.now)
    here = next((one for one in mine if programme in {None, "", one.status.code}), None)
    if here is None and programme and filled is None:
        raise NoSuchProgramme(programme=programme)
    wrong = _wrong(filled)
    steps = await service.history_of(tx, user_id=_me(ask))
    asked = await service.requests_of(tx, user_id=_me(ask))
    values = {
        "now": ask.now,
        "mine": mine,
        "own": here,
        "asked": [RequestAnswer.of(one, steps) for one in asked if here and one.programme_id == here.status.id],
        "link_steps": [
            StepAnswer.of(step) for step in reversed(steps) if here and here.link and step.link_id == here.link.id
        ],
        "filled": filled,
        "wrong": {"player": "", "note": ""} | wrong,
        "words": _words_of(filled) if filled and not wrong.keys() & {"player", "note"} else "",
        "hints": PROOFS,
        "present": "link",
        "problem": None,  # it is told in the words of this page
    }
    return pages.render(request, "affiliates/link.html", values)


def _wrong(filled: Filled | None) -> dict[str, str]:
    """What is wrong with each field that a form of the page has; it has one for both name and uid."""
    if filled is None:
        return {}
    if filled.problem.code in ABOUT_THE_PLAYER:
        return {"player": _words_of(filled)}
    return wrong_of(filled.problem)


def _words_of(filled: Filled) -> str:
    return TO_PLAYERS.get(filled.problem.code, filled.problem.detail)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page with what was typed, and what is wrong with it."""
    return await _show(
        request, ask, tx, filled.values.get("programme") or request.query_params.get("programme"), filled
    )


def _back(programme: str | None) -> RedirectResponse:
    return RedirectResponse(f"{PAGE}?{urlencode({'programme': programme})}" if programme else PAGE, 303)


@routes.form(PAGE, access="player", again=_again, rate=ASKING)
async def send_link_request(form: Annotated[LinkForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Ask to be linked, from the page."""
    await service.request_link(tx, wish=form.wish(_me(ask)), now=ask.now)
    return _back(form.programme)


@routes.form(PAGE + "/requests/{request_id:uuid}/cancel", access="owner", again=_again)
async def send_cancel(
    request_id: UUID, form: Annotated[Body, Form()], ask: Ask, tx: InTx, programme: Code = None
) -> RedirectResponse:
    """Take back a request, from the page."""
    await service.cancel(tx, request_id=LinkRequestId(request_id), user_id=_me(ask), now=ask.now)
    return _back(programme)


@routes.form(PAGE + "/requests/{request_id:uuid}/answer", access="owner", again=_again, rate=ASKING)
async def send_answer(
    request_id: UUID, form: Annotated[Answer, Form()], ask: Ask, tx: InTx, programme: Code = None
) -> RedirectResponse:
    """Add to a request, from the page."""
    await service.answer(tx, request_id=LinkRequestId(request_id), user_id=_me(ask), note=form.note, now=ask.now)
    return _back(programme)


@routes.form(
    PAGE + "/requests/{request_id:uuid}/pictures",
    access="owner",
    again=_again,
    rate=SENDING,
    idempotency="none",
    body_bytes_max=PICTURE_BYTES_MAX,
)
async def send_picture(
    request_id: UUID, picture: Annotated[UploadFile, File()], request: Request, ask: Ask, programme: Code = None
) -> RedirectResponse:
    """Add a picture, from the page."""
    content = await picture.read(files.BYTES_MAX + 1)
    await _take_picture(request.app.state.database, ask, LinkRequestId(request_id), content)
    return _back(programme)


@routes.form(PAGE + "/links/{link_id:uuid}/end", access="owner", again=_again)
async def send_unlink(
    link_id: UUID, form: Annotated[Body, Form()], ask: Ask, tx: InTx, programme: Code = None
) -> RedirectResponse:
    """End a link, from the page."""
    await service.unlink_one(tx, link_id=LinkId(link_id), actor=ask.actor, reason="", now=ask.now)
    return _back(programme)
