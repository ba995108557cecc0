"""A race between the two real captures, as the API and the pages show it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from palio.infra import embedded
from palio.kernel import clock
from tests.factories.races import EXPECTED, at, feed, race, run, setup_r
from tests.journeys.product import running
from tests.ui.house import SYSTEM

BASELINE, FINAL = "02ba421e", "943a4a90"


@pytest.fixture(scope="module")
async def client(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx2.AsyncClient]:
    """The product after one race: settled, its prizes waiting for their winners."""
    async with running(cluster, f"palio_race_{worker_id}", tmp_path_factory.mktemp("data")) as product:
        async with product.wiring.database.begin(SYSTEM) as tx:
            await setup_r(tx, min_wager_micro=10_000_000)
            await run(tx, at("20:30:00"))
            source, soon = await feed(tx), clock.now() + timedelta(hours=1)
            await race(tx, source, clock.now(), starts_at=soon, ends_at=soon + timedelta(days=7), backdated_reason=None)
        async with httpx2.AsyncClient(base_url=product.base, timeout=10) as client:
            yield client


async def test_the_api_tells_the_terms_and_both_pictures(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/races/1")
    told = answer.json()

    assert answer.status_code == 200 and answer.headers["etag"].startswith('W/"')
    assert (told["number"], told["status"], told["stale"], told["provisional"]) == (1, "completed", False, False)
    assert (told["starts_at"], told["ends_at"]) == ("2025-03-26T08:30:00.000000Z", "2025-03-26T20:00:00.000000Z")
    assert told["start_picture"]["payload_sha256"].startswith(BASELINE)
    assert told["final_picture"]["payload_sha256"].startswith(FINAL)
    assert told["pool"] == {"asset": "USD", "amount": 50_000, "text": "500.00"}
    assert told["undistributed"] == {"asset": "USD", "amount": 3_750, "text": "37.50"}
    assert (told["prizes"][0]["first"], told["prizes"][0]["prize"]["text"]) == (1, "250.00")
    assert (told["entrants"], told["qualified"], told["backdated_reason"]) == (13, 7, "announced in the chat")


async def test_the_standings_are_those_of_the_captures(client: httpx2.AsyncClient) -> None:
    """Seven rank, six stand below the line; names nobody has linked are masked."""
    answer = (await client.get("/api/v1/races/1/standings")).json()
    shown = [*answer["items"], *answer["below_line"]]
    totals = [row["delta_all_time"].replace(".", "") for row in EXPECTED["ranking"]]

    assert [row["total_micro"] for row in shown] == [int(total) for total in totals]
    assert [row["rank"] for row in answer["items"]] == [1, 2, 3, 4, 5, 6, 7]
    assert {row["rank"] for row in answer["below_line"]} == {None}
    assert [row["prize_now"]["amount"] for row in answer["items"]] == [25000, 7500, 5000, 2500, 2500, 1875, 1875]
    assert {row["name"] for row in shown} == {"pla***"}
    assert shown[1]["gap_micro"] == shown[0]["total_micro"] - shown[1]["total_micro"]
    assert (answer["next"], answer["prev"], answer["stale"]) == (None, None, False)


async def test_the_first_lines_alone_can_be_asked_for(client: httpx2.AsyncClient) -> None:
    answer = (await client.get("/api/v1/races/1/standings?limit=3")).json()

    assert [row["rank"] for row in answer["items"]] == [1, 2, 3] and answer["below_line"] == []


async def test_the_page_shows_the_same(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/races/1")).text
    home = (await client.get("/")).text

    for words in ("Spring race", "$155.53", "$250.00", "prize waiting", "Not ranked", BASELINE, FINAL, "$37.50"):
        assert words in page
    assert "Spring race" in home and 'href="/races/1"' in home


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/races/999", 404, "races.no_such_race"),
        ("/api/v1/races/999/standings", 404, "races.no_such_race"),
        ("/api/v1/races/0", 404, "not_found"),
        ("/api/v1/races/9223372036854775808", 404, "not_found"),
        ("/api/v1/races/one", 404, "not_found"),
        ("/api/v1/races/2/standings", 409, "races.not_started"),
        ("/races/999", 404, "races.no_such_race"),
        ("/api/v1/races/1/standings?limit=201", 422, "validation_failed"),
        ("/api/v1/races/1/standings?sort=name", 422, "unknown_parameter"),
    ],
)
async def test_what_is_not_there_is_refused(client: httpx2.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_every_example_of_the_description_has_the_shape_of_its_answer(client: httpx2.AsyncClient) -> None:
    """What a call really answers has exactly the fields that its example shows."""
    document = (await client.get("/api/v1/openapi.json")).json()
    examples = {
        path: call["get"]["responses"]["200"]["content"]["application/json"]["example"]
        for path, call in document["paths"].items()
        if "application/json" in call["get"]["responses"]["200"]["content"]
    }

    assert examples.keys() == {"/api/v1/races/{number}", "/api/v1/races/{number}/standings"}
    for path, example in examples.items():
        answer = (await client.get(path.replace("{number}", "1"))).json()
        assert answer.keys() == example.keys()
        assert [row.keys() for row in answer.get("items", [])[:1]] == [row.keys() for row in example.get("items", [])]


async def test_the_instance_says_how_it_is(client: httpx2.AsyncClient) -> None:
    alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "failing": []})
