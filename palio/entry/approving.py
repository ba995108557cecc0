"""What two people can have done: each command that a module proposes, who may, and what carries it out."""

from collections.abc import Mapping

from palio import affiliates, races
from palio.infra import approvals
from palio.infra.approvals import Approved, Command, Payload
from palio.infra.db import Tx
from palio.infra.messages import ExecuteApproval
from palio.kernel import clock
from palio.kernel.messages import handles


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


COMMANDS: Mapping[str, Command] = {
    races.ADJUST: Command("races.race.money", _adjust),
    races.REBASE: Command("races.race.money", _rebase),
    races.FORCE_SETTLE: Command("races.race.money", _force_settle),
    affiliates.LINK_MOVE: Command("affiliates.links.review", _link_move),
    races.RELEASE: Command("races.race.money", _release),
    races.CANCEL: Command("races.race.money", _cancel),
    races.EXCLUDE: Command("races.race.money", _exclude),
}


@handles(ExecuteApproval, queue="critical")
async def execute(tx: Tx, job: ExecuteApproval) -> None:
    """Carry out what was approved; a second run finds it done."""
    await approvals.execute(tx, approval_id=job.approval, commands=COMMANDS, now=clock.now())
