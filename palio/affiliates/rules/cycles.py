"""When a feed is read, how often it is asked again, and when it is left alone. Time and chance come in as arguments."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from palio.affiliates.errors import SecretInvalid
from palio.affiliates.types import Attempt, AttemptOutcome, AuthKind, Breaker, CycleState, Trigger

OFFSET_SECONDS_MAX = 20
REST_SECONDS_FIRST, REST_SECONDS_MAX = 2, 60
RETRY_AFTER_SECONDS_MAX = 300
CYCLE_SECONDS_MAX = 600
MISSED_MAX = 10_000  # instants of one outage that are written down, the newest ones
PAUSE_MAX = timedelta(hours=4)
HINT_CHARACTERS, SECRET_CHARACTERS_MIN = 4, 8  # of a shorter key even its end would say too much
DETAIL_CHARACTERS_MAX = 500
QUERY: Final = re.compile(r"[\w.~%-]+=[\w.~%-]+", re.ASCII)
RETRYABLE: Final = frozenset({408, 425, 429})
NEVER: Final = datetime.fromtimestamp(0, UTC)  # until the edge says when it was
OUTCOMES: Final[Mapping[str, AttemptOutcome]] = {  # of an error code; what is not here was an answer like others
    "url_refused": "network",
    "network": "network",
    "cut_short": "network",
    "timeout": "timeout",
    "too_large": "too_large",
    "bad_encoding": "bad_encoding",
    "bad_content_type": "bad_content_type",
    "upstream_refused": "upstream_refused",
}
CODES_OF_FAILURES: Final = {"address": "url_refused", "encoding": "bad_encoding"}
RETRYABLE_CODES: Final = frozenset({"network", "cut_short", "timeout", "bad_encoding", "bad_content_type", "bad_json"})


class Due(NamedTuple):
    """The instant that is to be read now, those that were missed meanwhile, and the next one."""

    at: datetime
    missed: tuple[datetime, ...]
    following: datetime


def next_due(feed_id: UUID, interval_s: int, after: datetime) -> datetime:
    """The first instant later than `after`: whole intervals since 1970, plus up to 20 s that belong to the feed."""
    offset = feed_id.int % (min(OFFSET_SECONDS_MAX, interval_s - 1) + 1)
    turns = (int(after.timestamp()) - offset) // interval_s + 1
    return datetime.fromtimestamp(turns * interval_s + offset, UTC)


def due(
    feed_id: UUID, interval_s: int, planned: datetime, now: datetime, *, missed_apart: timedelta = timedelta()
) -> Due:
    """What to do about a feed that was planned for an instant that has come.

    Of the instants that were missed only some are told where they shall be `missed_apart` so far.
    """
    following = next_due(feed_id, interval_s, now)
    interval = timedelta(seconds=interval_s)
    newest = max(planned, following - interval)
    missed = [planned] if newest > planned else []
    apart = interval * max(1, -(-missed_apart // interval))
    instant = max(next_due(feed_id, interval_s, planned + apart - interval), newest - MISSED_MAX * apart)
    while instant < newest:
        missed.append(instant)
        instant += apart
    return Due(newest, tuple(missed), following)


def admitted(breaker: Breaker, now: datetime) -> Trigger | None:
    """How a cycle that is due may run: by schedule, as the probe of a feed that was left alone, or not at all."""
    if breaker.state == "closed":
        return "schedule"
    return "probe" if breaker.probe_at is None or now >= breaker.probe_at else None


def breaker_after(breaker: Breaker, state: CycleState, *, now: datetime, cycles_max: int, pause: timedelta) -> Breaker:
    """The breaker after a cycle that ended in this state: a snapshot closes it, failures in a row open it.

    A probe that fails doubles the pause, up to four hours.
    """
    if state not in {"failed", "invalid"}:
        return Breaker()
    failed = breaker.failed_cycles + 1
    if breaker.state != "closed":
        last = breaker.probe_at - breaker.opened_at if breaker.probe_at and breaker.opened_at else pause
        return Breaker("open", failed, now, now + min(2 * last, PAUSE_MAX))
    if failed < cycles_max:
        return Breaker("closed", failed)
    return Breaker("open", failed, now, now + pause)


def answered(status: int, retry_after_s: int | None, size: int) -> Attempt:
    """An exchange that ended with an answer of this status; redirects are never followed and count as refusals."""
    outcome, code = _meaning(status)
    detail = "" if code is None else f"it answered {status}"
    return Attempt(NEVER, 0, 0, status, outcome, size, detail, code, retry_after_s)


def _meaning(status: int) -> tuple[AttemptOutcome, str | None]:
    match status:
        case _ if 200 <= status < 300:  # noqa: PLR2004 - success
            return "ok", None
        case 401 | 403:
            return "http_4xx", "auth_failed"
        case 429:
            return "throttled", "throttled"
        case _ if status >= 500:  # noqa: PLR2004 - the other side's fault
            return "http_5xx", "http_5xx"
        case _:
            return "http_4xx", "redirected" if 300 <= status < 400 else "http_4xx"  # noqa: PLR2004 - elsewhere


def failed(kind: str, status: int | None, detail: str) -> Attempt:
    """An exchange that brought nothing usable; when only the body was at fault, a bad status says more."""
    if status is not None and _meaning(status)[1]:
        return answered(status, None, 0)
    code = CODES_OF_FAILURES.get(kind, kind)
    return Attempt(NEVER, 0, 0, status, OUTCOMES[code], 0, detail, code)


def judged(attempt: Attempt, code: str) -> Attempt:
    """An exchange whose answer was refused with this code when it was looked at."""
    return replace(attempt, outcome=OUTCOMES.get(code, attempt.outcome), detail=code, error_code=code)


def is_worth_repeating(attempt: Attempt) -> bool:
    """May the same request do better the next time?"""
    if attempt.error_code in {"throttled", "http_5xx", "http_4xx"}:
        return attempt.http_status in RETRYABLE or attempt.outcome == "http_5xx"
    return attempt.error_code in RETRYABLE_CODES


def rest_s(attempts: int, retry_after_s: int | None, fraction: float) -> float:
    """Seconds before the next attempt after so many: by chance up to 2, 4, 8 … 60 s, and what the other side asks."""
    return max(fraction * min(REST_SECONDS_MAX, REST_SECONDS_FIRST * 2.0 ** (attempts - 1)), retry_after_s or 0)


def rest_before_next(
    attempt: Attempt, *, attempts: int, attempts_max: int, elapsed_s: float, timeout_s: int, fraction: float
) -> float | None:
    """How long to rest before asking once more; None: the cycle ends, since nothing would come of it or it is late."""
    if attempts >= attempts_max or not is_worth_repeating(attempt):
        return None
    if (attempt.retry_after_s or 0) > RETRY_AFTER_SECONDS_MAX:
        return None
    rest = rest_s(attempts, attempt.retry_after_s, fraction)
    return rest if elapsed_s + rest + timeout_s <= CYCLE_SECONDS_MAX else None


def postponed_until(attempt: Attempt) -> datetime | None:
    """When the feed wants to be asked again, if that is later than one cycle waits."""
    if (attempt.retry_after_s or 0) <= RETRY_AFTER_SECONDS_MAX:
        return None
    return attempt.at + timedelta(seconds=attempt.retry_after_s or 0)


def credentials(auth_kind: AuthKind, secret: str | None, url: str) -> tuple[str, dict[str, str]]:
    """The address and the headers that carry the key. Refuses with SecretInvalid."""
    if auth_kind == "none":
        return url, {}
    if not secret or not (secret.isascii() and secret.isprintable()):
        raise SecretInvalid(auth_kind=auth_kind, problem="it is empty, or holds letters that no header can carry")
    name, colon, value = secret.partition(":")
    if auth_kind == "header":
        if not (colon and name.replace("-", "").isalnum()):
            raise SecretInvalid(auth_kind=auth_kind, problem="write it as Name: value")
        return url, {name: value.strip()}
    if auth_kind == "basic":
        if not colon:
            raise SecretInvalid(auth_kind=auth_kind, problem="write it as user:password")
        return url, {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"}
    if auth_kind == "query":
        if not QUERY.fullmatch(secret):
            raise SecretInvalid(auth_kind=auth_kind, problem="write it as name=value, as an address holds it")
        return f"{url}{'&' if '?' in url else '?'}{secret}", {}
    return url, {"Authorization": f"Bearer {secret}"}


def hint(secret: str | None) -> str | None:
    """How a key ends, so that people can tell two apart; nothing of a short one."""
    return secret[-HINT_CHARACTERS:] if secret and len(secret) >= SECRET_CHARACTERS_MIN else None


def without(secret: str | None, detail: str) -> str:
    """A detail that people may read: not a part of it is the key, and it is at most 500 characters long."""
    parts = {secret, *(secret or "").split(":", 1), *(secret or "").split("=", 1)}
    for part in sorted((part.strip() for part in parts if part and part.strip()), key=len, reverse=True):
        detail = detail.replace(part, "***")
    return detail[:DETAIL_CHARACTERS_MAX]
