"""Parts of something long: a page of a statement, a month of partitions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from palio.ledger.types import Cursor, Line, Statement


def month_of(instant: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of its calendar month in UTC."""
    since = instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return since, (since + timedelta(days=31)).replace(day=1)


def page(lines: Sequence[Line], size: int) -> Statement:
    """The first `size` of these lines, and where to go on if there are more."""
    if len(lines) <= size:
        return Statement(lines, None)
    last = lines[size - 1]
    return Statement(lines[:size], Cursor(last.posted_at, last.seq))
