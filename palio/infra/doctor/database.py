"""What the database says about itself, beside what this program knows of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from palio.infra import db, settings
from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding, Symptom
from palio.infra.doctor.looks import look
from palio.infra.doctor.partitions import partitions_reach_ahead
from palio.infra.doctor.seals import seals_keep_up
from palio.infra.migrate import Migration
from palio.infra.seals import Chain
from palio.infra.settings import Line
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.settings import Catalogue, Setting, read

SERVER_VERSION_MIN = 170_000
CLOCK_SKEW_MAX = timedelta(seconds=2)
QUEUE_LAG_MAX = {"critical": timedelta(seconds=60)}
OTHER_QUEUE_LAG_MAX = timedelta(minutes=10)

TOO_OLD = Symptom(
    "server.too_old",
    "error",
    "The server is PostgreSQL {version}.",
    "Palio needs features of PostgreSQL 17.",
    "Upgrade the server to PostgreSQL 17 or 18.",
)
BUNDLED = Symptom(
    "server.bundled",
    "warning",
    "The database is the bundled PostgreSQL {version}: for development and small trials only.",
    "It comes with a Python package that lags behind PostgreSQL's security releases, and has no TLS.",
    "For production, run a patched PostgreSQL 17 or 18 and set PALIO_DATABASE_URL.",
)
SKEW = Symptom(
    "clock.skew",
    "warning",
    "The clocks of this machine and of the database differ by {seconds:.1f} s.",
    "The queue obeys the database's clock, windows of races and bonuses this one's.",
    "Have both machines keep time by NTP.",
)
PENDING = Symptom(
    "migrations.pending",
    "error",
    "Migration {number:04} {name} is not applied.",
    "This program expects a schema that the database does not have yet.",
    "Run palio migrate.",
)
UNKNOWN = Symptom(
    "migrations.unknown",
    "warning",
    "The database has migration {number:04} {name}, which this program does not know.",
    "A newer program has been here.",
    "Run the newest release everywhere.",
)
EDITED = Symptom(
    "migrations.edited",
    "error",
    "Migration {number:04} {name} differs from the one that was applied.",
    "The schema is not the one these files describe; the next migration will refuse to run.",
    "Install an unchanged release.",
)
LAGGING = Symptom(
    "queue.lag",
    "warning",
    "{waiting} jobs wait in the queue {queue}, the oldest for {seconds:.0f} s.",
    "Settlements, messages and clean-ups come late.",
    "Start a worker (palio up, or palio worker), or more of them.",
)
UNKNOWN_SETTING = Symptom(
    "settings.unknown",
    "note",
    "The setting {key} was changed once, and this program does not know it.",
    "It comes from another release; its value is kept and acts no more.",
    "Nothing, unless you miss it.",
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks compare the database with."""

    now: datetime
    is_bundled: bool
    migrations: Sequence[Migration]
    settings: Catalogue = field(default_factory=lambda: Catalogue(()))
    chains: Sequence[Chain] = ()
    clock: Callable[[], datetime] = clock.real  # in a simulation ours shows another time on purpose


async def examine_database(tx: Tx, known: Known) -> list[Finding]:
    """Every finding about the database of this transaction."""
    return [
        *await server_is_current(tx, is_bundled=known.is_bundled),
        *await look(tx),
        *await clocks_agree(tx, known.clock),
        *await migrations_match(tx, known.migrations),
        *await partitions_reach_ahead(tx, known.now),
        *await queues_keep_up(tx),
        *await seals_keep_up(tx, known.chains, known.now),
        *await settings_are_understood(tx, known.settings),
    ]


async def server_is_current(tx: Tx, *, is_bundled: bool) -> list[Finding]:
    """Whether the server is old, or the one that Palio brings along."""
    version = await db.value(tx, "select current_setting('server_version')")
    if int(await db.value(tx, "select current_setting('server_version_num')")) < SERVER_VERSION_MIN:
        return [TOO_OLD.found(version=version)]
    return [BUNDLED.found(version=version)] if is_bundled else []


async def clocks_agree(tx: Tx, read_clock: Callable[[], datetime]) -> list[Finding]:
    """Whether this machine and the database keep the same time."""
    before = read_clock()
    at = await db.value(tx, "select clock_timestamp()")
    skew = max(before - at, at - read_clock())  # an answer that was long in coming is no disagreement
    return [SKEW.found(seconds=skew.total_seconds())] if skew > CLOCK_SKEW_MAX else []


@dataclass(frozen=True, slots=True)
class Applied:
    """One migration of the database's history."""

    number: int
    phase: str
    name: str
    sha256: bytes


async def migrations_match(tx: Tx, migrations: Sequence[Migration]) -> list[Finding]:
    """Whether the history of the schema is the one of these files."""
    rows = await db.rows(tx, Applied, "select number, phase, name, sha256 from infra.migrations")
    applied = {(row.number, row.phase): row for row in rows}
    files = {migration.key: migration for migration in migrations}
    edited = (key for key in files.keys() & applied.keys() if files[key].sha256 != applied[key].sha256)
    return [
        *(_of(PENDING, files[key]) for key in sorted(files.keys() - applied.keys())),
        *(_of(UNKNOWN, applied[key]) for key in sorted(applied.keys() - files.keys())),
        *(_of(EDITED, files[key]) for key in sorted(edited)),
    ]


def _of(symptom: Symptom, migration: Migration | Applied) -> Finding:
    return symptom.found(number=migration.number, name=migration.name)


@dataclass(frozen=True, slots=True)
class Lag:
    """How long the oldest job that is due has waited."""

    queue: str
    waiting: int
    oldest: timedelta


async def queues_keep_up(tx: Tx) -> list[Finding]:
    """The queues in which a job that is due has waited for too long."""
    lags = await db.rows(
        tx,
        Lag,
        """
        select j.queue_name as queue, count(*) as waiting,
               max(clock_timestamp() - coalesce(j.scheduled_at, e.at, clock_timestamp())) as oldest
        from jobs.procrastinate_jobs j
        left join lateral (select min(at) as at from jobs.procrastinate_events where job_id = j.id) e on true
        where j.status = 'todo' and coalesce(j.scheduled_at, '-infinity') <= clock_timestamp()
        group by j.queue_name order by 1""",
    )
    return [
        LAGGING.found(waiting=lag.waiting, queue=lag.queue, seconds=lag.oldest.total_seconds())
        for lag in lags
        if lag.oldest > QUEUE_LAG_MAX.get(lag.queue, OTHER_QUEUE_LAG_MAX)
    ]


async def settings_are_understood(tx: Tx, catalogue: Catalogue) -> list[Finding]:
    """The settings that somebody changed and this program cannot read."""
    declared = {setting.key: setting for setting in catalogue}
    return [
        finding
        for line in await settings.list_all(tx)
        if line.version and (finding := _judged(line, declared.get(line.key)))
    ]


def _judged(line: Line, setting: Setting[Any] | None) -> Finding | None:
    if setting is None:
        return UNKNOWN_SETTING.found(key=line.key)
    try:
        read(setting, line.value)
    except Refusal as refusal:
        return Finding(
            "settings.invalid",
            "warning",
            f"The stored value of {line.key} is not valid any more: {refusal.facts}.",
            f"The default, {setting.default}, acts instead.",
            f"palio settings set {line.key} VALUE",
        )
    return None
