"""The approvals inbox: what waits for a second person, and what became of it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from palio.admin import rules
from palio.admin.service.audit import names_of
from palio.admin.service.desk import Desk
from palio.admin.types import ProposalView, Verdict
from palio.infra import approvals, db, logging
from palio.infra.approvals import DECIDE, Approval, Decision, State
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor

log = logging.get("admin.inbox")

Box: TypeAlias = Literal["open", "mine", "done"]
DONE: tuple[State, ...] = ("executed", "approved", "failed", "rejected", "withdrawn", "expired")
TO_COME: tuple[State, ...] = ("open", "approved")
PREVIEW_SECONDS_MAX = 3.0  # it is done as a whole and taken back: another start picture counts a race anew
STATES: dict[Box, tuple[State, ...]] = {"open": ("open",), "mine": get_args(State), "done": DONE}


async def list_proposals(
    tx: Tx,
    *,
    desk: Desk,
    actor: Actor,
    held: Collection[str],
    box: Box,
    limit: int,
    older_than: UUID | None = None,
) -> list[ProposalView]:
    """Proposals that are open, that the reader has made, or that are over: the newest first."""
    made_by = actor.user_id if box == "mine" else None
    found = await approvals.listed(tx, states=STATES[box], limit=limit, made_by=made_by, older_than=older_than)
    return await _views(tx, desk, actor, held, found)


async def get_proposal(
    tx: Tx, *, desk: Desk, actor: Actor, held: Collection[str], approval_id: UUID, now: datetime
) -> ProposalView:
    """One proposal with what it would change now. Refuses with approvals.NoSuchApproval."""
    found = await approvals.get(tx, approval_id=approval_id)
    (view,) = await _views(tx, desk, actor, held, [found])
    command = desk.commands[found.command]
    if found.state not in TO_COME or command.permission not in held:
        return view
    try:
        async with db.attempt(tx), asyncio.timeout(PREVIEW_SECONDS_MAX):
            changes = await approvals.preview(tx, found=found, commands=desk.commands, now=now)
            return replace(view, changes=changes)
    except Refusal as refusal:
        return replace(view, obstacle=refusal.code)
    except Exception:
        log.exception("what a proposal would change could not be read", command=found.command)
        return view


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
    """Approve or reject. Refuses as approvals.decide does."""
    decided = await approvals.decide(
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
    return (await _views(tx, desk, actor, held, [decided]))[0]


async def withdraw(
    tx: Tx, *, desk: Desk, actor: Actor, held: Collection[str], approval_id: UUID, now: datetime
) -> ProposalView:
    """Take back one's own proposal. Refuses as approvals.withdraw does."""
    withdrawn = await approvals.withdraw(tx, approval_id=approval_id, actor=actor, now=now)
    return (await _views(tx, desk, actor, held, [withdrawn]))[0]


async def _views(
    tx: Tx, desk: Desk, actor: Actor, held: Collection[str], found: Sequence[Approval]
) -> list[ProposalView]:
    verdicts = {one.id: await approvals.decisions(tx, approval_id=one.id) for one in found}
    people = [user_id for one in found for user_id in (one.made_by, one.subject_user_id)]
    people += [each.user_id for decided in verdicts.values() for each in decided]
    names = await names_of(tx, ids=people)
    views = []
    for one in found:
        made = verdicts[one.id]
        has_decided = any(each.user_id == actor.user_id for each in made)
        refusal = rules.why_not(
            state=one.state,
            is_mine=one.made_by == actor.user_id,
            is_about_me=one.subject_user_id is not None and one.subject_user_id == actor.user_id,
            has_decided=has_decided,
            has_permission={DECIDE, desk.commands[one.command].permission} <= set(held),
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
            )
        )
    return views
