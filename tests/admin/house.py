"""The console over a database of its own, with staff who are believed."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from fastapi import Request
from starlette.types import ASGIApp

from palio import identity, races
from palio.entry import desk, web
from palio.entry.approving import COMMANDS, PENDING
from palio.entry.wiring import EXPORTS, Wiring
from palio.infra import approvals, audit, db, embedded, outbox
from palio.infra.approvals import Proposal
from palio.infra.db import Tx
from palio.infra.messages import PruneRuns
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ui.actor import Asking
from palio.ui.site import assemble
from tests.journeys.browser.conftest import serve
from tests.journeys.product import opened
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM

EVERYTHING = frozenset(
    [
        *(route.access for module in web.MODULES for route in module.all if "." in route.access),
        *(panel.permission for panel in desk.PANELS),
        *(command.permission for command in COMMANDS.values()),
        *(source.permission for source in PENDING),
        *(source.permission for source in EXPORTS),
        *("identity.user.read", "admin.export.personal"),
    ]
)


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
        lent=ask.lent,
    )


def form_of(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent to an address."""
    form = html.partition(f'action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


async def acts_of(console: "Console", action: str) -> list[audit.Row]:
    """What was written down of an action, the newest first."""
    now = clock.now()
    async with console.begin() as tx:
        wanted = audit.Wanted(now - timedelta(days=1), now + timedelta(days=1), action=action)
        return await audit.search(tx, wanted=wanted, part=audit.Part(50))


@dataclass
class Console:
    """What is running: where it answers, and its application for calls that need no socket."""

    wiring: Wiring
    base: str
    app: ASGIApp
    noor: UserId
    sana: UserId

    @asynccontextmanager
    async def begin(self, user_id: UserId | None = None) -> AsyncIterator[Tx]:
        """A transaction of the house, or of somebody of the staff."""
        actor = Actor("staff", user_id, RequestId(new_id())) if user_id else SYSTEM
        async with self.wiring.database.begin(actor) as tx:
            yield tx

    async def player(self) -> UserId:
        """Somebody who plays."""
        async with self.begin() as tx:
            name = f"pia_{new_id().hex[-12:]}"
            return (await identity.create(tx, username=name, display_name="Pia Lund", now=clock.now())).id

    async def named(self, user_id: UserId) -> identity.User:
        """Somebody as identity knows him."""
        async with self.begin() as tx:
            return await identity.get(tx, name_or_id=user_id)

    def player_headers(self, user_id: UserId) -> dict[str, str]:
        """The headers of somebody who plays."""
        return people.caller("player", user_id)

    async def propose(
        self, maker: UserId, *, number: int = 36, subject: UserId | None = None, now: datetime | None = None
    ) -> UUID:
        """A proposal of somebody's to adjust a race."""
        async with self.begin(maker) as tx:
            proposal = Proposal(
                races.ADJUST,
                {
                    "number": number,
                    "adjustment_id": str(new_id()),
                    "player_id": str(new_id()),
                    "amount_micro": 250_000_000,
                    "public_note": "a wager was counted twice",
                    "undoes": None,
                },
                f"Adjust a total of race {number} by 250 USD: a wager was counted twice",
                "race",
                str(new_id()),
                "the provider confirmed it",
                subject=subject,
            )
            return (await approvals.open_proposal(tx, actor=tx.actor, proposal=proposal, now=now or clock.now())).id

    async def queue(self, *, state: str = "failed") -> int:
        """A job in the queue: one that waits, or that has given up."""
        async with self.begin() as tx:
            await outbox.send(tx, PruneRuns())
            row = await db.value(tx, "select max(id) from jobs.procrastinate_jobs")
            if state == "failed":
                statement = "update jobs.procrastinate_jobs set status = 'doing' where id = %s"
                await db.run(tx, statement, row)
                statement = "update jobs.procrastinate_jobs set status = 'failed', attempts = 5 where id = %s"
                await db.run(tx, statement, row)
            return int(row)

    def staff(self, user_id: UserId, *, permissions: str = "everything", step_up: bool = True) -> dict[str, str]:
        """The headers of somebody of the staff."""
        return people.caller("staff", user_id, permissions=permissions, step_up=step_up)

    def app_state(self, name: str) -> Any:
        """A part of the application."""
        return web.parts(self.wiring)[name]

    @asynccontextmanager
    async def talk(self, headers: dict[str, str], **other: object) -> AsyncIterator[httpx2.AsyncClient]:
        """Calls of somebody, who is at our own pages; with other parts of the application than it has."""
        async with talk_to(make_app(self.wiring, **other) if other else self.app) as client:
            client.headers.update({**headers, **people.OURS})
            yield client


def make_app(wiring: Wiring, **other: object) -> ASGIApp:
    state = {**web.parts(wiring), **other}
    return assemble(
        web.MODULES, state=state, served=partial(web.tell, wiring.metrics), identify=identify, key=bytes(32)
    )


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
