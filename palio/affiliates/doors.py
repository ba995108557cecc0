"""The doors of the feeds: bytes are archived before they are judged, and what a refusal leaves is written by itself."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeAlias

from palio.affiliates import rules, service
from palio.affiliates.errors import OutOfOrder
from palio.affiliates.types import (
    Asking,
    Attempt,
    Brought,
    Cycle,
    FeedId,
    Paging,
    Payload,
    Push,
    Snapshot,
    Trial,
    Trigger,
    Turn,
)
from palio.infra import files, partitions
from palio.infra.db import Database, Tx
from palio.infra.http import UNTRUSTED, Answer, Failure
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.errors import Refusal, Unavailable
from palio.kernel.ids import Actor

STATEMENT_SECONDS_MAX = 60  # one statement may write a hundred thousand rows
STATS = "affiliates.stats"  # the table of readings, which has a partition for each month
ROWS_OF_TRIAL = 20
GRAIN = 2**53
SECRET_BYTES = 32
NOT_A_PAGE = 300  # from this status on

Pause: TypeAlias = Callable[[float], Awaitable[object]]
Chance: TypeAlias = Callable[[], float]


def _fraction() -> float:
    return secrets.randbelow(GRAIN) / GRAIN


def new_push_secret() -> str:
    """A secret that nobody knows yet."""
    return rules.secret_of(secrets.token_bytes(SECRET_BYTES))


async def receive(database: Database, *, feed_id: FeedId, push: Push, content_type: str, now: datetime) -> bool:
    """Archive what a provider has sent by itself and leave the rest to a job; False: it was sent before.

    Refuses with PushRefused before anything is kept, and as `archive`.
    """
    async with database.begin_system("who sends a list") as tx:
        await service.require_genuine(tx, feed_id=feed_id, push=push, now=now)
    payload = await service.archive(
        files.storage_of(database), body=push.body, received_at=now, content_type=content_type
    )
    async with database.begin_system("a list was sent") as tx:
        return await service.accept(tx, feed_id=feed_id, event_id=push.event_id, payload=payload, now=now)


async def take_in(
    database: Database,
    storage: Storage,
    *,
    actor: Actor,
    feed_id: FeedId,
    body: bytes,
    content_type: str,
    fetched_at: datetime,
    trigger: Trigger,
    now: datetime,
) -> Snapshot:
    """Archive a payload, then read, judge and apply it. Refuses as `archive` and `ingest` do."""
    payload = await service.archive(storage, body=body, content_type=content_type, received_at=now)
    return await apply_payload(
        database, actor=actor, feed_id=feed_id, payload=payload, fetched_at=fetched_at, trigger=trigger
    )


async def apply_payload(
    database: Database, *, actor: Actor, feed_id: FeedId, payload: Payload, fetched_at: datetime, trigger: Trigger
) -> Snapshot:
    """Judge and apply what lies in the archive; a refusal leaves its cycle and goes on."""
    async with database.begin(actor) as tx:
        await partitions.ensure(tx, STATS, fetched_at)
    try:
        async with database.begin(actor, seconds_max=STATEMENT_SECONDS_MAX, generic_plans=True) as tx:
            return await service.ingest(tx, feed_id=feed_id, payload=payload, fetched_at=fetched_at, trigger=trigger)
    except Unavailable:
        raise  # the database was away or busy: that says nothing of the payload, and is no failure of the feed
    except Refusal as refusal:
        async with database.begin(actor) as tx:
            await service.note_refusal(
                tx, feed_id=feed_id, payload=payload, fetched_at=fetched_at, trigger=trigger, refusal=refusal
            )
        raise


async def fetch(
    database: Database,
    *,
    feed_id: FeedId,
    due_at: datetime,
    trigger: Trigger,
    pause: Pause = asyncio.sleep,
    chance: Chance = _fraction,
) -> Cycle | None:
    """Read a feed until it brings something or nothing more is to be expected, and answer the cycle as it ended.

    None: there was nothing to do, since the cycle had ended or another one is on. Refuses as `service.open_cycle`.
    """
    async with database.begin_system("a feed is read") as tx:
        turn = await service.open_cycle(tx, feed_id=feed_id, due_at=due_at, trigger=trigger, now=clock.now())
    if turn is None:
        return None
    last = await _Reading(database, turn, pause, chance).run()
    async with database.begin_system("a feed was read") as tx:
        return await service.close_cycle(tx, cycle_id=turn.cycle.id, last=last)


async def try_feed(database: Database, *, code: str) -> Trial:
    """Ask the feed of a programme once and say what would come of it, without writing anything.

    Refuses with NoSuchProgramme, NoFeedToPull, and as `rules.parse` when the answer is no list of players.
    """
    async with database.begin_system("a feed is tried") as tx:
        feed = await service.pull_feed(tx, code=code)
        asking = await service.asking(tx, feed=feed)
    outcome = await _call(database, asking)
    attempt = _attempt_of(outcome, clock.now(), asking.secret)
    trial = Trial(attempt.outcome, attempt.http_status, attempt.detail, attempt.size, attempt.error_code)
    if not isinstance(outcome, Answer) or attempt.outcome != "ok":
        return trial
    async with database.begin_system("a feed is tried") as tx:
        parsed = await service.try_out(tx, feed_id=feed.id, body=outcome.body, content_type=outcome.content_type)
    rows = tuple(list(parsed.readings.values())[:ROWS_OF_TRIAL])
    return replace(trial, shape=parsed.shape, rows=rows, accepted=len(parsed.readings), held=parsed.held)


class _Step(NamedTuple):
    """An exchange, and how long to rest before the next; None: the cycle is over, and its end is written down."""

    attempt: Attempt
    rest_s: float | None


class _Reading:
    """The attempts of one cycle. Each of its steps can be repeated: what a killed worker left is taken up."""

    def __init__(self, database: Database, turn: Turn, pause: Pause, chance: Chance) -> None:
        self._database, self._turn, self._pause, self._chance = database, turn, pause, chance
        self._attempts, self._begun = turn.cycle.attempts, asyncio.get_running_loop().time()

    def _begin(self) -> AbstractAsyncContextManager[Tx]:
        return self._database.begin_system("a feed is read", seconds_max=STATEMENT_SECONDS_MAX, generic_plans=True)

    async def run(self) -> Attempt:
        """Ask until the cycle is over; answers the last exchange."""
        step = await (self._take_up(self._turn.brought) if self._turn.brought else self._ask(0))
        while step.rest_s is not None:
            await self._pause(step.rest_s)
            step = await self._ask(step.rest_s)
        return step.attempt

    async def _ask(self, waited_s: float) -> _Step:
        begun = asyncio.get_running_loop().time()
        outcome = await _call(self._database, self._turn.asking)
        took_s = asyncio.get_running_loop().time() - begun
        attempt = replace(
            _attempt_of(outcome, clock.now(), self._turn.asking.secret),
            waited_ms=round(waited_s * 1_000),
            duration_ms=round(took_s * 1_000),
        )
        if isinstance(outcome, Answer) and attempt.outcome == "ok":
            payload = await service.archive(
                files.storage_of(self._database),
                body=outcome.body,
                received_at=attempt.at,
                content_type=outcome.content_type,
            )
            attempt = replace(attempt, payload=payload)
        self._attempts += 1
        async with self._begin() as tx:
            await service.note_attempt(tx, cycle_id=self._turn.cycle.id, n=self._attempts, attempt=attempt)
        return await (self._judge(attempt, attempt.payload) if attempt.payload else self._failed(attempt))

    async def _take_up(self, brought: Brought) -> _Step:
        """Judge what a worker had archived before it was killed."""
        stored = brought.payload
        body = await service.restore(files.storage_of(self._database), payload=stored)
        payload = Payload(stored.sha256, stored.size, stored.content_type, stored.storage_key, brought.fetched_at, body)
        return await self._judge(Attempt(brought.fetched_at, 0, 0, None, "ok", stored.size, payload=payload), payload)

    async def _judge(self, attempt: Attempt, payload: Payload) -> _Step:
        """Apply what was brought. An outage of our own raises: the job is tried again, and finds what was brought."""
        cycle = self._turn.cycle
        async with self._begin() as tx:
            await partitions.ensure(tx, STATS, attempt.at)
        try:
            async with self._begin() as tx:
                await service.ingest(
                    tx,
                    feed_id=cycle.feed_id,
                    payload=payload,
                    fetched_at=attempt.at,
                    trigger=cycle.trigger,
                    due_at=cycle.due_at,
                )
        except Unavailable:
            raise
        except Refusal as refusal:
            return await self._refused(attempt, payload, refusal)
        return _Step(attempt, None)

    async def _refused(self, attempt: Attempt, payload: Payload, refusal: Refusal) -> _Step:
        """What a refusal leaves: only the last attempt of a cycle makes a snapshot that says so."""
        cycle = self._turn.cycle
        judged = rules.judged(attempt, refusal.code.removeprefix("affiliates."))
        rest_s = self._rest_after(judged)
        async with self._begin() as tx:
            await service.note_verdict(tx, cycle_id=cycle.id, n=self._attempts, attempt=judged)
            if isinstance(refusal, OutOfOrder):
                await service.fail_cycle(tx, cycle_id=cycle.id, attempt=judged, now=clock.now())
            elif rest_s is None:
                await service.note_refusal(
                    tx,
                    feed_id=cycle.feed_id,
                    payload=payload,
                    fetched_at=attempt.at,
                    trigger=cycle.trigger,
                    refusal=refusal,
                    due_at=cycle.due_at,
                )
        return _Step(judged, rest_s)

    async def _failed(self, attempt: Attempt) -> _Step:
        rest_s = self._rest_after(attempt)
        if rest_s is None:
            async with self._begin() as tx:
                await service.fail_cycle(tx, cycle_id=self._turn.cycle.id, attempt=attempt, now=clock.now())
        return _Step(attempt, rest_s)

    def _rest_after(self, attempt: Attempt) -> float | None:
        feed = self._turn.asking.feed
        return rules.rest_before_next(
            attempt,
            attempts=self._attempts,
            attempts_max=feed.max_attempts,
            elapsed_s=asyncio.get_running_loop().time() - self._begun,
            timeout_s=feed.timeout_s,
            fraction=self._chance(),
        )


async def _call(database: Database, asking: Asking) -> Answer | Failure:
    """Ask a feed for its list: all pages of it as one body, or what went wrong with the first that did."""
    if asking.paging is None:
        return await _exchange(database, asking, asking.url)
    try:
        async with asyncio.timeout(rules.CYCLE_SECONDS_MAX / 2):
            return await _call_for_pages(database, asking, asking.paging)
    except TimeoutError:
        return Failure("timeout", f"its pages took more than {rules.CYCLE_SECONDS_MAX // 2} s")


async def _call_for_pages(database: Database, asking: Asking, paging: Paging) -> Answer | Failure:
    """Page after page, as long as any of them says that there are more."""
    pages, first = list[bytes](), None
    said = 1
    while len(pages) < said:
        answer = await _exchange(database, asking, rules.address_of(asking.url, paging, len(pages) + 1))
        if isinstance(answer, Failure) or answer.status >= NOT_A_PAGE:
            return answer
        first = first or answer
        if answer.content_type != first.content_type:
            return answer
        pages.append(answer.body)
        said = max(said, rules.pages_said(answer.body, paging))
        if said > rules.PAGES_MAX or sum(map(len, pages)) > asking.feed.max_bytes:
            return Failure("too_large", f"more than {rules.PAGES_MAX} pages, or {asking.feed.max_bytes} bytes")
    return replace(first, body=rules.bound(pages)) if first else Failure("cut_short", "it has no page")


async def _exchange(database: Database, asking: Asking, url: str) -> Answer | Failure:
    feed, equipment = asking.feed, database.equipment
    profile = replace(
        UNTRUSTED,
        door="feed",
        seconds_max=feed.timeout_s,
        bytes_max=feed.max_bytes,
        may_be_inside=equipment.is_simulated,
    )
    headers = {"Accept": "application/json", **asking.headers}
    return await equipment.http.call(url, profile=profile, headers=headers)


def _attempt_of(outcome: Answer | Failure, at: datetime, secret: str | None) -> Attempt:
    """An exchange as it is written down, without the key."""
    if isinstance(outcome, Failure):
        attempt = rules.failed(outcome.kind, outcome.status, outcome.detail)
    else:
        attempt = rules.answered(outcome.status, outcome.retry_after_s(at), len(outcome.body))
    return replace(attempt, at=at, detail=rules.without(secret, attempt.detail))
