"""Tickets for streams: asked for by whoever is signed in, shown where no cookie can be."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import Request
from pydantic import BaseModel, Field

from palio.infra import tickets
from palio.infra.db import Database
from palio.infra.tickets import Holder, TicketInvalid
from palio.kernel import clock
from palio.ui.access import NO_SCOPE
from palio.ui.actor import Ask, Asking
from palio.ui.limits import Limit
from palio.ui.streams import hearing
from palio.ui.streams.hearing import OriginRejected, Visitor
from palio.ui.streams.offers import STAFF, routes

TICKETS = (Limit("stream-tickets", 60, 60),)
UNAUDITED = "it opens a stream, and changes nothing"


class Ticket(BaseModel):
    """What opens one stream: shown as `ticket` in the address, or in the first frame of a socket."""

    ticket: str = Field(repr=False)
    expires_in_s: int


EXAMPLE = Ticket(ticket="J2Y0Zr1x3m8sVbC5nQpLk7TgHwDfAeUi9oXyMtRz6aE", expires_in_s=tickets.SECONDS)


@routes.post(
    "/stream/tickets",
    access="player",
    example=EXAMPLE,
    scope=NO_SCOPE,
    rate=TICKETS,
    idempotency="none",
    for_viewers=True,
    status=201,
)
async def create_ticket(request: Request, ask: Ask) -> Ticket:
    """Get a ticket for one stream. It counts for 30 seconds, once, at the page that asked for it."""
    return await _issue(request, ask)


@routes.post(
    "/console/stream/tickets",
    access=STAFF,
    example=EXAMPLE,
    scope=NO_SCOPE,
    rate=TICKETS,
    idempotency="none",
    unaudited=UNAUDITED,
    status=201,
)
async def create_console_ticket(request: Request, ask: Ask) -> Ticket:
    """Get a ticket for one stream of the console. It counts for 30 seconds, once, at the page that asked for it."""
    return await _issue(request, ask)


async def _issue(request: Request, ask: Asking) -> Ticket:
    assert ask.actor.user_id  # noqa: S101 - the declared access lets nobody else in
    holder = Holder(ask.actor.user_id, ask.session_id, ask.token_id)
    database: Database = request.app.state.database
    async with database.begin_system("a ticket for whoever asks") as tx:
        ticket = await tickets.issue(tx, holder=holder, origin=_origin_of(request), now=clock.real())
    return Ticket(ticket=ticket, expires_in_s=tickets.SECONDS)


async def visitor_of(request: Request, ask: Asking, ticket: str | None) -> Visitor:
    """Whoever opens a stream: by a ticket if there is one, else as the request says.

    Refuses with TicketInvalid, and with OriginRejected a ticket that was got at another page.
    """
    if ticket is None:
        return hearing.visitor(request, ask)
    database: Database = request.app.state.database
    async with database.begin_system("who shows a ticket") as tx:
        redeemed = await tickets.redeem(tx, ticket=ticket, now=clock.real())
    if redeemed is None:
        raise TicketInvalid
    if redeemed.origin != _origin_of(request):
        raise OriginRejected(origin=_origin_of(request))
    again: Callable[[], Awaitable[Asking]] = partial(hearing.of(request).recall, request, redeemed.holder)
    return hearing.visitor(request, await again(), again)


def _origin_of(request: Request) -> str:
    return request.headers.get("origin", "")
