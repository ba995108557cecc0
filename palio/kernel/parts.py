"""Parts of lists that are read newest first, and go on behind or in front of a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Part(Generic[Key]):
    """At most so many rows older than one, or, going back, newer than one; rows are named by what orders them."""

    limit: int
    older_than: Key | None = None
    newer_than: Key | None = None

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
