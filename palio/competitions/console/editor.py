"""The editor of competitions: what a draft pays is worked out while it is typed, and what is announced is changed with
care.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import ledger
from palio.competitions.console.calls import EDIT, REPEATS, Id, checks_of
from palio.competitions.console.forms import (
    SHOWN_MAX,
    AsEditor,
    EditForm,
    EditorForm,
    TermsForm,
    edited,
    forecast_of,
    items_text,
    meter_of,
    text_of,
    typed,
    wrong_in,
)
from palio.competitions.rules import editing, entering, prizes
from palio.competitions.service import desk, reads, steering
from palio.competitions.types import TREASURY_BPS, Competition, CompetitionId, Liability
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, decimal

HERE = "/console/competitions"
OF_ONE = f"{HERE}/{{competition_id:uuid}}"
Asked = TypeVar("Asked", bound=TermsForm)
NAME = "competitions/console/editor.html"
routes = Routes("competitions")


@routes.page(f"{HERE}/new", access=EDIT)
async def editor_page(request: Request, ask: Ask, tx: InTx, form: AsEditor) -> HTMLResponse:
    """A competition to be drafted."""
    return await _editor(request, ask, tx, form)


async def _editor(
    request: Request,
    ask: Asking,
    tx: Tx,
    form: EditorForm,
    *,
    problem: Problem | None = None,
    given: Mapping[str, str] | None = None,
    competition: Competition | None = None,
) -> HTMLResponse:
    """The editor over what was typed; `given` are fields as texts, where they could not be read."""
    assets = await assets_of(tx)
    asset = assets.get(form.asset, Asset("USD", 2))
    begin = form.starts_at or (ask.now + timedelta(days=1)).replace(minute=0)
    meter = meter_of(form, asset)
    values = {
        "typed": form.model_copy(update=dict(given or {})),
        "starts_at": (given or {}).get("starts_at") or typed(begin),
        "ends_at": (given or {}).get("ends_at") or typed(form.ends_at or begin + timedelta(days=7)),
        "meter": meter,
        "shown_max": SHOWN_MAX,
        "asset": asset,
        "assets": [(code, code) for code in sorted(assets)],
        "wrong": wrong_in(problem, given or {}),
        "competition": competition,
        "address": f"{HERE}/{competition.id}/edit" if competition else f"{HERE}/new",
        "open": _open(competition),
        "differences": _differences(form, asset, competition) if competition else {},
        "is_complete": bool(meter.is_whole and form.title.strip()),
        "forecast": forecast_of(form, asset, await settings.exact(tx, TREASURY_BPS)),
        "liability": liability_in(await desk.liabilities(tx, now=ask.now), asset),
    }
    return await console.render(request, ask, tx, NAME, values, present=HERE, block="meter", problem=problem)


def _open(competition: Competition | None) -> str:
    """What can be changed: everything, all but what is promised, or texts and a later end."""
    if competition is None or competition.status == "draft":
        return "all"
    return "terms" if competition.status == "upcoming" else "texts"


def _differences(form: EditorForm, asset: Asset, competition: Competition) -> Mapping[str, tuple[str, str]]:
    """What would be otherwise, as far as it can be read."""
    if not isinstance(form, EditForm):
        return {}
    try:
        changes = form.changes(asset, prizes.read(competition.prize_rule))
        wanted = editing.changed(competition, changes, is_entered=False)
    except Refusal:
        return {}
    return {
        name: (_told(name, before, asset), _told(name, after, asset))
        for name, (before, after) in editing.differences(competition, wanted).items()
    }


def _told(name: str, value: object, asset: Asset) -> str:
    """One side of a change as the editor writes it."""
    if name == "prize_rule":
        rule = prizes.read(value)
        return "\n".join(filter(None, [text_of(rule, asset), items_text(rule)]))
    if name in ("guaranteed_pool", "entry_fee"):
        return format(decimal(int(str(value)), asset.scale), "f")
    if name == "treasury_bps":
        return f"{decimal(int(str(value)), 2).normalize():f} %"
    if isinstance(value, datetime):
        return f"{typed(value)} UTC"
    return json.dumps(value) if isinstance(value, dict | bool) else "" if value is None else str(value)


def liability_in(found: Sequence[Liability], asset: Asset) -> Liability | None:
    """What is owed in an asset."""
    return next((each for each in found if each.asset == asset.code), None)


async def assets_of(tx: Tx) -> dict[str, Asset]:
    """What prizes can be counted in."""
    return {each.code: Asset(each.code, each.scale) for each in await ledger.assets(tx)}


async def asset_in(tx: Tx, code: str) -> Asset:
    """One of them. Refuses with UnknownAsset."""
    found = (await assets_of(tx)).get(code)
    if found is None:
        raise ledger.UnknownAsset(asset=code)
    return found


def again_of(form: type[Asked], values: Mapping[str, str]) -> tuple[Asked, dict[str, str]]:
    """A form with what was typed as far as it can be read, and all of it as texts."""
    given = {name: value for name, value in values.items() if name in form.model_fields}
    try:
        return form(**given), given
    except ValueError:  # a field is none: the problem says which
        return form(), given


async def _editor_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The editor with what was typed, and what is wrong."""
    form, given = again_of(EditorForm, filled.values)
    return await _editor(request, ask, tx, form, problem=filled.problem, given=given)


@routes.form(f"{HERE}/new", access=EDIT, again=_editor_again)
async def draft_by_form(request: Request, ask: Ask, tx: InTx, form: Annotated[EditorForm, Form()]) -> RedirectResponse:
    """Make the draft."""
    new = form.new(await asset_in(tx, form.asset))
    entering.check_known(new.eligibility, checks_of(request))
    made = await steering.draft(tx, new=new, actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{HERE}/{made}", 303)


@routes.form(f"{HERE}/new/meter", access=EDIT, again=_editor_again, idempotency="none", unaudited="it changes nothing")
async def work_out_prizes(request: Request, ask: Ask, tx: InTx, form: Annotated[EditorForm, Form()]) -> HTMLResponse:
    """What it would pay as it is typed now; nothing is made."""
    return await _editor(request, ask, tx, form)


# what is there


@routes.page(f"{OF_ONE}/edit", access=EDIT)
async def edit_page(request: Request, competition_id: Id, ask: Ask, tx: InTx) -> HTMLResponse:
    """What can still be changed of a competition."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    form = edited(competition, await asset_in(tx, competition.prize_asset))
    return await _editor(request, ask, tx, form, competition=competition)


async def _edit_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    competition = await reads.get(tx, competition_id=CompetitionId(UUID(str(request.path_params["competition_id"]))))
    kept = edited(competition, await asset_in(tx, competition.prize_asset))
    _, given = again_of(EditForm, filled.values)
    form = _over(kept, given)
    return await _editor(
        request,
        ask,
        tx,
        form,
        problem=filled.problem,
        given={**given, "version": str(competition.version)},
        competition=competition,
    )


def _over(kept: EditForm, given: Mapping[str, str]) -> EditForm:
    """What is there with what was typed over it, if that can be read."""
    read, _ = again_of(EditForm, given)
    return kept.model_copy(update={name: getattr(read, name) for name in read.model_fields_set})


@routes.form(f"{OF_ONE}/edit", access=EDIT, again=_edit_again, unaudited=REPEATS)
async def edit_by_form(
    request: Request, competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EditForm, Form()]
) -> RedirectResponse:
    """Change what is open."""
    ours = CompetitionId(competition_id)
    await steering.require_ours(tx, competition_id=ours)
    await steering.require_seen(tx, competition_id=ours, version=form.version)
    competition = await reads.get(tx, competition_id=ours)
    changes = await _changes(tx, form, competition)
    if isinstance(eligibility := changes.get("eligibility"), Mapping):
        entering.check_known(eligibility, checks_of(request))
    await steering.update(tx, competition_id=ours, changes=changes, actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{HERE}/{ours}", 303)


@routes.form(f"{OF_ONE}/edit/meter", access=EDIT, again=_edit_again, idempotency="none", unaudited="it changes nothing")
async def work_out_changes(
    request: Request, competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EditForm, Form()]
) -> HTMLResponse:
    """What would be otherwise as it is typed now; nothing is changed."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    kept = edited(competition, await asset_in(tx, competition.prize_asset))
    shown = kept.model_copy(update={name: getattr(form, name) for name in form.model_fields_set})
    return await _editor(request, ask, tx, shown, competition=competition)


async def _changes(tx: Tx, form: EditForm, competition: Competition) -> dict[str, object]:
    """What is asked for. The window that was not sent is the one that there is."""
    asset = await asset_in(tx, form.asset if "asset" in form.model_fields_set else competition.prize_asset)
    whole = form.model_copy(
        update={name: getattr(competition, name) for name in ("starts_at", "ends_at") if getattr(form, name) is None}
    )
    return whole.changes(asset, prizes.read(competition.prize_rule))
