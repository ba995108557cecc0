"""Prizes that the wallet of their winner did not take: staff pay them after all, or send them back."""

from datetime import datetime
from typing import TypeAlias

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import NoSuchPrize, NotWithheld
from palio.competitions.rules import lifecycle, waiting
from palio.competitions.service import telling
from palio.competitions.service.lifecycle import lock
from palio.competitions.types import (
    PAY_APPROVAL_ABOVE,
    Competition,
    CompetitionId,
    EntrantId,
    Reward,
    Waiting,
    Withheld,
    WithheldKey,
)
from palio.infra import approvals, audit, outbox, settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.kernel.parts import Part

Found: TypeAlias = tuple[Competition, Reward, UserId]


async def pay_withheld(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    entrant_id: EntrantId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> bool:
    """Pay a prize that its winner's wallet had refused. What is paid already is False, and nothing changes.

    A large prize needs a second person; nobody decides about his own. Refuses with NoSuchCompetition, NoSuchPrize,
    ReasonMissing, NotWithheld, ApprovalDue, approvals.OwnBenefit, and as `ledger.post` does while the wallet refuses.
    """
    reason = lifecycle.checked_reason(reason)
    competition, reward, user_id = await _find(tx, competition_id, entrant_id, actor, approved_by)
    if reward.status == "paid":
        return False
    lifecycle.check_withheld(reward)
    prize = _waiting(competition, reward)
    posted = await ledger.post(tx, waiting.prize_post(prize, user_id), now=now)
    above = await settings.exact(tx, PAY_APPROVAL_ABOVE)
    if lifecycle.is_large(reward.asset, reward.amount, above):
        because = f"the prize of {reward.amount} is above {above} (competitions.pay_approval_above)"
        lifecycle.require_second(actor, approved_by, act="the payment", because=because)
    await sql.update_withheld_paid(tx, competition_id, entrant_id, posted.transfer_id, now)
    await outbox.send(tx, waiting.told(prize, user_id))
    await _record(tx, (competition, reward, user_id), actor, "competition.pay_withheld", "paid", reason, approved_by)
    return True


async def forfeit(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    entrant_id: EntrantId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> bool:
    """Send a prize that its winner's wallet had refused where left-overs go, for a reason that he reads.

    What is void already is False, and nothing changes. It takes two people, as to take a prize-winner out does; nobody
    decides about his own. Refuses with NoSuchCompetition, NoSuchPrize, ReasonMissing, NotWithheld, ApprovalDue,
    approvals.OwnBenefit.
    """
    reason = lifecycle.checked_reason(reason)
    competition, reward, user_id = await _find(tx, competition_id, entrant_id, actor, approved_by)
    if reward.status == "void":
        return False
    lifecycle.check_withheld(reward)
    because = "it takes away what somebody has won"
    lifecycle.require_second(actor, approved_by, act="the forfeiture", because=because)
    await ledger.post(tx, waiting.return_post(_waiting(competition, reward), "forfeit"), now=now)
    await sql.update_withheld_void(tx, competition_id, entrant_id, reason)
    await _record(tx, (competition, reward, user_id), actor, "competition.forfeit", "void", reason, approved_by)
    return True


async def list_withheld(
    tx: Tx, *, part: Part[WithheldKey], competition_id: CompetitionId | None = None
) -> list[Withheld]:
    """A part of the prizes that wait for staff, of one competition or of all, the newest competition first."""
    return await sql.list_withheld(tx, competition_id, part)


async def waiting_withheld(tx: Tx) -> tuple[int, datetime | None]:
    """How many prizes wait for staff in all competitions, and since when the oldest is won."""
    return await sql.count_withheld(tx)


async def _find(
    tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, actor: Actor, approved_by: UserId | None
) -> Found:
    """A prize, and whose it is: the header is held, so that one decision about it is made at a time."""
    competition = await lock(tx, competition_id=competition_id)
    reward = await sql.find_reward(tx, competition_id, entrant_id)
    if reward is None:
        raise NoSuchPrize(entrant_id=entrant_id)
    if reward.user_id is None:  # no wallet has been asked yet
        raise NotWithheld(status=reward.status)
    if reward.user_id in (actor.user_id, approved_by):
        raise approvals.OwnBenefit
    return competition, reward, reward.user_id


def _waiting(competition: Competition, reward: Reward) -> Waiting:
    return Waiting(
        *(competition.id, reward.entrant_id, reward.rank, reward.asset, reward.amount),
        *(competition.leftover_to, competition.title),
    )


async def _record(
    tx: Tx, found: Found, actor: Actor, action: str, status: str, reason: str, approved_by: UserId | None
) -> None:
    competition, reward, user_id = found
    telling.changed(tx, competition_ids=[competition.id])
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="competition",
        entity_id=str(competition.id),
        changes={
            "entrant": (None, reward.entrant_id),
            "prize": (reward.status, status),
            "amount": (None, reward.amount),
            "approved_by": (None, approved_by),
        },
        reason=reason,
        subject=user_id,
    )
