"""What two people can have done: each command that a module proposes, who may, what carries it out, and what
it would change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions, identity, ledger, races
from palio.infra import approvals
from palio.infra.approvals import Command, PendingApprovals
from palio.infra.db import Tx
from palio.infra.messages import ExecuteApproval
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.messages import handles
from palio.kernel.providers import Change

SETTLE = "competitions.settlement.run"
COMMANDS: Mapping[str, Command] = {
    races.ADJUST: Command("races.race.money", races.carry_out_adjust, races.preview_adjust),
    races.REBASE: Command("races.race.money", races.carry_out_replace_start, races.preview_replace_start),
    races.FORCE_SETTLE: Command("races.race.money", races.carry_out_force_final, races.preview_force_final),
    races.RELEASE: Command("races.race.money", races.carry_out_release, races.preview_release),
    races.CANCEL: Command("races.race.money", races.carry_out_cancel, races.preview_cancel),
    races.EXCLUDE: Command("races.race.money", races.carry_out_exclude, races.preview_exclude),
    competitions.RELEASE: Command(SETTLE, competitions.carry_out_release, competitions.preview_release),
    competitions.CANCEL: Command(SETTLE, competitions.carry_out_cancel, competitions.preview_cancel),
    competitions.FORCE_FREEZE: Command(SETTLE, competitions.carry_out_force_freeze, competitions.preview_force_freeze),
    competitions.DISQUALIFY: Command(
        "competitions.entrant.disqualify", competitions.carry_out_disqualify, competitions.preview_disqualify
    ),
    competitions.FUND: Command("competitions.pool.fund", competitions.carry_out_fund, competitions.preview_fund),
    competitions.ANNOUNCE: Command(
        "competitions.pool.fund", competitions.carry_out_announce, competitions.preview_announce
    ),
    competitions.PAY_WITHHELD: Command(SETTLE, competitions.carry_out_pay_withheld, competitions.preview_pay_withheld),
    competitions.FORFEIT: Command(SETTLE, competitions.carry_out_forfeit, competitions.preview_forfeit),
    affiliates.LINK_MOVE: Command(
        "affiliates.links.review", affiliates.carry_out_transfer, affiliates.preview_transfer
    ),
    identity.ROLE_GRANT: Command(
        "identity.role.grant_owner", identity.carry_out_role_grant, identity.preview_role_grant
    ),
    identity.MFA_RESET: Command("identity.mfa.reset", identity.carry_out_reset, identity.preview_reset),
    identity.REVEAL_OVER_LIMIT: Command("identity.user.reveal", identity.carry_out_reveal, identity.preview_reveal),
    identity.EXCLUSION_UNDO: Command(
        "identity.exclusion.undo", identity.carry_out_exclusion_undo, identity.preview_exclusion_undo
    ),
}


async def _preview_adjustment(tx: Tx, approval_id: UUID, now: datetime) -> Sequence[Change]:
    """The same, with the names of those whose wallets they are."""
    changes = await ledger.ADJUSTMENTS.preview(tx, approval_id, now)
    owners = {
        change.whose: UserId(UUID(change.whose.split(":")[1])) for change in changes if change.whose[:5] == "user:"
    }
    names = await identity.names(tx, ids=list(owners.values()), viewer=tx.actor)
    return [replace(change, whose=_named(change.whose, owners, names)) for change in changes]


def _named(address: str, owners: Mapping[str, UserId], names: Mapping[UserId, str]) -> str:
    if address not in owners or owners[address] not in names:
        return address
    name = names[owners[address]]
    return f"{name}, debt" if address.endswith(":debt") else name


PENDING: tuple[PendingApprovals, ...] = (replace(ledger.ADJUSTMENTS, preview=_preview_adjustment),)


@handles(ExecuteApproval, queue="critical")
async def execute(tx: Tx, job: ExecuteApproval) -> None:
    """Carry out what was approved; a second run finds it done."""
    await approvals.execute(tx, approval_id=job.approval, commands=COMMANDS, now=clock.now())
