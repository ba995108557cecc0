"""The queue's schema is the installed library's, without the two triggers that notify inside a transaction."""

from importlib.resources import files

import psycopg

from palio.infra import embedded

LEFT_OUT = {"procrastinate_jobs_notify_queue_job_inserted_v1", "procrastinate_jobs_notify_queue_job_aborted_v1"}
CATALOGUE = """
    select 'function', p.proname, pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'jobs'::regnamespace
    union all select 'trigger', t.tgname, pg_get_triggerdef(t.oid)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = 'jobs'::regnamespace and not t.tgisinternal
    union all select 'index', i.indexname, i.indexdef from pg_indexes i where i.schemaname = 'jobs'
    union all select 'constraint', k.conname, pg_get_constraintdef(k.oid) from pg_constraint k
      where k.connamespace = 'jobs'::regnamespace
    union all select 'column', c.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
      a.attnotnull, a.attidentity, a.attnum, pg_get_expr(d.adbin, d.adrelid))
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where c.relnamespace = 'jobs'::regnamespace and c.relkind in ('r', 'c')
    union all select 'enum', t.typname, string_agg(e.enumlabel, ' ' order by e.enumsortorder)
      from pg_type t join pg_enum e on e.enumtypid = t.oid
      where t.typnamespace = 'jobs'::regnamespace group by t.typname
    union all select 'sequence', c.relname, '' from pg_class c
      where c.relnamespace = 'jobs'::regnamespace and c.relkind = 'S'"""


def catalogue(connection: psycopg.Connection) -> set[tuple[str, ...]]:
    connection.execute("set search_path = pg_catalog")  # so that every name is told in full
    return set(connection.execute(CATALOGUE).fetchall())


def test_an_upgrade_of_the_library_cannot_forget_its_migration(cluster: embedded.Cluster, database_name: str) -> None:
    library = f"{database_name}_library"
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as admin:
        ours = catalogue(admin)
        admin.execute(f"create database {library}")
        try:
            with psycopg.connect(cluster.dsn("postgres", library), autocommit=True) as fresh:
                fresh.execute("create schema jobs")
                fresh.execute("set search_path = jobs")
                fresh.execute(files("procrastinate").joinpath("sql/schema.sql").read_text())
                theirs = catalogue(fresh)
        finally:
            admin.execute(f"drop database {library}")
    assert ours - theirs == set()
    assert {name for _, name, *_ in theirs - ours} == LEFT_OUT
