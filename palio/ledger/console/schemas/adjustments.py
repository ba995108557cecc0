"""Corrections of wallets: what staff ask for, what it would do, and what became of it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field, StrictBool, StrictInt

from palio.kernel.ids import UserId
from palio.ledger.console.schemas.asked import Reason
from palio.ledger.types import (
    ADJUSTMENT_LINES_MAX,
    AMOUNT_UNITS_MAX,
    TICKET_CHARS_MAX,
    AdjustedLine,
    Adjustment,
    AdjustmentForeseen,
    AdjustmentId,
    AdjustmentLine,
    AdjustmentStatus,
    BalanceChange,
)
from palio.ui.bodies import Body
from palio.ui.examples import AT, PLAYER, STELLA, THING, money
from palio.ui.paging import Listed
from palio.ui.values import Asset, Blank, Instant, Money

Units = Annotated[StrictInt, Field(ge=-AMOUNT_UNITS_MAX, le=AMOUNT_UNITS_MAX)]
AdjustedAs = Annotated[AdjustmentStatus | None, Query(description="In one state; all of them without it"), Blank]


class LineBody(Body):
    """So many units more or less in the main wallet of a player."""

    owner: UUID
    asset: Annotated[str, Field(max_length=12, examples=["USD"])]
    amount: Units


class LinesBody(Body):
    """Corrections to be seen before they are made."""

    lines: Annotated[list[LineBody], Field(min_length=1, max_length=ADJUSTMENT_LINES_MAX)]
    to_debt: StrictBool = False

    def asked(self) -> list[AdjustmentLine]:
        """As the use case takes them."""
        return [AdjustmentLine(UserId(line.owner), line.asset, line.amount) for line in self.lines]


class AdjustBody(LinesBody):
    """Corrections to be made, and why: the players read it. `to_debt` lets a wallet owe what it does not have."""

    reason: Reason
    ticket: Annotated[str, Field(max_length=TICKET_CHARS_MAX)] = ""


@dataclass(frozen=True, slots=True)
class AdjustedLineAnswer:
    """A line and what became of it: a transfer, the code of a refusal, or neither yet."""

    n: int
    owner: UUID
    amount: Money
    transfer: UUID | None
    refusal: str | None

    @classmethod
    def of(cls, line: AdjustedLine) -> "AdjustedLineAnswer":
        amount = Money.of(line.amount, Asset(line.asset, line.scale))
        return cls(line.n, line.owner_id, amount, line.transfer_id, line.refusal)


@dataclass(frozen=True, slots=True)
class AdjustmentRowAnswer:
    """A correction in a list. `total` is null where its lines are of several assets."""

    id: UUID
    status: str
    maker: UUID
    checker: UUID | None
    reason: str
    note: str
    ticket: str
    to_debt: bool
    total: Money | None
    line_count: int
    created_at: Instant
    expires_at: Instant | None
    decided_at: Instant | None
    updated_at: Instant

    @classmethod
    def of(cls, one: Adjustment) -> "AdjustmentRowAnswer":
        return cls(
            id=one.id,
            status=one.status,
            maker=one.maker,
            checker=one.checker,
            reason=one.reason,
            note=one.note,
            ticket=one.ticket,
            to_debt=one.to_debt,
            total=total_of(one),
            line_count=one.line_count,
            created_at=one.created_at,
            expires_at=one.expires_at,
            decided_at=one.decided_at,
            updated_at=one.decided_at or one.created_at,
        )


def total_of(one: Adjustment) -> Money | None:
    """How much it moves, where that is of one asset."""
    if one.asset is None or one.scale is None or one.total_abs is None:
        return None
    return Money.of(one.total_abs, Asset(one.asset, one.scale))


@dataclass(frozen=True, slots=True)
class AdjustmentAnswer(AdjustmentRowAnswer):
    """A correction with its lines."""

    lines: tuple[AdjustedLineAnswer, ...] = ()

    @classmethod
    def of(cls, one: Adjustment) -> "AdjustmentAnswer":
        """The answer for a correction that was read with its lines."""
        row = AdjustmentRowAnswer.of(one)
        fields = {name: getattr(row, name) for name in AdjustmentRowAnswer.__slots__}
        return cls(**fields, lines=tuple(map(AdjustedLineAnswer.of, one.lines)))


@dataclass(frozen=True, slots=True)
class BalanceChangeAnswer:
    """A balance before and after."""

    address: str
    before: Money
    after: Money

    @classmethod
    def of(cls, change: BalanceChange) -> "BalanceChangeAnswer":
        asset = Asset(change.asset, change.scale)
        return cls(change.address, Money.of(change.before, asset), Money.of(change.after, asset))


@dataclass(frozen=True, slots=True)
class RefusedLineAnswer:
    """A line that would be refused now."""

    n: int
    refusal: str


@dataclass(frozen=True, slots=True)
class ForeseenAnswer:
    """What corrections would do now; `waits` says that they take a second person, `obstacle` what refuses them."""

    waits: bool
    obstacle: str | None
    changes: tuple[BalanceChangeAnswer, ...]
    refused: tuple[RefusedLineAnswer, ...]

    @classmethod
    def of(cls, found: AdjustmentForeseen) -> "ForeseenAnswer":
        refused = tuple(RefusedLineAnswer(n, code) for n, code in found.refusals.items())
        return cls(found.waits, found.obstacle, tuple(map(BalanceChangeAnswer.of, found.changes)), refused)


ADJUSTMENT_KEPT = Adjustment(
    id=AdjustmentId(THING),
    maker=UserId(STELLA),
    checker=None,
    status="pending",
    reason="The bet was counted twice",
    note="",
    ticket="T-1042",
    to_debt=False,
    asset="USD",
    scale=2,
    total_abs=10_001,
    line_count=1,
    created_at=AT,
    expires_at=AT,
    decided_at=None,
    lines=(AdjustedLine(1, UserId(PLAYER), "USD", 2, 10_001),),
)
ADJUSTMENT_EXAMPLE = AdjustmentAnswer.of(ADJUSTMENT_KEPT)
FORESEEN_EXAMPLE = ForeseenAnswer(
    waits=True,
    obstacle=None,
    changes=(
        BalanceChangeAnswer(f"user:{PLAYER}:main", money(50_000), money(60_001)),
        BalanceChangeAnswer("house:adjustments", money(0), money(-10_001)),
    ),
    refused=(),
)
ADJUSTMENTS_EXAMPLE = Listed((AdjustmentRowAnswer.of(ADJUSTMENT_KEPT),), None, None)
