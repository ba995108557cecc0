"""What others hear of an applied snapshot, in its transaction; and what open pages hear after it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra import jobs
from palio.infra.db import Database, Equipment, Tx
from palio.infra.embedded import Cluster
from palio.infra.storage import Storage
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.messages import handles
from tests.affiliates.test_reads import link
from tests.factories.affiliates import QUARTER, T1, T2, body, ingest, row

SYSTEM = Actor("system", None, RequestId(new_id()))


@handles(affiliates.SnapshotApplied)
async def hear_applied(tx: Tx, event: affiliates.SnapshotApplied) -> None:
    """Somebody listens."""


@handles(affiliates.WagerCorrected)
async def hear_corrected(tx: Tx, event: affiliates.WagerCorrected) -> None:
    """Somebody listens."""


@handles(affiliates.WagersAdvanced)
async def hear_advanced(tx: Tx, event: affiliates.WagersAdvanced) -> None:
    """Somebody listens."""


ROUTES = {
    affiliates.SnapshotApplied: [hear_applied],
    affiliates.WagerCorrected: [hear_corrected],
    affiliates.WagersAdvanced: [hear_advanced],
}


@pytest.fixture
def told() -> list[dict[str, object]]:
    return []


@pytest.fixture
async def heard(cluster: Cluster, database_name: str, told: list[dict[str, object]]) -> AsyncIterator[Database]:
    """A process in which somebody listens to everything."""
    equipment = Equipment(jobs.addresses(ROUTES), tell=lambda _, event: told.append(json.loads(event)))
    database = Database(cluster.dsn("palio_app", database_name), equipment=equipment, connections_max=1)
    await database.pool.open(wait=True)
    yield database
    names = [jobs.task_name(handler) for handlers in ROUTES.values() for handler in handlers]
    async with database.begin(SYSTEM) as tx:  # no worker of another test shall find them
        await tx.execute("delete from jobs.procrastinate_jobs where task_name = any (%s)", [names])
    await database.pool.close()


async def messages(tx: Tx, handler: object) -> list[dict[str, object]]:
    """What waits for a handler, in order."""
    statement = "select args -> 'message' from jobs.procrastinate_jobs where task_name = %s order by id"
    return [line[0] for line in await (await tx.execute(statement, [jobs.task_name(handler)])).fetchall()]  # type: ignore[arg-type]


async def test_an_applied_snapshot_is_told_once_and_a_fall_by_name(
    heard: Database, storage: Storage, code: str, told: list[dict[str, object]]
) -> None:
    """Acceptance 9, its events."""
    async with heard.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
        first = await ingest(tx, programme, body(row("a", 100), row("b", 100)), T1, storage)
        second = await ingest(tx, programme, body(row("a", 90), row("b", 101)), T2, storage)
        doubted = await ingest(tx, programme, body(), T2 + QUARTER, storage)
        applied = [
            message for message in await messages(tx, hear_applied) if message["programme_id"] == str(programme.id)
        ]
        assert [(message["snapshot_id"], message["seq"]) for message in applied] == [
            (str(first.id), 1),
            (str(second.id), 2),
        ]
        assert doubted.status == "suspicious"
        (player,) = [p for p in (await _players(tx, programme)) if p.uid == "a"]
        assert await messages(tx, hear_corrected) == [
            {
                "programme_id": str(programme.id),
                "snapshot_id": str(second.id),
                "seq": 2,
                "player_ids": [str(player.id)],
            }
        ]
        assert await messages(tx, hear_advanced) == []
        assert told == []
    boards = [f"board:wager:{code}:{kind}" for kind in types.PERIOD_KINDS]
    assert [(event["topic"], event["type"], event["data"]["seq"]) for event in told] == [  # type: ignore[index]
        (topic, "feed.updated" if topic == "feed" else "leaderboard.updated", seq)
        for seq in (1, 2)
        for topic in (*boards, "feed")
    ]


async def _players(tx: Tx, programme: types.Programme) -> list[types.Player]:
    statement = "select id from affiliates.players where programme_id = %s"
    ids = [line[0] for line in await (await tx.execute(statement, [programme.id])).fetchall()]
    return list((await affiliates.players_many(tx, ids)).values())


async def test_linked_users_hear_of_their_totals(heard: Database, storage: Storage, code: str) -> None:
    """Of all time, and of the month since it opened; who is not linked or did not play is left out."""
    user_id = UserId(new_id())
    march, april = datetime(2025, 3, 31, 12, tzinfo=UTC), datetime(2025, 4, 1, 12, tzinfo=UTC)
    async with heard.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
        await ingest(tx, programme, body(row("a", 100), row("b", 100)), T1, storage)
        await link(tx, programme, "a", user_id)
        for at, total in ((march, 130), (april, 170), (april + QUARTER, 170)):
            await ingest(tx, programme, body(row("a", total), row("b", total)), at, storage)
        heard_totals = [message["totals"] for message in await messages(tx, hear_advanced)]
    assert [[(total["span"], total["micros"]) for total in totals] for totals in heard_totals] == [  # type: ignore[attr-defined]
        [("ALL", 130_000_000), ("M:2025-03", 30_000_000)],
        [("ALL", 170_000_000), ("M:2025-04", 40_000_000)],
    ]
