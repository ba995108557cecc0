"""Who may read the figures of a process, and what they say."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from palio import affiliates
from palio.entry import metering, wiring
from palio.entry.wiring import Wiring
from palio.infra import db, embedded
from palio.infra.addresses import Addresses
from palio.infra.http import UNTRUSTED
from palio.infra.settings import Environment
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.factories.affiliates import fixture, ingest


@pytest.fixture
async def wired(cluster: embedded.Cluster, database_name: str, tmp_path: Path) -> AsyncIterator[Wiring]:
    app = cluster.dsn("palio_app", database_name)
    async with wiring.opened(Environment(data=tmp_path), Addresses(app, app, "")) as wired:
        yield wired


def request(host: str, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (host, 5), "headers": raw})


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.7"}, 404),
        ("203.0.113.7", {}, 404),
        ("203.0.113.7", {"authorization": "Bearer wrong"}, 404),
        ("203.0.113.7", {"authorization": "Bearer right"}, 200),
    ],
)
async def test_this_machine_or_the_token(wired: Wiring, host: str, headers: dict[str, str], status: int) -> None:
    """For all others the page does not exist; a proxy on this machine speaks for others."""
    told = replace(wired, environment=wired.environment.model_copy(update={"metrics_token": "right"}))

    assert (await metering.figures(told, request(host, **headers))).status_code == status


async def test_without_a_token_nobody_else_has_one(wired: Wiring) -> None:
    assert (await metering.figures(wired, request("203.0.113.7", authorization="Bearer "))).status_code == 404


async def test_figures_of_requests_refusals_pool_and_queues(wired: Wiring) -> None:
    wired.metrics.answered(route="/races/{number}", status=200, seconds=0.003)
    wired.metrics.refused("race.not_found")
    async with wired.database.begin_system("test") as tx:
        await db.run(
            tx,
            "insert into jobs.procrastinate_jobs (task_name, queue_name, args)"
            " values ('x', 'bulk', jsonb_build_object('at', now() - interval '1 hour'))",
        )
        await db.run(
            tx,
            "insert into infra.job_runs (started_at, id, job, queue, subject, attempt, status, request_id)"
            " values (now(), gen_random_uuid(), 'x:y', 'bulk', '', 1, 'dead', gen_random_uuid())",
        )

    lines = (await wired.metrics.text()).decode().splitlines()

    assert 'palio_requests_seconds_bucket{le="0.005",route="/races/{number}",status="200"} 1.0' in lines
    assert 'palio_refusals_total{code="race.not_found"} 1.0' in lines
    assert 'palio_jobs_dead{job="x:y"} 1.0' in lines
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert 3600 <= float(figures['palio_jobs_lag_seconds{queue="bulk"}']) < 3700
    assert float(figures["palio_db_pool_connections"]) >= 1
    assert float(figures["palio_disk_free_bytes"]) > 0
    async with wired.database.begin_system("test") as tx:
        await db.run(tx, "delete from jobs.procrastinate_jobs where task_name = 'x'")
        await db.run(tx, "delete from infra.job_runs where job = 'x:y'")


async def test_a_guard_that_trips_is_counted_and_told(wired: Wiring) -> None:
    """A wallet pays many, past the program: PL003. A mistake of another kind is none."""
    statement = "select ledger.fan_out(%s, 3::smallint, 'x', '{}', '{}', '{}', '{}', '{}', '{}', now())"
    with capture_logs() as told:
        with pytest.raises(psycopg.Error, match="only an open account pays many"):
            async with wired.database.begin_system("test") as tx:
                await db.run(tx, statement, f"user:{new_id()}:main")
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with wired.database.begin_system("test") as tx:
                await db.value(tx, "select 1 / 0")

    lines = (await wired.metrics.text()).decode().splitlines()

    assert [line for line in lines if line.startswith("palio_ledger_guard_tripped_total")] == [
        'palio_ledger_guard_tripped_total{state="PL003"} 1.0'
    ]
    assert [line["state"] for line in told if line["event"] == "a guard of the database has tripped"] == ["PL003"]


async def test_figures_of_feeds_and_of_what_failed_outside(wired: Wiring, tmp_path: Path) -> None:
    """A programme that is only uploaded to is nobody's fault, and has no age."""
    noon = clock.now() - timedelta(minutes=7)
    async with wired.database.begin_system("test") as tx:
        read = await affiliates.ensure_programme(tx, code=f"p{new_id().hex[-12:]}")
        sent = await affiliates.ensure_programme(tx, code=f"p{new_id().hex[-12:]}")
        await affiliates.add_feed(
            tx, code=read.code, new=affiliates.NewFeed("https://feed.example.com/"), now=noon, reason="a test"
        )
        for programme in (read, sent):
            await ingest(tx, programme, fixture("affiliate_snapshot_T1"), noon, Storage(tmp_path))
    http = wired.database.equipment.http
    await http.call("http://127.0.0.1:1/", profile=replace(UNTRUSTED, door="feed", may_be_inside=True))

    lines = (await wired.metrics.text()).decode().splitlines()

    ages = {line.split('"')[1]: float(line.split()[1]) for line in lines if line.startswith("palio_feed_age_seconds{")}
    assert 420 <= ages[read.code] < 480 and sent.code not in ages
    assert f'palio_affiliate_total_users{{programme="{read.code}"}} 127.0' in lines
    assert 'palio_door_failures_total{door="feed"} 1.0' in lines
    async with wired.database.begin_system("test") as tx:
        await db.run(tx, "update affiliates.feeds set enabled = false where programme_id = %s", read.id)
    assert read.code not in (await wired.metrics.text()).decode()
