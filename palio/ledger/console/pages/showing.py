"""What several pages of staff over the ledger show alike: whose a balance is, courses of figures, chosen filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request

from palio.infra.db import Tx
from palio.ledger.console.people import names_of
from palio.ledger.rules import desk as rules
from palio.ledger.types import BalanceChange
from palio.ui import pages
from palio.ui.charts import Chart, Series
from palio.ui.values import Asset


@dataclass(frozen=True, slots=True)
class Told:
    """A balance before and after, with whose it is."""

    name: str
    change: BalanceChange

    @property
    def asset(self) -> Asset:
        """What it counts."""
        return Asset(self.change.asset, self.change.scale)


async def with_names(request: Request, tx: Tx, changes: Sequence[BalanceChange]) -> list[Told]:
    """The same balances, with whose they are."""
    owners = rules.owners_of(change.address for change in changes)
    names = await names_of(request, tx, [UUID(owner) for owner in owners])
    return [Told(name_of(change.address, names), change) for change in changes]


def name_of(address: str, names: Mapping[UUID, str]) -> str:
    """Whose account it is, as staff read it; of nobody known it is the address."""
    parts = address.split(":")
    name = names.get(UUID(parts[1]), "") if parts[0] == "user" else ""
    return name or address


def query_of(**narrowed: object) -> str:
    """The filters that are chosen, as an address has them."""
    return urlencode({name: str(value) for name, value in narrowed.items() if value})


def chart_of(
    request: Request, courses: Sequence[tuple[str, Sequence[tuple[date, int | Decimal]]]], scale: int
) -> Chart:
    """Courses of the same days, in whole units of an asset of so many places."""
    formats = pages.formats_of(request)
    days = tuple(formats.short_day(day) for day, _ in courses[0][1])
    series = [Series(name, "step", tuple(float(held) / 10**scale for _, held in course)) for name, course in courses]
    return Chart(days, tuple(series))
