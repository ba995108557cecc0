"""A page out of many lines."""

from collections.abc import Sequence

from palio.ledger.types import Cursor, Line, Statement


def page(lines: Sequence[Line], size: int) -> Statement:
    """The first `size` of these lines, and where to go on if there are more."""
    if len(lines) <= size:
        return Statement(lines, None)
    last = lines[size - 1]
    return Statement(lines[:size], Cursor(last.posted_at, last.seq))
