"""Telling others of the anchors: whoever has a head that we cannot take back can show later what was altered.

A web address gets the lines as they are (`POST`, one JSON object a line), an object store an object of the same text,
whose name begins with the instant, and a mailbox once a day the newest line of each chain. Lines are signed, may come
twice, and are made up after a failure, the oldest first.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape

import structlog

from palio.infra.anchors import Anchors
from palio.infra.db import Equipment
from palio.infra.http import Failure, Profile
from palio.infra.mail import Letter
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.errors import Upstream

log = structlog.get_logger()

LINES_AT_A_TIME = 500
LATE_AFTER = timedelta(hours=1)
DAY = timedelta(days=1)
TAKEN = range(200, 300)
PROFILE = Profile(door="anchors", seconds_max=10, bytes_max=65_536, methods=frozenset({"POST"}))


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who is told: by what name operators know him, how, and how often at most. `key` tells him from one who
    had another address.
    """

    name: str
    address: str
    take: Callable[[Sequence[str], datetime], Awaitable[None]]
    every: timedelta = timedelta()

    @property
    def key(self) -> str:
        return f"{self.name}:{sha256(self.address.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Behind:
    """A witness who has not been told of something for too long, and since when."""

    name: str
    since: datetime


def witnesses(equipment: Equipment) -> list[Witness]:
    """Those whom the operator has named."""
    anchors = equipment.anchors
    if anchors is None:
        return []
    found = []
    if url := anchors.url:
        found.append(Witness("PALIO_ANCHOR_URL", url, lambda lines, _: _post(equipment, url, lines)))
    if store := anchors.store:
        found.append(Witness("PALIO_ANCHOR_STORE", store, lambda lines, at: _put(store, lines, at)))
    if mailbox := anchors.mailbox:
        found.append(Witness("PALIO_ANCHOR_MAIL", mailbox, lambda lines, _: _write(equipment, mailbox, lines), DAY))
    return found


async def tell_witnesses(equipment: Equipment, *, now: datetime) -> None:
    """Tell each of what he has not heard yet. Who does not take it is told with the next seal, and stands in nobody's
    way.
    """
    for witness in witnesses(equipment):
        if anchors := equipment.anchors:
            try:
                await _tell(anchors, witness, now)
            except (Upstream, OSError) as failure:
                log.warning("a witness was not told of anchors", witness=witness.name, why=str(failure))


async def behind(equipment: Equipment, *, now: datetime) -> list[Behind]:
    """The witnesses who have waited for an hour and more."""
    found = []
    for witness in witnesses(equipment):
        if equipment.anchors:
            oldest = (await asyncio.to_thread(equipment.anchors.untold, witness.key, 1)).lines
            since = _said_at(oldest[0]) if oldest else None
            if since and now > since + witness.every + LATE_AFTER:
                found.append(Behind(witness.name, since))
    return found


async def _tell(anchors: Anchors, witness: Witness, now: datetime) -> None:
    told_at = await asyncio.to_thread(anchors.told_at, witness.key)
    if told_at and now < told_at + witness.every:
        return
    while (untold := await asyncio.to_thread(anchors.untold, witness.key, LINES_AT_A_TIME)).lines:
        await witness.take(untold.lines, now)
        await asyncio.to_thread(anchors.mark_told, witness.key, untold, now)


def _said_at(line: str) -> datetime | None:
    """When a line was written, by its own words; None if it has none."""
    try:
        said = json.loads(line)
        return datetime.fromisoformat(said.get("sealed_at") or said["at"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


async def _post(equipment: Equipment, url: str, lines: Sequence[str]) -> None:
    """Refuses with Upstream."""
    profile = replace(PROFILE, may_be_inside=equipment.is_simulated)
    headers = {"content-type": "application/x-ndjson"}
    answer = await equipment.http.call(url, profile=profile, headers=headers, method="POST", content=_text(lines))
    if isinstance(answer, Failure):
        raise Upstream(service="anchors", reason=answer.detail)
    if answer.status not in TAKEN:
        raise Upstream(service="anchors", reason=f"it answered {answer.status}")


async def _put(store: str, lines: Sequence[str], at: datetime) -> None:
    """Raises OSError."""
    name = f"{clock.text(at)}-{sha256(_text(lines)).hexdigest()[:8]}.jsonl".replace(":", "")
    await Storage(store).put(f"anchors/{name}", _text(lines))


async def _write(equipment: Equipment, mailbox: str, lines: Sequence[str]) -> None:
    """Refuses with Upstream."""
    newest = {_chain_of(line): line for line in lines}
    heads = "\n\n".join(newest[name] for name in sorted(newest))
    subject = f"Heads of the seals of {equipment.site}"
    text = f"{subject}. Keep this letter: a seal that differs from it was altered afterwards.\n\n{heads}\n"
    await equipment.mail.send(Letter(mailbox, subject, text, f"<pre>{escape(text)}</pre>"))


def _chain_of(line: str) -> str:
    """Which chain a line is of; those that cannot be read are one."""
    try:
        return str(json.loads(line)["chain"])
    except (ValueError, TypeError, KeyError):
        return ""


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
