"""What two people can have done: each command that a module proposes, who may, what carries it out, and what
it would change."""

from collections.abc import Mapping

from palio import affiliates, identity, races
from palio.infra import approvals
from palio.infra.approvals import Command
from palio.infra.db import Tx
from palio.infra.messages import ExecuteApproval
from palio.kernel import clock
from palio.kernel.messages import handles

COMMANDS: Mapping[str, Command] = {
    races.ADJUST: Command("races.race.money", races.carry_out_adjust, races.preview_adjust),
    races.REBASE: Command("races.race.money", races.carry_out_replace_start, races.preview_replace_start),
    races.FORCE_SETTLE: Command("races.race.money", races.carry_out_force_final, races.preview_force_final),
    races.RELEASE: Command("races.race.money", races.carry_out_release, races.preview_release),
    races.CANCEL: Command("races.race.money", races.carry_out_cancel, races.preview_cancel),
    races.EXCLUDE: Command("races.race.money", races.carry_out_exclude, races.preview_exclude),
    affiliates.LINK_MOVE: Command(
        "affiliates.links.review", affiliates.carry_out_transfer, affiliates.preview_transfer
    ),
    identity.ROLE_GRANT: Command(
        "identity.role.grant_owner", identity.carry_out_role_grant, identity.preview_role_grant
    ),
}


@handles(ExecuteApproval, queue="critical")
async def execute(tx: Tx, job: ExecuteApproval) -> None:
    """Carry out what was approved; a second run finds it done."""
    await approvals.execute(tx, approval_id=job.approval, commands=COMMANDS, now=clock.now())
