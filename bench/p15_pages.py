"""P15: how long readers of a race, of a contest and of a board wait when eight of them ask all the time."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import sub

from bench import traffic
from bench.figures import Figure, Goal
from bench.ground import SYSTEM, Ground
from bench.p10_snapshot import BEGIN, INTERVAL, Feed, begun
from bench.report import Findings, number
from bench.rounds import Arm, Plan, Work, interleave
from bench.serving import serving
from palio import competitions, races
from palio.competitions.types import Admission, CompetitionId, NewBoard, NewCompetition, Submission
from palio.infra import partitions
from palio.kernel import clock
from palio.races.types import NewRace

PAGE = Goal("P15", "ms p95 of the race page", target=50, floor=100, less_is_better=True)
BOARD = Goal("P15", "ms p95 of the standings", target=5, floor=200, less_is_better=True)
CONTEST = Goal("P15", "ms p95 of the page of a contest", target=50, floor=100, less_is_better=True)
OF_BOARD = Goal("P15", "ms p95 of the page of a board", target=50, floor=100, less_is_better=True)
ENTRANTS = 100_000
CROWD_STEP = 10_000
CODE = "bench.readers"
CLIENTS = 8
TEN = (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)
FOUND = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Something readers ask for, and the promise about it."""

    name: str
    path: str
    goal: Goal


class Reading(Arm):
    """Eight connections that ask for one address, each again as soon as it has its answer."""

    unit = "answers"

    def __init__(self, port: int, asked: Asked, seconds: float) -> None:
        self.name, self.path = asked.name, asked.path
        self._port, self._seconds = port, seconds
        self._failed = 0
        self.p50_ms: list[float] = []
        self.p95_ms: list[float] = []

    async def act(self) -> Work:
        asked = [traffic.request("GET", self.path)]
        answers = await traffic.drive(self._port, asked, seconds=self._seconds, connections=CLIENTS)
        self._failed = answers.failed
        self.p50_ms.append(answers.p50_ms)
        self.p95_ms.append(answers.p95_ms)
        return Work(answers.answers, answers.seconds)

    async def check(self) -> list[str]:
        status, _ = await traffic.get(self._port, self.path)
        faults = [f"{self.name}: {self._failed} requests failed"] if self._failed else []
        return faults if status == FOUND else [*faults, f"{self.name}: status {status}"]


class Standings(Reading):
    """The board as a program reads it."""

    def __init__(self, port: int, asked: Asked, seconds: float, *, highest: int) -> None:
        super().__init__(port, asked, seconds)
        self._highest = highest

    async def check(self) -> list[str]:
        """What the leader has is the most that anybody wagered."""
        _, body = await traffic.get(self._port, self.path)
        total = json.loads(body)["items"][0]["total_micro"]
        faults = await super().check()
        return faults if total == self._highest else [*faults, f"{self.name}: {total} leads, not {self._highest}"]


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """A live race in which everybody has wagered."""
    entrants = plan.size_of(ENTRANTS)
    tell(f"P15: a live race of {entrants:,} entrants")
    feed, _ = await begun(ground, entrants, name="readers")
    race_number, highest = await live_race(ground, feed)
    page = Asked("race page", f"/races/{race_number}", PAGE)
    board = Asked("standings", f"/api/v1/races/{race_number}/standings?limit=100", BOARD)
    contest = Asked("contest page", f"/competitions/{await live_contest(ground, entrants)}", CONTEST)
    of_board = Asked("board page", f"/boards/{CODE}?period=all", OF_BOARD)
    async with serving(ground) as (port, pid):
        arms = [
            Reading(port, page, plan.seconds),
            Standings(port, board, plan.seconds, highest=highest),
            Reading(port, contest, plan.seconds),
            Reading(port, of_board, plan.seconds),
        ]
        for asked in (contest, of_board):  # their orders are loaded apart: until then a page says that it is warming up
            while b"in order" in (await traffic.get(port, asked.path))[1]:
                pass
        found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(pid), tell=tell)
    return Findings(
        "P15",
        f"{CLIENTS} readers of a live race of {entrants:,} entrants",
        list(found.values()),
        [
            Figure(one.goal, tuple(arm.p95_ms), correct=not found[arm.name].faults)
            for one, arm in zip((page, board, contest, of_board), arms, strict=True)
        ],
        notes=[f"{arm.name}: p50 {number(sorted(arm.p50_ms)[len(arm.p50_ms) // 2])} ms" for arm in arms],
    )


async def live_race(ground: Ground, feed: Feed) -> tuple[int, int]:
    """A race from the first snapshot on, in which every player has wagered once since, and the most one wagered."""
    starts_at, before = BEGIN + INTERVAL, list(feed.network.all_time_micro)
    async with ground.database.begin(SYSTEM) as tx:
        race = await races.create_race(tx, new=_terms(feed, starts_at), actor=SYSTEM, now=BEGIN)
    feed.network.advance(1)
    await feed.ingest(feed.network.body())
    async with ground.database.begin(SYSTEM, seconds_max=120) as tx:
        while await races.tick(tx, now=starts_at + INTERVAL):
            pass
    return race.number, max(map(sub, feed.network.all_time_micro, before))


async def live_contest(ground: Ground, entrants: int) -> CompetitionId:
    """A contest in which everybody has a score, which he also has on a board."""
    starts_at = clock.now() - timedelta(hours=1)
    async with ground.database.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "competitions.receipts", starts_at)
        await competitions.ensure_board(tx, new=NewBoard(CODE, "Read by many", "points", periods=("ALL",)))
        new = NewCompetition(
            product="custom",
            title="Everybody climbs",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(days=300),
            prize_asset="USD",
            guaranteed_pool=50_000,
            prize_rule=races.by_place(TEN),
        )
        found = await competitions.create(tx, new=new, created_by=None, now=starts_at - timedelta(hours=1))
        await competitions.publish(tx, competition_id=found, now=starts_at - timedelta(hours=1))
        await competitions.start(tx, competition_id=found, now=starts_at)
    for first in range(0, entrants, CROWD_STEP):
        numbers = range(first, min(entrants, first + CROWD_STEP))
        people = [Admission(found, "player", f"reader-{number}", None, f"reader{number}") for number in numbers]
        async with ground.database.begin(SYSTEM, seconds_max=120) as tx:
            crowd = await competitions.admit_many(tx, people, now=starts_at)
            for where in ({"competition_id": found}, {"competition_id": None, "board": CODE}):
                items = [
                    Submission(entrant_id=who, delta=1 + who % 9_973, key="first", happened_at=starts_at, **where)
                    for who in crowd
                ]
                await competitions.submit_many(tx, items, now=clock.now())
    return found


def _terms(feed: Feed, starts_at: datetime) -> NewRace:
    return NewRace(
        title="Everybody races",
        programme=feed.programme.code,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(days=300),
        pool_asset="USD",
        pool=50_000,
        prize_rule=races.by_place(TEN),
        min_wager_micro=0,
        review_h=0,
    )
