"""Figures of a process for Prometheus. No label carries a user: routes are templates, codes and queues are words."""

import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from palio.infra import db
from palio.infra.db import Database, Tx
from palio.infra.realtime import Hub
from palio.kernel import clock
from palio.kernel.errors import Refusal

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
LAGS = """
    select queue_name as label,
      extract(epoch from now() - min(coalesce(scheduled_at, (args ->> 'at')::timestamptz)))::float8 as figure
    from jobs.procrastinate_jobs where status = 'todo' and coalesce(scheduled_at, now()) <= now()
    group by queue_name limit 100"""
DEAD = (
    "select job as label, count(*)::float8 as figure from infra.job_runs where status = 'dead' group by job limit 1000"
)


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    figure: float


@dataclass(frozen=True, slots=True)
class Look:
    """A figure of a module, by one label, that is looked up when somebody asks."""

    name: str
    text: str
    label: str


Looking: TypeAlias = Callable[[Tx, datetime], Awaitable[Mapping[Look, Sequence[Line]]]]


class _Tally(Collector):
    """What somebody else counts, by one label."""

    def __init__(self, name: str, text: str, label: str, times: Mapping[str, int]) -> None:
        self._name, self._text, self._label, self._times = name, text, label, times

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For Prometheus."""
        family = CounterMetricFamily(self._name, self._text, None, [self._label])
        for label, times in self._times.items():
            family.add_metric([label], times)
        yield family


class Metrics:
    """What one process counts, and what is looked up when somebody asks, `looking` by the modules."""

    def __init__(
        self, database: Database, hub: Hub, *, data: Path, version: str, looking: Sequence[Looking] = ()
    ) -> None:
        self._database, self._looking = database, looking
        self._registry = CollectorRegistry()
        self._gauges: dict[Look, Gauge] = {}
        self._tally(
            *("palio_door_failures", "Calls of others that brought nothing usable", "door"),
            database.equipment.http.failures,
        )
        self._tally(
            *("palio_ledger_guard_tripped", "What guards and checks of the database refused", "state"),
            database.guards_tripped,
        )
        self._requests = Histogram(
            "palio_requests_seconds", "Answered requests", ("route", "status"), buckets=SECONDS, registry=self._registry
        )
        self._answered: dict[tuple[str, int], Histogram] = {}
        self._refusals = Counter("palio_refusals", "Refused requests", ("code",), registry=self._registry)
        self._lags = self._labelled("palio_jobs_lag_seconds", "How long the oldest job has been due", "queue")
        self._dead = self._labelled("palio_jobs_dead", "Runs that were the last of a job", "job")
        Info("palio", "This process", registry=self._registry).info({"version": version})
        self._watch("palio_streams_open", "Live streams", lambda: hub.streams_open)
        self._watch("palio_disk_free_bytes", "Free space where the data lies", lambda: shutil.disk_usage(data).free)
        self._watch("palio_db_pool_connections", "Connections of the pool", self._pool("pool_size"))
        self._watch("palio_db_pool_free", "Connections that nobody uses", self._pool("pool_available"))
        self._watch("palio_db_pool_waiting", "Requests that wait for a connection", self._pool("requests_waiting"))
        waited = self._pool("requests_wait_ms")
        self._watch("palio_db_pool_wait_seconds", "Time spent waiting for connections so far", lambda: waited() / 1000)

    def _tally(self, name: str, text: str, label: str, times: Mapping[str, int]) -> None:
        self._registry.register(_Tally(name, text, label, times))

    def _labelled(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(name, text, (label,), registry=self._registry)

    def _watch(self, name: str, text: str, look: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._registry).set_function(look)

    def _pool(self, figure: str) -> Callable[[], float]:
        return lambda: self._database.pool.get_stats().get(figure, 0)

    def _show(self, found: Mapping[Look, Sequence[Line]]) -> None:
        for look, lines in found.items():
            if look not in self._gauges:
                self._gauges[look] = self._labelled(look.name, look.text, look.label)
            for line in lines:
                self._gauges[look].labels(line.label).set(line.figure)

    def answered(self, *, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its template."""
        counted = self._answered.get((route, status))
        if counted is None:  # the library takes as long to find it as to count
            counted = self._answered[route, status] = self._requests.labels(route, str(status))
        counted.observe(seconds)

    def refused(self, code: str) -> None:
        """Count a refusal."""
        self._refusals.labels(code).inc()

    async def text(self) -> bytes:
        """Everything, as Prometheus reads it; what the database knows is left out while it is away."""
        self._lags.clear()
        self._dead.clear()
        for gauge in self._gauges.values():
            gauge.clear()
        with suppress(Refusal, psycopg.Error):
            async with self._database.begin_system("metrics") as tx:
                for line in await db.rows(tx, Line, LAGS):
                    self._lags.labels(line.label).set(line.figure)
                for line in await db.rows(tx, Line, DEAD):
                    self._dead.labels(line.label).set(line.figure)
                for look in self._looking:
                    self._show(await look(tx, clock.now()))
        return generate_latest(self._registry)
