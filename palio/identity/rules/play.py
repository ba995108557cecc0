"""Who may play: one order of rules for every product, and how long a break lasts."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import get_args

from palio.identity.errors import (
    AccountSuspended,
    ConsentRequired,
    ContactUnverified,
    ExclusionFirm,
    ExclusionRuns,
    ExclusionShorter,
    RegionBlocked,
    RegionUnknown,
    SelfExcluded,
    Underage,
)
from palio.identity.types import (
    Exclusion,
    ExclusionKind,
    ExclusionLength,
    NewExclusion,
    PlayActivity,
    Player,
    PlayTerms,
)
from palio.kernel.errors import Refusal

ACTIVITIES: tuple[PlayActivity, ...] = get_args(PlayActivity)
BY_CONTACT: frozenset[PlayActivity] = frozenset({"stake", "pay_in", "redeem", "withdraw"})
ALWAYS_OPEN: frozenset[PlayActivity] = frozenset({"redeem", "withdraw"})  # what is one's own is not kept from anybody
PAYING: frozenset[PlayActivity] = frozenset({"stake", "pay_in"})
ACTING = frozenset({"pending", "active"})
RETURN_WAIT = timedelta(hours=24)
UNDO_WITHIN = timedelta(hours=1)
KINDS: tuple[ExclusionKind, ...] = get_args(ExclusionKind)
PAUSED: Mapping[ExclusionKind, tuple[PlayActivity, ...]] = {
    "time_out": ("stake", "pay_in", "bonus", "marketing"),
    "self_exclusion": ("stake", "pay_in", "bonus", "compete", "marketing"),
}
HOURS: Mapping[ExclusionLength, int] = {"24h": 24, "72h": 72, "7d": 168, "30d": 720}
MONTHS: Mapping[ExclusionLength, int] = {"6mo": 6, "1y": 12, "5y": 60}
MONTHS_OF_YEAR = 12


def judge(player: Player, activity: PlayActivity, terms: PlayTerms) -> Refusal | None:
    """Why somebody may not do this now, or None: the account, a proven contact, documents, age, country, breaks.

    Taking out what is one's own asks for the first two only.
    """
    if player.status not in ACTING:
        return AccountSuspended(status=player.status, until=player.suspended_until)
    if activity in BY_CONTACT and not player.has_contact:
        return ContactUnverified()
    if activity in ALWAYS_OPEN:
        return None
    if player.missing:
        return ConsentRequired(documents=list(player.missing))
    return _age(player, terms) or _region(player, terms) or _break(player, activity, terms.now)


def _age(player: Player, terms: PlayTerms) -> Refusal | None:
    if not terms.min_age:
        return None
    if player.born is None or age(player.born, terms.now.astimezone(UTC).date()) < terms.min_age:
        return Underage(min_age=terms.min_age, is_shown=player.born is not None)
    return None


def _region(player: Player, terms: PlayTerms) -> Refusal | None:
    if not terms.blocked_countries:
        return None
    if player.country is None:
        return RegionUnknown()
    return RegionBlocked(country=player.country) if player.country in terms.blocked_countries else None


def _break(player: Player, activity: PlayActivity, now: datetime) -> Refusal | None:
    found = [one for one in player.exclusions if activity in one.activities and is_on(one, now)]
    if not found:
        return None
    longest = max(found, key=until)
    return SelfExcluded(
        kind=longest.kind,
        starts_at=longest.starts_at,
        ends_at=longest.ends_at,
        set_by="house" if longest.created_by else "player",
    )


def age(born: date, today: date) -> int:
    """Whole years; who was born on 29 February is older on 1 March of other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_on(exclusion: Exclusion, now: datetime) -> bool:
    """Does a break still hold? One's own long one does until one has asked to return, and a day beyond."""
    if exclusion.lifted_at is not None or now < exclusion.starts_at:
        return False
    if exclusion.ends_at is None or now < exclusion.ends_at:
        return True
    if exclusion.kind != "self_exclusion":
        return False
    return exclusion.return_requested_at is None or now < exclusion.return_requested_at + RETURN_WAIT


def own_break(length: ExclusionLength, now: datetime) -> NewExclusion:
    """The break a player takes: a time-out of hours or days, or a self-exclusion of months, years or for ever."""
    if length in HOURS:
        return NewExclusion("time_out", PAUSED["time_out"], now + timedelta(hours=HOURS[length]))
    ends_at = None if length == "permanent" else after_months(now, MONTHS[length])
    return NewExclusion("self_exclusion", PAUSED["self_exclusion"], ends_at)


def after_months(now: datetime, months: int) -> datetime:
    """The same day and time so many months later, or the last day of a month that is too short."""
    years, month = divmod(now.month - 1 + months, MONTHS_OF_YEAR)
    day = min(now.day, monthrange(now.year + years, month + 1)[1])
    return now.replace(year=now.year + years, month=month + 1, day=day)


def lengthened(known: Exclusion, wish: NewExclusion) -> Exclusion:
    """A break that is on and is asked for again: never shorter, and never of less. Refuses with ExclusionShorter."""
    if _ends(wish.ends_at) < _ends(known.ends_at):
        raise ExclusionShorter(ends_at=known.ends_at)
    activities = tuple(one for one in ACTIVITIES if one in {*known.activities, *wish.activities})
    return Exclusion(known.id, known.user_id, known.kind, activities, known.starts_at, wish.ends_at, known.created_by)


def covering(known: Exclusion, wish: NewExclusion) -> Exclusion:
    """The same for another account of the player, whose break may be the longer one already: then it stays."""
    ends_at = wish.ends_at if _ends(known.ends_at) <= _ends(wish.ends_at) else known.ends_at
    return lengthened(known, NewExclusion(wish.kind, wish.activities, ends_at))


def require_over(exclusion: Exclusion, now: datetime) -> None:
    """Let the way back be asked for. Refuses with ExclusionRuns."""
    if exclusion.ends_at is None or now < exclusion.ends_at:
        raise ExclusionRuns(ends_at=exclusion.ends_at)


def may_ask_to_return(exclusion: Exclusion, now: datetime) -> bool:
    """Is this a self-exclusion that is over but for the asking?"""
    is_over = exclusion.ends_at is not None and now >= exclusion.ends_at
    return (
        exclusion.kind == "self_exclusion" and is_over and is_on(exclusion, now) and not exclusion.return_requested_at
    )


def require_young(exclusion: Exclusion, now: datetime) -> None:
    """Let a mistake be undone, within the first hour of a break. Refuses with ExclusionFirm."""
    if exclusion.lifted_at is None and now - exclusion.starts_at > UNDO_WITHIN:
        raise ExclusionFirm(starts_at=exclusion.starts_at)


def until(exclusion: Exclusion) -> datetime:
    """By when breaks are compared: their end, or the end of time."""
    return _ends(exclusion.ends_at)


def _ends(at: datetime | None) -> datetime:
    return datetime.max.replace(tzinfo=UTC) if at is None else at
