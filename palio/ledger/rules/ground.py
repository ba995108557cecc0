"""What a batch is decided on: accounts, keys and holds as they are now, and what is to be written about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor
from palio.ledger import errors
from palio.ledger.rules.requests import Claim
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    AccountId,
    AnyOutcome,
    Handle,
    HoldId,
    HoldState,
    Leg,
    Refused,
    Status,
)

NO_HOLD = 0, datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Purse:
    """An account while the batch is decided. An open one has neither balance nor number of entries."""

    number: AccountId
    posted_at: datetime  # nothing may be posted before
    balance: int = 0
    seq: int = 0
    status: Status = "active"
    held: int = 0
    floor: int = 0
    ceiling: int = AMOUNT_UNITS_MAX
    is_guarded: bool = False

    def takes(self, amount: int) -> bool:
        """Whether it may be posted; a credit of a guarded account never fails for funds."""
        if self.status != "active" and (self.status != "no_debit" or amount < 0):
            return False
        if not self.is_guarded:
            return True
        after = self.balance + amount
        if amount < 0:
            return after - self.held >= self.floor and after >= -AMOUNT_UNITS_MAX
        return after <= self.ceiling

    def refusal(self, leg: Leg) -> Refused:
        """Why it does not take this leg."""
        address, _, amount = leg
        if self.status == "closed":
            return refuse(errors.AccountClosed, account=address)
        if self.status == "frozen" or (self.status == "no_debit" and amount < 0):
            return refuse(errors.AccountFrozen, account=address)
        if amount < 0 and self.balance + amount - self.held < self.floor:
            return refuse(errors.InsufficientFunds, available=self.balance - self.held, needed=-amount)
        return refuse(errors.BalanceLimit, account=address)


@dataclass(slots=True)
class Reserve:
    """A hold while the batch is decided; `newly` is what this batch has captured and released of it."""

    id: HoldId
    account: AccountId
    amount: int
    captured: int
    released: int
    state: HoldState
    expires_at: datetime
    newly_captured: int = 0
    newly_released: int = 0

    @property
    def remaining(self) -> int:
        """What is still held."""
        return self.amount - self.captured - self.released

    def capture(self, amount: int) -> None:
        """Take so much out of it; it is closed when nothing remains."""
        self.captured += amount
        self.newly_captured += amount
        if not self.remaining:
            self.state = "captured"

    def release(self, state: HoldState) -> int:
        """Give back what remains, and close it so."""
        freed = self.remaining
        self.released += freed
        self.newly_released += freed
        self.state = state
        return freed


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key that was taken before stands for: the legs of a transfer, or the amount and end of a hold."""

    hash: bytes
    op: str
    ref: UUID
    balances: Mapping[str, tuple[int, int]]
    hold: tuple[int, datetime] = NO_HOLD

    def is_for(self, claim: Claim) -> bool:
        """Whether it was claimed by the same request."""
        return self.op == claim.op and self.hash == claim.hash


@dataclass(slots=True)
class Ground:
    """What a batch finds, changed by what is decided."""

    now: datetime
    hold_longest: timedelta = timedelta()
    purses: dict[Handle, Purse] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    reserves: dict[HoldId, Reserve] = field(default_factory=dict)


# Rows to be written, in the order of their columns; seq 0 stands for none.
TransferRow: TypeAlias = tuple[bytes, datetime, str, str, Actor | None, str, str | None, bytes | None]
EntryRow: TypeAlias = tuple[AccountId, bytes, int, datetime, int, int, int]
HoldRow: TypeAlias = tuple[bytes, str, AccountId, int, str, str, datetime]


@dataclass(slots=True)
class Decision:
    """The outcomes in the order of the items, and what is to be written for them."""

    outcomes: list[AnyOutcome] = field(default_factory=list)
    transfers: list[TransferRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    refused_keys: list[str] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    reserves: dict[HoldId, Reserve] = field(default_factory=dict)  # those that have changed

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.transfers or self.refused_keys or self.holds or self.reserves)


def refuse(refusal: type[Refusal], **facts: object) -> Refused:
    """A refusal as an outcome."""
    return Refused(refusal.code, facts)
