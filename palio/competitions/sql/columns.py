"""Columns of values that may be absent."""

from collections.abc import Sequence
from uuid import UUID

from palio.infra.arrays import Uuids


def uuids(values: Sequence[UUID | None]) -> Uuids:
    """A column of ids."""
    return Uuids.of([None if value is None else value.bytes for value in values])
