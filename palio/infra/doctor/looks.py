"""What one statement finds: each row it returns is a finding, with the row's name and fact in its words.

Catalogues and statistics only, so a large database costs no more.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

from palio.infra import db
from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding, Symptom

TRANSACTION_AGE_MAX = timedelta(minutes=5)
INSTANCE_SILENCE_MAX = timedelta(seconds=30)
DEAD_ROWS_PERCENT_MAX, DEAD_ROWS_MIN = 20, 10_000


@dataclass(frozen=True, slots=True)
class Named:
    """Something the catalogue names."""

    name: str
    fact: str


@dataclass(frozen=True, slots=True)
class Look:
    """A statement that returns what is wrong as `name` and `fact`."""

    symptom: Symptom
    statement: LiteralString
    values: tuple[object, ...] = ()


async def look(tx: Tx) -> list[Finding]:
    """What the statements find, in their order."""
    return [
        each.symptom.found(name=row.name, fact=row.fact)
        for each in LOOKS
        for row in await db.rows(tx, Named, each.statement, *each.values)
    ]


async def forget_dead_instances(tx: Tx) -> None:
    """Remove the rows of instances that have not been seen for a while; a living one writes its row again."""
    await db.run(
        tx, "delete from infra.instances where seen_at < clock_timestamp() - %s::interval", INSTANCE_SILENCE_MAX
    )


LOOKS: tuple[Look, ...] = (
    Look(
        Symptom(
            "sealed.misplaced",
            "error",
            "Sealed values of {name} do not open where they lie: {fact}.",
            "Somebody with access to the database put them there, or altered them; nobody can read them.",
            "palio keys misplaced names every row; put each value back, or have its owner write it anew.",
        ),
        """
        select table_name || '.' || column_name as name,
          count(*) || case count(*) when 1 then ' row, ' else ' rows, the first ' end || min(row_id::text) as fact
        from infra.misplaced_values group by table_name, column_name order by 1""",
    ),
    Look(
        Symptom(
            "server.no_checksums",
            "warning",
            "The server stores its pages without checksums.",
            "A disk that returns wrong bytes would go unnoticed, in backups too.",
            "Stop the server and run pg_checksums --enable on its data directory.",
        ),
        """
        select name, setting as fact from pg_settings where name = 'data_checksums' and setting = 'off'""",
    ),
    Look(
        Symptom(
            "roles.too_strong",
            "error",
            "The role {name} that serves requests {fact}.",
            "Row security and append-only tables do not bind such a role: one faulty statement shows or changes all.",
            "Run palio db roles and let PALIO_DATABASE_URL name palio_app.",
        ),
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
    ),
    Look(
        Symptom(
            "rls.not_forced",
            "error",
            "Row security of {name} is not in force.",
            "Its policies say whose rows they are, but nobody obeys them.",
            "As owner: alter table {name} enable row level security, force row level security.",
        ),
        """
        select distinct format('%%s.%%s', n.nspname, c.relname) as name, '' as fact from pg_policy p
        join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
        where not (c.relrowsecurity and c.relforcerowsecurity) order by name""",
    ),
    Look(
        Symptom(
            "triggers.disabled",
            "error",
            "The trigger {fact} of {name} is switched off.",
            "Triggers keep history unchangeable and transfers balanced; without them a fault goes through.",
            "As owner: alter table {name} enable trigger {fact}; then palio verify ledger.",
        ),
        """
        select t.tgrelid::regclass::text as name, t.tgname::text as fact from pg_trigger t
        join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where t.tgenabled = 'D' and not t.tgisinternal
          and n.nspowner in ('palio_owner'::regrole, 'palio_ledger'::regrole)
        order by 1, 2""",
    ),
    Look(
        Symptom(
            "grants.too_strong",
            "error",
            "The role {fact} has the right to change rows of {name}, which are only ever added.",
            "Only the trigger still refuses it; rights and trigger are meant to hold each other up.",
            "As owner: revoke update, delete, truncate on {name} from {fact}.",
        ),
        """
        select distinct t.tgrelid::regclass::text as name, current_user::text as fact from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        where p.proname = 'refuse_change' and t.tgname = 'append_only'
          and has_table_privilege(current_user, t.tgrelid, 'update, delete, truncate')
        order by name""",
    ),
    Look(
        Symptom(
            "jobs.dead",
            "warning",
            "The job {name} gave up {fact} times.",
            "What it had to do has not happened.",
            "Read why with palio jobs list --status failed; then palio jobs retry {name}.",
        ),
        """
        select task_name as name, count(*)::text as fact from jobs.procrastinate_jobs
        where status = 'failed' group by task_name order by task_name""",
    ),
    Look(
        Symptom(
            "instances.dead",
            "warning",
            "The instance {name} was last seen at {fact} UTC.",
            "It ended without saying so, or its machine is gone; its jobs go back to the queue by themselves.",
            "Look at its log. palio doctor --fix-safe forgets it.",
            forget_dead_instances,
        ),
        """
        select format('%%s on %%s (pid %%s)', role, host, pid) as name,
               to_char(seen_at at time zone 'utc', 'HH24:MI:SS') as fact
        from infra.instances where seen_at < clock_timestamp() - %s::interval order by seen_at""",
        (INSTANCE_SILENCE_MAX,),
    ),
    Look(
        Symptom(
            "transactions.stuck",
            "warning",
            "The session {name} has had a transaction open for over five minutes ({fact}).",
            "It keeps locks, and vacuum cannot clean behind it.",
            "Find out whose it is; to end it: select pg_terminate_backend({name}).",
        ),
        """
        select pid::text as name, format('%%s, %%s', usename, coalesce(state, 'unknown')) as fact from pg_stat_activity
        where datname = current_database() and xact_start < clock_timestamp() - %s::interval
          and backend_type = 'client backend' order by xact_start""",
        (TRANSACTION_AGE_MAX,),
    ),
    Look(
        Symptom(
            "tables.dead_rows",
            "warning",
            "{fact} % of the rows of {name} are dead.",
            "Autovacuum does not keep up; reads go through what is no longer there.",
            "As owner: vacuum (analyze) {name}; and give autovacuum more workers.",
        ),
        """
        select format('%%s.%%s', schemaname, relname) as name,
               (100 * n_dead_tup / (n_live_tup + n_dead_tup))::text as fact
        from pg_stat_user_tables
        where n_dead_tup >= %s::bigint and n_dead_tup * 100 > (n_live_tup + n_dead_tup) * %s::bigint order by 1""",
        (DEAD_ROWS_MIN, DEAD_ROWS_PERCENT_MAX),
    ),
    Look(
        Symptom(
            "indexes.invalid",
            "warning",
            "The index {name} of {fact} is not valid.",
            "Building it was interrupted: it costs writes and serves no read.",
            "As owner: reindex index concurrently {name}.",
        ),
        """
        select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as fact from pg_index i
        join pg_class c on c.oid = i.indexrelid where not i.indisvalid and c.relkind = 'i' order by 1""",
    ),
)
