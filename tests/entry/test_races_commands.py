"""Races from the terminal: made from a file, moved along, settled, and replayed from two captures."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from palio import affiliates, races
from palio.entry import replay
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.errors import Refusal
from tests.entry.conftest import Command
from tests.factories.races import EXPECTED, FIXTURES, T1, T2

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


@pytest.fixture
def spec(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Writes a specification and says where."""

    def write(text: str | bytes | None = None, **changes: object) -> str:
        path = tmp_path / "race.json"
        body = json.dumps({**AHEAD, **changes}) if text is None else text
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
        return str(path)

    return write


def test_two_captures_are_replayed_in_a_scratch_database(command: Command) -> None:
    """What the issue of prizes owes to two files, to the last digit, and nothing of it is kept."""
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
    async with database.begin(replay.operators.actor()) as tx:
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
    async with database.begin(replay.operators.actor()) as tx:
        assert len(await races.recent(tx, limit=200)) == before


async def test_a_race_is_made_from_a_file_listed_and_settled(command: Command, spec) -> None:  # type: ignore[no-untyped-def]
    """Create (first dry), list, tick, standings, settle: each says what it did, in words and as JSON."""
    assert command("races", "create", "--spec", spec()).err.count(affiliates.NoSuchProgramme.code) == 1
