"""Columns of values as one text each."""

from collections.abc import Sequence
from uuid import UUID

from palio.infra.arrays import Texts


def uuids(values: Sequence[UUID | None]) -> Texts:
    """A column of ids, to be cast by the statement that takes it."""
    return Texts.of([None if value is None else value.hex for value in values])
