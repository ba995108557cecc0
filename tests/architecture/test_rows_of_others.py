"""Row security as it acts: nobody without a context sees a row of anybody, and a player sees his own alone."""

import psycopg
import pytest
from psycopg import sql

from palio.infra import embedded
from palio.kernel.ids import new_id


@pytest.fixture(scope="module")
def owned(cluster: embedded.Cluster, database_name: str) -> list[tuple[str, str, str]]:
    """Every table with row security that a column tells the owner of: schema, name, that column."""
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as server:
        return server.execute(
            r"""select n.nspname, c.relname, a.attname from pg_class c
              join pg_namespace n on n.oid = c.relnamespace
              join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
                and a.attname in ('user_id', 'owner_id', 'payer_id', 'participant_user_id')
            where c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity
              and has_table_privilege('palio_app', c.oid, 'select')
            order by 1, 2"""
        ).fetchall()


@pytest.fixture(scope="module")
def peopled(cluster: embedded.Cluster, database_name: str, owned: list[tuple[str, str, str]]) -> tuple[str, str]:
    """Two people with a row in as many of these tables as one can be made in without knowing them."""
    ours, others = str(new_id()), str(new_id())
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as server:
        for who in (ours, others):
            server.execute(
                """insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name,
                  created_at, activated_at)
                values (%s, 'p' || left(%s, 30), 'P', 'person', 'active', 'en', 'UTC', 'full', now(), now())""",
                (who, who.replace("-", "")[::-1]),
            )
            statements = (
                ("insert into identity.user_pii (user_id, created_at) values (%s, now())"),
                (
                    "insert into identity.passwords (user_id, hash, changed_at)"
                    " values (%s, '$argon2id$v=19$m=8,t=1,p=1$x', now())"
                ),
                (
                    "insert into identity.login_events (at, id, user_id, account_bidx, outcome, method, ip_bidx,"
                    " net_bidx, user_agent)"
                    " values (now(), gen_random_uuid(), %s, '', 'success', 'password', '', '', '')"
                ),
                (
                    "insert into identity.privacy_requests (id, user_id, kind, state, requested_at)"
                    " values (gen_random_uuid(), %s, 'erase', 'requested', now())"
                ),
                (
                    "insert into identity.consents (id, user_id, document_key, version, given_at, source)"
                    " values (gen_random_uuid(), %s, 'terms', 1, now(), 'account')"
                ),
                (
                    "insert into identity.play_exclusions (id, user_id, kind, activities, starts_at)"
                    " values (gen_random_uuid(), %s, 'time_out', '{stake}', now())"
                ),
                "insert into infra.data_keys (user_id, purpose, wrapped, kek_id) values (%s, 'person', '', 1)",
            )
            for statement in statements:
                server.execute(statement, (who,))
    return ours, others


def counted(
    cluster: embedded.Cluster, database_name: str, table: tuple[str, str, str], kind: str, user_id: str, whose: str
) -> tuple[int, int]:
    """How many rows the application sees in this context, and how many of them are somebody's."""
    schema, name, owner = table
    with psycopg.connect(cluster.dsn("palio_app", database_name)) as app:
        app.execute("select set_config('palio.kind', %s, true), set_config('palio.user_id', %s, true)", (kind, user_id))
        found = app.execute(
            sql.SQL("select count(*), count(*) filter (where t.{}::text = %s) from {} t").format(
                sql.Identifier(owner), sql.Identifier(schema, name)
            ),
            (whose,),
        ).fetchone()
    assert found
    return found


def test_without_a_context_nobody_sees_a_row_of_anybody(cluster, database_name, owned, peopled) -> None:  # type: ignore[no-untyped-def]
    seen = {table[:2]: counted(cluster, database_name, table, "", "", peopled[0])[0] for table in owned}
    assert len(owned) > 20
    assert {table: rows for table, rows in seen.items() if rows} == {}


@pytest.mark.parametrize("kind", ["player", "viewer"])
def test_a_player_sees_his_own_rows_alone(cluster, database_name, owned, peopled, kind) -> None:  # type: ignore[no-untyped-def]
    ours, others = peopled
    mine = {}
    for table in owned:
        rows, foreign = counted(cluster, database_name, table, kind, ours, others)
        assert foreign == 0, table
        mine[table[1]] = rows
    expected = ("user_pii", "passwords", "login_events", "privacy_requests", "consents", "play_exclusions", "data_keys")
    assert {name: mine[name] for name in expected} == dict.fromkeys(expected, 1), "the control: he does see his own"


def test_a_player_writes_nothing_for_somebody_else(cluster, database_name, peopled) -> None:  # type: ignore[no-untyped-def]
    """`with check` refuses a foreign owner, a viewer changes nothing, and nobody shortens a break by himself."""
    ours, others = peopled
    with psycopg.connect(cluster.dsn("palio_app", database_name)) as app:
        app.execute("select set_config('palio.kind', 'player', true), set_config('palio.user_id', %s, true)", (ours,))
        changed = app.execute("update identity.user_pii set full_name = '\\x00' where user_id = %s", (others,))
        assert changed.rowcount == 0
        assert app.execute("update identity.play_exclusions set ends_at = now()").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("insert into identity.user_pii (user_id, created_at) values (%s, now())", (others,))
    with psycopg.connect(cluster.dsn("palio_app", database_name)) as app:
        app.execute("select set_config('palio.kind', 'viewer', true), set_config('palio.user_id', %s, true)", (ours,))
        assert app.execute("update identity.user_pii set full_name = '\\x00'").rowcount == 0


def test_a_table_of_people_without_policies_is_named(cluster, database_name) -> None:  # type: ignore[no-untyped-def]
    """The control of the catalogue test: a bare table would be seen whole by everybody."""
    with psycopg.connect(cluster.dsn("postgres", database_name)) as server:
        server.execute("create table public.x (user_id uuid)")
        bare = server.execute(
            """select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relkind = 'r' and a.attname = 'user_id' and not (c.relrowsecurity and c.relforcerowsecurity)
              and c.relnamespace = 'public'::regnamespace"""
        ).fetchall()
        assert bare == [("x",)]
        server.rollback()
