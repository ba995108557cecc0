"""What a player sees of his own race, over HTTP; and that nobody else sees it."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest

from palio import affiliates, competitions, races
from palio.competitions.types import Claim
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.races.types import Race
from tests.conftest import SYSTEM
from tests.factories.races import T1, T2, Feed, at, feed, race, run
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

UNIT = 1_000_000
ACCEPT = {"accept": "application/problem+json, application/json, text/csv"}
PLAIN = {"accept": "application/problem+json, application/json, text/html"}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


@dataclass(frozen=True)
class Known:
    """A race with the people behind some of its players."""

    made: Race
    source: Feed
    users: dict[str, UserId]

    def path(self, rest: str = "") -> str:
        return f"/races/{self.made.number}{rest}"

    def api(self, rest: str = "") -> str:
        return f"/api/v1/races/{self.made.number}{rest}"


async def let_link(database: Database, source: Feed, *uids: str) -> dict[str, UserId]:
    """Somebody behind each of these players."""
    users = {uid: UserId(new_id()) for uid in uids}
    async with database.begin(SYSTEM) as tx:
        for uid, user_id in users.items():
            link = await affiliates.link(
                tx, programme_id=source.programme_id, uid=uid, user_id=user_id, reason="known", now=at("08:00:00")
            )
            claim = Claim("player", str(link.player_id), user_id)
            await competitions.claim_many(tx, [claim], now=at("08:00:00"))
    return users


TOTALS = {"a": "500", "b": "400", "c": "300", "d": "200", "e": "100"}


@pytest.fixture
async def running(database: Database) -> Known:
    """A race for two places, live at noon: a 50, b 30, c 20, d 5 below the minimum of 10, e has not wagered."""
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("08:21:15"), TOTALS)
        made = await race(
            *(tx, source, at("08:25:00")),
            prize_rule=races.by_place((6000, 4000)),
            min_wager_micro=10 * UNIT,
            backdated_reason=None,
        )
    users = await let_link(database, source, "b", "c", "d", "e")
    async with database.begin(SYSTEM) as tx:
        await run(tx, at("08:31:00"))
        await source.show(tx, at("11:00:00"), {**TOTALS, "a": "550", "b": "430", "c": "320", "d": "205"})
        await run(tx, at("11:01:00"))
    return Known(made, source, users)


def player(user_id: UserId) -> dict[str, str]:
    return {**caller("player", user_id), **PLAIN}


async def test_my_place_says_the_gap_and_what_it_takes_to_be_paid(client: httpx2.AsyncClient, running: Known) -> None:
    found = {
        uid: (await client.get(running.api("/me"), headers=player(user))).json() for uid, user in running.users.items()
    }
    keys = ("position", "total_participants", "wager_micro", "paid_place", "missing_micro")
    assert [found["b"][key] for key in keys] == [2, 4, 30 * UNIT, 2, 0]
    assert [found["c"][key] for key in keys] == [3, 4, 20 * UNIT, 2, 10 * UNIT]
    assert [found["d"][key] for key in keys] == [None, 4, 5 * UNIT, 2, 25 * UNIT]  # level with b, beyond the minimum
    assert found["b"]["next_position"] == {
        "position": 1,
        "name": "nam***",
        "wager_micro": 50 * UNIT,
        "difference_micro": 20 * UNIT,
    }
    assert found["b"]["prize_now"] == {"asset": "USD", "amount": 20_000, "text": "200.00"}
    assert found["c"]["race"]["number"] == running.made.number
    assert found["e"]["code"] == "races.not_entered"


async def test_the_page_pins_my_line_and_only_for_me(client: httpx2.AsyncClient, running: Known) -> None:
    mine = (await client.get(running.path(), headers=player(running.users["b"]))).text
    theirs = (await client.get(running.path(), headers=player(running.users["e"]))).text
    guest = (await client.get(running.path())).text
    assert "Your place" in mine and 'class="pinned"' in mine and "$20.00</bdi></data> to the next place" in mine
    for page in (theirs, guest):
        assert "Your place" not in page and 'class="pinned"' not in page and "/me/receipt" not in page


async def test_standings_begin_around_me(client: httpx2.AsyncClient, running: Known) -> None:
    answer = (await client.get(running.api("/standings?around=me&limit=2"), headers=player(running.users["c"]))).json()
    assert [(line["place"], line["me"]) for line in answer["items"]] == [(2, False), (3, True)]
    assert (answer["me"]["place"], answer["me"]["gap_micro"]) == (3, 10 * UNIT)
    plain = (await client.get(running.api("/standings"))).json()
    assert ([line["me"] for line in plain["items"]], plain["me"]) == ([False] * 3, None)
    assert (await client.get(running.api("/standings?around=me"), headers=PLAIN)).status_code == 401
    outside = await client.get(running.api("/standings?around=me"), headers=player(UserId(new_id())))
    assert (outside.status_code, outside.json()["code"]) == (404, "races.not_entered")


async def test_my_history_is_that_of_my_line(client: httpx2.AsyncClient, running: Known) -> None:
    found = (await client.get(running.api("/me/history"), headers=player(running.users["b"]))).json()
    assert [(change["kind"], change["delta_micro"], change["total_micro"]) for change in found["items"]] == [
        ("score", 30 * UNIT, 30 * UNIT)
    ]
    table = await client.get(
        running.api("/me/history.csv"), headers={**player(running.users["b"]), "accept": "text/csv"}
    )
    assert [row["total_micro"] for row in csv.DictReader(io.StringIO(table.text))] == [str(30 * UNIT)]
    chart = await client.get(running.path("/me/chart"), headers=player(running.users["b"]))
    assert [series["values"] for series in chart.json()["series"]] == [[30.0]]


async def test_a_receipt_adds_up_with_corrections_and_adjustments(
    client: httpx2.AsyncClient, running: Known, database: Database
) -> None:
    async with database.begin(SYSTEM) as tx:
        await running.source.show(tx, at("12:00:00"), {**TOTALS, "a": "550", "b": "425", "c": "320", "d": "205"})
        await run(tx, at("12:01:00"))
        board = await races.lines(tx, number=running.made.number)
        assert [line.total_micro for line in board][:2] == [50 * UNIT, 25 * UNIT]
    answer = (await client.get(running.api("/me/receipt"), headers=player(running.users["b"]))).json()
    assert (answer["baseline_kind"], answer["baseline_micro"]) == ("picture", 400 * UNIT)
    assert (answer["start"]["all_time_micro"], answer["start"]["kind"]) == (400 * UNIT, "listed")
    assert (answer["now"]["all_time_micro"], answer["raw_micro"], answer["score_micro"]) == (
        425 * UNIT,
        25 * UNIT,
        25 * UNIT,
    )
    assert [(change["kind"], change["delta_micro"]) for change in answer["changes"]] == [
        ("score", 30 * UNIT),
        ("correction", -5 * UNIT),
    ]
    assert (answer["rank"], answer["min_wager_micro"], answer["won"]) == (2, 10 * UNIT, None)
    assert answer["start"]["picture"]["payload_sha256"] != answer["now"]["picture"]["payload_sha256"]
    page = (await client.get(running.path("/me/receipt"), headers=player(running.users["b"]))).text
    assert "425.000000" in page and "400.000000" in page and "25.000000" in page
    assert "If it ended now you would be paid" in page


async def test_after_the_end_the_receipt_leads_from_the_prize_to_the_wallet_and_back(
    client: httpx2.AsyncClient, database: Database
) -> None:
    """The captures: player0006 is first and takes half of the pool."""
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.take(tx, T1, at("08:21:15"))
        made = await race(tx, source, at("12:00:00"))
        await source.take(tx, T2, at("20:28:00"))
        await run(tx, at("20:30:00"))
        first, *_ = await races.lines(tx, number=made.number)
    over = Known(made, source, {})
    users = await let_link(database, source, first.uid)
    winner = player(users[first.uid])

    answer = (await client.get(over.api("/me/receipt"), headers=winner)).json()
    won = answer["won"]
    assert (won["status"], won["prize"]["text"], won["exact"], won["tied"]) == ("paid", "250.00", "25000", 1)
    assert answer["raw_micro"] == answer["score_micro"] == first.total_micro

    line = f"/wallet/USD/entries/{won['wallet_seq']}"
    page = (await client.get(over.path("/me/receipt"), headers=winner)).text
    assert f'href="{line}"' in page and "$250.00" in page
    receipt = (await client.get(line, headers=winner)).text
    cause = f"/competitions/{made.competition_id}/me/receipt"
    assert f'href="{cause}"' in receipt and "Prize for place 1" in receipt
    back = await client.get(cause, headers=winner)
    assert (back.status_code, back.headers["location"]) == (303, over.path("/me/receipt"))


async def test_nothing_of_somebody_else_is_shown(client: httpx2.AsyncClient, running: Known) -> None:
    """Whoever is not in the race learns nothing by asking; whoever is sees himself, whatever he asks."""
    stranger = player(UserId(new_id()))
    own = [running.api(rest) for rest in ("/me", "/me/history", "/me/history.csv", "/me/receipt")]
    own += [running.path(rest) for rest in ("/me/receipt", "/me/chart")]
    for address in own:
        refused = await client.get(address, headers=stranger | ACCEPT)
        assert (refused.status_code, "races.not_entered" in refused.text) == (404, True), address
        assert (await client.get(address, headers=ACCEPT)).status_code == 401, address
    missing = await client.get("/api/v1/races/999999/me", headers=stranger)
    assert (missing.status_code, missing.json()["code"]) == (404, "races.no_such_race")
    nowhere = await client.get(f"/competitions/{new_id()}/me/receipt", headers=stranger | ACCEPT)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "competitions.no_such_competition")


async def test_before_the_start_there_is_no_place_yet(client: httpx2.AsyncClient, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("07:00:00"), TOTALS)
        made = await race(tx, source, at("07:30:00"), backdated_reason=None)
    answer = await client.get(f"/api/v1/races/{made.number}/me", headers=player(UserId(new_id())))
    assert (answer.status_code, answer.json()["code"]) == (409, "races.not_started")
