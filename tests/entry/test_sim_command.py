"""`palio sim`: a world in a process of its own, and acting in one that is served."""

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from palio.entry.commands import sim
from palio.infra.http import Answer, Client, Profile
from palio.sim import EFFECTS, World
from palio.sim.wire import Request
from tests.conftest import PATIENCE_S
from tests.entry.conftest import Command

FIRST = "jOY9iXNML6GmbhGX7zgO"  # player0001


@pytest.fixture
def served() -> Iterator[World]:
    """A world beside the commands."""
    world, is_there, is_over, loop = World(), threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with world.serving():
            is_there.set()
            await is_over.wait()

    beside = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    beside.start()
    assert is_there.wait(10)
    yield world
    loop.call_soon_threadsafe(is_over.set)
    beside.join(10)
    loop.close()


def ask(world: World) -> int:
    return world.answer(Request("GET", "/feed/user/affiliate/referral-leaderboard/DEMO", {}, {})).reply.status


def test_faults_are_added_listed_met_and_cleared(command: Command, served: World) -> None:
    port = ("--port", str(served.port))
    added = command("sim", "faults", "add", "status", "--set", "code=418", "--every", "2", "--times", "1", *port)
    assert (added.status, added.out) == (0, "From now on: status. `palio sim faults clear` ends it.\n")
    assert [ask(served) for _ in range(4)] == [200, 418, 200, 200]
    (rule,) = command("sim", "faults", "list", "--json", *port).answer
    assert (rule["effect"]["code"], rule["match"]["every"], rule["times"], rule["met"]) == (418, 2, 1, 1)
    assert "feed  status  /" in command("sim", "faults", "list", *port).out
    assert command("sim", "faults", "clear", "--json", *port).answer.keys() == {"now"}
    assert served.faults.rules() == []


def test_a_player_plays_and_the_journal_tells_who_asked(command: Command, served: World) -> None:
    port = ("--port", str(served.port))
    played = command("sim", "play", FIRST, "12.34", *port)
    assert (played.status, played.out) == (0, f"{FIRST} wagered 12.34.\n")
    assert [(one.act, one.members["amount"]) for one in served.feed.orders] == [("play", "12.34")]
    ask(served)
    ask(served)
    said = command("sim", "journal", "--since", "1", "--sim", "feed", "--json", *port).answer
    assert [(one["number"], one["status"], one["is_known"]) for one in said] == [(2, 200, True)]
    assert "/feed/user/affiliate/referral-leaderboard/DEMO  right     200  -" in command("sim", "journal", *port).out


def test_a_rehearsal_begins_and_says_what_will_be_seen(command: Command, served: World) -> None:
    port = ("--port", str(served.port))
    begun = command("sim", "rehearse", "feed-outage", *port)
    assert (begun.status, ask(served)) == (0, 500)
    assert "after   0 min  every answer of the feed is a 500" in begun.out
    assert "after  45 min  pages and API say that the numbers are stale" in begun.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("play", "nobody", "1"), "sim.refused", "there is no player nobody"),
        (("faults", "add", "explode"), "sim.refused", f"there is no effect explode: {', '.join(EFFECTS)}"),
        (
            ("faults", "add", "delay", "--set", "ms=x"),
            "sim.refused",
            "ms: Input should be a valid integer",
        ),
        (
            ("faults", "add", "reset", "--sim", "moon"),
            "sim.refused",
            "there is no simulator moon: feed, smtp, hooks, oidc, otp, telegram",
        ),
        (
            ("journal", "--sim", "moon"),
            "sim.refused",
            "there is no simulator moon: feed, smtp, hooks, oidc, otp, telegram",
        ),
        (("rehearse", "flood"), "sim.refused", "there is no scenario flood: feed-liar, feed-outage"),
    ],
)
def test_what_a_world_does_not_take_is_said_in_its_words(
    command: Command, served: World, words: tuple[str, ...], code: str, said: str
) -> None:
    refused = command("sim", *words, "--json", "--port", str(served.port))
    assert (refused.status, refused.answer["code"]) == (1, code)
    assert refused.answer["detail"].startswith(said)


def test_no_world_is_no_riddle(command: Command, served: World) -> None:
    """Whether nothing listens there, or something else."""
    away = command("sim", "faults", "list", "--port", "1")
    assert (away.status, away.err) == (
        69,
        "No world answers at 127.0.0.1:1: start `palio sim`, or name its --port [sim.away]\n",
    )


def test_the_help_names_every_effect() -> None:
    assert ", ".join(EFFECTS) == sim.EFFECTS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("moon",), "there is no simulator moon: feed, smtp, hooks, oidc, otp, telegram [unknown_sim]"),
        (("--scenario", "flood"), "there is no scenario flood: feed-liar, feed-outage [sim_refused]"),
        (("feed", "--faults", "FILE"), "holds no JSON list of objects [faults_invalid]"),
    ],
)
def test_a_world_that_cannot_be_begun_is_not(
    command: Command, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "faults").write_text("{}")
    refused = command("sim", *(word.replace("FILE", str(tmp_path / "faults")) for word in words))
    assert (refused.status, said in refused.err) == (64, True)


async def test_a_world_goes_on_where_it_was_killed_and_tells_its_scenario(tmp_path: Path) -> None:
    """`--keep`, `--faults`, `--scenario` and `--speed`, seen from outside: an hour passes in a second."""
    (tmp_path / "faults").write_text(json.dumps([{"effect": {"name": "status", "code": 418}, "times": 1}]))
    words = (sys.executable, "-m", "palio", "sim", "feed", "--port", "0", "--keep", str(tmp_path / "sim"))
    first = await asyncio.create_subprocess_exec(
        *(*words, "--faults", str(tmp_path / "faults"), "--scenario", "feed-outage", "--speed", "3600"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert first.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        lines = [(await first.stdout.readline()).decode().strip() for _ in range(6)]
        url = lines[1].removeprefix("PALIO_FEED_URL=")
        answer = await Client().call(url, profile=Profile(may_be_inside=True))
        first.kill()
        await first.wait()
    assert isinstance(answer, Answer) and answer.status == 418
    assert lines[2] == "The feed answers 500 for three hours, then it is back."
    assert [line[10:] for line in lines[3:]] == [
        "The outside: every answer of the feed is a 500.",
        "The outside: player0001 goes on wagering: 12.34.",
        "To be seen: pages and API say that the numbers are stale, and staff are alarmed once; no number has changed.",
    ]
    kept = World(folder=tmp_path / "sim")
    assert [(one.status, one.fault) for one in kept.journal] == [(418, "status")]
    assert [order.act for order in kept.feed.orders] == ["play"]
    assert kept.rehearsal is not None


async def test_it_serves_the_feed_until_told_to_stop_and_says_where() -> None:
    words = (sys.executable, "-m", "palio", "sim", "feed", "--port", "0", "--token", "the key")
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        said = dict([(await process.stdout.readline()).decode().strip().split("=", 1) for _ in range(3)])
    assert (said["PALIO_SIM"], said["PALIO_FEED_TOKEN"]) == ("on", "the key")
    headers = {"Authorization": "Bearer the key"}
    answer = await Client().call(said["PALIO_FEED_URL"], profile=Profile(may_be_inside=True), headers=headers)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    taken = await asyncio.create_subprocess_exec(
        *words[:5], "--port", said["PALIO_FEED_URL"].split(":")[2].split("/")[0], stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        assert b"sim.port_taken" in (await taken.communicate())[1]
        process.send_signal(signal.SIGTERM)
        assert (taken.returncode, await process.wait()) == (69, 0)
