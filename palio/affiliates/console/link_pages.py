"""Pages of staff over links: the queue of requests, one request with its evidence, and the links that there are."""

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import File, Form, Query, Request, Response, UploadFile
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse

from palio import identity
from palio.affiliates import rules, service
from palio.affiliates.console.links import (
    LIST_BYTES_MAX,
    READ,
    REVIEW,
    LinkState,
    Programme,
    Queued,
    Text,
    Which,
    listed,
    listed_links,
    programme_of,
)
from palio.affiliates.errors import BadLinkList
from palio.affiliates.schemas.linking import LIST_CHARACTERS_MAX, Line, Note, Reason, Words
from palio.affiliates.types import Imported, LinkId, LinkRequest, LinkRequestId, LinksFilter
from palio.infra.db import Tx
from palio.kernel.parts import Part
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank

REQUESTS = "/console/affiliates/link-requests"
LINKS = "/console/affiliates/links"
routes = Routes("affiliates")


class AskForm(Body):
    """What staff say about a request: the user reads the note, staff alone the other one."""

    note: Note = ""
    staff_note: Words = ""


class DecideForm(AskForm):
    """The same, with what is decided."""

    decision: Literal["approve", "reject", "ask"]


class BecauseForm(Body):
    """Why."""

    reason: Reason


class MoveForm(Body):
    """Whose player it is to be, and why."""

    programme: Line
    uid: Line
    to_user: Line
    reason: Reason


# the queue


@routes.page(REQUESTS, access=READ)
async def link_queue_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Queued,
    state: Which = "open",
    programme: Programme = None,
    q: Text = "",
    done: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """Requests to link: what waits, what one looks at, what several ask for, and what is decided."""
    part = await listed(tx, ask, page, state, programme, q)
    values = {
        "requests": part.rows,
        "state": state,
        "programme": programme,
        "q": q,
        "programmes": await service.programmes(tx),
        "query": _asked(request, "state", "programme", "q"),
        "tab_query": _asked(request, "programme", "q"),
        "page_query": _asked(request, "state", "programme", "q", "limit", "done"),
        "before": part.prev,
        "following": part.next,
        "may_review": REVIEW in ask.permissions,
        "done": await _decided_before(tx, done),
    }
    name = "affiliates/console/requests.html"
    return await console.render(request, ask, tx, name, values, present=REQUESTS, block="queue")


def _asked(request: Request, *names: str) -> str:
    """What the address says of these, as the part of another address; a cursor belongs to all that was asked."""
    return "".join(
        f"{urlencode({name: request.query_params[name]})}&" for name in names if request.query_params.get(name)
    )


async def _decided_before(tx: Tx, request_id: UUID | None) -> LinkRequest | None:
    """What was decided just before this page, so that it can say so."""
    if request_id is None:
        return None
    card, _ = await service.request_card(tx, request_id=LinkRequestId(request_id))
    return card.request


@routes.page(REQUESTS + "/{request_id:uuid}", access=READ)
async def link_request_page(
    request_id: UUID, request: Request, ask: Ask, tx: InTx, done: Annotated[UUID | None, Query()] = None
) -> HTMLResponse:
    """A request: who asks for which player, how it is proved, who else asks, and what came before."""
    return await _request(request, ask, tx, request_id, {}, before=done)


async def _request(
    request: Request,
    ask: Asking,
    tx: Tx,
    request_id: UUID,
    typed: Mapping[str, str],
    problem: Problem | None = None,
    before: UUID | None = None,
) -> HTMLResponse:
    found = await service.review(tx, request_id=LinkRequestId(request_id))
    values = {
        "found": found,
        "one": found.one.request,
        "is_open": found.one.request.decided_at is None,
        "is_own": found.one.request.user_id == ask.actor.user_id,
        "is_mine": found.one.request.taken_by == ask.actor.user_id,
        "is_taken": rules.is_taken_by_other(found.one.request, ask.actor, ask.now),
        "may_review": REVIEW in ask.permissions,
        "typed": typed,
        "done": await _decided_before(tx, before),
    }
    return await console.render(
        request, ask, tx, "affiliates/console/request.html", values, present=REQUESTS, problem=problem
    )


async def _request_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The request with what was typed, and why it was not done."""
    return await _request(request, ask, tx, request.path_params["request_id"], filled.values, filled.problem)


@routes.form(REQUESTS + "/{request_id:uuid}/take", access=REVIEW, again=_request_again)
async def take_by_form(request_id: UUID, form: Annotated[Body, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Say that one looks at it."""
    await service.take(tx, request_id=LinkRequestId(request_id), actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{REQUESTS}/{request_id}", 303)


@routes.form(REQUESTS + "/{request_id:uuid}/decide", access=REVIEW, again=_request_again)
async def decide_by_form(request_id: UUID, form: Annotated[DecideForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Approve, reject or ask for more; then comes the next request."""
    one = LinkRequestId(request_id)
    if form.decision == "ask":
        await service.ask_more(
            tx, request_id=one, actor=ask.actor, note=form.note, staff_note=form.staff_note, now=ask.now
        )
        return RedirectResponse(f"{REQUESTS}/{request_id}", 303)
    await service.decide(
        tx,
        request_id=one,
        actor=ask.actor,
        decision=form.decision,
        note=form.note,
        staff_note=form.staff_note,
        now=ask.now,
    )
    following = await service.next_request(tx, actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{REQUESTS}/{following}?done={one}" if following else f"{REQUESTS}?done={one}", 303)


# links


@routes.page(LINKS, access=READ)
async def links_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    state: LinkState = "active",
    programme: Programme = None,
    q: Text = "",
    waiting: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """Whose player each external player is, or was."""
    shown = await listed_links(tx, page, state, programme, q)
    values = {
        "links": shown.rows,
        "state": state,
        "programme": programme,
        "q": q,
        "programmes": await service.programmes(tx),
        "query": _asked(request, "state", "programme", "q"),
        "page_query": _asked(request, "state", "programme", "q", "limit", "waiting"),
        "older": shown.next,
        "newer": shown.prev,
        "may_review": REVIEW in ask.permissions,
        "waiting": waiting,
    }
    return await console.render(request, ask, tx, "affiliates/console/links.html", values, present=LINKS)


@routes.page(LINKS + "/{link_id:uuid}", access=READ)
async def link_page(link_id: UUID, request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """A link, and the form that ends it."""
    return await _link(request, ask, tx, link_id, {})


async def _link(
    request: Request, ask: Asking, tx: Tx, link_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    values = {
        "link": await service.link_line(tx, link_id=LinkId(link_id)),
        "may_review": REVIEW in ask.permissions,
        "typed": typed,
    }
    return await console.render(
        request, ask, tx, "affiliates/console/link.html", values, present=LINKS, problem=problem
    )


async def _link_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _link(request, ask, tx, request.path_params["link_id"], filled.values, filled.problem)


@routes.form(LINKS + "/{link_id:uuid}/unlink", access=REVIEW, again=_link_again)
async def unlink_by_form(link_id: UUID, form: Annotated[BecauseForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """End a link now; what was won stays."""
    await service.unlink_one(tx, link_id=LinkId(link_id), actor=ask.actor, reason=form.reason, now=ask.now)
    return RedirectResponse(f"{LINKS}/{link_id}", 303)


@routes.page(LINKS + "/move", access=REVIEW)
async def move_page(request: Request, ask: Ask, tx: InTx, programme: Programme = None, uid: Text = "") -> HTMLResponse:
    """What a move does, and the form that proposes it."""
    return await _move(request, ask, tx, {"programme": programme or "", "uid": uid})


async def _move(
    request: Request, ask: Asking, tx: Tx, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    held = await service.list_links(tx, wanted=LinksFilter(typed.get("programme") or None, typed["uid"]), part=Part(20))
    values = {
        "programmes": await service.programmes(tx),
        "typed": typed,
        "held": next((one for one in held if one.uid == typed["uid"]), None),
    }
    return await console.render(
        request, ask, tx, "affiliates/console/move.html", values, present=LINKS, problem=problem
    )


async def _move_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _move(request, ask, tx, {"uid": "", **filled.values}, filled.problem)


@routes.form(LINKS + "/move", access=REVIEW, step_up=True, again=_move_again)
async def move_by_form(form: Annotated[MoveForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Propose that a player is somebody else's; a second person decides."""
    user = await identity.get(tx, name_or_id=form.to_user)
    waiting = await service.propose_transfer(
        tx,
        programme_id=await programme_of(tx, form.programme),
        uid=form.uid,
        to_user=user.id,
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return RedirectResponse(f"{LINKS}?waiting={waiting.id}", 303)


# a list of links


@routes.page(LINKS + "/import", access=REVIEW)
async def import_page(request: Request, ask: Ask, tx: InTx, programme: Programme = None) -> HTMLResponse:
    """The form that takes a list."""
    return await _import(request, ask, tx, {"programme": programme or ""})


async def _import(
    request: Request,
    ask: Asking,
    tx: Tx,
    typed: Mapping[str, str],
    problem: Problem | None = None,
    imported: Imported | None = None,
) -> HTMLResponse:
    values = {
        "programmes": await service.programmes(tx),
        "typed": typed,
        "imported": imported,
        "is_clean": imported is not None and all(line.verdict in {"linked", "present"} for line in imported.lines),
    }
    name = "affiliates/console/import.html"
    return await console.render(request, ask, tx, name, values, present=LINKS, problem=problem)


async def _import_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _import(request, ask, tx, filled.values, filled.problem)


@routes.form(
    LINKS + "/import",
    access=REVIEW,
    step_up=True,
    again=_import_again,
    idempotency="none",  # the same list again links nobody twice, and its answer is a page of this moment
    body_bytes_max=LIST_BYTES_MAX,
)
async def import_by_form(
    request: Request,
    ask: Ask,
    tx: InTx,
    programme: Annotated[Line, Form()],
    reason: Annotated[Reason, Form()],
    act: Annotated[Literal["try", "import"], Form()],
    links: Annotated[str, StringConstraints(max_length=LIST_CHARACTERS_MAX), Form()] = "",
    file: Annotated[UploadFile | None, File(), Blank] = None,
) -> HTMLResponse:
    """Try a list, or make its links: all of them or none. A file takes the place of what was typed."""
    text = await _text_of(file) or links
    done = await service.import_links(
        tx, programme_id=await programme_of(tx, programme), text=text, reason=reason, now=ask.now, dry_run=act == "try"
    )
    typed = {"programme": programme, "reason": reason, "links": "" if done.is_written else text}
    return await _import(request, ask, tx, typed, imported=done)


async def _text_of(file: UploadFile | None) -> str:
    """The text of a file, if one was sent. Refuses with BadLinkList what is no text."""
    if file is None or not file.filename:
        return ""
    try:
        return (await file.read()).decode()
    except UnicodeDecodeError:
        raise BadLinkList(line=1, problem="it is not UTF-8 text") from None
