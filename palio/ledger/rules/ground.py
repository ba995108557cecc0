"""What a batch is decided on: accounts, keys and holds as they are now, and what is to be written about them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
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
    LimitGroup,
    Origin,
    Period,
    Refused,
    Status,
    TransferId,
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

    @property
    def available(self) -> int:
        """What may be spent of a guarded account."""
        return self.balance - self.held - self.floor

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
class OpenLot:
    """What is left of something that came in at once. `newly` is by how much this batch has changed each."""

    id: UUID
    remaining: int
    held: int
    expired: int
    expires_at: datetime | None
    is_over: bool
    transfer: UUID | None = None
    newly_remaining: int = 0
    newly_held: int = 0
    newly_expired: int = 0

    @property
    def free(self) -> int:
        """What is under no hold."""
        return self.remaining - self.held

    def change(self, *, remaining: int = 0, held: int = 0, expired: int = 0) -> None:
        """By so much each."""
        self.remaining += remaining
        self.newly_remaining += remaining
        self.held += held
        self.newly_held += held
        self.expired += expired
        self.newly_expired += expired


@dataclass(slots=True)
class LottedPurse(Purse):
    """A wallet that keeps lots, those that end first at the front. What has expired is still in it, and not his.

    `read_to` is the last of the lots that were read in their order, None where all were; of those behind it there are
    only some. `lapsed_unread` is what has expired of lots that were not read.
    """

    lots: list[OpenLot] = field(default_factory=list)
    read_to: OpenLot | None = None
    lapsed_unread: int = 0

    @property
    def lapsed(self) -> int:
        """What has expired and is under no hold."""
        return self.lapsed_unread + sum([lot.free for lot in self.lots if lot.is_over])

    @property
    def available(self) -> int:
        """What may be spent."""
        return self.balance - self.held - self.floor - self.lapsed

    def takes(self, amount: int) -> bool:
        """Whether it may be posted."""
        return Purse.takes(self, amount) and (amount > 0 or self.available + amount >= 0)

    def refusal(self, leg: Leg) -> Refused:
        """Why it does not take this leg."""
        refused = Purse.refusal(self, leg)
        if leg[2] > 0 or refused.code not in {errors.InsufficientFunds.code, errors.BalanceLimit.code}:
            return refused
        return refuse(errors.InsufficientFunds, available=self.available, needed=-leg[2])


@dataclass(slots=True)
class Use:
    """What a transfer that is to be taken back spent of a lot, and was not given back yet."""

    lot: OpenLot
    account: AccountId
    left: int


class NewLot(NamedTuple):
    """A lot that this batch has opened."""

    lot: OpenLot
    account: AccountId
    origin: Origin
    amount: int


@dataclass(slots=True)
class Lotting:
    """What a batch finds of lots: those of holds and of transfers to be taken back; and what becomes of all.

    Parts are a hold or a transfer, a lot, and an amount.
    """

    of_holds: dict[HoldId, list[tuple[OpenLot, int]]] = field(default_factory=dict)
    uses: dict[UUID, list[Use]] = field(default_factory=dict)
    opened: list[NewLot] = field(default_factory=list)
    changed: dict[UUID, OpenLot] = field(default_factory=dict)
    set_aside: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    spent: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    freed: Counter[tuple[UUID, UUID]] = field(default_factory=Counter)  # several items may free parts of one hold
    returned: Counter[tuple[UUID, UUID]] = field(default_factory=Counter)

    @property
    def is_untouched(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.opened or self.changed)


class Allowed(NamedTuple):
    """A limit that is in force: so much in the period with this key."""

    period: Period
    amount: int
    key: str
    resets_at: datetime


Whose: TypeAlias = tuple[UUID, str, LimitGroup]  # owner, asset code


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
    kind: str = ""
    owner: UUID | None = None
    asset: str = ""
    placed_at: datetime = NO_HOLD[1]
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


@dataclass(slots=True)
class OriginalLeg:
    """A leg of a transfer that is to be taken back, and how much of it was before; `newly` by this batch."""

    number: int
    account: AccountId
    address: str
    asset: str
    amount: int
    reversed: int
    newly_reversed: int = 0

    @property
    def left(self) -> int:
        """What can still be taken back."""
        return abs(self.amount) - self.reversed

    def opposite(self, part: int) -> Leg:
        """The leg that takes so much of it back."""
        return self.address, self.asset, -part if self.amount > 0 else part


@dataclass(slots=True)
class Original:
    """A transfer that is to be taken back."""

    id: TransferId
    is_reversal: bool
    kind: str = ""
    posted_at: datetime = NO_HOLD[1]
    hold_kind: str | None = None
    hold_placed_at: datetime = NO_HOLD[1]
    hold_account: AccountId | None = None
    legs: list[OriginalLeg] = field(default_factory=list)

    def take_back(self, parts: Sequence[int]) -> None:
        """So much of each leg."""
        for leg, part in zip(self.legs, parts, strict=True):
            leg.reversed += part
            leg.newly_reversed += part


class Debt(NamedTuple):
    """What was debited to a debt account because a wallet did not have it."""

    address: str
    asset: str
    amount: int

    @property
    def owner(self) -> UUID:
        """Who owes it."""
        return UUID(self.address.split(":")[1])


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key that was taken before stands for: the legs and time of a transfer, or the amount and end of a hold."""

    hash: bytes
    op: str
    ref: UUID
    balances: Mapping[str, tuple[int, int]]
    hold: tuple[int, datetime] = NO_HOLD
    posted_at: datetime = NO_HOLD[1]

    def is_for(self, claim: Claim) -> bool:
        """Whether it was claimed by the same request."""
        return self.op == claim.op and self.hash == claim.hash


@dataclass(slots=True)
class Ground:
    """What a batch finds, changed by what is decided."""

    now: datetime
    hold_longest: timedelta = timedelta()
    hold_usual: timedelta = timedelta()
    purses: dict[Handle, Purse] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    reserves: dict[HoldId, Reserve] = field(default_factory=dict)
    originals: dict[TransferId, Original] = field(default_factory=dict)
    lots: Lotting | None = None  # where a wallet keeps some
    groups: Mapping[str, LimitGroup] = field(default_factory=dict)  # kinds that count; none where nothing does
    final: Collection[str] = ()  # kinds of what is not taken back
    limits: dict[Whose, list[Allowed]] = field(default_factory=dict)
    usage: dict[tuple[Whose, str], int] = field(default_factory=dict)  # by key of the period


# Rows to be written, in the order of their columns; seq 0 stands for none.
TransferRow: TypeAlias = tuple[bytes, datetime, str, str, Actor | None, str, str | None, bytes | None, bytes | None]
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
    originals: dict[TransferId, Original] = field(default_factory=dict)  # as well
    debts: list[Debt] = field(default_factory=list)
    lots: Lotting | None = None
    usage: dict[tuple[Whose, str], int] = field(default_factory=dict)  # by how much it changes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.transfers or self.refused_keys or self.holds or self.reserves)


def refuse(refusal: type[Refusal], **facts: object) -> Refused:
    """A refusal as an outcome."""
    return Refused(refusal.code, facts)
