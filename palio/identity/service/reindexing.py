"""One key of blind indexes takes the place of another, while everybody signs in and is found.

Every write gives a row both indexes, and every look-up asks for both. The rest gets its second index from the sealed
value, 500 rows at a time. Once no row lacks it, and whoever began before has ended, the second takes the place of the
first. A turn that was killed goes on where it was.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from palio.identity import personal, sql
from palio.identity.errors import IndexKeyNeeded
from palio.identity.sql.reindexing import Held, Lacking, Part, Progress
from palio.infra import misplaced
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex

ROWS_AT_ONCE = 500
REST = timedelta(minutes=10)  # from the last row that was filled to the first that is moved: what began before is over
PARTS: tuple[Part, ...] = ("emails", "phones", "external_identities")
LOCK: Mapping[Part, Callable[[Tx, int, UUID | None, int], Awaitable[list[Lacking]]]] = {
    "emails": sql.reindexing.lock_emails_lacking,
    "phones": sql.reindexing.lock_phones_lacking,
    "external_identities": sql.reindexing.lock_externals_lacking,
}
MOVE: Mapping[Part, Callable[[Tx, int, int], Awaitable[int]]] = {
    "emails": sql.reindexing.move_emails,
    "phones": sql.reindexing.move_phones,
    "external_identities": sql.reindexing.move_externals,
}
PLACE: Mapping[Part, Callable[[Lacking], Place]] = {
    "emails": lambda row: personal.place_of_email(row.id, row.user_id),
    "phones": lambda row: personal.place_of_phone(row.id, row.user_id),
    "external_identities": lambda row: personal.place_of_subject(row.id, row.user_id),
}


async def turn(tx: Tx, *, now: datetime, rest: timedelta = REST) -> int:
    """Bring a rotation on by up to 500 rows of each table; answers how many were done, 0 where nothing is to do now.

    For the system. Raises KeyringError.
    """
    ring = personal.keyring_of(tx)
    ring.look()
    present, later = ring.index_version, ring.next_index_version
    if later is None:  # what was written at the very end with both
        return sum([await MOVE[part](tx, present - 1, ROWS_AT_ONCE) for part in PARTS])
    found = await sql.reindexing.begin(tx, later, PARTS, now=now)
    done = sum([await _fill(tx, one, present) for one in found])
    if done:
        return done
    lacking = await sql.reindexing.list_lacking(tx, present)
    for one in found:
        if one.part in lacking:  # somebody held it: the next turn begins a pass anew
            await sql.reindexing.update_begun_anew(tx, later, one.part)
        else:
            await sql.reindexing.update_filled(tx, later, one.part, now=now)
    is_ripe = not lacking and all(one.filled_at and now >= one.filled_at + rest for one in found)
    if not is_ripe or ring.staged_index == later:
        return 0
    return sum([await _move(tx, one, present, now) for one in found])


async def _fill(tx: Tx, progress: Progress, present: int) -> int:
    """Give up to 500 rows of a table their second index, made of what is sealed in them.

    Those whose value does not open are passed over and noted; answers how many were looked at.
    """
    if progress.filled_at:
        return 0
    rows = await LOCK[progress.part](tx, present, progress.filled_to, ROWS_AT_ONCE)
    if not rows:
        return 0
    last = rows[-1].id
    texts = await misplaced.open_or_note(tx, [(row.sealed, PLACE[progress.part](row)) for row in rows])
    rows = [row for row, text in zip(rows, texts, strict=True) if text is not None]
    opened = [text for text in texts if text is not None]
    ids = [row.id for row in rows]
    if progress.part == "emails":
        normals = _later([personal.normal_index(tx, text) for text in opened])
        await sql.reindexing.update_emails_next(
            tx, ids, _later([personal.email_index(tx, text) for text in opened]), normals
        )
    elif progress.part == "phones":
        await sql.reindexing.update_phones_next(tx, ids, _later([personal.phone_index(tx, text) for text in opened]))
    else:
        made = [personal.subject_index(tx, row.provider, text) for row, text in zip(rows, opened, strict=True)]
        await sql.reindexing.update_externals_next(tx, ids, _later(made))
    await sql.reindexing.update_filled_to(tx, progress.version, progress.part, last)
    return len(texts)


def _later(indexes: Sequence[BlindIndex]) -> list[bytes]:
    """What the later key makes of values."""
    return [index.next for index in indexes if index.next is not None]


async def _move(tx: Tx, progress: Progress, present: int, now: datetime) -> int:
    moved = await MOVE[progress.part](tx, present, ROWS_AT_ONCE)
    if moved == 0:
        await sql.reindexing.update_moved(tx, progress.version, progress.part, now=now)
    return moved


async def status(tx: Tx) -> list[Held]:
    """How many rows each index key holds in each table, and how many marks of breaks."""
    return await sql.reindexing.list_held(tx)


async def require_unneeded(tx: Tx, *, version: int) -> None:
    """Let an index key be dropped. Refuses with IndexKeyNeeded, saying what is known by it."""
    held = {one.part: one.rows for one in await sql.reindexing.list_held(tx) if one.version == version}
    if held:
        raise IndexKeyNeeded(index_key=version, rows=held)
