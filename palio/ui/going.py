"""Calls that are going away: every answer says since when, until when, and where to read more (RFC 9745, RFC 8594)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime

DAYS_MIN = 180  # so long others have to find another way


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when a call should not be used any more, from which day on it may be gone, and the page that says why.

    Raises ValueError if there are fewer than 180 days between the two.
    """

    since: date
    sunset: date
    link: str

    def __post_init__(self) -> None:
        if self.sunset - self.since < timedelta(days=DAYS_MIN):
            raise ValueError(f"a call is announced to go at least {DAYS_MIN} days ahead")

    @property
    def headers(self) -> dict[str, str]:
        """What each answer says of it."""
        return {
            "Deprecation": f"@{int(_midnight(self.since).timestamp())}",
            "Sunset": format_datetime(_midnight(self.sunset), usegmt=True),
        }

    @property
    def link_header(self) -> str:
        """Where to read more, as one more `Link`."""
        return f'<{self.link}>; rel="deprecation"'


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
