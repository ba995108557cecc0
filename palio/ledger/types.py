"""Words of the ledger: what can be posted, and what became of it. Amounts are integers of the asset's smallest unit."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple, NewType, TypeAlias
from uuid import UUID

from palio.kernel.ids import Actor, UserId
from palio.kernel.permissions import Permission
from palio.kernel.settings import Setting

AccountId = NewType("AccountId", int)
TransferId = NewType("TransferId", UUID)
HoldId = NewType("HoldId", UUID)
Place: TypeAlias = tuple[str, str]  # address, asset code: where value lies
Handle: TypeAlias = AccountId | Place  # its number where this process knows it, else where it lies
Leg: TypeAlias = tuple[str, str, int]  # address, asset code, amount
Facts: TypeAlias = Mapping[str, object]
Mode: TypeAlias = Literal["each", "all"]
Status: TypeAlias = Literal["active", "no_debit", "frozen", "closed"]
HoldState: TypeAlias = Literal["open", "captured", "voided", "expired"]
Origin: TypeAlias = Literal["earned", "paid", "bonus"]
LimitGroup: TypeAlias = Literal["stake", "spend", "loss", "deposit"]
Period: TypeAlias = Literal["day", "week", "month"]

PERMISSION_WALLET_READ = Permission(
    "ledger.wallet.read", "See what somebody's wallets hold.", roles=("finance", "auditor")
)
PERMISSION_ASSET_EDIT = Permission(
    "ledger.asset.edit", "Change what assets are called, and what may be done with them.", roles=("finance",)
)
PERMISSION_ACCOUNT_FREEZE = Permission(
    "ledger.account.freeze", "Freeze accounts, release and close them.", roles=("finance",)
)
AMOUNT_UNITS_MAX = 2**53 - 1
ITEMS_MAX = 10_000
LEGS_MAX = 50_000
LEGS_OF_AN_ITEM_MIN, LEGS_OF_AN_ITEM_MAX = 2, 100
PAYMENTS_MAX = 100_000
DESCRIPTION_CHARS_MAX = 255
ASSET_NAME_CHARS_MAX = 60
METADATA_BYTES_MAX = 4096
FINDINGS_OF_A_CHECK_MAX = 100
STATEMENT_LINES_DEFAULT, STATEMENT_LINES_MAX = 50, 10_000
COURSE_DAYS = 30  # so that the first of every month is among them

BATCH_ITEMS_MAX = Setting(
    "ledger.batch_items_max", "int", ITEMS_MAX, "How many items one batch may hold", "items", low=1, high=ITEMS_MAX
)
DEBT_MAX = Setting(
    "ledger.debt_max", "int", 10**9, "How far a player's debt account may go below zero", "units", low=0, high=10**15
)
HOLD_DAYS_MAX = Setting("ledger.hold_max_d", "int", 90, "For how long a hold may be placed", "days", low=1, high=365)
HOLD_USUAL_HOURS = Setting(
    "ledger.hold_default_ttl_h", "int", 24, "How long a hold lasts that names no end", "hours", low=1, high=2160
)
LOCK_WAIT_MS = Setting(
    "ledger.lock_timeout_ms",
    "int",
    2_000,
    "How long a batch waits for another one's accounts",
    "ms",
    low=100,
    high=10_000,
)
LIMIT_DELAY_HOURS = Setting(
    "limits.raise_delay_h",
    "int",
    24,
    "How long a player waits for a higher limit",
    "hours",
    low=24,
    high=720,
)
SETTINGS = BATCH_ITEMS_MAX, DEBT_MAX, HOLD_DAYS_MAX, HOLD_USUAL_HOURS, LOCK_WAIT_MS, LIMIT_DELAY_HOURS


class Capture(NamedTuple):
    """Which hold a transfer is paid from. What a final capture does not take is released."""

    hold_id: HoldId
    is_final: bool = False


class Lot(NamedTuple):
    """Where what comes in is from, and until when it can be spent. Only assets that have lots keep it in mind."""

    origin: Origin = "earned"
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A transfer to make. `key` names its cause and is kept for ever; the legs sum to zero per asset.

    With `capture` what it takes from the account of a hold comes out of what is held there; with `to_debt` a wallet
    gives what it has, and the rest is owed.
    `actor` is for batches that the system carries out for many: on whose behalf this item was judged. `lot` says until
    when what wallets get can be spent; a repeat with another one answers as the first time.
    """

    key: str
    kind: str
    legs: Sequence[Leg]
    description: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    actor: Actor | None = None
    capture: Capture | None = None
    to_debt: bool = False
    lot: Lot | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Units of a main wallet to be set aside until they are captured or released: nothing else may spend them.

    `subject` says for what, to the owner too. At `expires_at` it can no longer be captured; without it, after the usual
    time (`ledger.hold_default_ttl_h`).
    """

    key: str
    address: str
    asset: str
    amount: int
    subject: str
    kind: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Void:
    """A hold to be released. `expired` is for what is due by the clock: refused before the hold expires."""

    key: str
    hold_id: HoldId
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Reverse:
    """A transfer to be taken back: what is left of it, or `amount` of its two legs. `to_debt` as in a post."""

    key: str
    original_id: TransferId
    reason: str
    amount: int | None = None
    to_debt: bool = False
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """What is left of a lot past its end, and under no hold, to leave its wallet. Of the ledger's own job."""

    key: str
    lot_id: UUID
    address: str
    asset: str


Item: TypeAlias = Post | Hold | Void | Reverse | Expire


class Payments(NamedTuple):
    """The rows of a fan-out, a column each: so much for the main wallet of each owner; metadata of each, or of none."""

    keys: Sequence[str]
    owners: Sequence[UserId]
    amounts: Sequence[int]
    metadata: Sequence[Facts] = ()


class Posted(NamedTuple):
    """Done, now or before. `balances` are the guarded legs as their entries store them: address → (balance, seq)."""

    transfer_id: TransferId
    balances: Mapping[str, tuple[int, int]]
    replayed: bool = False


class Held(NamedTuple):
    """Set aside, now or before."""

    hold_id: HoldId
    amount: int
    expires_at: datetime
    replayed: bool = False


class Voided(NamedTuple):
    """So much of the hold was released, now or before."""

    hold_id: HoldId
    released: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and nothing changed by it."""

    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


Outcome: TypeAlias = Posted | Refused  # of a transfer
AnyOutcome: TypeAlias = Posted | Held | Voided | Refused


class Paid(NamedTuple):
    """What became of payments, by their places: transfers (16 bytes each), which were made before, who is refused."""

    transfer_ids: Sequence[bytes | None]
    replayed: AbstractSet[int]
    refused: Mapping[int, Refused]


@dataclass(frozen=True, slots=True)
class Asset:
    id: int
    code: str
    name: str
    scale: int


@dataclass(frozen=True, slots=True)
class AssetTerms:
    """What staff may change of an asset. With `lots`, what wallets have of it can expire; what is not `active` is shown
    to nobody as something to have."""

    name: str
    giftable: bool
    withdrawable: bool
    lots: bool
    active: bool


@dataclass(frozen=True, slots=True)
class OfOrigin:
    """What players have of an asset from one origin, what of it is held or over, and what was taken as expired."""

    asset: str
    origin: Origin
    outstanding: int
    held: int
    lapsed: int
    expired: int


class PendingLimit(NamedTuple):
    """What a limit will be, and from when; None is no limit."""

    amount: int | None
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class PlayerLimit:
    """What a player allows himself of an asset in each period, and what of it is used. Without `amount` no limit is in
    force (yet, or any more)."""

    asset: str
    scale: int
    group: LimitGroup
    period: Period
    amount: int | None
    used: int
    resets_at: datetime
    pending: PendingLimit | None = None

    @property
    def left(self) -> int | None:
        """What he may still do in this period."""
        return None if self.amount is None else max(0, self.amount - self.used)


class Used(NamedTuple):
    """What counts for somebody's limits though it never touches his wallet. Less than nothing gives back."""

    owner_id: UserId
    group: LimitGroup
    asset: str
    amount: int
    at: datetime | None = None  # when it was counted, where it is given back


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is, in units of its asset. `debt` is what its owner owes there, as a negative."""

    address: str
    asset: str
    owner_id: UserId | None
    status: Status
    balance: int
    held: int
    debt: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it, held or owed."""
        return not (self.balance or self.held or self.debt)


@dataclass(frozen=True, slots=True)
class Wallet:
    """What an owner has of one asset. `debt` is the balance of his debt account: 0, or what he owes as a negative;
    `lapsed` what of the balance has expired, though it is still there.
    """

    asset: str
    scale: int
    balance: int
    held: int
    debt: int
    last_posted_at: datetime | None
    lapsed: int = 0

    @property
    def available(self) -> int:
        """What may be spent."""
        return self.balance - self.held - self.lapsed


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines of a statement are wanted; empty and None mean all. Amounts are compared without their sign."""

    direction: Literal["credit", "debit"] | None = None
    categories: Sequence[str] = ()
    kinds: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    amount_min: int | None = None
    amount_max: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The line at the edge of a page of a statement."""

    posted_at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of a wallet, with the balance it left."""

    transfer_id: TransferId
    posted_at: datetime
    seq: int
    kind: str
    label: str
    category: str
    amount: int
    balance_after: int
    description: str
    metadata: Mapping[str, object]
    reverses_id: TransferId | None

    @property
    def balance_before(self) -> int:
        """What was there when it came."""
        return self.balance_after - self.amount


@dataclass(frozen=True, slots=True)
class LineOf(Line):
    """A movement among those of several wallets."""

    asset: str
    scale: int


@dataclass(frozen=True, slots=True)
class DayMoved:
    """What moved in a wallet on a day (UTC): `went` is no negative. Days without a movement have none."""

    day: date
    came: int
    went: int
    balance: int


@dataclass(frozen=True, slots=True)
class Course:
    """How a balance went: at the end of each day (UTC), the last being today, and what this month has done so far."""

    days: Sequence[tuple[date, int]]
    month_began_with: int
    month_came: int
    month_went: int

    @property
    def balance(self) -> int:
        """What is there now."""
        return self.days[-1][1]

    @property
    def turns(self) -> Sequence[tuple[date, int]]:
        """The first day, and every later one that ended with another balance than the day before."""
        pairs = zip(self.days, self.days[1:], strict=False)
        return [self.days[0], *(later for earlier, later in pairs if later[1] != earlier[1])]


@dataclass(frozen=True, slots=True)
class Statement:
    """A page, newest first; `next` is None on the last one, `prev` on the first."""

    lines: Sequence[Line]
    next: Cursor | None
    prev: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Where value came from or went to, as its owner may know it: the family of the account, the name of a house
    account, never who somebody else is. `is_own` is another account of the reader.
    """

    family: str
    name: str | None
    is_own: bool
    asset: str
    scale: int
    amount: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that is kept of one movement of a wallet, for whom it belongs to. `done_by` is a kind of actor, no person."""

    asset: Asset
    line: Line
    key: str
    done_by: str
    sides: tuple[Side, ...]
    reversed_by: tuple[TransferId, ...]


CHECKS = {
    "G1": "the legs of a transfer sum to zero in each asset",
    "G2": "each entry of a wallet continues from the one before",
    "G3": "a transfer has legs 0 to n - 1, at its time and in its transaction",
    "A1": "an account is what its number says, and its balance row agrees",
    "R1": "a balance is the sum of its entries, the last one's balance, and seq their number",
    "R2": "what is held in an account is the sum of its open holds",
    "R3": "all entries of an asset sum to zero",
    "R5": "no pool has paid out more than was put into it",
    "R6": "every key has its transfer or hold, and each of these its key",
    "R7": "a clearing account in which nothing has moved for seven days is empty",
    "R8": "the lots of a wallet sum to its balance, and what is held of them to what is held there",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: which check, of what, and both figures."""

    check: str
    subject: str
    account_id: AccountId | None
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of the whole ledger saw. The findings come in the order of their gravity."""

    accounts: int
    transfers: int
    entries: int
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
