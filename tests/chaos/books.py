"""Every row that business has written, with a name for each id, so that two courses of events can be compared."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

BUSINESS = ["affiliates", "competitions", "identity", "ledger", "races"]
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
TABLES = """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any (%s) order by 1, 2"""
COLUMNS = """select column_name, data_type, is_identity = 'YES' from information_schema.columns
    where table_schema = %s and table_name = %s"""
NAMES = """
    select id::text, 'player ' || uid from affiliates.players
    union all select id::text, 'snapshot of ' || fetched_at || ' ' || status from affiliates.snapshots
    union all select id::text, 'payload ' || encode(sha256, 'hex') from affiliates.payloads
    union all select id::text, 'cycle of ' || due_at from affiliates.cycles
    union all select id::text, 'competition ' || title from competitions.competitions
    union all select ref_id::text, 'transfer ' || key from ledger.keys
    union all select id::text, 'user ' || username from identity.users"""
ENTRANTS = "select id, kind || ':' || ref from competitions.entrants"
ACCOUNTS = "select id, address || '/' || asset_id from ledger.accounts"
NUMBERS = {  # which a sequence gives, so that an attempt that failed has used some up
    **dict.fromkeys(("entrant_id", "entrant", "leader_entrant"), ENTRANTS),
    "account_id": ACCOUNTS,
}
OF_THE_ATTEMPT = {"tx_id"}
BY_THE_CLOCK = {  # of how it stood whenever they ran
    *(("competitions", "snapshots"), ("competitions", "rank_marks")),
    *(("ledger", "rounds"), ("ledger", "rollups"), ("ledger", "daily_sums")),
    *(("ledger", "seals"), ("ledger", "seal_leaves")),
}

Books = Mapping[str, list[str]]


def read(dsn: str, *, since: datetime) -> Books:
    """The rows of each table as text, sorted. Instants from `since` on are of the wall clock: all are `now`."""
    with psycopg.connect(dsn, row_factory=dict_row) as conn:
        conn.execute("set timezone = 'UTC'")
        writer = _Writer(conn, since)
        tables = conn.execute(TABLES, [BUSINESS]).fetchall()
        return {
            f"{table['nspname']}.{table['relname']}": writer.rows(table["nspname"], table["relname"])
            for table in tables
            if (table["nspname"], table["relname"]) not in BY_THE_CLOCK
        }


def messages(dsn: str) -> list[str]:
    """What waits to be handled, by handler."""
    with psycopg.connect(dsn) as conn:
        return [
            f"{task}: {key}"
            for task, key in conn.execute(
                "select task_name, queueing_lock from jobs.procrastinate_jobs where status = 'todo' order by 1, 2"
            )
        ]


class _Writer:
    def __init__(self, conn: psycopg.Connection[dict[str, object]], since: datetime) -> None:
        self._conn, self._since = conn, since
        self._names = self._lookup(NAMES)
        self._numbers = {column: self._lookup(statement) for column, statement in NUMBERS.items()}

    def _lookup(self, statement: str) -> dict[str, str]:
        return {str(key): str(name) for key, name in (row.values() for row in self._conn.execute(statement.encode()))}

    def rows(self, schema: str, table: str) -> list[str]:
        columns = [tuple(row.values()) for row in self._conn.execute(COLUMNS, [schema, table])]
        left_out = OF_THE_ATTEMPT | {name for name, kind, is_identity in columns if is_identity and name == "id"}
        if table == "accounts":
            left_out |= {"id"}
        found = self._conn.execute(sql.SQL("select * from {}").format(sql.Identifier(schema, table)))
        return sorted(
            " ".join(f"{name}={self._text(name, value)}" for name, value in row.items() if name not in left_out)
            for row in found
        )

    def _text(self, column: str, value: object) -> str:
        if isinstance(value, datetime):
            return "now" if value >= self._since else value.astimezone(UTC).isoformat()
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, dict):
            return "{" + " ".join(f"{name}={self._text(name, part)}" for name, part in sorted(value.items())) + "}"
        if isinstance(value, list):
            return "[" + " ".join(self._text(column, part) for part in value) + "]"
        text = self._numbers.get(column, {}).get(str(value), str(value))
        return UUID.sub(self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        return self._names.get(found[0], "an id")


def sums(dsn: str) -> dict[str, object]:
    """What must hold of every ledger: entries sum to zero, each transfer has one key, each key one transfer."""
    with psycopg.connect(dsn, row_factory=dict_row) as conn:
        found = conn.execute("""select
            (select coalesce(sum(amount), 0)::bigint from ledger.entries) as entries,
            (select count(*) from ledger.keys) as keys,
            (select count(*) from ledger.transfers t join ledger.keys k on k.key = t.key and k.ref_id = t.id) as paired,
            (select count(*) from ledger.transfers) as transfers""").fetchone()
    return dict(found or {})


def settlement(dsn: str) -> dict[str, object]:
    """How much of one competition is settled: what its pool held at the freeze, and what of it was given away."""
    with psycopg.connect(dsn, row_factory=dict_row) as conn:
        found = conn.execute("""select
            (select count(*) from competitions.standings) as standings,
            (select count(*) from competitions.archives) as archives,
            (select coalesce(sum(amount), 0)::bigint from competitions.rewards)
              + (select coalesce(sum(amount), 0)::bigint from competitions.undistributed) as given,
            (select pool_final from competitions.competitions) as pool""").fetchone()
    return dict(found or {})


def balances(dsn: str) -> dict[str, int]:
    """Every wallet in USD, by user name."""
    with psycopg.connect(dsn) as conn:
        return dict(
            conn.execute("""
            select u.username, b.balance from ledger.balances b join identity.users u on u.id = b.owner_id
            order by 1""").fetchall()
        )


def states(dsn: str) -> list[str]:
    """Where each competition is."""
    return _words(dsn, "select status from competitions.competitions order by 1")


def stages(dsn: str) -> list[str]:
    """Where each race is."""
    return _words(dsn, "select stage from races.races order by 1")


def _words(dsn: str, statement: LiteralString) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return [str(row[0]) for row in conn.execute(statement)]
