"""Gifts: the call, the page on which one is confirmed, and the form that makes it."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import Form, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import RedirectResponse, Response

from palio.infra.db import Tx
from palio.kernel.errors import NotFound
from palio.ledger.errors import (
    AccountFrozen,
    BalanceLimit,
    GiftLimit,
    GiftsOff,
    GiftToSelf,
    InsufficientFunds,
    NoSuchRecipient,
    NotGiftable,
    UnknownAsset,
    WalletInDebt,
)
from palio.ledger.schemas.filters import AMOUNT_CHARS_MAX, units_of
from palio.ledger.schemas.forms import NAME_CHARS_MAX, GiftCall, GiftForm
from palio.ledger.schemas.gifts import GIFT_EXAMPLE, GiftAnswer
from palio.ledger.schemas.wallet import AssetCode, owner_of
from palio.ledger.service import gifts, reading
from palio.ledger.types import Asset, Gift, Recipient
from palio.ui import limits, pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.guard import KEY, FormRequest
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset as Counted

GIFTS = Limit("gifts", 10, MINUTE_S)
LOOKS = Limit("gift-looks", 20, MINUTE_S)
SEE_OTHER = 303
KEY_HEX_CHARS = 32
UNTYPED = "?"  # nobody is called so, and it is no amount
REFUSES = (
    *(GiftsOff, UnknownAsset, NotGiftable, GiftToSelf, NoSuchRecipient, WalletInDebt, GiftLimit, InsufficientFunds),
    *(AccountFrozen, BalanceLimit),
)
FindRecipient: TypeAlias = Callable[[Tx, str], Awaitable[Recipient | None]]
routes = Routes("ledger")


@routes.post(
    "/wallet/gifts",
    access="owner",
    example=GIFT_EXAMPLE,
    refuses=REFUSES,
    rate=[GIFTS],
    idempotency="required",
    status=201,
    tier="expected",
)
async def make_gift(request: Request, body: GiftCall, ask: Ask, tx: InTx) -> GiftAnswer:
    """Give something of yours to another player, where this house allows it."""
    known = await reading.asset_of(tx, code=body.asset)
    recipient = await _recipient(request, tx, body.to)
    gift = _gift(ask, request.headers["idempotency-key"], recipient, body.asset, body.amount)
    posted = await gifts.gift(tx, gift=gift, now=ask.now)
    return GiftAnswer.of(posted, gift, recipient, Counted(known.code, known.scale))


@routes.page("/wallet/{asset}/gift", access="owner")
async def gift_page(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    to: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    amount: Annotated[str, Query(max_length=AMOUNT_CHARS_MAX)] = "",
) -> Response:
    """Who would get how much, before it is given. Refuses with NotFound where nothing can be given."""
    await limits.take_besides(request, ask, LOOKS)
    known = await _giftable(tx, asset)
    return await _confirmation(request, ask, tx, known, GiftForm(to=to or UNTYPED, amount=amount or UNTYPED))


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    known = await _giftable(tx, request.path_params["asset"])
    form = GiftForm(to=filled.values.get("to") or UNTYPED, amount=filled.values.get("amount") or UNTYPED)
    return await _confirmation(request, ask, tx, known, form, filled)


async def _confirmation(
    request: Request, ask: Asking, tx: Tx, known: Asset, form: GiftForm, filled: Filled | None = None
) -> Response:
    owner_id = owner_of(ask.actor.user_id)
    units, fault = _written(form.amount, known)
    wallet = next(one for one in await reading.wallets(tx, owner_id=owner_id) if one.asset == known.code)
    values = {
        "asset": Counted(known.code, known.scale),
        "asset_of": lambda one: Counted(one.asset, one.scale),
        "recipient": await _find(request, tx, form.to),
        "owner_id": owner_id,
        "form": form,
        "units": units,
        "fault": fault,
        "untyped": UNTYPED,
        "wallet": wallet,
        "holds": await reading.holds_of(tx, owner_id=owner_id, asset=known.code) if units > wallet.available else [],
        "problem": filled.problem if filled and not fault else None,
    }
    return pages.render(request, "ledger/gift.html", values, status=422 if fault else 200)


def _written(text: str, known: Asset) -> tuple[int, str]:
    """The units that somebody wrote, and what is wrong with them; nothing of both where nothing was written."""
    if text == UNTYPED:
        return 0, ""
    try:
        units = units_of(text, known, "amount") or 0
    except RequestValidationError as wrong:
        return 0, str(wrong.errors()[0]["msg"])
    return units, "" if units else "More than nothing."


@routes.form("/wallet/{asset}/gift", access="owner", again=_again, rate=[GIFTS], idempotency="required")
async def give(request: Request, asset: AssetCode, form: Annotated[GiftForm, Form()], ask: Ask, tx: InTx) -> Response:
    """Give what was confirmed, and show its receipt."""
    known = await reading.asset_of(tx, code=asset)
    recipient = await _recipient(request, tx, form.to)
    carried = request.carried[KEY] if isinstance(request, FormRequest) else ""
    gift = _gift(ask, carried, recipient, asset, units_of(form.amount, known, "amount") or 0)
    posted = await gifts.gift(tx, gift=gift, now=ask.now)
    _, seq = posted.balances[f"user:{gift.giver}:main"]
    return RedirectResponse(f"/wallet/{asset}/entries/{seq}", SEE_OTHER)


def _gift(ask: Asking, key: str, recipient: Recipient, asset: str, units: int) -> Gift:
    """A client's key is any text of his; the ledger's is short, and kept for ever."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:KEY_HEX_CHARS]
    return Gift(digest, owner_of(ask.actor.user_id), recipient.user_id, asset, units)


async def _giftable(tx: Tx, code: str) -> Asset:
    known = await reading.asset_of(tx, code=code)
    if code not in await gifts.giftable(tx):
        raise NotFound
    return known


async def _find(request: Request, tx: Tx, name: str) -> Recipient | None:
    find: FindRecipient = request.app.state.find_recipient
    return await find(tx, name.strip()) if "\0" not in name else None  # no database holds it


async def _recipient(request: Request, tx: Tx, name: str) -> Recipient:
    found = await _find(request, tx, name)
    if found is None:
        raise NoSuchRecipient
    return found
