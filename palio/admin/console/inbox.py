"""The approvals inbox: what waits for a second person, what I have proposed, what is over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.admin import schemas, service
from palio.admin.schemas import desk_of
from palio.admin.types import ProposalView
from palio.infra.approvals import (
    Closed,
    Decision,
    Expired,
    NoSuchApproval,
    OwnBenefit,
    OwnProposal,
    ReasonMissing,
)
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged, PagedById, Paging, Part, numbered
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

HERE = "/console/approvals"
SHOWN_MAX = 100
DECIDING = (NoSuchApproval, Forbidden, OwnProposal, OwnBenefit, Closed, Expired, ReasonMissing)
BoxName = Annotated[Literal["open", "mine", "done"], Query()]
routes = Routes("admin")


@routes.page(HERE, access="admin.approval.read")
async def inbox_page(request: Request, ask: Ask, tx: InTx, page: Paged, box: BoxName = "open") -> HTMLResponse:
    """Proposals, the newest first."""
    part, unread = await _listed(request, ask, tx, page, box)
    values = {"proposals": part.rows, "unread": unread, "newer": part.prev, "older": part.next, "box": box}
    return await console.render(request, ask, tx, "admin/approvals.html", values, present=HERE, block="inbox")


async def _listed(
    request: Request, ask: Asking, tx: Tx, page: Paging, box: service.Box
) -> tuple[Part[ProposalView], Sequence[str]]:
    """A page of proposals, and the modules that could not tell theirs."""
    page = replace(page, limit=min(page.limit, SHOWN_MAX))
    found = await service.list_proposals(
        tx,
        desk=desk_of(request),
        actor=ask.actor,
        held=ask.permissions,
        box=box,
        part=page.wanted(numbered).and_one,
    )
    return page.part(found.proposals, lambda one: (str(one.id),)), found.unread


@routes.page(HERE + "/{approval_id:uuid}", access="admin.approval.read")
async def approval_page(request: Request, ask: Ask, tx: InTx, approval_id: UUID) -> HTMLResponse:
    """One proposal: what it would do, and the decision. Refuses with NoSuchApproval."""
    return await _page(request, ask, tx, approval_id)


async def _page(
    request: Request, ask: Asking, tx: Tx, approval_id: UUID, problem: Problem | None = None, reason: str = ""
) -> HTMLResponse:
    found = await service.get_proposal(
        tx, desk=desk_of(request), actor=ask.actor, held=ask.permissions, approval_id=approval_id, now=ask.now
    )
    values = {"proposal": found, "reason": reason}
    return await console.render(request, ask, tx, "admin/approval.html", values, present=HERE, problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The proposal with the reason that was typed, and why it was not taken."""
    reason = filled.values.get("reason", "")
    return await _page(request, ask, tx, request.path_params["approval_id"], filled.problem, reason)


@routes.form(HERE + "/{approval_id:uuid}/decide", access="admin.approval.decide", step_up=True, again=_again)
async def decide_by_form(
    request: Request, ask: Ask, tx: InTx, approval_id: UUID, form: Annotated[schemas.DecisionForm, Form()]
) -> RedirectResponse:
    """Approve or reject what somebody else has proposed."""
    await _decide(request, ask, tx, approval_id, form.decision, form.reason)
    return RedirectResponse(f"{HERE}/{approval_id}", 303)


@routes.form(HERE + "/{approval_id:uuid}/withdraw", access="admin.approval.read", again=_again)
async def withdraw_by_form(
    request: Request, ask: Ask, tx: InTx, approval_id: UUID, form: Annotated[schemas.NothingForm, Form()]
) -> RedirectResponse:
    """Take back one's own proposal."""
    await _withdraw(request, ask, tx, approval_id)
    return RedirectResponse(f"{HERE}/{approval_id}", 303)


@routes.get("/console/approvals", access="admin.approval.read", example=schemas.PROPOSALS)
async def list_approvals(
    request: Request, ask: Ask, tx: InTx, page: PagedById, box: BoxName = "open"
) -> Listed[schemas.ProposalAnswer]:
    """List proposals, the newest first: those that are open, your own, or those that are over."""
    part, _ = await _listed(request, ask, tx, page, box)
    return part.told(schemas.ProposalAnswer.of)


@routes.get(
    "/console/approvals/{approval_id:uuid}",
    access="admin.approval.read",
    example=schemas.PROPOSALS.items[0],
    refuses=[NoSuchApproval],
)
async def get_approval(request: Request, ask: Ask, tx: InTx, approval_id: UUID) -> schemas.ProposalAnswer:
    """Read a proposal: what it would do, who made it, what became of it."""
    found = await service.get_proposal(
        tx, desk=desk_of(request), actor=ask.actor, held=ask.permissions, approval_id=approval_id, now=ask.now
    )
    return schemas.ProposalAnswer.of(found)


@routes.post(
    "/console/approvals/{approval_id:uuid}/approve",
    access="admin.approval.decide",
    step_up=True,
    example=schemas.PROPOSALS.items[0],
    refuses=DECIDING,
)
async def approve_proposal(
    request: Request, body: schemas.MaybeReason, ask: Ask, tx: InTx, approval_id: UUID
) -> schemas.ProposalAnswer:
    """Approve what somebody else has proposed; with enough approvals it is carried out."""
    return await _decide(request, ask, tx, approval_id, "approve", body.reason)


@routes.post(
    "/console/approvals/{approval_id:uuid}/reject",
    access="admin.approval.decide",
    step_up=True,
    example=schemas.PROPOSALS.items[0],
    refuses=DECIDING,
)
async def reject_proposal(
    request: Request, body: schemas.Reason, ask: Ask, tx: InTx, approval_id: UUID
) -> schemas.ProposalAnswer:
    """Reject what somebody else has proposed, with a reason."""
    return await _decide(request, ask, tx, approval_id, "reject", body.reason)


@routes.post(
    "/console/approvals/{approval_id:uuid}/withdraw",
    access="admin.approval.read",
    example=schemas.PROPOSALS.items[0],
    refuses=[NoSuchApproval, Forbidden, Closed, Expired],
)
async def withdraw_proposal(request: Request, ask: Ask, tx: InTx, approval_id: UUID) -> schemas.ProposalAnswer:
    """Take back your own proposal."""
    return await _withdraw(request, ask, tx, approval_id)


async def _decide(
    request: Request, ask: Asking, tx: Tx, approval_id: UUID, decision: Decision, reason: str
) -> schemas.ProposalAnswer:
    decided = await service.decide(
        tx,
        desk=desk_of(request),
        actor=ask.actor,
        held=ask.permissions,
        approval_id=approval_id,
        decision=decision,
        reason=reason,
        now=ask.now,
        step_up_at=ask.step_up_at,
    )
    return schemas.ProposalAnswer.of(decided)


async def _withdraw(request: Request, ask: Asking, tx: Tx, approval_id: UUID) -> schemas.ProposalAnswer:
    withdrawn = await service.withdraw(
        tx,
        desk=desk_of(request),
        actor=ask.actor,
        held=ask.permissions,
        approval_id=approval_id,
        now=ask.now,
    )
    return schemas.ProposalAnswer.of(withdrawn)
