"""Live streams of people who really signed in: what ends a session, a token or a role ends what listens by it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from palio import identity, ledger
from palio.identity import web
from palio.infra.db import Database, Equipment
from palio.infra.realtime import Hub
from palio.kernel import clock
from palio.kernel.topics import Topic
from palio.ui.site import assemble
from palio.ui.streams import Streams, routes
from tests.conftest import PATIENCE_S
from tests.factories.identity import RING, World
from tests.journeys.browser.conftest import serve
from tests.ui.house import listening_hub

OURS = {"sec-fetch-site": "same-origin"}
HOME = Topic("console:home", "For staff.", (), access="admin.home.read")


@pytest.fixture
async def base(world: World) -> AsyncIterator[str]:
    """A process in which people listen."""
    hub = Hub(world.dsn)
    world.database.equipment = replace(world.equipment, tell=hub.tell)
    hub.heed(identity.ENDINGS, world.doorman.forget)
    streams = Streams(hub, None, topics=(*ledger.TOPICS, HOME), recall=web.Recollection(world.doorman))
    state = {"database": world.database, "streams": streams}
    app = assemble([routes], state=state, served=lambda served: None, identify=web.Reception(world.doorman))
    async with listening_hub(hub, world.database), serve(app) as base:
        yield base
    world.database.equipment = world.equipment


@pytest.fixture
async def elsewhere(world: World) -> AsyncIterator[Database]:
    """Another process, where things end."""
    hub = Hub(world.dsn)
    database = Database(world.dsn, equipment=Equipment(tell=hub.tell, keyring=RING))
    await database.pool.open(wait=True)
    speaking = asyncio.create_task(hub.run())
    yield database
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    await database.pool.close()


async def ended(base: str, shown: dict[str, str], end, topics: list[str], path: str = "/api/v1/stream") -> list[object]:  # type: ignore[no-untyped-def]
    """What a socket and an event stream are told when something ends elsewhere, within two seconds."""
    async with httpx2.AsyncClient(base_url=base, headers={**shown, **OURS}, timeout=PATIENCE_S) as client:
        ticket = (await client.post(f"{path}/tickets")).json()["ticket"]
        async with (
            client.stream("GET", f"{path}?topics={','.join(topics)}") as stream,
            connect(f"{base.replace('http', 'ws')}/api/v1/stream/ws", proxy=None) as line,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: ready"
            await line.send(json.dumps({"op": "hello", "ticket": ticket, "topics": topics}))
            assert json.loads(await line.recv())["topics"] == topics
            await end()
            found: list[object] = []
            async with asyncio.timeout(2):
                found += [json.loads(await line.recv())["reason"]]
                with pytest.raises(ConnectionClosed) as closed:
                    await line.recv()
                found += [closed.value.rcvd and closed.value.rcvd.code]
                found += [text async for text in lines if text.startswith("event: bye")]
    return found


CLOSED = ["signed_out", 4401, "event: bye"]


async def test_a_session_that_is_ended_elsewhere_hears_nothing_more(
    world: World, base: str, elsewhere: Database
) -> None:
    await world.player("alice", clock.now())
    session = await world.signed_in("alice", clock.now())

    async def end() -> None:
        async with elsewhere.begin_system("a test") as tx:
            await identity.end_sessions(tx, user_id=session.user_id, reason="revoked_by_user", now=clock.now())

    shown = {"cookie": f"palio_session={session.cookie}"}
    assert await ended(base, shown, end, ["me:wallet"]) == CLOSED
    async with httpx2.AsyncClient(base_url=base, headers=shown, timeout=PATIENCE_S) as client:
        polled = (await client.get("/api/v1/stream/poll?topics=me:wallet")).json()
    assert [problem["code"] for problem in polled["problems"]] == ["not_found"]


async def test_a_token_that_is_revoked_hears_nothing_more(world: World, base: str, elsewhere: Database) -> None:
    alice = await world.player("alice", clock.now())
    async with world.database.begin_system("a test") as tx:
        made = await identity.create_token(tx, user_id=alice.id, name="bot", scopes=["ledger:read"], now=clock.now())

    async def end() -> None:
        async with elsewhere.begin_system("a test") as tx:
            await identity.revoke_token(tx, user_id=alice.id, token_id=made.token.id, now=clock.now())

    assert await ended(base, {"authorization": f"Bearer {made.secret}"}, end, ["me:wallet"]) == CLOSED


async def test_another_role_closes_what_was_opened_before(world: World, base: str, elsewhere: Database) -> None:
    alice = await world.player("alice", clock.now())
    session = await world.signed_in("alice", clock.now())

    async def end() -> None:
        async with elsewhere.begin_system("a test") as tx:
            await identity.grant_role(tx, user_id=alice.id, role="support", reason="a test", now=clock.now())

    assert await ended(base, {"cookie": f"palio_session={session.cookie}"}, end, ["me"]) == CLOSED


async def test_a_token_hears_what_its_scopes_name(world: World, base: str) -> None:
    alice = await world.player("alice", clock.now())

    async def heard(scope: str, topics: str) -> list[str]:
        async with world.database.begin_system("a test") as tx:
            made = await identity.create_token(tx, user_id=alice.id, name="bot", scopes=[scope], now=clock.now())
        async with httpx2.AsyncClient(
            base_url=base, headers={"authorization": f"Bearer {made.secret}"}, timeout=PATIENCE_S
        ) as client:
            answer = await client.get("/api/v1/stream/poll", params={"topics": topics, "after": "999999999999"})
        return [*answer.json()["resync"], *(problem["code"] for problem in answer.json()["problems"])]

    assert await heard("ledger:read", "me:wallet,me") == ["me:wallet", "me:wallet"]
    assert await heard("races:read", "me:wallet,me") == ["scope_missing"]


async def test_the_players_cookie_hears_nothing_of_the_console(world: World, base: str) -> None:
    await world.player("alice", clock.now())
    session = await world.signed_in("alice", clock.now())
    async with httpx2.AsyncClient(
        base_url=base, headers={"cookie": f"palio_session={session.cookie}"}, timeout=PATIENCE_S
    ) as client:
        polled = (await client.get("/api/v1/stream/poll?topics=console:home,me:wallet")).json()
        refused = await client.get("/api/v1/console/stream?topics=console:home")
    assert [problem["code"] for problem in polled["problems"]] == ["permission_missing"]
    assert refused.status_code == 401
