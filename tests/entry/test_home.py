"""The first page of somebody who is signed in: what is his comes first, and a part that fails fails alone."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from palio import affiliates, competitions, identity, ledger, races
from palio.competitions.types import Claim
from palio.entry import home
from palio.identity.service import friends
from palio.infra import db
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Post
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE
from tests.factories.races import at, feed, race, run
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


async def test_guests_see_nothing_of_anybody(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert "Where you stand" not in page and "/wallet" not in page and "me:wallet" not in page


async def test_whoever_is_new_is_told_what_to_do_first(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/", headers=caller("player", UserId(new_id())))).text
    assert "You are in no race yet" in page and 'href="/account/link"' in page
    assert "Nothing yet. Prizes arrive here." in page


async def test_whoever_has_asked_reads_how_far_it_is(client: httpx2.AsyncClient, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("08:21:15"), {"a": "500", "b": "400"})
        user, judge = [(await identity.create(tx, username=name, now=at("08:00:00"))).id for name in ("ann", "joe")]
        wish = affiliates.LinkWish(user, "other", source.code, uid="a")
        request = await affiliates.request_link(tx, wish=wish, now=at("08:30:00"))
    staff = Actor("staff", judge, RequestId(new_id()))

    async def page() -> str:
        return (await client.get("/", headers=caller("player", user))).text

    assert "Your request is with staff" in await page() and "Link your account" not in await page()
    async with database.begin(SYSTEM) as tx:
        await affiliates.ask_more(tx, request_id=request.id, actor=staff, note="which day?", now=at("08:40:00"))
    assert "Answer about your player" in await page()
    async with database.begin(SYSTEM) as tx:
        await affiliates.decide(
            *(tx,), request_id=request.id, actor=staff, decision="reject", note="no proof", now=at("08:50:00")
        )
    assert "Your request was rejected" in await page() and "Link your account" not in await page()


async def test_a_player_sees_places_balance_and_no_step_that_is_done(
    client: httpx2.AsyncClient, database: Database
) -> None:
    user_id = UserId(new_id())
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("08:21:15"), {"a": "500", "b": "400"})
        made = await race(tx, source, at("08:25:00"), backdated_reason=None, prize_rule=races.by_place((10_000,)))
        link = await affiliates.link(
            tx, programme_id=source.programme_id, uid="b", user_id=user_id, reason="known", now=at("08:26:00")
        )
        await competitions.claim_many(tx, [Claim("player", str(link.player_id), user_id)], now=at("08:26:00"))
        await run(tx, at("08:31:00"))
        await source.show(tx, at("11:00:00"), {"a": "550", "b": "430"})
        await run(tx, at("11:01:00"))
        legs = ((f"user:{user_id}:main", "USD", 1_250), (HOUSE, "USD", -1_250))
        await ledger.post(tx, Post(f"{user_id}:1", "ledger.transfer", legs), now=at("11:00:00"))
    page = (await client.get("/", headers=caller("player", user_id))).text
    assert f'href="/races/{made.number}" class="standing-name"' in page
    assert "$20.00</bdi></data> more to be paid" in page and "$12.50" in page
    assert "Your next steps" not in page and "me:wallet" in page


async def test_whoever_is_asked_to_be_a_friend_is_told(client: httpx2.AsyncClient, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        ida, *others = [
            (await identity.create(tx, username=name, now=at("08:00:00"))).id for name in ("ida", "jan", "kim")
        ]
    page = (await client.get("/", headers=caller("player", ida))).text
    assert "wants to be your friend" not in page
    for count, other in enumerate(others, start=1):
        async with database.begin(SYSTEM) as tx:
            await friends.act(tx, user_id=other, friend_id=ida, what="ask", now=at("08:01:00"))
        page = (await client.get("/", headers=caller("player", ida))).text
        words = "One request waits for your answer." if count == 1 else "2 requests wait for your answer."
        assert "Somebody wants to be your friend" in page and words in page
    async with database.begin(SYSTEM) as tx:
        await db.run(tx, "delete from identity.friends")


async def test_a_panel_fails_alone(database: Database) -> None:
    """What it had begun in the transaction is undone, and the page goes on reading in it."""
    async with database.begin(SYSTEM) as tx:

        async def broken() -> int:
            return int(await db.value(tx, "select 1 / 0"))

        async def well() -> int:
            return int(await db.value(tx, "select 7"))

        shown = [(await home.panel(tx, "x", work)).shown for work in (broken, well)]
    assert shown == [None, 7]
