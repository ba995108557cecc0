"""Carrying out an export: part by part in keyset order, of the state in which it began, and from where it was left.

A part is stored before the row says so. Whoever is killed between the two has the same part stored again under the same
name; whoever works on one that somebody else has taken over finds that his part is not the next one, and leaves.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import BinaryIO, ClassVar
from uuid import UUID

from psycopg.types.json import Jsonb

from palio.infra import audit, db, outbox, settings, tables
from palio.infra.audit import Via
from palio.infra.db import Database, Tx
from palio.infra.files import storage_of
from palio.infra.messages import ExportReady, RunOperation
from palio.infra.operations import asking, bulk, marks, work
from palio.infra.operations.asking import Wish
from palio.infra.operations.settings import PLAYER_HOURS, STAFF_DAYS
from palio.infra.operations.work import Operation
from palio.kernel import clock
from palio.kernel.errors import Refusal, TooLarge, Unavailable
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.messages import handles
from palio.kernel.providers import ExportAsk, ExportKey, ExportRow, ExportSource

ROWS_MAX = 10_000_000
ROWS_AT_ONCE = 5_000
STATEMENT_SECONDS_MAX = 60
TRIES_MAX = 5  # without getting any further
TOLD_SECONDS = 1.0
GZIP_LEVEL = 6


class TooManyRows(TooLarge):
    """An export holds at most `limit` rows: narrow it by its filters."""

    code: ClassVar[str] = "export.too_many_rows"


class CannotGoOn(Refusal):
    """The export failed several times at the same place; ask whoever runs the house to look at its jobs."""

    code: ClassVar[str] = "export.cannot_go_on"


@dataclass(frozen=True, slots=True)
class _Writer:
    """How rows of an export become bytes: of which source, what is asked, and the key of its marks, if it has any."""

    export_id: UUID
    source: ExportSource[Tx]
    ask: ExportAsk
    wish: Wish
    mark_key: bytes | None

    @property
    def columns(self) -> list[str]:
        """The head of a table."""
        known = {column.name: column.cells or (column.name,) for column in self.source.columns}
        marked = [marks.COLUMN] if self.mark_key else []
        return [cell for name in self.ask.fields for cell in known[name]] + marked

    def encoded(self, found: Sequence[ExportRow], *, is_first: bool) -> bytes:
        """A part of the file: the same rows are always the same bytes. Compressed parts side by side are one file."""
        rows = [self._values(row) for row in found]
        if self.wish.format == "csv":
            text = tables.write(rows, columns=self.columns, has_head=is_first)
        else:
            text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
        return gzip.compress(text.encode(), GZIP_LEVEL, mtime=0) if self.wish.gzip else text.encode()

    def _values(self, row: ExportRow) -> dict[str, object]:
        values = {name: row.values[name] for name in self.ask.fields}
        if self.mark_key:
            values[marks.COLUMN] = marks.mark_of(self.mark_key, self.export_id, row.key)
        return values


@dataclass(slots=True)
class _Export:
    """One that is being carried out, and how far it is."""

    operation: Operation
    writer: _Writer
    rows_at_once: int
    told_at: float = 0.0


def _writer(tx: Tx, export_id: UUID, wish: Wish, snapshot: str) -> _Writer:
    source = asking.source_of(tx, wish.resource)
    ask = asking.ask_of(source, wish, snapshot=snapshot)
    return _Writer(export_id, source, ask, wish, marks.key_of(tx) if asking.personal_of(source, ask) else None)


@handles(RunOperation, queue="bulk")
async def run(database: Database, job: RunOperation) -> None:
    """Carry out a piece of work, or go on with it."""
    async with database.begin_system("what is to be done") as tx:
        operation = await work.lock(tx, job.operation)
    if operation and operation.kind == "bulk":
        await bulk.carry_out(database, job.operation)
    else:
        await carry_out(database, job.operation)


async def carry_out(database: Database, operation_id: UUID, *, rows_at_once: int = ROWS_AT_ONCE) -> None:
    """Carry out an export, or go on with it, so many rows at a time; a refusal ends it, and its owner reads why.

    Where we cannot answer just now it is left for later.
    """
    try:
        async with database.begin_system("an export begins", seconds_max=STATEMENT_SECONDS_MAX) as tx:
            export = await _begin(tx, operation_id, rows_at_once)
        if export and await _write(database, export):
            await _finish(database, export)
    except Unavailable:
        raise
    except Refusal as refusal:
        async with database.begin_system("an export ends") as tx:
            await work.end(tx, operation_id, "failed", now=clock.now(), code=refusal.code)


async def _begin(tx: Tx, operation_id: UUID, rows_at_once: int) -> _Export | None:
    """Take an export up; None if it is over. What it shows is decided the first time."""
    operation = await work.lock(tx, operation_id)
    if operation is None or operation.is_over:
        return None
    if operation.tries >= TRIES_MAX:
        raise CannotGoOn
    wish = Wish(**{name: operation.params[name] for name in Wish.__slots__})
    snapshot = operation.snapshot or await asking.present(tx)
    writer = _writer(tx, operation.id, wish, snapshot)
    total = operation.total
    if total is None:
        total = await writer.source.count(tx, writer.ask, ROWS_MAX + 1)
    if total > ROWS_MAX:
        raise TooManyRows(limit=ROWS_MAX)
    now = clock.now()
    await db.run(
        tx,
        """update infra.operations set state = 'running', snapshot = %s, total = %s, tries = tries + 1,
          has_files = true, started_at = coalesce(started_at, %s), touched_at = %s, version = version + 1
        where id = %s""",
        *(snapshot, total, now, now, operation_id),
    )
    begun = await work.lock(tx, operation_id)
    assert begun  # noqa: S101 - it is locked
    await work.tell(tx, begun)
    return _Export(begun, writer, rows_at_once)


async def _write(database: Database, export: _Export) -> bool:
    """Write what is left of it, part by part; False if somebody has stopped it, or taken it over."""
    storage, is_last = storage_of(database), False
    while not is_last:
        cursor = export.operation.cursor
        found = await _read(database, export.writer, tuple(cursor) if cursor else None, export.rows_at_once)
        is_last = len(found) < export.rows_at_once
        encode = partial(export.writer.encoded, found, is_first=export.operation.parts == 0)
        content = await asyncio.to_thread(encode)
        await storage.put(_key_of(export.operation, export.operation.parts), content)
        async with database.begin_system("a part of an export") as tx:
            ahead = await _advance(tx, export, found, len(content))
        if ahead is None:
            await remove_files(database, export.operation.id)
            return False
        export.operation = ahead
    return True


async def _read(
    database: Database, writer: _Writer, behind: ExportKey | None, rows_at_once: int
) -> Sequence[ExportRow]:
    async with database.begin_system("rows of an export", seconds_max=STATEMENT_SECONDS_MAX) as tx:
        return await writer.source.rows(tx, writer.ask, behind, rows_at_once)


async def _advance(tx: Tx, export: _Export, found: Sequence[ExportRow], length: int) -> Operation | None:
    """Say that a part is stored; None if the export is over, or this was not its next part."""
    operation = export.operation
    is_next = await db.run(
        tx,
        """update infra.operations set parts = parts + 1, done = done + %s, size_bytes = size_bytes + %s, cursor = %s,
          tries = 0, touched_at = %s, version = version + 1 where id = %s and parts = %s and state = 'running'""",
        *(len(found), length, Jsonb(list(found[-1].key) if found else operation.cursor), clock.now()),
        *(operation.id, operation.parts),
    )
    ahead = await work.lock(tx, operation.id) if is_next else None
    if ahead and monotonic() - export.told_at >= TOLD_SECONDS:
        export.told_at = monotonic()
        await work.tell(tx, ahead)
    return ahead


async def _finish(database: Database, export: _Export) -> None:
    """Say that it is done, with the digest of the whole file; whoever asked for it is told, and the audit how much."""
    digest = sha256()
    async for part in parts_of(database, export.operation):
        digest.update(part)
    async with database.begin_system("an export is done") as tx:
        await _settle(tx, export, digest.digest(), now=clock.now())


async def _settle(tx: Tx, export: _Export, digest: bytes, *, now: datetime) -> None:
    operation = export.operation
    kept = (
        timedelta(days=settings.value(STAFF_DAYS))
        if operation.is_of_staff
        else timedelta(hours=settings.value(PLAYER_HOURS))
    )
    is_ours = await db.run(
        tx,
        """update infra.operations set state = 'done', sha256 = %s, total = done, finished_at = %s, expires_at = %s,
          touched_at = %s, version = version + 1 where id = %s and state = 'running'""",
        *(digest, now, now + kept, now, operation.id),
    )
    done = await work.lock(tx, operation.id)
    if not is_ours or done is None:
        return
    actor = Actor("staff" if done.is_of_staff else "player", done.owner_id, RequestId(new_id()))
    written = Written(done.done, done.size_bytes, digest.hex())
    await _record(tx, export.writer, written, actor=actor, reason=done.params["reason"], via="job")
    await work.tell(tx, done)
    await outbox.send(tx, ExportReady(done.id))


@dataclass(frozen=True, slots=True)
class Written:
    """What came of an export."""

    rows: int
    size_bytes: int
    sha256: str


async def _record(tx: Tx, writer: _Writer, written: Written, *, actor: Actor, reason: str, via: Via) -> None:
    """Write down how much left the house, and in whose hands."""
    await audit.record(
        tx,
        actor=actor,
        action=marks.READY,
        entity_type="export",
        entity_id=str(writer.export_id),
        changes={
            "resource": (None, writer.wish.resource),
            "rows": (None, written.rows),
            "bytes": (None, written.size_bytes),
            "sha256": (None, written.sha256),
            "personal": (None, asking.personal_of(writer.source, writer.ask)),
        },
        reason=reason,
        via=via,
    )


async def write_out(database: Database, wish: Wish, file: BinaryIO, *, reason: str) -> Written:
    """Write an export of the house itself to a file, as it is at this moment. Audited.

    Refuses with ResourceUnknown, FieldUnknown, FilterUnknown, FilterInvalid, TooManyRows, and as its source does.
    """
    async with database.begin_system("an export of the house", seconds_max=STATEMENT_SECONDS_MAX) as tx:
        writer = _writer(tx, new_id(), wish, await asking.present(tx))
        if await writer.source.count(tx, writer.ask, ROWS_MAX + 1) > ROWS_MAX:
            raise TooManyRows(limit=ROWS_MAX)
    digest, rows, size, found = sha256(), 0, 0, None
    while found is None or len(found) == ROWS_AT_ONCE:
        found = await _read(database, writer, found[-1].key if found else None, ROWS_AT_ONCE)
        content = await asyncio.to_thread(writer.encoded, found, is_first=rows == 0)
        digest.update(content)
        file.write(content)
        rows, size = rows + len(found), size + len(content)
    written = Written(rows, size, digest.hexdigest())
    async with database.begin_system("an export of the house") as tx:
        await _record(tx, writer, written, actor=tx.actor, reason=reason, via="cli")
    return written


# files


def _key_of(operation: Operation, part: int) -> str:
    return f"exports/{operation.id}/{part:06}"


async def parts_of(database: Database, operation: Operation) -> AsyncIterator[bytes]:
    """The file of an operation, part by part."""
    storage = storage_of(database)
    for part in range(operation.parts):
        yield await storage.get(_key_of(operation, part))


def file_of(operation: Operation) -> tuple[str, str]:
    """What the file of an operation is called, and its media type."""
    params = operation.params
    name = f"{params['resource']}-{operation.created_at:%Y-%m-%d}-{operation.id.hex[-6:]}.{params['format']}"
    if params["gzip"]:
        return f"{name}.gz", "application/gzip"
    return name, "text/csv; charset=utf-8; header=present" if params["format"] == "csv" else "application/x-ndjson"


async def remove_files(database: Database, operation_id: UUID) -> None:
    """Remove what is stored of an operation that is over, also a part that nobody has counted yet."""
    async with database.begin_system("files of an export") as tx:
        operation = await work.lock(tx, operation_id)
    if operation is None or not operation.is_over or not operation.has_files:
        return
    storage = storage_of(database)
    for part in range(operation.parts + 1):
        await storage.delete(_key_of(operation, part))
    async with database.begin_system("files of an export") as tx:
        await db.run(
            tx,
            "update infra.operations set has_files = false, version = version + 1 where id = %s and has_files",
            operation_id,
        )
