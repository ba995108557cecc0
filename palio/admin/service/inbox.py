"""The approvals inbox: what waits for a second person, and what became of it.

Most proposals are kept by the door; some modules keep their own, and stand in the same list under the same rules.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from palio.admin import rules
from palio.admin.service.audit import names_of
from palio.admin.service.desk import Desk
from palio.admin.service.today import alone
from palio.admin.types import Inbox, ProposalView, Verdict
from palio.infra import approvals, db, logging
from palio.infra.approvals import (
    DECIDE,
    Approval,
    Decision,
    Kept,
    OwnProposal,
    PendingApprovals,
    State,
)
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden, Refusal
from palio.kernel.ids import Actor, UserId
from palio.kernel.parts import Part
from palio.kernel.providers import Change

log = logging.get("admin.inbox")

Box: TypeAlias = Literal["open", "mine", "done"]
DONE: tuple[State, ...] = ("executed", "approved", "failed", "rejected", "withdrawn", "expired")
TO_COME: tuple[State, ...] = ("open", "approved")
PREVIEW_SECONDS_MAX = 3.0  # it is done as a whole and taken back: another start picture counts a race anew
STATES: dict[Box, tuple[State, ...]] = {"open": ("open",), "mine": get_args(State), "done": DONE}


@dataclass(frozen=True, slots=True)
class _Paper:
    """A proposal, whoever keeps it (`source`; None is the door), and the permission that its deciders need."""

    kept: Kept
    permission: str
    source: PendingApprovals | None = None


async def list_proposals(
    tx: Tx,
    *,
    desk: Desk,
    actor: Actor,
    held: Collection[str],
    box: Box,
    part: Part[UUID],
) -> Inbox:
    """A part of the proposals that are open, that the reader has made, or that are over: the newest first.

    A module that cannot tell its own is named, and the others are there.
    """
    made_by = actor.user_id if box == "mine" else None
    states = STATES[box]
    found = await approvals.listed(tx, states=states, made_by=made_by, part=part)
    papers = [await _paper(tx, desk, one) for one in found]
    unread = []
    for source in desk.pending:
        read = partial(source.listed, tx, states, part, made_by)
        kept = await alone(tx, part=f"proposals of {source.module}", read=read)
        if kept is None:
            unread.append(source.module)
        papers += [_Paper(one, source.permission, source) for one in kept or ()]
    papers.sort(key=lambda paper: paper.kept.approval.id, reverse=True)
    nearest = papers[-part.limit :] if part.is_back else papers[: part.limit]
    return Inbox(await _views(tx, actor, held, nearest), unread)


async def get_proposal(
    tx: Tx, *, desk: Desk, actor: Actor, held: Collection[str], approval_id: UUID, now: datetime
) -> ProposalView:
    """One proposal with what it would change now. Refuses with approvals.NoSuchApproval."""
    paper = await _found(tx, desk, approval_id)
    (view,) = await _views(tx, actor, held, [paper])
    found = paper.kept.approval
    if found.state not in TO_COME or paper.permission not in held:
        return view
    try:
        async with db.attempt(tx), asyncio.timeout(PREVIEW_SECONDS_MAX):
            return replace(view, changes=await _changes(tx, desk, paper, now))
    except Refusal as refusal:
        return replace(view, obstacle=refusal.code)
    except Exception:
        log.exception("what a proposal would change could not be read", command=found.command)
        return view


async def _changes(tx: Tx, desk: Desk, paper: _Paper, now: datetime) -> Sequence[Change]:
    found = paper.kept.approval
    if paper.source:
        return await paper.source.preview(tx, found.id, now)
    return await approvals.preview(tx, found=found, commands=desk.commands, now=now)


async def decide(
    tx: Tx,
    *,
    desk: Desk,
    actor: Actor,
    held: Collection[str],
    approval_id: UUID,
    decision: Decision,
    reason: str,
    now: datetime,
    step_up_at: datetime | None,
) -> ProposalView:
    """Approve or reject, whoever keeps the proposal. Refuses as approvals.decide does."""
    paper = await _found(tx, desk, approval_id)
    if paper.source:
        await _decide_there(tx, paper.source, approval_id, actor, held, decision, reason, now)
    else:
        await approvals.decide(
            tx,
            approval_id=approval_id,
            actor=actor,
            decision=decision,
            reason=reason,
            held=held,
            commands=desk.commands,
            now=now,
            step_up_at=step_up_at,
        )
    return (await _views(tx, actor, held, [await _found(tx, desk, approval_id)]))[0]


async def _decide_there(
    tx: Tx,
    source: PendingApprovals,
    approval_id: UUID,
    actor: Actor,
    held: Collection[str],
    decision: Decision,
    reason: str,
    now: datetime,
) -> None:
    for permission in (DECIDE, source.permission):
        if permission not in held:
            raise Forbidden(permission=permission)
    await source.decide(tx, approval_id, decision, _person(actor), reason, now)


async def withdraw(
    tx: Tx, *, desk: Desk, actor: Actor, held: Collection[str], approval_id: UUID, now: datetime
) -> ProposalView:
    """Take back one's own proposal. Refuses as approvals.withdraw does."""
    paper = await _found(tx, desk, approval_id)
    if paper.source:
        await paper.source.withdraw(tx, approval_id, _person(actor), now)
    else:
        await approvals.withdraw(tx, approval_id=approval_id, actor=actor, now=now)
    return (await _views(tx, actor, held, [await _found(tx, desk, approval_id)]))[0]


def _person(actor: Actor) -> UserId:
    """Who decides. Refuses with OwnProposal whoever is nobody."""
    if actor.user_id is None:
        raise OwnProposal
    return actor.user_id


async def _found(tx: Tx, desk: Desk, approval_id: UUID) -> _Paper:
    for source in desk.pending:
        if kept := await source.find(tx, approval_id):
            return _Paper(kept, source.permission, source)
    return await _paper(tx, desk, await approvals.get(tx, approval_id=approval_id))


async def _paper(tx: Tx, desk: Desk, one: Approval) -> _Paper:
    made = await approvals.decisions(tx, approval_id=one.id)
    subjects = [one.subject_user_id] if one.subject_user_id else []
    return _Paper(Kept(one, made, subjects), desk.commands[one.command].permission)


async def _views(tx: Tx, actor: Actor, held: Collection[str], papers: Sequence[_Paper]) -> list[ProposalView]:
    people: list[UUID | None] = [paper.kept.approval.made_by for paper in papers]
    people += [paper.kept.approval.subject_user_id for paper in papers]
    people += [each.user_id for paper in papers for each in paper.kept.decided]
    names = await names_of(tx, ids=people)
    views = []
    for paper in papers:
        one, made = paper.kept.approval, paper.kept.decided
        has_decided = any(each.user_id == actor.user_id for each in made)
        refusal = rules.why_not(
            state=one.state,
            is_mine=one.made_by == actor.user_id,
            is_about_me=actor.user_id in paper.kept.subjects,
            has_decided=has_decided,
            has_permission={DECIDE, paper.permission} <= set(held),
        )
        views.append(
            ProposalView(
                id=one.id,
                command=one.command,
                summary=one.summary,
                effect=rules.effect_of(one.payload),
                entity_type=one.entity_type,
                entity_id=one.entity_id,
                subject_name=names.get(one.subject_user_id, "") if one.subject_user_id else "",
                made_by=one.made_by,
                maker=names.get(one.made_by, ""),
                made_at=one.made_at,
                reason=one.reason,
                needed=one.needed,
                given=sum(each.decision == "approve" for each in made),
                state=one.state,
                expires_at=one.expires_at,
                executed_at=one.executed_at,
                error_code=one.error_code,
                verdicts=[Verdict(names.get(each.user_id, ""), each.decision, each.reason, each.at) for each in made],
                is_mine=one.made_by == actor.user_id,
                may_decide=refusal is None,
                refusal=refusal,
                path=paper.kept.path,
            )
        )
    return views
