"""A race between the two real captures, as the API and the pages show it."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import psycopg
import pytest

from palio.infra import embedded, ratelimit, settings
from palio.kernel import clock
from palio.races.web import routes as races_routes
from tests.conftest import PATIENCE_S
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
            many = settings.Change(ratelimit.ANONYMOUS_PER_MINUTE, 1_000_000)
            await settings.change(tx, SYSTEM, [many], "these tests ask more than a reader does")
            await settings.snapshot.load(tx)
        async with httpx2.AsyncClient(base_url=product.base, timeout=PATIENCE_S) as client:
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


async def test_a_race_is_the_same_as_a_competition(client: httpx2.AsyncClient) -> None:
    race = (await client.get("/api/v1/races/1")).json()
    competition = (await client.get(f"/api/v1/competitions/{race['id']}")).json()
    board = (await client.get("/api/v1/races/1/standings")).json()
    standings = (await client.get(f"/api/v1/competitions/{race['id']}/standings")).json()
    lines = [*board["items"], *board["below_line"]]

    for name in ("title", "status", "starts_at", "pool", "undistributed", "entrants", "terms_sha256"):
        assert competition[name] == race[name]
    assert competition["prizes"] == [{**prize, "open": False} for prize in race["prizes"]]
    for name in ("rank", "place", "entrant_id", "name"):
        assert [row[name] for row in standings["items"]] == [line[name] for line in lines]
    assert [row["score"] for row in standings["items"]] == [line["total_micro"] for line in lines]
    assert [row["prize"] for row in standings["items"]] == [line["prize_now"] for line in lines]


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


async def test_the_board_is_walked_by_place_there_and_back(client: httpx2.AsyncClient) -> None:
    """Places run on, the gap reaches over the border of a page, and the way back shows the same."""
    whole = (await client.get("/api/v1/races/1/standings")).json()
    shown, cursor = [], ""
    while cursor is not None:
        answer = (await client.get(f"/api/v1/races/1/standings?limit=5&cursor={cursor}")).json()
        shown.append([*answer["items"], *answer["below_line"]])
        cursor, back = answer["next"], answer["prev"]
    before = (await client.get(f"/api/v1/races/1/standings?limit=5&cursor={back}")).json()

    assert [len(part) for part in shown] == [5, 5, 3]
    assert [row for part in shown for row in part] == [*whole["items"], *whole["below_line"]]
    assert [*before["items"], *before["below_line"]] == shown[1]


async def test_races_are_listed_and_narrowed(
    client: httpx2.AsyncClient, cluster: embedded.Cluster, worker_id: str
) -> None:
    with psycopg.connect(cluster.dsn("postgres", f"palio_race_{worker_id}")) as conn:
        (code,) = conn.execute("select code from affiliates.programmes order by id limit 1").fetchone()  # the older one
    every = (await client.get("/api/v1/races")).json()
    first = (await client.get("/api/v1/races?limit=1")).json()
    older = (await client.get(f"/api/v1/races?limit=1&cursor={first['next']}")).json()
    newer = (await client.get(f"/api/v1/races?limit=1&cursor={older['prev']}")).json()
    coming = (await client.get("/api/v1/races?state=upcoming")).json()
    by_programme = (await client.get(f"/api/v1/races?programme={code}")).json()

    assert [(row["number"], row["status"], row["participants"]) for row in every["items"]] == [
        (2, "upcoming", 0),
        (1, "completed", 13),
    ]
    assert [row["number"] for row in (*first["items"], *older["items"])] == [2, 1]
    assert (first["prev"], older["next"], newer) == (None, None, first)
    assert [row["number"] for row in coming["items"]] == [2]
    assert [row["number"] for row in by_programme["items"]] == [1]


async def test_the_race_before_is_told_and_that_none_is_on(client: httpx2.AsyncClient) -> None:
    previous, one = await client.get("/api/v1/races/previous"), await client.get("/api/v1/races/1")
    current = await client.get("/api/v1/races/current")

    assert previous.json() == one.json()
    assert (current.status_code, current.json()["code"], current.json()["facts"]) == (
        404,
        "races.none_now",
        {"state": "live"},
    )


async def test_the_archive_keeps_what_happened(client: httpx2.AsyncClient) -> None:
    """By year and month; the winners by their public names, both payloads by their hash."""
    kept = (await client.get("/api/v1/races/history?year=2025&month=3")).json()
    none = (await client.get("/api/v1/races/history?year=2025&month=4")).json()
    row = kept["items"][0]

    assert none == {"items": [], "next": None, "prev": None}
    assert (row["number"], row["year"], row["month"], row["participants"]) == (1, 2025, 3, 13)
    assert (row["total_micro"], row["currency"], row["winners"]) == (450_299_844, "USD", ["pla***"])
    assert row["start_payload_sha256"].startswith(BASELINE) and row["final_payload_sha256"].startswith(FINAL)
    assert row["standings_sha256"] == (await client.get("/api/v1/races/1")).json()["standings_sha256"]


async def test_the_prizes_say_what_became_of_them(client: httpx2.AsyncClient) -> None:
    won = (await client.get("/api/v1/races/1/prizes")).json()

    assert [row["place"] for row in won["items"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["prize"]["amount"] for row in won["items"]] == [25000, 7500, 5000, 2500, 2500, 1875, 1875]
    assert {(row["status"], row["name"]) for row in won["items"]} == {("unclaimed", "pla***")}
    assert all(row["claim_by"] for row in won["items"]) and won["next"] is None


async def test_the_history_of_an_entrant_adds_up_to_his_total(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/api/v1/races/1/standings?limit=1")).json()["items"][0]
    told = (await client.get(f"/api/v1/races/1/entrants/{first['entrant_id']}/history")).json()

    assert [(row["n"], row["kind"], row["note"]) for row in told["items"]] == [(1, "score", None)]
    assert told["items"][0]["delta_micro"] == told["items"][0]["total_micro"] == first["total_micro"]


async def test_the_board_is_a_table_too(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/races/1/standings", headers={"accept": "text/csv"})
    lines = answer.text.split("\r\n")

    assert lines[0].startswith("rank,place,entrant_id,name,total_micro,gap_micro,prize_now_asset,prize_now_amount")
    assert len(lines) == 9 and lines[1].startswith("1,1,") and lines[-1] == ""
    assert answer.text == (await client.get("/api/v1/races/1/standings.csv")).text


PLACES = [{"number": number, "entrant_id": entrant_id} for number in ("1", "2", "3") for entrant_id in ("1", "999999")]


NOBODYS = "01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44"


def addresses() -> list[str]:
    """Every page and call of races, for a race that is over, one to come and one that nobody made."""
    paths = [re.sub(r":(int|uuid)}", "}", route.path) for route in races_routes.all]
    return sorted({"/", *(path.format(**place, competition_id=NOBODYS) for path in paths for place in PLACES)})


TABLES = """
    select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relispartition
      and relnamespace::regnamespace::text in ('races', 'competitions', 'ledger') order by oid"""


def digests(conn: psycopg.Connection) -> dict[str, object]:
    """What every table of races, competitions and ledger holds."""
    tables = [name for (name,) in conn.execute(TABLES).fetchall()]
    return {
        name: conn.execute(f"select count(*), md5(string_agg(t::text, ',' order by t::text)) from {name} t").fetchone()  # noqa: S608 - names of the catalogue
        for name in tables
    }


@pytest.mark.parametrize("times", [4, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_reading_writes_nothing(
    client: httpx2.AsyncClient, cluster: embedded.Cluster, worker_id: str, times: int
) -> None:
    """Every address so often, as page, call and table: no row of races, competitions or ledger is another."""
    found = addresses()
    assert len(found) > 50 and "/api/v1/races/1/standings.csv" in found and "/races/1/entrants/1" in found
    with psycopg.connect(cluster.dsn("postgres", f"palio_race_{worker_id}"), autocommit=True) as conn:
        before = digests(conn)
        codes = {path: {(await client.get(path)).status_code for _ in range(times)} for path in found}
        after = digests(conn)

    assert before == after and before["competitions.rewards"][0] == 7
    assert {path: code for path, code in codes.items() if not code <= {200, 401, 404, 409} or len(code) > 1} == {}


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
        ("/api/v1/races/2/prizes", 409, "races.not_started"),
        ("/api/v1/races/1/entrants/999999/history", 404, "races.no_such_entrant"),
        ("/api/v1/races?programme=none", 404, "affiliates.programme_unknown"),
        ("/api/v1/races?state=open", 422, "validation_failed"),
        ("/api/v1/races/history?month=13", 422, "validation_failed"),
        ("/api/v1/races/1/standings?limit=201", 422, "validation_failed"),
        ("/api/v1/races/1/standings?sort=name", 422, "unknown_parameter"),
    ],
)
async def test_what_is_not_there_is_refused(client: httpx2.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


OURS = ("/api/v1/races", "/api/v1/competitions")
OF_PLAYERS = re.compile("/me|/appeals|competition_id}/standings/around")


async def test_every_example_of_the_description_has_the_shape_of_its_answer(client: httpx2.AsyncClient) -> None:
    """What a call really answers has exactly the fields that its example shows."""
    document = (await client.get("/api/v1/openapi.json")).json()
    examples = {
        path: call["get"]["responses"]["200"]["content"]["application/json"]["example"]
        for path, call in document["paths"].items()
        if path.startswith(OURS)
        and not OF_PLAYERS.search(path)
        and "get" in call
        and "application/json" in call["get"]["responses"]["200"]["content"]
    }

    first = (await client.get("/api/v1/races/1/standings?limit=1")).json()["items"][0]["entrant_id"]
    race = (await client.get("/api/v1/races/1")).json()["id"]
    ids = {"{number}": "1", "{entrant_id}": str(first), "{competition_id}": race}
    assert len(examples) == 13
    for path, example in examples.items():
        if path == "/api/v1/races/current":
            continue  # none is on; its answer is that of every race
        address = re.sub(r"{\w+}", lambda name: ids[name[0]], path)
        answer = (await client.get(address)).json()
        assert answer.keys() == example.keys(), path
        assert [row.keys() for row in answer.get("items", [])[:1]] == [row.keys() for row in example.get("items", [])]


async def test_the_instance_says_how_it_is(client: httpx2.AsyncClient) -> None:
    alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "failing": []})
