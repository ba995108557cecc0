"""What a competition may do when: publishing, the clock, the way from freeze to payment."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from palio.competitions.errors import (
    ApprovalDue,
    Cancelled,
    EndsEarlier,
    NotCollecting,
    NotDraft,
    NotExtendable,
    NothingFollows,
    NotLive,
    NotOverdue,
    NotPaused,
    NotRunning,
    NotWithheld,
    Paused,
    Paying,
    ReasonMissing,
    StartsInPast,
    WindowInvalid,
)
from palio.competitions.types import (
    Competition,
    CompetitionId,
    Gate,
    LeftoverTo,
    NewCompetition,
    Reward,
)
from palio.kernel.ids import Actor, UserId

REWARDS_AT_ONCE_MAX = 100_000
REASON_MIN, REASON_MAX = 5, 500
INSTANT = timedelta(microseconds=1)
FROZEN_BY_CLOCK = ("game", "custom")  # every other product knows itself when its last score is in
STEERED = ("race",)  # products that move their competitions along themselves
OVERDUE_AFTER = timedelta(hours=6)
ENDING_SOON_H = (24, 1)  # how long before an end it is said that it comes
CONTRIBUTORS, SUCCESSOR = (
    "contributors",
    "successor",
)  # where a left-over goes, until it is known which accounts they are


def check_window(new: NewCompetition) -> None:
    """Accept a window that ends after it starts. Refuses with WindowInvalid."""
    if new.starts_at >= new.ends_at:
        raise WindowInvalid(starts_at=new.starts_at, ends_at=new.ends_at)


def check_publishing(competition: Competition, now: datetime, backdated_reason: str | None) -> None:
    """Accept a draft that begins later, or earlier for a stated reason. Refuses with NotDraft, StartsInPast,
    NothingFollows.
    """
    if competition.status != "draft":
        raise NotDraft(status=competition.status)
    if competition.starts_at <= now and not backdated_reason:
        raise StartsInPast(starts_at=competition.starts_at, now=now)
    for field in ("leftover_to", "no_winner"):
        if getattr(competition, field) == "rollover" and competition.series_id is None:
            raise NothingFollows(field=field)


def months_of(competition: Competition, now: datetime) -> Iterator[datetime]:
    """Instants in each month that has begun since a start in the past; none for a start to come."""
    at = competition.starts_at.astimezone(UTC)
    while at < min(now, competition.ends_at):
        yield at
        at = (at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)


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


def may_pay(competition: Competition, *, now: datetime, approval_above: int, open_appeals: int = 0) -> bool:
    """Whether a frozen competition may be paid without a person: reviewed long enough, nothing odd, nobody waits for an
    answer, pool not large.
    """
    if competition.frozen_at is None or competition.review_reasons or open_appeals:
        return False
    reviewed = now >= competition.frozen_at + timedelta(hours=competition.review_h)
    return reviewed and not needs_approval(competition, approval_above)


def pays_at(competition: Competition) -> datetime | None:
    """When the review is over; None before the freeze."""
    return competition.frozen_at and competition.frozen_at + timedelta(hours=competition.review_h)


def needs_approval(competition: Competition, above: int) -> bool:
    """Whether a second person must release the payment."""
    return is_large(competition.prize_asset, competition.pool_final or 0, above)


def is_large(asset: str, amount: int, above: int) -> bool:
    """Whether one person does not pay so much alone: the limit is in units of USD, and nothing is converted."""
    return asset == "USD" and amount > above


def leftover_address(competition: Competition, *, has_winners: bool) -> str:
    """Where the undistributed part of the pool goes: an account, or CONTRIBUTORS, or SUCCESSOR."""
    rule = competition.leftover_to if has_winners else competition.no_winner
    if rule == "refund":
        return CONTRIBUTORS
    return SUCCESSOR if rule == "rollover" else house_of(competition.leftover_to if has_winners else "treasury")


def house_of(leftover_to: LeftoverTo) -> str:
    """The account for what is left of a pool when nothing follows it."""
    return "house:prizes" if leftover_to == "house" else "treasury:main"


def pool_of(competition: Competition, contributed: int) -> int:
    """What it pays: final, or what has been put in so far; what is promised where nothing lies in escrow."""
    if competition.pool_final is not None:
        return competition.pool_final
    return competition.guaranteed_pool if competition.status in ("draft", "cancelled") else contributed


def is_hidden(competition: Competition) -> bool:
    """Whether nobody may know yet who wins what."""
    return competition.results_visible == "after_end" and competition.status not in ("completed", "archived")


def is_dark(competition: Competition, now: datetime) -> bool:
    """Whether nobody but staff may see who stands where: from its blackout before the end until all of it is over.

    While it rests, the time does not go on; a later end lets the board be seen again until its own blackout.
    """
    if competition.dark_from is None or competition.status not in ("live", "settling"):
        return False
    return (competition.paused_at or now) >= competition.dark_from


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


def check_withheld(reward: Reward) -> None:
    """Accept a prize that its winner's wallet did not take. Refuses with NotWithheld."""
    if reward.status != "withheld":
        raise NotWithheld(status=reward.status)


def check_extending(competition: Competition, ends_at: datetime, now: datetime) -> None:
    """Accept a later end of what has not ended. Refuses with NotExtendable, EndsEarlier."""
    if competition.status not in ("draft", "upcoming", "live") or now >= competition.ends_at:
        raise NotExtendable(status=competition.status)
    if ends_at <= competition.ends_at:
        raise EndsEarlier(ends_at=competition.ends_at)


def decided_at(competition: Competition, now: datetime) -> datetime:
    """When a decision of staff counts as made: inside the window, so that it stands beside the scores it changes."""
    return min(max(now, competition.starts_at), competition.ends_at - INSTANT)


def check_pausing(competition: Competition) -> None:
    """Accept what runs. Refuses with NotLive, Paused."""
    if competition.status != "live":
        raise NotLive(status=competition.status, ends_at=competition.ends_at)
    check_not_paused(competition)


def check_not_paused(competition: Competition) -> None:
    """Accept what does not rest. Refuses with Paused."""
    if competition.paused_at:
        raise Paused(since=competition.paused_at)


def resumed_end(competition: Competition, now: datetime) -> datetime:
    """The end of a competition that goes on now: as much later as it rested. Refuses with NotPaused."""
    if competition.paused_at is None:
        raise NotPaused(status=competition.status)
    return competition.ends_at + (now - competition.paused_at)


def check_ending(competition: Competition, now: datetime) -> None:
    """Accept the early end of what runs. Refuses with NotLive, Paused."""
    check_pausing(competition)
    if not competition.starts_at < now < competition.ends_at:
        raise NotLive(status=competition.status, ends_at=competition.ends_at)


def check_collecting(competition: Competition) -> None:
    """Accept what waits for its last scores. Refuses with NotCollecting."""
    if competition.phase != "collecting":
        raise NotCollecting(status=competition.status, phase=competition.phase)


def overdue_at(competition: Competition) -> datetime:
    """From when on a product is late with its last scores."""
    return competition.ends_at + timedelta(seconds=competition.collect_s) + OVERDUE_AFTER


def check_overdue(competition: Competition, now: datetime) -> None:
    """Accept to be frozen what its product has left lying. Refuses with NotOverdue."""
    if now < overdue_at(competition):
        raise NotOverdue(due_at=overdue_at(competition))
