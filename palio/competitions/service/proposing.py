"""Acts of staff that wait for a second person above their limit: done at once, or proposed, and then done once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import ApprovalDue
from palio.competitions.rules import lifecycle
from palio.competitions.service import pools, reads, settlement, showing, staff, steering, withholding
from palio.competitions.service.lifecycle import lock
from palio.competitions.types import (
    FUND_LIMITS,
    PAY_APPROVAL_ABOVE,
    Competition,
    CompetitionId,
    Contributed,
    EntrantId,
    Source,
)
from palio.infra import approvals, db, settings
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.kernel.providers import Change

RELEASE, CANCEL = "competitions.release", "competitions.cancel"
DISQUALIFY, FORCE_FREEZE = "competitions.disqualify", "competitions.force_freeze"
PAY_WITHHELD, FORFEIT = "competitions.pay_withheld", "competitions.forfeit"
FUND, ANNOUNCE = "competitions.fund", "competitions.announce"
CHANGES_MAX = 100


async def release_or_propose(
    tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime
) -> Approval | None:
    """Release a competition to be paid. A pool above its limit waits: answers the proposal.

    From ten times the limit on it takes two others. Refuses as `release` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await settlement.release(tx, competition_id=competition_id, actor=actor, reason=reason, now=now)
    except ApprovalDue:
        competition = await reads.get(tx, competition_id=competition_id)
        pool = competition.pool_final or 0
        limit = await settings.exact(tx, PAY_APPROVAL_ABOVE)
        summary = f"Pay {competition.title} from a pool of {await _amount(tx, pool, competition.prize_asset)}"
        needed = 2 if pool > approvals.TWO_CHECKERS_FROM * limit else 1
        return await _propose(tx, RELEASE, competition, {}, summary, actor, reason, now, amount=pool, needed=needed)
    return None


async def cancel_or_propose(
    tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime
) -> Approval | None:
    """Call a competition off. One that has begun and has a pool waits: answers the proposal.

    Refuses as `cancel` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await staff.cancel(tx, competition_id=competition_id, actor=actor, reason=reason, now=now)
    except ApprovalDue:
        competition = await reads.get(tx, competition_id=competition_id)
        pool = (await pools.pool_sums(tx, competition_ids=[competition_id]))[competition_id].pool
        amount = await _amount(tx, pool, competition.prize_asset)
        summary = f"Cancel {competition.title} and give back its pool of {amount}"
        return await _propose(tx, CANCEL, competition, {}, summary, actor, reason, now, amount=pool)
    return None


async def disqualify_or_propose(
    tx: Tx, *, competition_id: CompetitionId, entrant_id: EntrantId, actor: Actor, reason: str, now: datetime
) -> Approval | None:
    """Take an entrant out. Whoever holds a prize after the end waits: answers the proposal.

    Refuses as `disqualify` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await staff.disqualify(
                tx, competition_id=competition_id, entrant_id=entrant_id, actor=actor, reason=reason, now=now
            )
    except ApprovalDue:
        competition = await reads.get(tx, competition_id=competition_id)
        who = (await reads.entrants_many(tx, [entrant_id])).get(entrant_id)
        summary = f"Take a prize-winner out of {competition.title}: {reason}"
        payload = {"entrant_id": entrant_id}
        subject = who.user_id if who else None
        return await _propose(tx, DISQUALIFY, competition, payload, summary, actor, reason, now, subject=subject)
    return None


async def force_freeze_or_propose(
    tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime
) -> Approval:
    """Propose to freeze what its product has left lying, after seeing that it could be done.

    Refuses as `force_freeze` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await steering.force_freeze(tx, competition_id=competition_id, actor=actor, reason=reason, now=now)
    except ApprovalDue:
        competition = await reads.get(tx, competition_id=competition_id)
        summary = f"Freeze {competition.title} with the scores it has"
        return await _propose(tx, FORCE_FREEZE, competition, {}, summary, actor, reason, now)
    raise AssertionError  # pragma: no cover - it always takes two people


async def pay_withheld_or_propose(
    tx: Tx, *, competition_id: CompetitionId, entrant_id: EntrantId, actor: Actor, reason: str, now: datetime
) -> Approval | None:
    """Pay a prize that its winner's wallet had refused. A large one waits: answers the proposal.

    Refuses as `pay_withheld` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await withholding.pay_withheld(
                tx, competition_id=competition_id, entrant_id=entrant_id, actor=actor, reason=reason, now=now
            )
    except ApprovalDue:
        return await _propose_prize(tx, PAY_WITHHELD, "Pay", competition_id, entrant_id, actor, reason, now)
    return None


async def forfeit_or_propose(
    tx: Tx, *, competition_id: CompetitionId, entrant_id: EntrantId, actor: Actor, reason: str, now: datetime
) -> Approval | None:
    """Propose to send a prize back that its winner's wallet had refused. What is void already is None.

    Refuses as `forfeit` does, except with ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await withholding.forfeit(
                tx, competition_id=competition_id, entrant_id=entrant_id, actor=actor, reason=reason, now=now
            )
    except ApprovalDue:
        return await _propose_prize(tx, FORFEIT, "Send back", competition_id, entrant_id, actor, reason, now)
    return None


async def fund_or_propose(
    tx: Tx,
    *,
    fund_id: UUID,
    competition_id: CompetitionId,
    source: Source,
    amount: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Contributed | Approval:
    """Put money into a pool. With what one person has put into it within 24 hours above the limit of its asset it
    waits: answers the proposal. Of an asset without a limit everything does.

    From ten times the limit on it takes two others. Refuses as `fund` does.
    """
    competition = await lock(tx, competition_id=competition_id)
    what = f"{await _amount(tx, amount, competition.prize_asset)} from {staff.FUNDS.get(source, source)}"
    proposal = _proposal(
        FUND,
        competition,
        {"source": source, "amount": amount},
        f"Put {what} into the pool of {competition.title}: {reason}",
        lifecycle.checked_reason(reason),
        amount=amount,
    )
    fund = partial(
        staff.fund,
        tx,
        competition_id=competition_id,
        source=source,
        amount=amount,
        actor=actor,
        reason=reason,
        now=now,
    )
    limit = await fund_limit(tx, asset=competition.prize_asset)
    waiting = await approvals.propose(tx, actor=actor, proposal=proposal, over=limit, now=now)
    if waiting is None:
        return await fund(fund_id=fund_id)
    async with db.taken_back(tx):  # what would be refused is not proposed
        await fund(fund_id=waiting.id)
    return waiting


async def announce_or_propose(
    tx: Tx, *, competition_id: CompetitionId, actor: Actor, now: datetime
) -> Competition | Approval:
    """Publish a draft on behalf of staff. A promised pool above what one person puts into one alone waits, as it does
    in `fund_or_propose`: answers the proposal. It is about the draft as it is now.

    Refuses as `publish` does.
    """
    competition = await lock(tx, competition_id=competition_id)
    pool, limit = competition.guaranteed_pool, await fund_limit(tx, asset=competition.prize_asset)
    what = f"Announce {competition.title} with a pool of {await _amount(tx, pool, competition.prize_asset)}"
    proposal = _proposal(ANNOUNCE, competition, {"version": competition.version}, what, what, amount=pool)
    waiting = await approvals.propose(tx, actor=actor, proposal=proposal, over=limit, now=now)
    if waiting is None:
        return await steering.announce(tx, competition_id=competition_id, actor=actor, now=now)
    async with db.taken_back(tx):  # what would be refused is not proposed
        await steering.announce(tx, competition_id=competition_id, actor=actor, now=now)
    return waiting


async def fund_limit(tx: Tx, *, asset: str) -> int:
    """So much one person puts into a pool alone within 24 hours, in units."""
    return await settings.exact(tx, FUND_LIMITS[asset]) if asset in FUND_LIMITS else 0


async def carry_out_fund(tx: Tx, *, approved: Approved) -> Payload:
    """What two people want to put into a pool, under the id of their approval. Refuses as `fund` does."""
    funded = await staff.fund(
        tx,
        fund_id=UUID(approved.key.rpartition(":")[2]),
        competition_id=_id_of(approved),
        source=approved.payload["source"],
        amount=approved.payload["amount"],
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
    )
    return {"transfer_id": str(funded.transfer_id)}


async def preview_fund(tx: Tx, *, approved: Approved) -> list[Change]:
    """How the pool grows. Refuses as `fund` does."""
    return await _between(tx, approved, carry_out_fund, what="prize")


async def carry_out_announce(tx: Tx, *, approved: Approved) -> Payload:
    """The announcement that two people want. Refuses as `publish` does, and with Stale a draft changed since."""
    competition_id = _id_of(approved)
    await steering.require_seen(tx, competition_id=competition_id, version=approved.payload["version"])
    await steering.announce(
        tx, competition_id=competition_id, actor=approved.maker, now=approved.now, approved_by=approved.approved_by
    )
    return {}


async def preview_announce(tx: Tx, *, approved: Approved) -> list[Change]:
    """What goes into the pool. Refuses as `carry_out_announce` does."""
    return await _between(tx, approved, carry_out_announce, what="prize")


async def carry_out_pay_withheld(tx: Tx, *, approved: Approved) -> Payload:
    """The payment of a prize that two people want. Refuses as `pay_withheld` does."""
    await withholding.pay_withheld(tx, **_of_prize(approved))
    return {}


async def carry_out_forfeit(tx: Tx, *, approved: Approved) -> Payload:
    """The return of a prize that two people want. Refuses as `forfeit` does."""
    await withholding.forfeit(tx, **_of_prize(approved))
    return {}


async def carry_out_release(tx: Tx, *, approved: Approved) -> Payload:
    """The payment that two people want. Refuses as `release` does."""
    await settlement.release(
        tx,
        competition_id=_id_of(approved),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def carry_out_cancel(tx: Tx, *, approved: Approved) -> Payload:
    """The cancellation that two people want. Refuses as `cancel` does."""
    await staff.cancel(
        tx,
        competition_id=_id_of(approved),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def carry_out_disqualify(tx: Tx, *, approved: Approved) -> Payload:
    """The disqualification that two people want. Refuses as `disqualify` does."""
    await staff.disqualify(
        tx,
        competition_id=_id_of(approved),
        entrant_id=EntrantId(approved.payload["entrant_id"]),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def carry_out_force_freeze(tx: Tx, *, approved: Approved) -> Payload:
    """The forced freeze that two people want. Refuses as `force_freeze` does: it may have been frozen since."""
    await steering.force_freeze(
        tx,
        competition_id=_id_of(approved),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def preview_release(tx: Tx, *, approved: Approved) -> list[Change]:
    """Who will be paid what, and where the rest goes. Refuses as `release` does."""
    return await _between(tx, approved, carry_out_release, what="paid")


async def preview_cancel(tx: Tx, *, approved: Approved) -> list[Change]:
    """What leaves the pool, and whose prize is void. Refuses as `cancel` does."""
    return await _between(tx, approved, carry_out_cancel, what="prize")


async def preview_disqualify(tx: Tx, *, approved: Approved) -> list[Change]:
    """Whose prize changes. Refuses as `disqualify` does."""
    return await _between(tx, approved, carry_out_disqualify, what="prize")


async def preview_force_freeze(tx: Tx, *, approved: Approved) -> list[Change]:
    """Who would win what. Refuses as `force_freeze` does."""
    return await _between(tx, approved, carry_out_force_freeze, what="prize")


async def preview_pay_withheld(tx: Tx, *, approved: Approved) -> list[Change]:
    """What the wallet gets. Refuses as `pay_withheld` does."""
    return await _around_prize(tx, approved, carry_out_pay_withheld)


async def preview_forfeit(tx: Tx, *, approved: Approved) -> list[Change]:
    """What the house gets. Refuses as `forfeit` does."""
    return await _around_prize(tx, approved, carry_out_forfeit)


async def _around_prize(tx: Tx, approved: Approved, carry_out: Callable[..., Awaitable[Payload]]) -> list[Change]:
    """The state of a prize, its pool, the wallet of its winner and the house, before and after an act."""
    competition = await reads.get(tx, competition_id=_id_of(approved))
    asset = competition.prize_asset, await _scale(tx, competition.prize_asset)
    entrant_id = EntrantId(approved.payload["entrant_id"])
    name = (await showing.names_of(tx, people=await reads.entrants_many(tx, [entrant_id]))).get(entrant_id, "")
    state, *before = await _prize_accounts(tx, competition, entrant_id)
    await carry_out(tx, approved=approved)
    state_then, *then = await _prize_accounts(tx, competition, entrant_id)
    house = lifecycle.house_of(competition.leftover_to)
    told = zip((("", "pool"), (name, "wallet"), (house, "balance")), before, then, strict=True)
    return [
        Change(name, "prize", state, state_then),
        *(Change(*words, held, holds, asset) for words, held, holds in told if held != holds),
    ]


async def _prize_accounts(tx: Tx, competition: Competition, entrant_id: EntrantId) -> tuple[str | None, int, int, int]:
    """The state of a prize, and what pool, wallet and house hold."""
    reward, asset = await sql.find_reward(tx, competition.id, entrant_id), competition.prize_asset
    wallet = f"user:{reward.user_id}:main" if reward else ""
    return (
        reward.status if reward else None,
        await _pool(tx, competition),
        await ledger.balance(tx, address=wallet, asset=asset),
        await ledger.balance(tx, address=lifecycle.house_of(competition.leftover_to), asset=asset),
    )


async def _between(
    tx: Tx, approved: Approved, carry_out: Callable[..., Awaitable[Payload]], *, what: str
) -> list[Change]:
    """State, pool and prizes before and after an act, the first hundred entrants that differ."""
    competition_id = _id_of(approved)
    before = await reads.get(tx, competition_id=competition_id)
    asset = (before.prize_asset, await _scale(tx, before.prize_asset))
    prizes_before, pool_before = await _prizes(tx, competition_id), await _pool(tx, before)
    await carry_out(tx, approved=approved)
    after = await reads.get(tx, competition_id=competition_id)
    prizes_after = {} if after.status == "cancelled" else await _prizes(tx, competition_id)
    moved = sorted(
        entrant
        for entrant in prizes_before.keys() | prizes_after.keys()
        if prizes_before.get(entrant) != prizes_after.get(entrant) or what == "paid"
    )[:CHANGES_MAX]
    names = await showing.names_of(tx, people=await reads.entrants_many(tx, moved))
    states = before.phase or before.status, after.phase or after.status
    return [
        *([Change("", "state", *states)] if states[0] != states[1] else []),
        Change("", "pool", pool_before, await _pool(tx, after), asset),
        *(
            Change(
                names[entrant],
                what,
                None if what == "paid" else prizes_before.get(entrant),
                prizes_after.get(entrant),
                asset,
            )
            for entrant in moved
        ),
    ]


async def _prizes(tx: Tx, competition_id: CompetitionId) -> dict[EntrantId, int]:
    return {reward.entrant_id: reward.amount for reward in await sql.list_rewards(tx, competition_id, CHANGES_MAX)}


async def _pool(tx: Tx, competition: Competition) -> int:
    return await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)


def _id_of(approved: Approved) -> CompetitionId:
    return CompetitionId(UUID(approved.payload["competition_id"]))


def _of_prize(approved: Approved) -> dict[str, Any]:
    """Whose prize it is about, and who wants it."""
    return {
        "competition_id": _id_of(approved),
        "entrant_id": EntrantId(approved.payload["entrant_id"]),
        "actor": approved.maker,
        "reason": approved.reason,
        "now": approved.now,
        "approved_by": approved.approved_by,
    }


async def _propose_prize(
    tx: Tx,
    command: str,
    verb: str,
    competition_id: CompetitionId,
    entrant_id: EntrantId,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Approval:
    competition = await reads.get(tx, competition_id=competition_id)
    reward = await sql.find_reward(tx, competition_id, entrant_id)
    subject, prize = (reward.user_id, reward.amount) if reward else (None, 0)
    amount = await _amount(tx, prize, competition.prize_asset)
    summary = f"{verb} a withheld prize of {amount} in {competition.title}: {reason}"
    payload = {"entrant_id": entrant_id}
    return await _propose(tx, command, competition, payload, summary, actor, reason, now, subject=subject, amount=prize)


async def _propose(
    tx: Tx,
    command: str,
    competition: Competition,
    payload: Payload,
    summary: str,
    actor: Actor,
    reason: str,
    now: datetime,
    *,
    subject: UserId | None = None,
    amount: int | None = None,
    needed: int = 1,
) -> Approval:
    proposal = _proposal(command, competition, payload, summary, reason, subject=subject, amount=amount, needed=needed)
    return await approvals.open_proposal(tx, actor=actor, proposal=proposal, now=now)


def _proposal(
    command: str,
    competition: Competition,
    payload: Payload,
    summary: str,
    reason: str,
    *,
    subject: UserId | None = None,
    amount: int | None = None,
    needed: int = 1,
) -> Proposal:
    return Proposal(
        command,
        {"competition_id": str(competition.id), **payload},
        summary,
        "competition",
        str(competition.id),
        reason,
        amount=amount,
        asset=None if amount is None else competition.prize_asset,
        subject=subject,
        needed=needed,
    )


async def _amount(tx: Tx, amount: int, asset: str) -> str:
    """An amount as people read it."""
    return f"{Decimal(amount).scaleb(-await _scale(tx, asset)):,f} {asset}"


async def _scale(tx: Tx, asset: str) -> int:
    return next((one.scale for one in await ledger.assets(tx) if one.code == asset), 0)
