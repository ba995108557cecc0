"""Forms of the pages of a competition: joining, leaving, doubting the result."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Request
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from palio.competitions.rules.appeals import TEXT_MAX
from palio.competitions.service import appeals, entering, reads
from palio.competitions.types import CompetitionId
from palio.competitions.web.competitions import Id
from palio.competitions.web.entering import JOINS, checks_of
from palio.competitions.web.own import user_of
from palio.competitions.web.showing import show, show_receipt
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.paging import first_part
from palio.ui.routes import Filled, Routes

SEE_OTHER = 303
routes = Routes("competitions")


class AppealForm(Body):
    """What is wrong, as it was typed: the use case says how long it may be."""

    text: Annotated[str, Field(max_length=2 * TEXT_MAX)]


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> HTMLResponse:
    ours = _asked_for(request)
    page = await first_part(request, ask, f"/competitions/{ours}")
    competition = await reads.public(tx, competition_id=ours)
    return await show(request, ask, tx, competition, page=page, filled=filled)


async def _receipt_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> HTMLResponse:
    ours = _asked_for(request)
    page = await first_part(request, ask, f"/competitions/{ours}/me/receipt")
    competition = await reads.public(tx, competition_id=ours)
    return await show_receipt(request, ask, tx, competition, page=page, filled=filled)


@routes.form("/competitions/{competition_id:uuid}/join", access="owner", again=_again, rate=[JOINS])
async def send_joining(competition_id: Id, request: Request, ask: Ask, tx: InTx) -> RedirectResponse:
    """Take part, and pay the fee."""
    ours = CompetitionId(competition_id)
    await entering.join(tx, competition_id=ours, user_id=user_of(ask), now=ask.now, checks=checks_of(request))
    return RedirectResponse(f"/competitions/{competition_id}", SEE_OTHER)


@routes.form("/competitions/{competition_id:uuid}/leave", access="owner", again=_again, rate=[JOINS])
async def send_leaving(competition_id: Id, ask: Ask, tx: InTx) -> RedirectResponse:
    """Go before the start, and have the fee back."""
    await entering.leave(tx, competition_id=CompetitionId(competition_id), user_id=user_of(ask), now=ask.now)
    return RedirectResponse(f"/competitions/{competition_id}", SEE_OTHER)


@routes.form("/competitions/{competition_id:uuid}/appeals", access="owner", again=_receipt_again)
async def send_appeal(competition_id: Id, form: Annotated[AppealForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Doubt the result."""
    await appeals.open_appeal(
        tx,
        appeal_id=new_id(),
        competition_id=CompetitionId(competition_id),
        user_id=user_of(ask),
        text=form.text,
        now=ask.now,
    )
    return RedirectResponse(f"/competitions/{competition_id}/me/receipt", SEE_OTHER)


def _asked_for(request: Request) -> CompetitionId:
    found: UUID = request.path_params["competition_id"]
    return CompetitionId(found)
