"""Two processes of a host with one long list: its base lies in memory once, and both rank as the database does."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from palio import competitions
from palio.competitions import sql
from palio.competitions.ranks import Ranking
from palio.competitions.service import rankings
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import Admission, CompetitionId, EntrantId, RankTerms, StateChange, Submission
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.infra.shelves import Shelf
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import HOUR, live

SYSTEM = Actor("system", None, RequestId(new_id()))
NOBODY = Actor("none", None, RequestId(new_id()))
PEOPLE = 12_000
ANSWER_BYTES_MAX = 1 << 22
FULL_RANKS = """
    select entrant_id, rank from (
      select entrant_id, rank() over (order by score desc) as rank, score from competitions.scores
      where list_id = %s and state = 'ranked') s
    where score >= 1"""


@dataclass(frozen=True)
class Race:
    """A long list that is live."""

    competition_id: CompetitionId
    entrants: list[EntrantId]
    terms: RankTerms


@pytest.fixture(scope="module")
async def race(database: Database) -> Race:
    noon = datetime(2026, 3, 20, 12, tzinfo=UTC)
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
        people = [Admission(competition_id, "player", str(new_id()), None, "pla***") for _ in range(PEOPLE)]
        entrants = await competitions.admit_many(tx, people[:10_000], now=noon)
        entrants += await competitions.admit_many(tx, people[10_000:], now=noon)
        for part in (entrants[:10_000], entrants[10_000:]):
            await add(tx, competition_id, part, noon, 1)
        terms = (await competitions.get(tx, competition_id=competition_id)).terms
    return Race(competition_id, entrants, terms)


async def add(tx: Tx, competition_id: CompetitionId, entrants: list[EntrantId], noon: datetime, seed: int) -> None:
    """A few points each, so that many are tied."""
    chance = Random(seed)  # noqa: S311 - scores, no secrets
    at = noon + timedelta(seconds=chance.randrange(3_000))
    items = [Submission(competition_id, who, chance.randrange(-3, 300), str(new_id()), at) for who in entrants]
    await competitions.submit_many(tx, items, now=at + HOUR)


async def ranks_of(database: Database, race: Race) -> dict[int, int]:
    """As the server sorts the whole table."""
    async with database.begin(SYSTEM) as tx:
        return dict(await (await tx.execute(FULL_RANKS, [race.terms.list_id])).fetchall())


@dataclass
class Other:
    """A process with this list."""

    process: asyncio.subprocess.Process

    async def ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        found: dict[str, Any] = json.loads(await self.process.stdout.readline())
        found["ranks"] = dict(found["ranks"])
        return found


@asynccontextmanager
async def started(dsn: str, folder: Path, race: Race) -> AsyncIterator[Other]:
    words = (sys.executable, "-m", "tests.concurrency.ranks_alone", dsn, str(folder), str(race.terms.list_id))
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=ANSWER_BYTES_MAX
    )
    try:
        yield Other(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def dsn(cluster: embedded.Cluster, database_name: str) -> str:
    return cluster.dsn("palio_app", database_name)


async def test_two_processes_hold_one_base_between_them_and_rank_as_the_server_does(
    database: Database, race: Race, dsn: str, noon: datetime, tmp_path: Path
) -> None:
    """Started at once, so that both want to lay it; then scores change, and both know them."""
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(started(dsn, tmp_path, race)) for _ in range(2)]
        one, other = await asyncio.gather(*(process.ask() for process in both))
        right = await ranks_of(database, race)
        assert one["ranks"] == right
        assert other["ranks"] == right
        assert one["generation"] == other["generation"] > 0
        parts = [each for process in both for each in (await process.ask())["mapped"]]
        assert len(parts) == 2
        assert {part["inode"] for part in parts} == {base_of(tmp_path).stat().st_ino}
        for part in parts:
            assert part["Rss"] >= 16 * PEOPLE  # of 32; who wrote it has not read all of it
            assert part["Pss"] <= 0.7 * part["Rss"]  # half of it is the other's
            assert part["Anonymous"] == 0  # no page of it is a copy

        async with database.begin(SYSTEM) as tx:
            await add(tx, race.competition_id, race.entrants[::24], noon, 2)
            out = StateChange(race.competition_id, race.entrants[0], "out", str(new_id()), noon, "because")
            await competitions.set_state_many(tx, [out], now=noon)
        right = await ranks_of(database, race)
        assert race.entrants[0] not in right
        for process in both:
            later = await process.ask()
            assert (later["ranks"], later["generation"]) == (right, one["generation"])


async def test_who_dies_while_he_lays_a_base_leaves_it_to_the_next(
    database: Database, race: Race, dsn: str, tmp_path: Path
) -> None:
    """Killed at four moments of a start; whoever comes then knows every rank, and rests on a whole base."""
    for pause in range(4):
        async with started(dsn, tmp_path, race) as dying:
            asking = asyncio.ensure_future(dying.ask())
            await asyncio.sleep(0.6 + pause / 10)
            dying.process.kill()
            await asyncio.wait([asking])
            asking.exception()
    async with started(dsn, tmp_path, race) as process:
        found = await process.ask()
    assert found["ranks"] == await ranks_of(database, race)
    assert found["generation"] > 0
    base_of(tmp_path)  # and nothing else is left


@contextmanager
def equipped(database: Database, folder: Path) -> Iterator[Shelf]:
    """This process as it is with a shelf, without any memory."""
    plain, shelf = database.equipment, Shelf(folder)
    database.equipment = replace(plain, shelf=shelf)
    database.remembered(Rankings).__init__()  # type: ignore[misc]  # begun anew
    yield shelf
    database.equipment = plain


async def here(database: Database, race: Race) -> tuple[dict[int, int], int]:
    """The ranks that this process tells, and on which base they rest."""
    async with database.begin(NOBODY) as tx:
        found = await rankings.load(tx, terms=race.terms)
    return {place.entrant: place.rank for place in found.ranking.page(0, found.ranking.qualified)}, found.generation


@pytest.fixture
def memory(database: Database, tmp_path: Path) -> Iterator[Path]:
    with equipped(database, tmp_path):
        yield tmp_path


def forget(database: Database, race: Race) -> None:
    database.remembered(Rankings).forget(race.terms.list_id)


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def base_of(folder: Path) -> Path:
    (found,) = files_of(folder)
    return found


async def test_a_base_that_was_spoilt_or_has_fallen_behind_is_laid_anew(
    database: Database, race: Race, memory: Path, noon: datetime
) -> None:
    _, first = await here(database, race)
    forget(database, race)
    assert await here(database, race) == (await ranks_of(database, race), first)

    with base_of(memory).open("r+b") as file:
        file.truncate(10_000)
    forget(database, race)
    async with database.begin(SYSTEM) as tx:
        await add(tx, race.competition_id, race.entrants[:30], noon, 3)
    ranks, second = await here(database, race)
    assert ranks == await ranks_of(database, race)
    assert second > first
    assert base_of(memory).name.startswith(f"{second}-")


async def test_of_a_base_that_has_grown_old_the_next_is_laid_and_others_come_to_it(
    database: Database, race: Race, dsn: str, memory: Path, noon: datetime
) -> None:
    """More than ten thousand have changed: too many beside a base."""
    async with started(dsn, memory, race) as process:
        first = await process.ask()
        assert (await here(database, race))[1] == first["generation"]
        async with database.begin(SYSTEM) as tx:
            await add(tx, race.competition_id, race.entrants[:9_000], noon, 4)
        database.remembered(Rankings).of(race.terms.list_id).looked_at = 0
        ranks, second = await here(database, race)
        assert ranks == await ranks_of(database, race)
        assert second > first["generation"]
        await process.ask()
        await asyncio.sleep(rankings.LOOK_EVERY_S)
        later = await process.ask()
        assert (later["ranks"], later["generation"]) == (ranks, second)
        assert [each["inode"] for each in later["mapped"]] == [base_of(memory).stat().st_ino]


async def test_a_base_that_is_whole_but_wrong_is_found_out_and_thrown_away(
    database: Database, race: Race, memory: Path
) -> None:
    """As if its writer had had a defect: sound as a file, with everybody's score moved to another."""
    await here(database, race)
    held = database.remembered(Rankings).of(race.terms.list_id)
    assert held.live is not None
    assert held.live.shared is not None
    old, shared = held.live, held.live.shared
    facts = {"horizon": old.horizon, "version": old.version}
    score, reached, entrant, *others = (column.copy() for column in old.ranking.bases)
    wrong_one = Ranking.resting_on([score, reached, entrant[::-1].copy(), *others], least=race.terms.least_score)
    async with shared.turn() as is_ours:
        assert is_ours
        await shared.lay(wrong_one, generation=old.moment, facts=facts)
    forget(database, race)
    assert (await here(database, race))[0] != await ranks_of(database, race)

    async with database.begin(NOBODY) as tx:
        wrong = await rankings.check(tx, terms=race.terms, chance=secrets.randbelow)
    assert wrong
    assert not files_of(memory)
    assert (await here(database, race))[0] == await ranks_of(database, race)


async def test_where_nothing_can_be_written_each_process_has_its_own(
    database: Database, race: Race, tmp_path: Path
) -> None:
    (tmp_path / "ranks").write_text("in the way")
    with equipped(database, tmp_path / "ranks"):
        assert await here(database, race) == (await ranks_of(database, race), 0)


async def test_what_a_transaction_has_written_itself_is_on_no_base(
    database: Database, race: Race, memory: Path, noon: datetime
) -> None:
    """Also if it is the first to ask; and then it is undone."""
    right = await ranks_of(database, race)
    async with database.begin(SYSTEM) as tx, db.taken_back(tx):
        await add(tx, race.competition_id, race.entrants[:1], noon, 6)
        assert (await rankings.load(tx, terms=race.terms)).generation == 0
    assert not files_of(memory)
    ranks, generation = await here(database, race)
    assert (ranks, generation > 0) == (right, True)


async def test_a_list_that_is_final_has_no_base(database: Database, race: Race, memory: Path) -> None:
    await here(database, race)
    base_of(memory)
    async with database.begin(NOBODY) as tx:
        rankings.forget(tx, list_id=race.terms.list_id)
    assert not files_of(memory)


async def test_the_run_of_a_server_tells_databases_apart_and_short_lists_have_no_base(
    database: Database, race: Race
) -> None:
    async with database.begin(NOBODY) as tx:
        ranked = "select count(*) from competitions.scores where list_id = %s and state = 'ranked'"
        entrants = await db.value(tx, ranked, race.terms.list_id)
        run = await sql.find_run(tx, race.terms.list_id, entrants)
        assert run is not None
        assert await sql.find_run(tx, race.terms.list_id, entrants + 1) is None
        oid = await db.value(tx, "select oid from pg_database where datname = current_database()")
    assert str(oid) in run.split("-")
