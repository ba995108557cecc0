"""No acknowledged effect is lost or doubled by a crash, whatever is killed while eight programs and a worker post.

Server, backend, web process and worker are killed with -9 at random moments. Who is not answered asks again with the
same key. In the end every transfer that anybody was told of is there once, with its amount, and no other.
"""

import asyncio
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import Literal, TypeAlias

import httpx2
import psycopg
import pytest

from palio.infra import outbox, roles
from palio.infra.db import Database
from palio.kernel.errors import Refusal
from palio.kernel.ids import new_id
from tests.chaos import programs
from tests.chaos.house import House, built, until
from tests.chaos.programs import PayOnce
from tests.chaos.writers import TRANSFER, Writer, move
from tests.conftest import SYSTEM
from tests.factories.programs import program

Victim: TypeAlias = Literal["server", "backend", "web", "worker"]

WRITERS = 8
RECOVERY_SECONDS_MAX = 15
CALM_SECONDS = 1.5, 4.0  # between two kills, from and to
JOBS_OF_A_TURN = 2
ROUND: tuple[Victim, ...] = ("web", "server", "worker", "backend")
NIGHT = 4  # rounds, a server each: a supervisor gives up after its fifth lost one
NIGHT_ROUND: tuple[Victim, ...] = (*["server"] * 4, *["backend"] * 2, *["web"] * 2, *["worker"] * 2)
NIGHT_ACKNOWLEDGED_MIN = 50_000
HERE = re.compile(r"is at (http://\S+)/")
STORED = """
    select k.key, a.address, e.amount from ledger.keys k join ledger.transfers t on t.id = k.ref_id
    join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at and e.seq is not null
    join ledger.accounts a on a.id = e.account_id where t.key = k.key and k.key like %s"""
BACKENDS = "select pid from pg_stat_activity where datname = %s and usename = 'palio_app' and backend_xid is not null"
WAITING = """
    select count(*) from jobs.procrastinate_jobs where status in ('todo', 'doing') and task_name like '%pay_once'"""
FAILED = "select count(*) from jobs.procrastinate_jobs where status = 'failed'"


class Town:
    """A web process and a worker on one database, each of which is started again when it is killed."""

    def __init__(self, house: House, name: str) -> None:
        self.house, self.name = house, name
        self.tokens: list[str] = []
        self.address = ""
        self.start_web()
        self.worker = house.start(name, programs.worker)

    def start_web(self) -> None:
        self.web = web = self.house.start(self.name, partial(programs.command, "web"))
        until(lambda: HERE.search(web.output) or web.ends_within(0), what=lambda: f"a web process {web.errors}")
        found = HERE.search(web.output)
        assert found, web.errors
        self.address = found[1]

    def kill(self, victim: Victim) -> None:
        """kill -9; what dies with it comes back by itself, or is started again as a supervisor would."""
        if victim == "server":
            self.house.kill_server()
        elif victim == "backend":
            self._kill_backend()
        elif victim == "web":
            self.web.kill()
            self.start_web()
        else:
            self.worker.kill()
            self.worker = self.house.start(self.name, programs.worker)

    def _kill_backend(self) -> None:
        """One that is in the middle of writing; the server then restarts all others."""
        with psycopg.connect(self.house.cluster.dsn(), autocommit=True) as conn:
            found: list[int] = []
            until(
                lambda: found.extend(pid for (pid,) in conn.execute(BACKENDS, [self.name])) or found,
                what=lambda: "somebody who writes",
            )
            os.kill(found[0], signal.SIGKILL)


@pytest.fixture
async def town(house: House) -> AsyncIterator[Town]:
    async with settled_in(house) as town:
        yield town


@asynccontextmanager
async def settled_in(house: House) -> AsyncIterator[Town]:
    """A town with a program of its own for each writer."""
    name = house.copy(roles.DATABASE)
    town = await asyncio.to_thread(Town, house, name)
    async with house.opened(name) as database:
        town.tokens = [(await program(database))[1] for _ in range(WRITERS)]
    try:
        yield town
    finally:
        town.web.kill()
        town.worker.kill()
        await asyncio.to_thread(house.settle_down, name)


async def keep_sending(
    database: Database, jobs: dict[str, tuple[str, int]], wallets: list[str], done: asyncio.Event
) -> None:
    """Jobs that pay, in `jobs` once their transaction is acknowledged; who is not answered sends the same again."""
    number = 0
    while not done.is_set():
        turn = {f"job-{number + n}": (wallets[(number + n) % len(wallets)], 1 + n) for n in range(JOBS_OF_A_TURN)}
        number += JOBS_OF_A_TURN
        while True:
            try:
                async with database.begin(SYSTEM) as tx:
                    await outbox.send(tx, *[PayOnce(key, *what) for key, what in turn.items()])
                break
            except (Refusal, psycopg.Error, OSError):  # unavailable: whether it was sent is not known
                await asyncio.sleep(0.1)
        jobs |= turn
        await asyncio.sleep(0.1)


def writable_again(writers: list[Writer], since: float) -> float:
    """After how many seconds something was begun and answered."""
    until(lambda: any(writer.began_last_answered > since for writer in writers), what=lambda: "an answer after a kill")
    return time.monotonic() - since


async def survive(town: Town, victims: list[Victim], chance: Random, *, acknowledged_min: int) -> list[float]:
    """Kill one after the other while everybody works, and compare what is stored with what was said."""
    house, name = town.house, town.name
    wallets = [f"user:{new_id()}:main" for _ in range(50)]
    writers = [
        Writer(f"program-{number}", lambda: town.address, token, wallets, chance.randrange(2**32))
        for number, token in enumerate(town.tokens)
    ]
    jobs: dict[str, tuple[str, int]] = {}
    done, recovered = asyncio.Event(), []
    async with house.opened(name) as database:
        sending = asyncio.create_task(keep_sending(database, jobs, wallets, done))
        for writer in writers:
            writer.start()
        for victim in victims:
            await asyncio.sleep(chance.uniform(*CALM_SECONDS))
            began = time.monotonic()
            await asyncio.to_thread(town.kill, victim)
            recovered.append(await asyncio.to_thread(writable_again, writers, began))
        while sum(len(writer.done) for writer in writers) + len(jobs) < acknowledged_min:  # noqa: ASYNC110 - threads
            await asyncio.sleep(0.1)
        for writer in writers:
            writer.stop()
        for writer in writers:
            await asyncio.to_thread(writer.join)
        done.set()
        await sending
    with psycopg.connect(house.dsn(name), autocommit=True) as conn:
        until(
            lambda: conn.execute(WAITING).fetchone() == (0,), what=lambda: f"the end of all jobs {town.worker.errors}"
        )
        assert conn.execute(FAILED).fetchone() == (0,)
        stored_jobs = Counter(conn.execute(STORED, ["job-%"]).fetchall())
        stored = Counter(conn.execute(STORED, ["api:%"]).fetchall())
    assert [writer.strange for writer in writers] == [[]] * WRITERS
    assert {code for writer in writers for code in writer.refused.values()} <= {"ledger.insufficient_funds"}
    acknowledged = {key: what for writer in writers for key, what in writer.done.items()}
    told = Counter((key.rpartition(":")[2], *rest) for key, *rest in stored.elements())
    assert told == Counter((key, *what) for key, what in acknowledged.items())
    assert stored_jobs == Counter((key, *what) for key, what in jobs.items())
    house.require_sound(name)
    assert sum(writer.unanswered for writer in writers) > 0, "nobody was disturbed"
    return recovered


async def test_nothing_that_was_acknowledged_is_lost_or_doubled(town: Town, chance: Random) -> None:
    await survive(town, list(ROUND), chance, acknowledged_min=0)


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(NIGHT))
async def test_nothing_is_lost_or_doubled_in_a_long_night(number: int, chance: Random) -> None:
    """Sixteen servers, and eight each of backends, web processes and workers; whoever writes is served again soon."""
    victims = list(NIGHT_ROUND)
    chance.shuffle(victims)
    with built() as house:
        async with settled_in(house) as town:
            recovered = await survive(town, victims, chance, acknowledged_min=NIGHT_ACKNOWLEDGED_MIN // NIGHT)
    assert max(recovered) <= RECOVERY_SECONDS_MAX, f"{number}: {recovered}"


@pytest.mark.parametrize(("second_key", "balance"), [("once", 5), ("twice", 10)])
def test_whoever_asks_again_with_another_key_is_paid_twice(town: Town, second_key: str, balance: int) -> None:
    """The control: the web process dies with its commit done and its answer not given."""
    wallet, token = f"user:{new_id()}:main", town.tokens[0]

    def ask(key: str) -> int:
        headers = {"authorization": f"Bearer {token}", "idempotency-key": key}
        try:
            return httpx2.post(town.address + TRANSFER, json=move(wallet, 5), headers=headers, timeout=60).status_code
        except httpx2.HTTPError:
            return 0

    assert ask("first") == 201  # what the process learns once is learnt: the next one writes without looking
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask("once")))
    with ExitStack() as writing:
        caught = writing.enter_context(town.house.hold(town.name, "ledger.entries"))
        asking.start()
        with town.house.hold_commits(caught(town.web).pid) as committing:
            writing.close()
            committing()
            town.web.kill()
    asking.join()
    assert answers == [0]

    town.start_web()
    assert ask(second_key) == 201
    with psycopg.connect(town.house.dsn(town.name)) as conn:
        found = conn.execute("select sum(amount)::int from ledger.entries where seq is not null").fetchone()
    assert found == (5 + balance,)
