"""The simulated feed: the captures byte for byte, then players who go on, the same for the same seed."""

import gzip
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from palio.sim import REPLAY, Clock, Effect, Fault, Match, Order, SimRefusal, World, nicknames, plants
from palio.sim.chance import Stream
from palio.sim.feed import DATA, PATH
from palio.sim.wire import Delivery, Request

FIXTURES = Path(__file__).parents[1] / "fixtures"
START = datetime(2026, 3, 18, 12, tzinfo=UTC)  # a Wednesday
GROWN = START + REPLAY
FIRST = "jOY9iXNML6GmbhGX7zgO"  # player0001
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def world_at(at: datetime = GROWN, **more: object) -> World:
    return World(start=START, clock=Clock(at, is_frozen=True), **more)  # type: ignore[arg-type]


def ask(world: World, path: str = f"{PATH}DEMO", method: str = "GET", /, **headers: str) -> Delivery:
    return world.answer(Request(method, path, {}, headers))


def order(world: World, path: str, method: str = "POST", /, **members: object) -> tuple[int, object]:
    path, _, query = path.partition("?")
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    reply = world.answer(Request(method, f"/__sim__/{path}", asked, {}, json.dumps(members).encode())).reply
    return reply.status, json.loads(reply.body)


def rows(world: World) -> dict[str, dict[str, object]]:
    listed = json.loads(ask(world).reply.body, parse_float=Decimal)["data"]
    return {row["uid"]: {"name": row["name"], **row["wagered"]} for row in listed}


def micro(value: object) -> int:
    return int((Decimal(str(value)) * 1_000_000).quantize(Decimal(1)))


@pytest.mark.parametrize("name", ["affiliate_snapshot_T1", "affiliate_snapshot_T2", "affiliate_payload_variants"])
def test_the_simulator_ships_the_captures_as_they_are(name: str) -> None:
    assert (DATA / f"{name}.json").read_bytes() == (FIXTURES / f"{name}.json").read_bytes()


@pytest.mark.parametrize(
    ("age", "name"),
    [
        *((timedelta(), "T1"), (HOUR, "T1"), (timedelta(hours=12, minutes=6, seconds=59), "T1")),
        *((timedelta(hours=12, minutes=7), "T2"), (timedelta(hours=12, minutes=21, seconds=59), "T2")),
    ],
)
def test_the_captures_are_shown_byte_for_byte(age: timedelta, name: str) -> None:
    """Acceptance 2 of the simulators."""
    body = ask(world_at(START + age)).reply.body
    capture = (FIXTURES / f"affiliate_snapshot_{name}.json").read_bytes()
    assert hashlib.sha256(body).hexdigest() == hashlib.sha256(capture).hexdigest()


def test_growth_goes_on_from_the_second_capture() -> None:
    capture = json.loads((FIXTURES / "affiliate_snapshot_T2.json").read_bytes())
    grown = json.loads(ask(world_at(GROWN)).reply.body)
    assert grown["data"] == capture["data"]
    assert list(grown) == ["success", "data", "today", "this_week"]


def test_the_same_seed_gives_the_same_bytes_whenever_somebody_looked() -> None:
    """Acceptance 3 of the simulators."""
    curious, patient, other = world_at(), world_at(), world_at(seed=2)
    for _ in range(40):
        curious.clock.advance(3 * HOUR)
        ask(curious)
    patient.clock.advance(120 * HOUR)
    other.clock.advance(120 * HOUR)
    assert ask(curious).reply.body == ask(patient).reply.body
    assert ask(other).reply.body != ask(patient).reply.body


def test_counters_only_rise_and_the_list_keeps_the_habits_of_the_real_one() -> None:
    world = world_at()
    before, moved, joined = rows(world), 0, 0
    for _ in range(10):
        world.clock.advance(DAY)
        after = rows(world)
        assert all(micro(after[uid]["all_time"]) >= micro(row["all_time"]) for uid, row in before.items())
        moved += sum(after[uid]["all_time"] != row["all_time"] for uid, row in before.items())
        joined += len(after) - len(before)
        before = after
    assert moved >= 20
    assert 10 <= joined <= 30
    body = json.loads(ask(world).reply.body)
    assert [row["wagered"]["all_time"] for row in body["data"][:7]] == [0] * 7
    assert body["today"] == sum(row["wagered"]["today"] for row in body["data"])
    assert b'"all_time": 0\n' in ask(world).reply.body
    assert b'"all_time": 0.0\n' not in ask(world).reply.body


def test_the_columns_roll_at_their_own_times() -> None:
    """`today` at 07:00 UTC, `this_week` on Mondays, `this_month` is read every three days."""
    monday = datetime(2026, 3, 23, tzinfo=UTC)
    world = world_at(monday - HOUR)
    world.feed.play(FIRST, "100")
    sunday = rows(world)[FIRST]
    month = sunday["this_month"]
    world.clock.set(monday + HOUR)
    after_midnight = rows(world)[FIRST]
    assert (micro(sunday["today"]), micro(after_midnight["today"])) == (100_000_000, 100_000_000)
    assert micro(sunday["this_week"]) >= 100_000_000
    assert micro(after_midnight["this_week"]) <= 100_000
    world.clock.set(monday + 7 * HOUR)
    assert micro(rows(world)[FIRST]["today"]) < 100_000_000
    assert rows(world)[FIRST]["this_month"] == month
    world.clock.set(GROWN + 6 * DAY)
    assert micro(rows(world)[FIRST]["this_month"]) >= micro(month) + 100_000_000


def test_a_play_is_exact_and_a_correction_lowers_the_counter_alone() -> None:
    world = world_at(GROWN + HOUR)
    before = rows(world)[FIRST]
    world.feed.play(FIRST, "12.34")
    played = rows(world)[FIRST]
    assert micro(played["all_time"]) - micro(before["all_time"]) == 12_340_000
    assert micro(played["today"]) - micro(before["today"]) == 12_340_000
    world.feed.correct(FIRST, "2.000001")
    corrected = rows(world)[FIRST]
    assert micro(corrected["all_time"]) - micro(played["all_time"]) == -2_000_001
    assert corrected["today"] == played["today"]


def test_whoever_is_behind_a_place_draws_level_with_it() -> None:
    """Counted from an instant: what was there before, and who else lies in front, do not matter."""
    world = world_at(GROWN + 5 * DAY)
    before = rows(world)
    world.clock.advance(DAY)
    world.feed.play(FIRST, "1000000")
    since = (GROWN + 5 * DAY).isoformat()
    world.feed.level(2, since)
    gained = sorted(
        (micro(row["all_time"]) - micro(before[uid]["all_time"]) for uid, row in rows(world).items() if uid in before),
        reverse=True,
    )
    assert gained[0] > gained[1] == gained[2] > gained[3] >= 0
    world.feed.level(2, since)
    assert micro(rows(world)[FIRST]["all_time"]) - micro(before[FIRST]["all_time"]) == gained[0], "level already"


def test_what_was_planted_happens_at_its_instant_whenever_somebody_looks() -> None:
    orders = [
        Order(GROWN + HOUR, "play", {"uid": FIRST, "amount": "5"}),
        Order(GROWN + 2 * HOUR, "outage", {"until": (GROWN + 3 * HOUR).isoformat()}),
        Order(GROWN + 4 * HOUR, "rename", {"uid": FIRST, "name": "planted"}),
    ]
    watched, left_alone = (world_at(GROWN, plants=orders) for _ in range(2))
    seen = []
    for _ in range(5):
        seen.append(ask(watched).reply.status)
        watched.clock.advance(HOUR)
    left_alone.clock.advance(5 * HOUR)
    assert seen == [200, 200, 500, 200, 200]
    assert ask(left_alone).reply.body == ask(watched).reply.body
    assert rows(watched)[FIRST]["name"] == "planted"
    assert watched.feed.orders == orders


def test_the_oddities_of_a_demo_come_in_order_and_away_from_the_ends_of_races() -> None:
    tie = (START + 9 * DAY, START + 16 * DAY)
    reset = START + 23 * DAY
    found = plants(START, tie=tie, reset=reset)
    assert [plant.name for plant in found] == [
        *("emoji name", "right-to-left name", "outage", "short list", "tie", "correction", "rename"),
        "week reset",
    ]
    assert [plant.at for plant in found] == sorted(plant.at for plant in found)
    assert {plant.at.hour for plant in found if plant.name not in {"tie", "week reset"}} == {14}
    assert next(plant.at for plant in found if plant.name == "tie") == tie[1]
    assert found[-1].at == reset and found[-1].orders == (), "it comes by itself"
    assert found == plants(START, tie=tie, reset=reset)


def test_players_of_a_demo_have_names_that_no_two_of_them_share() -> None:
    orders = nicknames(START)
    called = [str(order.members["name"]) for order in orders]
    assert len({*called}) == len(orders) == 127
    assert max(map(len, called)) <= 10, "so that a podium on a telephone shows them whole"


def test_players_come_go_and_are_called_otherwise_when_told_so() -> None:
    world = world_at()
    world.feed.rename(FIRST, "somebody")
    world.feed.appear("fresh", "newcomer")
    assert (rows(world)[FIRST]["name"], rows(world)["fresh"]["all_time"]) == ("somebody", 0)
    world.feed.vanish(FIRST)
    assert FIRST not in rows(world)
    world.feed.appear(FIRST)
    assert rows(world)[FIRST]["name"] == "somebody"
    world.feed.shrink(0.5)
    assert len(rows(world)) == 64


def test_a_column_stands_still_until_it_is_let_go() -> None:
    world = world_at(GROWN + HOUR)
    before = rows(world)[FIRST]
    world.feed.freeze("this_week")
    world.clock.advance(timedelta(minutes=1))
    world.feed.play(FIRST, "5")
    after = rows(world)[FIRST]
    assert after["this_week"] == before["this_week"]
    assert micro(after["all_time"]) - micro(before["all_time"]) == 5_000_000
    world.feed.freeze()
    assert micro(rows(world)[FIRST]["this_week"]) - micro(before["this_week"]) >= 5_000_000


@pytest.mark.parametrize(
    ("shape", "begins"),
    [
        *(("array", "["), ("results", '{\n "results"'), ("users", '{\n "users"'), ("single", '{\n "uid"')),
        *(("string", '"{'), ("grouped", '{\n "status": "success"'), ("paged", '{\n "success"')),
    ],
)
def test_the_list_comes_in_every_form(shape: str, begins: str) -> None:
    world = world_at()
    world.feed.shape(shape)
    assert ask(world).reply.body.decode().startswith(begins)


def test_the_text_of_the_list_is_that_of_its_rows() -> None:
    """It is put together by hand; the same as JSON has it, whatever moved or rolled, however often it was asked for."""
    world = world_at(GROWN + HOUR)
    world.feed.rename(FIRST, 'the "player" \\ äß')
    for _ in range(30):
        world.clock.advance(5 * HOUR)
        body, once = ask(world).reply.body, world_at(world.clock.now())
        once.feed.repeat(world.feed.orders)
        once.feed.rename(FIRST, 'the "player" \\ äß')
        assert body.decode() == json.dumps(json.loads(body), indent=1, ensure_ascii=False)
        assert ask(once).reply.body == body
    world.feed.shrink(0)
    assert json.loads(ask(world).reply.body) == {"success": True, "data": [], "today": 0, "this_week": 0}


def test_a_thousand_questions_are_answered_the_same_by_the_same_seed() -> None:
    """Acceptance 3 of the simulators: another world beside them changes nothing."""
    first, second, other = world_at(), world_at(), world_at(seed=2)
    differs = False
    for number in range(1_000):
        for world in (first, second, other):
            world.clock.advance(timedelta(minutes=7))
            if number % 50 == 0:
                world.feed.play(FIRST, "1.5")
        answers = [ask(world).reply.body for world in (first, other, second)]
        assert answers[0] == answers[2]
        differs |= answers[0] != answers[1]
    assert differs


@pytest.mark.parametrize(("players", "seconds_max"), [(1_841, 0.02), (100_000, 1)])
def test_many_players_are_listed_quickly(players: int, seconds_max: float) -> None:
    """Section 7 of the simulators, of processor time: an ordinary answer, and one after every column rolled."""
    world = world_at(GROWN, players=players)
    took = []
    for step in (timedelta(), timedelta(minutes=15), DAY):
        world.clock.advance(step)
        begun = time.process_time()
        body = ask(world, **{"accept-encoding": "gzip"}).reply.body
        took.append(time.process_time() - begun)
    assert players <= len(json.loads(gzip.decompress(body))["data"]) <= players + 12
    assert max(took) < 2 * seconds_max  # with room for a busy machine


def test_every_odd_body_can_be_had() -> None:
    world = world_at()
    for one in json.loads((DATA / "affiliate_payload_variants.json").read_bytes())["variants"]:
        assert order(world, "feed/variant", id=one["id"])[0] == 200
        reply = ask(world).reply
        assert reply.body.decode() == one.get("raw") or json.loads(reply.body) == one["body"]
        assert (reply.headers["Content-Type"] == "text/html") == (one["id"] == "html_200")
    order(world, "feed/variant")
    assert len(rows(world)) == 127


def test_the_key_is_asked_for_where_there_is_one() -> None:
    world = world_at(token="the key")
    assert ask(world).reply.status == 401
    assert ask(world, authorization="Bearer another").reply.status == 401
    assert ask(world, authorization="Bearer the key").reply.status == 200
    assert [(one.is_known, one.headers.get("authorization")) for one in world.journal] == [
        *((False, None), (False, "•"), (True, "•")),
    ]
    assert "the key" not in json.dumps(order(world, "journal", "GET")[1])


def test_an_outage_lasts_until_it_is_over() -> None:
    world = world_at()
    world.feed.outage(GROWN + 3 * HOUR)
    assert ask(world).reply.status == 500
    world.clock.advance(3 * HOUR)
    assert ask(world).reply.status == 200


def test_rules_say_which_exchange_goes_wrong_and_how_often() -> None:
    world = world_at()
    world.faults.add(Fault("feed", Effect("status", code=503), Match(nth=2)))
    assert [ask(world).reply.status for _ in range(3)] == [200, 503, 200]
    world.faults.clear()
    world.faults.add(Fault("feed", Effect("reset"), Match(every=2), times=1))
    assert [ask(world).is_lost for _ in range(4)] == [False, True, False, False]
    world.faults.clear()
    world.faults.add(Fault("feed", Effect("reset"), Match(share=0.5)))
    assert 20 <= sum(ask(world).is_lost for _ in range(60)) <= 40


def test_each_effect_spoils_the_answer_in_its_own_way() -> None:
    def met(effect: Effect, **headers: str) -> Delivery:
        world = world_at()
        world.faults.add(Fault("feed", effect))
        return ask(world, **headers)

    assert met(Effect("delay", ms=5)).delay_s == 0.005
    assert met(Effect("slow", bytes_per_s=10)).bytes_per_s == 10
    assert met(Effect("bad_tls")).instead.startswith(b"\x15\x03")
    assert met(Effect("expired_credentials")).reply.status == 401
    assert [met(Effect(name)).is_lost for name in ("reset", "reset_after")] == [True, True]
    assert met(Effect("clock_skew", s=-7_200)).reply.headers["Date"] == "Wed, 18 Mar 2026 22:22:00 GMT"
    assert met(Effect("truncate", at=7)).cut_at == 7
    assert met(Effect("status", code=429, headers={"Retry-After": "3"})).reply.headers["Retry-After"] == "3"
    assert met(Effect("wrong_type")).reply.headers["Content-Type"].startswith("text/html")
    assert met(Effect("redirect", url="http://127.0.0.1:9/")).reply.headers == {"Location": "http://127.0.0.1:9/"}
    assert len(met(Effect("huge", mb=1)).reply.body) == 1_000_000
    bomb = met(Effect("huge", mb=1), **{"accept-encoding": "gzip"}).reply
    assert len(bomb.body) < 10_000
    assert len(gzip.decompress(bomb.body)) == 1_000_000
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(met(Effect("garbage")).reply.body)


def test_a_reset_after_does_what_was_asked_and_loses_the_answer() -> None:
    world = world_at()
    for name in ("reset_after", "reset"):
        world.faults.add(Fault("feed", Effect(name), times=1))
        ask(world)
    assert [bool(one.answer) for one in world.journal] == [True, False]


def test_a_provider_whose_clock_is_wrong_says_so_in_its_body() -> None:
    world = world_at()
    world.feed.shape("grouped")
    world.faults.add(Fault("feed", Effect("clock_skew", s=3_600)))
    assert json.loads(ask(world).reply.body)["metadata"]["lastUpdated"] == (GROWN + HOUR).isoformat()


def test_a_key_that_has_expired_is_not_known() -> None:
    world = world_at(token="the key")
    world.faults.add(Fault("feed", Effect("expired_credentials"), times=1))
    assert [ask(world, authorization="Bearer the key").reply.status for _ in range(2)] == [401, 200]
    assert [one.is_known for one in world.journal] == [False, True]


@pytest.mark.parametrize(
    ("path", "members", "said"),
    [
        ("feed/fly", {}, "there is no act fly: appear, correct, freeze, level, outage, play"),
        ("feed/play", {"uid": "nobody", "amount": "1"}, "there is no player nobody"),
        ("feed/play", {"uid": FIRST, "amount": "1,5"}, "an amount is written like 12.34"),
        ("feed/play", {"uid": FIRST, "amount": "-1"}, "an amount is written like 12.34"),
        ("feed/play", {"uid": FIRST}, "play() missing 1 required positional argument"),
        ("feed/shape", {"name": "cube"}, "there is no shape cube: flat, array"),
        ("feed/variant", {"id": "x"}, "there is no variant x: canonical"),
        ("feed/freeze", {"column": "yesterday"}, "there is no column yesterday: today, this_week"),
        ("feed/outage", {"until": "soon"}, "an instant is written"),
        ("feed/outage", {"until": "2026-03-20T12:00:00"}, "an instant needs its offset"),
        ("feed/level", {"place": 900, "since": "2026-03-18T12:00:00Z"}, "players have wagered since"),
        ("feed/level", {"place": 1, "since": 7}, "an instant is written"),
        ("feed/shrink", {"share": 2}, "a share lies in 0-1"),
        ("faults", {"effect": {"name": "explode"}}, "there is no effect explode: status, delay"),
        ("faults", {"effect": {"name": "status", "cod": 1}}, "unknown: cod; known: at, bytes_per_s, code"),
        ("faults", {"effect": {"name": "delay", "ms": "x"}}, "ms: Input should be a valid integer"),
        ("faults", {"effect": {"name": "delay", "ms": -1}}, "an effect goes beyond what this machine can bear"),
        (
            "faults",
            {"effect": {"name": "reset"}, "match": {"nth": "x"}},
            "nth: Input should be a valid integer",
        ),
        (
            "faults",
            {"sim": "moon", "effect": {"name": "reset"}},
            "there is no simulator moon: feed, smtp, hooks, oidc, otp, telegram",
        ),
        ("faults", {"fect": {}}, "a fault has effect, match, sim, times"),
        ("scenario", {"name": "flood"}, "there is no scenario flood: feed-liar, feed-outage"),
        ("scenario", {}, "known: name, a text"),
        ("clock", {"advance": -1}, "the clock goes forward only"),
        ("clock", {"turn": 1}, "the clock takes one of set, advance, speed, freeze"),
        ("reset", {"sede": 1}, "known: seed"),
        ("moon", {}, "known: reset, journal, clock, faults"),
    ],
)
def test_a_control_call_that_makes_no_sense_says_what_would(path: str, members: dict[str, object], said: str) -> None:
    """Section 8 of the simulators: 422 with the list."""
    status, answer = order(world_at(), path, **members)
    assert status == 422
    assert said in answer["message"]  # type: ignore[index]


@pytest.mark.parametrize("path", ["journal?sim=moon", "state/moon"])
def test_what_is_asked_of_a_simulator_that_does_not_exist_says_which_do(path: str) -> None:
    assert order(world_at(), path, "GET") == (
        422,
        {"message": "there is no simulator moon: feed, smtp, hooks, oidc, otp, telegram"},
    )


def test_control_calls_do_what_the_calls_of_python_do() -> None:
    world = world_at()
    assert order(world, "clock", advance=900) == (200, {"now": str(GROWN + timedelta(minutes=15))})
    assert order(world, "clock", set="2026-03-20T12:00:00Z") == (200, {"now": "2026-03-20 12:00:00+00:00"})
    order(world, "faults", effect={"name": "status", "code": 500}, match={"nth": 1}, times=1)
    assert [rule["effect"]["code"] for rule in order(world, "faults", "GET")[1]] == [500]  # type: ignore[attr-defined, index]
    assert [ask(world).reply.status for _ in range(2)] == [500, 200]
    said = order(world, "journal?sim=feed&since=1", "GET")[1]
    assert [(one["number"], one["status"], one["fault"]) for one in said] == [(2, 200, None)]  # type: ignore[attr-defined, index]
    order(world, "feed/play", uid=FIRST, amount="1")
    assert order(world, "state/feed", "GET")[1]["players"] >= 127  # type: ignore[call-overload, index, operator]
    order(world, "faults", "DELETE")
    order(world, "reset", seed=2)
    assert (world.faults.rules(), len(world.journal)) == ([], 0)


def test_a_clock_runs_as_fast_as_is_wanted_and_stands_when_told_to() -> None:
    real = [START]
    clock = Clock(GROWN, real=lambda: real[0])
    real[0] += HOUR
    assert clock.now() == GROWN + HOUR
    clock.speed(60)
    real[0] += HOUR
    assert clock.now() == GROWN + 61 * HOUR
    clock.speed(0)
    real[0] += HOUR
    assert clock.now() == GROWN + 61 * HOUR
    with pytest.raises(SimRefusal):
        clock.set(GROWN)
    running = Clock()
    running.speed(2)
    running.advance(HOUR)
    assert running.now() > Clock().now()


def test_a_stream_belongs_to_its_name_alone() -> None:
    first, second = Stream(1, "a"), Stream(1, "a")
    Stream(1, "b").fraction()
    assert [first.fraction() for _ in range(20)] == [second.fraction() for _ in range(20)]
    assert Stream(1, "a").fraction() != Stream(2, "a").fraction()
    drawn = [Stream(1, f"n{number}").poisson(3) for number in range(400)]
    assert 2.7 < sum(drawn) / 400 < 3.3


@pytest.mark.parametrize("asked", [("GET", "/"), ("GET", PATH), ("POST", f"{PATH}DEMO"), ("GET", "/feed/else")])
def test_there_is_nothing_else(asked: tuple[str, str]) -> None:
    assert ask(world_at(), asked[1], asked[0]).reply.status == 404
