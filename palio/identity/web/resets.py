"""Second factors that staff are about to remove, because somebody said that he has lost them: shown, and taken back."""

from dataclasses import dataclass

from starlette.responses import Response

from palio.identity import doors
from palio.identity import schemas as say
from palio.identity.errors import NoReset
from palio.identity.service import resets
from palio.identity.web.reception import InHouse, me_of
from palio.identity.web.showing import go
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Instant

routes = Routes("identity")


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """When one's second factors are removed; null if nothing is planned."""

    due_at: Instant | None


@routes.get("/me/mfa/reset", access="owner", scope=NO_TOKEN, example=ResetAnswer(say.MOMENT))
async def get_factor_reset(ask: Ask, tx: InTx) -> ResetAnswer:
    """Read whether staff are about to remove one's second factors, and when."""
    found = await resets.reset_of(tx, user_id=me_of(ask))
    return ResetAnswer(found.due_at if found else None)


@routes.post(
    "/me/mfa/reset/cancel",
    access="owner",
    scope=NO_TOKEN,
    example=ResetAnswer(None),
    refuses=[NoReset],
    idempotency="none",
    for_restricted=True,
)
async def cancel_factor_reset(house: InHouse, ask: Ask) -> ResetAnswer:
    """Keep one's second factors: they were not lost. Signing in by one of them does the same."""
    await doors.cancel_reset(house, user_id=me_of(ask), now=ask.now)
    return ResetAnswer(None)


@routes.form("/account/security/keep-factors", access="owner", idempotency="none", for_restricted=True)
async def keep_factors(house: InHouse, ask: Ask) -> Response:
    """The same from the page."""
    await doors.cancel_reset(house, user_id=me_of(ask), now=ask.now)
    return go("/account/security")
