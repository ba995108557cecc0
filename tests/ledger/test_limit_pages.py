"""Limits over HTTP and on their page: one's own, with what is used, set and kept without script."""

import re
from collections.abc import AsyncIterator
from datetime import datetime

import httpx2
import pytest

from palio import ledger
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.ledger import Post
from palio.ledger.errors import InvalidPost
from palio.ledger.schemas.limits import units_of
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE, fund
from tests.ui.conftest import talk_to
from tests.ui.people import OURS, caller
from tests.ui.product import product

CALL, PAGE = "/api/v1/wallet/limits", "/wallet/limits"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


@pytest.fixture
async def player(database: Database, noon: datetime) -> UserId:
    """Somebody who has staked 65 of his 1000 coins today."""
    user_id = UserId(new_id())
    wallet = f"user:{user_id}:main"
    legs = ((wallet, "COIN", -65), (HOUSE, "COIN", 65))
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 1000, now=noon)
        await ledger.post(tx, Post(f"{user_id}:bet", "games.bet", legs), now=noon)
    return user_id


def coins(amount: int) -> dict[str, object]:
    return {"asset": "COIN", "amount": amount, "text": str(amount)}


async def put(client: httpx2.AsyncClient, player: UserId, amount: object, **more: object) -> httpx2.Response:
    body = {"asset": "COIN", "group": "stake", "period": "day", "amount": amount} | more
    return await client.put(CALL, json=body, headers=caller("player", player))


async def send(client: httpx2.AsyncClient, player: UserId, **fields: str) -> httpx2.Response:
    page = (await client.get(PAGE, headers=caller("player", player))).text
    hidden = dict(re.findall(r'name="(csrf_token|idempotency_key)" value="([^"]*)"', page))
    form = {"asset": "COIN", "group": "stake", "period": "day", "amount": "", "preset": ""} | hidden | fields
    return await client.post(PAGE, data=form, headers=caller("player", player) | OURS)


async def test_a_limit_says_what_is_used_and_left_and_when_it_begins_anew(
    client: httpx2.AsyncClient, player: UserId
) -> None:
    """Set, lowered at once, and raised only later."""
    first = await client.get(CALL, headers=caller("player", player))
    assert (first.status_code, first.json()["items"]) == (200, [])
    [item] = (await put(client, player, 100)).json()["items"]
    assert item == {
        "asset": "COIN",
        "scale": 0,
        "group": "stake",
        "period": "day",
        "limit": coins(100),
        "used": coins(65),
        "left": coins(35),
        "resets_at": "2026-03-21T00:00:00.000000Z",
        "pending": None,
    }
    [item] = (await put(client, player, 50)).json()["items"]
    assert (item["limit"], item["left"]) == (coins(50), coins(0))
    [item] = (await put(client, player, 500)).json()["items"]
    assert (item["limit"], item["pending"]["limit"]) == (coins(50), coins(500))
    [item] = (await put(client, player, None)).json()["items"]
    assert (item["limit"], item["pending"]["limit"]) == (coins(50), None)
    assert (await client.get(CALL, headers=caller("player", player))).json()["items"] == [item]


@pytest.mark.parametrize(
    "change",
    [
        *({"amount": amount} for amount in (-1, 1.5, "1", True, 2**53, "1e2")),
        *({"group": "sleep"}, {"period": "year"}, {"asset": ""}, {"more": 1}),
    ],
)
async def test_what_is_no_limit_is_refused(
    client: httpx2.AsyncClient, player: UserId, change: dict[str, object]
) -> None:
    assert (await put(client, player, **({"amount": 1} | change))).status_code == 422
    assert (await put(client, player, 1, asset="NONE")).status_code == 404
    assert (await client.get(CALL, headers=caller("player", player))).json()["items"] == []


async def test_limits_are_shown_to_their_owner_alone(client: httpx2.AsyncClient, player: UserId) -> None:
    await put(client, player, 100)
    stranger = await client.get(CALL, headers=caller("player", UserId(new_id())))
    assert stranger.json()["items"] == []
    assert (await client.get(CALL)).status_code == 401


async def test_the_page_sets_raises_and_keeps_a_limit(client: httpx2.AsyncClient, player: UserId) -> None:
    """By what is typed and by buttons; a raise waits with its time, and is given up by keeping what there is."""
    empty = await client.get(PAGE, headers=caller("player", player))
    assert "You have set no limit" in empty.text
    assert (await send(client, player, amount="100")).status_code == 303
    page = (await client.get(PAGE, headers=caller("player", player))).text
    assert re.search(r'<progress[^>]* max="100" value="65"', page)
    assert re.search(r"<span class=.font-semibold.>(<[^>]*>)*35 ", page)
    assert "Lower to" in page
    assert "A change waits" not in page

    assert (await send(client, player, preset="500")).status_code == 303
    page = (await client.get(PAGE, headers=caller("player", player))).text
    assert "A change waits" in page
    keep = re.search(r'name="amount" value="(\d+)" class="btn btn-sm">\s*Keep', page)
    assert keep is not None
    assert keep.group(1) == "100"
    assert (await send(client, player, amount=keep.group(1))).status_code == 303
    page = (await client.get(PAGE, headers=caller("player", player))).text
    assert "A change waits" not in page
    assert (await send(client, player, preset="none")).status_code == 303
    assert "there is no limit" in (await client.get(PAGE, headers=caller("player", player))).text


async def test_the_page_says_what_is_wrong_and_keeps_what_was_typed(client: httpx2.AsyncClient, player: UserId) -> None:
    for amount in ("", "ten", "1.5", "-1", "1e3", "9" * 17):
        answer = await send(client, player, amount=amount)
        assert answer.status_code == 422, amount
        assert 'role="alert"' in answer.text
        assert f'value="{amount}"' in answer.text
    assert (await client.get(CALL, headers=caller("player", player))).json()["items"] == []


@pytest.mark.parametrize(
    ("text", "units"), [("0", 0), ("12", 1200), ("12.5", 1250), ("12,50", 1250), ("0012", 1200), ("0.01", 1)]
)
def test_amounts_are_read_as_people_write_them(text: str, units: int) -> None:
    assert units_of(text, 2) == units


@pytest.mark.parametrize("text", ["", ".5", "1.", "1.234", "1 000", "+1", "٣", "90071992547409.92"])
def test_what_is_no_amount_is_not_guessed(text: str) -> None:
    with pytest.raises(InvalidPost):
        units_of(text, 2)
