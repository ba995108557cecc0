"""How accounts look to staff, with the chain of their entries and their lots. Amounts are units of their asset."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from palio.ledger.console.schemas.asked import Reason
from palio.ledger.sql.desk import AccountRow, EntryRow, LotRow
from palio.ledger.types import Status
from palio.ui.bodies import Body
from palio.ui.examples import AT, PLAYER, THING, money
from palio.ui.paging import Listed
from palio.ui.values import Asset, Blank, Instant, Money

NUMBER_MAX = 2**63 - 1
AccountNumber = Annotated[int, Path(ge=1, le=NUMBER_MAX, examples=[6553603])]
Beginning = Annotated[str, Query(max_length=200, description="How the address begins, like `house:`")]
OfStatus = Annotated[Status | None, Query(description="Accounts of one status; all of them without it"), Blank]


class StatusBody(Body):
    """What an account may be used for from now on, and why."""

    status: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """An account with what it holds now; `held` is set aside for something."""

    id: int
    address: str
    asset: str
    status: str
    owner: UUID | None
    balance: Money
    held: Money
    entries: int | None
    last_posted_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, row: AccountRow) -> "AccountAnswer":
        asset = Asset(row.asset, row.scale)
        return cls(
            id=row.id,
            address=row.address,
            asset=row.asset,
            status=row.status,
            owner=row.owner_id,
            balance=Money.of(int(row.balance), asset),
            held=Money.of(row.held, asset),
            entries=row.seq if row.is_guarded else None,
            last_posted_at=row.last_posted_at if row.seq else None,
            created_at=row.created_at,
        )


@dataclass(frozen=True, slots=True)
class ChainAnswer:
    """An entry of an account; a wallet's has its number and the balance it left."""

    transfer: UUID
    leg: int
    seq: int | None
    amount: Money
    balance_after: Money | None
    kind: str
    category: str
    key: str
    description: str
    posted_at: Instant
    reverses: UUID | None

    @classmethod
    def of(cls, row: EntryRow, asset: Asset) -> "ChainAnswer":
        return cls(
            transfer=row.transfer_id,
            leg=row.leg,
            seq=row.seq,
            amount=Money.of(row.amount, asset),
            balance_after=None if row.balance_after is None else Money.of(row.balance_after, asset),
            kind=row.kind,
            category=row.category,
            key=row.key,
            description=row.description,
            posted_at=row.posted_at,
            reverses=row.reverses_id,
        )


@dataclass(frozen=True, slots=True)
class LotAnswer:
    """What is left of a credit of a wallet: `held` of it is under holds, `expired` of it was moved away.

    Without `expires_at` it never ends; without `transfer` it was there when its asset began to have lots.
    """

    id: UUID
    transfer: UUID | None
    origin: str
    amount: Money
    remaining: Money
    held: Money
    expired: Money
    opened_at: Instant
    expires_at: Instant | None

    @classmethod
    def of(cls, row: LotRow, asset: Asset) -> "LotAnswer":
        return cls(
            id=row.id,
            transfer=row.transfer_id,
            origin=row.origin,
            amount=Money.of(row.amount, asset),
            remaining=Money.of(row.remaining, asset),
            held=Money.of(row.held, asset),
            expired=Money.of(row.expired, asset),
            opened_at=row.opened_at,
            expires_at=row.expires_at,
        )


ACCOUNT_EXAMPLE = AccountAnswer(
    id=6553603,
    address=f"user:{PLAYER}:main",
    asset="USD",
    status="active",
    owner=PLAYER,
    balance=money(50_000),
    held=money(1_000),
    entries=17,
    last_posted_at=AT,
    created_at=AT,
)
CHAIN_EXAMPLE = ChainAnswer(
    transfer=THING,
    leg=0,
    seq=17,
    amount=money(50_000),
    balance_after=money(50_000),
    kind="competitions.prize",
    category="prize",
    key="comp:36:reward:1",
    description="Race 36, place 1",
    posted_at=AT,
    reverses=None,
)
ACCOUNTS_EXAMPLE = Listed((ACCOUNT_EXAMPLE,), None, None)
LOTS_EXAMPLE = Listed(
    (LotAnswer(THING, THING, "earned", money(50_000), money(12_500), money(1_000), money(0), AT, AT),), None, None
)
CHAINS_EXAMPLE = Listed((CHAIN_EXAMPLE,), None, None)
