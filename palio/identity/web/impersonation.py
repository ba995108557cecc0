"""Leaving the pages of a player at whom staff look."""

from fastapi import Request
from starlette.responses import Response

from palio.identity.web.reception import InHouse, leave
from palio.identity.web.showing import go
from palio.ui.actor import Ask
from palio.ui.routes import Routes

routes = Routes("identity")


@routes.form("/account/impersonation/leave", access="owner", idempotency="none", for_viewers=True)
async def leave_player(request: Request, house: InHouse, ask: Ask) -> Response:
    """End the session in which staff look as a player, and go back to his account in the console.

    Nobody else has anything to leave here: he goes to his own account.
    """
    if ask.viewing is None:
        return go("/account")
    response = go(f"/console/identity/users/{ask.viewing.user_id}")
    await leave(request, response, house, ask)
    return response
