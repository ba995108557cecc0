"""Calls about exports: what there is to export, asking for it, following it, and the one-time link to the file."""

from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Response

from palio.admin.console import export_schemas as say
from palio.admin.errors import WindowTooWide
from palio.infra import approvals, operations
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.infra.operations import (
    ANY_WORK,
    FieldUnknown,
    FilterInvalid,
    FilterUnknown,
    NoSuchOperation,
    NotReady,
    Operation,
    OperationOver,
    OperationState,
    PeopleTooMany,
    ResourceUnknown,
    Wish,
    WorkWanted,
)
from palio.kernel import clock
from palio.kernel.errors import Forbidden, Gone
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import Limit
from palio.ui.operations import AN_OPERATION, OperationAnswer, owner_of, told
from palio.ui.paging import Listed, PagedById, Paging, Part, numbered
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes

RUN, PERSONAL = "admin.export.run", "admin.export.personal"
BASE = "/console/exports"
ONE = f"{BASE}/{{operation_id:uuid}}"
OPERATION = "/console/operations/{operation_id:uuid}"
FILES = "/console/exports/files"
RATE = (Limit("exports", 10, 3_600),)
States: TypeAlias = Annotated[list[OperationState], Depends(of_words("state", get_args(OperationState)))]
Created: TypeAlias = Annotated[Span, Depends(of_times("created_at"))]
routes = Routes("admin")


@routes.get("/console/export-sources", access=RUN, example=say.SOURCES, tier="expected")
async def list_export_sources(tx: InTx, ask: Ask) -> say.Sources:
    """List what you can have as a file, with the fields and filters of each."""
    found = tx.equipment.exports.values()
    return say.Sources([say.SourceAnswer.of(one) for one in found if one.permission in ask.permissions])


@routes.post(
    BASE,
    access=RUN,
    example=AN_OPERATION,
    refuses=[
        *(ResourceUnknown, FieldUnknown, FilterUnknown, FilterInvalid, PeopleTooMany, WindowTooWide, ReasonMissing),
    ],
    rate=RATE,
    step_up=True,
    status=202,
    tier="expected",
)
async def create_export(body: say.NewExport, ask: Ask, tx: InTx, response: Response) -> OperationAnswer:
    """Have a file made of what was there at this moment. Follow it at the address in `Location`; it is yours alone."""
    operation = await begin(tx, ask, body.wish(), body.reason)
    response.headers["Location"] = f"/api/v1/console/operations/{operation.id}"
    return told(operation, response)


async def begin(tx: Tx, ask: Asking, wish: Wish, reason: str) -> Operation:
    """Have an export made for whoever asks. Refuses with Forbidden, ReasonMissing and as `operations.start` does."""
    why = approvals.checked_reason(reason)
    source = tx.equipment.exports.get(wish.resource)
    if source and source.permission not in ask.permissions:
        raise Forbidden(permission=source.permission)
    personal = {column.name for column in source.columns if column.is_personal} if source else set()
    if personal & set(wish.fields) and PERSONAL not in ask.permissions:
        raise Forbidden(permission=PERSONAL)
    return await operations.start(tx, wish=wish, owner=owner_of(ask), reason=why, now=ask.now)


@routes.get(BASE, access=RUN, example=say.EXPORTS, tier="expected")
async def list_exports(
    ask: Ask, tx: InTx, page: PagedById, states: States, created: Created
) -> Listed[OperationAnswer]:
    """List the exports you have asked for, the newest first."""
    found = await some_exports(tx, ask, page, WorkWanted(states, created.since, created.until))
    return found.told(OperationAnswer.of)


async def some_exports(tx: Tx, ask: Asking, page: Paging, wanted: WorkWanted = ANY_WORK) -> Part[Operation]:
    """The exports of a page."""
    part = page.wanted(numbered).and_one
    found = await operations.list_mine(tx, owner=owner_of(ask), kind="export", wanted=wanted, part=part)
    return page.part(found, lambda one: (str(one.id),))


@routes.get(OPERATION, access=RUN, example=AN_OPERATION, refuses=[NoSuchOperation], tier="expected")
async def get_operation(operation_id: UUID, ask: Ask, tx: InTx, response: Response) -> OperationAnswer:
    """Read how far a piece of work of yours is; the topic `me:operations` tells when that changes."""
    return told(await operations.get_mine(tx, operation_id=operation_id, owner=owner_of(ask)), response)


@routes.post(
    f"{OPERATION}/cancel", access=RUN, example=AN_OPERATION, refuses=[NoSuchOperation, OperationOver], tier="expected"
)
async def cancel_operation(operation_id: UUID, ask: Ask, tx: InTx, response: Response) -> OperationAnswer:
    """Stop a piece of work of yours before its next chunk; what it has done so far is thrown away."""
    found = await operations.cancel(tx, operation_id=operation_id, owner=owner_of(ask), now=ask.now)
    return told(found, response)


@routes.post(
    f"{ONE}/link",
    access=RUN,
    example=say.LINK,
    refuses=[NoSuchOperation, NotReady, Gone],
    idempotency="none",
    step_up=True,
    status=201,
    tier="expected",
)
async def create_export_link(operation_id: UUID, ask: Ask, tx: InTx) -> say.LinkAnswer:
    """Get a link to the file: for you alone, once, within five minutes."""
    return await linked(tx, ask, operation_id)


async def linked(tx: Tx, ask: Asking, operation_id: UUID) -> say.LinkAnswer:
    """A new link to the file of an export. Refuses with NoSuchOperation, NotReady, Gone."""
    secret = await operations.make_link(tx, operation_id=operation_id, owner=owner_of(ask), now=clock.real())
    return say.LinkAnswer(f"{FILES}/{secret}", operations.LINK_SECONDS)
