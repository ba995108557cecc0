"""Pages of staff over programmes: all of them, a new one, and what is said of one, or whether it is paused."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.affiliates import service
from palio.affiliates.console.calls import FEEDS, READ
from palio.affiliates.console.forms import NewProgrammeForm, ProgrammeForm
from palio.affiliates.console.schemas import Code
from palio.affiliates.errors import NoSuchProgramme
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

HERE = "/console/affiliates/programmes"
routes = Routes("affiliates")


async def _show(
    request: Request,
    ask: Asking,
    tx: Tx,
    name: str,
    values: Mapping[str, object],
    problem: Problem | None = None,
) -> HTMLResponse:
    """A page of programmes; with a problem it says what is wrong with what was typed."""
    around = {"may_edit": FEEDS in ask.permissions}
    template = f"affiliates/console/{name}.html"
    return await console.render(request, ask, tx, template, {**around, **values}, present=HERE, problem=problem)


@routes.page(HERE, access=READ)
async def programmes_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Every programme, the default one first."""
    return await _show(request, ask, tx, "programmes", {"cards": await service.programme_cards(tx)})


@routes.page(f"{HERE}/new", access=FEEDS)
async def new_programme_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """A programme to be made."""
    return await _show(request, ask, tx, "programme", {"card": None, "typed": {}})


async def _new_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    return await _show(request, ask, tx, "programme", {"card": None, "typed": filled.values}, filled.problem)


@routes.form(f"{HERE}/new", access=FEEDS, again=_new_again)
async def make_programme_by_form(tx: InTx, form: Annotated[NewProgrammeForm, Form()]) -> RedirectResponse:
    """Make a programme with its upload feed."""
    await service.create_programme(
        tx, code=form.code, name=form.name, currency=form.currency, coverage=form.coverage, reason=form.reason
    )
    return RedirectResponse(HERE, 303)


@routes.page(f"{HERE}/{{code}}", access=FEEDS)
async def programme_page(request: Request, code: Code, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is said of a programme, to be changed."""
    return await _one(request, ask, tx, code)


async def _one(request: Request, ask: Asking, tx: Tx, code: str, filled: Filled | None = None) -> HTMLResponse:
    card = next((one for one in await service.programme_cards(tx) if one.code == code), None)
    if card is None:
        raise NoSuchProgramme(programme=code)
    said = {
        "name": card.name,
        "status": card.status,
        "link_url": card.link_url or "",
        "site_hosts": " ".join(card.site_hosts),
    }
    values = {"card": card, "typed": filled.values if filled else said}
    return await _show(request, ask, tx, "programme", values, filled.problem if filled else None)


async def _one_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The programme with what was typed, and why it was not done."""
    return await _one(request, ask, tx, request.path_params["code"], filled)


@routes.form(f"{HERE}/{{code}}", access=FEEDS, again=_one_again)
async def change_programme_by_form(code: Code, tx: InTx, form: Annotated[ProgrammeForm, Form()]) -> RedirectResponse:
    """Change what is said of a programme, or pause it."""
    await service.change_programme(tx, code=code, change=form.change(), version=form.version, reason=form.reason)
    return RedirectResponse(HERE, 303)
