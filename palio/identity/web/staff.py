"""Sessions of others over HTTP: staff see who is signed in where, and sign somebody out with a reason."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import Field

from palio.identity import schemas as say
from palio.identity.errors import NoSuchSession, NoSuchUser
from palio.identity.service import accounts, sessions
from palio.identity.types import SessionId
from palio.identity.web.calls import A_SESSION
from palio.infra.approvals import ReasonMissing
from palio.kernel.ids import UserId
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.routes import Routes

routes = Routes("identity")

READ, END = "identity.user.read", "identity.session.end"
PATH = "/console/identity/users/{user_id:uuid}/sessions"

OTHERS = replace(A_SESSION, ip=None, is_current=False)


class EndSessions(Body):
    """Which session ends (all of them without one), and why."""

    session_id: UUID | None = None
    reason: Annotated[str, Field(max_length=500)]


def current_of(ask: Asking) -> SessionId | None:
    """The session in which somebody asks."""
    return SessionId(ask.session_id) if ask.session_id else None


@routes.get(PATH, access=READ, example=say.Sessions([OTHERS]), refuses=[NoSuchUser])
async def list_user_sessions(user_id: UUID, ask: Ask, tx: InTx) -> say.Sessions:
    """List somebody's open sessions; addresses stay sealed."""
    user = await accounts.get(tx, name_or_id=user_id)
    found = await sessions.sessions_of(tx, user_id=user.id, current=current_of(ask), now=ask.now, is_revealed=False)
    return say.Sessions([say.SessionAnswer.of(one) for one in found])


@routes.post(f"{PATH}/end", access=END, example=say.Ended(1), refuses=[NoSuchUser, NoSuchSession, ReasonMissing])
async def end_user_sessions(user_id: UUID, said: EndSessions, ask: Ask, tx: InTx) -> say.Ended:
    """Sign somebody out, of one session or of all; it is refused from the next request on."""
    session_id = SessionId(said.session_id) if said.session_id else None
    return say.Ended(
        await sessions.end_for_staff(tx, user_id=UserId(user_id), session_id=session_id, why=said.reason, now=ask.now)
    )
