"""A page out of many lines."""

from collections.abc import Sequence

from palio.ledger.types import Cursor, Line, Statement


def page(lines: Sequence[Line], size: int, *, is_first: bool = True) -> Statement:
    """The first `size` of these lines, where to go on if there are more, and back if it is not the first page."""
    shown = lines[:size]
    return Statement(
        shown,
        _at(shown[-1]) if len(lines) > size else None,
        _at(shown[0]) if shown and not is_first else None,
    )


def page_before(lines: Sequence[Line], size: int) -> Statement:
    """The last `size` of these lines, which all precede a line that is there."""
    shown = lines[-size:]
    return Statement(shown, _at(shown[-1]) if shown else None, _at(shown[0]) if len(lines) > size else None)


def _at(line: Line) -> Cursor:
    return Cursor(line.posted_at, line.seq)
