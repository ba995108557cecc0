"""Scores by programs over HTTP, and what players read of themselves afterwards."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from palio import competitions, identity
from palio.competitions.types import Admission, CompetitionId, NewBoard
from palio.identity.service import friends
from palio.infra import db
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.factories.competitions import HOUR, live
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import BOB, caller
from tests.ui.product import product

PROGRAM = caller("player", BOB, permissions="competitions.score.submit", scopes="competitions:write", is_service=True)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


@pytest.fixture
async def board(database: Database) -> str:
    """A board of its own for each test."""
    code = f"test.{new_id().hex[-12:]}"
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(code, "Test", "points", score_scale=1, periods=("M", "ALL")))
    return code


async def people(database: Database, count: int) -> list[UserId]:
    async with database.begin(SYSTEM) as tx:
        made = [
            await identity.create(tx, username=f"walker-{new_id().hex[-12:]}", now=clock.now(), reason="walks")
            for _ in range(count)
        ]
    return [user.id for user in made]


def score(user: UserId, delta: int, key: str = "k", **more: object) -> dict[str, object]:
    now = clock.now().replace(microsecond=0)
    plain = {"entrant": f"user:{user}", "delta": delta, "key": key, "happened_at": (now - HOUR).isoformat()}
    return plain | more


async def count_receipts(database: Database, board: str) -> int:
    async with database.begin(SYSTEM) as tx:
        found = """select count(*) from competitions.receipts r join competitions.lists l on l.id = r.list_id
            join competitions.boards b on b.id = l.board_id where b.code = %s"""
        return int(await db.value(tx, found, board))


async def test_a_score_is_told_with_the_ranks_it_has_led_to(
    client: httpx2.AsyncClient, database: Database, board: str
) -> None:
    anna, bert = await people(database, 2)
    path = f"/api/v1/boards/{board}/scores"
    body = score(anna, 50)
    first = await client.post(path, json=body, headers=PROGRAM)
    second = await client.post(path, json=score(bert, 70), headers=PROGRAM)
    again = await client.post(path, json=body, headers=PROGRAM)
    other = await client.post(path, json=body | {"delta": 51}, headers=PROGRAM)
    month = f"M:{clock.now():%Y-%m}" if clock.now().day > 1 else next(iter(first.json()["lists"]))

    assert (first.status_code, second.status_code) == (200, 200), first.text
    assert first.json() == {
        "score": 50,
        "lists": {month: {"score": 50, "rank": 1}, "ALL": {"score": 50, "rank": 1}},
        "replayed": False,
        "skipped": [],
    }
    assert (again.json()["replayed"], again.json()["lists"]["ALL"]) == (True, {"score": 50, "rank": 2})
    assert (other.status_code, other.json()["code"]) == (409, "competitions.key_mismatch")
    assert other.json()["facts"]["stored"] == 50
    assert await count_receipts(database, board) == 4


async def test_a_batch_answers_each_item_in_its_order(
    client: httpx2.AsyncClient, database: Database, board: str
) -> None:
    anna, bert = await people(database, 2)
    same = score(anna, 5, "a")
    items: list[Any] = [
        same,
        score(bert, 7, "b"),
        same,
        score(anna, 5, "c") | {"delta": 1.5},
        score(UserId(new_id()), 5, "d"),
        {"entrant": "user:1"},
        "nothing",
        score(anna, 5, "e", surprise=1),
        score(bert, 1, "f", happened_at=(clock.now() + HOUR).isoformat()),
    ]

    answer = await client.post(f"/api/v1/boards/{board}/scores/batch", json={"items": items}, headers=PROGRAM)

    results = answer.json()["results"]
    assert answer.status_code == 200, answer.text
    assert [result["index"] for result in results] == list(range(9))
    assert [result["ref"] for result in results] == ["a", "b", "a", "c", "d", None, None, "e", "f"]
    codes = [result["problem"]["code"] if "problem" in result else result["status"] for result in results]
    assert codes == [
        *("ok", "ok", "duplicate", "validation_failed", "competitions.no_such_entrant", "validation_failed"),
        *("validation_failed", "unknown_field", "competitions.outside_window"),
    ]
    assert results[3]["problem"]["errors"][0]["pointer"] == "/items/3/delta"
    assert answer.json()["counts"] == {"ok": 2, "duplicate": 1, "refused": 6}
    assert results[0]["data"]["lists"]["ALL"] == {"score": 5, "rank": 2}
    lines = "\n".join(json.dumps(item) for item in items)
    as_lines = PROGRAM | {"content-type": "application/x-ndjson"}
    again = await client.post(f"/api/v1/boards/{board}/scores/batch", content=lines, headers=as_lines)
    assert [result["ref"] for result in again.json()["results"]] == [result["ref"] for result in results]
    assert again.json()["counts"] == {"ok": 0, "duplicate": 3, "refused": 6}


async def test_all_or_none(client: httpx2.AsyncClient, database: Database, board: str) -> None:
    (anna,) = await people(database, 1)
    path, good = f"/api/v1/boards/{board}/scores/batch", score(anna, 5, "a")
    body = {"mode": "all", "items": [good, score(UserId(new_id()), 5, "b")]}

    refused = await client.post(path, json=body, headers=PROGRAM)
    kept = await count_receipts(database, board)
    done = await client.post(path, json={"mode": "all", "items": [good]}, headers=PROGRAM)

    assert (refused.status_code, refused.json()["code"], kept) == (409, "batch_refused", 0)
    assert [result["status"] for result in refused.json()["facts"]["results"]] == ["ok", "refused"]
    assert (done.status_code, await count_receipts(database, board)) == (200, 2)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"delta": 9_000_000_000_000_001}, 422, "validation_failed"),
        ({"delta": 1, "key": ""}, 422, "validation_failed"),
        ({"delta": 1, "happened_at": "2026-03-18T12:00:00"}, 422, "time_zone_required"),
        ({"delta": 1, "happened_at": 5}, 422, "validation_failed"),
        ({"delta": 1, "entrant": "anna"}, 422, "validation_failed"),
        ({"delta": 1, "value": 1}, 422, "competitions.invalid"),
        ({"delta": 1, "kind": "adjust"}, 422, "validation_failed"),
        ({"delta": 1, "facts": {"share": 0.5}}, 422, "competitions.invalid"),
    ],
)
async def test_what_is_no_score_is_refused_and_changes_nothing(
    client: httpx2.AsyncClient, database: Database, board: str, body: dict[str, object], status: int, code: str
) -> None:
    (anna,) = await people(database, 1)

    answer = await client.post(f"/api/v1/boards/{board}/scores", json=score(anna, 1) | body, headers=PROGRAM)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await count_receipts(database, board) == 0


@pytest.mark.parametrize(
    ("written", "status"),
    [
        *((word, 400) for word in ("NaN", "Infinity", "-Infinity", "1_000", "+5", "05")),
        *(
            (word, 422)
            for word in ('"NaN"', '"sNaN"', '"Infinity"', '"1e400"', "1e400", '"1_000"', '"\uff15"', "true", "5.5")
        ),
        *((word, 422) for word in ("null", "[5]", '"5"', "1e3")),
    ],
)
@pytest.mark.parametrize("path", ["scores", "scores/batch"])
async def test_what_is_no_number_leaves_nothing_and_the_board_answers_afterwards(
    client: httpx2.AsyncClient, database: Database, board: str, written: str, status: int, path: str
) -> None:
    """By the letter of the body, alone and beside a sound one, which a batch takes."""
    (anna,) = await people(database, 1)
    sound, odd = (
        json.dumps(score(anna, 1, "sound")),
        json.dumps(score(anna, 77, "odd")).replace('"delta": 77', f'"delta": {written}'),
    )
    body = odd if path == "scores" else f'{{"items": [{sound}, {odd}]}}'
    headers = {**PROGRAM, "content-type": "application/json"}
    answer = await client.post(f"/api/v1/boards/{board}/{path}", content=body.encode(), headers=headers)
    shown = await client.get(f"/api/v1/boards/{board}/all")

    is_read = path == "scores/batch" and status == 422
    assert answer.status_code == (200 if is_read else status), answer.text
    if is_read:
        assert [each["status"] for each in answer.json()["results"]] == ["ok", "refused"]
    assert await count_receipts(database, board) == (2 if is_read else 0)
    assert (shown.status_code, [each["score"] for each in shown.json()["items"]]) == (200, [1] if is_read else [])


async def test_an_unknown_board_is_refused_before_anybody_is_met(
    client: httpx2.AsyncClient, database: Database
) -> None:
    (anna,) = await people(database, 1)

    answer = await client.post("/api/v1/boards/nothing/scores", json=score(anna, 1), headers=PROGRAM)

    assert (answer.status_code, answer.json()["code"]) == (404, "competitions.no_such_board")


async def test_one_reads_where_one_stands_and_what_is_lacking(
    client: httpx2.AsyncClient, database: Database, board: str
) -> None:
    crowd = await people(database, 4)
    for user, points in zip(crowd, (90, 70, 70, 10), strict=True):
        await client.post(f"/api/v1/boards/{board}/scores", json=score(user, points), headers=PROGRAM)
    last, second = caller("player", crowd[3]), caller("player", crowd[1])

    mine = (await client.get(f"/api/v1/boards/{board}/all/me", headers=last)).json()
    tied = (await client.get(f"/api/v1/boards/{board}/all/me", headers=second)).json()
    stranger = await client.get(f"/api/v1/boards/{board}/all/me", headers=caller("player", UserId(new_id())))
    nobody = await client.get(f"/api/v1/boards/{board}/all/me")
    around = await client.get(f"/api/v1/boards/{board}/all/around?entrant={mine['entrant']}&radius=1")

    assert (mine["rank"], mine["of"], mine["display"], mine["next"]) == (4, 4, "1.0", {"rank": 2, "gap": 60})
    assert (tied["rank"], tied["ties"], tied["percentile"], tied["next"]) == (2, 2, 75, {"rank": 1, "gap": 20})
    assert (stranger.status_code, stranger.json()["code"]) == (404, "competitions.not_on_board")
    assert nobody.status_code == 401
    assert [line["score"] for line in around.json()["items"]] == [70, 10]


async def test_a_board_keeps_its_tag_until_a_score_changes(
    client: httpx2.AsyncClient, database: Database, board: str
) -> None:
    anna, bert = await people(database, 2)
    path = f"/api/v1/boards/{board}/all"
    await client.post(f"/api/v1/boards/{board}/scores", json=score(anna, 5), headers=PROGRAM)
    first = await client.get(path)
    same = await client.get(path, headers={"if-none-match": first.headers["etag"]})
    await client.post(f"/api/v1/boards/{board}/scores", json=score(bert, 5), headers=PROGRAM)
    changed = await client.get(path, headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, same.status_code, changed.status_code) == (200, 304, 200)
    assert (first.json()["of"], changed.json()["of"]) == (1, 2)
    assert changed.json()["version"] > first.json()["version"]


@pytest.fixture
async def race(database: Database) -> tuple[CompetitionId, list[UserId], datetime]:
    """Four players in a competition of the last hours; below ten points nobody qualifies."""
    began = clock.now() - HOUR
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, began, min_score=10)
    users = await people(database, 4)
    async with database.begin(SYSTEM) as tx:
        await competitions.admit_many(
            tx,
            [Admission(competition_id, "user", str(user), user) for user in users],
            now=began,
        )
    return competition_id, users, began


async def test_scores_of_a_competition_and_ones_own_receipts(
    client: httpx2.AsyncClient, database: Database, race: tuple[CompetitionId, list[UserId], datetime]
) -> None:
    competition_id, users, began = race
    path = f"/api/v1/competitions/{competition_id}"
    at = (began + timedelta(minutes=5)).isoformat()
    items = [
        score(user, points, f"k{n}", happened_at=at)
        for n, (user, points) in enumerate(zip(users, (90, 40, 40, 9), strict=True))
    ]
    items.append(score(users[3], -1, "less", kind="correction", happened_at=at, facts={"cause": "recount"}))
    batch = await client.post(f"{path}/scores/batch", json={"items": items}, headers=PROGRAM)
    stranger = await client.post(
        f"{path}/scores", json=score((await people(database, 1))[0], 5, happened_at=at), headers=PROGRAM
    )
    below, tied = caller("player", users[3]), caller("player", users[2])

    mine = (await client.get(f"{path}/standings/me", headers=below)).json()
    other = (await client.get(f"{path}/standings/me", headers=tied)).json()
    around = (await client.get(f"{path}/standings/around?radius=1", headers=tied)).json()
    receipts = (await client.get(f"{path}/receipts/me?limit=1", headers=below)).json()
    older = (await client.get(f"{path}/receipts/me?limit=1&cursor={receipts['next']}", headers=below)).json()
    outside = await client.get(f"{path}/standings/me", headers=caller("player", UserId(new_id())))

    assert batch.json()["counts"] == {"ok": 5, "duplicate": 0, "refused": 0}
    assert batch.json()["results"][1]["data"]["lists"] == {"ALL": {"score": 40, "rank": 2}}
    assert batch.json()["results"][4]["data"]["lists"] == {"ALL": {"score": 8, "rank": None}}
    assert (stranger.status_code, stranger.json()["code"]) == (404, "competitions.no_such_entrant")
    assert (mine["rank"], mine["place"], mine["qualified"], mine["gap_to_qualify"]) == (None, 4, False, 2)
    assert (other["rank"], other["ties"], other["next"], other["percentile"]) == (2, 2, {"rank": 1, "gap": 50}, 66)
    assert [line["score"] for line in around["items"]] == [40, 40, 8]
    assert [(item["number"], item["delta"], item["total"], item["kind"]) for item in receipts["items"]] == [
        (2, -1, 8, "correction")
    ]
    assert receipts["items"][0]["facts"] == {"cause": "recount"}
    assert [(item["number"], item["total"]) for item in older["items"]] == [(1, 9)]
    assert (receipts["prev"], older["next"]) == (None, None)
    newer = await client.get(f"{path}/receipts/me?limit=1&cursor={older['prev']}", headers=below)
    upwards = await client.get(f"{path}/receipts/me?sort=number", headers=below)
    assert newer.json() == receipts
    assert [item["number"] for item in upwards.json()["items"]] == [1, 2]
    assert (outside.status_code, outside.json()["code"]) == (404, "competitions.not_taking_part")


async def test_a_board_of_a_country(
    client: httpx2.AsyncClient, database: Database, race: tuple[CompetitionId, list[UserId], datetime]
) -> None:
    """Ranks are those of everybody, places too."""
    competition_id, users, began = race
    at = (began + timedelta(minutes=5)).isoformat()
    items = [score(user, 100 - n, f"k{n}", happened_at=at) for n, user in enumerate(users)]
    await client.post(f"/api/v1/competitions/{competition_id}/scores/batch", json={"items": items}, headers=PROGRAM)
    async with database.begin(SYSTEM) as tx:
        of_country = "update competitions.entrants set country = 'NP' where user_id = any(%s)"
        await tx.execute(of_country, ([users[1], users[3]],))

    found = (await client.get(f"/api/v1/competitions/{competition_id}/standings?filter=country:NP")).json()
    wrong = await client.get(f"/api/v1/competitions/{competition_id}/standings?filter=country:np")

    assert [(line["rank"], line["place"], line["score"]) for line in found["items"]] == [(2, 2, 99), (4, 4, 97)]
    assert (found["of"], wrong.status_code) == (2, 422)


async def test_a_board_of_friends(
    client: httpx2.AsyncClient, database: Database, race: tuple[CompetitionId, list[UserId], datetime]
) -> None:
    """Oneself and one's friends, with the ranks that they have among everybody; nobody has friends without a name."""
    competition_id, users, began = race
    at = (began + timedelta(minutes=5)).isoformat()
    items = [score(user, 100 - n, f"k{n}", happened_at=at) for n, user in enumerate(users)]
    await client.post(f"/api/v1/competitions/{competition_id}/scores/batch", json={"items": items}, headers=PROGRAM)
    async with database.begin(SYSTEM) as tx:
        for asking, asked in ((users[3], users[1]), (users[1], users[3])):
            await friends.act(tx, user_id=asking, friend_id=asked, what="ask", now=began)
    path = f"/api/v1/competitions/{competition_id}/standings?filter=friends"

    found = (await client.get(path, headers=caller("player", users[3]))).json()
    alone = (await client.get(path, headers=caller("player", users[0]))).json()
    nobody = await client.get(path)

    assert [(line["rank"], line["score"]) for line in found["items"]] == [(2, 99), (4, 97)]
    assert [(line["rank"], line["score"]) for line in alone["items"]] == [(1, 100)]
    assert (found["of"], nobody.status_code) == (2, 401)
