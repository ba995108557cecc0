"""Whoever withdraws while a competition is settled is out before the freeze, or was too late and has won."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from palio import competitions
from palio.competitions import sql
from palio.competitions.types import CompetitionId, EntrantId, StateChange
from palio.infra import embedded
from palio.infra.db import Database, Equipment
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, enter, live, score
from tests.factories.databases import own_database

CONNECTIONS = 24
PEOPLE = 200
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
END = NOON + 5 * HOUR


@pytest.fixture(scope="module")
async def house(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    name = f"palio_withdrawals_{worker_id}"
    async with own_database(cluster, name, equipment=Equipment(), connections_max=CONNECTIONS) as database:
        yield database


async def played(house: Database, count: int) -> tuple[CompetitionId, list[EntrantId]]:
    async with house.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOON)
        people = await enter(tx, competition_id, count, NOON)
        await score(tx, competition_id, people, list(range(count, 0, -1)), NOON)
    return competition_id, people


async def settle(house: Database, competition_id: CompetitionId) -> None:
    async with house.begin(SYSTEM) as tx:
        await competitions.close(tx, competition_id=competition_id, now=END)
    async with house.begin(SYSTEM) as tx:
        await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=END)


async def test_withdrawals_that_race_the_freeze_are_out_of_the_standings_or_too_late(house: Database) -> None:
    """The prizes are those of whoever is left, each once, and a repetition of the settlement changes nothing."""
    competition_id, people = await played(house, PEOPLE)
    gate = asyncio.Semaphore(CONNECTIONS - 4)

    async def withdraw(entrant: EntrantId) -> bool:
        async with gate, house.begin(SYSTEM) as tx:
            change = StateChange(competition_id, entrant, "out", "withdraws", NOON, "withdraws")
            return bool(await competitions.set_state_many(tx, [change], now=END))

    first = [asyncio.create_task(withdraw(entrant)) for entrant in people[: PEOPLE // 3]]
    await first[CONNECTIONS // 2]
    _, *went = await asyncio.gather(settle(house, competition_id), *first, *map(withdraw, people[PEOPLE // 3 :]))
    out = {entrant for entrant, has_gone in zip(people, went, strict=True) if has_gone}
    assert 0 < len(out) < PEOPLE  # both happened

    async with house.begin(SYSTEM) as tx:
        for _ in range(2):
            found = await competitions.get(tx, competition_id=competition_id)
            standings = await competitions.standings(tx, competition_id=competition_id, limit=PEOPLE)
            rewards = await competitions.rewards(tx, competition_id=competition_id)
            assert {row.entrant_id for row in standings} == set(people) - out
            assert [(reward.amount, reward.status) for reward in rewards] == [
                (amount, "paid") for amount in (5_000, 3_000, 2_000)
            ]
            assert found.status == "completed"
            assert not (await competitions.verify(tx, competition_id=competition_id)).differences
            await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=END)
            assert not await competitions.settle(tx, competition_id=competition_id, now=END + HOUR)


async def test_without_the_header_somebody_withdraws_who_has_won(house: Database) -> None:
    """The control: who looks first and writes afterwards says that he is out, and has been paid."""
    competition_id, (winner,) = await played(house, 1)
    looked, settled = asyncio.Event(), asyncio.Event()

    async def withdraw() -> int:
        async with house.begin(SYSTEM) as tx:
            found = await competitions.get(tx, competition_id=competition_id)
            assert found.status == "live"
            looked.set()
            await settled.wait()
            change = StateChange(competition_id, winner, "out", "withdraws", NOON, "withdraws")
            return await sql.insert_state_receipts(tx, [(found.list_id, None, change)], END)

    async def end_it() -> None:
        await looked.wait()
        await settle(house, competition_id)
        settled.set()

    gone, _ = await asyncio.gather(withdraw(), end_it())
    assert gone == 1
    async with house.begin(SYSTEM) as tx:
        rewards = await competitions.rewards(tx, competition_id=competition_id)
        assert [reward.status for reward in rewards] == ["paid"]
        differences = (await competitions.verify(tx, competition_id=competition_id)).differences
        assert differences  # and nobody can work out from the receipts why
