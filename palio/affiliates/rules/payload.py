"""What a payload says once it is read, and what of it saves the next reading."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from palio.affiliates.types import AnomalyCode, HeldRow, Reading, Shape, Totals

FORGOTTEN: Final = b""  # no row is empty, so it stands for one that is read each time


@dataclass(frozen=True, slots=True)
class Sums:
    """What rows add up to; kept so that rows which did not change need not be added again."""

    rows: int = 0
    totals: Totals = Totals()  # noqa: RUF009 - immutable
    flags: Mapping[int, int] = field(default_factory=dict)

    def plus(self, readings: Collection[Reading], sign: int = 1) -> "Sums":
        """With these rows, or without them when `sign` is -1."""
        if not readings:
            return self
        _, _, *columns, flags, _ = zip(*readings, strict=True)
        totals = (
            before + sign * sum(filter(None, column)) for before, column in zip(self.totals, columns, strict=True)
        )
        counts = Counter(self.flags)
        counts.update({bits: sign * rows for bits, rows in Counter(flags).items()})
        kept = {bits: rows for bits, rows in counts.items() if rows}
        return Sums(self.rows + sign * len(readings), Totals(*totals), kept)


@dataclass(frozen=True, slots=True)
class Known:
    """The rows of a body in their order, and what was read in each: None in one that is held."""

    texts: Sequence[bytes] = ()
    found: Sequence[Reading | None] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)

    def forgetting(self, uids: AbstractSet[str]) -> "Known":
        """Have the rows of these players read again each time."""
        pairs = zip(self.texts, self.found, strict=True)
        return replace(self, texts=[FORGOTTEN if row and row.uid in uids else text for text, row in pairs])


@dataclass(frozen=True, slots=True)
class Parsed:
    """A payload, read and judged for itself.

    `known` saves the next call work, and `fresh` lists the uids whose row was new to this one. Neither says anything
    about the payload, so they do not count when two are compared.
    """

    shape: Shape
    readings: Mapping[str, Reading]
    held: tuple[HeldRow, ...] = ()
    totals: Totals = Totals()  # noqa: RUF009 - immutable
    upstream_at: datetime | None = None
    total_users: int | None = None
    total_pages: int | None = None
    anomalies: Mapping[AnomalyCode, int] = field(default_factory=dict)
    missing_columns: tuple[str, ...] = ()
    strange_keys: tuple[str, ...] = ()
    known: Known = field(default_factory=Known, compare=False, repr=False)
    fresh: tuple[str, ...] = field(default=(), compare=False, repr=False)
