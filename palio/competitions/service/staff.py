"""What staff may do to a competition that has been announced; every act is audited, nothing paid is touched."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import (
    AdjustmentInvalid,
    AdjustmentUndone,
    ContributionRefused,
    NoSuchAdjustment,
    NoSuchEntrant,
)
from palio.competitions.rules import lifecycle, submitting
from palio.competitions.service import pools, refunds, telling
from palio.competitions.service.lifecycle import lock, moved
from palio.competitions.service.settlement import recount
from palio.competitions.types import (
    SCORE_MAX,
    Adjustment,
    Competition,
    CompetitionId,
    Contributed,
    Contribution,
    EntrantId,
    Participant,
    Sent,
    Source,
    StateChange,
)
from palio.infra import approvals, audit
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId, new_id

FUNDS: Mapping[str, str] = {
    "admin_fund": "house:prizes",
    "bonus_event": "house:promotions",
    "sponsor": "external:manual",
}


async def adjust_score(
    tx: Tx,
    *,
    adjustment_id: UUID,
    competition_id: CompetitionId,
    entrant_id: EntrantId,
    delta: int,
    actor: Actor,
    reason: str,
    now: datetime,
    undoes: UUID | None = None,
) -> bool:
    """Add to a score or take from it; `reason` is public. The caller chose the id: a repeat is False, changes nothing.

    `undoes` names the adjustment of which it is the opposite. During the review standings and prizes are written anew.
    Refuses with NoSuchCompetition, NoSuchEntrant, ReasonMissing, AdjustmentInvalid, NoSuchAdjustment, AdjustmentUndone,
    NotRunning, Cancelled, Paying, and approvals.OwnBenefit whose own score it is.
    """
    reason = lifecycle.checked_reason(reason)
    if not 0 < abs(delta) <= SCORE_MAX:
        raise AdjustmentInvalid(delta=delta, limit=SCORE_MAX)
    competition, participant = await _find(tx, competition_id, entrant_id)
    lifecycle.check_correctable(competition)
    if participant.user_id and participant.user_id == actor.user_id:
        raise approvals.OwnBenefit
    key = f"adjust:{adjustment_id}"
    if await sql.has_receipt(tx, competition.list_id, entrant_id, key):
        return False
    if undoes:
        await _require_opposite(tx, competition, entrant_id, undoes, delta)
    facts = {
        "reason": reason,
        "by": str(actor.user_id) if actor.user_id else None,
        "undoes": str(undoes) if undoes else None,
    }
    happened_at = lifecycle.decided_at(competition, now)
    receipt = Sent(
        competition.list_id, entrant_id, key, happened_at, "adjust", delta, 0, None, submitting.written(facts)
    )
    await sql.insert_changes(tx, [receipt], now, moves_time=competition.op == "add")
    telling.changed(tx, competition_ids=[competition.id])
    changes = {
        "adjustment": (None, adjustment_id),
        "entrant": (None, entrant_id),
        "delta": (None, delta),
        **({"undoes": (None, undoes)} if undoes else {}),
        **await _recounted(tx, competition, now),
    }
    await _record(tx, competition, actor, "competition.adjust", reason, changes)
    return True


async def disqualify(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    entrant_id: EntrantId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> None:
    """Take an entrant out for good; he is told the reason, his score stays. A repeat changes nothing.

    After the end whoever holds a prize is taken out by two people. Refuses with NoSuchCompetition, NoSuchEntrant,
    ReasonMissing, NotRunning, Cancelled, Paying, ApprovalDue.
    """
    reason = lifecycle.checked_reason(reason)
    competition, participant = await _find(tx, competition_id, entrant_id)
    lifecycle.check_correctable(competition)
    if participant.state == "disqualified":
        return
    if competition.phase == "review" and await sql.has_reward(tx, competition_id, entrant_id):
        because = "it changes a paid place after the end"
        lifecycle.require_second(actor, approved_by, act="a disqualification", because=because)
    await _decide(tx, competition, participant, "disqualified", actor, reason, now, approved_by)


async def reinstate(
    tx: Tx, *, competition_id: CompetitionId, entrant_id: EntrantId, actor: Actor, reason: str, now: datetime
) -> None:
    """Let an entrant back in who was disqualified or left out, with the score he had. A repeat changes nothing.

    Refuses with NoSuchCompetition, NoSuchEntrant, ReasonMissing, NotRunning, Cancelled, Paying.
    """
    reason = lifecycle.checked_reason(reason)
    competition, participant = await _find(tx, competition_id, entrant_id)
    lifecycle.check_correctable(competition)
    if participant.state == "disqualified" or await sql.is_out(tx, competition_id, entrant_id):
        await _decide(tx, competition, participant, "active", actor, reason, now, None)


async def extend(
    tx: Tx, *, competition_id: CompetitionId, ends_at: datetime, actor: Actor, reason: str, now: datetime
) -> Competition:
    """Move the end to a later time. Refuses with NoSuchCompetition, ReasonMissing, NotExtendable, EndsEarlier."""
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_extending(competition, ends_at, now)
    await sql.update_ends_at(tx, competition, ends_at, now)
    changes = {"ends_at": (competition.ends_at, ends_at)}
    await _record(tx, competition, actor, "competition.extend", reason, changes)
    return await moved(tx, competition_id=competition_id)


async def cancel(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> Competition:
    """Call it off before anything is paid; `reason` is public. Everybody gets back exactly what he put into the pool.

    Of more than 10,000 contributions a job gives back the rest. What has begun and has a pool is cancelled by two
    people. Refuses with NoSuchCompetition, ReasonMissing, Cancelled, Paying, ApprovalDue. Raises RuntimeError if the
    pool does not hold what was put into it.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_not_paying(competition)
    if competition.status in ("live", "settling") and await _pool(tx, competition):
        because = "it has begun and has a pool"
        lifecycle.require_second(actor, approved_by, act="the cancellation", because=because)
    await refunds.call_off(tx, competition=competition, reason=reason, now=now)
    changes = {"status": (competition.status, "cancelled"), "approved_by": (None, approved_by)}
    await _record(tx, competition, actor, "competition.cancel", reason, changes)
    return await moved(tx, competition_id=competition_id)


async def fund(
    tx: Tx,
    *,
    fund_id: UUID,
    competition_id: CompetitionId,
    source: Source,
    amount: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Contributed:
    """Put money of the house or of a sponsor into a pool, in units of its asset. The caller chose the id: a repeat is
    the first one again.

    Refuses with NoSuchCompetition, ReasonMissing, ContributionRefused.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    if source not in FUNDS:
        raise ContributionRefused(reason="competitions.source_of_others")
    item = Contribution(competition_id, source, amount, FUNDS[source], f"fund:{fund_id}")
    funded = await pools.contribute(tx, item=item, now=now)
    changes = {"fund": (None, fund_id), "source": (None, source), "amount": (None, amount)}
    await _record(tx, competition, actor, "competition.fund", reason, changes)
    return funded


async def adjustment(
    tx: Tx, *, competition: Competition, entrant_id: EntrantId, adjustment_id: UUID
) -> Adjustment | None:
    """What staff changed of a score under an id; None if they did not."""
    return await sql.find_adjustment(tx, competition.list_id, entrant_id, adjustment_id)


async def _require_opposite(
    tx: Tx, competition: Competition, entrant_id: EntrantId, adjustment_id: UUID, delta: int
) -> None:
    """Accept what takes an adjustment back; under the lock of the header each is taken back once."""
    found = await sql.find_adjustment(tx, competition.list_id, entrant_id, adjustment_id)
    if found is None or found.delta != -delta:
        raise NoSuchAdjustment(adjustment_id=str(adjustment_id), delta=delta)
    if found.is_undone:
        raise AdjustmentUndone(adjustment_id=str(adjustment_id))


async def _find(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> tuple[Competition, Participant]:
    competition = await lock(tx, competition_id=competition_id)
    found = await sql.list_participants(tx, [(competition_id, entrant_id)])
    if not found:
        raise NoSuchEntrant(entrant_id=entrant_id)
    return competition, found[0]


async def _decide(
    tx: Tx,
    competition: Competition,
    participant: Participant,
    state: str,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None,
) -> None:
    entrant_id = participant.entrant_id
    await sql.update_participant(tx, competition.id, entrant_id, state=state, reason=reason, by=actor.user_id)
    change = StateChange(
        competition.id,
        entrant_id,
        "out" if state == "disqualified" else "in",
        key=f"{state}:{new_id()}",
        happened_at=lifecycle.decided_at(competition, now),
        reason=reason,
    )
    await sql.insert_state_receipts(tx, [(competition.list_id, participant.owner_id, change)], now)
    telling.changed(tx, competition_ids=[competition.id])
    changes = {
        "entrant": (None, entrant_id),
        "state": (participant.state, state),
        "approved_by": (None, approved_by),
        **await _recounted(tx, competition, now),
    }
    action = "competition.disqualify" if state == "disqualified" else "competition.reinstate"
    await _record(tx, competition, actor, action, reason, changes)


async def _recounted(tx: Tx, competition: Competition, now: datetime) -> dict[str, tuple[object, object]]:
    """Standings and prizes anew where they are frozen, and what the audit says of it."""
    if competition.phase != "review":
        return {}
    return {"standings": await recount(tx, competition=competition, now=now)}


async def _pool(tx: Tx, competition: Competition) -> int:
    return await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)


async def _record(
    tx: Tx,
    competition: Competition,
    actor: Actor,
    action: str,
    reason: str,
    changes: Mapping[str, tuple[object, object]],
) -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="competition",
        entity_id=str(competition.id),
        changes=changes,
        reason=reason,
    )
