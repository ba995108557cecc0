"""Races from the terminal: made from a file, moved along, settled, and replayed from two captures."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest

from palio import affiliates, races
from palio.entry import operators, replay
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.errors import Refusal
from tests.entry.conftest import Command
from tests.factories.races import EXPECTED, FIXTURES, T1, T2, Feed, at

BPS = "5000,1500,1000,500,500,375,375,250,250,250"
CAPTURES = [
    *("--baseline", str(FIXTURES / "affiliate_snapshot_T1.json")),
    *("--final", str(FIXTURES / "affiliate_snapshot_T2.json")),
]
AHEAD = {
    "title": "Spring race",
    "starts_at": "2126-03-26T08:30:00Z",
    "ends_at": "2126-03-26T20:00:00Z",
    "pool": "500.00",
}


Spec = Callable[..., Path]


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    """Writes a specification and says where."""
    numbers = count()

    def write(text: str | bytes | None = None, **changes: object) -> Path:
        path = tmp_path / str(next(numbers)) / "race.json"
        path.parent.mkdir()
        body = json.dumps({**AHEAD, **changes}) if text is None else text
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
        return path

    return write


def test_two_captures_are_replayed_in_a_scratch_database(command: Command) -> None:
    """Standings and prizes of two files, to the last digit."""
    done = command("races", "replay", *CAPTURES, "--pool", "500.00", "--prizes", BPS, "--json")

    assert done.status == 0, done.err
    assert list(done.answer) == ["standings", "rewards", "ledger_sum"]
    assert done.answer["standings"] == [
        {"rank": row["rank"], "uid": row["uid"], "name": row["name"], "delta": row["delta_all_time"]}
        for row in EXPECTED["ranking"]
    ]
    amounts = ["250.00", "75.00", "50.00", "25.00", "25.00", "18.75", "18.75", "12.50", "12.50", "12.50"]
    uids = [row["uid"] for row in EXPECTED["ranking"]]
    assert done.answer["rewards"] == [
        {"uid": uid, "amount": amount} for uid, amount in zip(uids, amounts, strict=False)
    ]
    assert done.answer["ledger_sum"] == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--pool", "500.001", "--prizes", BPS], "amount_invalid"),
        (["--pool", "five", "--prizes", BPS], "amount_invalid"),
        (["--pool", "500", "--prizes", "50%"], "prizes_invalid"),
        (["--pool", "500", "--prizes", ""], "prizes_invalid"),
    ],
)
def test_an_option_that_cannot_be_read_is_misuse(command: Command, options: list[str], code: str) -> None:
    done = command("races", "replay", *CAPTURES, *options, "--json")
    assert (done.status, done.answer["code"]) == (64, code)


def test_a_capture_that_is_not_there_is_misuse(command: Command) -> None:
    done = command("races", "replay", "--baseline", "/nowhere", "--final", "/nowhere", "--pool", "1", "--prizes", BPS)
    assert done.status == 64
    assert "/nowhere" in done.err


HALF = json.dumps({"data": json.loads(T2)["data"][: len(json.loads(T2)["data"]) // 3]}).encode()


@pytest.mark.parametrize(
    ("day", "final", "prizes", "code"),
    [
        (1, b"<!doctype html><title>down</title>", BPS, "affiliates.bad_json"),
        (2, b'{"success": false, "data": []}', BPS, "affiliates.upstream_refused"),
        (3, b'{"data": [{"uid": "a", "wagered": {"all_time": NaN}}]}', BPS, "affiliates.bad_json"),
        (4, T2[: len(T2) // 2], BPS, "affiliates.bad_json"),
        (5, HALF, BPS, "races.capture_doubted"),
        (6, b"\xff\xfe", BPS, "affiliates.bad_encoding"),
        (7, T2, "4250,2000,1500,750,600,400,275,225,175,175", "competitions.prize_sum"),
    ],
)
async def test_a_capture_that_cannot_be_believed_is_refused(
    database: Database, tmp_path: Path, day: int, final: bytes, prizes: str, code: str
) -> None:
    """HTML, a refusal of the provider, NaN, half a body, a third of the list, bands of 103.5 %: no race comes of it."""
    async with database.begin(operators.actor()) as tx:
        before = len(await races.recent(tx, limit=200))
    with pytest.raises(Refusal) as refused:
        await replay.replay(
            database,
            Storage(tmp_path),
            baseline=T1,
            final=final,
            pool=50_000,
            prize_rule=races.by_place([int(value) for value in prizes.split(",")]),
            now=datetime(2025, 5, 1, tzinfo=UTC) + timedelta(days=day),
        )
    assert refused.value.code == code
    assert len(refused.value.detail) > 20
    async with database.begin(operators.actor()) as tx:
        assert len(await races.recent(tx, limit=200)) == before


def test_a_file_that_holds_no_race_is_refused_naming_the_place(command: Command, spec: Spec) -> None:
    """Nothing is made of HTML, NaN, an unknown field, prizes of 103.5 %, a programme or asset that is not there."""
    cases = [
        (spec("<html>"), "races.spec_invalid", "race.json"),
        (spec('{"pool": NaN}'), "races.spec_invalid", "NaN"),
        (spec('{"title": "One", "title": "Other"}'), "races.spec_invalid", "twice"),
        (spec(b"\xff\xfe"), "races.spec_invalid", "race.json"),
        (spec(colour="red"), "races.spec_invalid", "colour"),
        (spec(starts_at="2126-03-26T08:30:00"), "races.spec_invalid", "offset"),
        (spec(prizes=[99.995, 0.005]), "races.prize_precision", "99.995"),
        (spec(ends_at="2126-03-26T08:31:00Z"), "races.window", "08:31"),
        (spec(pool={"asset": "XYZ", "amount": 5}), "races.spec_invalid", "XYZ"),
        (spec(programme="nobody"), "affiliates.programme_unknown", "nobody"),
    ]
    for path, code, told in cases:
        done = command("races", "create", "--spec", str(path), "--json")
        assert (done.status, done.answer["code"]) == (1, code)
        assert told in json.dumps(done.answer)
    assert command("races", "list", "--json").answer == {"items": []}
    assert command("races", "list").out == "There is no race.\n"


async def programme(dsn: str, code: str) -> None:
    """A programme with the first capture, applied."""
    database = Database(dsn)
    await database.pool.open(wait=True)
    async with database.begin(operators.actor()) as tx:
        made = await affiliates.ensure_programme(tx, code=code)
        source = Feed(code, made.id, made.upload_feed_id)
        await source.take(tx, T1, at("08:21:15"))
    await database.pool.close()


async def second_capture(dsn: str, code: str) -> None:
    database = Database(dsn)
    await database.pool.open(wait=True)
    async with database.begin(operators.actor()) as tx:
        made = await affiliates.programme(tx, code=code)
        await Feed(code, made.id, made.upload_feed_id).take(tx, T2, at("20:28:00"))
    await database.pool.close()


def corrupt(dsn: str, micro: int) -> None:
    """Somebody changes the best score behind the back of the product."""
    with psycopg.connect(dsn) as conn:
        conn.execute("select set_config('palio.actor_kind', 'system', true)")
        conn.execute("update competitions.scores set score = score + %s where score > 155000000", [micro])


def test_a_backdated_race_is_made_moved_along_and_settled(command: Command, spec: Spec, commands_dsn: str) -> None:
    """Create (first dry), list, tick, standings, settle: each says what it did, in words and as JSON."""
    asyncio.run(programme(commands_dsn, "terminal"))
    window = {"starts_at": "2025-03-26T08:30:00Z", "ends_at": "2025-03-26T20:00:00Z", "review_h": 0}
    path = str(spec(**window, programme="terminal", backdated_reason="announced in the chat"))
    noon = ("--at", "2025-03-26T12:00:00Z")

    tried = command("races", "create", "--spec", path, *noon, "--dry-run")
    assert tried.status == 0
    assert tried.out.startswith("Nothing was changed; this race would be made:\nnumber     -\n")
    assert command("races", "list", "--json").answer == {"items": []}

    made = command("races", "create", "--spec", path, *noon, "--json")
    number = str(made.answer["number"])
    assert (made.status, made.answer["status"], made.answer["pool"]) == (
        0,
        "upcoming",
        {"asset": "USD", "amount": 50000},
    )
    assert made.answer["prizes"][5] == {"first": 6, "last": 7, "amount": 1875} or len(made.answer["prizes"]) == 6
    for word in ("standings", "recompute"):
        early = command("races", word, number, "--json")
        assert (early.status, early.answer["code"]) == (1, "races.not_started")

    ticked = command("races", "tick", *noon)
    assert ticked.out == f"race {number}: started, start picture chosen; now live\n"
    waits = command("races", "settle", number, "--at", "2025-03-26T20:20:00Z", "--json")
    assert (waits.status, waits.answer["code"]) == (1, "races.no_final_picture")
    assert waits.answer["facts"]["due_at"] == "2025-03-26T20:15:00.000000Z"

    asyncio.run(second_capture(commands_dsn, "terminal"))
    after = ("--at", "2025-03-26T20:30:00Z")
    tried = command("races", "settle", number, *after, "--dry-run")
    assert tried.out.splitlines()[0] == "Nothing was changed; this would be done:"
    assert command("races", "tick", *after, "--json").answer["items"][0]["steps"][-1] == "done"
    assert command("races", "tick", *after).out == "Nothing is due.\n"
    again = command("races", "settle", number, *after)
    assert again.out == f"race {number}: nothing to do, nothing was changed; now completed\n"
    assert command("races", "settle", number, *after, "--json").answer["steps"] == []

    proved = command("races", "recompute", number)
    assert (proved.status, proved.out) == (
        0,
        f"All scores of race {number} are what snapshots 1 and 2 say of 127 players.\n",
    )
    corrupt(commands_dsn, 1)
    differs = command("races", "recompute", number, "--json")
    assert (differs.status, differs.answer["players"], differs.answer["start"]["seq"]) == (1, 127, 1)
    assert differs.answer["differences"] == [
        {
            "uid": "UFvzLnjIXxUmSpRkdMP1",
            "name": "player0006",
            "submitted_micro": 155_530_001,
            "recomputed_micro": 155_530_000,
        }
    ]
    assert "155.530001  155.530000" in command("races", "recompute", number).out
    corrupt(commands_dsn, -1)
    rehearsed = command("races", "rehearse", "--spec", path)
    assert rehearsed.out.splitlines()[1].split() == ["1", "UFvzLnjIXxUmSpRkdMP1", "player0006", "155.530000", "25000"]
    assert rehearsed.out.endswith("Undistributed: 0 units.\n")

    shown = command("races", "standings", number, "--json")
    assert [line["uid"] for line in shown.answer["items"]] == [row["uid"] for row in EXPECTED["ranking"]]
    assert shown.answer["items"][0] == {
        "rank": 1,
        "place": 1,
        "uid": "UFvzLnjIXxUmSpRkdMP1",
        "name": "player0006",
        "total": "155.530000",
        "prize": "250.00",
        "reward_status": "unclaimed",
    }
    assert "player0006  155.530000  250.00" in " ".join(command("races", "standings", number).out.split("   "))
    listed = command("races", "list", "--json").answer["items"][0]
    assert (listed["number"], listed["status"], listed["entrants"]) == (int(number), "completed", 13)
    assert "Spring race" in command("races", "list").out
    missing = command("races", "settle", "999999", "--json")
    assert (missing.status, missing.answer["code"]) == (1, "races.no_such_race")


def test_a_series_is_tried_and_refused(command: Command, spec: Spec, commands_dsn: str) -> None:
    """A dry run names the races that would be made and leaves none; prizes that do not add up are refused."""
    asyncio.run(programme(commands_dsn, "weekly"))
    body = {"code": "weekly", "cadence": "weekly", "title": "Weekly race", "pool": "500.00", "programme": "weekly"}
    at_noon = ("--at", "2026-03-22T12:00:00Z", "--json")
    path = str(spec(json.dumps(body)))
    tried = command("races", "series", "create", "--spec", path, *at_noon, "--dry-run")
    assert (tried.status, tried.answer["code"], len(tried.answer["races"])) == (0, "weekly", 2)
    assert command("races", "series", "list").out == "There is no series of races.\n"
    assert command("races", "series", "create", "--spec", path, *at_noon).status == 0
    listed = command("races", "series", "list", "--json").answer["items"][0]
    assert (listed["code"], listed["races"]) == ("weekly", [*range(listed["races"][0], listed["races"][0] + 2)])
    told = command("races", "tick", "--at", "2026-03-22T12:00:00Z").out
    assert told == f"race {listed['races'][0]}: started; now live, waits for start picture\n"
    short = str(spec(json.dumps({**body, "code": "short", "prizes": [50, 30]})))
    refused = command("races", "series", "create", "--spec", short, *at_noon)
    assert (refused.status, refused.answer["code"]) == (1, "competitions.prize_sum")
