"""Pages of staff over what is counted."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.infra.db import Tx
from palio.ledger.console.calls.rights import EDIT, READ
from palio.ledger.console.forms import AssetForm
from palio.ledger.console.pages.places import ASSETS
from palio.ledger.errors import EffectUnseen
from palio.ledger.rules import desk as rules
from palio.ledger.schemas.wallet import AssetCode
from palio.ledger.service import desk, totals
from palio.ledger.types import AssetTerms
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

FLAGS = ("active", "withdrawable", "giftable", "lots")
routes = Routes("ledger")


@routes.page(ASSETS, access=READ)
async def assets_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is counted."""
    values = {"assets": await desk.list_asset_rows(tx), "may_edit": EDIT in ask.permissions}
    return await console.render(request, ask, tx, "ledger/console/assets.html", values, present=ASSETS)


@routes.page(ASSETS + "/{asset}", access=EDIT)
async def asset_page(request: Request, asset: AssetCode, ask: Ask, tx: InTx) -> HTMLResponse:
    """What may be done with an asset. Refuses with UnknownAsset."""
    return await _asset_form(request, ask, tx, asset, None)


async def _asset_form(
    request: Request, ask: Asking, tx: Tx, code: str, typed: Mapping[str, str] | None, problem: Problem | None = None
) -> HTMLResponse:
    found = await desk.get_asset_row(tx, asset=code)
    asked = found.terms
    if typed is not None:
        name = typed.get("name", "").strip()
        asked = AssetTerms(name, **{flag: bool(typed.get(flag)) for flag in FLAGS})
    conserved = await totals.conservation(tx, now=ask.now)
    values = {
        "one": found,
        "asset": Asset(found.code, found.scale),
        "in_wallets": next((each.wallets for each in conserved if each.asset == code), 0),
        "asked": asked,
        "changes": [flag for flag in FLAGS if getattr(asked, flag) != getattr(found, flag)],
        "is_looked_at": typed is not None,
        "seen": _seen(found.terms, asked),
        "reason": (typed or {}).get("reason", ""),
    }
    return await console.render(request, ask, tx, "ledger/console/asset.html", values, present=ASSETS, problem=problem)


def _seen(before: AssetTerms, asked: AssetTerms) -> str:
    """The same text for the same change only."""
    return f"{rules.version_of_terms(before)}-{rules.version_of_terms(asked)}"


async def _asset_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, what it would change now, and what is wrong."""
    return await _asset_form(request, ask, tx, request.path_params["asset"], filled.values, filled.problem)


@routes.form(
    ASSETS + "/{asset}/effect", access=EDIT, again=_asset_again, idempotency="none", unaudited="it changes nothing"
)
async def foresee_asset_by_form(
    request: Request, asset: AssetCode, ask: Ask, tx: InTx, form: Annotated[AssetForm, Form()]
) -> HTMLResponse:
    """What would change; nothing is written."""
    return await _asset_form(request, ask, tx, asset, form.model_dump())


@routes.form(ASSETS + "/{asset}", access=EDIT, step_up=True, asks_code=True, again=_asset_again)
async def change_asset_by_form(
    asset: AssetCode, ask: Ask, tx: InTx, form: Annotated[AssetForm, Form()]
) -> RedirectResponse:
    """Change what an asset is called and what may be done with it, as its effect was seen."""
    before, asked = (await desk.get_asset_row(tx, asset=asset)).terms, form.terms()
    if form.seen != _seen(before, asked):
        raise EffectUnseen
    await desk.change_asset_by_staff(
        tx,
        asset=asset,
        changes=asdict(asked),
        reason=form.reason,
        seen=rules.version_of_terms(before),
        now=ask.now,
    )
    return RedirectResponse(ASSETS, 303)
