"""What a handler is given: who asks, when and with which rights, and the transaction of the request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Request

from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, UserId
from palio.ui.edge import request_id_of

ASKING, TX = "palio.asking", "palio.tx"  # what a request carries in its scope once it is known


@dataclass(frozen=True, slots=True)
class Viewing:
    """That staff look as a player: whom they look as, why, and until when."""

    user_id: UserId
    name: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Asking:
    """The context of one request.

    `permissions` are those of staff, `scopes` those of a token (None is a session, or nobody). `mfa_at` is when a
    second factor was shown in this session, `step_up_at` when it was last shown for a dangerous act. `is_service` is a
    program, which acts as a player does but may hold permissions. `restricted` is what somebody is refused with who may
    read what is his and do little else: his account is suspended. `viewing` says that staff look as a player.
    """

    actor: Actor
    now: datetime
    permissions: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    session_id: UUID | None = None
    token_id: UUID | None = None
    mfa_at: datetime | None = None
    step_up_at: datetime | None = None
    is_service: bool = False
    restricted: type[Refusal] | None = None
    viewing: Viewing | None = None


Identify: TypeAlias = Callable[[Request], Awaitable[Asking]]  # refuses with Unauthenticated what is no longer good


async def nobody(request: Request) -> Asking:
    """The context of a request when nobody can sign in: the actor sees what everybody sees."""
    return Asking(Actor("none", None, request_id_of(request.scope)), clock.now())


async def asking(request: Request) -> Asking:
    """Find out once who asks; route, handler and transaction share it."""
    known: Asking | None = request.scope.get(ASKING)
    if known is None:
        identify: Identify = request.app.state.identify
        known = request.scope[ASKING] = await identify(request)
    return known


Ask = Annotated[Asking, Depends(asking)]


async def open_tx(request: Request, ask: Ask) -> AsyncIterator[Tx]:
    """One transaction for one request, on behalf of the actor; a call with a key has begun it already."""
    if begun := request.scope.get(TX):
        yield begun
        return
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        request.scope[TX] = tx
        yield tx


InTx = Annotated[Tx, Depends(open_tx, scope="function")]  # without the scope it would commit after the answer is sent
