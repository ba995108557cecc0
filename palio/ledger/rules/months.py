"""Months (UTC) of a wallet."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from palio.ledger.errors import StatementTooLong
from palio.ledger.types import Flow, MonthStatement

MONTHS_OF_A_YEAR = 12
MONTHS_MAX = 120


def midnight(day: date) -> datetime:
    """The instant at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def edges(month: date) -> tuple[datetime, datetime]:
    """The instants at which the month of a day begins, and the next one does."""
    years, n = divmod(month.month, MONTHS_OF_A_YEAR)
    return midnight(month.replace(day=1)), midnight(date(month.year + years, n + 1, 1))


def statement(month: date, *, opening: int, flows: Sequence[Flow], first_seq: int) -> MonthStatement:
    """A month out of what it began with, and what moved in it."""
    closing = opening + sum(flow.came - flow.went for flow in flows)
    return MonthStatement(month.replace(day=1), opening, closing, flows, first_seq)


def require_room(found: MonthStatement, lines_max: int) -> None:
    """Let a month be a file. Refuses with StatementTooLong."""
    if found.lines > lines_max:
        raise StatementTooLong(lines=found.lines, limit=lines_max)


def down_to(first: date, last: date) -> list[date]:
    """The first days of months from the last one back to the first one; at most ten years."""
    months, month = list[date](), last.replace(day=1)
    while month >= first.replace(day=1) and len(months) < MONTHS_MAX:
        months.append(month)
        years, n = divmod(month.month - 2, MONTHS_OF_A_YEAR)
        month = date(month.year + years, n + 1, 1)
    return months
