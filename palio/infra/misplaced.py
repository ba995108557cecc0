"""Sealed values that do not open where they lie: somebody with access to the database put them there, or altered them.

Whatever reads many values in the background, as a rotation of keys does, goes on without them and notes where they
are; they are an alarm until each opens again, is written anew, or is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from psycopg import sql

from palio.infra import crypto, db
from palio.infra.crypto import Place, WrongContext
from palio.infra.db import Tx
from palio.kernel.providers import SealedColumn

LOOKED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Where such a value lies, under which data key it is, and when it was found."""

    table_name: str
    column_name: str
    row_id: UUID
    data_key_id: int
    found_at: datetime


async def list_found(tx: Tx, *, limit: int = LOOKED_AT_ONCE) -> list[Misplaced]:
    """The values that are misplaced, in the order of their tables."""
    return await db.rows(
        tx,
        Misplaced,
        """select table_name, column_name, row_id, data_key_id, found_at from infra.misplaced_values
        order by table_name, column_name, row_id limit %s""",
        limit,
    )


async def open_or_note(tx: Tx, items: Sequence[tuple[bytes, Place]]) -> list[str | None]:
    """Open sealed values, in the order given; None for what nobody can read, which is noted if it is misplaced."""
    opened = await crypto.open_each(tx, items)
    wrong = [(one, sealed) for one, (sealed, _) in zip(opened, items, strict=True) if isinstance(one, WrongContext)]
    await _note(tx, wrong)
    return [one if isinstance(one, str) else None for one in opened]


async def look_again(tx: Tx, columns: Sequence[SealedColumn]) -> int:
    """Forget those that are in order by now, looking at up to 1,000; answers how many.

    A rotation has to look at their keys again.
    """
    found, done = await list_found(tx), 0
    for name, group in groupby(found, key=lambda one: (one.table_name, one.column_name)):
        known = [one.row_id for one in group]
        column = next((each for each in columns if (each.table, each.column) == name), None)
        still = await _still_misplaced(tx, column, known) if column else []
        settled = sorted({*known} - {*still})
        await db.run(
            tx,
            """with settled as (delete from infra.misplaced_values
              where table_name = %s and column_name = %s and row_id = any (%s::uuid[]) returning data_key_id)
            update infra.data_keys set emptied_at = null
            where id in (select data_key_id from settled) and destroyed_at is null""",
            *(*name, settled),
        )
        done += len(settled)
    return done


async def _still_misplaced(tx: Tx, column: SealedColumn, row_ids: Sequence[UUID]) -> list[UUID]:
    """Those of these rows whose value does not open."""
    owner = sql.Identifier(column.user_id) if column.user_id else sql.SQL("null::uuid")
    cursor = await tx.execute(
        sql.SQL(
            "select {row_id}, {owner}, {column} from {table} where {row_id} = any (%s::uuid[]) and {column} is not null"
        ).format(owner=owner, **names(column)),
        (list(row_ids),),
    )
    rows = await cursor.fetchall()
    places = [crypto.place_in(column, row_id, user_id) for row_id, user_id, _ in rows]
    opened = await crypto.open_each(tx, [(row[2], place) for row, place in zip(rows, places, strict=True)])
    wrong = [(one, row[2]) for one, row in zip(opened, rows, strict=True) if isinstance(one, WrongContext)]
    await _note(tx, wrong)
    return [one.place.row_id for one, _ in wrong]


async def _note(tx: Tx, wrong: Sequence[tuple[WrongContext, bytes]]) -> None:
    """Keep where they are, and write down in the audit those that nobody knew of."""
    if not wrong:
        return
    places = [one.place for one, _ in wrong]
    cursor = await tx.execute(
        """insert into infra.misplaced_values as m (table_name, column_name, row_id, data_key_id)
        select * from unnest(%s::text[], %s::text[], %s::uuid[], %s::bigint[]) x (a, b, c, d) order by a, b, c
        on conflict (table_name, column_name, row_id) do update set data_key_id = excluded.data_key_id
          where m.data_key_id <> excluded.data_key_id
        returning table_name, column_name, row_id""",
        (
            [place.table for place in places],
            [place.column for place in places],
            [place.row_id for place in places],
            [crypto.data_key_of(sealed) for _, sealed in wrong],
        ),
    )
    unknown = {tuple(row) for row in await cursor.fetchall()}
    for one, _ in wrong:
        if (one.place.table, one.place.column, one.place.row_id) in unknown:
            await one.leave(tx, tx.actor)


def names(column: SealedColumn) -> dict[str, sql.Composable]:
    """A column, its table, and the column that names its rows, as parts of a statement."""
    return {
        "table": sql.Identifier(*column.table.split(".")),
        "column": sql.Identifier(column.column),
        "row_id": sql.Identifier(column.row_id),
    }
