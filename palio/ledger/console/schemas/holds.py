"""How holds look to staff."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Query

from palio.ledger.sql.desk import HoldRow
from palio.ledger.types import HoldState
from palio.ui.examples import AT, PLAYER, THING, money
from palio.ui.paging import Listed
from palio.ui.values import Asset, Blank, Instant, Money

OfState = Annotated[HoldState | None, Query(description="Holds in one state; all of them without it"), Blank]


@dataclass(frozen=True, slots=True)
class StaffHoldAnswer:
    """A hold: what of it was captured and released, and what is still held."""

    id: UUID
    key: str
    owner: UUID
    account: int
    amount: Money
    captured: Money
    released: Money
    remaining: Money
    state: str
    subject: str
    kind: str
    created_at: Instant
    expires_at: Instant
    closed_at: Instant | None

    @classmethod
    def of(cls, row: HoldRow) -> "StaffHoldAnswer":
        asset = Asset(row.asset, row.scale)
        return cls(
            id=row.id,
            key=row.key,
            owner=row.owner_id,
            account=row.account_id,
            amount=Money.of(row.amount, asset),
            captured=Money.of(row.captured, asset),
            released=Money.of(row.released, asset),
            remaining=Money.of(row.remaining, asset),
            state=row.state,
            subject=row.subject,
            kind=row.kind,
            created_at=row.created_at,
            expires_at=row.expires_at,
            closed_at=row.closed_at,
        )


HOLD_EXAMPLE = StaffHoldAnswer(
    id=THING,
    key="bet:1:hold",
    owner=PLAYER,
    account=6553603,
    amount=money(1_000),
    captured=money(0),
    released=money(0),
    remaining=money(1_000),
    state="open",
    subject="a bet",
    kind="games.bet",
    created_at=AT,
    expires_at=AT,
    closed_at=None,
)
STAFF_HOLDS_EXAMPLE = Listed((HOLD_EXAMPLE,), None, None)
