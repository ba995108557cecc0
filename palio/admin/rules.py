"""Decisions of the console: what is worth an alarm, and how a change is told."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from palio.admin.types import Alarm, AlarmKind, Defect, FeedNow, JobsNow, LateNow, Severity, WebhookNow
from palio.kernel.settings import Setting, WrongType, from_words, read, write

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
SILENT = timedelta(hours=3)
CRITICAL_LAG_S, LAG_S = 60, 600
UNTOLD = {"server.bundled"}  # true for as long as the house is a small one, and no news
NEARLY_OFF = timedelta(days=3)  # of the five after which an endpoint is switched off
WEBHOOKS = "/console/webhooks"
FEEDS, JOBS, HEALTH = "/console/affiliates/feeds", "/console/jobs", "/console/health"
SETTLING = "/console/competitions?status=settling"
FINDINGS = "/console/ledger/findings"


def alarms(
    *,
    feeds: Sequence[FeedNow],
    jobs: JobsNow | None,
    defects: Sequence[Defect],
    webhooks: Sequence[WebhookNow] = (),
    now: datetime,
    late: Sequence[LateNow] = (),
    mismatches: int = 0,
) -> list[Alarm]:
    """What needs a person, the critical first. `mismatches` are open findings of the ledger."""
    found = [
        *(*_of_books(mismatches), *_of_feeds(feeds, now), *_of_jobs(jobs), *_of_settlements(late)),
        *(*_of_webhooks(webhooks, now), *_of_defects(defects)),
    ]
    return sorted(found, key=lambda alarm: alarm.severity != "critical")


def _of_books(mismatches: int) -> Iterator[Alarm]:
    if mismatches:
        yield Alarm("ledger.mismatch", "critical", "", FINDINGS, n=mismatches)


def _of_feeds(feeds: Sequence[FeedNow], now: datetime) -> Iterator[Alarm]:
    for feed in feeds:
        if not feed.is_stale:
            continue
        is_silent = feed.as_of is None or now - feed.as_of > SILENT
        kind: AlarmKind = "feed_silent" if feed.as_of is None else "feed_stale"
        yield Alarm(kind, "critical" if is_silent else "warning", feed.programme, FEEDS, since=feed.as_of)


def _of_jobs(jobs: JobsNow | None) -> Iterator[Alarm]:
    if jobs is None:
        return
    if jobs.dead:
        yield Alarm("jobs_dead", "warning", "", f"{JOBS}?state=failed", n=jobs.dead)
    for queue in jobs.queues:
        if queue.lag_s > (CRITICAL_LAG_S if queue.queue == "critical" else LAG_S):
            severity: Severity = "critical" if queue.queue == "critical" else "warning"
            yield Alarm("jobs_late", severity, queue.queue, JOBS, n=queue.lag_s)


def _of_webhooks(webhooks: Sequence[WebhookNow], now: datetime) -> Iterator[Alarm]:
    for one in webhooks:
        is_urgent = one.is_off or (one.since is not None and now - one.since >= NEARLY_OFF)
        kind: AlarmKind = "webhook_off" if one.is_off else "webhook_failing"
        yield Alarm(kind, "critical" if is_urgent else "warning", one.host, f"{WEBHOOKS}/{one.id}", since=one.since)


def _of_settlements(late: Sequence[LateNow]) -> Iterator[Alarm]:
    for each in late:
        yield Alarm("overdue.settlement", "critical", each.title, SETTLING, since=each.ended_at)


def _of_defects(defects: Sequence[Defect]) -> Iterator[Alarm]:
    for defect in defects:
        if defect.severity != "note" and defect.id not in UNTOLD:
            severity: Severity = "critical" if defect.severity == "error" else "warning"
            yield Alarm("defect", severity, defect.what, HEALTH, text=defect.why)


# settings


def module_of(key: str) -> str:
    """Whose setting it is."""
    return key.partition(".")[0]


def words_of(setting: Setting[Any], stored: object) -> str:
    """A stored value as an operator types it; null is the default."""
    value = write(setting.default) if stored is None else stored
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return str(value)


def stored_of(setting: Setting[Any], words: str) -> object:
    """What an operator typed as JSON that fits the setting. Refuses with WrongType, OutOfRange, NotAllowed."""
    words = words.strip()
    if setting.kind == "document" and words != "default":
        try:
            stored = json.loads(words)
        except ValueError:
            raise WrongType(key=setting.key, expected="document") from None
    else:
        stored = from_words(setting, words)
    return None if stored is None else write(read(setting, stored))


# what was changed


def told(changes: Mapping[str, Sequence[object]]) -> list[tuple[str, str, str]]:
    """The fields of an audit row, each with what it was and what it became."""
    return [(field, _text(pair[0]), _text(pair[-1])) for field, pair in changes.items() if pair]


def _text(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str) and INSTANT.fullmatch(value):
        return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# proposals


def why_not(
    *, state: str, is_mine: bool, is_about_me: bool, has_decided: bool, has_permission: bool
) -> Literal["own", "subject", "decided", "closed", "permission"] | None:
    """Why somebody may not decide about a proposal; None if he may."""
    if state != "open":
        return "closed"
    if is_mine:
        return "own"
    if is_about_me:
        return "subject"
    if has_decided:
        return "decided"
    return None if has_permission else "permission"


def effect_of(payload: Mapping[str, object]) -> list[tuple[str, str]]:
    """What a proposal would do, fact by fact; what is empty says nothing."""
    return [(name.replace("_", " "), _text(value)) for name, value in payload.items() if value not in (None, "")]
