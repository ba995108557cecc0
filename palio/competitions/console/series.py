"""Pages of staff over series: what each of their competitions will be, what comes next, and whether anything does."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.competitions.console.calls import EDIT, READ, SeriesRef, checks_of
from palio.competitions.console.editor import again_of, asset_in, assets_of, liability_in
from palio.competitions.console.forms import (
    SHOWN_MAX,
    NewSeriesForm,
    SeriesEditForm,
    SeriesForm,
    edited_series,
    meter_of,
    wrong_in,
)
from palio.competitions.rules import entering
from palio.competitions.service import desk, series
from palio.competitions.types import Series, SeriesId
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

SERIES = "/console/competitions/series"
OF_ONE = f"{SERIES}/{{series_id:uuid}}"
routes = Routes("competitions")


@routes.page(SERIES, access=READ)
async def series_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Every series by code, those that rest too."""
    assets = await assets_of(tx)
    values = {"series": [(each, assets[each.prize_asset]) for each in await series.all_series(tx)]}
    return await console.render(request, ask, tx, "competitions/console/series.html", values, present=SERIES)


@routes.page(f"{SERIES}/new", access=EDIT)
async def new_series_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """A series to be made."""
    return await _editor(request, ask, tx, SeriesForm())


@routes.page(OF_ONE, access=READ)
async def one_series_page(request: Request, series_id: SeriesRef, ask: Ask, tx: InTx) -> HTMLResponse:
    """What the competitions of a series will be, and which come next."""
    known = await series.get_series(tx, series_id=SeriesId(series_id))
    form = edited_series(known, await asset_in(tx, known.prize_asset))
    return await _editor(request, ask, tx, form, known=known)


async def _editor(
    request: Request,
    ask: Asking,
    tx: Tx,
    form: SeriesForm,
    *,
    problem: Problem | None = None,
    given: Mapping[str, str] | None = None,
    known: Series | None = None,
) -> HTMLResponse:
    """The editor over what was typed; `given` are fields as texts, where they could not be read."""
    assets = await assets_of(tx)
    asset = assets.get(form.asset, Asset("USD", 2))
    meter = meter_of(form, asset)
    liabilities = await desk.liabilities(tx, now=ask.now)
    values = {
        "typed": form.model_copy(update=dict(given or {})),
        "meter": meter,
        "shown_max": SHOWN_MAX,
        "asset": asset,
        "assets": [(code, code) for code in sorted(assets)],
        "wrong": wrong_in(problem, given or {}),
        "known": known,
        "address": f"{SERIES}/{known.id}" if known else f"{SERIES}/new",
        "upcoming": await desk.upcoming(tx, series=known, now=ask.now) if known else [],
        "can_edit": EDIT in ask.permissions,
        "is_complete": bool(meter.is_whole and form.title.strip() and form.code.strip()),
        "liability": liability_in(liabilities, asset),
    }
    name = "competitions/console/series_editor.html"
    return await console.render(request, ask, tx, name, values, present=SERIES, block="meter", problem=problem)


async def _new_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The editor with what was typed, and what is wrong."""
    form, given = again_of(SeriesForm, filled.values)
    return await _editor(request, ask, tx, form, problem=filled.problem, given=given)


@routes.form(f"{SERIES}/new", access=EDIT, again=_new_again)
async def create_by_form(
    request: Request, ask: Ask, tx: InTx, form: Annotated[NewSeriesForm, Form()]
) -> RedirectResponse:
    """Make a series; its competitions come by the clock."""
    new = form.new(await asset_in(tx, form.asset))
    entering.check_known(new.eligibility, checks_of(request))
    made = await series.create_series(tx, new=new, actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{SERIES}/{made}", 303)


@routes.form(f"{SERIES}/new/meter", access=EDIT, again=_new_again, idempotency="none", unaudited="it changes nothing")
async def work_out_series(request: Request, ask: Ask, tx: InTx, form: Annotated[SeriesForm, Form()]) -> HTMLResponse:
    """What each would pay as it is typed now; nothing is made."""
    return await _editor(request, ask, tx, form)


async def _edit_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    known = await series.get_series(tx, series_id=SeriesId(UUID(str(request.path_params["series_id"]))))
    kept = edited_series(known, await asset_in(tx, known.prize_asset))
    read, given = again_of(SeriesEditForm, filled.values)
    form = kept.model_copy(update={name: getattr(read, name) for name in read.model_fields_set})
    given = {**given, "version": str(known.version)}
    return await _editor(request, ask, tx, form, problem=filled.problem, given=given, known=known)


@routes.form(OF_ONE, access=EDIT, again=_edit_again)
async def change_by_form(
    request: Request, series_id: SeriesRef, ask: Ask, tx: InTx, form: Annotated[SeriesEditForm, Form()]
) -> RedirectResponse:
    """Change what its next competitions will be, or let it rest."""
    known = await series.get_series(tx, series_id=SeriesId(series_id))
    new = _over(form, known).over(known, await asset_in(tx, form.asset))
    entering.check_known(new.eligibility, checks_of(request))
    await series.change_series(
        tx,
        series_id=known.id,
        new=new,
        is_active=bool(form.active),
        version=form.version,
        actor=ask.actor,
    )
    return RedirectResponse(f"{SERIES}/{known.id}", 303)


@routes.form(f"{OF_ONE}/meter", access=EDIT, again=_edit_again, idempotency="none", unaudited="it changes nothing")
async def work_out_next(
    request: Request, series_id: SeriesRef, ask: Ask, tx: InTx, form: Annotated[SeriesEditForm, Form()]
) -> HTMLResponse:
    """What each would pay as it is typed now; nothing is changed."""
    known = await series.get_series(tx, series_id=SeriesId(series_id))
    return await _editor(request, ask, tx, _over(form, known), known=known)


def _over(form: SeriesEditForm, known: Series) -> SeriesEditForm:
    """The form with what of a series never changes."""
    fixed = {name: getattr(known, name) for name in ("code", "product", "cadence", "tz")}
    return form.model_copy(update=fixed)
