"""Breaks from playing as calls: taken, looked at, and the way back."""

from datetime import datetime
from uuid import UUID

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.errors import ExclusionRuns, ExclusionShorter, NoSuchExclusion
from palio.identity.types import Exclusion
from palio.identity.web.reception import InHouse, me_of
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

routes = Routes("identity")

PATH = "/me/play-exclusions"
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
