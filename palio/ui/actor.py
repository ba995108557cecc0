"""What a handler is given: who asks, when and in which language, and the transaction of the request."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import Actor
from palio.ui.edge import request_id_of


@dataclass(frozen=True, slots=True)
class Asking:
    """The context of one request. Nobody is signed in: the actor sees what everybody sees."""

    actor: Actor
    now: datetime


async def asking(request: Request) -> Asking:
    """Read the context once; every handler and the transaction share it."""
    return Asking(Actor("none", None, request_id_of(request.scope)), clock.now())


Ask = Annotated[Asking, Depends(asking)]


async def open_tx(request: Request, ask: Ask) -> AsyncIterator[Tx]:
    """One transaction for one request, on behalf of the actor."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        yield tx


InTx = Annotated[Tx, Depends(open_tx, scope="function")]  # without the scope it would commit after the answer is sent
