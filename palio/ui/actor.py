"""What a handler is given: who asks, when and with which rights, and the transaction of the request."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, replace
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
    read what is his and do little else: his account is suspended. `viewing` says that staff look as a player. `lent` is
    what staff may do of one thing alone, as pairs of the thing and the permission, and `lent_here` what of it counts
    for this request.
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
    lent: frozenset[tuple[str, ...]] = frozenset()
    lent_here: frozenset[str] = frozenset()

    @property
    def everywhere(self) -> frozenset[str]:
        """What staff may do whatever it is about."""
        return self.permissions - self.lent_here

    def before(self, module: str, objects: Collection[str]) -> "Asking":
        """The same before things of a module that an address names (`competition:<id>`): what he may do of one of them
        alone, he may do here.
        """
        here = {name for thing, name in self.lent if thing in objects and name.startswith(f"{module}.")}
        lent_here = frozenset(here - self.everywhere)
        return replace(self, permissions=self.everywhere | lent_here, lent_here=lent_here)


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
