"""The desk where staff correct wallets, and corrections that wait or were decided."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ledger.console.calls.adjustments import adjustments_part, decide
from palio.ledger.console.calls.rights import ADJUST as MAY_ADJUST
from palio.ledger.console.calls.rights import DECIDE, READ, maker_of
from palio.ledger.console.forms import AdjustForm, DecideForm, NothingForm, digest_of, lines_of
from palio.ledger.console.pages.places import ADJUST, ADJUSTMENTS
from palio.ledger.console.pages.showing import query_of, with_names
from palio.ledger.console.people import names_of
from palio.ledger.console.schemas.adjustments import AdjustedAs, total_of
from palio.ledger.console.schemas.asked import OfOwner
from palio.ledger.errors import EffectUnseen
from palio.ledger.service import adjusting, reading
from palio.ledger.types import Adjustment, AdjustmentId, AdjustmentLine
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.problems import of as problem_of
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

Whom = Annotated[str, Query(max_length=200)]
routes = Routes("ledger")


@routes.page(ADJUST, access=MAY_ADJUST)
async def adjust_page(request: Request, ask: Ask, tx: InTx, player: Whom = "", asset: Whom = "") -> HTMLResponse:
    """The desk: lines, why, and what they would do."""
    return await _desk(request, ask, tx, {"player": player, "asset": asset})


async def _desk(
    request: Request, ask: Asking, tx: Tx, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    foreseen, told, seen = None, [], ""
    if typed.get("amount") or typed.get("more"):
        try:
            form = AdjustForm(**{name: typed[name] for name in AdjustForm.model_fields if name in typed})
            async with db.attempt(tx):
                lines = await lines_of(request, tx, form)
                foreseen = await adjusting.foresee_adjustment(
                    tx, lines=lines, maker=maker_of(ask), to_debt=bool(form.to_debt), now=ask.now
                )
            told, seen = await with_names(request, tx, foreseen.changes), digest_of(lines, to_debt=bool(form.to_debt))
        except ValueError:  # a field is too long: the problem of the form says so
            pass
        except Refusal as refusal:
            problem = problem or problem_of(request, refusal)
    values = {
        "typed": typed,
        "foreseen": foreseen,
        "told": told,
        "seen": seen,
        "assets": [(each.code, each.code) for each in await reading.assets(tx)],
    }
    return await console.render(
        request, ask, tx, "ledger/console/adjust.html", values, present=ADJUSTMENTS, problem=problem
    )


async def _desk_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The desk with what was typed, what it would do now, and what is wrong."""
    return await _desk(request, ask, tx, filled.values, filled.problem)


@routes.form(
    ADJUST + "/effect", access=MAY_ADJUST, again=_desk_again, idempotency="none", unaudited="it changes nothing"
)
async def foresee_by_form(request: Request, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]) -> HTMLResponse:
    """What the lines would do now; nothing is written."""
    return await _desk(request, ask, tx, form.model_dump())


@routes.form(ADJUST, access=MAY_ADJUST, step_up=True, asks_code=True, again=_desk_again)
async def adjust_by_form(request: Request, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]) -> RedirectResponse:
    """Correct wallets whose effect was seen: at once, or when somebody else has agreed."""
    lines: list[AdjustmentLine] = await lines_of(request, tx, form)
    if form.seen != digest_of(lines, to_debt=bool(form.to_debt)):
        raise EffectUnseen
    made = await adjusting.adjust(
        tx,
        lines=lines,
        reason=form.reason,
        ticket=form.ticket,
        to_debt=bool(form.to_debt),
        maker=maker_of(ask),
        now=ask.now,
    )
    return RedirectResponse(f"{ADJUSTMENTS}/{made.id}", 303)


@routes.page(ADJUSTMENTS, access=READ)
async def adjustments_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, status: AdjustedAs = None, owner: OfOwner = None
) -> HTMLResponse:
    """Corrections, the newest first."""
    part = await adjustments_part(tx, page, [status] if status else [], None, owner)
    values = {
        "adjustments": [(one, total_of(one)) for one in part.rows],
        "names": await names_of(request, tx, [user for one in part.rows for user in (one.maker, one.checker)]),
        "status": status,
        "statuses": adjusting.STATUSES,
        "query": query_of(status=status, owner=owner),
        "owner": owner,
        "part": part,
        "is_later": page.position is not None,
        "may_adjust": MAY_ADJUST in ask.permissions,
    }
    return await console.render(request, ask, tx, "ledger/console/adjustments.html", values, present=ADJUSTMENTS)


@routes.page(ADJUSTMENTS + "/{adjustment_id:uuid}", access=READ)
async def adjustment_page(request: Request, adjustment_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A correction: its lines, what it did or would do, and the decision. Refuses with NoSuchAdjustment."""
    return await _adjustment(request, ask, tx, adjustment_id, {})


async def _adjustment(
    request: Request, ask: Asking, tx: Tx, adjustment_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    number = AdjustmentId(adjustment_id)
    found = await adjusting.get_adjustment(tx, adjustment_id=number)
    is_open = found.status == "pending" and not (found.expires_at and ask.now >= found.expires_at)
    foreseen = await adjusting.foresee_decision(tx, adjustment_id=number, now=ask.now) if is_open else None
    people = [found.maker, found.checker, *(line.owner_id for line in found.lines)]
    values = {
        "adjustment": found,
        "names": await names_of(request, tx, people),
        "asset_of": Asset,
        "total": total_of(found),
        "foreseen": foreseen,
        "told": await with_names(request, tx, foreseen.changes) if foreseen else [],
        "is_open": is_open,
        "why_not": _why_not(found, ask),
        "typed": typed,
    }
    return await console.render(
        request, ask, tx, "ledger/console/adjustment.html", values, present=ADJUSTMENTS, problem=problem
    )


def _why_not(found: Adjustment, ask: Asking) -> str:
    """Why the reader may not decide about it; empty if he may."""
    if ask.actor.user_id == found.maker:
        return "own"
    if any(line.owner_id == ask.actor.user_id for line in found.lines):
        return "subject"
    return "" if DECIDE in ask.permissions else "permission"


async def _adjustment_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The correction with what was typed, and why it was not decided."""
    return await _adjustment(request, ask, tx, request.path_params["adjustment_id"], filled.values, filled.problem)


@routes.form(
    ADJUSTMENTS + "/{adjustment_id:uuid}/decide", access=DECIDE, step_up=True, asks_code=True, again=_adjustment_again
)
async def decide_by_form(
    request: Request, adjustment_id: UUID, ask: Ask, tx: InTx, form: Annotated[DecideForm, Form()]
) -> RedirectResponse:
    """Approve or reject what somebody else wants to correct."""
    await decide(request, ask, tx, adjustment_id, form.decision, form.reason)
    return RedirectResponse(f"{ADJUSTMENTS}/{adjustment_id}", 303)


@routes.form(ADJUSTMENTS + "/{adjustment_id:uuid}/cancel", access=MAY_ADJUST, again=_adjustment_again)
async def cancel_by_form(
    adjustment_id: UUID, ask: Ask, tx: InTx, form: Annotated[NothingForm, Form()]
) -> RedirectResponse:
    """Take back one's own correction that waits."""
    await adjusting.cancel_adjustment(tx, adjustment_id=AdjustmentId(adjustment_id), maker=maker_of(ask), now=ask.now)
    return RedirectResponse(f"{ADJUSTMENTS}/{adjustment_id}", 303)
