"""Rotation of keys: whatever was sealed under an older wrapping key is sealed anew, while everybody works on.

A data key that an older key wraps is retired: its owner seals with a new one from then on. What it sealed is sealed
anew, some rows at a time, passing over those that somebody else holds. Once nothing is left, and whoever read such a
value before has long opened it, it is destroyed; then nothing is under the older wrapping key, which can be dropped.
Nobody waits for a rotation longer than for one statement, and one that was killed goes on where it was.

A value that does not open where it lies is noted and passed over (`infra/misplaced.py`); its key stays, and so does the
wrapping key, until somebody has mended it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, TypeAlias
from uuid import UUID

from psycopg import sql

from palio.infra import crypto, db, misplaced, outbox
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
NOBODY = sql.SQL("null::uuid")
REST = timedelta(minutes=10)  # for which an empty key is kept: whoever read a value of it has opened it by then


class WrappingKeyNeeded(Conflict):
    """Data keys are still wrapped with this key; wait until `palio keys status` counts none."""

    code: ClassVar[str] = "crypto.key_needed"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """How many data keys a wrapping key holds: in use, retired with values still under them, empty, and with misplaced
    values alone.
    """

    wrapping_key: int
    in_use: int
    retired: int
    empty: int
    misplaced: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A sealed value and where it lies; `part` and `at` find the row again while it is locked."""

    part: int
    at: str
    row_id: UUID
    user_id: UUID | None
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Whose:
    """Rows of a column that are asked, and whose their values are."""

    owner: sql.Composable
    rows: sql.Composable


Reach: TypeAlias = Callable[[SealedColumn], Sequence[_Whose]]


async def status(tx: Tx) -> list[Wrapped]:
    """What each wrapping key still holds, the lowest number first."""
    return await db.rows(
        tx,
        Wrapped,
        """select kek_id as wrapping_key, count(*) filter (where retired_at is null) as in_use,
          count(*) filter (where retired_at is not null and emptied_at is null) as retired,
          count(*) filter (where emptied_at is not null and not is_held) as empty,
          count(*) filter (where emptied_at is not null and is_held) as misplaced
        from (select k.*, exists (select from infra.misplaced_values m where m.data_key_id = k.id) as is_held
          from infra.data_keys k where k.destroyed_at is null) k group by kek_id order by kek_id""",
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
        raise WrappingKeyNeeded(wrapping_key=number, data_keys=held.in_use + held.retired + held.empty + held.misplaced)


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

    What is empty for `rest` is destroyed then. What others hold at this moment is left for the next turn. Raises
    KeyringError.
    """
    ring = crypto.keyring_of(database.equipment)
    ring.look()
    async with database.begin_system("a rotation: keys") as tx:
        done = await _retire(tx, ring)
    async with database.begin_system("a rotation: what is left") as tx:
        old = await _list_retired(tx)
    if old:
        done += await _seal_all_anew(database, old, of_owners)
        async with database.begin_system("a rotation: empty keys") as tx:
            done += await _mark_empty(tx, database.equipment.sealed, old)
    return done or await _finish(database, rest)


async def _finish(database: Database, rest: timedelta) -> int:
    """Destroy what is empty for `rest`, unless some row is under it; such a row is sealed anew, or noted.

    A rotation looks for values through the owners of its keys; here every row is asked, whosever it is.
    """
    columns = database.equipment.sealed
    async with database.begin_system("a rotation: misplaced values") as tx:
        mended = await misplaced.look_again(tx, columns)
        empty = await _list_empty(tx)
    if mended or not empty:
        return mended
    async with database.begin_system("a rotation: the end of keys") as tx:
        left = await _list_holding(tx, columns, empty, anywhere)
        await _destroy(tx, sorted({*empty} - left), rest)
    return await _seal_all_anew(database, sorted(left), anywhere) if left else 0


async def _seal_all_anew(database: Database, old: Sequence[int], reach: Reach) -> int:
    done = 0
    for column in database.equipment.sealed:
        for whose in reach(column):
            async with database.begin_system("a rotation: values") as tx:
                done += await _seal_anew(tx, column, old, whose)
    return done


def of_owners(column: SealedColumn) -> Sequence[_Whose]:
    """The values of those whose the old keys are, by the index of their column, and those of nobody."""
    if column.user_id is None:
        return anywhere(column)
    user = sql.Identifier("t", column.user_id)
    owners = sql.SQL("{} = any (array(select k.user_id from infra.data_keys k where k.id = any (%(old)s::bigint[])))")
    return _Whose(user, owners.format(user)), _Whose(NOBODY, sql.SQL("{} is null").format(user))


def anywhere(column: SealedColumn) -> Sequence[_Whose]:
    """All values, whosever they are."""
    return (_Whose(sql.Identifier("t", column.user_id) if column.user_id else NOBODY, sql.SQL("true")),)


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


async def _list_empty(tx: Tx) -> list[int]:
    """The keys that are empty, without those of misplaced values."""
    found: list[int] = await db.column(
        tx,
        """select id from infra.data_keys k where retired_at is not null and destroyed_at is null
          and emptied_at is not null and not exists (select from infra.misplaced_values m where m.data_key_id = k.id)
        order by id""",
    )
    return found


async def _seal_anew(tx: Tx, column: SealedColumn, old: Sequence[int], whose: _Whose) -> int:
    """Seal up to 500 values of a column anew that are under old keys; answers how many were looked at.

    Those that do not open are noted, and are not looked at again.
    """
    rows = await _lock_rows(tx, column, old, whose)
    places = [crypto.place_in(column, row.row_id, row.user_id) for row in rows]
    texts = await misplaced.open_or_note(tx, [(row.sealed, place) for row, place in zip(rows, places, strict=True)])
    known = [(row, text, place) for row, text, place in zip(rows, texts, places, strict=True) if text is not None]
    if not known:
        return len(rows)
    sealed = await crypto.seal_many(tx, [(text, place) for _, text, place in known])
    await tx.execute(
        sql.SQL(
            """update {table} t set {column} = x.sealed
            from unnest(%s::oid[], %s::tid[], %s::bytea[]) as x (part, at, sealed)
            where t.ctid = x.at and t.tableoid = x.part"""
        ).format(**misplaced.names(column)),
        ([row.part for row, _, _ in known], [row.at for row, _, _ in known], sealed),
    )
    return len(rows)


async def _lock_rows(tx: Tx, column: SealedColumn, old: Sequence[int], whose: _Whose) -> list[_Row]:
    found = await tx.execute(
        sql.SQL(
            """select t.tableoid::bigint, t.ctid::text, t.{row_id}, {owner}, t.{column} from {table} t
            where {whose} and infra.data_key_of(t.{column}) = any (%(old)s::bigint[]) and {in_place}
            limit %(limit)s for update of t skip locked"""
        ).format(in_place=_in_place(column), owner=whose.owner, whose=whose.rows, **misplaced.names(column)),
        {"old": list(old), "limit": ROWS_AT_ONCE},
    )
    return [_Row(*row) for row in await found.fetchall()]


def _in_place(column: SealedColumn) -> sql.Composable:
    """Without the values that are known to be misplaced."""
    return sql.SQL(
        """not exists (select from infra.misplaced_values m
          where m.table_name = {table_name} and m.column_name = {column_name} and m.row_id = t.{row_id})"""
    ).format(
        table_name=sql.Literal(column.table),
        column_name=sql.Literal(column.column),
        row_id=sql.Identifier(column.row_id),
    )


async def _list_holding(tx: Tx, columns: Sequence[SealedColumn], old: Sequence[int], reach: Reach) -> set[int]:
    """Those of these keys that values are under, without the ones known to be misplaced."""
    left: set[int] = set()
    for column in columns:
        for whose in reach(column):
            found = await tx.execute(
                sql.SQL(
                    """select distinct infra.data_key_of(t.{column}) from {table} t
                    where {whose} and infra.data_key_of(t.{column}) = any (%(old)s::bigint[]) and {in_place}"""
                ).format(in_place=_in_place(column), whose=whose.rows, **misplaced.names(column)),
                {"old": list(old)},
            )
            left |= {number for (number,) in await found.fetchall()}
    return left


async def _mark_empty(tx: Tx, columns: Sequence[SealedColumn], old: Sequence[int]) -> int:
    """Note which old keys no value of their owners is under any more; answers how many."""
    left = await _list_holding(tx, columns, old, of_owners)
    return await db.run(
        tx,
        """update infra.data_keys set emptied_at = clock_timestamp()
        where id = any (%s::bigint[]) and emptied_at is null""",
        [number for number in old if number not in left],
    )


async def _destroy(tx: Tx, keys: Sequence[int], rest: timedelta) -> None:
    """Destroy those that are empty for so long."""
    await db.run(
        tx,
        """update infra.data_keys set wrapped = null, destroyed_at = clock_timestamp()
        where id = any (%s::bigint[]) and destroyed_at is null and emptied_at <= clock_timestamp() - %s::interval""",
        *(keys, rest),
    )
