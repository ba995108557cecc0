"""Parts of lists that are read newest first, and go on behind or in front of a row.

A list has one order, the one its index has: going back it is read upwards and turned round, so that each part costs the
same whichever way somebody comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

Key = TypeVar("Key")
Row = TypeVar("Row")
Dated: TypeAlias = tuple[datetime, UUID]  # what orders rows that have an instant and an id

IDS: tuple[UUID, UUID] = (UUID(int=0), UUID(int=2**128 - 1))  # below and above all of them
EVER: tuple[Dated, Dated] = (datetime.min.replace(tzinfo=UTC), IDS[0]), (datetime.max.replace(tzinfo=UTC), IDS[1])


@dataclass(frozen=True)
class Part(Generic[Key]):
    """At most so many rows older than one, or, going back, newer than one; rows are named by what orders them."""

    limit: int
    older_than: Key | None = None
    newer_than: Key | None = None

    @property
    def is_back(self) -> bool:
        """Is it in front of a row? Then it is read upwards, from that row on."""
        return self.newer_than is not None

    def between(self, first: Key, last: Key) -> tuple[Key, Key]:
        """Above and below what its rows lie; `first` and `last` bound the whole list."""
        return (
            first if self.newer_than is None else self.newer_than,
            last if self.older_than is None else self.older_than,
        )

    @property
    def and_one(self) -> "Part[Key]":
        """The same with one row more, which says whether the list goes on."""
        return replace(self, limit=self.limit + 1)

    def cut(self, found: Sequence[Row]) -> "Cut[Row]":
        """The rows of this part out of those of `and_one`, newest first: going back, the one too many is the first."""
        has_more = len(found) > self.limit
        if self.newer_than is None:
            return Cut(found[: self.limit], self.older_than is not None, has_more)
        return Cut(found[-self.limit :], has_more, has_older=True)


class Cut(NamedTuple, Generic[Row]):
    """The rows of a part, and whether there are newer and older ones."""

    rows: Sequence[Row]
    has_newer: bool
    has_older: bool
