"""Which server this database lives on. Transaction numbers are the server's: after a move they would begin anew.

`palio db adopt` accepts a database that was loaded into another server, and raises the offset of its numbers above all
that are stored, so that they go on rising and seals follow one another.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from palio.infra import db
from palio.infra.db import Tx
from palio.infra.external import UnfitServerError

KNOWN = "select system_identifier from infra.clusters order by no desc limit 1"
PRESENT = "select system_identifier from pg_control_system()"
NUMBERS = r"""
    select n.nspname, c.relname, a.attname, c.relowner::regrole::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('jobs', 'information_schema')
      and n.nspname not like 'pg\_%%' and a.attnum > 0 and not a.attisdropped and a.atttypid = 'int8'::regtype
      and a.attname = any (%s::text[])
    order by 1, 2, 3"""
NAMES = ["tx_id", "from_tx", "to_tx", "through_tx"]


async def require_known(tx: Tx) -> None:
    """Let nobody work in a database that was loaded into another server. Raises UnfitServerError."""
    known, present = await db.value(tx, KNOWN), await db.value(tx, PRESENT)
    if known != present:
        raise UnfitServerError(
            "this database was loaded into another server, where its transaction numbers would begin anew: look whether"
            " it is the one you want, then palio db adopt --reason TEXT"
        )


async def note(tx: Tx, *, why: str, now: datetime) -> None:
    """Write down that the database goes on from an earlier state, on the same server."""
    await db.run(
        tx,
        """
        insert into infra.clusters (no, system_identifier, tx_offset, adopted_at, why)
        select max(no) + 1, (select system_identifier from pg_control_system()), infra.tx_offset(), %s, %s
        from infra.clusters""",
        now,
        why,
    )


def adopt(dsn: str, *, why: str) -> int | None:
    """Accept the database on the server it is on, and answer the offset of its transaction numbers from now on.

    None: it is at home there, and nothing was changed. By the role of migrations; nobody else may work meanwhile.
    """
    with psycopg.connect(dsn) as conn:
        conn.execute("set local role palio_owner")
        conn.execute("lock table infra.clusters in access exclusive mode")
        if conn.execute(KNOWN).fetchone() == conn.execute(PRESENT).fetchone():
            return None
        offset = max(_stored(conn), default=0) + 1
        conn.execute("set local role palio_owner")
        conn.execute(
            sql.SQL(
                "create or replace function infra.tx_offset() returns bigint language sql stable parallel safe"
                " return {}::bigint"
            ).format(sql.Literal(offset))
        )
        conn.execute(
            """insert into infra.clusters (no, system_identifier, tx_offset, adopted_at, why)
            select coalesce(max(c.no), 0) + 1, (select system_identifier from pg_control_system()), %s,
              clock_timestamp(), %s
            from infra.clusters c""",
            [offset, why],
        )
        conn.execute(
            """insert into infra.audit_rows
              (actor_kind, action, entity_type, entity_id, changes, reason, request_id, via)
            values ('system', 'database.adopt', 'infra.clusters', current_database(),
              jsonb_build_object('tx_offset', jsonb_build_array(null, %s::bigint)), %s, gen_random_uuid(), 'cli')""",
            [offset, why],
        )
        return offset


def _stored(conn: psycopg.Connection[Any]) -> Iterator[int]:
    """The highest number in each column that holds transaction numbers."""
    for schema, table, column, owner in conn.execute(NUMBERS, [NAMES]).fetchall():
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(owner)))
        found = conn.execute(
            sql.SQL("select max({}) from {}").format(sql.Identifier(column), sql.Identifier(schema, table))
        ).fetchone()
        if found and found[0] is not None:
            yield int(found[0])
