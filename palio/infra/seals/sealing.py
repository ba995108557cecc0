"""Sealing: from time to time the rows that are final become a block, whose head is signed and follows the one before.

A block takes the rows of transactions that were over when it was made, by their numbers: nothing can be committed into
it later, and gaps between ids do not matter.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString, TypeAlias

import structlog
from psycopg import sql
from psycopg.rows import class_row

from palio.infra import db
from palio.infra.db import Tx
from palio.infra.seals import heads, trees
from palio.infra.seals.canonical import canonical, read, written
from palio.infra.seals.heads import BEFORE_THE_FIRST, Head, Seal

log = structlog.get_logger()

Sums: TypeAlias = dict[str, list[int]]
Row: TypeAlias = tuple[int, str, str]  # its transaction, its id, its content as JSON
ROWS_OF_A_BLOCK_MAX = 100_000
ROWS_AT_A_TIME = 2_000
EMPTY_AFTER = timedelta(hours=1)  # so that a quiet night shows that it was one
LATE_AFTER = timedelta(minutes=5)
LOCK = "select pg_try_advisory_xact_lock(hashtextextended('seals:' || %s::text, 0))"
SEALS: LiteralString = """
    select n, from_tx, to_tx, rows, root, {sums} as sums, prev, sealed_at, head, key_id, signature
    from {schema}.seals"""


@dataclass(frozen=True, slots=True)
class Chain:
    """A table whose `rows` are sealed. What that takes is in its schema:

    `block(from, to)` gives the rows of a block (tx_id, id, content as JSON) ordered by (tx_id, id), `block_end(from,
    rows)` says where the next one ends, `waits_since(at)` whether a row is older and not sealed, `append_seal` writes
    one; `seals` and `seal_leaves` keep them. `add` counts a row into the sums that the head holds as well.
    """

    name: str
    schema: str
    rows: str
    add: Callable[[Sums, Mapping[str, Any]], None] | None = None

    def said(self, text: LiteralString) -> sql.Composed:
        """A statement in which {schema} is the schema, {rows} the table, and {sums} the column of the sums."""
        return sql.SQL(text).format(
            schema=sql.Identifier(self.schema),
            rows=sql.Identifier(self.schema, self.rows),
            sums=sql.SQL("sums::text" if self.add else "''"),
        )


class Block:
    """Takes rows in their order, and gives their leaves and sums."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._sums: Sums = {}
        self.leaves: list[bytes] = []
        self.ids: list[str] = []

    def take(self, rows: Sequence[Row]) -> None:
        """Those that come next."""
        add = self._chain.add
        for _, number, content in rows:
            row = read(content)
            self.leaves.append(trees.leaf(written(row)))
            self.ids.append(number)
            if add:
                add(self._sums, row)

    @property
    def sums(self) -> str:
        """As the head holds them."""
        return written(self._sums).decode() if self._chain.add else ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A block that may be sealed: its head, its leaves, and the ids of its first and last row."""

    head: Head
    leaves: bytes
    first: str | None
    last: str | None


async def seal(tx: Tx, *, chain: Chain, now: datetime, rows_max: int = ROWS_OF_A_BLOCK_MAX) -> Seal | None:
    """Seal the rows that are final, of whole transactions, about `rows_max` of them; without rows, once an hour.

    None: there was nothing to seal, somebody else is sealing, or the clock stands before the last seal. Refuses with
    SealingKeyMissing, even if there is nothing to seal.
    """
    heads.signing_key(tx.equipment.keyring)
    if not await db.value(tx, LOCK, chain.name):
        return None
    planned = await plan(tx, chain=chain, now=now, rows_max=rows_max)
    return await append(tx, chain=chain, block=planned) if planned else None


async def plan(tx: Tx, *, chain: Chain, now: datetime, rows_max: int = ROWS_OF_A_BLOCK_MAX) -> Planned | None:
    """The block that is due, if one is: for whoever holds the lock of the chain."""
    last = await find_last(tx, chain=chain)
    from_tx = last.to_tx if last else 0
    to_tx: int = await _value(tx, chain, "select {schema}.block_end(%s::bigint, %s::int)", from_tx, rows_max)
    if last and (now < last.sealed_at or to_tx < from_tx):
        log.warning("time or transactions run backwards, so nothing is sealed", chain=chain.name, last=last.n)
        return None
    block = Block(chain)
    async for rows in rows_of(tx, chain=chain, from_tx=from_tx, to_tx=to_tx):
        block.take(rows)
    if not block.leaves and last and now < last.sealed_at + EMPTY_AFTER:
        return None
    head = Head(
        n=last.n + 1 if last else 1,
        from_tx=from_tx,
        to_tx=to_tx,
        rows=len(block.leaves),
        root=await asyncio.to_thread(trees.root, block.leaves),
        sums=block.sums,
        prev=last.head if last else BEFORE_THE_FIRST,
        sealed_at=now,
    )
    ends = (block.ids[0], block.ids[-1]) if block.ids else (None, None)
    return Planned(head, b"".join(block.leaves), *ends)


async def append(tx: Tx, *, chain: Chain, block: Planned) -> Seal:
    """Sign a block and append its seal; the database refuses one that does not continue the chain (PL007)."""
    head, digest = block.head, block.head.digest
    key_id, signature = heads.sign(tx.equipment.keyring, heads.label_of(chain.name), digest)
    await _value(
        tx,
        chain,
        """
        select {schema}.append_seal(%s::bigint, %s::bigint, %s::bigint, %s::int, %s::text, %s::text, %s::bytea,
          %s::text, %s::bytea, %s::bytea, %s::int, %s::bytea, %s::timestamptz, %s::bytea)""",
        *(head.n, head.from_tx, head.to_tx, head.rows, block.first, block.last, head.root, head.sums, head.prev),
        *(digest, key_id, signature, head.sealed_at, block.leaves),
    )
    fields = {name: getattr(head, name) for name in Head.__slots__}
    return Seal(**fields, head=digest, key_id=key_id, signature=signature)


async def is_late(tx: Tx, *, chain: Chain, now: datetime) -> bool:
    """Has a row waited for five minutes, or has nobody sealed for so long after an empty seal was due?"""
    last = await find_last(tx, chain=chain)
    if last and now > last.sealed_at + EMPTY_AFTER + LATE_AFTER:
        return True
    return bool(await _value(tx, chain, "select {schema}.waits_since(%s::timestamptz)", now - LATE_AFTER))


async def rows_of(tx: Tx, *, chain: Chain, from_tx: int, to_tx: int) -> AsyncIterator[Sequence[Row]]:
    """The rows of a block in their order, some thousands at a time."""
    async with tx.cursor(name="rows_of_a_block") as cursor:
        statement = chain.said("select tx_id, id, content from {schema}.block(%s::bigint, %s::bigint)")
        await cursor.execute(statement, (from_tx, to_tx))
        while rows := await cursor.fetchmany(ROWS_AT_A_TIME):
            yield rows


async def find_partition(tx: Tx, *, chain: Chain, row: str, from_tx: int, to_tx: int) -> str | None:
    """The partition in which a row of these transactions lies; None where it is gone, or has another transaction."""
    found: str | None = await _value(
        tx,
        chain,
        """select tableoid::regclass::text from {rows}
        where tx_id >= %s::bigint and tx_id < %s::bigint and id::text = %s""",
        *(from_tx, to_tx, row),
    )
    return found


async def find_last(tx: Tx, *, chain: Chain) -> Seal | None:
    """The newest seal."""
    found = await list_seals(tx, chain=chain, limit=1)
    return found[0] if found else None


async def list_seals(tx: Tx, *, chain: Chain, before: int | None = None, limit: int) -> list[Seal]:
    """Seals, the newest first; those with smaller numbers than `before`."""
    statement = SEALS + " where %s::bigint is null or n < %s::bigint order by n desc limit %s::int"
    return await _seals(tx, chain, statement, before, before, limit)


async def seals_after(tx: Tx, *, chain: Chain, n: int, limit: int) -> list[Seal]:
    """Seals in their order; those with greater numbers than `n`."""
    return await _seals(tx, chain, SEALS + " where n > %s::bigint order by n limit %s::int", n, limit)


async def newest_key(tx: Tx, *, chain: Chain) -> int:
    """The highest number of a key that has signed a seal; 0 before the first."""
    return int(await _value(tx, chain, "select coalesce(max(key_id), 0) from {schema}.seals"))


async def find_before(tx: Tx, *, chain: Chain, at: datetime) -> Seal | None:
    """The newest seal that was made before an instant."""
    found = await _seals(tx, chain, SEALS + " where sealed_at < %s::timestamptz order by n desc limit 1", at)
    return found[0] if found else None


async def heads_of(tx: Tx, *, chain: Chain, numbers: Sequence[int]) -> dict[int, bytes]:
    """The heads of seals by number."""
    statement = chain.said("select n, head from {schema}.seals where n = any (%s::bigint[])")
    return dict(await (await tx.execute(statement, (list(numbers),))).fetchall())


async def count_rows(tx: Tx, *, chain: Chain, from_tx: int, to_tx: int) -> int:
    """How many rows there are for a block."""
    return int(await _value(tx, chain, "select count(*) from {schema}.block(%s::bigint, %s::bigint)", from_tx, to_tx))


async def leaves_of(tx: Tx, *, chain: Chain, first: int, last: int) -> dict[int, bytes]:
    """The leaves of seals by number, 32 bytes a row."""
    statement = chain.said("select n, leaves from {schema}.seal_leaves where n between %s::bigint and %s::bigint")
    return dict(await (await tx.execute(statement, (first, last))).fetchall())


async def _seals(tx: Tx, chain: Chain, statement: LiteralString, *values: object) -> list[Seal]:
    async with tx.cursor(row_factory=class_row(Seal)) as cursor:
        await cursor.execute(chain.said(statement), values)
        found = await cursor.fetchall()
    return [replace(seal, sums=canonical(seal.sums).decode()) if seal.sums else seal for seal in found]


async def _value(tx: Tx, chain: Chain, statement: LiteralString, *values: object) -> Any:
    found = await (await tx.execute(chain.said(statement), values)).fetchone()
    return found[0] if found else None
