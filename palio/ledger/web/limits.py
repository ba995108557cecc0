"""What a player allows himself: his own page and calls."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from palio.infra import settings
from palio.infra.db import Tx
from palio.ledger.errors import InvalidPost, UnknownAsset
from palio.ledger.schemas.limits import LIMITS_EXAMPLE, PRESETS, LimitForm, LimitPageForm, LimitsAnswer
from palio.ledger.schemas.wallet import owner_of
from palio.ledger.service import limits, reading
from palio.ledger.types import LIMIT_DELAY_HOURS, PlayerLimit
from palio.ledger.web.wallet import READS
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, Money

PAGE = "/wallet/limits"
GROUPS = ("stake", "spend", "loss", "deposit")
PERIODS = ("day", "week", "month")
routes = Routes("ledger")


@routes.get("/wallet/limits", access="owner", example=LIMITS_EXAMPLE, rate=[READS])
async def list_limits(ask: Ask, tx: InTx) -> LimitsAnswer:
    """List your limits, with what is used of each and when it begins anew."""
    return await _limits(tx, ask)


@routes.put("/wallet/limits", access="owner", example=LIMITS_EXAMPLE, refuses=[UnknownAsset, InvalidPost])
async def set_limit(form: LimitForm, ask: Ask, tx: InTx) -> LimitsAnswer:
    """Set a limit: a lower one acts at once, a higher one or none after `limits.raise_delay_h` (a day or more)."""
    await limits.set_limit(
        tx,
        owner_id=owner_of(ask.actor.user_id),
        asset=form.asset,
        group=form.group,
        period=form.period,
        amount=form.amount,
        now=ask.now,
    )
    return await _limits(tx, ask)


async def _limits(tx: Tx, ask: Asking) -> LimitsAnswer:
    return LimitsAnswer.of(await limits.player_limits(tx, owner_id=owner_of(ask.actor.user_id), now=ask.now))


@routes.page(PAGE, access="owner")
async def limits_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """How much you allow yourself, and what is left of it."""
    return await _show(request, ask, tx)


async def _show(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None) -> HTMLResponse:
    found = await limits.player_limits(tx, owner_id=owner_of(ask.actor.user_id), now=ask.now)
    values = {
        "limits": found,
        "asset_of": _asset_of,
        "plain": _plain,
        "assets": [one.code for one in await reading.assets(tx)],
        "groups": GROUPS,
        "periods": PERIODS,
        "presets": PRESETS,
        "delay_h": settings.value(LIMIT_DELAY_HOURS),
        "typed": filled.values if filled else {},
        "problem": filled.problem if filled else None,
    }
    return pages.render(request, "ledger/limits.html", values)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page with what was typed, and what is wrong with it."""
    return await _show(request, ask, tx, filled)


@routes.form(PAGE, access="owner", again=_again)
async def send_limit(form: Annotated[LimitPageForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Set a limit from the page, or keep the one that is in force."""
    known = await reading.asset_of(tx, code=form.asset)
    await limits.set_limit(
        tx,
        owner_id=owner_of(ask.actor.user_id),
        asset=form.asset,
        group=form.group,
        period=form.period,
        amount=form.units(known),
        now=ask.now,
    )
    return RedirectResponse(PAGE, 303)


def _asset_of(limit: PlayerLimit) -> Asset:
    return Asset(limit.asset, limit.scale)


def _plain(amount: int, unit: Asset) -> str:
    """As the form takes it."""
    return Money.of(amount, unit).text
