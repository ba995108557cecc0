"""Whole columns as binary PostgreSQL arrays, built in one pass: psycopg's own dumper and loader visit each element."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, ClassVar, LiteralString, TypeAlias

import numpy as np
import numpy.typing as npt
from psycopg import adapters
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from palio.infra.db import Tx

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
MICROSECOND = timedelta(microseconds=1)

_INT8 = np.dtype([("size", ">i4"), ("value", ">i8")])
_INT2 = np.dtype([("size", ">i4"), ("value", ">i2")])
_UUID = np.dtype([("size", ">i4"), ("value", "V16")])
_HASH = np.dtype([("size", ">i4"), ("value", "V32")])
_INT8_ARRAY, _MOMENT_ARRAY = 1016, 1185
_SINCE_1970_US = 946_684_800_000_000  # of PostgreSQL's epoch
_NULL = (-1).to_bytes(4, "big", signed=True)
_HEAD, _HEAD_OF_NONE = Struct(">5i"), Struct(">3i")
_INT8_CELL, _INT2_CELL = Struct(">iq"), Struct(">ih")
_UUID_SIZE = (16).to_bytes(4, "big")
SHORT = 64  # below, the columns of numpy cost more than they spare
_HEAD_BYTES = 20  # dimensions, nulls, type, length, lower bound
_EMPTY_BYTES = 12  # an array without elements has neither of the last two


def _head(element: int, count: int, *, nulls: bool = False) -> bytes:
    return _HEAD.pack(1, nulls, element, count, 1) if count else _HEAD_OF_NONE.pack(0, 0, element)


def _fixed(layout: np.dtype[Any], element: int, values: Any, count: int) -> bytes:
    column = np.empty(count, layout)
    column["size"] = layout.itemsize - 4
    column["value"] = values
    return _head(element, count) + column.tobytes()


def _int8s(element: int, values: Sequence[int]) -> bytes:
    if len(values) < SHORT:
        return _head(element, len(values)) + b"".join([_INT8_CELL.pack(8, value) for value in values])
    return _fixed(_INT8, element, values, len(values))


def _varying(element: int, values: Sequence[bytes | None]) -> bytes:
    parts = [_head(element, len(values), nulls=None in values)]
    for value in values:
        parts += (_NULL,) if value is None else (len(value).to_bytes(4, "big"), value)
    return b"".join(parts)


def transposed(width: int, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """The columns of rows, also of none at all."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


class Packed:
    """An array ready to be sent."""

    __slots__ = ("data",)
    oid: ClassVar[int]

    def __init__(self, data: bytes) -> None:
        self.data = data


class Int8s(Packed):
    oid = _INT8_ARRAY

    @classmethod
    def of(cls, values: Sequence[int]) -> "Int8s":
        return cls(_int8s(20, values))


class Int2s(Packed):
    oid = 1005

    @classmethod
    def of(cls, values: Sequence[int]) -> "Int2s":
        if len(values) < SHORT:
            return cls(_head(21, len(values)) + b"".join([_INT2_CELL.pack(2, value) for value in values]))
        return cls(_fixed(_INT2, 21, values, len(values)))


class Moments(Packed):
    """Instants; many of them equal."""

    oid = 1185

    @classmethod
    def of(cls, values: Sequence[datetime]) -> "Moments":
        microseconds = {moment: (moment - EPOCH) // MICROSECOND for moment in set(values)}
        return cls(_int8s(1184, [microseconds[moment] for moment in values]))


class Uuids(Packed):
    """16 bytes each."""

    oid = 2951

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> "Uuids":
        present = [value for value in values if value is not None]
        if len(present) < len(values):
            return cls(_varying(2950, values))
        if len(values) < SHORT:
            return cls(_head(2950, len(values)) + b"".join([_UUID_SIZE + value for value in present]))
        return cls(_fixed(_UUID, 2950, np.frombuffer(b"".join(present), "V16"), len(values)))


class Hashes(Packed):
    """32 bytes each."""

    oid = 1001

    @classmethod
    def of(cls, values: Sequence[bytes]) -> "Hashes":
        if len(values) < SHORT:
            return cls(_varying(17, values))
        return cls(_fixed(_HASH, 17, np.frombuffer(b"".join(values), "V32"), len(values)))


class Texts(Packed):
    oid = 1009

    @classmethod
    def of(cls, values: Sequence[str | None]) -> "Texts":
        return cls(_varying(25, [None if value is None else value.encode() for value in values]))


class Jsons(Packed):
    """Texts of JSON, as jsonb."""

    oid = 3807

    @classmethod
    def of(cls, values: Sequence[str | None]) -> "Jsons":
        return cls(_varying(3802, [None if value is None else b"\1" + value.encode() for value in values]))


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        return obj.data


for _kind in (Int8s, Int2s, Moments, Uuids, Hashes, Texts, Jsons):
    adapters.register_dumper(_kind, type(f"{_kind.__name__}Dumper", (_PackedDumper,), {"oid": _kind.oid}))


class Int8sLoader(Loader):
    """A column of bigint without nulls."""

    format = Format.BINARY

    def load(self, data: Any) -> list[int]:
        return np.frombuffer(data, _INT8, offset=_HEAD_BYTES)["value"].tolist() if len(data) > _EMPTY_BYTES else []


async def columns(tx: Tx, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """Every row of a statement that answers with whole columns: arrays of bigint without nulls become lists of int."""
    async with tx.cursor() as cursor:
        cursor.adapters.register_loader(_INT8_ARRAY, Int8sLoader)
        await cursor.execute(statement, values, binary=True)
        return await cursor.fetchall()


Wholes: TypeAlias = npt.NDArray[np.int64]


class WholesLoader(Loader):
    """A column of bigint without nulls, as one array of numpy."""

    format = Format.BINARY

    def load(self, data: Any) -> npt.NDArray[np.int64]:
        is_empty = len(data) <= _EMPTY_BYTES
        return np.empty(0, np.int64) if is_empty else _cells(data).astype(np.int64)


class MicrosecondsLoader(Loader):
    """A column of instants without nulls, as microseconds since 1970 in one array of numpy."""

    format = Format.BINARY

    def load(self, data: Any) -> npt.NDArray[np.int64]:
        is_empty = len(data) <= _EMPTY_BYTES
        return np.empty(0, np.int64) if is_empty else _cells(data).astype(np.int64) + _SINCE_1970_US


def _cells(data: Any) -> Any:
    return np.frombuffer(data, _INT8, offset=_HEAD_BYTES)["value"]


async def stream_wholes(tx: Tx, statement: LiteralString, *values: object) -> AsyncIterator[tuple[Any, ...]]:
    """As `wholes`, one row after another: no more than one of them is here as it came."""
    async with tx.cursor() as cursor:
        cursor.adapters.register_loader(_INT8_ARRAY, WholesLoader)
        cursor.adapters.register_loader(_MOMENT_ARRAY, MicrosecondsLoader)
        async for row in cursor.stream(statement, values, binary=True):
            yield row


async def wholes(tx: Tx, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """As `columns`, for very many: columns of bigint and of instants, as numbers of numpy."""
    async with tx.cursor() as cursor:
        cursor.adapters.register_loader(_INT8_ARRAY, WholesLoader)
        cursor.adapters.register_loader(_MOMENT_ARRAY, MicrosecondsLoader)
        await cursor.execute(statement, values, binary=True)
        return await cursor.fetchall()


def joined(parts: Sequence[npt.NDArray[np.int64] | None]) -> Any:
    """Parts of a column as one; a part of nothing is left out."""
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else np.empty(0, np.int64)
