"""Invitations of staff: written to an address, and the accounts that wait for whoever opens the letter."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from palio.identity.errors import EmailInvalid, EmailNotAllowed, EmailTaken, RegistrationRefused
from palio.identity.schemas import EXAMPLE_ID, MOMENT
from palio.identity.service import invitations
from palio.identity.types import Invitation
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.limits import Limit
from palio.ui.routes import Filled, Routes
from palio.ui.values import Instant

INVITE = "identity.user.invite"
HERE = "/console/identity/invitations"
SENDING = (Limit("invitations", 60, 3_600),)
routes = Routes("identity")


class Invite(Body):
    """Whom a letter goes to, and why."""

    email: Annotated[str, Field(max_length=300)]
    reason: Annotated[str, Field(max_length=500)]


@dataclass(frozen=True, slots=True)
class InvitationAnswer:
    """An account that waits for whoever was invited; its address is sealed, its name he may change when he comes."""

    user_id: UUID
    username: str
    invited_at: Instant

    @classmethod
    def of(cls, one: Invitation) -> "InvitationAnswer":
        return cls(one.user_id, one.username, one.invited_at)


@dataclass(frozen=True, slots=True)
class InvitationsAnswer:
    """Invitations that were not taken up yet, the newest first; at most 200."""

    items: list[InvitationAnswer]


AN_INVITATION = InvitationAnswer(EXAMPLE_ID, "player-7k2m9x4q", MOMENT)


@routes.get(HERE, access=INVITE, scope=NO_TOKEN, example=InvitationsAnswer([AN_INVITATION]))
async def list_invitations(tx: InTx) -> InvitationsAnswer:
    """List the invitations that were not taken up yet."""
    return InvitationsAnswer(list(map(InvitationAnswer.of, await invitations.waiting(tx))))


@routes.post(
    HERE,
    access=INVITE,
    scope=NO_TOKEN,
    example=AN_INVITATION,
    refuses=[EmailInvalid, EmailNotAllowed, EmailTaken, RegistrationRefused, ReasonMissing],
    rate=SENDING,
    status=201,
)
async def invite_somebody(said: Invite, ask: Ask, tx: InTx) -> InvitationAnswer:
    """Invite somebody: the link of the letter makes an account within a week, whoever else may make one."""
    made = await invitations.invite(tx, email=said.email, reason=said.reason, held=ask.permissions, now=ask.now)
    return InvitationAnswer.of(made)


@routes.page(HERE, access=INVITE)
async def invitations_page(
    request: Request, ask: Ask, tx: InTx, told: Annotated[str, Query(max_length=20)] = ""
) -> HTMLResponse:
    """The invitations that wait, and a form for one more."""
    return await _invitations(request, ask, tx, told=told)


async def _invitations(
    request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, told: str = ""
) -> HTMLResponse:
    values = {"found": await invitations.waiting(tx), "told": told, "typed": filled.values if filled else {}}
    problem = filled.problem if filled else None
    return await console.render(
        request, ask, tx, "identity/console/invitations.html", values, present=HERE, problem=problem
    )


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _invitations(request, ask, tx, filled)


@routes.form(HERE, access=INVITE, again=_again, rate=SENDING)
async def invite_by_form(form: Annotated[Invite, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Invite somebody, from the page."""
    await invitations.invite(tx, email=form.email, reason=form.reason, held=ask.permissions, now=ask.now)
    return RedirectResponse(f"{HERE}?told=invited", 303)
