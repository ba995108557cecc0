"""Whole columns as binary PostgreSQL arrays, built in one pass: psycopg's own dumper visits each element."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from psycopg import adapters
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

_INT8 = np.dtype([("size", ">i4"), ("value", ">i8")])
_INT2 = np.dtype([("size", ">i4"), ("value", ">i2")])
_UUID = np.dtype([("size", ">i4"), ("value", "V16")])
_HASH = np.dtype([("size", ">i4"), ("value", "V32")])
_EMPTY_BYTES = 12  # an array without elements is its head alone
_TAIL = (1).to_bytes(4, "big")  # lower bound


def _packed(layout: np.dtype[Any], oid: int, values: Any, count: int) -> bytes:
    head = b"\0\0\0\1\0\0\0\0" + oid.to_bytes(4, "big")
    if not count:
        return b"\0\0\0\0\0\0\0\0" + oid.to_bytes(4, "big")
    column = np.empty(count, layout)
    column["size"] = layout.itemsize - 4
    column["value"] = values
    return head + count.to_bytes(4, "big") + _TAIL + column.tobytes()


class Packed:
    """An array ready to be sent."""

    __slots__ = ("data",)
    oid: ClassVar[int]

    def __init__(self, data: bytes) -> None:
        self.data = data


class Int8s(Packed):
    oid = 1016

    @classmethod
    def of(cls, values: Any) -> "Int8s":
        return cls(_packed(_INT8, 20, values, len(values)))


class Int2s(Packed):
    oid = 1005

    @classmethod
    def of(cls, values: Any) -> "Int2s":
        return cls(_packed(_INT2, 21, values, len(values)))


class Moments(Packed):
    """Microseconds since 2000."""

    oid = 1185

    @classmethod
    def of(cls, values: Any) -> "Moments":
        return cls(_packed(_INT8, 1184, values, len(values)))


class Uuids(Packed):
    oid = 2951

    @classmethod
    def of(cls, values: Any) -> "Uuids":
        return cls(_packed(_UUID, 2950, values, len(values)))


class Hashes(Packed):
    """32 bytes each."""

    oid = 1001

    @classmethod
    def of(cls, values: Sequence[bytes]) -> "Hashes":
        return cls(_packed(_HASH, 17, np.frombuffer(b"".join(values), "V32") if values else (), len(values)))


class Texts(Packed):
    oid = 1009

    @classmethod
    def of(cls, values: Sequence[str]) -> "Texts":
        if not values:
            return cls(b"\0\0\0\0\0\0\0\0\0\0\0\x19")
        head = b"\0\0\0\1\0\0\0\0\0\0\0\x19" + len(values).to_bytes(4, "big") + _TAIL
        parts: list[bytes] = []
        for value in values:
            data = value.encode()
            parts += (len(data).to_bytes(4, "big"), data)
        return cls(head + b"".join(parts))


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        return obj.data


for _kind in (Int8s, Int2s, Moments, Uuids, Hashes, Texts):
    adapters.register_dumper(_kind, type(f"{_kind.__name__}Dumper", (_PackedDumper,), {"oid": _kind.oid}))


class Int8sLoader(Loader):
    """A column of bigint without nulls."""

    format = Format.BINARY

    def load(self, data: Any) -> list[int]:
        return np.frombuffer(data, _INT8, offset=20)["value"].tolist() if len(data) > _EMPTY_BYTES else []
