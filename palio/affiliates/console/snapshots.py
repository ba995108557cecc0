"""Pages of staff over snapshots: the list, one with its rows, two side by side, and the decision about doubted ones."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import identity
from palio.affiliates import service
from palio.affiliates.console.calls import READ, SNAPSHOTS, restored, snapshots_part
from palio.affiliates.console.forms import SnapshotForm
from palio.affiliates.console.schemas import Status
from palio.affiliates.errors import PayloadGone
from palio.affiliates.types import ProgrammeCard, Reading, SnapshotId, SnapshotRow
from palio.infra.db import Tx, attempt
from palio.kernel import parts
from palio.kernel.errors import Refusal
from palio.ui import console, problems
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank

HERE = "/console/affiliates/snapshots"
SUSPICIOUS_SHOWN, BESIDE = 20, 20
routes = Routes("affiliates")


async def kept(request: Request, snapshot_id: UUID, ask: Ask) -> bytes | None:
    """The bytes of a snapshot; None when the archive keeps them no more."""
    try:
        return await restored(request, snapshot_id, ask)
    except PayloadGone:
        return None


Kept = Annotated[bytes | None, Depends(kept)]


@routes.page(HERE, access=READ)
async def snapshots_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    programme: Annotated[str | None, Query(max_length=64), Blank] = None,
    status: Annotated[Status | None, Blank] = None,
) -> HTMLResponse:
    """Snapshots, whatever became of them; those that wait for a decision first."""
    shown = await snapshots_part(tx, page, programme, (status,) if status else ())
    waiting = await service.snapshot_rows(
        tx, programme=None, statuses=("suspicious",), part=parts.Part(SUSPICIOUS_SHOWN)
    )
    narrowed = {name: value for name, value in (("programme", programme), ("status", status)) if value}
    values = {
        "snapshots": shown.rows,
        "waiting": waiting if page.position is None and status != "suspicious" else [],
        "programmes": {card.code: card for card in await service.programme_cards(tx)},
        "programme": programme,
        "status": status,
        "query": urlencode(narrowed),
        "older": shown.next,
        "newer": shown.prev,
        "is_later": page.position is not None,
    }
    return await console.render(request, ask, tx, "affiliates/console/snapshots.html", values, present=HERE)


async def _show(
    request: Request,
    ask: Asking,
    tx: Tx,
    name: str,
    row: SnapshotRow,
    values: Mapping[str, object],
    problem: Problem | None = None,
) -> HTMLResponse:
    """A page about one snapshot."""
    around = {
        "row": row,
        "programme": await _programme_of(tx, row),
        "may_decide": SNAPSHOTS in ask.permissions,
    }
    template = f"affiliates/console/{name}.html"
    return await console.render(request, ask, tx, template, {**around, **values}, present=HERE, problem=problem)


async def _programme_of(tx: Tx, row: SnapshotRow) -> ProgrammeCard:
    return next(card for card in await service.programme_cards(tx) if card.code == row.programme)


@routes.page(f"{HERE}/{{snapshot_id:uuid}}", access=READ)
async def snapshot_page(
    request: Request,
    snapshot_id: UUID,
    body: Kept,
    ask: Ask,
    tx: InTx,
    page: Paged,
    uid: Annotated[str, Query(max_length=128)] = "",
) -> HTMLResponse:
    """One snapshot: what is known of it, what is odd, and its rows a hundred at a time, or those of some uids."""
    row = await service.snapshot_row(tx, snapshot_id=SnapshotId(snapshot_id))
    anomalies, held = await service.oddities_of(tx, snapshot=row)
    readings, unreadable = await _readings(request, tx, row, body)
    listed = [one for one in readings if uid.lower() in one.uid.lower() or uid.lower() in (one.name or "").lower()]
    after, limit = page.span()
    shown = listed[after : after + limit]
    older, newer = page.around(after + 1, after + len(shown), of=len(listed)) if shown else (None, None)
    names = await identity.names(tx, ids=[row.decided_by], viewer=ask.actor) if row.decided_by else {}
    values = {
        "anomalies": anomalies,
        "held": held,
        "readings": shown,
        "listed": len(listed),
        "unreadable": unreadable,
        "is_kept": body is not None,
        "uid": uid,
        "query": urlencode({"uid": uid}) + "&" if uid else "",
        "older": older,
        "newer": newer,
        "decided_by": names.get(row.decided_by, "") if row.decided_by else "",
        "others": await _beside(tx, row),
    }
    return await _show(request, ask, tx, "snapshot", row, values)


async def _readings(
    request: Request, tx: Tx, row: SnapshotRow, body: bytes | None
) -> tuple[list[Reading], Problem | None]:
    """The rows that can be read, and why none of them can."""
    if body is None:
        return [], None
    try:
        parsed = await service.parsed_snapshot(tx, snapshot_id=row.id, body=body)
    except Refusal as refusal:
        return [], problems.describe(request, refusal)
    return [*parsed.readings.values()], None


async def _beside(tx: Tx, row: SnapshotRow) -> list[SnapshotRow]:
    """The snapshots of the programme that were applied last, to compare with."""
    found = await service.snapshot_rows(tx, programme=row.programme, statuses=("applied",), part=parts.Part(BESIDE + 1))
    return [one for one in found if one.id != row.id][:BESIDE]


async def kept_other(request: Request, ask: Ask, other: Annotated[UUID, Query(alias="with")]) -> bytes | None:
    """The bytes of the snapshot to compare with."""
    return await kept(request, other, ask)


@routes.page(f"{HERE}/{{snapshot_id:uuid}}/compare", access=READ)
async def compare_page(
    request: Request,
    snapshot_id: UUID,
    other: Annotated[UUID, Query(alias="with")],
    body: Kept,
    body_of_other: Annotated[bytes | None, Depends(kept_other)],
    ask: Ask,
    tx: InTx,
) -> HTMLResponse:
    """Two snapshots side by side: who came, who is gone, whose numbers differ."""
    row = await service.snapshot_row(tx, snapshot_id=SnapshotId(snapshot_id))
    before = await service.snapshot_row(tx, snapshot_id=SnapshotId(other))
    contrast = problem = None
    if body is not None and body_of_other is not None:
        try:
            contrast = await service.compare_snapshots(
                tx, before_id=before.id, before=body_of_other, after_id=row.id, after=body
            )
        except Refusal as refusal:
            problem = problems.describe(request, refusal)
    values = {"before": before, "contrast": contrast}
    return await _show(request, ask, tx, "compare", row, values, problem)


@routes.page(f"{HERE}/{{snapshot_id:uuid}}/decide", access=SNAPSHOTS)
async def decide_page(request: Request, snapshot_id: UUID, body: Kept, ask: Ask, tx: InTx) -> HTMLResponse:
    """A suspicious snapshot: what applying it would change, and the decision."""
    return await _decide(request, ask, tx, snapshot_id, body)


async def _decide(
    request: Request, ask: Asking, tx: Tx, snapshot_id: UUID, body: bytes | None, filled: Filled | None = None
) -> HTMLResponse:
    row = await service.snapshot_row(tx, snapshot_id=SnapshotId(snapshot_id))
    foreseen = obstacle = None
    if row.status == "suspicious" and body is not None:
        try:
            async with attempt(tx):
                foreseen = await service.foresee_apply(tx, snapshot_id=row.id, body=body)
        except Refusal as refusal:
            obstacle = problems.describe(request, refusal)
    values = {
        "foreseen": foreseen,
        "obstacle": obstacle,
        "is_kept": body is not None,
        "typed": filled.values if filled else {},
    }
    return await _show(request, ask, tx, "decide", row, values, filled.problem if filled else None)


async def _decide_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The decision with what was typed, and why it was not taken."""
    snapshot_id = request.path_params["snapshot_id"]
    body = await kept(request, snapshot_id, ask)
    return await _decide(request, ask, tx, snapshot_id, body, filled)


@routes.form(f"{HERE}/{{snapshot_id:uuid}}/decide", access=SNAPSHOTS, again=_decide_again)
async def decide_by_form(
    snapshot_id: UUID, body: Kept, ask: Ask, tx: InTx, form: Annotated[SnapshotForm, Form()]
) -> RedirectResponse:
    """Apply it as it is, or put it aside for good."""
    if form.decision == "apply":
        if body is None:
            raise PayloadGone(snapshot_id=snapshot_id)
        await service.apply_anyway(
            tx, actor=ask.actor, snapshot_id=SnapshotId(snapshot_id), body=body, reason=form.reason, now=ask.now
        )
    else:
        await service.discard(tx, actor=ask.actor, snapshot_id=SnapshotId(snapshot_id), reason=form.reason, now=ask.now)
    return RedirectResponse(f"{HERE}/{snapshot_id}", 303)
