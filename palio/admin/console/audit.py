"""The audit browser: who did what, filtered by the address, and the same as a list and a table."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import AwareDatetime
from starlette.responses import HTMLResponse

from palio.admin import schemas, service
from palio.admin.errors import WindowTooWide
from palio.admin.types import Act
from palio.infra.audit import Part, Wanted
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Key, Listed, Paged, Paging, sorted_by
from palio.ui.routes import Routes
from palio.ui.values import Blank

HERE = "/console/audit"
WINDOW = timedelta(days=30)
DAY = timedelta(days=1)
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
    last = schemas.day_of(until) or ask.now.date()
    first = schemas.day_of(since) or last - WINDOW
    begins, ends = (datetime.combine(day, time(), UTC) for day in (first, last + DAY))
    wanted = Wanted(begins, ends, **narrowed)  # type: ignore[arg-type]  # the names are those of its fields
    found = await service.search(tx, wanted=wanted, part=part_of(page))
    shown = page.shown(found, key_of)
    asked = {name: value for name, value in request.query_params.items() if value and name not in {"cursor", "limit"}}
    table = {name: value for name, value in asked.items() if name not in {"since", "until"}}
    table |= {"since": begins.isoformat(), "until": ends.isoformat()}
    values = {
        "acts": shown.rows,
        "asked": asked,
        "first": first,
        "last": last,
        "older": shown.next,
        "newer": shown.prev,
        "query": urlencode(asked) + "&" if asked else "",
        "table": urlencode(table),
        "may_export": {"admin.audit.export", "admin.export.run"} <= ask.permissions,
    }
    return await console.render(request, ask, tx, "admin/audit.html", values, present=HERE)


@routes.get("/console/audit", access="admin.audit.read", example=schemas.AUDIT, refuses=[WindowTooWide])
async def list_audit(
    tx: InTx,
    page: Annotated[Paging, Depends(sorted_by("-at", end=("0001-01-01T00:00:00+00:00", 0)))],
    narrowed: Filters,
    since: Annotated[AwareDatetime, Query()],
    until: Annotated[AwareDatetime, Query()],
) -> Listed[schemas.AuditAnswer]:
    """List what was done within a window, the newest first."""
    wanted = Wanted(since, until, **narrowed)  # type: ignore[arg-type]  # the names are those of its fields
    shown = page.shown(await service.search(tx, wanted=wanted, part=part_of(page)), key_of)
    return Listed(tuple(map(schemas.AuditAnswer.of, shown.rows)), shown.next, shown.prev)


def part_of(page: Paging) -> Part:
    """Which part of the rows a page is."""
    return page.wanted(lambda at, row_id: (datetime.fromisoformat(str(at)), int(row_id)))


def key_of(act: Act) -> Key:
    """Where a row stands."""
    return act.at.isoformat(), act.id
