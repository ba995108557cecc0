"""PLAY: how long it takes to ask for 100 people at once whether they may play, where there are 100,000.

It is asked before every stake and every entry. With a minimum age the sealed days of birth of all of them are opened.
"""

import gc
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.figures import Figure, Goal, growth
from bench.ground import SYSTEM, Ground
from bench.report import Findings, growth_line, number
from bench.rounds import Arm, Plan, Work, interleave
from palio import identity
from palio.identity.types import MIN_AGE, PlayActivity
from palio.infra import crypto, settings
from palio.infra.crypto import Place
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id

COMPETE = Goal("PLAY", "ms p95 of 100 people who compete", target=10, floor=10, less_is_better=True)
STAKE = Goal("PLAY", "ms p95 of 100 people who stake", target=10, floor=10, less_is_better=True)
OF_AGE = Goal("PLAY", "ms p95 of 100 people, with a minimum age", target=10, floor=10, less_is_better=True)
PEOPLE, ASKED = 100_000, 100
SEALED_AT_ONCE = 5_000
FILL_SECONDS_MAX = 120
YEARS = 18
RESTING, YOUNG = 50, 20  # every 50th has a break, every 20th was born too late
BORN, BORN_LATE = "1990-05-17", "2020-05-17"
DOCUMENT = """
    insert into identity.documents (key, version, locale, body_md, sha256, acceptance_required, published_at)
    values ('terms', 1, 'en', 'Play fair.', sha256('terms'), true, %s)"""
FILL = """
    with people as (
      insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name, created_at,
        activated_at)
      select id, 'bench' || n, 'Bench', 'person', 'active', 'en', 'UTC', 'full', %s, %s
      from unnest(%s::uuid[]) with ordinality u(id, n) returning id),
    addresses as (
      insert into identity.emails (id, user_id, address, bidx, bidx_version, normal_bidx, is_primary, verified_at,
        created_at)
      select gen_random_uuid(), id, 'sealed', sha256(id::text::bytea), 1, sha256(id::text::bytea), true, %s, %s
      from people),
    breaks as (
      insert into identity.play_exclusions (id, user_id, kind, activities, starts_at, ends_at)
      select gen_random_uuid(), id, 'time_out', '{compete,stake}', %s, %s
      from unnest(%s::uuid[]) u(id))
    insert into identity.consents (id, user_id, document_key, version, given_at, source)
    select gen_random_uuid(), id, 'terms', 1, %s, 'registration' from people"""
BIRTH_DATES = """
    insert into identity.user_pii (user_id, birth_date, created_at)
    select *, %s::timestamptz from unnest(%s::uuid[], %s::bytea[])"""


class Asked(NamedTuple):
    """What is asked about how many people."""

    name: str
    people: int
    activity: PlayActivity = "compete"
    min_age: int = 0


class Asking(Arm):
    """One process that asks for some people again and again, for others each time."""

    unit = "questions"

    def __init__(self, ground: Ground, people: Sequence[UserId], asked: Asked, plan: Plan) -> None:
        self.name, self._ground, self._people, self._asked = asked.name, ground, people, asked
        self._seconds, self._chance = plan.seconds, Random(asked.name)  # noqa: S311 - whom to ask for
        self._wrong = 0
        self.p50_ms: list[float] = []
        self.p95_ms: list[float] = []

    async def prepare(self) -> None:
        async with self._ground.database.begin(SYSTEM) as tx:
            change = settings.Change(MIN_AGE, self._asked.min_age)
            await settings.change(tx, SYSTEM, [change], "what is measured asks for it")
            await settings.snapshot.load(tx)
        gc.collect()

    async def act(self) -> Work:
        took: list[float] = []
        ends, self._wrong = perf_counter() + self._seconds, 0
        while perf_counter() < ends:
            numbers = self._chance.sample(range(len(self._people)), self._asked.people)
            asked = [(self._people[number], self._asked.activity) for number in numbers]
            async with self._ground.database.begin(SYSTEM) as tx:
                began = perf_counter()
                answers = await identity.require_play_many(tx, asked, now=clock.now())
                took.append(perf_counter() - began)
            told = [answer.code if answer else "" for answer in answers]
            self._wrong += told != [self._right(number) for number in numbers]
        took.sort()
        self.p50_ms.append(1000 * took[len(took) // 2])
        self.p95_ms.append(1000 * took[int(len(took) * 0.95)])
        return Work(len(took))

    async def check(self) -> list[str]:
        return [f"{self.name}: {self._wrong} answers were wrong"] if self._wrong else []

    def _right(self, number: int) -> str:
        if self._asked.min_age and number % YOUNG == 0:
            return "identity.underage"
        return "identity.self_excluded" if number % RESTING == 0 else ""


async def fill(ground: Ground, count: int) -> list[UserId]:
    """So many accounts with a proven address, a day of birth and their consent; some of them rest."""
    now = clock.now()
    people = [UserId(new_id()) for _ in range(count)]
    async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
        await tx.execute(DOCUMENT, [now - timedelta(days=1)])
        ends = now + timedelta(days=30)
        await tx.execute(FILL, [now, now, people, now, now, now, ends, people[::RESTING], now])
    for first in range(0, count, SEALED_AT_ONCE):
        part = range(first, min(first + SEALED_AT_ONCE, count))
        async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
            days = [(BORN if number % YOUNG else BORN_LATE, _place(people[number])) for number in part]
            sealed = await crypto.seal_many(tx, days)
            await tx.execute(BIRTH_DATES, [now, people[part.start : part.stop], sealed])
    await ground.rest()
    return people


def _place(user_id: UserId) -> Place:
    return Place("identity.user_pii", "birth_date", user_id, user_id)


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """A hundred at once, as the promise has it, and ten and a thousand to see how it grows."""
    count = max(SEALED_AT_ONCE, plan.size_of(PEOPLE))
    tell(f"PLAY: {count:,} accounts with a sealed day of birth")
    people = await fill(ground, count)
    few, hundred, many = (Asked(f"{size:,} compete", size) for size in (ASKED // 10, ASKED, 10 * ASKED))
    stake = Asked(f"{ASKED} stake", ASKED, "stake")
    of_age = Asked(f"{ASKED} compete, of age", ASKED, min_age=YEARS)
    arms = [Asking(ground, people, asked, plan) for asked in (few, hundred, many, stake, of_age)]
    found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(), tell=tell)
    by_name = {arm.name: arm for arm in arms}
    costs = [(each.people, by_name[each.name].p50_ms) for each in (few, hundred, many)]
    return Findings(
        "PLAY",
        f"may {ASKED} people of {count:,} play? one question after another",
        list(found.values()),
        [
            Figure(goal, tuple(by_name[asked.name].p95_ms), correct=not found[asked.name].faults)
            for goal, asked in ((COMPETE, hundred), (STAKE, stake), (OF_AGE, of_age))
        ],
        notes=[growth_line(growth(costs)), *(f"{arm.name}: p50 {number(median(arm.p50_ms))} ms" for arm in arms)],
    )
