"""Pages about exports: asking for one, following it live, stopping it, and fetching the file once."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse, StreamingResponse

from palio.admin.console import export_schemas as say
from palio.admin.console.export_calls import FILES, PERSONAL, RATE, RUN, begin, linked, some_exports
from palio.infra import operations
from palio.infra.db import Database, Tx
from palio.infra.operations import ResourceUnknown
from palio.kernel import clock
from palio.kernel.providers import ExportSource
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.operations import owner_of
from palio.ui.paging import Paged, first_part
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

HERE = "/console/exports"
NEW = f"{HERE}/new"
ONE = f"{HERE}/{{operation_id:uuid}}"
Resource = Annotated[str, Query(max_length=100)]
Nothing = Annotated[say.NoForm, Form()]
routes = Routes("admin")


@routes.page(HERE, access=RUN)
async def exports_page(request: Request, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """One's exports with how far they are, the newest first."""
    return await _list(request, ask, tx, page)


async def _list(request: Request, ask: Asking, tx: Tx, page: Paged, problem: Problem | None = None) -> HTMLResponse:
    shown = await some_exports(tx, ask, page)
    values = {
        "exports": shown.rows,
        "older": shown.next,
        "newer": shown.prev,
        "here_now": f"{HERE}?{request.url.query}" if request.method == "GET" and request.url.query else HERE,
        "sources": [one for one in tx.equipment.exports.values() if one.permission in ask.permissions],
    }
    return await console.render(
        request, ask, tx, "admin/exports.html", values, present=HERE, block="exports", problem=problem
    )


async def _list_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The list, and what is wrong."""
    return await _list(request, ask, tx, await first_part(request, ask, HERE), filled.problem)


@routes.page(NEW, access=RUN)
async def new_export_page(request: Request, ask: Ask, tx: InTx, resource: Resource = "") -> HTMLResponse:
    """An export to be asked for, narrowed as the list was that one comes from. Refuses with ResourceUnknown."""
    narrowed = urlencode([(name, value) for name, value in request.query_params.items() if name != "resource"])
    return await _edit(request, ask, tx, resource, {"narrowed": narrowed})


async def _edit(
    request: Request,
    ask: Asking,
    tx: Tx,
    resource: str,
    typed: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    source = tx.equipment.exports.get(resource)
    if source is None:
        raise ResourceUnknown(resource=resource, known=sorted(tx.equipment.exports))
    values = {
        "source": source,
        "typed": typed,
        "narrowed": _told(source, typed.get("narrowed", "")),
        "may_have_names": PERSONAL in ask.permissions,
    }
    return await console.render(request, ask, tx, "admin/export_new.html", values, present=HERE, problem=problem)


def _told(source: ExportSource[Tx], narrowed: str) -> list[tuple[str, str]]:
    """By what it is narrowed, in words; what the source does not know is told as it is, and refused later."""
    words = {one.name: one.words for one in source.filters}
    return [(words.get(name, name), value) for name, value in parse_qsl(narrowed)]


async def _new_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    return await _edit(request, ask, tx, request.query_params.get("resource", ""), filled.values, filled.problem)


@routes.form(NEW, access=RUN, again=_new_again, rate=RATE, step_up=True, asks_code=True)
async def ask_for_export(
    form: Annotated[say.ExportForm, Form()], ask: Ask, tx: InTx, resource: Resource = ""
) -> RedirectResponse:
    """Have a file made."""
    await begin(tx, ask, form.wish(resource), form.reason)
    return RedirectResponse(HERE, 303)


@routes.form(f"{ONE}/cancel", access=RUN, again=_list_again)
async def cancel_by_form(operation_id: UUID, ask: Ask, tx: InTx, form: Nothing) -> RedirectResponse:
    """Stop it before its next chunk."""
    await operations.cancel(tx, operation_id=operation_id, owner=owner_of(ask), now=ask.now)
    return RedirectResponse(HERE, 303)


@routes.form(f"{ONE}/download", access=RUN, again=_list_again, idempotency="none")
async def download_by_form(operation_id: UUID, ask: Ask, tx: InTx, form: Nothing) -> RedirectResponse:
    """Go to the file by a new one-time link."""
    return RedirectResponse((await linked(tx, ask, operation_id)).url, 303)


@routes.page(f"{FILES}/{{link}}", access=RUN)
async def fetch_export(request: Request, link: str, ask: Ask, tx: InTx) -> StreamingResponse:
    """The file, once: what the link is for is used up before the first byte is sent."""
    database: Database = request.app.state.database
    operation = await operations.redeem(tx, secret=link, owner=owner_of(ask), now=clock.real())
    name, media_type = operations.file_of(operation)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(operation.size_bytes),
        "Repr-Digest": f"sha-256=:{b64encode(operation.sha256 or b'').decode()}:",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(operations.parts_of(database, operation), media_type=media_type, headers=headers)
