"""What comes of an attempt to tell an endpoint, when the next one is due, and when it is given up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from palio.infra.http import Answer, Failure
from palio.kernel.events import TypeName

DeliveryState: TypeAlias = Literal["queued", "sending", "delivered", "retrying", "failed", "cancelled"]
RESTS = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
SPREAD_PERMILLE = 200  # a rest is up to a fifth shorter or longer, so that a crowd does not come back as one
WAIT_MAX = timedelta(hours=24)  # of what an endpoint may ask for
FAILING_DAYS_MAX = 5
TOLD_ON_DAYS = (1, 3, 5)
EXCERPT_BYTES_MAX = 1_024
FAILURE_CHARACTERS_MAX = 300
OK, REDIRECT, GONE = 200, 300, 410
LATER = {429, 503}  # the endpoint says when


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt.

    `next_at` is when it is tried again, `rests_until` how long the endpoint wants to hear nothing at all.
    """

    state: DeliveryState
    status: int | None
    failure: str | None
    excerpt: str
    next_at: datetime | None = None
    rests_until: datetime | None = None
    is_gone: bool = False


def judge(outcome: Answer | Failure, *, attempt: int, spread_permille: int, now: datetime) -> Verdict:
    """What comes of the n-th attempt. Only a status from 200 to 299 is a success; redirects are not followed.

    `spread_permille`, between -200 and 200, makes the rest before the next attempt longer or shorter.
    """
    status, excerpt = outcome.status, excerpt_of(outcome.body) if isinstance(outcome, Answer) else ""
    if isinstance(outcome, Answer) and OK <= outcome.status < REDIRECT:
        return Verdict("delivered", status, None, excerpt)
    failure = f"status {status}" if isinstance(outcome, Answer) else f"{outcome.kind}: {outcome.detail}"
    rest, asked = rest_after(attempt, spread_permille), None
    if isinstance(outcome, Answer) and outcome.status in LATER:
        waits = outcome.retry_after_s(now)
        asked = None if waits is None else min(timedelta(seconds=waits), WAIT_MAX)
    return Verdict(
        "retrying" if rest is not None else "failed",
        status,
        failure[:FAILURE_CHARACTERS_MAX],
        excerpt,
        next_at=now + max(rest, asked or rest) if rest is not None else None,
        rests_until=now + asked if asked else None,
        is_gone=status == GONE,
    )


def rest_after(attempt: int, spread_permille: int) -> timedelta | None:
    """How long a delivery rests after its n-th attempt: 5 s, 5 min … 24 h, spread. None: it is given up."""
    if attempt > len(RESTS):
        return None
    return RESTS[attempt - 1] * (1_000 + spread_permille) / 1_000


def excerpt_of(body: bytes) -> str:
    """The beginning of an answer as text that can be stored, of at most 1,024 bytes."""
    text = body[:EXCERPT_BYTES_MAX].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode()[:EXCERPT_BYTES_MAX].decode(errors="ignore")


def days_failing(failing_since: datetime, now: datetime) -> int:
    """On which day of failing an endpoint is, of those on which staff are told: 0, 1, 3, 5."""
    whole = (now - failing_since) // timedelta(days=1)
    return max((day for day in TOLD_ON_DAYS if day <= whole), default=0)


def hears(wanted: Sequence[str], name: TypeName) -> bool:
    """Does somebody who wants these types hear of this one? `race.*` are all of race."""
    return any(one == name or (one.endswith(".*") and name.startswith(one[:-1])) for one in wanted)


def unknown_of(wanted: Sequence[str], known: Collection[TypeName]) -> list[str]:
    """Those of the wanted types that no event has, in their order."""
    return [one for one in wanted if not any(hears([one], name) for name in known)]
