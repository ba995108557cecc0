"""A provider that sends its list by itself: over HTTP, through the queue, into the totals."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from palio import affiliates
from palio.affiliates import jobs, rules
from palio.affiliates.types import FeedId, Push
from palio.infra import embedded, keyring
from palio.infra.db import Database
from palio.infra.outbox import shape_of
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.conftest import PATIENCE_S
from tests.factories.affiliates import body, row
from tests.journeys.product import running
from tests.ui.house import SYSTEM

SECRETS = [rules.secret_of(bytes([number]) * 32) for number in range(3)]
TOTALS = """
    select uid, all_time_micro from affiliates.players p join affiliates.feeds f on f.programme_id = p.programme_id
    where f.id = %s order by uid"""
CYCLES = "select trigger, coalesce(error_code, state) from affiliates.cycles where feed_id = %s order by due_at"


@dataclass
class Provider:
    """Who sends, and what has become of it."""

    client: httpx2.AsyncClient
    database: Database
    feed_id: FeedId

    async def send(self, content: bytes, *, secret: str = SECRETS[0], event_id: str | None = None, **more: str) -> int:
        unsigned = Push(event_id or f"msg_{new_id()}", str(int(clock.now().timestamp())), "", content)
        headers = {
            "webhook-id": unsigned.event_id,
            "webhook-timestamp": unsigned.timestamp,
            "webhook-signature": rules.signature(secret, unsigned),
            "content-type": "application/json",
            **more,
        }
        address = f"/hooks/feeds/{self.feed_id}"
        return (await self.client.post(address, content=content, headers=headers)).status_code

    async def work(self) -> int:
        """Carry out the jobs that wait; answers how many there were."""
        taken = await self.rows("delete from jobs.procrastinate_jobs where task_name like %s returning args", "%pushed")
        for (args,) in taken:
            await jobs.take_pushed(self.database, _job(args["message"]))  # type: ignore[index]
        return len(taken)

    async def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        async with self.database.begin(SYSTEM) as tx:
            return await (await tx.execute(statement, values)).fetchall()  # type: ignore[arg-type]  # written here


def _job(message: object) -> affiliates.TakePushed:
    return shape_of(affiliates.TakePushed).validate_python(message)


@pytest.fixture
async def provider(cluster: embedded.Cluster, worker_id: str, tmp_path: Path) -> AsyncIterator[Provider]:
    keyring.load_or_make(tmp_path / "keys.json")
    name, keys = f"palio_pushes_{worker_id}", tmp_path / "keys.json"
    async with running(cluster, name, tmp_path, keyring_file=keys) as product:
        database = product.wiring.database
        async with database.begin(SYSTEM) as tx:
            feed_id = await affiliates.let_push(tx, code="sent", secret=SECRETS[0], reason="a test")
        async with httpx2.AsyncClient(base_url=product.base, timeout=PATIENCE_S) as client:
            yield Provider(client, database, feed_id)


async def test_a_list_that_is_sent_is_taken_once_and_applied(provider: Provider) -> None:
    first = body(row("anna", 12.34), row("bert", 5))
    assert [await provider.send(first, event_id="msg_1") for _ in range(3)] == [202, 202, 202]
    assert await provider.work() == 1
    assert await provider.rows(TOTALS, provider.feed_id) == [("anna", 12_340_000), ("bert", 5_000_000)]
    assert await provider.send(body(row("anna", 13), row("bert", 5)), event_id="msg_2") == 202
    assert await provider.send(first, event_id="msg_1") == 202
    assert await provider.work() == 1
    assert await provider.rows(TOTALS, provider.feed_id) == [("anna", 13_000_000), ("bert", 5_000_000)]
    assert await provider.rows(CYCLES, provider.feed_id) == [("push", "applied"), ("push", "applied")]


async def test_a_hundred_repeats_are_one_list(provider: Provider) -> None:
    """Eighty in a row, and twenty at once."""
    content = body(row("anna", 12.34))
    answers = [await provider.send(content, event_id="msg_1") for _ in range(80)]
    answers += await asyncio.gather(*(provider.send(content, event_id="msg_1") for _ in range(20)))
    assert set(answers) <= {202, 429} and answers[0] == 202
    assert await provider.work() == 1
    assert await provider.rows("select count(*) from affiliates.pushes") == [(1,)]
    assert await provider.rows(TOTALS, provider.feed_id) == [("anna", 12_340_000)]


async def test_who_is_not_known_leaves_nothing(provider: Provider) -> None:
    content = body(row("anna", 12))
    assert await provider.send(content, secret=SECRETS[1]) == 401
    assert await provider.send(content, **{"webhook-timestamp": "1"}) == 401
    assert await provider.send(content, **{"webhook-signature": ""}) == 401
    provider.feed_id = FeedId(new_id())
    assert await provider.send(content) == 401
    assert await provider.work() == 0
    assert await provider.rows("select count(*) from affiliates.payloads") == [(0,)]
    assert await provider.rows("select count(*) from affiliates.pushes") == [(0,)]


async def test_a_new_secret_does_not_end_the_one_before(provider: Provider) -> None:
    async with provider.database.begin(SYSTEM) as tx:
        again = await affiliates.let_push(tx, code="sent", secret=SECRETS[1], reason="it is time")
    assert again == provider.feed_id
    assert [await provider.send(b"[]", secret=secret) for secret in SECRETS] == [202, 202, 401]
    async with provider.database.begin(SYSTEM) as tx:
        await affiliates.let_push(tx, code="sent", secret=SECRETS[2], reason="it is over")
    assert [await provider.send(b"[]", secret=secret) for secret in SECRETS] == [401, 202, 202]
    kept = await provider.rows("select secret_hint, position(%s in f::text) from affiliates.feeds f", SECRETS[2][6:])
    assert kept[0][1] == 0 and (SECRETS[2][-4:], 0) in kept


async def test_what_cannot_be_read_is_taken_and_has_left_its_cycle(provider: Provider) -> None:
    assert await provider.send(b"<html>", **{"content-type": "text/html"}) == 202
    assert await provider.work() == 1
    assert await provider.send(b"[NaN]") == 202
    assert await provider.work() == 1
    assert await provider.rows(CYCLES, provider.feed_id) == [("push", "bad_content_type"), ("push", "bad_json")]
    assert await provider.rows(TOTALS, provider.feed_id) == []


async def test_a_killed_worker_takes_the_list_up_again_with_the_same_end(provider: Provider) -> None:
    """The job runs twice: the second time there is nothing left to do."""
    assert await provider.send(body(row("anna", 7))) == 202
    (args,) = (await provider.rows("select args from jobs.procrastinate_jobs where task_name like %s", "%pushed"))[0]
    for _ in range(2):
        await jobs.take_pushed(provider.database, _job(args["message"]))  # type: ignore[index]
    assert await provider.rows(CYCLES, provider.feed_id) == [("push", "applied")]
    assert await provider.rows("select count(*) from affiliates.snapshots") == [(1,)]


async def test_a_body_beyond_the_limit_is_not_taken(provider: Provider) -> None:
    assert await provider.send(json.dumps([" " * (1 << 20)]).encode()) == 413
