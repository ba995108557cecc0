"""Who may take part, and when somebody joins or leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from palio.competitions.errors import EligibilityInvalid, Full, NotEligible, NotOpen
from palio.competitions.types import Competition, NewCompetition, NewSeries, Participation, WayIn
from palio.kernel.providers import EntryCheck

COUNTRIES_MAX = 250
AGES = range(1, 121)  # whole years that a rule may ask for
COUNTRIES, MIN_AGE = "countries", "min_age"
OWN_RULES = (COUNTRIES, MIN_AGE)  # those of other modules are registered as entry checks


def check_terms(new: NewCompetition | NewSeries | Competition) -> None:
    """Accept a way in that can be walked. Refuses with EligibilityInvalid."""
    if new.entry_fee and new.join_mode == "auto":
        raise EligibilityInvalid(rule="entry_fee", expected="a mode in which players join")
    if new.min_participants and new.max_participants and new.min_participants > new.max_participants:
        raise EligibilityInvalid(rule="max_participants", expected="at least min_participants")
    for rule, asked in new.eligibility.items():
        if rule == COUNTRIES:
            _read_countries(asked)
        elif rule == MIN_AGE:
            min_age(new.eligibility)


def check_known(eligibility: Mapping[str, object], checks: Sequence[EntryCheck[Any]]) -> None:
    """Accept rules that somebody can check, written as they are meant. Refuses with EligibilityInvalid."""
    known = {check.name: check for check in checks}
    for rule, asked in eligibility.items():
        if rule in OWN_RULES:
            continue
        if rule not in known:
            raise EligibilityInvalid(rule=rule, expected=f"one of {', '.join(sorted({*OWN_RULES, *known}))}")
        if not known[rule].is_sound(asked):
            raise EligibilityInvalid(rule=rule, expected=known[rule].expected)


def min_age(eligibility: Mapping[str, object]) -> int:
    """How many years somebody must be old, 0 where nothing is asked. Refuses with EligibilityInvalid."""
    asked = eligibility.get(MIN_AGE)
    if MIN_AGE not in eligibility:
        return 0
    if type(asked) is not int or asked not in AGES:
        raise EligibilityInvalid(rule=MIN_AGE, expected=f"whole years, {AGES[0]} to {AGES[-1]}")
    return asked


def _read_countries(asked: object) -> tuple[str, Sequence[str]]:
    """`allow` or `deny`, and the codes."""
    expected = '{"allow": ["IN", "NP"]} or {"deny": ["US"]}'
    if not isinstance(asked, Mapping) or len(asked) != 1:
        raise EligibilityInvalid(rule=COUNTRIES, expected=expected)
    [(word, codes)] = asked.items()
    if word not in ("allow", "deny") or not isinstance(codes, list | tuple) or len(codes) > COUNTRIES_MAX:
        raise EligibilityInvalid(rule=COUNTRIES, expected=expected)
    if not all(isinstance(code, str) and len(code) == 2 and code.isascii() and code.isupper() for code in codes):  # noqa: PLR2004 - ISO 3166 alpha-2
        raise EligibilityInvalid(rule=COUNTRIES, expected=expected)
    return word, codes


def check_country(eligibility: Mapping[str, object], country: str | None) -> None:
    """Accept somebody of a country; where countries are named, nobody comes from nowhere. Refuses with NotEligible."""
    if COUNTRIES not in eligibility:
        return
    word, codes = _read_countries(eligibility[COUNTRIES])
    if country is None or (country in codes) != (word == "allow"):
        raise NotEligible(rule=COUNTRIES)


def check_joining(competition: Competition, known: Participation | None, now: datetime) -> None:
    """Accept whoever may come in now. Refuses with NotOpen, NotEligible."""
    is_running = competition.status == "upcoming" or (competition.status == "live" and now < competition.ends_at)
    if not is_running or competition.paused_at or competition.join_mode == "auto":
        raise NotOpen(status=competition.status, join_mode=competition.join_mode)
    if known and known.state == "disqualified":
        raise NotEligible(rule="disqualified")
    if competition.join_mode == "invite" and known is None:
        raise NotEligible(rule="invited")


def way_in(competition: Competition, known: Participation | None, now: datetime, active: int) -> WayIn:
    """What a page offers somebody, whatever else may be asked of him: `in` is whoever takes part."""
    if known and known.state != "left":
        return "in" if known.state == "active" else "out"
    if competition.join_mode == "auto":
        return "automatic"
    is_running = competition.status == "upcoming" or (competition.status == "live" and now < competition.ends_at)
    if not is_running or competition.paused_at:
        return "closed"
    if competition.join_mode == "invite" and known is None:
        return "uninvited"
    if competition.max_participants is not None and active >= competition.max_participants:
        return "full"
    return "invited" if competition.join_mode == "invite" else "open"


def may_leave(competition: Competition, known: Participation | None, now: datetime) -> bool:
    """Whether somebody who takes part can still go, with his fee."""
    is_in = known is not None and known.state == "active"
    return is_in and competition.status == "upcoming" and now < competition.starts_at


def check_room(competition: Competition, active: int) -> None:
    """Accept one more. Refuses with Full."""
    if competition.max_participants is not None and active >= competition.max_participants:
        raise Full(max_participants=competition.max_participants)


def check_leaving(competition: Competition, now: datetime) -> None:
    """Accept to leave what has not begun. Refuses with NotOpen."""
    if competition.status != "upcoming" or now >= competition.starts_at:
        raise NotOpen(status=competition.status, join_mode=competition.join_mode)


def too_few(competition: Competition, active: int) -> str | None:
    """Why it does not begin, or None."""
    least = competition.min_participants
    return f"fewer than {least} have joined" if least and active < least else None
