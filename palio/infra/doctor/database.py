"""What the database says about itself. Catalogues and statistics only, so a large database costs no more."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from palio.infra import db, settings
from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding
from palio.infra.migrate import Migration
from palio.infra.settings import Line
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.settings import Catalogue, Setting, read

SERVER_VERSION_MIN = 170_000
CLOCK_SKEW_MAX = timedelta(seconds=2)
TRANSACTION_AGE_MAX = timedelta(minutes=5)
QUEUE_LAG_MAX = {"critical": timedelta(seconds=60)}
OTHER_QUEUE_LAG_MAX = timedelta(minutes=10)
INSTANCE_SILENCE_MAX = timedelta(seconds=30)
DEAD_ROWS_PERCENT_MAX, DEAD_ROWS_MIN = 20, 10_000
HORIZON_MIN = {"hour": timedelta(hours=24), "day": timedelta(days=2), "month": timedelta(days=30)}
BOUND_END = re.compile(r"\bTO \('([^']+)'\)")


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks compare the database with."""

    now: datetime
    is_bundled: bool
    migrations: Sequence[Migration]
    settings: Catalogue = field(default_factory=lambda: Catalogue(()))
    clock: Callable[[], datetime] = clock.now


Check = Callable[[Tx, Known], Awaitable[list[Finding]]]


async def examine_database(tx: Tx, known: Known) -> list[Finding]:
    """Every finding about the database of this transaction."""
    return [finding for check in CHECKS for finding in await check(tx, known)]


@dataclass(frozen=True, slots=True)
class Named:
    """Something the catalogue names."""

    name: str
    fact: str


async def server_is_current(tx: Tx, known: Known) -> list[Finding]:
    version = int(await db.value(tx, "select current_setting('server_version_num')"))
    shown = await db.value(tx, "select current_setting('server_version')")
    if version < SERVER_VERSION_MIN:
        return [
            Finding(
                "server.too_old",
                "error",
                f"The server is PostgreSQL {shown}.",
                "Palio needs features of PostgreSQL 17.",
                "Upgrade the server to PostgreSQL 17 or 18.",
            )
        ]
    if known.is_bundled:
        return [
            Finding(
                "server.bundled",
                "warning",
                f"The database is the bundled PostgreSQL {shown}: for development and small trials only.",
                "It comes with a Python package that lags behind PostgreSQL's security releases, and has no TLS.",
                "For production, run a patched PostgreSQL 17 or 18 and set PALIO_DATABASE_URL.",
            )
        ]
    return []


async def pages_have_checksums(tx: Tx, known: Known) -> list[Finding]:
    if await db.value(tx, "select current_setting('data_checksums')") == "on":
        return []
    return [
        Finding(
            "server.no_checksums",
            "warning",
            "The server stores its pages without checksums.",
            "A disk that returns wrong bytes would go unnoticed, in backups too.",
            "Stop the server and run pg_checksums --enable on its data directory.",
        )
    ]


async def role_is_weak(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select current_user::text as name, 'is a superuser' as fact from pg_roles
        where rolname = current_user and rolsuper
        union all
        select current_user::text, 'bypasses row security' from pg_roles where rolname = current_user and rolbypassrls
        union all
        select current_user::text, 'owns ' || count(*) || ' tables of Palio' from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and c.relowner = current_user::regrole and n.nspname in
          (select nspname from pg_namespace where nspowner in ('palio_owner'::regrole, 'palio_ledger'::regrole))
        having count(*) > 0""",
    )
    return [
        Finding(
            "roles.too_strong",
            "error",
            f"The role {row.name} that serves requests {row.fact}.",
            "Row security and append-only tables do not bind such a role: one faulty statement shows or changes all.",
            "Run palio db roles and let PALIO_DATABASE_URL name palio_app.",
        )
        for row in found
    ]


async def row_security_is_forced(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select distinct format('%%s.%%s', n.nspname, c.relname) as name, '' as fact from pg_policy p
        join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
        where not (c.relrowsecurity and c.relforcerowsecurity) order by name""",
    )
    return [
        Finding(
            "rls.not_forced",
            "error",
            f"Row security of {row.name} is not in force.",
            "Its policies say whose rows they are, but nobody obeys them.",
            f"As owner: alter table {row.name} enable row level security, force row level security.",
        )
        for row in found
    ]


async def triggers_are_enabled(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select t.tgrelid::regclass::text as name, t.tgname::text as fact from pg_trigger t
        join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where t.tgenabled = 'D' and not t.tgisinternal
          and n.nspowner in ('palio_owner'::regrole, 'palio_ledger'::regrole)
        order by 1, 2""",
    )
    return [
        Finding(
            "triggers.disabled",
            "error",
            f"The trigger {row.fact} of {row.name} is switched off.",
            "Triggers keep history unchangeable and transfers balanced; without them a fault goes through.",
            f"As owner: alter table {row.name} enable trigger {row.fact}; then palio verify ledger.",
        )
        for row in found
    ]


async def clocks_agree(tx: Tx, known: Known) -> list[Finding]:
    before = known.clock()
    at = await db.value(tx, "select clock_timestamp()")
    skew = max(before - at, at - known.clock())  # an answer that was long in coming is no disagreement
    if skew <= CLOCK_SKEW_MAX:
        return []
    return [
        Finding(
            "clock.skew",
            "warning",
            f"The clocks of this machine and of the database differ by {skew.total_seconds():.1f} s.",
            "The queue obeys the database's clock, windows of races and bonuses this one's.",
            "Have both machines keep time by NTP.",
        )
    ]


@dataclass(frozen=True, slots=True)
class Applied:
    """One migration of the database's history."""

    number: int
    phase: str
    name: str
    sha256: bytes


async def migrations_match(tx: Tx, known: Known) -> list[Finding]:
    applied = {
        (row.number, row.phase): row
        for row in await db.rows(tx, Applied, "select number, phase, name, sha256 from infra.migrations")
    }
    files = {migration.key: migration for migration in known.migrations}
    return [
        *(_pending(files[key]) for key in sorted(files.keys() - applied.keys())),
        *(_unknown(applied[key]) for key in sorted(applied.keys() - files.keys())),
        *(
            _edited(files[key])
            for key in sorted(files.keys() & applied.keys())
            if files[key].sha256 != applied[key].sha256
        ),
    ]


def _pending(migration: Migration) -> Finding:
    return Finding(
        "migrations.pending",
        "error",
        f"Migration {migration.number:04} {migration.name} is not applied.",
        "This program expects a schema that the database does not have yet.",
        "Run palio migrate.",
    )


def _unknown(row: Applied) -> Finding:
    return Finding(
        "migrations.unknown",
        "warning",
        f"The database has migration {row.number:04} {row.name}, which this program does not know.",
        "A newer program has been here.",
        "Run the newest release everywhere.",
    )


def _edited(migration: Migration) -> Finding:
    return Finding(
        "migrations.edited",
        "error",
        f"Migration {migration.number:04} {migration.name} differs from the one that was applied.",
        "The schema is not the one these files describe; the next migration will refuse to run.",
        "Install an unchanged release.",
    )


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a listed parent; the default one has no end."""

    parent: str
    period: str
    bound: str
    child: str
    is_default: bool
    expression: str
    live: int


async def partitions_reach_ahead(tx: Tx, known: Known) -> list[Finding]:
    parts = await db.rows(
        tx,
        Partition,
        """
        select p.parent, p.period, p.bound, i.inhrelid::regclass::text as child,
               pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' as is_default,
               pg_get_expr(c.relpartbound, c.oid) as expression, pg_stat_get_live_tuples(c.oid) as live
        from infra.partition_parents p join pg_inherits i on i.inhparent = to_regclass(p.parent)
        join pg_class c on c.oid = i.inhrelid order by 1, 4""",
    )
    parents = {part.parent: part for part in parts}
    ends = {part.parent: _end(part) for part in sorted(parts, key=_end) if not part.is_default}  # the last one stays
    short = [
        _short(parents[parent], end, known.now)
        for parent, end in sorted(ends.items())
        if end < known.now + HORIZON_MIN[parents[parent].period]
    ]
    bare = sorted(parents.keys() - ends.keys())
    return [
        *short,
        *([_bare(bare)] if bare else []),
        *_misplaced([part for part in parts if part.is_default and part.live > 0]),
    ]


def _end(part: Partition) -> datetime:
    """Where a range partition ends; ids carry their milliseconds in the first 48 bits."""
    written = BOUND_END.search(part.expression)
    if written is None:
        return datetime.max.replace(tzinfo=UTC)
    if part.bound == "uuid7":
        return datetime.fromtimestamp((UUID(written[1]).int >> 80) / 1000, UTC)
    end = datetime.fromisoformat(written[1])
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _short(part: Partition, end: datetime, now: datetime) -> Finding:
    is_over = end <= now
    return Finding(
        "partitions.missing",
        "error" if is_over else "warning",
        f"The partitions of {part.parent} reach to {end:%Y-%m-%d %H:%M} UTC.",
        "Rows beyond fall into the default partition, which slows every query of the table.",
        "Have a worker running: its job infra.partitions prepares them; or palio jobs run infra.partitions.",
    )


def _bare(parents: Sequence[str]) -> Finding:
    return Finding(
        "partitions.none",
        "warning",
        f"Nobody has prepared a partition of {', '.join(parents)} yet.",
        "Everything falls into the default partition until a worker has started once.",
        "Start one: palio up, or palio worker.",
    )


def _misplaced(defaults: Sequence[Partition]) -> list[Finding]:
    if not defaults:
        return []
    counts = ", ".join(f"{part.child} (about {part.live})" for part in defaults)
    return [
        Finding(
            "partitions.default_rows",
            "warning",
            f"Rows lie in default partitions: {counts}.",
            "They are found by every query of their table, whatever period it asks for.",
            "palio jobs run infra.partitions makes the missing partitions and moves them.",
        )
    ]


@dataclass(frozen=True, slots=True)
class Lag:
    """How long the oldest job that is due has waited."""

    queue: str
    waiting: int
    oldest: timedelta


async def queues_keep_up(tx: Tx, known: Known) -> list[Finding]:
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
        Finding(
            "queue.lag",
            "warning",
            f"{lag.waiting} jobs wait in the queue {lag.queue}, the oldest for {lag.oldest.total_seconds():.0f} s.",
            "Settlements, messages and clean-ups come late.",
            "Start a worker (palio up, or palio worker), or more of them.",
        )
        for lag in lags
        if lag.oldest > QUEUE_LAG_MAX.get(lag.queue, OTHER_QUEUE_LAG_MAX)
    ]


async def jobs_have_not_failed(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select task_name as name, count(*)::text as fact from jobs.procrastinate_jobs
        where status = 'failed' group by task_name order by task_name""",
    )
    return [
        Finding(
            "jobs.dead",
            "warning",
            f"The job {row.name} gave up {row.fact} times.",
            "What it had to do has not happened.",
            f"Read why with palio jobs list --status failed; then palio jobs retry {row.name}.",
        )
        for row in found
    ]


async def instances_are_alive(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select format('%%s on %%s (pid %%s)', role, host, pid) as name,
               to_char(seen_at at time zone 'utc', 'HH24:MI:SS') as fact
        from infra.instances where seen_at < clock_timestamp() - %s::interval order by seen_at""",
        INSTANCE_SILENCE_MAX,
    )
    return [
        Finding(
            "instances.dead",
            "warning",
            f"The instance {row.name} was last seen at {row.fact} UTC.",
            "It ended without saying so, or its machine is gone; its jobs go back to the queue by themselves.",
            "Look at its log. palio doctor --fix-safe forgets it.",
            forget_dead_instances,
        )
        for row in found
    ]


async def forget_dead_instances(tx: Tx) -> None:
    """Remove the rows of instances that have not been seen for a while; a living one writes its row again."""
    await db.run(
        tx, "delete from infra.instances where seen_at < clock_timestamp() - %s::interval", INSTANCE_SILENCE_MAX
    )


async def transactions_end(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select format('%%s of %%s', pid, usename) as name, coalesce(state, 'unknown') as fact from pg_stat_activity
        where datname = current_database() and xact_start < clock_timestamp() - %s::interval
          and backend_type = 'client backend' order by xact_start""",
        TRANSACTION_AGE_MAX,
    )
    return [
        Finding(
            "transactions.stuck",
            "warning",
            f"The session {row.name} has had a transaction open for over five minutes ({row.fact}).",
            "It keeps locks, and vacuum cannot clean behind it.",
            f"Find out whose it is; to end it: select pg_terminate_backend({row.name.split(' ')[0]}).",
        )
        for row in found
    ]


async def tables_are_vacuumed(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select format('%%s.%%s', schemaname, relname) as name,
               (100 * n_dead_tup / (n_live_tup + n_dead_tup))::text as fact
        from pg_stat_user_tables
        where n_dead_tup >= %s::bigint and n_dead_tup * 100 > (n_live_tup + n_dead_tup) * %s::bigint order by 1""",
        DEAD_ROWS_MIN,
        DEAD_ROWS_PERCENT_MAX,
    )
    return [
        Finding(
            "tables.dead_rows",
            "warning",
            f"{row.fact} % of the rows of {row.name} are dead.",
            "Autovacuum does not keep up; reads go through what is no longer there.",
            f"As owner: vacuum (analyze) {row.name}; and give autovacuum more workers.",
        )
        for row in found
    ]


async def indexes_are_valid(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as fact from pg_index i
        join pg_class c on c.oid = i.indexrelid where not i.indisvalid and c.relkind = 'i' order by 1""",
    )
    return [
        Finding(
            "indexes.invalid",
            "warning",
            f"The index {row.name} of {row.fact} is not valid.",
            "Building it was interrupted: it costs writes and serves no read.",
            f"As owner: reindex index concurrently {row.name}.",
        )
        for row in found
    ]


async def history_cannot_be_changed(tx: Tx, known: Known) -> list[Finding]:
    found = await db.rows(
        tx,
        Named,
        """
        select distinct t.tgrelid::regclass::text as name, current_user::text as fact from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        where p.proname = 'refuse_change' and t.tgname = 'append_only'
          and has_table_privilege(current_user, t.tgrelid, 'update, delete, truncate')
        order by name""",
    )
    return [
        Finding(
            "grants.too_strong",
            "error",
            f"The role {row.fact} has the right to change rows of {row.name}, which are only ever added.",
            "Only the trigger still refuses it; rights and trigger are meant to hold each other up.",
            f"As owner: revoke update, delete, truncate on {row.name} from {row.fact}.",
        )
        for row in found
    ]


async def settings_are_understood(tx: Tx, known: Known) -> list[Finding]:
    declared = {setting.key: setting for setting in known.settings}
    return [
        finding
        for line in await settings.list_all(tx)
        if line.version and (finding := _judged(line, declared.get(line.key)))
    ]


def _judged(line: Line, setting: Setting[Any] | None) -> Finding | None:
    if setting is None:
        return Finding(
            "settings.unknown",
            "note",
            f"The setting {line.key} was changed once, and this program does not know it.",
            "It comes from another release; its value is kept and acts no more.",
            "Nothing, unless you miss it.",
        )
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


CHECKS: tuple[Check, ...] = (
    server_is_current,
    pages_have_checksums,
    role_is_weak,
    row_security_is_forced,
    triggers_are_enabled,
    history_cannot_be_changed,
    clocks_agree,
    migrations_match,
    partitions_reach_ahead,
    queues_keep_up,
    jobs_have_not_failed,
    instances_are_alive,
    transactions_end,
    tables_are_vacuumed,
    indexes_are_valid,
    settings_are_understood,
)
