"""How a month of a wallet, its balance at an instant, and what is set aside of it look from outside."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from palio.ledger.schemas.filters import Edge
from palio.ledger.schemas.wallet import LINES_EXAMPLE, LineAnswer
from palio.ledger.types import Flow, Line, MonthStatement, OpenHold
from palio.ui import tables
from palio.ui.examples import AT
from palio.ui.paging import Listed, Paging
from palio.ui.values import Asset, Instant, Money

MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
At = Annotated[Edge | None, Query(description="A time with its offset, or a date in UTC; now without it")]
MonthText = Annotated[str, Query(max_length=7, description="As `2026-03`, in UTC", examples=["2026-03"])]
Format = Literal["json", "csv"]


def month_of(text: str) -> date:
    """The first day of a month as an address writes it. Refuses what is no month."""
    found = MONTH.fullmatch(text)
    if found is None or found[1] in {"0000", "9999"}:
        words = "A month is written as 2026-03."
        raise RequestValidationError([{"loc": ("query", "month"), "type": "month_invalid", "msg": words}])
    return date(int(found[1]), int(found[2]), 1)


@dataclass(frozen=True, slots=True)
class BalanceAnswer:
    """What was in a wallet after everything that had been posted until `at`."""

    asset: str
    scale: int
    at: Instant
    balance: Money


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """What a category added or took."""

    category: str
    amount: Money


class MonthAnswer(BaseModel):
    """A month of a wallet. What went `out` is negative, so that everything adds up to `closing`."""

    model_config = ConfigDict(serialize_by_alias=True)

    asset: str
    scale: int
    month: str
    opening: Money
    came: Annotated[list[FlowAnswer], Field(serialization_alias="in")]
    went: Annotated[list[FlowAnswer], Field(serialization_alias="out")]
    closing: Money
    lines: int

    @classmethod
    def of(cls, found: MonthStatement, asset: Asset) -> "MonthAnswer":
        return cls(
            asset=asset.code,
            scale=asset.scale,
            month=f"{found.month:%Y-%m}",
            opening=Money.of(found.opening, asset),
            came=[FlowAnswer(flow.category, Money.of(flow.came, asset)) for flow in found.flows if flow.came],
            went=[FlowAnswer(flow.category, Money.of(-flow.went, asset)) for flow in found.flows if flow.went],
            closing=Money.of(found.closing, asset),
            lines=found.lines,
        )


_ROWS = TypeAdapter(list[LineAnswer])
_COLUMNS = list(tables.cells(_ROWS.dump_python(list(LINES_EXAMPLE.items), mode="json")[0]))


def table_of(lines: Sequence[Line], asset: Asset, *, has_head: bool) -> str:
    """Lines as a part of a file (CSV), with the columns of the list of movements."""
    rows = _ROWS.dump_python([LineAnswer.of(line, asset) for line in lines], mode="json")
    return tables.write(rows, columns=_COLUMNS, has_head=has_head)


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """What is set aside for a `subject` until `expires_at`: of `amount`, so much was `captured` and so much remains."""

    id: UUID
    asset: str
    kind: str
    label: str
    subject: str
    amount: Money
    captured: Money
    remaining: Money
    created_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, hold: OpenHold) -> "HoldAnswer":
        asset = Asset(hold.asset, hold.scale)
        return cls(
            id=hold.id,
            asset=hold.asset,
            kind=hold.kind,
            label=hold.label,
            subject=hold.subject,
            amount=Money.of(hold.amount, asset),
            captured=Money.of(hold.captured, asset),
            remaining=Money.of(hold.remaining, asset),
            created_at=hold.created_at,
            expires_at=hold.expires_at,
        )


def holds_answer(found: Sequence[OpenHold], page: Paging) -> Listed[HoldAnswer]:
    """A page of holds out of one more than it takes, if there are more on that side."""
    part = page.part(found, lambda hold: (str(hold.id),))
    return Listed(tuple(map(HoldAnswer.of, part.rows)), part.next, part.prev)


BALANCE_EXAMPLE = BalanceAnswer("USD", 2, AT, Money("USD", 11_875, "118.75"))
MONTH_EXAMPLE = MonthAnswer.of(
    MonthStatement(date(2026, 3, 1), 6_875, 11_375, [Flow("prize", 5_000, 0, 1), Flow("bet", 0, 500, 2)], 15),
    Asset("USD", 2),
)
HOLDS_EXAMPLE = Listed(
    items=(
        HoldAnswer(
            id=UUID("0195b0a2-6c1e-7d44-9a31-52f0c8e7b917"),
            asset="COIN",
            kind="store.order",
            label="Order",
            subject="order:0195b0a2-6c1e-7d44-9a31-52f0c8e7b918",
            amount=Money("COIN", 1_000, "1000"),
            captured=Money("COIN", 0, "0"),
            remaining=Money("COIN", 1_000, "1000"),
            created_at=AT,
            expires_at=datetime(2026, 3, 19, 14, 5, 9, 123456, tzinfo=UTC),
        ),
    ),
    next=None,
    prev=None,
)
