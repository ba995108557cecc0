"""The audit browser: who did what, filtered by the address, and the same as a list and a table."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from pydantic import AwareDatetime, TypeAdapter
from starlette.responses import HTMLResponse, StreamingResponse

from palio.admin import schemas, service
from palio.admin.errors import WindowTooWide
from palio.admin.types import Acts
from palio.infra.audit import Part, Wanted
from palio.infra.db import Database, Tx
from palio.ui import console, strict, tables
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging, paging
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank

HERE = "/console/audit"
WINDOW = timedelta(days=30)
DAY = timedelta(days=1)
ROWS_OF_A_PART, ROWS_MAX = 1_000, 1_000_000
TYPED = {"actor", "subject", "action", "entity_type", "entity_id", "request", "words"}
ANSWER = TypeAdapter(schemas.AuditAnswer)
Text = Annotated[str | None, Query(max_length=100), Blank]
Id = Annotated[UUID | None, Query(), Blank]
routes = Routes("admin")


async def filters(
    actor: Id = None,
    subject: Id = None,
    action: Text = None,
    entity_type: Text = None,
    entity_id: Text = None,
    request: Id = None,
    reason: Text = None,
) -> dict[str, UUID | str | None]:
    """What rows are narrowed to, beside the time."""
    return {
        "actor_id": actor,
        "subject_id": subject,
        "action": action,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "request_id": request,
        "reason": reason,
    }


Filters = Annotated[dict[str, UUID | str | None], Depends(filters)]


@routes.page(HERE, access="admin.audit.read")
async def audit_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    narrowed: Filters,
    since: Annotated[str, Query(max_length=10)] = "",
    until: Annotated[str, Query(max_length=10)] = "",
) -> HTMLResponse:
    """What was done in some days, both of them included; in the last thirty if nobody says which."""
    return await _page(request, ask, tx, page, narrowed, since, until)


async def _page(
    request: Request,
    ask: Asking,
    tx: Tx,
    page: Paging,
    narrowed: dict[str, UUID | str | None],
    since: str,
    until: str,
    *,
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
) -> HTMLResponse:
    last = schemas.day_of(until) or ask.now.date()
    first = schemas.day_of(since) or last - WINDOW
    begins, ends = (datetime.combine(day, time(), UTC) for day in (first, last + DAY))
    wanted = Wanted(begins, ends, **narrowed)  # type: ignore[arg-type]  # the names are those of its fields
    found = await service.search(tx, wanted=wanted, part=part_of(page))
    older, newer = ends_of(found, page)
    typed = typed or {}
    said = {"reason" if name == "words" else name: value for name, value in typed.items() if name in TYPED}
    given = said or request.query_params
    asked = {name: value for name, value in given.items() if value and name not in {"cursor", "limit"}}
    table = {name: value for name, value in asked.items() if name not in {"since", "until"}}
    table |= {"since": begins.isoformat(), "until": ends.isoformat()}
    values = {
        "found": found,
        "asked": asked,
        "first": first,
        "last": last,
        "older": older,
        "newer": newer,
        "query": urlencode(asked) + "&" if asked else "",
        "table": urlencode(table),
        "window": (begins.isoformat(), ends.isoformat()),
        "may_export": "admin.audit.export" in ask.permissions,
        "typed": typed,
        "problem": problem,
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "admin/audit.html", values, present=HERE, status=status)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The acts of those days with why they were not taken out."""
    typed = filled.values
    narrowed = {name: typed.get(name) or None for name in ("action", "entity_type", "entity_id")}
    first, end = typed.get("since", "")[:10], schemas.day_of(typed.get("until", "")[:10])
    last = (end - DAY).isoformat() if end else ""  # the form says the instant after the last day
    page = await paging(request, ask)
    return await _page(request, ask, tx, page, {**narrowed}, first, last, problem=filled.problem, typed=typed)


@routes.get("/console/audit", access="admin.audit.read", example=schemas.AUDIT, refuses=[WindowTooWide])
async def list_audit(
    tx: InTx,
    page: Paged,
    narrowed: Filters,
    since: Annotated[AwareDatetime, Query()],
    until: Annotated[AwareDatetime, Query()],
) -> schemas.Audit:
    """List what was done within a window, the newest first."""
    wanted = Wanted(since, until, **narrowed)  # type: ignore[arg-type]  # the names are those of its fields
    found = await service.search(tx, wanted=wanted, part=part_of(page))
    return schemas.Audit(tuple(map(schemas.AuditAnswer.of, found.acts)), *ends_of(found, page))


@routes.form(
    f"{HERE}/export", access="admin.audit.export", step_up=True, asks_code=True, idempotency="none", again=_again
)
async def export_audit(
    request: Request, ask: Ask, tx: InTx, form: Annotated[schemas.AuditExportForm, Form()]
) -> StreamingResponse:
    """Take acts out as a file, the newest first, at most a million; that it was done, and why, is an act itself."""
    wanted = form.wanted()
    await service.note_export(tx, wanted=wanted, kind=form.format, reason=form.reason)
    media_type = "text/csv; charset=utf-8; header=present" if form.format == "csv" else "application/jsonl"
    name = f"audit-{wanted.since:%Y%m%d}-{wanted.until:%Y%m%d}.{form.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    parts = _parts(request.app.state.database, ask, wanted, is_table=form.format == "csv")
    return StreamingResponse(parts, media_type=media_type, headers=headers)


async def _parts(database: Database, ask: Asking, wanted: Wanted, *, is_table: bool) -> AsyncIterator[str]:
    """A file part by part: no transaction stays open while a slow reader takes his time."""
    older_than: tuple[datetime, int] | None = None
    columns = list(tables.cells(_plain(schemas.AUDIT.items[0])))
    if is_table:
        yield tables.write([], columns=columns)
    for _ in range(ROWS_MAX // ROWS_OF_A_PART):
        async with database.begin(ask.actor) as tx:
            found = await service.search(tx, wanted=wanted, part=Part(ROWS_OF_A_PART, older_than))
        rows = [_plain(schemas.AuditAnswer.of(act)) for act in found.acts]
        if is_table:
            yield tables.write(rows, columns=columns, has_head=False)
        else:
            yield "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        if not found.has_older:
            return
        older_than = (found.acts[-1].at, found.acts[-1].id)


def _plain(answer: schemas.AuditAnswer) -> strict.Json:
    plain: strict.Json = ANSWER.dump_python(answer, mode="json")
    return plain


def part_of(page: Paging) -> Part:
    """Which part of the rows a page is."""
    if page.position is None:
        return Part(page.limit)
    at, row_id = page.position.key
    key = (datetime.fromisoformat(str(at)), int(row_id))
    return Part(page.limit, newer_than=key) if page.position.is_back else Part(page.limit, older_than=key)


def ends_of(found: Acts, page: Paging) -> tuple[str | None, str | None]:
    """The cursors `(next, prev)` beside a part; next is older."""
    if not found.acts:
        return None, None
    first, last = found.acts[0], found.acts[-1]
    older = page.behind(last.at.isoformat(), last.id) if found.has_older else None
    return older, page.before(first.at.isoformat(), first.id) if found.has_newer else None
