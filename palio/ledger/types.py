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

PERMISSION_WALLET_READ = Permission(
    "ledger.wallet.read", "See what somebody's wallets hold.", roles=("finance", "auditor")
)
AMOUNT_UNITS_MAX = 2**53 - 1
ITEMS_MAX = 10_000
LEGS_MAX = 50_000
LEGS_OF_AN_ITEM_MIN, LEGS_OF_AN_ITEM_MAX = 2, 100
PAYMENTS_MAX = 100_000
DESCRIPTION_CHARS_MAX = 255
METADATA_BYTES_MAX = 4096
FINDINGS_OF_A_CHECK_MAX = 100
STATEMENT_LINES_DEFAULT, STATEMENT_LINES_MAX = 50, 10_000
HIDING_REASON_CHARS_MIN = 10
COURSE_DAYS, SPAN_DAYS_MAX = 30, 366
HOLDS_OF_A_CARD_MAX, DEBT_LINES_MAX = 20, 5

BATCH_ITEMS_MAX = Setting(
    "ledger.batch_items_max", "int", ITEMS_MAX, "How many items one batch may hold", "items", low=1, high=ITEMS_MAX
)
DEBT_MAX = Setting(
    "ledger.debt_max", "int", 10**9, "How far a player's debt account may go below zero", "units", low=0, high=10**15
)
HOLD_DAYS_MAX = Setting("ledger.hold_max_d", "int", 90, "For how long a hold may be placed", "days", low=1, high=365)
STATEMENT_ROWS_MAX = Setting(
    *("ledger.statement_export_rows_max", "int", 10**6, "How many lines a file of one month may have", "rows"),
    low=1_000,
    high=10**7,
)
GIFTS_ENABLED = Setting(
    "ledger.gifts_enabled",
    "bool",
    False,
    "May players give to each other what an asset says can be given",
    visible=True,
)
GIFTS_OF_A_DAY_MAX = Setting(
    *("ledger.gift_daily_count", "int", 10, "How many gifts a player may make on a day (UTC)", "gifts"),
    low=1,
    high=1_000,
    visible=True,
)
GIVEN_ON_A_DAY_MAX = Setting(
    *("ledger.gift_daily_sum", "int", 1_000, "How much of an asset a player may give away on a day (UTC)", "units"),
    low=1,
    high=10**9,
    visible=True,
)
SETTINGS = (
    *(BATCH_ITEMS_MAX, DEBT_MAX, HOLD_DAYS_MAX, STATEMENT_ROWS_MAX),
    *(GIFTS_ENABLED, GIFTS_OF_A_DAY_MAX, GIVEN_ON_A_DAY_MAX),
)


class Capture(NamedTuple):
    """Which hold a transfer is paid from. What a final capture does not take is released."""

    hold_id: HoldId
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """A transfer to make. `key` names its cause and is kept for ever; the legs sum to zero per asset.

    With `capture` what it takes from the account of a hold comes out of what is held there; with `to_debt` a wallet
    gives what it has, and the rest is owed.
    `actor` is for batches that the system carries out for many: on whose behalf this item was judged.
    """

    key: str
    kind: str
    legs: Sequence[Leg]
    description: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    actor: Actor | None = None
    capture: Capture | None = None
    to_debt: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Units of a main wallet to be set aside until they are captured or released: nothing else may spend them.

    `subject` says for what, to the owner too. At `expires_at` it can no longer be captured.
    """

    key: str
    address: str
    asset: str
    amount: int
    subject: str
    kind: str
    expires_at: datetime


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


Item: TypeAlias = Post | Hold | Void | Reverse


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
class Kind:
    """A kind of movement, and the words for it."""

    code: str
    category: str
    label: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """What an owner has of one asset. `debt` is the balance of his debt account: 0, or what he owes as a negative."""

    asset: str
    scale: int
    balance: int
    held: int
    debt: int
    last_posted_at: datetime | None

    @property
    def available(self) -> int:
        """What may be spent."""
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines of a statement are wanted; empty and None mean all. Amounts are compared without their sign.

    `subject` is what a movement is about: the subject of the hold it was paid from, or a fact of its metadata, alone
    or with its name (`competition:0198…`). Lines that their owner hid are left out unless `with_hidden`.
    """

    direction: Literal["credit", "debit"] | None = None
    categories: Sequence[str] = ()
    kinds: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    amount_min: int | None = None
    amount_max: int | None = None
    subject: str | None = None
    with_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """The line at the edge of a page of a statement."""

    posted_at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of a wallet, with the balance it left. `reversed` is how much of it was taken back, no negative."""

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
    hidden_at: datetime | None
    reversed: int = field(default=0, kw_only=True)

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
    """How a balance went: at the end of each day (UTC) of a span, and what this month has done so far."""

    days: Sequence[tuple[date, int]]
    month_began_with: int
    month_came: int
    month_went: int

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
class Flow:
    """What a category added to a wallet and took from it, in so many lines: `went` is no negative."""

    category: str
    came: int
    went: int
    lines: int


@dataclass(frozen=True, slots=True)
class MonthStatement:
    """A month (UTC) of a wallet: what it began with and ended with, and why: opening + came - went = closing.

    Its lines are numbered without gaps, from `first_seq` on.
    """

    month: date
    opening: int
    closing: int
    flows: Sequence[Flow]
    first_seq: int

    @property
    def came(self) -> int:
        """All that was added."""
        return sum(flow.came for flow in self.flows)

    @property
    def went(self) -> int:
        """All that was taken."""
        return sum(flow.went for flow in self.flows)

    @property
    def lines(self) -> int:
        """How many movements there were."""
        return sum(flow.lines for flow in self.flows)


@dataclass(frozen=True, slots=True)
class OpenHold:
    """What is set aside of a wallet: for what, since when and until when, and how much of it was taken already."""

    id: HoldId
    asset: str
    scale: int
    subject: str
    kind: str
    label: str
    amount: int
    captured: int
    remaining: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DebtLine:
    """Why somebody owes something, or owes less: `seq` is the line of his wallet that the same transfer made."""

    transfer_id: TransferId
    posted_at: datetime
    kind: str
    label: str
    amount: int
    description: str
    seq: int | None


@dataclass(frozen=True, slots=True)
class Debt:
    """What somebody owes of an asset, no negative, and the newest lines of it."""

    asset: str
    scale: int
    owed: int
    lines: Sequence[DebtLine]


@dataclass(frozen=True, slots=True)
class Gift:
    """What one player gives another; `key` is his own, and good once."""

    key: str
    giver: UserId
    receiver: UserId
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a gift can go to, as everybody may know him: `shown` is how boards name him."""

    user_id: UserId
    username: str
    shown: str


@dataclass(frozen=True, slots=True)
class Given:
    """So much of an asset went to others in so many gifts."""

    asset: str
    gifts: int
    amount: int


@dataclass(frozen=True, slots=True)
class GiftRules:
    """What the house allows on a day: so many gifts in all, so much of each asset."""

    gifts_max: int
    amount_max: int


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
class Counterpart:
    """Another transfer that a movement took back, or was taken back by: how much of the owner's it moved, no negative.

    `seq` is the line it made in the same wallet; None where it moved only what he owes.
    """

    transfer_id: TransferId
    posted_at: datetime
    seq: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class CapturedHold:
    """The hold that a movement was paid from: `remained` was still held after it, and then `released` came back."""

    id: HoldId
    subject: str
    label: str
    amount: int
    remained: int
    released: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that is kept of one movement of a wallet, for whom it belongs to. `done_by` is a kind of actor, no person.

    `why` is the rule that set the amount, as whoever posted it noted it down: names and figures.
    """

    asset: Asset
    line: Line
    key: str
    done_by: str
    sides: tuple[Side, ...]
    why: Sequence[tuple[str, int | str]]
    hold: CapturedHold | None
    reverses: Counterpart | None
    reversed_by: Sequence[Counterpart]


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
