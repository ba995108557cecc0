"""What two people can have done: each command that a module proposes, who may, what carries it out, and what
it would change."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from palio import affiliates, identity, races
from palio.infra import approvals
from palio.infra.approvals import Approval, Approved, Command, Payload
from palio.infra.db import Tx
from palio.infra.messages import ExecuteApproval
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.providers import Change


async def _adjust(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_adjust(tx, approved=approved)


async def _rebase(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_replace_start(tx, approved=approved)


async def _force_settle(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_force_final(tx, approved=approved)


async def _link_move(tx: Tx, approved: Approved) -> Payload:
    return await affiliates.carry_out_transfer(tx, approved=approved)


async def _release(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_release(tx, approved=approved)


async def _cancel(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_cancel(tx, approved=approved)


async def _exclude(tx: Tx, approved: Approved) -> Payload:
    return await races.carry_out_exclude(tx, approved=approved)


async def _role_grant(tx: Tx, approved: Approved) -> Payload:
    return await identity.carry_out_role_grant(tx, approved=approved)


async def _seen_adjust(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_adjust(tx, approval=approval, now=now)


async def _seen_rebase(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_replace_start(tx, approval=approval, now=now)


async def _seen_force_settle(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_force_final(tx, approval=approval, now=now)


async def _seen_link_move(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await affiliates.preview_transfer(tx, approval=approval)


async def _seen_release(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_release(tx, approval=approval, now=now)


async def _seen_cancel(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_cancel(tx, approval=approval, now=now)


async def _seen_exclude(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await races.preview_exclude(tx, approval=approval, now=now)


async def _seen_role_grant(tx: Tx, approval: Approval, now: datetime) -> Sequence[Change]:
    return await identity.preview_role_grant(tx, approval=approval, now=now)


COMMANDS: Mapping[str, Command] = {
    races.ADJUST: Command("races.race.money", _adjust, _seen_adjust),
    races.REBASE: Command("races.race.money", _rebase, _seen_rebase),
    races.FORCE_SETTLE: Command("races.race.money", _force_settle, _seen_force_settle),
    affiliates.LINK_MOVE: Command("affiliates.links.review", _link_move, _seen_link_move),
    races.RELEASE: Command("races.race.money", _release, _seen_release),
    races.CANCEL: Command("races.race.money", _cancel, _seen_cancel),
    races.EXCLUDE: Command("races.race.money", _exclude, _seen_exclude),
    identity.ROLE_GRANT: Command("identity.role.grant_owner", _role_grant, _seen_role_grant),
}


@handles(ExecuteApproval, queue="critical")
async def execute(tx: Tx, job: ExecuteApproval) -> None:
    """Carry out what was approved; a second run finds it done."""
    await approvals.execute(tx, approval_id=job.approval, commands=COMMANDS, now=clock.now())
