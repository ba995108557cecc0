"""How the ledger looks to staff: what is asked for, and what is answered. Amounts are units of their asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from palio.infra.seals import Seal
from palio.kernel.ids import UserId
from palio.ledger.service.desk import Hit, Sheet
from palio.ledger.service.sealing import Sealing
from palio.ledger.sql.desk import AccountRow, AssetRow, EntryRow, HoldRow, LegRow, LotRow
from palio.ledger.types import (
    ADJUSTMENT_LINES_MAX,
    ADJUSTMENT_REASON_MAX,
    AMOUNT_UNITS_MAX,
    ASSET_NAME_CHARS_MAX,
    LEGS_OF_AN_ITEM_MAX,
    TICKET_CHARS_MAX,
    AdjustedLine,
    Adjustment,
    AdjustmentForeseen,
    AdjustmentId,
    AdjustmentLine,
    AdjustmentStatus,
    BalanceChange,
    Conserved,
    HoldState,
    KeptFinding,
    Origin,
    Status,
)
from palio.ui.examples import AT, PLAYER, STELLA, THING, money
from palio.ui.values import Asset, Blank, Instant, Money

NUMBER_MAX = 2**63 - 1

AccountNumber = Annotated[int, Path(ge=1, le=NUMBER_MAX, examples=[6553603])]
LegNumber = Annotated[int, Path(ge=0, le=LEGS_OF_AN_ITEM_MAX, examples=[0])]
Units = Annotated[StrictInt, Field(ge=-AMOUNT_UNITS_MAX, le=AMOUNT_UNITS_MAX)]
Reason = Annotated[str, Field(max_length=ADJUSTMENT_REASON_MAX, description="Why, in at least 10 characters")]
Beginning = Annotated[str, Query(max_length=200, description="How the address begins, like `house:`")]
OfAsset = Annotated[str | None, Query(max_length=12, description="Code of an asset"), Blank]
OfStatus = Annotated[Status | None, Query(description="Accounts of one status; all of them without it"), Blank]
OfState = Annotated[HoldState | None, Query(description="Holds in one state; all of them without it"), Blank]
OfOwner = Annotated[UUID | None, Query(description="Of one player"), Blank]
AdjustedAs = Annotated[AdjustmentStatus | None, Query(description="In one state; all of them without it"), Blank]
Looked = Annotated[str, Query(max_length=200, description="An id, a key, an address, or a user name")]


class Body(BaseModel):
    """What a call of staff takes: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class StatusBody(Body):
    """What an account may be used for from now on, and why."""

    status: Status
    reason: Reason


class AssetBody(Body):
    """What of an asset is to be otherwise, and why; what is not named stays."""

    name: Annotated[str, Field(max_length=ASSET_NAME_CHARS_MAX)] | None = None
    giftable: StrictBool | None = None
    withdrawable: StrictBool | None = None
    lots: StrictBool | None = None
    active: StrictBool | None = None
    reason: Reason

    def changes(self) -> Mapping[str, str | bool]:
        """What was named."""
        return self.model_dump(exclude={"reason"}, exclude_none=True)


class ReverseBody(Body):
    """How much is taken back of a transfer of two legs, or all that is left; what a wallet lacks may be owed."""

    reason: Reason
    amount: Annotated[StrictInt, Field(ge=1, le=AMOUNT_UNITS_MAX)] | None = None
    to_debt: StrictBool = False


class ReasonBody(Body):
    """Why."""

    reason: Reason


class MaybeReasonBody(Body):
    """Why, if there is something to say."""

    reason: Annotated[str, Field(max_length=ADJUSTMENT_REASON_MAX)] = ""


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


# answers


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
class AccountsAnswer:
    """Accounts in the order of their addresses."""

    items: tuple[AccountAnswer, ...]
    next: str | None
    prev: str | None


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
class ChainsAnswer:
    """Entries of an account, the newest first."""

    items: tuple[ChainAnswer, ...]
    next: str | None
    prev: str | None


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


@dataclass(frozen=True, slots=True)
class LotsAnswer:
    """What is left of each credit of a wallet, in the order in which they are spent."""

    items: tuple[LotAnswer, ...]
    next: str | None
    prev: str | None


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
        )


def total_of(one: Adjustment) -> Money | None:
    """How much it moves, where that is of one asset."""
    if one.asset is None or one.scale is None or one.total_abs is None:
        return None
    return Money.of(one.total_abs, Asset(one.asset, one.scale))


@dataclass(frozen=True, slots=True)
class AdjustmentsAnswer:
    """Corrections, the newest first."""

    items: tuple[AdjustmentRowAnswer, ...]
    next: str | None
    prev: str | None


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


@dataclass(frozen=True, slots=True)
class StaffHoldsAnswer:
    """Holds, the newest first."""

    items: tuple[StaffHoldAnswer, ...]
    next: str | None
    prev: str | None


@dataclass(frozen=True, slots=True)
class AssetAnswer:
    """An asset with all that is set about it."""

    code: str
    name: str
    scale: int
    kind: str
    withdrawable: bool
    giftable: bool
    lots: bool
    active: bool
    created_at: Instant

    @classmethod
    def of(cls, row: AssetRow) -> "AssetAnswer":
        return cls(
            code=row.code,
            name=row.name,
            scale=row.scale,
            kind=row.kind,
            withdrawable=row.withdrawable,
            giftable=row.giftable,
            lots=row.lots,
            active=row.active,
            created_at=row.created_at,
        )


@dataclass(frozen=True, slots=True)
class AssetsAnswer:
    """Every asset."""

    items: tuple[AssetAnswer, ...]
    next: None
    prev: None


@dataclass(frozen=True, slots=True)
class OriginAnswer:
    """What players have of one origin, what of it is held or over, and what was taken as expired."""

    origin: Origin
    outstanding: Money
    held: Money
    lapsed: Money
    expired: Money


@dataclass(frozen=True, slots=True)
class ConservedAnswer:
    """Where the units of an asset are: `total` is 0, or something is wrong; `by_family` adds up to it.

    `issued` was made and not unmade again; `liability` is what players could ask for. `by_origin` is told of an asset
    that expires, or has.
    """

    asset: str
    total: Money
    issued: Money
    liability: Money
    wallets: Money
    held: Money
    owed: Money
    by_family: Mapping[str, int]
    by_origin: tuple[OriginAnswer, ...]

    @classmethod
    def of(cls, found: Conserved) -> "ConservedAnswer":
        asset = Asset(found.asset, found.scale)
        return cls(
            asset=found.asset,
            total=Money.of(found.total, asset),
            issued=Money.of(found.issued, asset),
            liability=Money.of(found.liability, asset),
            wallets=Money.of(found.wallets, asset),
            held=Money.of(found.held, asset),
            owed=Money.of(found.owed, asset),
            by_family=found.by_family,
            by_origin=tuple(
                OriginAnswer(
                    one.origin,
                    *[Money.of(units, asset) for units in (one.outstanding, one.held, one.lapsed, one.expired)],
                )
                for one in found.origins
            ),
        )


@dataclass(frozen=True, slots=True)
class ConservationAnswer:
    """Every asset that has accounts."""

    items: tuple[ConservedAnswer, ...]
    next: None
    prev: None


@dataclass(frozen=True, slots=True)
class FindingAnswer:
    """Something that is not as it must be: which check, of what, both figures, and what came of it."""

    id: UUID
    check: str
    subject: str
    account: int | None
    expected: str
    actual: str
    found_at: Instant
    resolved_at: Instant | None
    resolution: str | None

    @classmethod
    def of(cls, found: KeptFinding) -> "FindingAnswer":
        return cls(
            id=found.id,
            check=found.check,
            subject=found.subject,
            account=found.account_id,
            expected=found.expected,
            actual=found.actual,
            found_at=found.found_at,
            resolved_at=found.resolved_at,
            resolution=found.resolution,
        )


@dataclass(frozen=True, slots=True)
class FindingsAnswer:
    """What reconciliations have found, the newest first."""

    items: tuple[FindingAnswer, ...]
    next: str | None
    prev: str | None


class ResolveBody(Body):
    """What was found out about a finding, and what was done."""

    resolution: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True, slots=True)
class SealAnswer:
    """A seal over the transfers of the transactions from `from_tx` to below `to_tx`, signed by the key `key_id`.

    `is_anchored` is null where this machine has no anchors.
    """

    n: int
    at: Instant
    rows: int
    from_tx: int
    to_tx: int
    head: str
    key_id: int
    is_anchored: bool | None

    @classmethod
    def of(cls, seal: Seal, far: Sealing) -> "SealAnswer":
        return cls(
            n=seal.n,
            at=seal.sealed_at,
            rows=seal.rows,
            from_tx=seal.from_tx,
            to_tx=seal.to_tx,
            head=seal.head.hex(),
            key_id=seal.key_id,
            is_anchored=far.is_anchored(seal.n),
        )


@dataclass(frozen=True, slots=True)
class SealsAnswer:
    """Seals, the newest first; `is_late` says that transfers have waited for more than five minutes."""

    items: tuple[SealAnswer, ...]
    next: str | None
    prev: str | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class HitAnswer:
    """Something that was found: an account, a transfer, a hold, a correction or a player."""

    what: str
    id: str
    text: str

    @classmethod
    def of(cls, hit: Hit) -> "HitAnswer":
        return cls(hit.what, hit.id, hit.text)


@dataclass(frozen=True, slots=True)
class HitsAnswer:
    """What has this id, key, address or user name."""

    items: tuple[HitAnswer, ...]
    next: None
    prev: None


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
ASSET_EXAMPLE = AssetAnswer("USD", "US dollar", 2, "money", True, False, False, True, AT)
HIT_EXAMPLE = HitAnswer("transfer", str(THING), "Prize: comp:36:reward:1")
CONSERVATION_EXAMPLE = ConservationAnswer(
    (
        ConservedAnswer(
            asset="USD",
            total=money(0),
            issued=money(0),
            liability=money(140_000),
            wallets=money(50_000),
            held=money(1_000),
            owed=money(0),
            by_family={"user": 50_000, "pool": 90_000, "external": -140_000},
            by_origin=(),
        ),
    ),
    None,
    None,
)
FINDING_EXAMPLE = FindingAnswer(
    id=THING,
    check="R1",
    subject=f"user:{PLAYER}:main USD",
    account=6553603,
    expected="50000",
    actual="50001",
    found_at=AT,
    resolved_at=None,
    resolution=None,
)
SEAL_EXAMPLE = SealAnswer(
    n=4217,
    at=AT,
    rows=2,
    from_tx=918_204,
    to_tx=918_377,
    head="c2d97f6e0b1a4835d6e7f80912a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5",
    key_id=1,
    is_anchored=True,
)
SEALS_EXAMPLE = SealsAnswer((SEAL_EXAMPLE,), None, None, is_late=False)
FINDINGS_EXAMPLE = FindingsAnswer((FINDING_EXAMPLE,), None, None)
ACCOUNTS_EXAMPLE = AccountsAnswer((ACCOUNT_EXAMPLE,), None, None)
LOTS_EXAMPLE = LotsAnswer(
    (LotAnswer(THING, THING, "earned", money(50_000), money(12_500), money(1_000), money(0), AT, AT),), None, None
)
CHAINS_EXAMPLE = ChainsAnswer((CHAIN_EXAMPLE,), None, None)
ADJUSTMENTS_EXAMPLE = AdjustmentsAnswer((AdjustmentRowAnswer.of(ADJUSTMENT_KEPT),), None, None)
STAFF_HOLDS_EXAMPLE = StaffHoldsAnswer((HOLD_EXAMPLE,), None, None)
ASSETS_EXAMPLE = AssetsAnswer((ASSET_EXAMPLE,), None, None)
HITS_EXAMPLE = HitsAnswer((HIT_EXAMPLE,), None, None)
