"""How transfers look to staff, leg by leg, and what a reversal takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import Field, StrictBool, StrictInt

from palio.ledger.console.schemas.asked import Reason
from palio.ledger.service.desk import Sheet
from palio.ledger.sql.desk import LegRow
from palio.ledger.types import AMOUNT_UNITS_MAX, LEGS_OF_AN_ITEM_MAX
from palio.ui.bodies import Body
from palio.ui.examples import AT, PLAYER, THING, money
from palio.ui.values import Asset, Instant, Money

LegNumber = Annotated[int, Path(ge=0, le=LEGS_OF_AN_ITEM_MAX, examples=[0])]


class ReverseBody(Body):
    """How much is taken back of a transfer of two legs, or all that is left; what a wallet lacks may be owed."""

    reason: Reason
    amount: Annotated[StrictInt, Field(ge=1, le=AMOUNT_UNITS_MAX)] | None = None
    to_debt: StrictBool = False


@dataclass(frozen=True, slots=True)
class LegAnswer:
    """A leg of a transfer; `reversed` is how much of it was taken back, `hidden` that its player's list has it not."""

    leg: int
    account: int
    address: str
    amount: Money
    seq: int | None
    balance_after: Money | None
    reversed: Money
    hidden: bool

    @classmethod
    def of(cls, leg: LegRow) -> "LegAnswer":
        asset = Asset(leg.asset, leg.scale)
        after = None if leg.balance_after is None else Money.of(leg.balance_after, asset)
        return cls(
            leg=leg.leg,
            account=leg.account_id,
            address=leg.address,
            amount=Money.of(leg.amount, asset),
            seq=leg.seq,
            balance_after=after,
            reversed=Money.of(leg.reversed, asset),
            hidden=leg.hidden_at is not None,
        )


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """A transfer with everything about it: its cause is named by `key`; reversals lead both ways.

    `seal` is the number of the seal that it is in; null while it waits for one, at most a minute.
    """

    id: UUID
    key: str
    kind: str
    category: str
    actor: str
    description: str
    metadata: Mapping[str, object]
    posted_at: Instant
    legs: tuple[LegAnswer, ...]
    reverses: UUID | None
    reversed_by: tuple[UUID, ...]
    hold: UUID | None
    seal: int | None

    @classmethod
    def of(cls, found: Sheet, *, seal: int | None) -> "TransferAnswer":
        one = found.transfer
        return cls(
            id=one.id,
            key=one.key,
            kind=one.kind,
            category=one.category,
            actor=one.actor,
            description=one.description,
            metadata=one.metadata,
            posted_at=one.posted_at,
            legs=tuple(map(LegAnswer.of, found.legs)),
            reverses=one.reverses_id,
            reversed_by=tuple(each.id for each in found.reversed_by),
            hold=one.hold_id,
            seal=seal,
        )


@dataclass(frozen=True, slots=True)
class ReversedAnswer:
    """The transfer that took another one back."""

    id: UUID
    reverses: UUID


LEG_EXAMPLE = LegAnswer(0, 6553603, f"user:{PLAYER}:main", money(50_000), 17, money(50_000), money(0), hidden=False)
OTHER_LEG = LegAnswer(1, 6619138, "house:prizes", money(-50_000), None, None, money(0), hidden=False)
TRANSFER_EXAMPLE = TransferAnswer(
    id=THING,
    key="comp:36:reward:1",
    kind="competitions.prize",
    category="prize",
    actor="system",
    description="Race 36, place 1",
    metadata={"competition": "36"},
    posted_at=AT,
    legs=(LEG_EXAMPLE, OTHER_LEG),
    reverses=None,
    reversed_by=(),
    hold=None,
    seal=4217,
)
REVERSED_EXAMPLE = ReversedAnswer(THING, THING)
