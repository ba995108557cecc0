"""Webhooks out: signed so that every byte counts, told at least once, at the pace and in the time of each endpoint."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from palio.infra import db, embedded, outbox, webhooks
from palio.infra.db import Database
from palio.infra.http import Answer, Client, Failure
from palio.infra.jobs import LANES, Pace, Queue, addresses
from palio.infra.messages import DeliverWebhooks, TellWebhooks, WakeWebhooks, WatchWebhooks
from palio.infra.webhooks import telling, verdicts
from palio.kernel import clock, signatures
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.messages import Event
from palio.kernel.parts import Part
from palio.kernel.signatures import SignedMessage
from palio.sim import World, fault_of
from tests.factories.webhooks import KNOWN, REASON, endpoint, equip, events

NOON = datetime.fromisoformat("2026-03-20T12:00:00Z")
SECRET = signatures.secret_of(bytes(range(32)))
SIGNED = SignedMessage("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", str(int(NOON.timestamp())), b'{"type":"race.completed"}')


# signatures


def test_a_signature_is_that_of_the_standard() -> None:
    """The vector that libraries of Standard Webhooks share."""
    message = SignedMessage("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    assert signatures.signature(secret, message) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def altered(text: bytes) -> list[bytes]:
    """The text with each of its bytes changed, left out or doubled."""
    changed = [text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :] for at in range(len(text))]
    return [*changed, *(text[:at] + text[at + 1 :] for at in range(len(text))), text + text[-1:], b" " + text, b""]


def test_every_byte_of_a_message_counts() -> None:
    signature = signatures.signature(SECRET, SIGNED)
    forged = [
        *(replace(SIGNED, body=body) for body in altered(SIGNED.body)),
        *(replace(SIGNED, webhook_id=one.decode("latin-1")) for one in altered(SIGNED.webhook_id.encode())),
        *(replace(SIGNED, timestamp=one.decode("latin-1")) for one in altered(SIGNED.timestamp.encode())),
    ]
    assert signatures.is_genuine(SIGNED, signature, [SECRET], NOON)
    assert [one for one in forged if signatures.is_genuine(one, signature, [SECRET], NOON)] == []


def test_every_byte_of_a_signature_counts() -> None:
    signature = signatures.signature(SECRET, SIGNED)
    forged = [one.decode("latin-1") for one in altered(signature.encode()) if one.strip() != signature.encode()]

    assert [one for one in forged if signatures.is_genuine(SIGNED, one, [SECRET], NOON)] == []
    assert not signatures.is_genuine(SIGNED, signature, [signatures.secret_of(bytes(32))], NOON)
    assert not signatures.is_genuine(SIGNED, signature, [], NOON)


@pytest.mark.parametrize(("seconds", "is_taken"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_message_is_good_for_five_minutes(seconds: int, is_taken: bool) -> None:
    signature = signatures.signature(SECRET, SIGNED)
    assert signatures.is_genuine(SIGNED, signature, [SECRET], NOON + timedelta(seconds=seconds)) is is_taken


# what comes of an attempt


def answer(status: int, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"so be it")


def test_rests_grow_until_it_is_given_up() -> None:
    rests = [verdicts.rest_after(attempt, 0) for attempt in range(1, 11)]

    assert [rest and rest.total_seconds() for rest in rests] == [
        *(5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
        None,
    ]


@pytest.mark.parametrize("spread", [-200, 0, 200])
def test_a_rest_is_at_most_a_fifth_longer_or_shorter(spread: int) -> None:
    verdict = verdicts.judge(answer(500), attempt=2, spread_permille=spread, now=NOON)

    assert (verdict.state, verdict.failure) == ("retrying", "status 500")
    assert verdict.next_at == NOON + timedelta(seconds=300 + 300 * spread / 1_000)


@pytest.mark.parametrize(
    ("outcome", "state", "is_gone"),
    [
        (answer(200), "delivered", False),
        (answer(299), "delivered", False),
        (answer(302, location="https://example.com/"), "retrying", False),
        (answer(199), "retrying", False),
        (answer(410), "retrying", True),
        (answer(404), "retrying", False),
        (Failure("timeout", "no whole answer within 15 s"), "retrying", False),
        (Failure("address", "it points inside"), "retrying", False),
    ],
)
def test_only_two_hundreds_are_a_success(outcome: Answer | Failure, state: str, is_gone: bool) -> None:
    verdict = verdicts.judge(outcome, attempt=1, spread_permille=0, now=NOON)
    assert (verdict.state, verdict.is_gone) == (state, is_gone)
    assert verdicts.judge(answer(500), attempt=10, spread_permille=0, now=NOON).state == "failed"


@pytest.mark.parametrize(
    ("status", "written", "rest_s", "rests_s"),
    [
        (429, "120", 120, 120),
        (503, "Fri, 20 Mar 2026 13:00:00 GMT", 3_600, 3_600),
        (429, "1", 5, 1),  # sooner than the usual rest is no reason to hurry
        (429, "9999999", 86_400, 86_400),  # nobody may keep us waiting longer than a day
        (429, "soon", 5, None),
        (500, "120", 5, None),
    ],
)
def test_an_endpoint_may_ask_for_time(status: int, written: str, rest_s: int, rests_s: int | None) -> None:
    verdict = verdicts.judge(answer(status, retry_after=written), attempt=1, spread_permille=0, now=NOON)

    assert verdict.next_at == NOON + timedelta(seconds=rest_s)
    assert verdict.rests_until == (rests_s and NOON + timedelta(seconds=rests_s))


@pytest.mark.parametrize("body", [b"\0" * 3_000, "ä".encode() * 3_000, b"\xff" * 3_000, b"x" * 3_000])
def test_an_excerpt_is_text_of_a_kibibyte(body: bytes) -> None:
    excerpt = verdicts.excerpt_of(body)
    assert 0 < len(excerpt.encode()) <= 1_024 and "\0" not in excerpt


# telling


@dataclass
class House:
    """A database whose machines outside are the receivers of a world, on the clock of the world."""

    database: Database
    world: World

    async def hears(
        self, receiver: str, *, types: tuple[str, ...] = ("race.*",), per_second: int = 100
    ) -> tuple[UUID, str]:
        async with self.database.begin_system("a test") as tx:
            found, secret = await endpoint(
                tx, self.world.hook_url(receiver), types=types, per_second=per_second, now=clock.now()
            )
        self.world.hooks.control("secret", {"name": receiver, "secret": secret})
        return found, secret

    def script(self, receiver: str, *statuses: int) -> None:
        self.world.hooks.control("script", {"name": receiver, "statuses": list(statuses)})

    def heard(self, receiver: str) -> list[str]:
        return [one.webhook_id for one in self.world.hooks.heard if one.receiver == receiver]

    async def tell(self, count: int = 1, *, kind: str = "race.completed") -> list[UUID]:
        told = events(count, now=clock.now(), kind=kind)
        async with self.database.begin_system("a test") as tx:
            await webhooks.tell(tx, TellWebhooks(tuple(told)))
        return [one.event_id for one in told]

    async def deliver(self, *endpoint_ids: UUID) -> None:
        for endpoint_id in endpoint_ids:
            await webhooks.deliver(self.database, DeliverWebhooks(endpoint_id))

    async def deliveries(self, endpoint_id: UUID) -> list[webhooks.Delivery]:
        async with self.database.begin_system("a test") as tx:
            return await webhooks.list_deliveries(
                tx, endpoint_id=endpoint_id, wanted=webhooks.Wanted(), part=Part(1_000)
            )

    async def endpoint(self, endpoint_id: UUID) -> webhooks.Endpoint:
        async with self.database.begin_system("a test") as tx:
            return await webhooks.get_endpoint(tx, endpoint_id)

    async def watch(self) -> None:
        async with self.database.begin_system("a test") as tx:
            await webhooks.watch(tx, WatchWebhooks())

    async def run(self, statement: str, *values: object) -> None:
        async with self.database.begin_system("a test") as tx:
            await tx.execute(statement, values)  # type: ignore[arg-type]  # literals of this file

    def pass_time(self, **time: float) -> None:
        self.world.clock.advance(timedelta(**time))


@pytest.fixture
async def house(database: Database, world: World) -> AsyncIterator[House]:
    equip(database)
    clock.use(world.now)
    house = House(database, world)
    yield house
    world.expected(len(world.journal))
    await house.run("delete from infra.webhook_endpoints")
    await house.run("delete from infra.webhook_deliveries")
    await house.run("delete from infra.webhook_events")
    await house.run("delete from jobs.procrastinate_jobs")


async def test_an_event_is_told_signed_and_with_what_it_says(house: House) -> None:
    here, _ = await house.hears("one")
    there, _ = await house.hears("two", types=("reward.paid",))
    (event_id,) = await house.tell()

    await house.deliver(here, there)

    (heard,) = house.world.hooks.heard
    assert (heard.receiver, heard.webhook_id, heard.is_genuine) == ("one", str(event_id), True)
    assert json.loads(heard.body) == {
        "type": "race.completed",
        "timestamp": "2026-03-20T12:00:00.000000Z",
        "data": {"event_id": str(event_id), "race": str(event_id), "period_key": None},
    }
    (delivery,) = await house.deliveries(here)
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
    assert (await house.endpoint(here)).last_success_at == NOON


async def test_it_is_tried_again_by_the_clock_under_one_id(house: House) -> None:
    """Five times a fault, then it is taken; not a second before its time, and at the latest a fifth after."""
    here, _ = await house.hears("one")
    house.script("one", 500, 500, 302, 500, 500, 200)
    await house.tell()
    await house.deliver(here)

    for seconds in (5, 300, 1_800, 7_200, 18_000):
        before = len(house.heard("one"))
        house.pass_time(seconds=seconds * 0.79)
        await house.deliver(here)
        assert len(house.heard("one")) == before
        house.pass_time(seconds=seconds * 0.42)
        await house.deliver(here)
        assert len(house.heard("one")) == before + 1

    assert len(set(house.heard("one"))) == 1
    assert len({(one.timestamp, one.signature) for one in house.world.hooks.heard}) == 6
    assert [(one.state, one.attempts) for one in await house.deliveries(here)] == [("delivered", 6)]
    assert all(one.is_genuine for one in house.world.hooks.heard)


async def test_an_endpoint_that_is_gone_is_told_nothing_more(house: House) -> None:
    here, _ = await house.hears("one", per_second=1)
    house.script("one", 410)
    await house.tell(3)
    await webhooks.deliver_some(house.database, here)

    found = await house.endpoint(here)
    assert (found.state, found.disabled_reason, len(house.heard("one"))) == ("disabled", "gone", 1)
    assert {one.state for one in await house.deliveries(here)} <= {"cancelled"}
    await house.tell()
    await house.deliver(here)
    assert len(house.heard("one")) == 1


async def test_an_endpoint_that_asks_for_time_gets_it_for_everything(house: House) -> None:
    here, _ = await house.hears("one")
    house.world.faults.add(fault(429, retry_after=600))
    await house.tell()
    await house.deliver(here)
    house.world.faults.clear()
    await house.tell()

    house.pass_time(seconds=599)
    await house.deliver(here)
    assert len(house.heard("one")) == 1
    house.pass_time(seconds=2)
    await house.deliver(here)
    assert len(house.heard("one")) == 3


def fault(code: int, *, retry_after: int | None = None, times: int | None = None, name: str = "status"):

    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    effect = {"name": name, "code": code, "headers": headers} if name == "status" else {"name": name, "ms": code}
    return fault_of({"sim": "hooks", "effect": effect, "times": times})


async def test_a_redirect_is_a_failure_and_its_target_is_never_called(house: House) -> None:
    here, _ = await house.hears("one")
    target = house.world.hook_url("elsewhere")

    house.world.faults.add(
        fault_of({"sim": "hooks", "effect": {"name": "redirect", "url": target}, "match": {"path": "/hooks/one"}})
    )
    await house.tell()
    await house.deliver(here)

    (delivery,) = await house.deliveries(here)
    assert (delivery.state, delivery.status, house.heard("elsewhere")) == ("retrying", 302, [])


async def test_a_slow_endpoint_delays_no_other(house: House) -> None:
    """The one takes all the time there is; the other has been told long before that."""
    slow, _ = await house.hears("slow")
    quick, _ = await house.hears("quick")

    house.world.faults.add(
        fault_of({"sim": "hooks", "effect": {"name": "delay", "ms": 1_500}, "match": {"path": "/hooks/slow"}})
    )
    await house.tell(20)
    waiting = asyncio.create_task(house.deliver(slow))
    await house.deliver(quick)

    assert not waiting.done()
    assert {one.state for one in await house.deliveries(quick)} == {"delivered"}
    await waiting
    assert {one.state for one in await house.deliveries(slow)} == {"delivered"}


async def test_there_is_room_in_the_queue_for_every_endpoint_at_once() -> None:

    assert LANES[("webhooks",)] >= (webhooks.ENDPOINTS_MAX.high or 0)
    assert addresses({DeliverWebhooks: (webhooks.deliver,)})[DeliverWebhooks][0].queue == "webhooks"


async def test_what_a_killed_worker_had_is_told_by_the_next_one(house: House) -> None:
    """It was told and died before it wrote that down: the endpoint hears it twice, under one id."""
    here, _ = await house.hears("one")
    await house.tell()
    house.world.faults.add(fault_of({"sim": "hooks", "effect": {"name": "delay", "ms": 60_000}}))
    worker = asyncio.create_task(house.deliver(here))
    while not house.heard("one"):  # noqa: ASYNC110 - the receiver has nothing that could be awaited
        await asyncio.sleep(0.01)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    house.world.faults.clear()
    await house.deliver(here)
    assert len(house.heard("one")) == 1, "as long as somebody may be at it, nobody else is"

    await house.run("update infra.webhook_deliveries set held_until = clock_timestamp()")
    async with house.database.begin_system("the next worker") as tx:
        await webhooks.wake(tx, WakeWebhooks())
        assert await db.value(tx, "select count(*) from jobs.procrastinate_jobs where queue_name = 'webhooks'") == 1
    await house.deliver(here)
    assert len(house.heard("one")) == 2 and len(set(house.heard("one"))) == 1
    assert [(one.state, one.attempts) for one in await house.deliveries(here)] == [("delivered", 2)]


async def test_whoever_comes_back_late_changes_nothing(house: House) -> None:
    """A worker that was thought dead writes down a failure after the next one has told it."""
    here, _ = await house.hears("one")
    await house.tell()
    async with house.database.begin_system("a worker") as tx:
        (claimed,) = await telling.claim(tx, here, now=clock.now())
    await house.run("update infra.webhook_deliveries set held_until = clock_timestamp()")
    await house.deliver(here)
    late = telling.Attempt(claimed, NOON, "v1,", 1, verdicts.judge(answer(500), attempt=1, spread_permille=0, now=NOON))
    async with house.database.begin_system("a worker") as tx:
        await telling.settle(tx, here, [late], now=clock.now())

    assert [one.state for one in await house.deliveries(here)] == ["delivered"]


async def test_all_workers_together_keep_to_the_pace_of_an_endpoint(house: House) -> None:
    here, _ = await house.hears("one", per_second=5)
    await house.tell(20)

    claims = []
    for _ in range(6):
        async with house.database.begin_system("a worker") as tx:
            claims.append([one.wait_s for one in await telling.claim(tx, here, now=clock.now())])

    assert [len(waits) for waits in claims] == [5, 5, 0, 0, 0, 0]  # of this second and the next, and no more
    waits = [wait for waits in claims for wait in waits]
    assert waits == sorted(waits) and waits[-1] == pytest.approx(1.8, abs=0.15)


# once


async def race(house: House, work: Callable[..., object]) -> None:
    told = tuple(events(20, now=clock.now()))

    async def one() -> None:
        async with house.database.begin_system("a worker") as tx:
            await work(tx, told)  # type: ignore[misc]  # a coroutine

    await asyncio.gather(*(one() for _ in range(8)))


async def test_an_event_is_one_delivery_however_many_tell_of_it(house: House) -> None:
    here, _ = await house.hears("one")

    await race(house, lambda tx, told: webhooks.tell(tx, TellWebhooks(told)))

    assert len(await house.deliveries(here)) == 20


async def test_looking_first_would_tell_it_more_than_once(house: House) -> None:
    """The naive control: without the table of what was queued, two that look at once both find nothing."""
    here, _ = await house.hears("one")

    async def naive(tx: db.Tx, told: tuple[telling.Told, ...]) -> None:
        for event in told:
            known = "select count(*) from infra.webhook_deliveries where endpoint_id = %s and event_id = %s"
            if await db.value(tx, known, here, event.event_id) == 0:
                await asyncio.sleep(0)
                await db.run(
                    tx,
                    """insert into infra.webhook_deliveries
                      (created_at, id, endpoint_id, event_id, event_at, type, webhook_id, state, next_at)
                    values (%s, gen_random_uuid(), %s, %s, %s, %s, %s, 'queued', %s)""",
                    *(event.at, here, event.event_id, event.at, event.type, event.event_id, event.at),
                )

    await race(house, naive)

    assert len(await house.deliveries(here)) > 20


# failing


async def test_five_days_of_failures_switch_it_off_and_are_told_of_three_times(house: House) -> None:
    here, _ = await house.hears("one")
    house.world.faults.add(fault(500))
    days = []
    for hour in range(0, 24 * 5 + 2, 6):
        await house.tell()
        await house.deliver(here)
        await house.watch()
        async with house.database.begin_system("a test") as tx:
            told = await db.value(
                tx,
                "select count(*) from infra.audit_rows where action = 'webhook.failing' and entity_id = %s",
                str(here),
            )
        days.append((hour, told))
        house.pass_time(hours=6)

    assert [next(hour for hour, told in days if told == times) for times in (1, 2, 3)] == [24, 72, 120]
    found = await house.endpoint(here)
    assert (found.state, found.disabled_reason) == ("disabled", "failing")
    assert "queued" not in {one.state for one in await house.deliveries(here)}
    assert "retrying" not in {one.state for one in await house.deliveries(here)}


async def test_one_success_begins_the_days_anew(house: House) -> None:
    here, _ = await house.hears("one")
    house.script("one", 500)
    await house.tell()
    await house.deliver(here)
    assert (await house.endpoint(here)).failing_since == NOON

    house.pass_time(days=4)
    await house.deliver(here)
    assert (await house.endpoint(here)).failing_since is None


async def test_who_is_paused_does_not_fail_and_begins_anew(house: House) -> None:
    here, _ = await house.hears("one")
    await house.run("update infra.webhook_endpoints set failing_since = %s", NOON - timedelta(days=6))
    async with house.database.begin_system("a test") as tx:
        await webhooks.pause(tx, endpoint_id=here, reason=REASON, now=clock.now())
    await house.tell()
    await house.watch()
    await house.deliver(here)
    assert ((await house.endpoint(here)).state, house.heard("one")) == ("paused", [])

    async with house.database.begin_system("a test") as tx:
        await webhooks.resume(tx, endpoint_id=here, reason=REASON, now=clock.now())
    await house.watch()
    await house.deliver(here)
    assert ((await house.endpoint(here)).state, len(house.heard("one"))) == ("active", 1)


async def test_what_is_old_is_forgotten_with_what_waits_to_tell_of_it(house: House) -> None:
    here, _ = await house.hears("one")
    await house.tell(3)
    house.pass_time(days=31)
    await house.tell(2)
    async with house.database.begin_system("a test") as tx:
        again = webhooks.Again(since=NOON - timedelta(days=1))
        await db.run(tx, "update infra.webhook_deliveries set state = 'failed' where event_at = %s", NOON)
        assert (await webhooks.replay(tx, endpoint_id=here, again=again, reason=REASON, now=clock.now())).queued == 3
        await webhooks.prune(tx, now=clock.now(), rows_max=1_000)
        kept = [await db.value(tx, "select count(*) from infra.webhook_events")]
        kept.append(await db.value(tx, "select count(*) from infra.webhook_once"))
    await house.deliver(here)

    assert kept == [2, 2]
    assert sorted(one.state for one in await house.deliveries(here)) == [*["cancelled"] * 3, *["delivered"] * 2]


async def test_after_it_is_mended_a_day_is_told_again_under_the_same_ids(house: House) -> None:
    """What failed, and what happened while nothing was sent."""
    here, _ = await house.hears("one")
    house.script("one", *[500] * 3)
    failed = await house.tell(3)
    await house.deliver(here)
    await house.run("update infra.webhook_endpoints set failing_since = %s", NOON - timedelta(days=5))
    await house.watch()
    missed = await house.tell(2)
    assert (await house.endpoint(here)).state == "disabled"

    async with house.database.begin_system("a test") as tx:
        with pytest.raises(webhooks.EndpointDisabled):
            await webhooks.replay(tx, endpoint_id=here, again=webhooks.Again(since=NOON), reason=REASON, now=NOON)
        await webhooks.resume(tx, endpoint_id=here, reason=REASON, now=clock.now())
        again = webhooks.Again(since=NOON - timedelta(days=1))
        replayed = await webhooks.replay(tx, endpoint_id=here, again=again, reason=REASON, now=clock.now())
        twice = await webhooks.replay(tx, endpoint_id=here, again=again, reason=REASON, now=clock.now())
    before = len(house.heard("one"))
    await house.deliver(here)

    assert (replayed.queued, twice.queued) == (5, 0)
    assert sorted(house.heard("one")[before:]) == sorted(map(str, [*failed, *missed]))


async def test_a_fresh_replay_is_another_message_about_the_same(house: House) -> None:
    here, _ = await house.hears("one")
    (event_id,) = await house.tell()
    await house.deliver(here)
    (first,) = await house.deliveries(here)
    async with house.database.begin_system("a test") as tx:
        again = webhooks.Again(delivery_id=first.id, is_fresh=True)
        await webhooks.replay(tx, endpoint_id=here, again=again, reason=REASON, now=clock.now())
    await house.deliver(here)

    one, other = house.world.hooks.heard
    assert one.webhook_id != other.webhook_id and one.body == other.body
    assert [each.replay_of for each in await house.deliveries(here) if each.id != first.id] == [first.id]
    assert json.loads(other.body)["data"]["event_id"] == str(event_id)


# secrets


async def test_while_a_secret_is_replaced_both_sign_and_afterwards_the_new_one_alone(house: House) -> None:
    here, old = await house.hears("one")
    async with house.database.begin_system("a test") as tx:
        new = await webhooks.rotate(tx, endpoint_id=here, overlap=timedelta(hours=24), reason=REASON, now=clock.now())
        with pytest.raises(webhooks.RotationInProgress):
            await webhooks.rotate(tx, endpoint_id=here, overlap=timedelta(0), reason=REASON, now=clock.now())
    await house.tell()
    await house.deliver(here)
    house.pass_time(hours=24)
    await house.tell()
    await house.deliver(here)

    during, after = house.world.hooks.heard
    assert [knows(during, secret) for secret in (old, new)] == [True, True]
    assert [knows(after, secret) for secret in (old, new)] == [False, True]
    await house.watch()
    async with house.database.begin_system("a test") as tx:
        assert await db.value(tx, "select previous_secret from infra.webhook_endpoints where id = %s", here) is None


async def test_a_previous_secret_can_be_ended_at_once(house: House) -> None:
    here, old = await house.hears("one")
    async with house.database.begin_system("a test") as tx:
        await webhooks.rotate(tx, endpoint_id=here, overlap=timedelta(hours=168), reason=REASON, now=clock.now())
        await webhooks.revoke_previous(tx, endpoint_id=here, reason=REASON, now=clock.now())
        with pytest.raises(webhooks.NoPreviousSecret):
            await webhooks.revoke_previous(tx, endpoint_id=here, reason=REASON, now=clock.now())
    await house.tell()
    await house.deliver(here)

    assert not knows(house.world.hooks.heard[-1], old)


def knows(heard: object, secret: str) -> bool:
    """Would somebody who has this secret alone take the message?"""
    message = SignedMessage(heard.webhook_id, heard.timestamp, heard.body.encode())  # type: ignore[attr-defined]
    return signatures.is_genuine(message, heard.signature, [secret], heard.at)  # type: ignore[attr-defined]


async def test_nothing_of_an_address_or_a_secret_lies_in_clear(house: House) -> None:
    here, secret = await house.hears("needle")
    async with house.database.begin_system("a test") as tx:
        row = await db.value(tx, "select e::text from infra.webhook_endpoints e where id = %s", here)
        acts = await db.value(
            tx, "select string_agg(a::text, '') from infra.audit_rows a where entity_id = %s", str(here)
        )

    assert "needle" not in row and "needle" not in acts
    assert secret not in row and secret.removeprefix("whsec_") not in acts


@dataclass(frozen=True, slots=True)
class Ended(Event):
    race: UUID


@pytest.fixture
def telling_of_ends(house: House) -> House:
    """What is sent of `Ended` is told outside as race.completed."""
    known = addresses({TellWebhooks: (webhooks.tell,), DeliverWebhooks: (webhooks.deliver,)})
    house.database.equipment = replace(house.database.equipment, addresses=known, published={Ended: "race.completed"})
    return house


async def queued(house: House) -> list[int]:
    """How many events each waiting job passes on."""
    async with house.database.begin_system("a test") as tx:
        return await db.column(
            tx,
            """select jsonb_array_length(args -> 'message' -> 'events') from jobs.procrastinate_jobs
            where task_name like %s order by id""",
            "%:tell",
        )


async def test_an_event_is_kept_for_outside_with_its_act_and_only_if_anybody_wants_it(telling_of_ends: House) -> None:
    house = telling_of_ends
    async with house.database.begin_system("a test") as tx:
        await outbox.send(tx, Ended(new_id()))
        assert not await outbox.is_wanted(tx, Ended)
    assert await queued(house) == []

    await house.hears("one")
    with contextlib.suppress(ZeroDivisionError):
        async with house.database.begin_system("a test") as tx:
            await outbox.send(tx, Ended(new_id()))
            raise ZeroDivisionError
    assert await queued(house) == []

    player = Actor("player", UserId(new_id()), RequestId(new_id()))
    async with house.database.begin(player) as tx:
        assert await outbox.is_wanted(tx, Ended)
        await outbox.send(tx, *(Ended(new_id()) for _ in range(450)))
    assert await queued(house) == [200, 200, 50]


async def test_a_worker_tells_of_what_was_sent_and_tries_again_by_itself(
    telling_of_ends: House, cluster: embedded.Cluster, database_name: str
) -> None:
    """From the act to the receiver, with the queue and its schedule as they run; one failure on the way."""
    house = telling_of_ends
    routes = {
        TellWebhooks: (webhooks.tell,),
        DeliverWebhooks: (webhooks.deliver,),
        WakeWebhooks: (webhooks.wake,),
    }
    house.database.equipment = replace(house.database.equipment, addresses=addresses(routes))
    clock.use(clock.real)
    house.world.clock.set(clock.now())
    house.world.clock.speed(1)
    await house.hears("one")
    house.script("one", 500)
    dsn, schedule = cluster.dsn("palio_app", database_name), replace(webhooks.SCHEDULE, when="every 1s")
    queue = Queue(dsn, house.database, routes, schedules=[schedule], pace=Pace(poll=0.1, tick=0.1))
    working = asyncio.create_task(queue.work())
    async with house.database.begin_system("a test") as tx:
        await outbox.send(tx, Ended(new_id()))
    async with asyncio.timeout(60):
        while len(house.heard("one")) < 2:  # noqa: ASYNC110 - the receiver has nothing that could be awaited
            await asyncio.sleep(0.05)
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working

    first, second = house.world.hooks.heard
    assert (first.answered, second.answered, first.webhook_id) == (500, 204, second.webhook_id)
    assert int(second.timestamp) - int(first.timestamp) >= 4


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"]], ids=["at first", "meanwhile"])
async def test_a_name_that_leads_inside_is_not_called(answers: list[str]) -> None:
    """Also where it was public when the endpoint was saved; the canary on this machine hears nothing."""
    canary: list[object] = []
    server = await asyncio.start_server(lambda _, writer: canary.append(writer.close()), "127.0.0.1", 0)
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    client = Client(resolve=resolve)
    if len(answers) > 1:
        await client.require("https://hooks.example.com/", profile=webhooks.PROFILE)
    outcome = await client.call("https://hooks.example.com/", profile=webhooks.PROFILE, method="POST", content=b"{}")
    server.close()

    assert isinstance(outcome, Failure) and outcome.kind == "address"
    assert canary == []


async def test_a_player_sees_nothing_of_it(house: House) -> None:

    await house.hears("one")
    await house.tell()
    player = Actor("player", UserId(new_id()), RequestId(new_id()))
    async with house.database.begin(player) as tx:
        for table in ("endpoints", "events", "deliveries", "once"):
            assert await db.value(tx, f"select count(*) from infra.webhook_{table}") == 0  # type: ignore[arg-type]  # noqa: S608 - of this file
        assert await db.value(tx, "select infra.webhooks_want(%s)", ["race.completed", "reward.paid"]) == [
            "race.completed"
        ]


def test_types_are_named_whole_or_by_their_noun() -> None:
    assert verdicts.unknown_of(["race.*", "race.completed", "races.*", "race.*.x", "*", "race."], KNOWN) == [
        *("races.*", "race.*.x", "*", "race."),
    ]
