"""Pages of staff over a transfer: its legs, its cause, and taking it back."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ledger.console.calls.rights import HIDE, READ, REVERSE
from palio.ledger.console.forms import ReasonForm, ReverseForm, ReverseQuery
from palio.ledger.console.pages.places import HERE, TRANSFERS
from palio.ledger.console.pages.showing import Told, name_of, with_names
from palio.ledger.console.people import names_of
from palio.ledger.console.schemas.transfers import LegNumber
from palio.ledger.errors import InvalidPost
from palio.ledger.rules import desk as rules
from palio.ledger.service import desk, sealing
from palio.ledger.service.desk import Sheet
from palio.ledger.types import Asset as AssetOf
from palio.ledger.types import TransferId
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.problems import of as problem_of
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

routes = Routes("ledger")


@routes.page(TRANSFERS + "/{transfer_id:uuid}", access=READ)
async def transfer_page(request: Request, transfer_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A transfer: its legs, its cause, what took it back. Refuses with NoSuchTransfer."""
    return await _transfer(request, ask, tx, transfer_id)


async def _transfer(
    request: Request, ask: Asking, tx: Tx, transfer_id: UUID, filled: Filled | None = None
) -> HTMLResponse:
    found = await desk.sheet(tx, transfer_id=transfer_id)
    problem = filled.problem if filled else None
    actor_id = found.transfer.actor.partition(":")[2]
    people = [leg.owner_id for leg in found.legs] + [UUID(actor_id) if actor_id else None]
    names = await names_of(request, tx, people)
    values = {
        "sheet": found,
        "transfer": found.transfer,
        "actor": names.get(UUID(actor_id), actor_id) if actor_id else "",
        "names": names,
        "name_of": name_of,
        "asset_of": Asset,
        "seal": await sealing.seal_of(tx, transfer_id=TransferId(transfer_id)),
        "may_reverse": REVERSE in ask.permissions and found.is_reversible,
        "may_hide": HIDE in ask.permissions,
        "reader": ask.actor.user_id,
        "blamed": request.path_params.get("leg"),
        "typed": filled.values if filled else {},
    }
    return await console.render(request, ask, tx, "ledger/console/transfer.html", values, present=HERE, problem=problem)


async def _transfer_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The transfer with what was typed, and why it was not done."""
    return await _transfer(request, ask, tx, request.path_params["transfer_id"], filled)


@routes.form(TRANSFERS + "/{transfer_id:uuid}/legs/{leg:int}/hide", access=HIDE, again=_transfer_again)
async def hide_line_by_form(
    transfer_id: UUID, leg: LegNumber, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Leave a leg out of the list that its player has of his wallet."""
    await desk.hide_by_staff(
        tx, transfer_id=transfer_id, leg=leg, reason=form.reason, actor_id=ask.actor.user_id, now=ask.now
    )
    return RedirectResponse(f"{TRANSFERS}/{transfer_id}", 303)


@routes.form(TRANSFERS + "/{transfer_id:uuid}/legs/{leg:int}/unhide", access=HIDE, again=_transfer_again)
async def unhide_line_by_form(
    transfer_id: UUID, leg: LegNumber, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Put a leg into the list of its player again."""
    await desk.unhide_by_staff(tx, transfer_id=transfer_id, leg=leg, reason=form.reason, actor_id=ask.actor.user_id)
    return RedirectResponse(f"{TRANSFERS}/{transfer_id}", 303)


@routes.page(TRANSFERS + "/{transfer_id:uuid}/reverse", access=REVERSE)
async def reverse_page(
    request: Request, transfer_id: UUID, ask: Ask, tx: InTx, asked: Annotated[ReverseQuery, Query()]
) -> HTMLResponse:
    """What taking it back would do, and the form. Refuses with NoSuchTransfer."""
    typed = {"amount": asked.amount, "to_debt": asked.to_debt or ""}
    return await _reversal(request, ask, tx, transfer_id, typed)


async def _reversal(
    request: Request, ask: Asking, tx: Tx, transfer_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    found = await desk.sheet(tx, transfer_id=transfer_id)
    told: list[Told] = []
    obstacle: Problem | None = None
    try:
        async with db.attempt(tx):
            amount = _part(found, typed.get("amount", ""))
            changes = await desk.foresee_reversal(
                tx, transfer_id=transfer_id, amount=amount, to_debt=bool(typed.get("to_debt")), now=ask.now
            )
        told = await with_names(request, tx, changes)
    except Refusal as refusal:
        obstacle = problem_of(request, refusal)
    values = {
        "sheet": found,
        "transfer": found.transfer,
        "typed": typed,
        "told": told,
        "obstacle": obstacle,
        "asset_of": Asset,
    }
    return await console.render(request, ask, tx, "ledger/console/reverse.html", values, present=HERE, problem=problem)


def _part(found: Sheet, text: str) -> int | None:
    """How much is to be taken back, as it was typed; nothing is all of it. Refuses with InvalidPost."""
    if not text.strip():
        return None
    leg = found.legs[0]
    try:
        amount = rules.read_amount(text, AssetOf(0, leg.asset, "", leg.scale, lots=False))
    except ValueError:
        raise InvalidPost(field="amount") from None
    if amount < 0:
        raise InvalidPost(field="amount")
    return amount


async def _reversal_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and why it was not done."""
    return await _reversal(request, ask, tx, request.path_params["transfer_id"], filled.values, filled.problem)


@routes.form(
    TRANSFERS + "/{transfer_id:uuid}/reverse", access=REVERSE, step_up=True, asks_code=True, again=_reversal_again
)
async def reverse_by_form(
    transfer_id: UUID, ask: Ask, tx: InTx, form: Annotated[ReverseForm, Form()]
) -> RedirectResponse:
    """Take a transfer back."""
    found = await desk.sheet(tx, transfer_id=transfer_id)
    posted = await desk.reverse_by_staff(
        tx,
        transfer_id=TransferId(transfer_id),
        amount=_part(found, form.amount),
        reason=form.reason,
        to_debt=bool(form.to_debt),
        actor_id=ask.actor.user_id,
        now=ask.now,
    )
    return RedirectResponse(f"{TRANSFERS}/{posted.transfer_id}", 303)
