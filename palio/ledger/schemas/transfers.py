"""What programs send to post, and what they are told: strict shapes, and a quick reader of what is plain."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    SkipValidation,
    TypeAdapter,
)

from palio.kernel.ids import Actor
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    DESCRIPTION_CHARS_MAX,
    LEGS_OF_AN_ITEM_MAX,
    LEGS_OF_AN_ITEM_MIN,
    Capture,
    Held,
    Hold,
    HoldId,
    Item,
    Post,
    Posted,
    Reverse,
    TransferId,
    Void,
    Voided,
)
from palio.ui.bodies import Body
from palio.ui.examples import THING
from palio.ui.values import Instant, instant

KEY = re.compile(r"[A-Za-z0-9:._-]{1,159}")  # behind "api:" and an id it is a key of the ledger, of at most 200
WORD_CHARS_MAX = 300
OF_TEXTS = "\t\n"  # control characters that pass in a text of several lines
HOLD_EXAMPLE = UUID("0195b0a2-7f00-7aa1-8c55-0d6b1d2f4e90")
WALLET_EXAMPLE = "user:0195a9f4-3c5e-7b02-a1d7-6e2f9b7c4d18:main"


def _moves_something(amount: int) -> int:
    if amount == 0:
        raise ValueError("An amount is not zero.")
    return amount


def _plain_text(text: str) -> str:
    if not is_plain(text):
        raise ValueError("A text has no control characters.")
    return text


def _text_of_time(value: object) -> object:
    """A number is no time."""
    if not isinstance(value, str):
        raise ValueError("A time is a text, as in 2026-03-18T14:05:09Z.")  # noqa: TRY004 - pydantic answers this one
    return value


def is_plain(text: str) -> bool:
    """Is it text without control characters?"""
    return text.isprintable() or not any(
        character < " " or "\x7f" <= character <= "\x9f" for character in text if character not in OF_TEXTS
    )


Word = Annotated[str, Field(strict=True, max_length=WORD_CHARS_MAX)]  # the ledger says what is wrong with it
Text = Annotated[str, Field(strict=True, max_length=DESCRIPTION_CHARS_MAX), AfterValidator(_plain_text)]
Amount = Annotated[int, Field(strict=True, ge=-AMOUNT_UNITS_MAX, le=AMOUNT_UNITS_MAX), AfterValidator(_moves_something)]
Units = Annotated[int, Field(strict=True, ge=1, le=AMOUNT_UNITS_MAX)]
Yes = Annotated[bool, Field(strict=True)]
Time = Annotated[AwareDatetime, BeforeValidator(_text_of_time)]


class LegForm(Body):
    """So much into an account, or out of it."""

    account: Word
    asset: Word
    amount: Amount


class CaptureForm(Body):
    """The hold that a transfer is paid from; a final capture releases the rest of it."""

    hold: UUID
    final: Yes = False


class TransferForm(Body):
    """A transfer: the amounts of its legs sum to zero for each asset."""

    kind: Word
    legs: Annotated[list[LegForm], Field(min_length=LEGS_OF_AN_ITEM_MIN, max_length=LEGS_OF_AN_ITEM_MAX)]
    description: Text = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    capture: CaptureForm | None = None


class TransferItem(TransferForm):
    """A transfer of a batch."""

    key: Word
    op: Literal["transfer"] = "transfer"


class HoldItem(Body):
    """Units of a wallet to be set aside, by default for as long as the operator says."""

    key: Word
    op: Literal["hold"]
    account: Word
    asset: Word
    amount: Units
    subject: Text
    kind: Word
    expires_at: Time | None = None


class VoidItem(Body):
    """A hold to be released."""

    key: Word
    op: Literal["void"]
    hold: UUID


class ReverseItem(Body):
    """A transfer to be taken back: what is left of it, or so much of its two legs."""

    key: Word
    op: Literal["reverse"]
    transfer: UUID
    reason: Text
    amount: Units | None = None
    to_debt: Yes = False


AnyItem: TypeAlias = TransferItem | HoldItem | VoidItem | ReverseItem
SHAPES: Mapping[object, TypeAdapter[Any]] = {
    "transfer": TypeAdapter(TransferItem),
    "hold": TypeAdapter(HoldItem),
    "void": TypeAdapter(VoidItem),
    "reverse": TypeAdapter(ReverseItem),
}


class BatchForm(Body):
    """Up to 10,000 items, each judged and answered by itself; with mode `all` they happen together or not at all."""

    items: list[SkipValidation[AnyItem]]
    mode: Literal["each", "all"] = "each"
    dry_run: Yes = False


def api_key(user_id: UUID, key: str) -> str:
    """The key under which the ledger keeps what a program has called so: no key of a module is ever like it."""
    return _prefix(user_id) + key


@lru_cache(maxsize=1_000)
def _prefix(user_id: UUID) -> str:
    return f"api:{user_id}:"


def post_of(form: TransferForm, key: str, actor: Actor) -> Post:
    """The transfer that is meant."""
    legs = [(leg.account, leg.asset, leg.amount) for leg in form.legs]
    capture = Capture(HoldId(form.capture.hold), form.capture.final) if form.capture else None
    return Post(key, form.kind, legs, form.description, form.metadata, actor, capture)


def item_of(form: AnyItem, actor: Actor, user_id: UUID) -> Item:
    """What is meant by an item of a batch; a hold without an end lasts as long as the ledger says."""
    key = api_key(user_id, form.key)
    if isinstance(form, TransferItem):
        return post_of(form, key, actor)
    if isinstance(form, HoldItem):
        return Hold(key, form.account, form.asset, form.amount, form.subject, form.kind, form.expires_at)
    if isinstance(form, VoidItem):
        return Void(key, HoldId(form.hold))
    return Reverse(key, TransferId(form.transfer), form.reason, form.amount, form.to_debt, actor)


# What is told


@dataclass(frozen=True, slots=True)
class BalanceAnswer:
    """What a wallet held after its entry, and the number of that entry."""

    balance: int
    seq: int


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """A transfer that is posted, and by account the wallets it changed."""

    id: UUID
    posted_at: Instant
    balances: Mapping[str, BalanceAnswer]

    @classmethod
    def of(cls, posted: Posted) -> "TransferAnswer":
        """As it was first told."""
        balances = {address: BalanceAnswer(*entry) for address, entry in posted.balances.items()}
        return cls(posted.transfer_id, posted.posted_at, balances)


@dataclass(frozen=True, slots=True)
class ResultAnswer:
    """What became of the item at a place of the batch: what was done, now or before, or why not."""

    index: int
    ref: str | None
    status: Literal["ok", "duplicate", "refused"]
    data: Mapping[str, object] | None = None
    problem: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class CountsAnswer:
    """How many items became what."""

    ok: int
    duplicate: int
    refused: int


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A result for each item, in the order of the items."""

    results: Sequence[ResultAnswer]
    counts: CountsAnswer


TRANSFER = TransferAnswer(
    THING,
    datetime.fromisoformat("2026-03-18T14:05:09.123456+00:00"),
    {WALLET_EXAMPLE: BalanceAnswer(400, 2)},
)
BATCH = BatchAnswer(
    [
        ResultAnswer(
            0,
            "order-1",
            "ok",
            {
                "id": str(THING),
                "posted_at": "2026-03-18T14:05:09.123456Z",
                "balances": {WALLET_EXAMPLE: asdict(BalanceAnswer(400, 2))},
            },
        ),
        ResultAnswer(
            1,
            "order-2",
            "refused",
            None,
            {
                "type": "/problems/ledger.insufficient_funds",
                "title": "Insufficient funds",
                "status": 409,
                "code": "ledger.insufficient_funds",
                "detail": "400 and 600 in units of the asset.",
                "facts": {"available": 400, "needed": 600},
                "errors": [],
            },
        ),
    ],
    CountsAnswer(1, 0, 1),
)


def data_of(done: Posted | Held | Voided) -> dict[str, object]:
    """What a result says of something done, for the quick writer."""
    if isinstance(done, Posted):
        return told_of(done)
    if isinstance(done, Held):
        return {"id": str(done.hold_id), "amount": done.amount, "expires_at": instant(done.expires_at)}
    return {"id": str(done.hold_id), "released": done.released}


def told_of(posted: Posted) -> dict[str, object]:
    """The same as `TransferAnswer`, for the quick writer, which writes ids and times as we do, but for a time without
    fractions.
    """
    at = posted.posted_at
    return {
        "id": posted.transfer_id,
        "posted_at": at if at.microsecond else instant(at),
        "balances": {address: {"balance": balance, "seq": seq} for address, (balance, seq) in posted.balances.items()},
    }


# The quick reader: what it takes, the shapes above take too, and mean the same by it. It takes less.

Absent: TypeAlias = msgspec.UnsetType
NOT_GIVEN = msgspec.UNSET
Moved = Annotated[int, msgspec.Meta(ge=-AMOUNT_UNITS_MAX, le=AMOUNT_UNITS_MAX)]
Fact: TypeAlias = str | int | bool | None
Form = TypeVar("Form")
QUOTE, ESCAPE = b'"', b"\\"


class _Quick(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """No cycles: nothing for the garbage collector to visit."""


class _QuickLeg(_Quick):
    account: str
    asset: str
    amount: Moved


class QuickTransfer(_Quick):
    """A transfer as a program sends it in most cases: nothing is captured, its facts are flat."""

    kind: str
    legs: list[_QuickLeg]
    description: str | Absent = NOT_GIVEN
    metadata: dict[str, Fact] | Absent = NOT_GIVEN


class QuickItem(QuickTransfer, kw_only=True):
    """The same in a batch."""

    key: str
    op: Literal["transfer"] | Absent = NOT_GIVEN


class _QuickBatch(_Quick):
    items: list[msgspec.Raw]
    mode: Literal["each", "all"] | Absent = NOT_GIVEN
    dry_run: bool | Absent = NOT_GIVEN


_read_transfer = msgspec.json.Decoder(QuickTransfer).decode
_read_item = msgspec.json.Decoder(QuickItem).decode
_read_batch = msgspec.json.Decoder(_QuickBatch).decode
encode = msgspec.json.Encoder().encode


def joined(parts: Sequence[bytes]) -> msgspec.Raw:
    """The lists that were encoded one by one as one list, which is written already."""
    return msgspec.Raw(b"[" + b",".join([part[1:-1] for part in parts if part != b"[]"]) + b"]")


def written(posted: Posted) -> bytes:
    """The answer of a single transfer, as `TransferAnswer` is written."""
    return encode(told_of(posted))


@dataclass(frozen=True, slots=True)
class QuickBatch:
    """A plain batch whose items are still to be read."""

    items: Sequence[msgspec.Raw]
    mode: Literal["each", "all"]
    is_dry_run: bool


def read_transfer(body: bytes) -> QuickTransfer | None:
    """The transfer that a plain body means; None where the strict shapes have to judge.

    The library takes a member that stands twice. Every name and text of a plain body has two quotes, so there are more
    of them then than what was read accounts for.
    """
    form = _decoded(_read_transfer, body)
    return form if form and body.count(QUOTE) == _quotes_of(form) and _is_within_shape(form) else None


def read_batch(body: bytes) -> QuickBatch | None:
    """The same of a batch. Its items are read in slices, by `read_items`."""
    form = _decoded(_read_batch, body)
    if form is None:
        return None
    own = 2 + (0 if form.mode is NOT_GIVEN else 4) + (0 if form.dry_run is NOT_GIVEN else 2)
    if body.count(QUOTE) != own + sum([bytes(item).count(QUOTE) for item in form.items]):
        return None
    return QuickBatch(form.items, "each" if form.mode is NOT_GIVEN else form.mode, form.dry_run is True)


def read_items(items: Sequence[msgspec.Raw]) -> list[QuickItem] | None:
    """The items of a plain batch; None where the strict shapes have to judge one of them."""
    forms: list[QuickItem] = []
    for raw in items:
        form = _decoded(_read_item, raw)
        if form is None or not KEY.fullmatch(form.key) or not _is_within_shape(form):
            return None
        if bytes(raw).count(QUOTE) != _quotes_of(form) + 4 + (0 if form.op is NOT_GIVEN else 4):
            return None
        forms.append(form)
    return forms


def quick_post(form: QuickTransfer, key: str, actor: Actor) -> Post:
    """The transfer that is meant."""
    legs = [(leg.account, leg.asset, leg.amount) for leg in form.legs]
    description = "" if form.description is NOT_GIVEN else form.description
    metadata = {} if form.metadata is NOT_GIVEN else form.metadata
    return Post(key, form.kind, legs, description, metadata, actor)


def _decoded(read: Callable[[bytes | msgspec.Raw], Form], body: bytes | msgspec.Raw) -> Form | None:
    if type(body) is bytes and ESCAPE in body:
        return None
    try:
        return read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _quotes_of(form: QuickTransfer) -> int:
    quotes = 6 + 10 * len(form.legs)
    if form.description is not NOT_GIVEN:
        quotes += 4
    if form.metadata is not NOT_GIVEN:
        quotes += 2 + sum([4 if type(value) is str else 2 for value in form.metadata.values()])
    return quotes


def _is_within_shape(form: QuickTransfer) -> bool:
    """Would the strict shape have taken it?"""
    if not (LEGS_OF_AN_ITEM_MIN <= len(form.legs) <= LEGS_OF_AN_ITEM_MAX and len(form.kind) <= WORD_CHARS_MAX):
        return False
    description = form.description
    if description is not NOT_GIVEN and (len(description) > DESCRIPTION_CHARS_MAX or not is_plain(description)):
        return False
    for leg in form.legs:
        if not leg.amount or len(leg.account) > WORD_CHARS_MAX or len(leg.asset) > WORD_CHARS_MAX:
            return False
    return True
