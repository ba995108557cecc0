"""Use cases of staff who correct wallets: at once within their limits, with a second person above them.

An adjustment is its own proposal and its own receipt: it waits, is decided once, and is kept with what became of each
line. Everything one person adjusts is summed under one lock, so that neither splitting nor hurry helps.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from palio.infra import audit, db, outbox, settings
from palio.infra.approvals import Closed, Decision, Expired, OwnBenefit, OwnProposal, ReasonMissing
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId, new_id
from palio.ledger import errors
from palio.ledger.messages import AdjustmentDecided
from palio.ledger.rules import adjusting as rules
from palio.ledger.service import reading
from palio.ledger.service.posting import post_many
from palio.ledger.sql import adjusting as sql
from palio.ledger.types import (
    ADJUST_EXPIRY_HOURS,
    ADJUST_LIMITS,
    MAKER_DAY_LIMITS,
    Adjustment,
    AdjustmentForeseen,
    AdjustmentId,
    AdjustmentLine,
    AdjustmentStatus,
    BalanceChange,
    Outcome,
    Place,
    Post,
    Refused,
)

DUE_OF_A_TURN_MAX = 200
OF_OTHERS = MAKER_DAY_LIMITS["COIN"]  # what an asset without a figure of its own goes by
STATUSES: tuple[AdjustmentStatus, ...] = ("pending", "posted", "rejected", "cancelled", "expired", "failed")


async def adjust(
    tx: Tx,
    *,
    lines: Sequence[AdjustmentLine],
    reason: str,
    maker: UserId,
    now: datetime,
    ticket: str = "",
    to_debt: bool = False,
) -> Adjustment:
    """Correct wallets: posted at once within the maker's limit, else pending until somebody else has decided.

    The lines are posted one by one: a refused one keeps its code, and the others stand. What could not be posted at all
    is not even proposed: it is refused as its first line would be. With `to_debt` a wallet gives what it has, and the
    rest is owed. Refuses with InvalidPost, AdjustmentReasonMissing, SelfAdjustment, MakerLimit, and as `post` does.
    """
    reason, ticket = rules.checked_reason(reason), ticket.strip()
    assets = {asset.code: asset for asset in await reading.assets(tx)}
    rules.require_sound(lines, ticket, assets=assets)
    rules.require_not_self(lines, maker)
    await sql.lock_maker(tx, maker)
    waits = await _judge(tx, lines, maker, now)
    adjustment_id = AdjustmentId(new_id())
    posts = rules.posts(
        adjustment_id, lines, reason=reason, ticket=ticket, maker=maker, to_debt=to_debt, people=1 + waits
    )
    outcomes = await post_many(tx, posts, now=now, dry_run=waits)
    if rules.status_of(outcomes) == "failed" and isinstance(outcomes[0], Refused):
        refusal = errors.as_refusal(outcomes[0])
        raise refusal
    made = Adjustment(
        id=adjustment_id,
        maker=maker,
        checker=None,
        status="pending" if waits else "posted",
        reason=reason,
        note="",
        ticket=ticket,
        to_debt=to_debt,
        asset=None,
        scale=None,
        total_abs=None,
        line_count=len(lines),
        created_at=now,
        expires_at=now + timedelta(hours=settings.value(ADJUST_EXPIRY_HOURS)) if waits else None,
        decided_at=None if waits else now,
    )
    answered: Sequence[Outcome | None] = [None] * len(lines) if waits else outcomes
    await sql.insert_adjustment(tx, made, lines, {code: asset.id for code, asset in assets.items()}, answered)
    kept = await sql.get_adjustment(tx, adjustment_id)
    await _record(tx, kept, "wallet.adjust", None, reason)
    if not waits:
        await outbox.send(tx, AdjustmentDecided(kept.id, kept.status))
    return kept


async def foresee_adjustment(
    tx: Tx, *, lines: Sequence[AdjustmentLine], maker: UserId, now: datetime, to_debt: bool = False
) -> AdjustmentForeseen:
    """What an adjustment would do now: it is done, and taken back. Refuses with InvalidPost, SelfAdjustment."""
    rules.require_sound(lines, "", assets={asset.code for asset in await reading.assets(tx)})
    rules.require_not_self(lines, maker)
    try:
        waits, obstacle = await _judge(tx, lines, maker, now), None
    except errors.MakerLimit as refusal:
        waits, obstacle = True, refusal.code
    posts = rules.posts(new_id(), lines, reason="", ticket="", maker=maker, to_debt=to_debt, people=1)
    outcomes, changes = await _tried(tx, lines, posts, to_debt, now)
    refusals = {n: outcome.code for n, outcome in enumerate(outcomes, 1) if isinstance(outcome, Refused)}
    return AdjustmentForeseen(len(lines), waits, obstacle, refusals, changes)


async def foresee_decision(tx: Tx, *, adjustment_id: AdjustmentId, now: datetime) -> AdjustmentForeseen:
    """What an adjustment that waits would do if it were approved now: it is done, and taken back.

    Refuses with NoSuchAdjustment.
    """
    found = await sql.get_adjustment(tx, adjustment_id)
    lines = _asked(found)
    obstacle = None
    try:
        await _require_room(tx, lines, found.maker, now)
    except errors.MakerLimit as refusal:
        obstacle = refusal.code
    outcomes, changes = await _tried(tx, lines, _posts_of(found, lines), found.to_debt, now)
    refusals = {n: outcome.code for n, outcome in enumerate(outcomes, 1) if isinstance(outcome, Refused)}
    return AdjustmentForeseen(len(lines), True, obstacle, refusals, changes)


async def decide_adjustment(
    tx: Tx, *, adjustment_id: AdjustmentId, decision: Decision, checker: UserId, now: datetime, reason: str = ""
) -> Adjustment:
    """Approve or reject what somebody else wants to correct; approved, it is posted in the same transaction.

    It has failed when not one line could be posted. A rejection needs a reason. Refuses with NoSuchAdjustment,
    approvals.OwnProposal, OwnBenefit, Closed (naming who and when), Expired, ReasonMissing, and MakerLimit, after which
    it waits on.
    """
    found = await sql.lock_adjustment(tx, adjustment_id)
    if checker == found.maker:
        raise OwnProposal
    if any(line.owner_id == checker for line in found.lines):
        raise OwnBenefit
    _require_open(found, now)
    reason = reason.strip()
    if decision == "reject":
        if not reason:
            raise ReasonMissing
        return await _close(tx, found, "rejected", checker, reason, now)
    await sql.lock_maker(tx, found.maker)
    lines = _asked(found)
    await _require_room(tx, lines, found.maker, now)
    outcomes = await post_many(tx, _posts_of(found, lines), now=now)
    return await _close(tx, found, rules.status_of(outcomes), checker, reason, now, outcomes)


async def cancel_adjustment(tx: Tx, *, adjustment_id: AdjustmentId, maker: UserId, now: datetime) -> Adjustment:
    """Take back one's own adjustment that waits.

    Refuses with NoSuchAdjustment, approvals.Closed, Expired, and Forbidden if it is another's.
    """
    found = await sql.lock_adjustment(tx, adjustment_id)
    if maker != found.maker:
        raise Forbidden
    _require_open(found, now)
    return await _close(tx, found, "cancelled", None, "", now)


async def expire_adjustments(tx: Tx, *, now: datetime) -> bool:
    """End what nobody has decided about in time, the oldest two hundred; whether there may be more."""
    due = await sql.list_due(tx, now, DUE_OF_A_TURN_MAX)
    for adjustment_id in due:
        found = await sql.lock_adjustment(tx, adjustment_id)
        if found.status == "pending":
            await _close(tx, found, "expired", None, "", now)
    return len(due) == DUE_OF_A_TURN_MAX


async def get_adjustment(tx: Tx, *, adjustment_id: AdjustmentId) -> Adjustment:
    """An adjustment with its lines. Refuses with NoSuchAdjustment."""
    return await sql.get_adjustment(tx, adjustment_id)


async def list_adjustments(
    tx: Tx,
    *,
    limit: int,
    statuses: Sequence[AdjustmentStatus] = STATUSES,
    maker: UserId | None = None,
    owner: UserId | None = None,
    older_than: UUID | None = None,
    newer_than: UUID | None = None,
) -> list[Adjustment]:
    """Adjustments without their lines, the newest first, behind one or in front of one."""
    return await sql.list_adjustments(
        tx, statuses, limit=limit, maker=maker, owner=owner, older_than=older_than, newer_than=newer_than
    )


# what they have in common


async def _judge(tx: Tx, lines: Sequence[AdjustmentLine], maker: UserId, now: datetime) -> bool:
    """Whether it takes a second person. Refuses with MakerLimit what has no room today; if it waits, on any day."""
    owners = list({line.owner_id for line in lines})
    done = {
        (row.owner_id, row.asset): row.units for row in await sql.list_done(tx, maker, owners, now - rules.SUMMED_OVER)
    }
    limits = {asset: await settings.exact(tx, setting) for asset, setting in ADJUST_LIMITS.items()}
    waits = rules.needs_second(lines, done=done, limits=limits)
    if waits:
        rules.require_room(lines, used={}, limits=await _day_limits(tx, lines))
    else:
        await _require_room(tx, lines, maker, now)
    return waits


async def _require_room(tx: Tx, lines: Sequence[AdjustmentLine], maker: UserId, now: datetime) -> None:
    used = {row.asset: row.units for row in await sql.list_used(tx, maker, rules.day_of(now))}
    rules.require_room(lines, used=used, limits=await _day_limits(tx, lines))


async def _day_limits(tx: Tx, lines: Sequence[AdjustmentLine]) -> Mapping[str, int]:
    assets = {line.asset for line in lines}
    return {asset: await settings.exact(tx, MAKER_DAY_LIMITS.get(asset, OF_OTHERS)) for asset in assets}


async def _tried(
    tx: Tx, lines: Sequence[AdjustmentLine], posts: Sequence[Post], to_debt: bool, now: datetime
) -> tuple[Sequence[Outcome], Sequence[BalanceChange]]:
    """What posting them does to every account that it touches; nothing of it remains."""
    places = _places(lines, to_debt)
    addresses, assets = [place[0] for place in places], [place[1] for place in places]
    async with db.taken_back(tx):
        before = await sql.list_standings(tx, addresses, assets)
        outcomes = await post_many(tx, posts, now=now)
        after = await sql.list_standings(tx, addresses, assets)
    changes = [
        BalanceChange(one.address, one.asset, one.scale, one.balance, then.balance)
        for one, then in zip(before, after, strict=True)
        if one.balance != then.balance or not one.address.endswith(":debt")
    ]
    return outcomes, changes


def _places(lines: Sequence[AdjustmentLine], to_debt: bool) -> list[Place]:
    """Every account that the lines may touch, once: wallets in their order, the house last."""
    ends = ("main", "debt") if to_debt else ("main",)
    wallets = [(f"user:{line.owner_id}:{end}", line.asset) for line in lines for end in ends]
    return list(dict.fromkeys([*wallets, *((rules.HOUSE, line.asset) for line in lines)]))


def _asked(found: Adjustment) -> list[AdjustmentLine]:
    return [AdjustmentLine(line.owner_id, line.asset, line.amount) for line in found.lines]


def _posts_of(found: Adjustment, lines: Sequence[AdjustmentLine]) -> list[Post]:
    return rules.posts(
        found.id, lines, reason=found.reason, ticket=found.ticket, maker=found.maker, to_debt=found.to_debt, people=2
    )


def _require_open(found: Adjustment, now: datetime) -> None:
    """Accept what can still be decided. Refuses with Expired, Closed."""
    if found.status == "expired" or (found.status == "pending" and found.expires_at and now >= found.expires_at):
        raise Expired(expires_at=found.expires_at)
    if found.status != "pending":
        raise Closed(state=found.status, decided_by=str(found.checker or found.maker), decided_at=found.decided_at)


async def _close(
    tx: Tx,
    found: Adjustment,
    status: AdjustmentStatus,
    checker: UserId | None,
    note: str,
    now: datetime,
    outcomes: Sequence[Outcome] = (),
) -> Adjustment:
    await sql.update_adjustment(tx, found, status=status, checker=checker, note=note, now=now, outcomes=outcomes)
    closed = await sql.get_adjustment(tx, found.id)
    acts: dict[AdjustmentStatus, Literal["approve", "reject", "cancel", "expire"]] = {
        "rejected": "reject",
        "cancelled": "cancel",
        "expired": "expire",
    }
    await _record(tx, closed, f"adjustment.{acts.get(status, 'approve')}", found.status, note or found.reason)
    await outbox.send(tx, AdjustmentDecided(closed.id, closed.status))
    return closed


async def _record(tx: Tx, kept: Adjustment, action: str, before: AdjustmentStatus | None, reason: str) -> None:
    owners = {line.owner_id for line in kept.lines}
    lines = [f"{line.owner_id} {line.asset} {line.amount:+d}" for line in kept.lines]
    changes: dict[str, tuple[object, object]] = {"status": (before, kept.status)}
    if before is None:
        changes |= {"lines": (None, lines), "ticket": (None, kept.ticket or None)}
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="ledger.adjustment",
        entity_id=str(kept.id),
        changes=changes,
        reason=reason,
        subject=owners.pop() if len(owners) == 1 else None,
    )
