"""What the migrated schema promises of every table: row security, guards, instants, foreign keys, rights.

Each list of exceptions names a table or a column, and the reason.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from palio.infra import embedded

FOLDER = Path(__file__).parent
OWNER_COLUMNS = ["user_id", "owner_id", "payer_id", "participant_user_id"]
OWNED_THROUGH_OTHERS = ["ledger.entries", "ledger.transfers"]
ACTOR_ONCE = "( SELECT infra.actor_id() AS actor_id)"


def listed(name: str) -> dict[str, str]:
    found = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    assert all(reason.strip() for reason in found.values()), "every exception says why"
    return found


@pytest.fixture(scope="module")
def ask(cluster: embedded.Cluster, database_name: str) -> Iterator:
    """Ask the catalogue; `tables` are ours, without partitions and the queue's own, `columns` theirs."""
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as connection:
        connection.execute(
            r"""create temporary view tables as
            select c.oid, n.nspname || '.' || c.relname as name,
              c.relrowsecurity and c.relforcerowsecurity as is_forced,
              coalesce((select string_agg(pg_get_expr(p.polqual, p.polrelid), ' ') from pg_policy p
                where p.polrelid = c.oid), '') as policies
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and not c.relispartition
              and n.nspname not in ('jobs', 'information_schema') and n.nspname not like 'pg\_%'"""
        )
        connection.execute(
            """create temporary view columns as
            select t.oid, t.name as table, a.attname as name, t.name || '.' || a.attname as full_name, a.attnum,
              a.attnotnull, format_type(a.atttypid, -1) as type, col_description(t.oid, a.attnum) as comment
            from tables t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped"""
        )

        def answer(statement: LiteralString, *values: object) -> list:
            rows = connection.execute(statement, values or None).fetchall()
            return [row[0] if len(row) == 1 else row for row in rows]

        yield answer


def test_a_table_with_an_owner_forces_row_security(ask) -> None:
    owned = ask(
        """select t.name, t.is_forced, t.policies from tables t where t.name = any (%s)
        or exists (select from columns c where c.oid = t.oid and c.name = any (%s))""",
        OWNED_THROUGH_OTHERS,
        OWNER_COLUMNS,
    )
    bare = {name for name, is_forced, policies in owned if not is_forced or "infra.actor_kind()" not in policies}
    assert bare - listed("rls_exemptions").keys() == set(), "enable and force it, or say why not in rls_exemptions.toml"


def test_a_policy_asks_for_the_actor_once_a_statement_and_is_for_a_named_role(ask) -> None:
    """`(select infra.actor_id())` in parentheses is evaluated once, without them once a row."""
    careless = "select name from tables where replace(policies, %s, '') like '%%infra.actor_id()%%'"
    assert ask(careless, ACTOR_ONCE) == []
    assert ask("select polrelid::regclass::text || ' ' || polname from pg_policy where polroles = '{0}'") == []


def test_the_application_has_no_right_on_any_partition(ask) -> None:
    rights = """select c.oid::regclass::text, r.kind from pg_class c cross join
        unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as r (kind)
        where c.relispartition and c.relkind in ('r', 'p') and has_table_privilege('palio_app', c.oid, r.kind)"""
    assert ask(rights) == []


def test_the_application_owns_nothing_and_truncates_nothing(ask) -> None:
    owned = (
        "select c.oid::regclass::text from pg_class c where pg_get_userbyid(c.relowner) in ('palio_app', 'palio_read')"
    )
    assert ask(owned) == []
    truncated = "select name from tables where has_table_privilege('palio_app', oid, 'truncate')"
    assert ask(truncated) == []


def test_an_append_only_table_is_refused_changes_by_grants_as_well_as_by_its_trigger(ask) -> None:
    granted = """select c.oid::regclass::text from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where t.tgname = 'append_only' and (has_table_privilege('palio_app', c.oid, 'update')
          or has_table_privilege('palio_app', c.oid, 'delete') or t.tgenabled <> 'O')"""
    assert ask(granted) == []


def test_audit_and_ledger_refuse_truncation_on_every_partition(ask) -> None:
    unguarded = r"""select c.oid::regclass::text from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where t.tgname = 'append_only' and c.oid::regclass::text ~ '^(infra|ledger)\.' and not exists (
          select from pg_trigger u where u.tgrelid = c.oid and u.tgname = 'no_truncate' and u.tgenabled = 'O')"""
    assert ask(unguarded) == []


def test_definers_are_listed_and_safe_to_call(ask) -> None:
    """Their search path is fixed, and who may call them is named."""
    found = dict(
        ask(
            """select p.oid::regprocedure::text,
              coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
                and not has_function_privilege('public', p.oid, 'execute')
            from pg_proc p where p.prosecdef"""
        )
    )
    known = listed("definers")
    assert found.keys() - known.keys() == set(), "each definer has its line in definers.toml"
    schemas = {name.split(".")[0] for name in ask("select name from tables")}
    assert {name for name in known.keys() - found.keys() if _is_landed(name, schemas)} == set(), "it is gone"
    assert [name for name, is_safe in found.items() if not is_safe] == []


def test_every_row_knows_since_when(ask) -> None:
    undated = ask(
        r"""select t.name from tables t where not exists (select from columns c where c.oid = t.oid and c.attnotnull
          and c.type = 'timestamp with time zone' and (c.name = 'at' or c.name like '%\_at'))"""
    )
    assert set(undated) - listed("undated").keys() == set(), (
        "created_at timestamptz not null, or a line in undated.toml"
    )


def test_every_reference_is_a_foreign_key(ask) -> None:
    loose = ask(
        r"""select c.full_name, c.name from columns c where c.name like '%\_id' and not exists (
          select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and c.attnum = any (k.conkey))"""
    )
    exempt = listed("references")
    assert [column for column, name in loose if column not in exempt and name not in exempt] == []


def test_what_looks_personal_is_sealed(ask) -> None:
    plain = ask(
        """select full_name from columns where type in ('text', 'inet', 'date', 'character varying')
        and name ~ '(^|_)(email|phone|postal|street|legal_name|birth|birthday|ip|device_id)($|_)'
        and comment is distinct from 'sealed'"""
    )
    assert set(plain) - listed("unsealed").keys() == set(), "seal it, or say why not in unsealed.toml"


def test_no_exception_outlives_what_it_excepts(ask) -> None:
    tables, columns = set(ask("select name from tables")), set(ask("select full_name from columns"))
    schemas = {name.split(".")[0] for name in tables}
    named = {*listed("rls_exemptions"), *listed("undated"), *listed("unsealed"), *listed("references")}
    dotted = {name for name in named if "." in name and _is_landed(name, schemas)}
    assert dotted - tables - columns == set()


def _is_landed(name: str, schemas: set[str]) -> bool:
    """A module that is not built yet may have its exceptions already."""
    return name.split(".", maxsplit=1)[0] in schemas
