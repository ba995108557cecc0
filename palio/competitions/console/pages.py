"""Pages of staff over competitions: lists, the editor, and one competition from draft to payment."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import ledger
from palio.competitions.console.calls import (
    ADJUST,
    DISQUALIFY,
    EDIT,
    FUND,
    READ,
    REPEATS,
    SETTLE,
    AppealRef,
    Id,
)
from palio.competitions.console.forms import (
    AdjustForm,
    AppealForm,
    AsEditor,
    EditorForm,
    EntrantForm,
    ExtendForm,
    FundForm,
    ReasonForm,
    VersionForm,
    meter_of,
    typed,
    units_of,
)
from palio.competitions.rules import lifecycle
from palio.competitions.schemas.competitions import ends, part_of
from palio.competitions.service import appeals, proposing, showing, staff, steering
from palio.competitions.types import Competition, CompetitionId, EntrantId, Product, Shown, Status, Wanted
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ui import console
from palio.ui.access import Access
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, Blank, decimal

HERE = "/console/competitions"
OF_ONE = f"{HERE}/{{competition_id:uuid}}"
ROWS_MAX = 100
ACTS: Mapping[str, Access] = {
    "publish": EDIT,
    "start": EDIT,
    "pause": EDIT,
    "resume": EDIT,
    "extend": EDIT,
    "end": EDIT,
    "fund": FUND,
    "adjust": ADJUST,
    "disqualify": DISQUALIFY,
    "reinstate": DISQUALIFY,
    "freeze": SETTLE,
    "approve": SETTLE,
    "pay": SETTLE,
    "cancel": SETTLE,
}
routes = Routes("competitions")


@routes.page(HERE, access=READ)
async def staff_competitions_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    status: Annotated[Status | None, Blank] = None,
    product: Annotated[Product | None, Blank] = None,
) -> HTMLResponse:
    """Every competition, drafts too."""
    found = await showing.listed(tx, wanted=Wanted(status, product, has_drafts=True), part=part_of(page))
    older, newer = ends(found, page)
    values = {
        "lines": [(line, Asset(line.competition.prize_asset, line.asset_scale)) for line in found.lines],
        "status": status,
        "product": product,
        "query": urlencode({name: value for name, value in (("status", status), ("product", product)) if value}),
        "older": older,
        "newer": newer,
        "waiting": len(await appeals.list_appeals(tx, states=["open"])),
    }
    return await console.render(request, ask, tx, "competitions/console/competitions.html", values, present=HERE)


@routes.page(f"{HERE}/new", access=EDIT)
async def editor_page(request: Request, ask: Ask, tx: InTx, form: AsEditor) -> HTMLResponse:
    """A competition to be drafted: what it pays is worked out while it is typed."""
    return await _editor(request, ask, tx, form)


async def _editor(
    request: Request,
    ask: Asking,
    tx: Tx,
    form: EditorForm,
    problem: Problem | None = None,
    times: Mapping[str, str] | None = None,
) -> HTMLResponse:
    assets = {asset.code: Asset(asset.code, asset.scale) for asset in await ledger.assets(tx)}
    asset = assets.get(form.asset, Asset("USD", 2))
    begin = form.starts_at or (ask.now + timedelta(days=1)).replace(minute=0)
    meter = meter_of(form, asset)
    values = {
        "typed": form,
        "starts_at": typed(begin),
        "ends_at": typed(form.ends_at or begin + timedelta(days=7)),
        **(times or {}),
        "meter": meter,
        "asset": asset,
        "assets": sorted(assets),
        "problem": problem,
        "is_complete": bool(meter.is_whole and form.title.strip()),
    }
    status = problem.status if problem else 200
    name = "competitions/console/new.html"
    return await console.render(request, ask, tx, name, values, present=HERE, block="meter", status=status)


async def _editor_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The editor with what was typed, and what is wrong."""
    given = {name: value for name, value in filled.values.items() if name in EditorForm.model_fields}
    times: dict[str, str] = {name: given.pop(name) for name in ("starts_at", "ends_at") if name in given}
    form = EditorForm().model_copy(update=given)  # as texts, which is how the page shows them
    return await _editor(request, ask, tx, form, filled.problem, times)


@routes.form(f"{HERE}/new", access=EDIT, again=_editor_again)
async def draft_by_form(ask: Ask, tx: InTx, form: Annotated[EditorForm, Form()]) -> RedirectResponse:
    """Make the draft."""
    asset = await _asset(tx, form.asset)
    made = await steering.draft(tx, new=form.new(asset), actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{HERE}/{made}", 303)


@routes.form(f"{HERE}/new/meter", access=EDIT, again=_editor_again, idempotency="none", unaudited="it changes nothing")
async def work_out_prizes(request: Request, ask: Ask, tx: InTx, form: Annotated[EditorForm, Form()]) -> HTMLResponse:
    """What it would pay as it is typed now; nothing is made."""
    return await _editor(request, ask, tx, form)


@routes.page(OF_ONE, access=READ)
async def staff_competition_page(
    request: Request,
    competition_id: Id,
    ask: Ask,
    tx: InTx,
    waiting: Annotated[str | None, Query(max_length=40)] = None,
) -> HTMLResponse:
    """A competition as it lies before staff: terms, pool, board, doubts, and how far its settlement has come."""
    ours = CompetitionId(competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, limit=ROWS_MAX, is_staff=True)
    values = {
        "shown": shown,
        "competition": shown.competition,
        "asset": Asset(shown.competition.prize_asset, shown.asset_scale),
        "appeals": await appeals.list_appeals(tx, states=["open", "upheld", "rejected"], competition_id=ours),
        "scores": {row.standing.entrant_id: _score(row.standing.score, shown) for row in shown.board.rows},
        "pays_at": _pays_at(shown.competition),
        "waiting": waiting,
        "can_settle": SETTLE in ask.permissions,
        "acts": [act for act in _acts(shown.competition) if ACTS[act] in ask.permissions],
    }
    name = "competitions/console/competition.html"
    return await console.render(request, ask, tx, name, values, present=HERE, block="competition")


def _score(score: int, shown: Shown) -> str:
    return format(decimal(score, shown.competition.score_scale), "f")


def _pays_at(competition: Competition) -> object:
    """When it pays by itself, if nothing is odd; None outside the review."""
    if competition.phase != "review" or competition.frozen_at is None or competition.review_reasons:
        return None
    return competition.frozen_at + timedelta(hours=competition.review_h)


def _acts(competition: Competition) -> Sequence[str]:
    """What can be done in its state; a product that steers its own has pages for it."""
    if competition.product in lifecycle.STEERED:
        return ()
    if competition.status == "live":
        rest = ("resume",) if competition.paused_at else ("pause", "extend", "end")
        return (*rest, "fund", "adjust", "disqualify", "reinstate", "cancel")
    return {
        "draft": ("publish", "fund", "cancel"),
        "upcoming": ("start", "extend", "fund", "cancel"),
        "collecting": ("freeze", "adjust", "disqualify", "cancel"),
        "review": ("approve", "adjust", "disqualify", "reinstate", "cancel"),
        "paying": ("pay",),
    }.get(competition.phase or competition.status, ())


# one act, one page: what it would do, why, and the button


def _declare_act(act: str, access: Access) -> None:
    @routes.page(f"{OF_ONE}/{act}", access=access)
    async def act_page(request: Request, competition_id: Id, ask: Ask, tx: InTx) -> HTMLResponse:
        """What it would do, and the form for it."""
        return await _act(request, ask, tx, competition_id, act, {})


for _name, _access in ACTS.items():
    _declare_act(_name, _access)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    competition_id: UUID,
    act: str,
    given: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    ours = CompetitionId(competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, limit=ROWS_MAX, is_staff=True)
    values = {
        "shown": shown,
        "competition": shown.competition,
        "asset": Asset(shown.competition.prize_asset, shown.asset_scale),
        "act": act,
        "typed": given,
        "problem": problem,
        "ends_at": given.get("ends_at") or typed(shown.competition.ends_at),
    }
    status = problem.status if problem else 200
    name = "competitions/console/act.html"
    return await console.render(request, ask, tx, name, values, present=HERE, status=status)


async def _act_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    return await _act(request, ask, tx, request.path_params["competition_id"], act, filled.values, filled.problem)


def _done(competition_id: UUID, waiting: Approval | None = None) -> RedirectResponse:
    asked = f"?waiting={waiting.id}" if waiting else ""
    return RedirectResponse(f"{HERE}/{competition_id}{asked}", 303)


async def _seen(tx: Tx, competition_id: UUID, version: int) -> CompetitionId:
    ours = await _ours(tx, competition_id)
    await steering.require_seen(tx, competition_id=ours, version=version)
    return ours


async def _ours(tx: Tx, competition_id: UUID) -> CompetitionId:
    await steering.require_ours(tx, competition_id=CompetitionId(competition_id))
    return CompetitionId(competition_id)


async def _asset(tx: Tx, code: str) -> Asset:
    found = next((asset for asset in await ledger.assets(tx) if asset.code == code), None)
    if found is None:
        raise ledger.UnknownAsset(asset=code)
    return Asset(found.code, found.scale)


@routes.form(f"{OF_ONE}/publish", access=EDIT, again=_act_again)
async def publish_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]
) -> RedirectResponse:
    """Announce a draft."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.announce(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/start", access=EDIT, again=_act_again)
async def start_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it begin at once."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.start_now(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/pause", access=EDIT, again=_act_again)
async def pause_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it rest."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.pause(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/resume", access=EDIT, again=_act_again)
async def resume_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it go on."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.resume(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/extend", access=EDIT, again=_act_again)
async def extend_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ExtendForm, Form()]
) -> RedirectResponse:
    """Move the end."""
    ours = await _seen(tx, competition_id, form.version)
    await staff.extend(tx, competition_id=ours, ends_at=form.ends_at, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/end", access=EDIT, again=_act_again)
async def end_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]) -> RedirectResponse:
    """Let it end at once."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.end_now(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/fund", access=FUND, again=_act_again, idempotency="required", step_up=True)
async def fund_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[FundForm, Form()]) -> RedirectResponse:
    """Put money into the pool."""
    ours = await _ours(tx, competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, is_staff=True)
    amount = units_of(form.amount, Asset(shown.competition.prize_asset, shown.asset_scale))
    await staff.fund(
        tx,
        fund_id=new_id(),
        competition_id=ours,
        source=form.source,
        amount=amount,
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours)


@routes.form(f"{OF_ONE}/adjust", access=ADJUST, again=_act_again, idempotency="required")
async def adjust_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]
) -> RedirectResponse:
    """Add to a score."""
    ours = await _ours(tx, competition_id)
    await staff.adjust_score(
        tx,
        adjustment_id=new_id(),
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        delta=form.delta,
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours)


@routes.form(f"{OF_ONE}/disqualify", access=DISQUALIFY, again=_act_again, unaudited=REPEATS)
async def disqualify_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Take an entrant out, or propose it."""
    ours = await _ours(tx, competition_id)
    waiting = await proposing.disqualify_or_propose(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/reinstate", access=DISQUALIFY, again=_act_again, unaudited=REPEATS)
async def reinstate_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Let an entrant in again."""
    ours = await _ours(tx, competition_id)
    await staff.reinstate(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours)


@routes.form(f"{OF_ONE}/freeze", access=SETTLE, again=_act_again)
async def freeze_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Propose a forced freeze."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.force_freeze_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/approve", access=SETTLE, again=_act_again)
async def approve_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """End the review, or propose it."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.release_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/pay", access=SETTLE, again=_act_again)
async def pay_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]) -> RedirectResponse:
    """Pay the next prizes."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.pay(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/cancel", access=SETTLE, again=_act_again)
async def cancel_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Call it off, or propose it."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.cancel_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


@routes.form(f"{HERE}/appeals/{{appeal_id:uuid}}", access=SETTLE)
async def answer_by_form(
    appeal_id: AppealRef, ask: Ask, tx: InTx, form: Annotated[AppealForm, Form()]
) -> RedirectResponse:
    """Answer a doubt."""
    decided = await appeals.decide_appeal(
        tx, appeal_id=appeal_id, decision=form.decision, answer=form.answer, actor=ask.actor, now=ask.now
    )
    return _done(decided.competition_id)
