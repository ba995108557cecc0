"""Programs that post by the API: a service user with its role and token, and the bank that it talks to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from palio import identity
from palio.entry.wiring import PERMISSIONS, SETTINGS
from palio.identity.web import Reception, Turnstile
from palio.infra import settings
from palio.infra.db import Database
from palio.infra.ratelimit import Limiter
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.settings import Catalogue
from palio.ledger import web as ledger
from palio.ui import operations
from palio.ui.edge import Served
from palio.ui.hot import HotRoutes
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.routes import Call
from palio.ui.site import assemble
from tests.factories.identity import RING

SYSTEM = Actor("system", None, RequestId(new_id()))
TRANSFERS, BATCH = "/api/v1/ledger/transfers", "/api/v1/ledger/transfers/batch"
REASON = "posts for the game"


async def furnish(database: Database) -> None:
    """Bring settings and roles up to what this program knows of."""
    async with database.begin(SYSTEM) as tx:
        await settings.declare(tx, Catalogue(SETTINGS))
        await identity.declare_roles(tx, permissions=PERMISSIONS, now=clock.now())


async def program(
    database: Database, *, scopes: Sequence[str] = ("ledger:write",), role: str | None = "finance"
) -> tuple[UserId, str]:
    """A service user and its token."""
    now = clock.now()
    async with database.begin(SYSTEM) as tx:
        user = await identity.create(
            tx, username=f"svc{str(new_id())[-12:]}", display_name=None, kind="service", now=now, reason=REASON
        )
        if role:
            await identity.grant_role(tx, user_id=user.id, role=role, reason=REASON, now=now)
        made = await identity.create_token(tx, user_id=user.id, name="game", scopes=scopes, now=now)
    return user.id, made.secret


class Bank:
    """What one web process offers programs, with all its controls, and what it told of each request."""

    def __init__(self, database: Database, *, is_quick: bool = True, key: bytes = bytes(32)) -> None:
        database.equipment = replace(database.equipment, keyring=RING)  # of a token it is noted where it was used last
        self.served: list[Served] = []
        self.ordinary = 0  # how many requests went the ordinary way
        self.database, self.is_quick = database, is_quick
        instant = clock.now()  # in which all of it happens, as far as limits are concerned
        self.limiter = Limiter(database, key, now=lambda: instant)
        self.app = self._app()

    def _app(self) -> ASGIApp:
        doorman, teller = identity.Doorman(self.database), ledger.Teller(self.database)
        quick = partial(
            HotRoutes,
            routes=ledger.short_ways(teller),
            calls=[route for route in ledger.routes.all if isinstance(route, Call)],
            recognise=Turnstile(doorman),
            limiter=self.limiter,
            served=self.served.append,
        )

        def in_front(edge: ASGIApp) -> ASGIApp:
            async def counted(scope: Scope, receive: Receive, send: Send) -> None:
                self.ordinary += 1
                await edge(scope, receive, send)

            return quick(counted) if self.is_quick else counted

        return assemble(
            [ledger.routes, operations.routes],
            state={"database": self.database, "teller": teller, "pages": Pages(Languages())},
            served=self.served.append,
            identify=Reception(doorman),
            limiter=self.limiter,
            key=bytes(32),
            in_front=in_front,
        )

    @asynccontextmanager
    async def talk(self, token: str | None) -> AsyncIterator[httpx2.AsyncClient]:
        """A client that shows this token."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx2.ASGITransport(self.app, client=("198.51.100.7", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://palio.test", headers=headers) as client:
            yield client
