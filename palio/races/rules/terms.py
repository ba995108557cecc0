"""What a race may be: its window, its prizes in the forms people write them, the whole of a specification."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias, TypeVar

from palio.competitions.types import Band, Cadence, Competition, PrizeRule, Waits
from palio.races.errors import ChainGap, PrizePrecision, ReasonMissing, SpecInvalid, WindowInvalid
from palio.races.types import MICRO_PER_UNIT, NewRace, NewRaceSeries, Race

WINDOW_MIN, WINDOW_MAX = timedelta(minutes=10), timedelta(days=366)
PLACES_MAX = 200
RACES_OPEN_MAX = 20
TITLE_MAX, TEXT_MAX = 200, 20_000
SERIES_TITLE_MAX = 180  # each race adds its period
REASON_MIN, REASON_MAX = 5, 300
GRACE_S_MAX, REVIEW_H_MAX = 86_400, 336
AMOUNT_MAX = 9_007_199_254_740_991
NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,12})?")
PLACE = re.compile(r"[0-9]{1,4}")
YEAR_FIRST, YEAR_LAST = 2, 9998  # zones, grace, review and whole months reckoned from a time must be times too
LINE_BREAKS = "\n\r\t"
UNWRITABLE = {"Cc", "Cs"}  # control characters, and halves of characters that no encoding has
TURNERS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # what follows would be read backwards
BLANK = set("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols of which nothing is seen
CODE = re.compile(r"[a-z][a-z0-9-]{1,39}")
CADENCES: Mapping[str, Cadence] = {
    "daily": "daily",
    "weekly": "weekly",
    "weekend": "weekend",
    "monthly": "monthly",
    "special": "special",
}
DEFAULT_BPS = (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)

Read = TypeVar("Read")
ReadRule: TypeAlias = Callable[[object], PrizeRule]  # competitions.read_prize_rule


def by_place(values: Sequence[int], kind: str = "bps") -> PrizeRule:
    """One band per place, in bps of the pool or in units."""
    bands = tuple(Band(place, place, value) for place, value in enumerate(values, 1))
    return PrizeRule("fixed" if kind == "fixed" else "bps", "places", bands)


def percents(values: Mapping[int, Decimal]) -> PrizeRule:
    """The rule behind percentages by place: trailing zeros dropped. Refuses with PrizePrecision, SpecInvalid."""
    places = sorted(values)
    while places and not values[places[-1]]:
        places.pop()
    if places != list(range(1, len(places) + 1)) or not places:
        raise SpecInvalid(field="prizes", expected="a percentage for each place from 1 on")
    for place in places:
        if (values[place] * 100) % 1:
            raise PrizePrecision(place=place, value=str(values[place]))
    return by_place([int(values[place] * 100) for place in places])


def check(new: NewRace) -> None:
    """Accept what a race may be, whatever the present state. Refuses with WindowInvalid, SpecInvalid."""
    if not WINDOW_MIN <= new.ends_at - new.starts_at <= WINDOW_MAX:
        raise WindowInvalid(starts_at=new.starts_at, ends_at=new.ends_at)
    last = new.prize_rule.bands[-1].last
    if last is None or last > PLACES_MAX:
        raise SpecInvalid(field="prizes", expected=f"bands that end at place {PLACES_MAX} or before")


def minimum(new: NewRace, default: int) -> int:
    """The minimum wager in micro-units; a race that states none takes the default, in units."""
    return default * MICRO_PER_UNIT if new.min_wager_micro is None else new.min_wager_micro


def check_backdating(new: NewRace, now: datetime) -> str | None:
    """The reason for a start in the past; None for a start to come. Refuses with ReasonMissing."""
    return check_start(new.starts_at, new.backdated_reason, now)


def check_start(starts_at: datetime, given: str | None, now: datetime) -> str | None:
    """The same for the start and the reason alone. Refuses with ReasonMissing."""
    if starts_at > now:
        return None
    reason = (given or "").strip()
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise ReasonMissing(starts_at=starts_at)
    return reason


def check_chain(new: NewRace, previous: Race, before: Competition, programme_id: object) -> None:
    """Accept a race that begins where the previous one of its programme ends. Refuses with ChainGap."""
    if before.ends_at != new.starts_at or previous.programme_id != programme_id or before.status == "cancelled":
        raise ChainGap(previous=previous.number, ends_at=before.ends_at)


def read(body: object, *, read_rule: ReadRule, waits: Waits) -> NewRace:
    """A race as it is written in JSON, numbers as int or Decimal. Refuses with SpecInvalid, PrizePrecision, PrizeShape.

    `title`, `starts_at`, `ends_at` and `pool` must be there; `programme`, `prizes`, `min_wager_micro` (or `min_wager`
    in units), `cadence`, `description`, `rules_text`, `grace_s`, `review_h`, `previous` (the number of the race it is
    chained to), `backdated_reason` and `linked_only` (false) may be. `waits` are those of a race that says nothing.
    """
    if not isinstance(body, Mapping):
        raise SpecInvalid(field="specification", expected="a JSON object")
    fields = dict(body)
    if fields.get("min_wager") is not None and fields.get("min_wager_micro") is not None:
        raise SpecInvalid(field="min_wager", expected="left out where min_wager_micro is given: they say the same")
    asset, pool = _take(fields, "pool", _money)
    minimum = _take(fields, "min_wager", _micro, None)
    new = NewRace(
        title=_take(fields, "title", _text(1, TITLE_MAX)),
        programme=_take(fields, "programme", _text(2, 40), "default"),
        starts_at=_take(fields, "starts_at", _instant),
        ends_at=_take(fields, "ends_at", _instant),
        pool_asset=asset,
        pool=pool,
        prize_rule=_take(fields, "prizes", _prizes(read_rule), by_place(DEFAULT_BPS)),
        cadence=_take(fields, "cadence", _cadence, "special"),
        description=_take(fields, "description", _text(0, TEXT_MAX), ""),
        rules_text=_take(fields, "rules_text", _text(0, TEXT_MAX), ""),
        min_wager_micro=_take(fields, "min_wager_micro", _whole(0, AMOUNT_MAX), minimum),
        grace_s=_take(fields, "grace_s", _whole(0, GRACE_S_MAX), waits.grace_s),
        review_h=_take(fields, "review_h", _whole(0, REVIEW_H_MAX), waits.review_h),
        previous=_take(fields, "previous", _whole(1, AMOUNT_MAX), None),
        backdated_reason=_take(fields, "backdated_reason", _text(0, REASON_MAX), None),
        linked_only=_take(fields, "linked_only", _truth, False),
    )
    if fields:
        raise SpecInvalid(field=min(map(str, fields)), expected="left out: no such field is known")
    return new


def read_series(body: object, *, read_rule: ReadRule, now: datetime, waits: Waits) -> NewRaceSeries:
    """A series as it is written in JSON. Refuses with SpecInvalid, PrizePrecision, PrizeShape.

    `code`, `cadence` (daily, weekly, weekend or monthly), `title` and `pool` must be there; `zone` (UTC), `chained`
    (true) and what a race may have beside its times may be.
    """
    if not isinstance(body, Mapping):
        raise SpecInvalid(field="specification", expected="a JSON object")
    fields = dict(body)
    code = _take(fields, "code", _code)
    cadence = _take(fields, "cadence", _repeating)
    tz = _take(fields, "zone", _text(1, 60), "UTC")
    chained = _take(fields, "chained", _truth, True)
    for name in ("starts_at", "ends_at", "previous", "backdated_reason"):
        if name in fields:
            raise SpecInvalid(field=name, expected="left out: the calendar says it")
    window = {"starts_at": now.isoformat(), "ends_at": (now + WINDOW_MIN).isoformat()}
    race = read({**fields, **window, "cadence": cadence}, read_rule=read_rule, waits=waits)
    if len(race.title) > SERIES_TITLE_MAX:
        raise SpecInvalid(field="title", expected=f"a text of 1 to {SERIES_TITLE_MAX} characters")
    return NewRaceSeries(code, cadence, tz, race, chained=chained)


def _code(value: object) -> str:
    if not isinstance(value, str) or not CODE.fullmatch(value):
        raise ValueError("2 to 40 small letters, digits and hyphens, a letter first")
    return value


def _repeating(value: object) -> Cadence:
    cadence = _cadence(value)
    if cadence == "special":
        raise ValueError("daily, weekly, weekend or monthly")
    return cadence


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - `_take` turns it into the refusal of a field
    return value


def _take(fields: dict[str, object], name: str, read_value: Callable[[object], Read], *default: Read) -> Read:
    """Read a field and cross it off; without a default it must be there. Null is absent."""
    value = fields.pop(name, None)
    if value is None and default:
        return default[0]
    try:
        return read_value(value)
    except ValueError as problem:
        raise SpecInvalid(field=name, expected=str(problem)) from None


def _text(low: int, high: int) -> Callable[[object], str]:
    def read_text(value: object) -> str:
        if not isinstance(value, str) or not low <= len(value.strip()) <= high:
            raise ValueError(f"a text of {low} to {high} characters")
        if any(unicodedata.category(character) in UNWRITABLE for character in value if character not in LINE_BREAKS):
            raise ValueError("a text without control characters and halves of characters")
        if TURNERS & set(value):
            raise ValueError("a text without marks that turn the direction of reading")
        if value.strip() and not any(map(_is_seen, value)):
            raise ValueError("a text of which something can be seen")
        return value.strip()

    return read_text


def _is_seen(character: str) -> bool:
    """Letters, digits, punctuation and symbols are; spaces, joiners, marks upon nothing are not."""
    return unicodedata.category(character)[0] in "LNPS" and character not in BLANK


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read_whole(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read_whole


def _instant(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        instant = None
    if not isinstance(value, str) or instant is None or instant.tzinfo is None:
        raise ValueError("a time with its offset, like 2025-03-26T08:30:00Z")
    if not YEAR_FIRST <= instant.year <= YEAR_LAST:
        raise ValueError(f"a time of the years {YEAR_FIRST} to {YEAR_LAST}")
    return instant


def _cadence(value: object) -> Cadence:
    found = CADENCES.get(str(value))
    if found is None:
        raise ValueError(" or ".join(CADENCES))
    return found


def _number(value: object) -> Decimal:
    """A finite number, written as one or as text of digits and one point."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or not NUMBER.fullmatch(text):
        raise ValueError("a number from 0 with at most 16 digits before and 12 after the point, like 2.5")
    return Decimal(text)


def _scaled(value: object, scale: int, example: str) -> int:
    number = _number(value).scaleb(scale)
    if number % 1:
        raise ValueError(f"an amount with at most {scale} decimal places, like {example}")
    if number > AMOUNT_MAX:
        raise ValueError(f"at most {Decimal(AMOUNT_MAX).scaleb(-scale)}")
    return int(number)


def _micro(value: object) -> int:
    return _scaled(value, 6, "10.000000")


def _money(value: object) -> tuple[str, int]:
    """`{"asset", "amount"}` in units of the asset, or an amount of dollars like 500.00."""
    if not isinstance(value, Mapping):
        asset, amount = "USD", _scaled(value, 2, "500.00") if value is not None else 0
    elif value.keys() != {"asset", "amount"} or not isinstance(value["asset"], str):
        raise ValueError('{"asset": "USD", "amount": 50000}')
    else:
        asset, amount = value["asset"], _whole(1, AMOUNT_MAX)(value["amount"])
    if not amount:
        raise ValueError('more than nothing: 500.00, or {"asset": "USD", "amount": 50000}')
    return asset, amount


def _prizes(read_rule: ReadRule) -> Callable[[object], PrizeRule]:
    """A list or map of percentages by place, or a rule of bands (its split is `places` where none is given)."""

    def read_prizes(value: object) -> PrizeRule:
        if isinstance(value, list):
            return percents({place: _number(percent) for place, percent in enumerate(value, 1)})
        if isinstance(value, Mapping) and "kind" in value:
            return read_rule({"split": "places", **value})
        if isinstance(value, Mapping) and all(PLACE.fullmatch(str(place)) for place in value):
            return percents({int(place): _number(percent) for place, percent in value.items()})
        raise ValueError('percentages like [50, 30, 20] or {"1": 50, "2": 30, "3": 20}, or a rule with kind and bands')

    return read_prizes
