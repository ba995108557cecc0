"""Partitions by time: made ahead for every listed parent, and for a past instant before somebody writes there.

Below each parent lies a default partition that is meant to stay empty. Rows in it mean that nobody made theirs in time:
they are moved, and `PartitionMissing` says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias
from uuid import UUID

import structlog
from psycopg import sql

from palio.infra import db, outbox
from palio.infra.db import Database, Tx
from palio.infra.messages import KeepPartitions, PartitionMissing
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

log = structlog.get_logger()

Period: TypeAlias = Literal["hour", "day", "month"]
Bound: TypeAlias = Literal["instant", "date", "uuid7"]

AHEAD: dict[Period, int] = {"hour": 48, "day": 3, "month": 3}
STRAYS_MAX = 1_000  # periods that one run puts in order for one parent
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

SCHEDULE = Schedule("infra.partitions", "10 0 * * *", KeepPartitions(), at_start=True)


@dataclass(frozen=True, slots=True)
class Parent:
    """A table that is partitioned by time, in periods of one length; `column` holds what its bounds are made of."""

    parent: str
    period: Period
    bound: Bound
    column: str


@dataclass(frozen=True, slots=True)
class Range:
    """One period, half-open, in UTC."""

    lower: datetime
    upper: datetime


def period_of(period: Period, at: datetime) -> Range:
    """The period that an instant falls into."""
    day = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if period == "hour":
        return Range(day, day + timedelta(hours=1))
    day = day.replace(hour=0)
    if period == "day":
        return Range(day, day + timedelta(days=1))
    month = day.replace(day=1)
    return Range(month, (month + timedelta(days=32)).replace(day=1))


def periods_ahead(period: Period, now: datetime) -> Iterator[Range]:
    """The present period and those that have to be ready for what comes."""
    at = now
    for _ in range(AHEAD[period] + 1):
        this = period_of(period, at)
        yield this
        at = this.upper


def gaps(attached: Sequence[Range]) -> list[Range]:
    """Where there is no partition, so that rows fall into the default one."""
    edges = [Range(FIRST, FIRST), *sorted(attached, key=lambda each: each.lower), Range(LAST, LAST)]
    return [Range(one.upper, other.lower) for one, other in pairwise(edges) if one.upper < other.lower]


@handles(KeepPartitions)
async def keep(database: Database, job: KeepPartitions) -> None:
    """Make what is due for every parent, and move stray rows into partitions of their own."""
    async with database.begin_system("partitions") as tx:
        parents = await db.rows(tx, Parent, PARENTS + " order by p.parent limit 1000")
    for parent in parents:
        await _move_strays(database, parent)
        for wanted in periods_ahead(parent.period, clock.now()):
            await _in_its_own(database, parent, wanted)


async def ensure(tx: Tx, parent: str, at: datetime) -> None:
    """Make the partition that an instant falls into, in the past too; whoever writes there calls it first.

    Best in a transaction of its own: others wait for its locks. Raises LookupError if the parent is not listed.
    """
    found = await db.find(tx, Parent, PARENTS + " where p.parent = %s", parent)
    if found is None:
        raise LookupError(f"{parent} is not among infra.partition_parents")
    await _make(tx, found, period_of(found.period, at))


async def ensure_span(database: Database, *, since: datetime, until: datetime) -> None:
    """Make every partition of a span of the past, for whoever is about to write in all of it."""
    async with database.begin_system("partitions") as tx:
        parents = await db.rows(tx, Parent, PARENTS + " order by p.parent limit 1000")
    for parent in parents:
        at = since
        while at <= until:
            wanted = period_of(parent.period, at)
            await _in_its_own(database, parent, wanted)
            at = wanted.upper


PARENTS = """
    select p.parent, p.period, p.bound, a.attname as column
    from infra.partition_parents p join pg_catalog.pg_partitioned_table t on t.partrelid = p.parent::regclass
    join pg_catalog.pg_attribute a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]"""
BOUNDS = """
    select pg_catalog.pg_get_expr(c.relpartbound, c.oid)
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = %s::regclass and pg_catalog.pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' limit 10000"""


async def _move_strays(database: Database, parent: Parent) -> None:
    for _ in range(STRAYS_MAX):
        async with database.begin_system("partitions") as tx:
            stray = await _find_stray(tx, parent)
            if stray is None:
                return
            log.error("rows were found in a default partition", table=parent.parent, at=stray.isoformat())
            await outbox.send(tx, PartitionMissing(parent.parent), key=parent.parent)
        await _in_its_own(database, parent, period_of(parent.period, stray))


async def _find_stray(tx: Tx, parent: Parent) -> datetime | None:
    """The instant of a row that lies in no period of its own. A gap reaches only the default partition."""
    for gap in gaps(await _attached(tx, parent)):
        statement = sql.SQL(
            "select {column} from {table} where {column} >= {lower} and {column} < {upper} limit 1"
        ).format(
            column=sql.Identifier(parent.column),
            table=sql.Identifier(*parent.parent.split(".")),
            lower=sql.Literal(_bound(parent.bound, gap.lower)),
            upper=sql.Literal(_bound(parent.bound, gap.upper)),
        )
        if found := await (await tx.execute(statement)).fetchone():
            return _instant(found[0])
    return None


async def _attached(tx: Tx, parent: Parent) -> list[Range]:
    await tx.execute("set local timezone = 'UTC'")
    found = []
    for expression in await db.column(tx, BOUNDS, parent.parent):
        _, lower, _, upper, _ = expression.split("'")
        found.append(Range(_parsed(parent.bound, lower), _parsed(parent.bound, upper)))
    return found


def _parsed(bound: Bound, text: str) -> datetime:
    if bound == "uuid7":
        return _instant(UUID(text))
    return _instant(datetime.fromisoformat(text) if bound == "instant" else date.fromisoformat(text))


def _instant(value: datetime | date | UUID) -> datetime:
    if isinstance(value, UUID):
        return datetime.fromtimestamp((value.int >> 80) // 1000, UTC)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _bound(bound: Bound, at: datetime) -> datetime | date | UUID:
    if bound == "uuid7":
        return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)
    return at if bound == "instant" else at.date()


async def _in_its_own(database: Database, parent: Parent, wanted: Range) -> None:
    await db.retrying(partial(database.begin_system, "partitions"), partial(_make, parent=parent, wanted=wanted))


async def _make(tx: Tx, parent: Parent, wanted: Range) -> None:
    """Make one partition, and move into it what lay in the default one. Repeating it changes nothing."""
    values = (parent.parent, wanted.lower, wanted.upper)
    if parent.parent.startswith("ledger."):
        await db.run(tx, "select ledger.make_partition(%s::text, %s::timestamptz, %s::timestamptz)", *values)
    else:
        await db.run(tx, "select infra.make_partition(%s::text, %s::timestamptz, %s::timestamptz)", *values)
