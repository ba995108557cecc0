"""What is told of people to whoever counts them, never one by one."""

from datetime import date

from palio.identity.rules.play import age
from palio.identity.types import AgeBand

BANDS: tuple[tuple[int, AgeBand], ...] = (
    *((65, "65+"), (55, "55-64"), (45, "45-54"), (35, "35-44"), (25, "25-34"), (18, "18-24"), (16, "16-17")),
    (0, "0-15"),
)


def age_band(born: date | None, today: date) -> AgeBand:
    """About how old somebody is."""
    years = -1 if born is None else age(born, today)
    return next((band for least, band in BANDS if years >= least), "undisclosed")
