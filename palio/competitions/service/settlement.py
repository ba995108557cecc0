"""From the last score to the last prize: close, freeze, review, pay, finish. Every step can be repeated."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import structlog

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import AppealsOpen, NotCollecting, NotInReview
from palio.competitions.messages import CompetitionCompleted, CompetitionFrozen, RewardPaid, RewardUnclaimed
from palio.competitions.rules import lifecycle, prizes
from palio.competitions.service import pools, refunds, telling
from palio.competitions.service.lifecycle import close, lock
from palio.competitions.types import (
    PAY_APPROVAL_ABOVE,
    UNCLAIMED_DAYS,
    Competition,
    CompetitionId,
    Contributed,
    Contribution,
    Leftover,
    Settled,
    Winners,
    Won,
)
from palio.infra import approvals, audit, outbox, settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId

PAID_PER_STEP_MAX = 10_000
Allocating: TypeAlias = "asyncio.Future[tuple[Won, Leftover | None]]"

log = structlog.get_logger()


async def freeze(
    tx: Tx, *, competition_id: CompetitionId, evidence: Mapping[str, object], now: datetime
) -> Competition:
    """Write standings, pool and prizes once and for all; a second freeze returns what the first one wrote.

    Without review, approval or oddity the prizes are paid in the same transaction. `evidence` is public;
    its `review_reasons` (a list of words) keep the payment waiting for a person.
    Refuses with NoSuchCompetition, NotCollecting, PoolShort.
    """
    competition = await lock(tx, competition_id=competition_id)
    if competition.standings_hash:
        return competition
    if competition.phase != "collecting":
        raise NotCollecting(status=competition.status, phase=competition.phase)
    await sql.sort_in_memory(tx)
    pool = await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)
    allocating = await _begin_allocation(tx, competition, pool)
    digest, entrants = await sql.insert_standings(tx, competition_id)
    await sql.update_list_final(tx, competition.list_id, entrants, now)
    await sql.insert_final_snapshot(tx, competition.list_id, digest, now)
    won = await _end_allocation(tx, competition, allocating)
    await sql.update_frozen(tx, competition_id, pool_final=pool, standings_hash=digest, evidence=evidence, now=now)
    await outbox.send(tx, CompetitionFrozen(*lifecycle.told(competition)))
    return await _pay_or_wait(tx, await lock(tx, competition_id=competition_id), won, now)


async def _begin_allocation(tx: Tx, competition: Competition, pool: int) -> Allocating:
    """Have the prizes of the ranking, which nobody can change any more, worked out while the database is busy."""
    rule = prizes.read(competition.prize_rule)
    qualified = (await sql.count_scores(tx, competition.id)).qualified
    winners = await sql.list_ranked_winners(tx, competition.id, prizes.places_of(rule))
    return asyncio.ensure_future(asyncio.to_thread(_allocated, competition, pool, winners, qualified))


async def _end_allocation(tx: Tx, competition: Competition, allocating: Allocating) -> Won:
    """The prizes; what nobody won is noted with the place where it goes."""
    won, left = await allocating
    if left:
        await sql.insert_undistributed(tx, competition.id, left)
    return won


def _allocated(competition: Competition, pool: int, winners: Winners, qualified: int) -> tuple[Won, Leftover | None]:
    rule = prizes.read(competition.prize_rule)
    groups = prizes.groups_of(winners.ranks) + [1] * (qualified - len(winners.ranks))
    shares = prizes.allocate(rule, pool=pool, groups=groups, empty_rule=competition.empty_rule, scores=winners.scores)
    left = pool - sum(share.amount for share in shares)
    address = lifecycle.leftover_address(competition, has_winners=qualified > 0)
    leftover = Leftover(left, address, "empty_places" if qualified else "no_winner") if left else None
    places = [share.place for share in shares]
    won = Won(
        [winners.entrant_ids[place - 1] for place in places],
        [winners.user_ids[place - 1] for place in places],
        places,
        [share.rank for share in shares],
        [share.amount for share in shares],
        [prizes.explained(share.why) for share in shares],
        [prizes.items_text(rule, place) for place in places] if rule.items else (),
    )
    return won, leftover


async def _pay_or_wait(tx: Tx, competition: Competition, won: Won, now: datetime) -> Competition:
    above = await settings.exact(tx, PAY_APPROVAL_ABOVE)
    at_once = lifecycle.may_pay(competition, now=now, approval_above=above)
    if not at_once or len(won.places) > lifecycle.REWARDS_AT_ONCE_MAX:
        telling.moved(tx, competition=competition)
        await sql.insert_pending(tx, competition, won)
        return competition
    settled = await _pay(tx, competition, won, now)
    await sql.insert_settled(tx, competition, won, settled, claim_by=_claim_by(now), now=now)
    await _finish(tx, competition, now)
    return await lock(tx, competition_id=competition.id)


async def settle(tx: Tx, *, competition_id: CompetitionId, now: datetime) -> bool:
    """Do the next due step of a settlement; False when nothing is due. A product freezes its own competitions.

    Refuses with NoSuchCompetition.
    """
    competition = await lock(tx, competition_id=competition_id)
    if competition.status == "live" and now >= competition.ends_at and competition.paused_at is None:
        await close(tx, competition_id=competition_id, now=now)
        return True
    if competition.phase == "collecting" and lifecycle.freezes_by_clock(competition, now):
        await freeze(tx, competition_id=competition_id, evidence={}, now=now)
        return True
    if competition.phase == "review":
        above = await settings.exact(tx, PAY_APPROVAL_ABOVE)
        doubts = await sql.count_open_appeals(tx, competition_id)
        if not lifecycle.may_pay(competition, now=now, approval_above=above, open_appeals=doubts):
            return False
        await _release(tx, competition, now)
        return True
    if competition.phase == "paying":
        return await _pay_next(tx, competition, now)
    return False


async def recount(tx: Tx, *, competition: Competition, now: datetime) -> tuple[str, str]:
    """Write standings and prizes of a review anew after a decision of staff; answers the old and the new digest.

    The header is locked by the caller, and nothing has been paid.
    """
    await sql.delete_allocation(tx, competition)
    allocating = await _begin_allocation(tx, competition, competition.pool_final or 0)
    digest, _ = await sql.insert_standings(tx, competition.id)
    won = await _end_allocation(tx, competition, allocating)
    await sql.insert_pending(tx, competition, won)
    await sql.update_standings_hash(tx, competition.id, digest, now)
    telling.moved(tx, competition=competition)
    return (competition.standings_hash or b"").hex(), digest.hex()


async def release(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> None:
    """Let a member of staff end the review, whatever was odd; the payment follows at the next step.

    A large pool needs a second person; nobody who has won a part of it decides. Refuses with NoSuchCompetition,
    ReasonMissing, NotInReview, AppealsOpen, ApprovalDue, approvals.OwnBenefit.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    if competition.phase != "review":
        raise NotInReview(status=competition.status, phase=competition.phase)
    if doubts := await sql.count_open_appeals(tx, competition_id):
        raise AppealsOpen(open=doubts)
    if await sql.is_won_by(tx, competition_id, [who for who in (actor.user_id, approved_by) if who]):
        raise approvals.OwnBenefit
    above = await settings.exact(tx, PAY_APPROVAL_ABOVE)
    if lifecycle.needs_approval(competition, above):
        because = f"the pool of {competition.pool_final} is above {above} (competitions.pay_approval_above)"
        lifecycle.require_second(actor, approved_by, act="the payment", because=because)
    await _release(tx, competition, now)
    await audit.record(
        tx,
        actor=actor,
        action="competition.release",
        entity_type="competition",
        entity_id=str(competition_id),
        changes={"phase": ("review", "paying"), "approved_by": (None, approved_by)},
        reason=reason,
    )


async def _release(tx: Tx, competition: Competition, now: datetime) -> None:
    await sql.update_approved(tx, competition.id)
    await sql.update_status(tx, competition.id, "settling", "paying", now)
    telling.moved(tx, competition=replace(competition, phase="paying"))


async def _pay_next(tx: Tx, competition: Competition, now: datetime) -> bool:
    approved = await sql.lock_approved(tx, competition.id, PAID_PER_STEP_MAX)
    if not approved.places:
        return await _finish(tx, competition, now)
    settled = await _pay(tx, competition, approved, now)
    await sql.update_rewards(tx, competition.id, approved, settled, claim_by=_claim_by(now), now=now)
    return True


async def _pay(tx: Tx, competition: Competition, won: Won, now: datetime) -> Settled:
    """Move prizes from the pool into wallets; keys make a second payment impossible.

    An entrant without user leaves his prize in the pool until it is claimed, a refusing wallet until staff decide. What
    is won besides money needs no wallet.
    """
    payable = [number for number, user_id in enumerate(won.user_ids) if user_id and won.amounts[number]]
    paid = await ledger.fan_out(
        tx,
        source=competition.pool_address,
        asset=competition.prize_asset,
        kind="competitions.prize",
        payments=_payments(competition, won, payable),
        now=now,
    )
    transfer_ids: list[bytes | None] = [None] * len(won.places)
    for number, transfer_id in zip(payable, paid.transfer_ids, strict=True):
        transfer_ids[number] = transfer_id
    settled = Settled(transfer_ids, {payable[place]: refused.code for place, refused in paid.refused.items()})
    if await outbox.is_wanted(tx, RewardPaid, RewardUnclaimed):
        await outbox.send(tx, *_told(competition, won, settled))
    return settled


def _payments(competition: Competition, won: Won, payable: Sequence[int]) -> ledger.Payments:
    name, title = str(competition.id), competition.title
    return ledger.Payments(
        keys=[f"comp:{name}:reward:{won.entrant_ids[number]}" for number in payable],
        owners=[user_id for user_id, amount in zip(won.user_ids, won.amounts, strict=True) if user_id and amount],
        amounts=[won.amounts[number] for number in payable],
        metadata=[{"competition": name, "rank": won.ranks[number], "title": title} for number in payable],
    )


def _claim_by(now: datetime) -> datetime:
    return now + timedelta(days=settings.value(UNCLAIMED_DAYS))


def _told(competition: Competition, won: Won, settled: Settled) -> Iterator[RewardPaid | RewardUnclaimed]:
    asset = competition.prize_asset
    prizes_won = zip(won.entrant_ids, won.user_ids, won.ranks, won.amounts, settled.transfer_ids, strict=True)
    for entrant_id, user_id, rank, amount, transfer_id in prizes_won:
        if user_id and (transfer_id or not amount):
            yield RewardPaid(competition.id, entrant_id, user_id, rank, asset, amount)
        elif not user_id:
            yield RewardUnclaimed(competition.id, entrant_id, None, rank, asset, amount)


async def _finish(tx: Tx, competition: Competition, now: datetime) -> bool:
    """Send what nobody won where it belongs and complete, if the pool holds exactly what is still owed.

    False when nothing more can be done now; True also when there is more to give back than one step does.
    """
    left = await sql.find_undistributed(tx, competition.id)
    if not await _is_exact(tx, competition, left):
        await sql.update_status(tx, competition.id, "settling", "paying", now)
        return False
    if left and left.to_address == lifecycle.CONTRIBUTORS:
        returned = await refunds.return_next(tx, competition_id=competition.id, now=now)
        if returned.refused or returned.has_more:
            await sql.update_status(tx, competition.id, "settling", "paying", now)
            return returned.done > 0
    elif left:
        await _return(tx, competition, left, now)
    year, month = lifecycle.month_of(competition)
    await sql.insert_archive(tx, competition.id, year, month, now)
    await sql.update_status(tx, competition.id, "completed", None, now)
    await outbox.send(tx, CompetitionCompleted(*lifecycle.told(competition)))
    telling.moved(tx, competition=replace(competition, status="completed", phase=None))
    return True


async def _is_exact(tx: Tx, competition: Competition, left: Leftover | None) -> bool:
    """Whether the pool holds what is owed: an alarm if not, and nothing leaves it."""
    amount = left.amount if left else 0
    if left and left.to_address == lifecycle.CONTRIBUTORS:  # a part of them may have theirs already
        amount = (await pools.pool_sums(tx, competition_ids=[competition.id]))[competition.id].pool
    pool = await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)
    owed = await sql.sum_kept(tx, competition.id) + amount
    if pool != owed:
        log.error("a pool does not hold what it owes", competition=str(competition.id), pool=pool, owed=owed)
    return pool == owed


async def _return(tx: Tx, competition: Competition, left: Leftover, now: datetime) -> None:
    """To the account of the rule, or into the next pool of the series; without one, to the treasury."""
    key, to = f"comp:{competition.id}:leftover", left.to_address
    if to == lifecycle.SUCCESSOR:
        if rolled := await _roll_over(tx, competition, left, key, now):
            await sql.update_undistributed(tx, competition.id, f"pool:{rolled[0]}", rolled[1])
            return
        to = lifecycle.house_of("treasury")
    asset = competition.prize_asset
    legs = ((competition.pool_address, asset, -left.amount), (to, asset, left.amount))
    posted = await ledger.post(tx, ledger.Post(key, "competitions.leftover", legs), now=now)
    await sql.update_undistributed(tx, competition.id, to, posted.transfer_id)


async def _roll_over(
    tx: Tx, competition: Competition, left: Leftover, key: str, now: datetime
) -> tuple[CompetitionId, UUID] | None:
    """The next pool, which has it now, and the transfer; None when there is none that can still take something."""
    successor = await sql.find_successor(tx, competition)
    if successor is None:
        return None
    item = Contribution(successor, "rollover", left.amount, competition.pool_address, key)
    [outcome] = await pools.contribute_many(tx, [item], now=now)
    return (successor, outcome.transfer_id) if isinstance(outcome, Contributed) else None
