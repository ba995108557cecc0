"""How wallets look from outside: the answers of the API, and what pages are narrowed by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path

from palio.kernel.ids import UserId
from palio.kernel.parts import Cut
from palio.ledger.types import CapturedHold, Counterpart, Course, Cursor, Line, Receipt, Side, Statement, Wallet
from palio.ui.charts import Chart, Series
from palio.ui.examples import AT, THING, USD
from palio.ui.formats import Formats
from palio.ui.paging import Listed, Paging, Part
from palio.ui.values import Asset, Instant, Money

MICROS = 10**6

AssetCode = Annotated[str, Path(min_length=1, max_length=12, examples=["USD"])]
Seq = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[17])]
TransferNumber = Annotated[UUID, Path(examples=[str(THING)])]


def cursors_of(page: Paging) -> tuple[Cursor | None, Cursor | None]:
    """The lines `(after, before)` beside which a page of a statement lies."""
    part = page.wanted(_cursor)
    return part.older_than, part.newer_than


def chart_of(course: Course, scale: int, formats: Formats) -> Chart:
    """How a balance went, for the eye: whole units of the asset, days as readers of a language write them."""
    values = tuple(balance / 10**scale for _, balance in course.days)
    return Chart(tuple(formats.short_day(day) for day, _ in course.days), (Series("", "step", values),))


def shown_of(found: Statement, page: Paging) -> Part[Line]:
    """The page of a statement."""
    cut = Cut(found.lines, has_newer=found.prev is not None, has_older=found.next is not None)
    return page.shown(cut, _key)


def _cursor(micros: int | str, seq: int | str) -> Cursor:
    seconds, rest = divmod(int(micros), MICROS)
    return Cursor(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), int(seq))


def _key(line: Line) -> tuple[int, int]:
    return int(line.posted_at.timestamp()) * MICROS + line.posted_at.microsecond, line.seq


@dataclass(frozen=True, slots=True)
class WalletAnswer:
    """What you have of one asset. `held` is set aside for something, `available` the rest; `debt` is what you owe."""

    asset: str
    scale: int
    balance: Money
    held: Money
    available: Money
    debt: Money
    last_updated: Instant | None

    @classmethod
    def of(cls, wallet: Wallet) -> "WalletAnswer":
        asset = Asset(wallet.asset, wallet.scale)
        return cls(
            asset=wallet.asset,
            scale=wallet.scale,
            balance=Money.of(wallet.balance, asset),
            held=Money.of(wallet.held, asset),
            available=Money.of(wallet.available, asset),
            debt=Money.of(-wallet.debt, asset),
            last_updated=wallet.last_posted_at,
        )


@dataclass(frozen=True, slots=True)
class WalletsAnswer:
    """One for every asset, also where you have nothing."""

    items: tuple[WalletAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, wallets: Sequence[Wallet]) -> "WalletsAnswer":
        return cls(tuple(map(WalletAnswer.of, wallets)), None, None)


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """One movement: `type` says whether it was added (`credit`) or taken; `balance_after` is what it left.

    `reversed` is how much of it was taken back later. What is `hidden` is left out unless asked for, and counts all the
    same; `updated_at` is when it was hidden, otherwise when it was made.
    """

    id: UUID
    seq: int
    type: str
    category: str
    kind: str
    label: str
    amount: Money
    balance_after: Money
    description: str
    metadata: Mapping[str, object]
    created_at: Instant
    updated_at: Instant
    hidden: bool
    reverses: UUID | None
    reversed: Money

    @classmethod
    def of(cls, line: Line, asset: Asset) -> "LineAnswer":
        return cls(
            id=line.transfer_id,
            seq=line.seq,
            type="credit" if line.amount > 0 else "debit",
            category=line.category,
            kind=line.kind,
            label=line.label,
            amount=Money.of(line.amount, asset),
            balance_after=Money.of(line.balance_after, asset),
            description=line.description,
            metadata=line.metadata,
            created_at=line.posted_at,
            updated_at=line.hidden_at or line.posted_at,
            hidden=line.hidden_at is not None,
            reverses=line.reverses_id,
            reversed=Money.of(line.reversed, asset),
        )


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """Another account of the transfer: its family, the name of a house account, whether it is yours too."""

    family: str
    name: str | None
    own: bool
    amount: Money

    @classmethod
    def of(cls, side: Side) -> "SideAnswer":
        return cls(side.family, side.name, side.is_own, Money.of(side.amount, Asset(side.asset, side.scale)))


@dataclass(frozen=True, slots=True)
class HoldOfAnswer:
    """The hold that a movement was paid from: `remained` was still held after it, and then `released` came back."""

    id: UUID
    subject: str
    amount: Money
    remained: Money
    released: Money

    @classmethod
    def of(cls, hold: CapturedHold, asset: Asset) -> "HoldOfAnswer":
        return cls(
            id=hold.id,
            subject=hold.subject,
            amount=Money.of(hold.amount, asset),
            remained=Money.of(hold.remained, asset),
            released=Money.of(hold.released, asset),
        )


@dataclass(frozen=True, slots=True)
class CounterpartAnswer:
    """Another transfer, and what it moved of yours: `seq` is its line, null where it moved only what you owe."""

    id: UUID
    seq: int | None
    amount: Money
    created_at: Instant

    @classmethod
    def of(cls, other: Counterpart, asset: Asset) -> "CounterpartAnswer":
        return cls(other.transfer_id, other.seq, Money.of(other.amount, asset), other.posted_at)


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """What a transfer did to one of your wallets, and where the value came from or went to.

    `reverses` is what it took back, `reversed_by` is what took it back, each with its amount.
    """

    asset: str
    seq: int
    amount: Money
    balance_before: Money
    balance_after: Money
    others: tuple[SideAnswer, ...]
    hold: HoldOfAnswer | None
    reverses: CounterpartAnswer | None
    reversed_by: tuple[CounterpartAnswer, ...]

    @classmethod
    def of(cls, receipt: Receipt) -> "EntryAnswer":
        asset, line = Asset(receipt.asset.code, receipt.asset.scale), receipt.line
        return cls(
            asset=asset.code,
            seq=line.seq,
            amount=Money.of(line.amount, asset),
            balance_before=Money.of(line.balance_before, asset),
            balance_after=Money.of(line.balance_after, asset),
            others=tuple(map(SideAnswer.of, receipt.sides)),
            hold=HoldOfAnswer.of(receipt.hold, asset) if receipt.hold else None,
            reverses=CounterpartAnswer.of(receipt.reverses, asset) if receipt.reverses else None,
            reversed_by=tuple(CounterpartAnswer.of(other, asset) for other in receipt.reversed_by),
        )


@dataclass(frozen=True, slots=True)
class ReceiptAnswer:
    """Why something moved: the key names the cause, `done_by` is you, a player, staff, a service or the system."""

    id: UUID
    category: str
    kind: str
    label: str
    description: str
    metadata: Mapping[str, object]
    key: str
    done_by: str
    created_at: Instant
    reverses: UUID | None
    entries: tuple[EntryAnswer, ...]

    @classmethod
    def of(cls, receipts: Sequence[Receipt]) -> "ReceiptAnswer":
        first = receipts[0]
        line = first.line
        return cls(
            id=line.transfer_id,
            category=line.category,
            kind=line.kind,
            label=line.label,
            description=line.description,
            metadata=line.metadata,
            key=first.key,
            done_by=first.done_by,
            created_at=line.posted_at,
            reverses=line.reverses_id,
            entries=tuple(map(EntryAnswer.of, receipts)),
        )


_COMPETITION = "01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44"
WALLETS_EXAMPLE = WalletsAnswer.of([Wallet("USD", 2, 11_875, 0, 0, AT)])
LINES_EXAMPLE = Listed(
    items=(
        LineAnswer(
            id=THING,
            seq=17,
            type="credit",
            category="prize",
            kind="competitions.prize",
            label="Prize",
            amount=Money("USD", 5_000, "50.00"),
            balance_after=Money("USD", 11_875, "118.75"),
            description="",
            metadata={"title": "Weekly wager race"},
            created_at=AT,
            updated_at=AT,
            hidden=False,
            reverses=None,
            reversed=Money("USD", 0, "0.00"),
        ),
    ),
    next=None,
    prev=None,
)
RECEIPT_EXAMPLE = ReceiptAnswer(
    id=THING,
    category="prize",
    kind="competitions.prize",
    label="Prize",
    description="",
    metadata={"competition": _COMPETITION, "rank": 3, "title": "Weekly wager race"},
    key=f"comp:{_COMPETITION}:reward:112",
    done_by="system",
    created_at=AT,
    reverses=None,
    entries=(
        EntryAnswer(
            asset="USD",
            seq=17,
            amount=Money("USD", 5_000, "50.00"),
            balance_before=Money("USD", 6_875, "68.75"),
            balance_after=Money("USD", 11_875, "118.75"),
            others=(SideAnswer("pool", None, own=False, amount=Money.of(-5_000, USD)),),
            hold=None,
            reverses=None,
            reversed_by=(),
        ),
    ),
)


def owner_of(user_id: UUID | None) -> UserId:
    """Whose wallet a request is about; its route lets nobody else in."""
    if user_id is None:
        raise ValueError("a wallet has an owner")
    return UserId(user_id)
