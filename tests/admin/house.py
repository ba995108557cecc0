"""The console over a database of its own, with staff who are believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import Request
from starlette.types import ASGIApp

from palio import identity
from palio.entry import desk, web
from palio.entry.wiring import BOARDS, Wiring
from palio.infra import embedded
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.ui.actor import Asking
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from palio.ui.streams import Streams
from tests.journeys.browser.conftest import serve
from tests.journeys.product import opened
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM

EVERYTHING = frozenset(route.access for module in web.MODULES for route in module.all if "." in route.access) | {
    "identity.user.read",
    "ledger.wallet.read",
    "affiliates.link.read",
    "races.race.money",
}


async def identify(request: Request) -> Asking:
    """Believe who the headers say asks; the time is the real one."""
    ask = await people.identify(request)
    return Asking(
        ask.actor,
        clock.now(),
        permissions=EVERYTHING if "everything" in ask.permissions else ask.permissions,
        scopes=ask.scopes,
        session_id=ask.session_id,
        mfa_at=ask.mfa_at and clock.now(),
        step_up_at=ask.step_up_at and clock.now(),
    )


@dataclass
class Console:
    """What is running: where it answers, and its application for calls that need no socket."""

    wiring: Wiring
    base: str
    app: ASGIApp
    noor: UserId
    sana: UserId

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        async with self.wiring.database.begin(SYSTEM) as tx:
            yield tx

    def staff(self, user_id: UserId, *, permissions: str = "everything", step_up: bool = True) -> dict[str, str]:
        """The headers of somebody of the staff."""
        return people.caller("staff", user_id, permissions=permissions, step_up=step_up)

    @asynccontextmanager
    async def talk(self, headers: dict[str, str]) -> AsyncIterator[httpx2.AsyncClient]:
        """Calls of somebody, who is at our own pages."""
        async with talk_to(self.app) as client:
            client.headers.update({**headers, **people.OURS})
            yield client


def make_app(wiring: Wiring) -> ASGIApp:
    state = {
        "database": wiring.database,
        "streams": Streams(wiring.hub, None),
        "pages": Pages(Languages()),
        "files": Files(DIST.parent),
        "cursors": Cursors(bytes(32)),
        "boards": BOARDS,
        "desk": desk.desk(wiring),
        "frame": desk.frame(),
    }
    return assemble(web.MODULES, state=state, served=lambda served: None, identify=identify, key=bytes(32))


@asynccontextmanager
async def manned(cluster: embedded.Cluster, name: str, data: Path) -> AsyncIterator[Console]:
    """The console on a socket, and two people of the staff, for the length of the block."""
    async with opened(cluster, name, data) as wiring:
        async with wiring.database.begin(SYSTEM) as tx:
            noor, sana = [
                await identity.create(tx, username=name, display_name=shown, now=clock.now())
                for name, shown in (("noor", "Noor Haddad"), ("sana", "Sana Vik"))
            ]
        people.SESSIONS.update({noor.id: noor.id, sana.id: sana.id})
        app = make_app(wiring)
        hub = asyncio.create_task(wiring.hub.run())
        async with serve(app) as base:
            yield Console(wiring, base, app, noor.id, sana.id)
        hub.cancel()
        await asyncio.gather(hub, return_exceptions=True)
