"""What a competition may do when: publishing, the clock, the way from freeze to payment."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from palio.competitions.errors import (
    ApprovalDue,
    Cancelled,
    EndsEarlier,
    NotDraft,
    NotExtendable,
    NotRunning,
    Paying,
    ReasonMissing,
    StartsInPast,
    WindowInvalid,
)
from palio.competitions.types import (
    Competition,
    CompetitionId,
    Contribution,
    Gate,
    LeftoverTo,
    NewCompetition,
)
from palio.kernel.ids import Actor, UserId

REWARDS_AT_ONCE_MAX = 100_000
REASON_MIN, REASON_MAX = 5, 500
INSTANT = timedelta(microseconds=1)
FROZEN_BY_CLOCK = ("game", "custom")  # every other product knows itself when its last score is in


def check_window(new: NewCompetition) -> None:
    """Accept a window that ends after it starts. Refuses with WindowInvalid."""
    if new.starts_at >= new.ends_at:
        raise WindowInvalid(starts_at=new.starts_at, ends_at=new.ends_at)


def check_publishing(competition: Competition, now: datetime, backdated_reason: str | None) -> None:
    """Accept a draft that begins later, or earlier for a stated reason. Refuses with NotDraft, StartsInPast."""
    if competition.status != "draft":
        raise NotDraft(status=competition.status)
    if competition.starts_at <= now and not backdated_reason:
        raise StartsInPast(starts_at=competition.starts_at, now=now)


def months_of(competition: Competition, now: datetime) -> Iterator[datetime]:
    """Instants in each month that has begun since a start in the past; none for a start to come."""
    at = competition.starts_at.astimezone(UTC)
    while at < min(now, competition.ends_at):
        yield at
        at = (at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)


def terms_hash(competition: Competition) -> bytes:
    """SHA-256 of the terms that can no longer change once it is live, as JSON with sorted keys and no blanks."""
    terms = {
        "product": competition.product,
        "starts_at": competition.starts_at.isoformat(),
        "prize_asset": competition.prize_asset,
        "guaranteed_pool": competition.guaranteed_pool,
        "treasury_bps": competition.treasury_bps,
        "prize_rule": competition.prize_rule,
        "min_score": competition.min_score,
        "allow_nonpositive": competition.allow_nonpositive,
        "tie_rule": competition.tie_rule,
        "empty_rule": competition.empty_rule,
        "leftover_to": competition.leftover_to,
        "no_winner": competition.no_winner,
    }
    return hashlib.sha256(json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()).digest()


def told(competition: Competition) -> tuple[CompetitionId, str, str | None, str | None]:
    """What every event of a competition says of it."""
    return competition.id, competition.product, competition.subject_ref, competition.period_key


def takes_scores(gate: Gate) -> bool:
    """Whether scores can still change: while it runs, and while its last ones are collected."""
    return gate.status == "live" or gate.phase == "collecting"


def freezes_by_clock(competition: Competition, now: datetime) -> bool:
    """Whether the time for late scores of a product without closing figures of its own is over."""
    return competition.product in FROZEN_BY_CLOCK and now >= competition.ends_at + timedelta(
        seconds=competition.grace_s
    )


def may_pay(competition: Competition, *, now: datetime, approval_above: int) -> bool:
    """Whether a frozen competition may be paid without a person: reviewed long enough, nothing odd, pool not large."""
    if competition.frozen_at is None or competition.review_reasons:
        return False
    reviewed = now >= competition.frozen_at + timedelta(hours=competition.review_h)
    return reviewed and not needs_approval(competition, approval_above)


def needs_approval(competition: Competition, above: int) -> bool:
    """Whether a second person must release the payment: the limit is in units of USD, and nothing is converted."""
    return competition.prize_asset == "USD" and (competition.pool_final or 0) > above


def leftover_address(competition: Competition, *, has_winners: bool) -> str:
    """Where the undistributed part of the pool goes; `house:prizes` funded every pool so far."""
    if has_winners:
        return house_of(competition.leftover_to)
    return "treasury:main" if competition.no_winner == "treasury" else "house:prizes"


def house_of(leftover_to: LeftoverTo) -> str:
    """The account for what is left of a pool."""
    return "treasury:main" if leftover_to == "treasury" else "house:prizes"


def month_of(competition: Competition) -> tuple[int, int]:
    """Year and month of the archive: those in which it began, in its own time zone."""
    started = competition.starts_at.astimezone(ZoneInfo(competition.tz))
    return started.year, started.month


def checked_reason(reason: str) -> str:
    """The reason of an act of staff, trimmed. Refuses with ReasonMissing."""
    trimmed = reason.strip()
    if not REASON_MIN <= len(trimmed) <= REASON_MAX:
        raise ReasonMissing(low=REASON_MIN, high=REASON_MAX)
    return trimmed


def require_second(actor: Actor, approved_by: UserId | None, *, act: str, because: str) -> None:
    """Accept an act that somebody else has approved. Refuses with ApprovalDue."""
    if approved_by is None or approved_by == actor.user_id:
        raise ApprovalDue(act=act, because=because)


def check_not_paying(competition: Competition) -> None:
    """Accept what nothing has been paid of. Refuses with Cancelled, Paying."""
    if competition.status == "cancelled":
        raise Cancelled(reason=competition.cancel_reason)
    if competition.phase == "paying" or competition.status in ("completed", "archived"):
        raise Paying(status=competition.status)


def check_correctable(competition: Competition) -> None:
    """Accept what has begun and is not paid yet. Refuses with Cancelled, Paying, NotRunning."""
    check_not_paying(competition)
    if competition.status not in ("live", "settling"):
        raise NotRunning(status=competition.status)


def check_extending(competition: Competition, ends_at: datetime, now: datetime) -> None:
    """Accept a later end of what has not ended. Refuses with NotExtendable, EndsEarlier."""
    if competition.status not in ("draft", "upcoming", "live") or now >= competition.ends_at:
        raise NotExtendable(status=competition.status)
    if ends_at <= competition.ends_at:
        raise EndsEarlier(ends_at=competition.ends_at.isoformat())


def decided_at(competition: Competition, now: datetime) -> datetime:
    """When a decision of staff counts as made: inside the window, so that it stands beside the scores it changes."""
    return min(max(now, competition.starts_at), competition.ends_at - INSTANT)


def refund_address(contribution: Contribution) -> str:
    """Where a contribution goes back to: payments into the wallet of their payer, the rest where it came from."""
    if contribution.source in ("user_payment", "entry_fee") and contribution.payer_id:
        return f"user:{contribution.payer_id}:main"
    return contribution.from_address
