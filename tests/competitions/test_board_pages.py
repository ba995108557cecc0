"""Pages of boards of everybody: by period, with oneself in sight, whom one looks for, and how one's rank went."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import pytest

from palio import competitions, identity
from palio.competitions.types import DEFAULT_BOARD, NewBoard, NewEntrant, Submission
from palio.infra import settings
from palio.infra.db import Database, Tx
from palio.kernel.ids import UserId
from palio.kernel.settings import Catalogue
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import NOW, caller
from tests.ui.product import product

CODE = "test.pages"


@dataclass
class Shown:
    """A board with three people, and who they are."""

    client: httpx2.AsyncClient
    users: list[UserId]
    names: list[str]


@pytest.fixture(scope="module")
async def shown(database: Database) -> AsyncIterator[Shown]:
    names = ["anna-walks", "bert-walks", "cleo-walks"]
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(CODE, "Walked", "steps", score_scale=1))
        users = [(await identity.create(tx, username=name, now=NOW, reason="walks")).id for name in names]
        crowd = await competitions.enter_many(tx, [NewEntrant("user", str(user), user) for user in users])
        for hour in range(3):
            at = NOW - timedelta(hours=5 - hour)
            items = [Submission(None, who, 12_345 * (n + 1), f"k{hour}", at, board=CODE) for n, who in enumerate(crowd)]
            await competitions.submit_many(tx, items, now=NOW)
            await competitions.take_snapshots(tx, now=at)
    async with talk_to(product(database)) as client:
        yield Shown(client, users, names)


async def test_a_board_shows_its_lines_tabs_and_other_boards(shown: Shown) -> None:
    page = await shown.client.get(f"/boards/{CODE}?period=all")

    assert page.status_code == 200, page.text[:500]
    assert page.text.index("11,110.5") < page.text.index("7,407.0") < page.text.index("3,703.5")
    assert f'href="/boards/{CODE}?period=month"' in page.text
    assert 'href="/boards/steps?period=all"' in page.text
    assert f'data-topic="board:{CODE}:ALL"' in page.text


async def test_a_player_sees_himself_what_he_lacks_and_how_his_rank_went(shown: Shown) -> None:
    page = await shown.client.get(f"/boards/{CODE}?period=week", headers=caller("player", shown.users[0]))
    chart = await shown.client.get(f"/boards/{CODE}/chart?period=week&entrant=999999999")

    assert page.status_code == 200, page.text[:500]
    assert re.search(r">3,703.5</bdi>\s+to the next rank", page.text)
    assert "Just above you" in page.text and "Just below you" not in page.text
    assert f'data-chart src="/boards/{CODE}/chart?' in page.text
    assert (chart.status_code, chart.json()["categories"]) == (200, [])


async def test_whoever_is_looked_for_is_found_by_the_name_that_is_shown(shown: Shown) -> None:
    page = await shown.client.get(f"/boards/{CODE}?period=all")
    found = await shown.client.get(f"/boards/{CODE}?period=all&name=anna-walks")
    nobody = await shown.client.get(f"/boards/{CODE}?period=all&name=nobody-here")

    is_shown = "anna-walks" in page.text  # people choose how much of their name a board shows
    assert ("Place 3" in found.text) == is_shown
    assert "Nobody of that name stands on this board" in nobody.text


@pytest.mark.parametrize("path", ["/boards", "/boards/steps", "/boards/steps?period=D:2026-03-19"])
async def test_an_empty_board_says_so(shown: Shown, path: str) -> None:
    page = await shown.client.get(path)

    assert (page.status_code, "Nobody stands here yet" in page.text) == (200, True)


@pytest.mark.parametrize("path", ["/boards/nothing", f"/boards/{CODE}?period=D:2999-03-22", f"/boards/{CODE}?period=x"])
async def test_what_does_not_exist_is_not_found(shown: Shown, path: str) -> None:
    assert (await shown.client.get(path)).status_code == 404


async def test_the_house_says_with_which_board_the_page_opens(shown: Shown, tx: Tx) -> None:
    async def opened(code: str | None) -> httpx2.Response:
        await settings.change(tx, SYSTEM, [settings.Change(DEFAULT_BOARD, code)], "a test")
        await settings.snapshot.load(tx)
        return await shown.client.get("/boards?period=all")

    await settings.declare(tx, Catalogue([DEFAULT_BOARD]))
    try:
        ours, wagers, gone = await opened(CODE), await opened("wager:default"), await opened("nothing")
    finally:
        settings.snapshot.forget()
    usual = await shown.client.get("/boards?period=all")

    assert f'data-topic="board:{CODE}:ALL"' in ours.text
    assert (wagers.status_code, wagers.headers["location"]) == (303, "/leaderboard?programme=default")
    assert 'data-topic="board:quest_points:ALL"' in gone.text and 'data-topic="board:quest_points:ALL"' in usual.text
