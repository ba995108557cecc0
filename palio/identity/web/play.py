"""Breaks from playing as a page and as calls: taken, looked at, and the way back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from starlette.responses import Response

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.errors import ExclusionRuns, ExclusionShorter, NoSuchExclusion
from palio.identity.types import Exclusion, ExclusionLength
from palio.identity.web.reception import InHouse, me_of
from palio.identity.web.showing import go, is_proven, show
from palio.infra.db import Tx
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.routes import Filled, Routes

routes = Routes("identity")

PATH, PAGE = "/me/play-exclusions", "/account/limits"
Told = Annotated[str, Query(max_length=20)]


class BreakForm(Body):
    """How long one does not play."""

    length: ExclusionLength


class ReturnForm(Body):
    """After which break one wants to play again."""

    exclusion_id: UUID


A_BREAK = say.ExclusionAnswer(
    say.EXAMPLE_ID,
    "time_out",
    ["stake", "pay_in", "bonus", "marketing"],
    say.MOMENT,
    say.MOMENT,
    set_by="player",
    is_on=True,
    return_requested_at=None,
)


@routes.get(PATH, access="owner", scope=NO_TOKEN, example=say.ExclusionsAnswer([A_BREAK]))
async def list_play_exclusions(ask: Ask, tx: InTx) -> say.ExclusionsAnswer:
    """List one's breaks from playing, the newest first."""
    found = await service.play.exclusions_of(tx, user_id=me_of(ask))
    return say.ExclusionsAnswer([_told(one, ask.now) for one in found])


@routes.post(
    PATH,
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=A_BREAK,
    refuses=[ExclusionShorter],
    for_restricted=True,
    idempotency="none",
    status=201,
)
async def take_break(said: say.TakeBreak, ask: Ask, house: InHouse) -> say.ExclusionAnswer:
    """Stop playing at once, for hours to years or for ever; a break can be made longer and never shorter."""
    return _told(await doors.take_break(house, user_id=me_of(ask), length=said.length, now=ask.now), ask.now)


@routes.post(
    PATH + "/{exclusion_id:uuid}/return",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=A_BREAK,
    refuses=[NoSuchExclusion, ExclusionRuns],
    for_restricted=True,
    idempotency="none",
)
async def ask_to_return(exclusion_id: UUID, ask: Ask, house: InHouse) -> say.ExclusionAnswer:
    """Ask to play again after a self-exclusion that is over; a day later one may."""
    found = await doors.ask_to_return(house, user_id=me_of(ask), exclusion_id=exclusion_id, now=ask.now)
    return _told(found, ask.now)


def _told(one: Exclusion, now: datetime) -> say.ExclusionAnswer:
    return say.ExclusionAnswer(
        *(one.id, one.kind, list(one.activities), one.starts_at, one.ends_at),
        set_by="house" if one.created_by else "player",
        is_on=rules.play.is_on(one, now),
        return_requested_at=one.return_requested_at,
    )


# the page


@routes.page(PAGE, access="owner")
async def limits(request: Request, ask: Ask, tx: InTx, told: Told = "") -> Response:
    """One's breaks from playing, and how to take one."""
    return await _limits(request, ask, tx, told=told)


async def _limits(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, told: str = "") -> Response:
    found = await service.play.exclusions_of(tx, user_id=me_of(ask))
    values = {
        "present": "limits",
        "breaks": [(one, rules.play.is_on(one, ask.now), rules.play.may_ask_to_return(one, ask.now)) for one in found],
        "is_proven": is_proven(ask),
        "factors": await service.factors.factors_of(tx, user_id=me_of(ask)),
        "day_long": rules.play.RETURN_WAIT,
        "told": told,
        "now": ask.now,
    }
    return show(request, "limits", values, filled)


@routes.form(PAGE, access="owner", again=_limits, step_up=True, for_restricted=True, idempotency="none")
async def take_break_by_form(form: Annotated[BreakForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Stop playing at once."""
    await doors.take_break(house, user_id=me_of(ask), length=form.length, now=ask.now)
    return go(f"{PAGE}?told=set")


@routes.form(f"{PAGE}/return", access="owner", again=_limits, step_up=True, for_restricted=True, idempotency="none")
async def return_by_form(form: Annotated[ReturnForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Ask to play again after a self-exclusion that is over."""
    await doors.ask_to_return(house, user_id=me_of(ask), exclusion_id=form.exclusion_id, now=ask.now)
    return go(f"{PAGE}?told=asked")
