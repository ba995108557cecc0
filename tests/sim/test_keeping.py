"""A world that is killed goes on where it was: what was said, ordered, spoiled and rehearsed is still so."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from palio.sim import REPLAY, Clock, Effect, Fault, Match, Order, SimRefusal, World
from palio.sim.feed import PATH
from palio.sim.wire import Request

START = datetime(2026, 3, 18, 12, tzinfo=UTC)
FIRST = "jOY9iXNML6GmbhGX7zgO"  # player0001
HOUR = timedelta(hours=1)
KEY = "the key"


def world_in(folder: Path | None, at: datetime = START + REPLAY, seed: int = 1) -> World:
    return World(seed, start=START, clock=Clock(at, is_frozen=True), token=KEY, folder=folder)


def ask(world: World) -> tuple[int, bytes]:
    reply = world.answer(Request("GET", f"{PATH}DEMO", {}, {"authorization": f"Bearer {KEY}"})).reply
    return reply.status, reply.body


def order(world: World, path: str, **members: object) -> None:
    assert world.answer(Request("POST", f"/__sim__/{path}", {}, {}, json.dumps(members).encode())).reply.status == 200


def have_a_day(world: World) -> None:
    """All that changes a feed: wagers, corrections, names, gaps, columns that stand, and what goes wrong."""
    order(world, "feed/play", uid=FIRST, amount="12.34")
    order(world, "feed/appear", uid="fresh", name="newcomer")
    world.clock.advance(HOUR)
    order(world, "feed/correct", uid=FIRST, amount="2")
    order(world, "feed/freeze", column="this_week")
    order(world, "feed/rename", uid=FIRST, name="somebody")
    world.clock.advance(HOUR)
    order(world, "feed/play", uid="fresh", amount="5")
    order(world, "feed/vanish", uid="CF2FtINYRP67YfLsvpvz")
    order(world, "faults", effect={"name": "status", "code": 503}, match={"every": 2}, times=2)


def test_a_killed_world_goes_on_with_the_same_answers(tmp_path: Path) -> None:
    killed, undisturbed = world_in(tmp_path), world_in(None)
    for world in (killed, undisturbed):
        have_a_day(world)
        assert [ask(world)[0] for _ in range(2)] == [200, 503]
    again = world_in(tmp_path, killed.clock.now())
    assert again.feed.state() == undisturbed.feed.state()
    assert [one.number for one in again.journal] == [1, 2]
    for world in (again, undisturbed):
        world.clock.advance(30 * HOUR)
    answers = [[ask(world) for _ in range(4)] for world in (again, undisturbed)]
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [200, 503, 200, 200]
    assert [(one.number, one.fault) for one in again.journal][-2:] == [(5, None), (6, None)]


def test_what_was_planted_is_not_repeated_by_a_world_that_goes_on(tmp_path: Path) -> None:
    planted = [Order(START + REPLAY + HOUR, "play", {"uid": FIRST, "amount": "5"})]

    def world_at(at: datetime) -> World:
        return World(start=START, clock=Clock(at, is_frozen=True), folder=tmp_path, plants=planted)

    for _ in range(2):
        ask(world := world_at(START + REPLAY + 2 * HOUR))
        assert world.feed.orders == planted


def test_a_line_that_was_cut_off_is_left_out_and_written_over(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    ask(world)
    journal = tmp_path / "feed.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[:40])
    again = world_in(tmp_path)
    ask(again)
    assert [json.loads(line)["number"] for line in journal.read_text().splitlines()] == [1, 2]
    assert [one.status for one in world_in(tmp_path).journal] == [200, 200]


def test_no_key_is_written_down(tmp_path: Path) -> None:
    ask(world_in(tmp_path))
    assert KEY not in "".join(file.read_text() for file in tmp_path.iterdir())


def test_a_clock_goes_on_while_nobody_looks(tmp_path: Path) -> None:
    real = [START]

    def start() -> World:
        return World(start=START, clock=Clock(real=lambda: real[0]), folder=tmp_path)

    world = start()
    order(world, "clock", speed=60)
    real[0] += HOUR
    assert start().clock.now() == world.clock.now() == START + 60 * HOUR


def test_a_reset_forgets_it_all(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    have_a_day(world)
    ask(world)
    order(world, "reset", seed=2)
    again = world_in(tmp_path, world.clock.now(), seed=2)
    assert (len(again.journal), again.faults.rules(), again.feed.orders) == (0, [], [])


def test_the_folder_of_another_world_is_refused(tmp_path: Path) -> None:
    world_in(tmp_path)
    with pytest.raises(SimRefusal, match="the world of seed 1 lives in"):
        world_in(tmp_path, seed=2)


def test_a_rehearsal_goes_on_too(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.rehearse("feed-outage")
    assert ask(world)[0] == 500
    again = world_in(tmp_path, world.clock.now() + 2 * HOUR)
    assert ask(again)[0] == 500
    again.clock.advance(HOUR)
    assert ask(again)[0] == 200


def test_a_rehearsal_does_what_is_due_however_the_time_went_by() -> None:
    """Step by step or in one leap: what is done and said is the same."""
    patient, hasty = world_in(None), world_in(None)
    for world in (patient, hasty):
        world.rehearse("feed-liar")
    assert len(json.loads(ask(patient)[1])["data"]) == 51
    for _ in range(110):
        patient.clock.advance(timedelta(minutes=1))
        patient.catch_up()
    hasty.clock.advance(timedelta(minutes=110))
    assert ask(patient)[0] == ask(hasty)[0] == 200
    assert patient.faults.rules() == hasty.faults.rules() == []
    assert patient.feed.state() == hasty.feed.state()
    begun = patient.rehearsal
    assert begun is not None
    said = [line.after_s for _, line in begun.said(begun.began_at, begun.began_at + HOUR)]
    assert said == [1_500, 1_800, 1_800, 3_300, 3_600]
    assert begun.scenario.lasts == 2 * HOUR


def test_what_a_test_did_not_expect_is_named() -> None:
    world = world_in(None)
    ask(world)
    assert [one.status for one in world.expected(1)] == [200]
    world.assert_quiet()
    world.answer(Request("GET", "/elsewhere", {}, {}))
    with pytest.raises(AssertionError, match="nobody expected 2: GET /elsewhere -> 404"):
        world.assert_quiet()
    with pytest.raises(AssertionError, match="wanted 2 exchanges, not 2: GET /elsewhere"):
        world.expected(2)
    world.faults.add(Fault("feed", Effect("reset"), Match(), times=1))
    world.expected(1)
    world.assert_quiet()
