"""What players allow themselves: what counts, in which periods, and when they may have more."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from palio.ledger import errors
from palio.ledger.rules.ground import Allowed, Decision, Ground, Original, Reserve, Whose, refuse
from palio.ledger.rules.items import AnyRequest, HoldRequest, ReverseRequest, VoidRequest
from palio.ledger.rules.requests import Request, is_wallet
from palio.ledger.types import AMOUNT_UNITS_MAX, Leg, LimitGroup, PendingLimit, Period, Refused

DAY, WEEK = timedelta(days=1), timedelta(days=7)


class Count(NamedTuple):
    """So much more in the day, week and month of an instant, or less; what is new may be too much."""

    whose: Whose
    amount: int
    at: datetime
    is_new: bool


def period_keys(at: datetime) -> dict[Period, str]:
    """The day, the ISO week and the month of an instant, in UTC."""
    day = at.astimezone(UTC).date()
    year, week, _ = day.isocalendar()
    return {
        "day": f"D:{day.year:04d}-{day.month:02d}-{day.day:02d}",
        "week": f"W:{year:04d}-W{week:02d}",
        "month": f"M:{day.year:04d}-{day.month:02d}",
    }


def resets_at(period: Period, at: datetime) -> datetime:
    """When the next such period begins."""
    day = at.astimezone(UTC).date()
    if period == "day":
        start = day + DAY
    elif period == "week":
        start = day - timedelta(days=day.weekday()) + WEEK
    else:
        start = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    return datetime.combine(start, time(), UTC)


def in_force(amount: int | None, pending: PendingLimit | None, now: datetime) -> int | None:
    """What is allowed by now: a higher limit that had to wait acts from its instant on. None is no limit."""
    return pending.amount if pending and pending.starts_at <= now else amount


def changed(
    amount: int | None, pending: PendingLimit | None, wanted: int | None, *, now: datetime, delay: timedelta
) -> tuple[int | None, PendingLimit | None]:
    """The limit after its owner wants another one (None: no more limit): less at once, more only after the delay.

    What is in force is what he wants less or more of; to want just that gives up what was pending. Whoever wants the
    same once more does not wait longer.
    """
    present = in_force(amount, pending, now)
    if present is None or (wanted is not None and wanted <= present):
        return wanted, None
    if pending and pending.starts_at > now and pending.amount == wanted:
        return present, pending
    return present, PendingLimit(wanted, now + delay)


def measured(group: LimitGroup | None, amount: int) -> list[tuple[LimitGroup, int]]:
    """What a leg of a wallet counts: a stake also as a loss, of which a win is the opposite."""
    if group == "stake" and amount < 0:
        return [("stake", -amount), ("loss", -amount)]
    if group == "spend" and amount < 0:
        return [("spend", -amount)]
    if group == "deposit" and amount > 0:
        return [("deposit", amount)]
    return [("loss", -amount)] if group == "loss" and amount > 0 else []


def counts_of(request: AnyRequest, ground: Ground) -> list[Count]:
    """What would count for the limits of people if the item goes through: judged before it is carried out."""
    groups = ground.groups
    if isinstance(request, Request):
        return _of_post(request, ground)
    if isinstance(request, HoldRequest):
        hold = request.hold
        return _of_legs([(hold.address, hold.asset, -hold.amount)], groups.get(hold.kind), ground.now)
    if isinstance(request, VoidRequest):
        reserve = ground.reserves.get(request.void.hold_id)
        return _given_back(reserve, reserve.remaining, groups) if reserve else []
    if isinstance(request, ReverseRequest):
        original = ground.originals.get(request.reverse.original_id)
        return _taken_back(original, request.reverse.amount, groups) if original else []
    return []


def refusal_of(counts: Iterable[Count], ground: Ground) -> Refused | None:
    """The first limit that would be passed. Whoever gives something back is never refused."""
    for count in counts:
        if count.is_new and count.amount > 0 and (refusal := passed(count.whose, count.amount, ground)):
            return refusal
    return None


def passed(whose: Whose, amount: int, ground: Ground) -> Refused | None:
    """The limit that so much more would pass."""
    for allowed in ground.limits.get(whose, ()):
        used = ground.usage.get((whose, allowed.key), 0)
        if used + amount > allowed.amount:
            return refuse(
                errors.LimitReached,
                group=whose[2],
                period=allowed.period,
                limit=allowed.amount,
                used=max(0, used),
                resets_at=allowed.resets_at,
            )
    return None


def count(counts: Iterable[Count], ground: Ground, decision: Decision) -> None:
    """Let it count."""
    for whose, amount, at, _ in counts:
        for key in period_keys(at).values():
            place = whose, key
            ground.usage[place] = ground.usage.get(place, 0) + amount
            decision.usage[place] = decision.usage.get(place, 0) + amount


def allowances(
    rows: Iterable[tuple[Whose, Period, int | None, PendingLimit | None]], now: datetime
) -> dict[Whose, list[Allowed]]:
    """The limits that are in force, those of the shortest period first."""
    keys, found = period_keys(now), dict[Whose, list[Allowed]]()
    order = list(keys)
    for whose, period, amount, pending in sorted(rows, key=lambda row: order.index(row[1])):
        limit = in_force(amount, pending, now)
        if limit is not None:
            found.setdefault(whose, []).append(Allowed(period, limit, keys[period], resets_at(period, now)))
    return found


def is_amount(amount: object) -> bool:
    """Can it be a limit? Nothing at all is one."""
    return type(amount) is int and 0 <= amount <= AMOUNT_UNITS_MAX


def _of_post(request: Request, ground: Ground) -> list[Count]:
    post, groups = request.post, ground.groups
    if post.to_debt:  # who corrects somebody is not stopped by what he allows himself
        return []
    counts = _of_legs(post.legs, groups.get(post.kind), ground.now)
    reserve = ground.reserves.get(post.capture[0]) if post.capture else None
    if reserve is None:
        return counts
    already = {name for name, _ in measured(groups.get(reserve.kind), -1)}  # since it was set aside
    needed = sum([-leg[2] for leg in post.legs if _is_of(reserve, leg)])
    counts = [one for one in counts if one.whose[:2] != (reserve.owner, reserve.asset) or one.whose[2] not in already]
    rest = reserve.remaining - needed if post.capture and post.capture[1] else 0
    return counts + _given_back(reserve, rest, groups)


def _is_of(reserve: Reserve, leg: Leg) -> bool:
    return leg[:2] == (f"user:{reserve.owner}:main", reserve.asset)


def _of_legs(legs: Sequence[Leg], group: LimitGroup | None, at: datetime, *, is_new: bool = True) -> list[Count]:
    return [
        Count((owner_of(address), asset, name), part, at, is_new)
        for address, asset, amount in legs
        if is_wallet(address)
        for name, part in measured(group, amount)
    ]


def _given_back(reserve: Reserve, amount: int, groups: Mapping[str, LimitGroup]) -> list[Count]:
    """What was set aside and is not taken counts no more, in the periods in which it was."""
    if reserve.owner is None or amount <= 0:
        return []
    return [
        Count((reserve.owner, reserve.asset, name), -part, reserve.placed_at, is_new=False)
        for name, part in measured(groups.get(reserve.kind), -amount)
    ]


def _taken_back(original: Original, amount: int | None, groups: Mapping[str, LimitGroup]) -> list[Count]:
    """The opposite of what the original counted, in the periods in which it did: as a hold, where it captured one."""
    kind, held = groups.get(original.kind), groups.get(original.hold_kind or "")
    already = {name for name, _ in measured(held, -1)}
    counts = []
    for leg in original.legs:
        part = -leg.opposite(leg.left if amount is None else amount)[2]
        own = _of_legs([(leg.address, leg.asset, part)], kind, original.posted_at, is_new=False)
        if leg.account == original.hold_account:
            own = [one for one in own if one.whose[2] not in already]
            own += _of_legs([(leg.address, leg.asset, part)], held, original.hold_placed_at, is_new=False)
        counts += [one._replace(amount=-one.amount) for one in own]
    return counts


def owner_of(address: str) -> UUID:
    """Whose wallet it is."""
    return UUID(address.split(":")[1])
