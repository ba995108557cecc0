"""What staff may do to the course of a competition: its terms, its start, its rests and its end."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import NotReleased, NotUpcoming, OfProduct
from palio.competitions.rules import editing, lifecycle
from palio.competitions.rules.series import require_zone
from palio.competitions.service import telling
from palio.competitions.service.lifecycle import close, create, lock, moved, publish, start
from palio.competitions.service.settlement import freeze, settle
from palio.competitions.types import Competition, CompetitionId, NewCompetition
from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.ids import Actor, UserId

PAY_STEPS_MAX = 5  # of 10,000 prizes each

Changes: TypeAlias = Mapping[str, tuple[object, object]]


async def require_seen(tx: Tx, *, competition_id: CompetitionId, version: int) -> None:
    """Accept staff who saw it as it is; ours until the transaction ends. Refuses with NoSuchCompetition, Stale."""
    competition = await lock(tx, competition_id=competition_id)
    if competition.version != version:
        raise Stale(version=competition.version)


async def require_ours(tx: Tx, *, competition_id: CompetitionId) -> None:
    """Accept what no product steers by itself; ours until the transaction ends. Refuses with NoSuchCompetition,
    OfProduct.
    """
    competition = await lock(tx, competition_id=competition_id)
    if competition.product in lifecycle.STEERED:
        raise OfProduct(product=competition.product)


async def draft(tx: Tx, *, new: NewCompetition, actor: Actor, now: datetime) -> CompetitionId:
    """Draft a competition on behalf of staff. Refuses with WindowInvalid, EligibilityInvalid, ZoneUnknown,
    ledger.UnknownAsset.
    """
    require_zone(new.tz)
    await require_asset(tx, code=new.prize_asset)
    competition_id = await create(tx, new=new, created_by=actor.user_id, now=now)
    competition = await lock(tx, competition_id=competition_id)
    changes: Changes = {name: (None, getattr(competition, name)) for name in editing.FIELDS}
    await _record(tx, competition, actor, "competition.draft", "", changes)
    return competition_id


async def require_asset(tx: Tx, *, code: str) -> None:
    """Accept what prizes can be counted in. Refuses with ledger.UnknownAsset."""
    if code not in {asset.code for asset in await ledger.assets(tx)}:
        raise ledger.UnknownAsset(asset=code)


async def announce(
    tx: Tx, *, competition_id: CompetitionId, actor: Actor, now: datetime, approved_by: UserId | None = None
) -> Competition:
    """Publish a draft on behalf of staff. Refuses as `publish` does."""
    published = await publish(tx, competition_id=competition_id, now=now)
    changes: Changes = {
        "status": ("draft", published.status),
        "terms_sha256": (None, (published.terms_hash or b"").hex()),
        "approved_by": (None, approved_by),
    }
    await _record(tx, published, actor, "competition.publish", "", changes)
    return published


async def pay(tx: Tx, *, competition_id: CompetitionId, actor: Actor, now: datetime) -> int:
    """Pay the next prizes of what is released, without waiting for the clock; answers how many steps were done.

    Refuses with NoSuchCompetition, NotReleased.
    """
    competition = await lock(tx, competition_id=competition_id)
    if competition.phase != "paying":
        raise NotReleased(status=competition.status)
    steps = 0
    while steps < PAY_STEPS_MAX and await settle(tx, competition_id=competition_id, now=now):
        steps += 1
    await _record(tx, competition, actor, "competition.pay", "", {"steps": (0, steps)})
    return steps


async def update(
    tx: Tx, *, competition_id: CompetitionId, changes: Mapping[str, object], actor: Actor, now: datetime
) -> Competition:
    """Change what can still be changed: everything of a draft; of what is announced the terms until somebody has
    entered or paid, except the promised pool; then texts and a later end. What is equal is no change.

    Refuses with NoSuchCompetition, TermsFrozen, EndsEarlier, WindowInvalid, EligibilityInvalid, ZoneUnknown,
    ledger.UnknownAsset, PrizeShape, PrizeSum, PrizeIncreasing, NothingFollows.
    """
    competition = await lock(tx, competition_id=competition_id)
    is_entered = competition.status != "draft" and await sql.has_entries(tx, competition_id)
    changed = editing.changed(competition, changes, is_entered=is_entered)
    fields = editing.differences(competition, changed)
    if not fields:
        return competition
    require_zone(changed.tz)
    await require_asset(tx, code=changed.prize_asset)
    digest = editing.terms_hash(changed) if competition.terms_hash else None
    await sql.update_terms(tx, changed, digest, now)
    await _record(tx, competition, actor, "competition.update", "", fields)
    return await moved(tx, competition_id=competition_id)


async def start_now(tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime) -> Competition:
    """Let what is announced begin at once; its terms are hashed anew, because they name the start.

    Refuses with NoSuchCompetition, ReasonMissing, NotUpcoming.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    if competition.status != "upcoming" or now >= competition.ends_at:
        raise NotUpcoming(status=competition.status, starts_at=competition.starts_at)
    earlier = editing.begun(competition, now)
    await sql.update_terms(tx, earlier, editing.terms_hash(earlier), now)
    begun = await start(tx, competition_id=competition_id, now=now)
    changes: Changes = {
        "starts_at": (competition.starts_at, earlier.starts_at),
        "status": (competition.status, begun.status),
    }
    await _record(tx, competition, actor, "competition.start", reason, changes)
    return begun


async def end_now(tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime) -> Competition:
    """Let what runs end at once: it is won, or it is enough. Its last scores are collected.

    Refuses with NoSuchCompetition, ReasonMissing, NotLive, Paused.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_ending(competition, now)
    await sql.update_ends_at(tx, competition, now, now)
    ended = await close(tx, competition_id=competition_id, now=now)
    changes: Changes = {"ends_at": (competition.ends_at, now), "status": (competition.status, ended.status)}
    await _record(tx, competition, actor, "competition.end", reason, changes)
    return ended


async def pause(tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime) -> Competition:
    """Let what runs rest: nobody scores. Waits for submissions under way.

    Refuses with NoSuchCompetition, ReasonMissing, NotLive, Paused.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_pausing(competition)
    await sql.update_paused(tx, competition, now, competition.ends_at, now)
    await _record(tx, competition, actor, "competition.pause", reason, {"paused_at": (None, now)})
    return await moved(tx, competition_id=competition_id)


async def resume(tx: Tx, *, competition_id: CompetitionId, actor: Actor, reason: str, now: datetime) -> Competition:
    """Let what rests go on; it ends as much later as it rested.

    Refuses with NoSuchCompetition, ReasonMissing, NotPaused.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    ends_at = lifecycle.resumed_end(competition, now)
    await sql.update_paused(tx, competition, None, ends_at, now)
    changes: Changes = {"paused_at": (competition.paused_at, None), "ends_at": (competition.ends_at, ends_at)}
    await _record(tx, competition, actor, "competition.resume", reason, changes)
    return await moved(tx, competition_id=competition_id)


async def force_freeze(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> Competition:
    """Freeze what its product has left lying for too long, by two people; it is then reviewed, whatever its terms say.

    Refuses with NoSuchCompetition, ReasonMissing, NotCollecting, NotOverdue, ApprovalDue, PoolShort.
    """
    reason = lifecycle.checked_reason(reason)
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_collecting(competition)
    lifecycle.check_overdue(competition, now)
    lifecycle.require_second(actor, approved_by, act="the freeze", because="its product has not closed it")
    evidence = {"review_reasons": ["forced_freeze"], "forced_reason": reason}
    frozen = await freeze(tx, competition_id=competition_id, evidence=evidence, now=now)
    changes: Changes = {"phase": (competition.phase, frozen.phase), "approved_by": (None, approved_by)}
    await _record(tx, competition, actor, "competition.force_freeze", reason, changes)
    telling.moved(tx, competition=frozen)
    return frozen


async def _record(tx: Tx, competition: Competition, actor: Actor, action: str, reason: str, changes: Changes) -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="competition",
        entity_id=str(competition.id),
        changes=changes,
        reason=reason,
    )
