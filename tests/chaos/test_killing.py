"""kill -9 of the application and of the database in the middle of a snapshot, a settlement and the clock.

Whatever was killed, where, and how often: afterwards the same is done again, and every row of the business is the one
of a course that nothing disturbed. Each point lies inside the work, because the server says who waits for our lock.
"""

import json
import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import psycopg
import pytest

from palio import competitions, identity, ledger
from palio.competitions.types import Admission, CompetitionId
from palio.infra import outbox, roles
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.messages import Job
from tests.chaos import books, programs
from tests.chaos.house import Caught, House, Part, Process, until
from tests.chaos.programs import PayNaively, SettleGame
from tests.factories.affiliates import FIXTURES
from tests.factories.competitions import banded, enter, live, score
from tests.factories.races import EXPECTED

T1, T2 = FIXTURES / "affiliate_snapshot_T1.json", FIXTURES / "affiliate_snapshot_T2.json"
BEGAN = clock.now()
HOUR = timedelta(hours=1)
SYSTEM = Actor("system", None, RequestId(new_id()))
RACE = {
    "title": "Spring race",
    "starts_at": "2025-03-26T08:30:00Z",
    "ends_at": "2025-03-26T20:00:00Z",
    "pool": "500.00",
    "grace_s": 0,
    "review_h": 0,
    "backdated_reason": "announced in the chat",
}
MOMENT_SECONDS_MAX = 0.8  # about what one of them takes
USERS = ("anna", "bruno", "carla", "dario")
WON = {"anna": 5_000, "bruno": 3_000, "carla": 2_000}

APPLY = (  # in the order in which a snapshot writes
    "affiliates.cycles",
    "affiliates.snapshots",
    "affiliates.programmes",
    "affiliates.players",
    "affiliates.stats",
    "jobs.procrastinate_jobs",
)
SETTLE = (  # in the order in which a settlement writes
    "competitions.standings",
    "ledger.keys",
    "ledger.accounts",
    "ledger.balances",
    "ledger.entries",
    "competitions.rewards",
    "competitions.archives",
)
CLOCK = (  # between the steps of a race
    "races.picture_log",
    "competitions.receipts",
    "competitions.standings",
    "competitions.archives",
)
ENDING = (  # between the end of a race and its completion
    "races.picture_log",
    "competitions.standings",
    "ledger.accounts",
    "ledger.keys",
    "ledger.balances",
    "ledger.entries",
    "competitions.rewards",
    "competitions.archives",
)
SERVER_KILLS_SHARE = 0.2
PRIZES = {"anna": 25_000, "bruno": 7_500, "carla": 5_000}


def ingest(file: Path, at: str) -> partial[None]:
    return partial(programs.command, "affiliates", "ingest", str(file), "--at", at, "--json")


INGEST = ingest(T2, "2025-03-26T20:28:00Z")
SETTLE_RACE = partial(programs.command, "races", "settle", "1", "--json")


@pytest.fixture(scope="module")
def feed(house: House, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A programme with the first capture, and a race that the second one closes."""
    name = house.copy(roles.DATABASE)
    spec = tmp_path_factory.mktemp("race") / "race.json"
    spec.write_text(json.dumps(RACE))
    for part in (ingest(T1, "2025-03-26T08:21:15Z"), partial(programs.command, "races", "create", "--spec", str(spec))):
        made = house.run(name, part)
        assert made.wait() == 0, made.errors
    house.settle_down(name)
    return name


@pytest.fixture(scope="module")
def applied(house: House, feed: str) -> str:
    """The same after the second capture, undisturbed."""
    name = house.copy(feed)
    made = house.run(name, INGEST)
    assert made.wait() == 0, made.errors
    house.settle_down(name)
    return name


@dataclass(frozen=True, slots=True)
class Game:
    """A competition of users that is over and not settled, in a database of its own."""

    database: str
    job: SettleGame


@pytest.fixture(scope="module")
async def game(house: House) -> Game:
    """Four users made at the terminal; three of them win 100.00 dollars."""
    name = house.copy(roles.DATABASE)
    made = [house.start(name, partial(programs.command, "identity", "create", user)) for user in USERS]
    assert [process.wait() for process in made] == [0] * len(USERS)
    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        competition = await play(tx, ended=clock.now() - HOUR)
    house.settle_down(name)
    return Game(name, SettleGame(competition))


async def play(tx: Tx, *, ended: datetime) -> CompetitionId:
    """Five hours in which the users score in the order of their names."""
    starts = ended - 5 * HOUR
    competition = await live(tx, starts)
    users = [await identity.get(tx, name_or_id=user) for user in USERS]
    admissions = [Admission(competition, "user", str(user.id), user.id) for user in users]
    entrants = await competitions.admit_many(tx, admissions, now=starts)
    await score(tx, competition, entrants, [40, 30, 20, 10], starts)
    return competition


async def send(house: House, name: str, job: Job) -> None:
    """Have a worker do something, whatever became of what was sent before."""
    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        await outbox.send(tx, job)


def kill_at(house: House, name: str, table: str, part: Part) -> Caught:
    """Kill a process when it is about to write to a table, in a transaction that is then undone."""
    with house.hold(name, table) as caught:
        process = house.start(name, part)
        found = caught(process)
        process.kill()
    house.settle_down(name)
    return found


def kill_server_at(house: House, name: str, table: str, part: Part) -> Process:
    """Kill the server in that moment; the process, which lives, is returned."""
    with suppress(psycopg.OperationalError), house.hold(name, table) as caught:
        process = house.start(name, part)
        caught(process)
        house.kill_server()
    return process


def kill_unanswered(house: House, name: str, table: str, part: Part) -> None:
    """Kill a process that has committed and has not heard of it; `table` is the last that it writes to."""
    with ExitStack() as writing:
        caught = writing.enter_context(house.hold(name, table))
        process = house.start(name, part)
        with house.hold_commits(caught(process).pid) as committing:
            writing.close()
            committing()
            process.kill()
    house.settle_down(name)


def kill_sometime(house: House, name: str, part: Part, seconds: float) -> None:
    """Kill a process after a while, wherever it then is."""
    process = house.start(name, part)
    process.ends_within(seconds)
    process.kill()
    house.settle_down(name)


def rows(house: House, name: str) -> books.Books:
    return books.read(house.dsn(name), since=BEGAN)


# a snapshot


def test_a_snapshot_killed_at_each_step_is_applied_once(house: House, feed: str, applied: str) -> None:
    """After each kill nothing of it is there; done again, all of it is, and one message tells of it."""
    name = house.copy(feed)
    before = rows(house, name)
    for table in APPLY:
        assert kill_at(house, name, table, INGEST).is_inside, table
        assert rows(house, name) == before, table

    assert house.run(name, INGEST).wait() == 0

    assert rows(house, name) == rows(house, applied) != before
    assert books.messages(house.dsn(name)) == books.messages(house.dsn(applied))


def test_a_snapshot_whose_end_nobody_heard_is_not_applied_again(house: House, feed: str, applied: str) -> None:
    """Killed between the commit and the answer: it is there, and the same command says so."""
    name = house.copy(feed)
    kill_unanswered(house, name, APPLY[-1], INGEST)
    expected = rows(house, applied)
    assert rows(house, name) == expected

    again = house.run(name, INGEST)

    assert (again.wait(), json.loads(again.output)["code"]) == (1, "affiliates.out_of_order")
    assert rows(house, name) == expected
    assert books.messages(house.dsn(name)) == books.messages(house.dsn(applied))


def test_a_snapshot_survives_the_death_of_the_server(house: House, feed: str, applied: str) -> None:
    """The command says that the database is away; repeated, it does what it would have done."""
    name = house.copy(feed)
    before = rows(house, name)

    process = kill_server_at(house, name, "affiliates.stats", INGEST)

    assert (process.wait(), json.loads(process.output)["code"]) == (os.EX_UNAVAILABLE, "db.unavailable")
    assert rows(house, name) == before
    assert house.run(name, INGEST).wait() == 0
    assert rows(house, name) == rows(house, applied)


# a settlement


@pytest.fixture(scope="module")
async def settled(house: House, game: Game) -> books.Books:
    """Every row after a settlement that nothing disturbed."""
    name = house.copy(game.database)
    await settle(house, name, game)
    assert books.balances(house.dsn(name)) == WON
    house.require_sound(name)
    return rows(house, name)


async def settle(house: House, name: str, game: Game) -> None:
    """Have a new worker do it in peace."""
    await send(house, name, game.job)
    worker = house.start(name, programs.worker)
    until(lambda: books.states(house.dsn(name)) == ["completed"], what=lambda: f"a settlement\n{worker.errors}")
    worker.kill()
    house.settle_down(name)


async def test_a_settlement_killed_at_each_step_pays_once(house: House, game: Game, settled: books.Books) -> None:
    """After each kill nobody is paid and nothing is ranked; then everybody is, once."""
    name = house.copy(game.database)
    before = rows(house, name)
    for table in SETTLE:
        await send(house, name, game.job)
        assert kill_at(house, name, table, programs.worker).is_inside, table
        assert rows(house, name) == before, table

    await settle(house, name, game)

    assert rows(house, name) == settled != before
    assert books.balances(house.dsn(name)) == WON
    house.require_sound(name)


async def test_a_settlement_whose_end_nobody_heard_is_not_paid_again(
    house: House, game: Game, settled: books.Books
) -> None:
    name = house.copy(game.database)
    await send(house, name, game.job)
    kill_unanswered(house, name, SETTLE[-1], programs.worker)
    assert rows(house, name) == settled

    await settle(house, name, game)

    assert rows(house, name) == settled


async def test_a_settlement_survives_the_death_of_the_server(house: House, game: Game, settled: books.Books) -> None:
    """The worker lives, comes back by itself and pays once."""
    name = house.copy(game.database)
    await send(house, name, game.job)

    worker = kill_server_at(house, name, "ledger.entries", programs.worker)

    until(lambda: books.states(house.dsn(name)) == ["completed"], what=lambda: f"a settlement\n{worker.errors}")
    worker.kill()
    house.settle_down(name)
    assert rows(house, name) == settled
    house.require_sound(name)


MANY = 5_000
PAYING = ("ledger.keys", "ledger.accounts", "ledger.entries", "competitions.rewards", "competitions.archives")


async def test_five_thousand_prizes_killed_five_times_are_paid_once(house: House) -> None:
    """Each is paid once, the pool is empty, and doing it again changes nothing."""
    name = house.copy(roles.DATABASE)
    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        starts = clock.now() - 6 * HOUR
        competition = await live(
            tx, starts, prize_rule=banded("occupants", (1, MANY, 10_000)), prize_asset="COIN", guaranteed_pool=7 * MANY
        )
        await score(
            tx, competition, await enter(tx, competition, MANY, starts), [MANY - n for n in range(MANY)], starts
        )
    house.settle_down(name)
    before = rows(house, name)
    for table in PAYING:
        await send(house, name, SettleGame(competition))
        assert kill_at(house, name, table, programs.worker).is_inside, table
        assert rows(house, name) == before, table

    await settle(house, name, Game(name, SettleGame(competition)))

    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        rewards = await competitions.rewards(tx, competition_id=competition)
        owners = [reward.user_id for reward in rewards if reward.user_id]
        wallets = await ledger.balances_many(tx, owner_ids=owners, asset="COIN")
        assert not await competitions.settle(tx, competition_id=competition, now=clock.now())
        assert await ledger.balance(tx, address=f"pool:{competition}", asset="COIN") == 0
    assert [reward.status for reward in rewards] == ["paid"] * MANY
    assert list(wallets.values()) == [7] * MANY
    house.require_sound(name)


async def test_whoever_pays_without_a_key_that_names_the_cause_pays_twice(house: House) -> None:
    """The same kill finds the fault in a payment that has it."""
    name = house.copy(roles.DATABASE)
    assert house.run(name, partial(programs.command, "identity", "create", "anna")).wait() == 0
    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        anna = await identity.get(tx, name_or_id="anna")
    job = PayNaively(f"user:{anna.id}:main", 5_000)
    await send(house, name, job)
    kill_at(house, name, "infra.audit_rows", programs.worker)
    assert books.balances(house.dsn(name)) == {"anna": 5_000}

    await send(house, name, job)
    worker = house.start(name, programs.worker)
    until(lambda: books.balances(house.dsn(name)) != {"anna": 5_000}, what=lambda: worker.errors)
    worker.kill()

    assert books.balances(house.dsn(name)) == {"anna": 10_000}


# the clock


def run_race(house: House, name: str) -> None:
    worker = house.start(name, programs.worker)
    until(lambda: books.stages(house.dsn(name)) == ["done"], what=lambda: f"the end of a race\n{worker.errors}")
    worker.kill()
    house.settle_down(name)


def test_a_worker_killed_between_two_steps_of_the_clock_leaves_a_race_to_the_next(house: House, applied: str) -> None:
    """Start picture, wagers, standings, archive: whichever was being written, the race ends as it would have."""
    peaceful, name = house.copy(applied), house.copy(applied)
    run_race(house, peaceful)
    before = rows(house, name)
    for table in CLOCK:
        assert kill_at(house, name, table, programs.worker).is_inside, table
        assert rows(house, name) == before, table

    run_race(house, name)

    assert rows(house, name) == rows(house, peaceful) != before
    house.require_sound(name)


@pytest.fixture(scope="module")
def won(house: House, applied: str) -> str:
    """The same race a second before its end: all is counted, and the first three places are known people."""
    name = house.copy(applied)
    best = [row["uid"] for row in EXPECTED["ranking"][: len(PRIZES)]]
    why = ("--programme", "default", "--reason", "his ticket")
    for words in (
        [("identity", "create", user) for user in PRIZES],
        [("affiliates", "link", uid, "--user", user, *why) for uid, user in zip(best, PRIZES, strict=True)],
    ):
        made = [house.start(name, partial(programs.command, *line)) for line in words]
        assert [process.wait() for process in made] == [0] * len(PRIZES), made[0].errors
    assert house.run(name, partial(programs.command, "races", "tick", "--at", "2025-03-26T19:59:59Z")).wait() == 0
    house.settle_down(name)
    return name


@pytest.mark.parametrize("kills", [10, pytest.param(60, marks=pytest.mark.nightly)])
def test_a_race_killed_at_random_points_between_its_end_and_its_completion_is_paid_once(
    house: House, won: str, chance: Random, kills: int
) -> None:
    """A worker, the command that settles, or both with the server, at a random write of the settlement."""
    peaceful, name = house.copy(won), house.copy(won)
    run_race(house, peaceful)
    for _ in range(kills):
        part = chance.choice((programs.worker, SETTLE_RACE))
        table = chance.choice(ENDING)
        with suppress(psycopg.OperationalError), house.hold(name, table) as caught:
            process = house.start(name, part)
            assert caught(process).is_inside, table
            process.kill()
            if chance.random() < SERVER_KILLS_SHARE and house.can_lose_its_server:
                house.kill_server()
        house.settle_down(name)
        assert books.settlement(house.dsn(name)) == {"standings": 0, "archives": 0, "given": 0, "pool": None}

    run_race(house, name)
    again = house.run(name, SETTLE_RACE)

    assert (again.wait(), json.loads(again.output)["steps"]) == (0, [])
    assert books.settlement(house.dsn(name)) == {"standings": 13, "archives": 1, "given": 50_000, "pool": 50_000}
    assert books.balances(house.dsn(name)) == PRIZES
    assert rows(house, name) == rows(house, peaceful)
    house.require_sound(name)


# at any moment


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.nightly)])
async def test_kills_at_random_moments_change_nothing(
    house: House, feed: str, applied: str, game: Game, settled: books.Books, chance: Random, kills: int
) -> None:
    fed, played = house.copy(feed), house.copy(game.database)
    for _ in range(kills):
        kill_sometime(house, fed, INGEST, chance.uniform(0, MOMENT_SECONDS_MAX))
        await send(house, played, game.job)
        kill_sometime(house, played, programs.worker, chance.uniform(0, MOMENT_SECONDS_MAX))

    assert house.run(fed, INGEST).wait() in {0, 1}  # 1: one of them was quick enough
    await settle(house, played, game)

    assert rows(house, fed) == rows(house, applied)
    assert books.messages(house.dsn(fed)) == books.messages(house.dsn(applied))
    assert rows(house, played) == settled
