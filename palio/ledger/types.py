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
FindingId = NewType("FindingId", UUID)
Place: TypeAlias = tuple[str, str]  # address, asset code: where value lies
Handle: TypeAlias = AccountId | Place  # its number where this process knows it, else where it lies
Leg: TypeAlias = tuple[str, str, int]  # address, asset code, amount
Facts: TypeAlias = Mapping[str, object]
Mode: TypeAlias = Literal["each", "all"]
Status: TypeAlias = Literal["active", "no_debit", "frozen", "closed"]
Scope: TypeAlias = Literal["all", "touched"]
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
PERMISSION_TRANSFER_POST = Permission(
    "ledger.transfer.post", "Post transfers, holds and reversals by program.", roles=("finance",)
)
FAMILIES = frozenset(
    {
        *("user", "pool", "treasury", "house", "fees", "suspense", "issuance", "external", "clearing"),
        *("breakage", "writeoff", "commission"),
    }
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
FAMILY_OF_PLAYERS, FAMILY_OF_ISSUANCE, FAMILY_OF_BREAKAGE = "user", "issuance", "breakage"
STATEMENT_OWNERS_MAX, ACTIVE_OWNERS_MAX = 10_000, 10_000
FINDINGS_DEFAULT, FINDINGS_MAX = 50, 10_001  # as many as a table has rows, and one that says whether it goes on
RESOLUTION_CHARS_MIN, RESOLUTION_CHARS_MAX = 10, 400
STATEMENT_LINES_DEFAULT, STATEMENT_LINES_MAX = 50, 10_000
HIDING_REASON_CHARS_MIN = 10
COURSE_DAYS, SPAN_DAYS_MAX = 30, 366
HOLDS_OF_A_CARD_MAX, DEBT_LINES_MAX, ENDS_OF_A_CARD_MAX = 20, 5, 4

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
ROLLUP_INTERVAL = Setting(
    "ledger.rollup_interval_s", "int", 60, "How often sums of open accounts are brought up", "seconds", low=10, high=600
)
SEAL_INTERVAL = Setting(
    "ledger.seal_interval_s", "int", 30, "How often transfers are sealed", "seconds", low=5, high=60
)
API_FAMILIES: Setting[tuple[str, ...]] = Setting(
    "ledger.api_families",
    "list",
    ("user", "house", "issuance", "external"),
    "Families of accounts that programs may post to",
    of="text",
    pattern="|".join(sorted(FAMILIES)),
    high=len(FAMILIES),
)
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
LIMIT_DELAY_HOURS = Setting(
    "limits.raise_delay_h",
    "int",
    24,
    "How long a player waits for a higher limit",
    "hours",
    low=24,
    high=720,
)
SETTINGS = (
    *(BATCH_ITEMS_MAX, DEBT_MAX, HOLD_DAYS_MAX, HOLD_USUAL_HOURS, LOCK_WAIT_MS, ROLLUP_INTERVAL, SEAL_INTERVAL),
    *(API_FAMILIES, LIMIT_DELAY_HOURS),
    *(STATEMENT_ROWS_MAX, GIFTS_ENABLED, GIFTS_OF_A_DAY_MAX, GIVEN_ON_A_DAY_MAX),
)


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
    posted_at: datetime
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
    lots: bool


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
class Kind:
    """A kind of movement, and the words for it."""

    code: str
    category: str
    label: str


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
class Lapsing:
    """So much of a wallet can be spent until an instant, and is taken then unless it was."""

    amount: int
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
    "R4": "what is rolled up for an open account is the sum of its entries, in all and on each day",
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
class KeptFinding(Finding):
    """A finding that was written down; it stays open until somebody says what came of it."""

    id: FindingId
    found_at: datetime
    resolved_at: datetime | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Round:
    """How far a job has come that goes through the ledger: `rollup`, `reconcile` or `reconcile_all`.

    Everything below transaction `through_tx` is done. `green_at` is when a reconciliation last found nothing.
    """

    job: str
    through_tx: int
    ran_at: datetime
    findings: int
    green_at: datetime | None


@dataclass(frozen=True, slots=True)
class DayFlow:
    """What a category moved on a day into accounts of a family, and out of them; `went` is no negative."""

    category: str
    family: str
    came: int
    went: int


@dataclass(frozen=True, slots=True)
class FamilyDay:
    """What the accounts of a family held together when a day began and when it had ended."""

    family: str
    opening: int
    closing: int


@dataclass(frozen=True, slots=True)
class AssetDay:
    """One day (UTC) of an asset. Of each family, opening + what its flows say = closing; all families sum to zero.

    `held` is what was set aside when the day had ended; `issued` left the family `issuance` on it, and `burnt` came
    back there or into `breakage`.
    """

    asset: str
    scale: int
    families: Sequence[FamilyDay]
    flows: Sequence[DayFlow]
    held: int

    @property
    def opening(self) -> int:
        """What players had in their wallets, less what they owed, when the day began."""
        return sum(each.opening for each in self.families if each.family == FAMILY_OF_PLAYERS)

    @property
    def closing(self) -> int:
        """The same when it had ended."""
        return sum(each.closing for each in self.families if each.family == FAMILY_OF_PLAYERS)

    @property
    def issued(self) -> int:
        """What was made."""
        return sum(flow.went for flow in self.flows if flow.family == FAMILY_OF_ISSUANCE)

    @property
    def burnt(self) -> int:
        """What was unmade, or expired."""
        return sum(flow.came for flow in self.flows if flow.family in {FAMILY_OF_ISSUANCE, FAMILY_OF_BREAKAGE})


@dataclass(frozen=True, slots=True)
class Activity:
    """What a day brought somebody's main wallet and took from it, in how many movements."""

    owner_id: UserId
    asset: str
    came: int
    went: int
    movements: int


@dataclass(frozen=True, slots=True)
class CategorySum:
    """What a category brought a wallet in a period, and took from it; `went` is no negative."""

    category: str
    came: int
    went: int


@dataclass(frozen=True, slots=True)
class PeriodStatement:
    """A period of a main wallet: opening + what came - what went = closing."""

    asset: str
    scale: int
    opening: int
    flows: Sequence[CategorySum]
    closing: int


@dataclass(frozen=True, slots=True)
class Conserved:
    """Where the units of an asset are now: all accounts together hold `total`, which is 0, or something is wrong.

    `wallets` is what players have, `held` the part of it that is set aside, `owed` what they owe (no negative). Of an
    asset that expires `origins` tells where it came from.
    """

    asset: str
    scale: int
    by_family: Mapping[str, int]
    wallets: int
    held: int
    owed: int
    origins: Sequence[OfOrigin] = ()

    @property
    def total(self) -> int:
        """The sum of all accounts."""
        return sum(self.by_family.values())

    @property
    def issued(self) -> int:
        """What was made and not unmade again."""
        return -self.by_family.get(FAMILY_OF_ISSUANCE, 0)

    @property
    def liability(self) -> int:
        """What players could ask for: their wallets, and what is set aside in pools."""
        return self.wallets + self.by_family.get("pool", 0)


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """One entry with what its transfer says. `amount` and `balance_after` are units of the asset."""

    posted_at: datetime
    transfer: TransferId
    leg: int
    kind: str
    category: str
    address: str
    asset: str
    scale: int
    amount: int
    seq: int | None
    balance_after: int | None
    key: str
    actor: str
    description: str
    reverses_id: TransferId | None


@dataclass(frozen=True, slots=True)
class ExportedWallet:
    """What a guarded account holds, in units of the asset."""

    address: str
    asset: str
    scale: int
    balance: int
    held: int
    available: int
    seq: int
    status: Status
    last_posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a check saw of the ledger, or of what was touched in it. The findings come in the order of their gravity."""

    accounts: int
    transfers: int
    entries: int
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


# corrections by staff

AdjustmentId = NewType("AdjustmentId", UUID)
AdjustmentStatus: TypeAlias = Literal["pending", "posted", "rejected", "cancelled", "expired", "failed"]

DESK_PERMISSIONS = (
    Permission("ledger.wallet.adjust", "Correct what somebody's wallets hold.", roles=("finance",)),
    Permission("ledger.adjust.decide", "Decide about corrections of others.", roles=("finance",)),
    Permission("ledger.transfer.reverse", "Take a transfer back.", roles=("finance",)),
    Permission("ledger.line.hide", "Leave lines of wallets out of the lists of players.", roles=("finance",)),
)

ADJUSTMENT_LINES_MAX = 1_000
ADJUSTMENT_REASON_MIN, ADJUSTMENT_REASON_MAX = 10, 500
TICKET_CHARS_MAX = 64
_UNITS_MAX = 10**12
_ADJUSTED = "More than this, adjusted by one person for one player within 24 hours, needs a second person"
_A_DAY = "So much one person may adjust on a day (UTC), with approval or without"
ADJUST_LIMITS = {
    "USD": Setting("ledger.adjust_limit.USD", "int", 10_000, _ADJUSTED, "cents", low=0, high=_UNITS_MAX),
    "QC": Setting("ledger.adjust_limit.QC", "int", 1_000_000, _ADJUSTED, "hundredths", low=0, high=_UNITS_MAX),
    "COIN": Setting("ledger.adjust_limit.COIN", "int", 10_000, _ADJUSTED, "coins", low=0, high=_UNITS_MAX),
}
MAKER_DAY_LIMITS = {
    "USD": Setting("ledger.maker_day_limit.USD", "int", 50_000, _A_DAY, "cents", low=0, high=_UNITS_MAX),
    "QC": Setting("ledger.maker_day_limit.QC", "int", 5_000_000, _A_DAY, "hundredths", low=0, high=_UNITS_MAX),
    "COIN": Setting("ledger.maker_day_limit.COIN", "int", 50_000, _A_DAY, "coins", low=0, high=_UNITS_MAX),
}
ADJUST_EXPIRY_HOURS = Setting(
    "ledger.adjust_expiry_h", "int", 72, "How long a correction waits for a second person", "hours", low=1, high=720
)
DESK_SETTINGS = (ADJUST_EXPIRY_HOURS, *ADJUST_LIMITS.values(), *MAKER_DAY_LIMITS.values())


class AdjustmentLine(NamedTuple):
    """So many units more or less in the main wallet of an owner."""

    owner_id: UserId
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class AdjustedLine:
    """A line and what became of it: a transfer, the code of a refusal, or neither yet."""

    n: int
    owner_id: UserId
    asset: str
    scale: int
    amount: int
    transfer_id: TransferId | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction by staff and what became of it. `checker` and `note` are of the decision.

    `asset`, `scale` and `total_abs` are none where its lines are of several assets; lists leave `lines` out.
    """

    id: AdjustmentId
    maker: UserId
    checker: UserId | None
    status: AdjustmentStatus
    reason: str
    note: str
    ticket: str
    to_debt: bool
    asset: str | None
    scale: int | None
    total_abs: int | None
    line_count: int
    created_at: datetime
    expires_at: datetime | None
    decided_at: datetime | None
    lines: Sequence[AdjustedLine] = ()


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """What an act would do to one account."""

    address: str
    asset: str
    scale: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class AdjustmentForeseen:
    """What an adjustment would do now: every balance before and after, and the lines that would be refused.

    `waits` says that it takes a second person; `obstacle` is the code of what would refuse it as a whole.
    """

    lines: int
    waits: bool
    obstacle: str | None
    refusals: Mapping[int, str]
    changes: Sequence[BalanceChange]
