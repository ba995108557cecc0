"""Competitions over HTTP: lists, terms, standings, prizes, the archive, and what is nobody's business."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import psycopg
import pytest

from palio import competitions
from palio.competitions.types import CompetitionId, EntrantId, NewBoard, NewEntrant, StateChange, Submission
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.conftest import PATIENCE_S
from tests.factories.competitions import HOUR, enter, live, new, score, settle
from tests.journeys.product import running
from tests.ui.house import SYSTEM

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass
class Served:
    """A process that answers, and what there is: a live, two ended, a hidden, an upcoming one, and a draft."""

    client: httpx2.AsyncClient
    live: CompetitionId
    ended: CompetitionId
    later: CompetitionId
    hidden: CompetitionId
    draft: CompetitionId

    async def read(self, path: str) -> dict[str, object]:
        answer = await self.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found


@pytest.fixture(scope="module")
async def served(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    async with running(cluster, f"palio_competitions_{worker_id}", tmp_path_factory.mktemp("data")) as product:
        async with product.wiring.database.begin(SYSTEM) as tx:
            draft = await competitions.create(tx, new=new(NOON), created_by=None, now=NOON - HOUR)
            ended = await live(tx, NOON, score_scale=2)
            people = await enter(tx, ended, 4, NOON, linked=False)
            await score(tx, ended, people, [900, 700, 700, 0], NOON)
            await settle(tx, ended, NOON + 6 * HOUR)
            later = await live(tx, NOON + timedelta(days=31), product="game")
            await score(tx, later, await enter(tx, later, 1, NOON), [5], NOON + timedelta(days=31))
            await settle(tx, later, NOON + timedelta(days=32))
            hidden = await live(tx, NOON, results_visible="after_end", ends_at=clock.now() + timedelta(days=9))
            on = await live(tx, NOON, ends_at=clock.now() + timedelta(days=9), min_score=10)
            crowd = await enter(tx, on, 5, NOON, linked=False)
            await score(tx, on, crowd, [50, 40, 30, 20, 9], NOON)
            await competitions.take_snapshots(tx, now=clock.now() - HOUR)
            out = StateChange(on, crowd[0], "out", str(new_id()), NOON, "because")
            await competitions.set_state_many(tx, [out], now=NOON)
        async with httpx2.AsyncClient(base_url=product.base, timeout=PATIENCE_S) as client:
            yield Served(client, on, ended, later, hidden, draft)


async def test_competitions_are_listed_newest_first_and_back(served: Served) -> None:
    first = await served.read("/competitions?limit=3")
    second = await served.read(f"/competitions?limit=3&cursor={first['next']}")
    back = await served.read(f"/competitions?limit=3&cursor={second['prev']}")
    ids = [item["id"] for page in (first, second) for item in page["items"]]

    assert ids == [str(each) for each in (served.live, served.hidden, served.later, served.ended)]
    assert (first["prev"], second["next"], back["items"]) == (None, None, first["items"])
    assert [item["participants"] for item in first["items"]] == [4, 0, 1]
    assert first["items"][0]["pool"] == {"asset": "USD", "amount": 10_000, "text": "100.00"}


async def test_a_list_can_be_narrowed(served: Served) -> None:
    completed = await served.read("/competitions?status=completed")
    games = await served.read("/competitions?product=game")
    none = await served.read("/competitions?status=cancelled")

    assert [item["id"] for item in completed["items"]] == [str(served.later), str(served.ended)]
    assert [item["id"] for item in games["items"]] == [str(served.later)]
    assert (none["items"], none["next"], none["prev"]) == ([], None, None)


async def test_the_terms_say_what_places_pay(served: Served) -> None:
    answer = await served.read(f"/competitions/{served.live}")

    assert [(each["first"], each["last"], each["prize"]["text"]) for each in answer["prizes"]] == [
        *((1, 1, "50.00"), (2, 2, "30.00"), (3, 3, "20.00"))
    ]
    assert (answer["status"], answer["entrants"], answer["qualified"], answer["provisional"]) == ("live", 4, 3, True)
    assert (answer["min_score"], answer["tie_rule"], answer["standings_sha256"]) == (10, "share", None)
    assert len(str(answer["terms_sha256"])) == 64


async def test_live_standings_have_arrows_and_a_line(served: Served) -> None:
    """The first was taken out within the hour, so everybody has risen; the last is below the line."""
    answer = await served.read(f"/competitions/{served.live}/standings")

    assert [(row["place"], row["rank"], row["score"], row["trend"]) for row in answer["items"]] == [
        *((1, 1, 40, 1), (2, 2, 30, 1), (3, 3, 20, 1), (4, None, 9, None)),
    ]
    assert [row["prize"]["amount"] for row in answer["items"]] == [5_000, 3_000, 2_000, 0]
    assert {row["name"] for row in answer["items"]} == {"pla***"}
    assert (answer["of"], answer["stale"], answer["provisional"]) == (4, False, True)


async def test_ranks_stay_right_when_the_listener_is_lost(
    served: Served, cluster: embedded.Cluster, worker_id: str
) -> None:
    """Whoever reads asks the database what has changed, and needs no notice of it."""
    name = f"palio_competitions_{worker_id}"
    other = Database(cluster.dsn("palio_app", name))
    await other.pool.open(wait=True)
    try:
        async with other.begin(SYSTEM) as tx:
            on = await live(tx, NOON, ends_at=clock.now() + timedelta(days=9))
            crowd = await enter(tx, on, 3, NOON, linked=False)
            await score(tx, on, crowd, [30, 20, 10], NOON)
            board = NewBoard("test.ears", "Ears", "points", periods=("ALL",))
            await competitions.ensure_board(tx, new=board)
            [who] = await competitions.enter_many(tx, [NewEntrant("player", str(new_id()), None, "One")])
            await competitions.submit_many(tx, [Submission(None, who, 5, "a", NOON, board=board.code)], now=NOON)
        addresses = (f"/competitions/{on}/standings", f"/boards/{board.code}/all")
        before = [await served.read(address) for address in addresses]
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            lost = admin.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = %s and query like 'listen %%'""",
                [name],
            ).fetchall()
        async with other.begin(SYSTEM) as tx:
            await score_again(tx, on, crowd[2], 100)
            await competitions.submit_many(tx, [Submission(None, who, 6, "b", NOON, board=board.code)], now=NOON)
        standings = await served.read(addresses[0])
        told = [(await served.read(addresses[1]))["items"][0]["score"]]
        while told[-1] != 11 and len(told) < 40:  # a first page is told for a quarter of a second
            await asyncio.sleep(0.05)
            told.append((await served.read(addresses[1]))["items"][0]["score"])
    finally:
        await other.pool.close()

    assert lost == [(True,)]
    assert told[-1] == 11
    assert [row["score"] for row in before[0]["items"]] == [30, 20, 10] and before[1]["items"][0]["score"] == 5
    assert [(row["rank"], row["score"]) for row in standings["items"]] == [(1, 110), (2, 30), (3, 20)]


async def score_again(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, delta: int) -> None:
    await competitions.submit_many(tx, [Submission(competition_id, entrant, delta, "again", NOON)], now=NOON + HOUR)


async def test_frozen_standings_are_read_page_by_page(served: Served) -> None:
    first = await served.read(f"/competitions/{served.ended}/standings?limit=2")
    second = await served.read(f"/competitions/{served.ended}/standings?limit=2&cursor={first['next']}")
    rows = [*first["items"], *second["items"]]

    assert [(row["place"], row["rank"], row["display"], row["prize"]["amount"]) for row in rows] == [
        *((1, 1, "9.00", 5_000), (2, 2, "7.00", 2_500), (3, 2, "7.00", 2_500), (4, None, "0.00", 0)),
    ]
    assert (second["next"], first["as_of"], first["provisional"]) == (None, "2026-03-20T18:00:00.000000Z", False)


async def test_rewards_are_shown_as_soon_as_the_terms_allow(served: Served) -> None:
    won = await served.read(f"/competitions/{served.ended}/rewards?limit=2")
    rest = await served.read(f"/competitions/{served.ended}/rewards?limit=2&cursor={won['next']}")
    running_one = await served.read(f"/competitions/{served.live}/rewards")
    secret = await served.client.get(f"/api/v1/competitions/{served.hidden}/rewards")

    assert [(row["place"], row["prize"]["amount"], row["status"]) for row in (*won["items"], *rest["items"])] == [
        *((1, 5_000, "unclaimed"), (2, 2_500, "unclaimed"), (3, 2_500, "unclaimed")),
    ]
    assert (rest["next"], running_one["items"]) == (None, [])
    assert (secret.status_code, secret.json()["code"]) == (404, "competitions.results_hidden")


async def test_the_archive_has_the_form_of_the_sources(served: Served) -> None:
    both = await served.read("/competitions/archive")
    march = await served.read("/competitions/archive?year=2026&month=3")
    games = await served.read("/competitions/archive?product=game")
    [ended] = march["items"]

    assert [item["id"] for item in both["items"]] == [str(served.later), str(served.ended)]
    assert [item["id"] for item in games["items"]] == [str(served.later)]
    assert (ended["month"], ended["year"], ended["prize_pool"]["amount"], ended["status"]) == (
        3,
        2026,
        10_000,
        "completed",
    )
    assert (ended["start_date"], ended["end_date"]) == ("2026-03-20T12:00:00.000000Z", "2026-03-20T17:00:00.000000Z")
    assert (ended["total_wagered"], ended["participant_count"]) == (2_300, 4)
    assert [(each["place"], each["rank"], each["score"], each["prize"]) for each in ended["participants"]] == [
        *((1, 1, 900, 5_000), (2, 2, 700, 2_500), (3, 2, 700, 2_500), (4, None, 0, 0)),
    ]


@pytest.mark.parametrize("rest", ["", "/standings", "/rewards"])
async def test_a_draft_is_nobodys_business(served: Served, rest: str) -> None:
    answer = await served.client.get(f"/api/v1/competitions/{served.draft}{rest}")
    stranger = await served.client.get(f"/api/v1/competitions/{new_id()}{rest}")

    assert (answer.status_code, answer.json()["code"]) == (404, "competitions.no_such_competition")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "competitions.no_such_competition")


async def test_lists_are_tables_too_and_unchanged_answers_are_not_sent_again(served: Served) -> None:
    table = await served.client.get(f"/api/v1/competitions/{served.ended}/standings.csv")
    answer = await served.client.get("/api/v1/competitions/archive")
    again = await served.client.get("/api/v1/competitions/archive", headers={"If-None-Match": answer.headers["etag"]})

    assert table.text.splitlines()[1].startswith("1,1,")
    assert (answer.headers["cache-control"], again.status_code) == ("public, max-age=5", 304)
