"""Rotation of keys: whatever was sealed under an older wrapping key is sealed anew, while everybody works on.

A data key that an older key wraps is retired: its owner seals with a new one from then on. What it sealed is sealed
anew, some rows at a time, passing over those that somebody else holds. Once nothing is left, and whoever read such a
value before has long opened it, it is destroyed; then nothing is under the older wrapping key, which can be dropped.
Nobody waits for a rotation longer than for one statement, and one that was killed goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from psycopg import sql

from palio.infra import crypto, db, outbox
from palio.infra.db import Database, Tx
from palio.infra.keyring import Keyring, KeyringError
from palio.infra.messages import Reencrypt
from palio.kernel.errors import Conflict
from palio.kernel.messages import handles
from palio.kernel.providers import SealedColumn
from palio.kernel.schedules import Schedule

SCHEDULE = Schedule("infra.reencrypt", "every 10m", Reencrypt(), at_start=True)
KEYS_AT_ONCE = ROWS_AT_ONCE = 500
TURNS_MAX = 20  # of one job: then others have their turn, and the next goes on
REST = timedelta(minutes=10)  # for which an empty key is kept: whoever read a value of it has opened it by then


class WrappingKeyNeeded(Conflict):
    """Data keys are still wrapped with this key; wait until `palio keys status` counts none."""

    code: ClassVar[str] = "crypto.key_needed"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """How many data keys a wrapping key holds: in use, retired with values still under them, and empty."""

    wrapping_key: int
    in_use: int
    retired: int
    empty: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A sealed value and where it lies; `part` and `at` find the row again while it is locked."""

    part: int
    at: str
    row_id: UUID
    user_id: UUID | None
    sealed: bytes


async def status(tx: Tx) -> list[Wrapped]:
    """What each wrapping key still holds, the lowest number first."""
    return await db.rows(
        tx,
        Wrapped,
        """select kek_id as wrapping_key, count(*) filter (where retired_at is null) as in_use,
          count(*) filter (where retired_at is not null and emptied_at is null) as retired,
          count(*) filter (where emptied_at is not null) as empty
        from infra.data_keys where destroyed_at is null group by kek_id order by kek_id""",
    )


async def needed_keys(tx: Tx) -> list[int]:
    """The numbers of the wrapping keys that something needs, each found by one look into the index."""
    return await db.column(
        tx,
        """with recursive used as (
          (select kek_id from infra.data_keys where destroyed_at is null order by kek_id limit 1)
          union all
          select (select k.kek_id from infra.data_keys k where k.destroyed_at is null and k.kek_id > u.kek_id
            order by k.kek_id limit 1) from used u where u.kek_id is not null)
        select kek_id from used where kek_id is not null""",
    )


async def require_keys(tx: Tx) -> None:
    """Let a process begin that can open everything. Raises KeyringError, naming the numbers that are missing."""
    ring = tx.equipment.keyring
    if ring and (missing := [number for number in await needed_keys(tx) if number not in ring.wrapping]):
        raise KeyringError(f"the keyring lacks wrapping keys that sealed values need: {', '.join(map(str, missing))}")


async def require_unneeded(tx: Tx, *, number: int) -> None:
    """Let a wrapping key be dropped. Refuses with WrappingKeyNeeded."""
    held = next((one for one in await status(tx) if one.wrapping_key == number), None)
    if held:
        raise WrappingKeyNeeded(wrapping_key=number, data_keys=held.in_use + held.retired + held.empty)


@handles(Reencrypt, queue="bulk")
async def reencrypt(database: Database, job: Reencrypt) -> None:
    """Take some turns of a rotation, and have the next job go on while there is more to do."""
    if database.equipment.keyring is None:
        return
    for _ in range(TURNS_MAX):
        if not await turn(database):
            return
    async with database.begin_system("a rotation goes on") as tx:
        await outbox.send(tx, Reencrypt(), key="more")


async def turn(database: Database, *, rest: timedelta = REST) -> int:
    """Bring a rotation on by 500 keys and 500 values of each column; answers how much was done, 0 at the end.

    What is empty for `rest` is destroyed. What others hold at this moment is left for the next turn. Raises
    KeyringError.
    """
    ring = crypto.keyring_of(database.equipment)
    ring.look()
    async with database.begin_system("a rotation: keys") as tx:
        await _destroy_empty(tx, rest)
        done = await _retire(tx, ring)
    async with database.begin_system("a rotation: what is left") as tx:
        old = await _list_retired(tx)
    if not old:
        return done
    for column in database.equipment.sealed:
        for owned in _owned(column):
            async with database.begin_system("a rotation: values") as tx:
                done += await _seal_anew(tx, column, old, owned=owned)
    async with database.begin_system("a rotation: empty keys") as tx:
        return done + await _mark_empty(tx, database.equipment.sealed, old)


def _owned(column: SealedColumn) -> tuple[bool, ...]:
    """Has a column values of people (True), and of nobody?"""
    return (True, False) if column.user_id else (False,)


async def _retire(tx: Tx, ring: Keyring) -> int:
    """Give owners whose data key an older key wraps a new one. Whoever is sealing is passed over, and comes later."""
    found = await tx.execute(
        """update infra.data_keys k set retired_at = clock_timestamp() from (
          select id from infra.data_keys
          where kek_id <> %s and retired_at is null and destroyed_at is null
          order by id limit %s for update skip locked) old
        where k.id = old.id returning k.user_id, k.purpose""",
        (ring.wrapping_id, KEYS_AT_ONCE),
    )
    owners = [(user_id, purpose) for user_id, purpose in await found.fetchall()]
    await crypto.make_keys(tx, owners)
    return len(owners)


async def _list_retired(tx: Tx) -> list[int]:
    found: list[int] = await db.column(
        tx,
        """select id from infra.data_keys where retired_at is not null and emptied_at is null and destroyed_at is null
        order by id limit %s""",
        KEYS_AT_ONCE,
    )
    return found


async def _seal_anew(tx: Tx, column: SealedColumn, old: Sequence[int], *, owned: bool) -> int:
    """Seal up to 500 values of a column anew that are under old keys; they are of people, or of nobody."""
    rows = await _lock_rows(tx, column, old, owned=owned)
    if not rows:
        return 0
    places = [crypto.place_in(column, row.row_id, row.user_id) for row in rows]
    texts = await crypto.open_many(tx, [(row.sealed, place) for row, place in zip(rows, places, strict=True)])
    sealed = await crypto.seal_many(tx, list(zip(texts, places, strict=True)))
    await tx.execute(
        sql.SQL(
            """update {table} t set {column} = x.sealed
            from unnest(%s::oid[], %s::tid[], %s::bytea[]) as x (part, at, sealed)
            where t.ctid = x.at and t.tableoid = x.part"""
        ).format(**_names(column)),
        ([row.part for row in rows], [row.at for row in rows], sealed),
    )
    return len(rows)


async def _lock_rows(tx: Tx, column: SealedColumn, old: Sequence[int], *, owned: bool) -> list[_Row]:
    found = await tx.execute(
        sql.SQL(
            """select t.tableoid::bigint, t.ctid::text, t.{row_id}, {owner}, t.{column} from {table} t
            where {whose} and infra.data_key_of(t.{column}) = any (%(old)s::bigint[])
            limit %(limit)s for update of t skip locked"""
        ).format(**_names(column), **_whose(column, owned=owned)),
        {"old": list(old), "limit": ROWS_AT_ONCE},
    )
    return [_Row(*row) for row in await found.fetchall()]


async def _mark_empty(tx: Tx, columns: Sequence[SealedColumn], old: Sequence[int]) -> int:
    """Note which old keys nothing is under any more; answers how many."""
    left: set[int] = set()
    for column in columns:
        for owned in _owned(column):
            found = await tx.execute(
                sql.SQL(
                    """select distinct infra.data_key_of(t.{column}) from {table} t
                    where {whose} and infra.data_key_of(t.{column}) = any (%(old)s::bigint[])"""
                ).format(**_names(column), **_whose(column, owned=owned)),
                {"old": list(old)},
            )
            left |= {number for (number,) in await found.fetchall()}
    return await db.run(
        tx,
        """update infra.data_keys set emptied_at = clock_timestamp()
        where id = any (%s::bigint[]) and emptied_at is null""",
        [number for number in old if number not in left],
    )


async def _destroy_empty(tx: Tx, rest: timedelta) -> None:
    await db.run(
        tx,
        """update infra.data_keys set wrapped = null, destroyed_at = clock_timestamp()
        where retired_at is not null and destroyed_at is null and emptied_at <= clock_timestamp() - %s::interval""",
        rest,
    )


def _names(column: SealedColumn) -> dict[str, sql.Composable]:
    return {
        "table": sql.Identifier(*column.table.split(".")),
        "column": sql.Identifier(column.column),
        "row_id": sql.Identifier(column.row_id),
    }


def _whose(column: SealedColumn, *, owned: bool) -> dict[str, Any]:
    """Of people by the index of their column, through the owners of the old keys; or of nobody."""
    if column.user_id is None:
        return {"owner": sql.SQL("null::uuid"), "whose": sql.SQL("true")}
    user = sql.SQL("t.{}").format(sql.Identifier(column.user_id))
    if not owned:
        return {"owner": sql.SQL("null::uuid"), "whose": sql.SQL("{} is null").format(user)}
    owners = sql.SQL("{} = any (array(select k.user_id from infra.data_keys k where k.id = any (%(old)s::bigint[])))")
    return {"owner": user, "whose": owners.format(user)}
