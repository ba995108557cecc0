"""Players over HTTP: they join, see where they stand and what is in the pool, leave, and doubt a result."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest

from palio import competitions
from palio.competitions import web
from palio.competitions.types import Admission, CompetitionId
from palio.entry.wiring import ENTRY_CHECKS
from palio.infra import partitions
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, balances, live, new, paid_in, players, score
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import NOW, OURS, caller

TEXT = {"text": "My last game is missing."}


@dataclass
class Door:
    """Players before the calls of competitions."""

    client: httpx2.AsyncClient

    async def get(self, user: UserId | None, path: str) -> httpx2.Response:
        headers = caller("player", user) if user else {}
        return await self.client.get(f"/api/v1/competitions{path}", headers=headers)

    async def post(self, user: UserId | None, path: str, body: object = None) -> httpx2.Response:
        headers = {**(caller("player", user) if user else {}), **OURS}
        return await self.client.post(f"/api/v1/competitions{path}", json=body, headers=headers)


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    state = {
        "database": database,
        "pages": Pages(Languages()),
        "cursors": Cursors(bytes(32)),
        "boards": (),
        "entry_checks": ENTRY_CHECKS,
    }
    async with database.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "competitions.receipts", NOW)
    app = assemble([web.routes], state=state, served=lambda served: None, identify=people.identify, key=bytes(32))
    async with talk_to(app) as client:
        yield Door(client)


async def announced(database: Database, **changes: object) -> tuple[CompetitionId, list[UserId]]:
    """Open to players for 99, and two of them with 100 each."""
    async with database.begin(SYSTEM) as tx:
        terms = new(NOW + HOUR, **{"join_mode": "open", "entry_fee": 99, **changes})
        competition_id = await competitions.create(tx, new=terms, created_by=None, now=NOW)
        await competitions.publish(tx, competition_id=competition_id, now=NOW)
        return competition_id, await players(tx, 2, NOW, each=100)


async def test_a_player_joins_sees_himself_and_leaves(door: Door, database: Database) -> None:
    competition_id, (user, other) = await announced(database)
    stranger = (await door.get(None, f"/{competition_id}")).json()
    assert (stranger["me"], stranger["entry_fee"]["text"], stranger["join_mode"]) == (None, "0.99", "open")
    for _ in range(2):
        joined = await door.post(user, f"/{competition_id}/join")
        assert (joined.status_code, joined.json()["state"]) == (200, "active"), joined.text
    mine = (await door.get(user, f"/{competition_id}")).json()
    assert (mine["me"]["state"], mine["pool"]["amount"], mine["treasury"]["amount"]) == ("active", 10_090, 9)
    assert [(each["source"], each["contributions"], each["to_pool"]["amount"]) for each in mine["split"]] == [
        *(("admin_fund", 1, 10_000), ("entry_fee", 1, 90)),
    ]
    assert (await door.get(other, f"/{competition_id}")).json()["me"] is None
    left = await door.post(user, f"/{competition_id}/leave")
    assert (left.status_code, left.json()["state"], left.json()["fee_transfer_id"]) == (200, "left", None)
    async with database.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main") == [100]


async def test_refusals_say_why_and_take_nothing(door: Door, database: Database) -> None:
    dear, (user, other) = await announced(database, entry_fee=101)
    small, _ = await announced(database, max_participants=1, entry_fee=0)
    closed, _ = await announced(database, eligibility={"countries": {"allow": ["NP"]}})
    assert (await door.post(other, f"/{small}/join")).status_code == 200
    for path, status, code in (
        (f"/{dear}/join", 409, "ledger.insufficient_funds"),
        (f"/{small}/join", 409, "competitions.full"),
        (f"/{closed}/join", 403, "competitions.not_eligible"),
        (f"/{closed}/leave", 403, "competitions.not_eligible"),
        (f"/{new_id()}/join", 404, "competitions.no_such_competition"),
    ):
        refused = await door.post(user, path)
        assert (refused.status_code, refused.json()["code"]) == (status, code), path
    assert (await door.post(None, f"/{small}/join")).status_code == 401
    async with database.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main") == [100]


async def test_a_doubt_is_opened_during_the_review_and_read_by_its_owner(door: Door, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        user, other = await players(tx, 2, NOW)
        competition_id = await live(tx, NOW - 6 * HOUR, review_h=24)
        items = [Admission(competition_id, "user", str(each), each) for each in (user, other)]
        await score(tx, competition_id, await competitions.admit_many(tx, items, now=NOW), [2, 1], NOW - 6 * HOUR)
    early = await door.post(user, f"/{competition_id}/appeals", TEXT)
    assert (early.status_code, early.json()["code"]) == (409, "competitions.appeals_closed")
    async with database.begin(SYSTEM) as tx:
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=NOW - HOUR)
    opened = await door.post(user, f"/{competition_id}/appeals", TEXT)
    assert (opened.status_code, opened.json()["state"]) == (201, "open")
    again = await door.post(user, f"/{competition_id}/appeals", TEXT)
    assert (again.status_code, again.json()["code"]) == (409, "competitions.too_many_appeals")
    assert (await door.get(user, f"/{competition_id}/appeals")).json()["items"] == [opened.json()]
    assert (await door.get(other, f"/{competition_id}/appeals")).json()["items"] == []


async def test_hidden_results_show_no_prize_before_they_are_paid(door: Door, database: Database) -> None:
    """Neither as a list nor beside the places, and both right after."""
    async with database.begin(SYSTEM) as tx:
        users = await players(tx, 2, NOW)
        competition_id = await live(tx, NOW - 6 * HOUR, review_h=24, results_visible="after_end")
        items = [Admission(competition_id, "user", str(each), each) for each in users]
        await score(tx, competition_id, await competitions.admit_many(tx, items, now=NOW), [2, 1], NOW - 6 * HOUR)
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=NOW - HOUR)
    hidden = await door.get(None, f"/{competition_id}/rewards")
    assert (hidden.status_code, hidden.json()["code"]) == (404, "competitions.results_hidden")
    rows = (await door.get(None, f"/{competition_id}/standings")).json()["items"]
    assert [row["prize"]["amount"] for row in rows] == [0, 0]
    async with database.begin(SYSTEM) as tx:
        for _ in range(3):
            await competitions.settle(tx, competition_id=competition_id, now=NOW + 24 * HOUR)
    shown = (await door.get(None, f"/{competition_id}/rewards")).json()["items"]
    assert [row["prize"]["amount"] for row in shown] == [5_000, 3_000]


async def test_the_list_shows_what_is_in_each_pool(door: Door, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOW - HOUR)
        (user,) = await players(tx, 1, NOW, each=100)
        await competitions.contribute_many(tx, [paid_in(competition_id, user, 100)], now=NOW)
    listed = (await door.get(None, "?limit=1")).json()["items"]
    assert [(line["id"], line["pool"]["amount"]) for line in listed] == [(str(competition_id), 10_090)]
