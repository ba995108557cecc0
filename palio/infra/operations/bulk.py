"""Bulk work that somebody did not want to wait for: taken down as it was asked, carried out by a worker, and what came
of it kept as a file.

What is carried out knows its items by keys of their own, so a worker that is killed is followed by one that begins
anew: what was done before is told as `duplicate`.
"""

from datetime import timedelta
from hashlib import sha256
from typing import ClassVar
from uuid import UUID

from palio.infra import db, settings
from palio.infra.db import Database, Tx
from palio.infra.files import storage_of
from palio.infra.operations import work
from palio.infra.operations.settings import PLAYER_HOURS
from palio.infra.operations.work import Operation
from palio.kernel import clock
from palio.kernel.errors import Conflict, Refusal, Unavailable
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.providers import BulkDone, Wished

OPEN_MAX = 20
TRIES_MAX = 5


class TooManyOpen(Conflict):
    """`limit` pieces of work that you have asked for wait or run already: let one of them end first."""

    code: ClassVar[str] = "operation.too_many_open"


class NeverEnds(Refusal):
    """The work failed several times; ask whoever runs the house to look at its jobs."""

    code: ClassVar[str] = "operation.never_ends"


async def ask(tx: Tx, *, wished: Wished, total: int, owner: UserId) -> Operation:
    """Have bulk work of so many items done later; the caller has judged who may, and the shape of the whole.

    Refuses with TooManyOpen.
    """
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('operations:' || %s, 0))", str(owner))
    waiting = await db.value(
        tx,
        "select count(*) from infra.operations where owner_id = %s and kind = 'bulk' and finished_at is null",
        owner,
    )
    if waiting >= OPEN_MAX:
        raise TooManyOpen(limit=OPEN_MAX)
    params = {"call": wished.call, "names": dict(wished.names)}
    operation = await work.add(tx, kind="bulk", params=params, owner=owner, now=clock.now())
    await db.run(
        tx,
        "update infra.operations set asked = %s, total = %s where id = %s",
        *(wished.body, total, operation.id),
    )
    return await work.get_mine(tx, operation_id=operation.id, owner=owner)


async def carry_out(database: Database, operation_id: UUID) -> None:
    """Carry bulk work out and keep what came of it; a refusal ends it. What was over is left alone."""
    async with database.begin_system("bulk work begins") as tx:
        begun = await _begin(tx, operation_id)
    if begun is None:
        return
    operation, wished = begun
    actor = Actor("player", operation.owner_id, RequestId(new_id()))
    try:
        done = await database.equipment.bulk[wished.call].carry_out(database, actor, wished)
    except Unavailable:
        raise
    except Refusal as refusal:
        async with database.begin_system("bulk work ends") as tx:
            await _forget(tx, operation_id)
            await work.end(tx, operation_id, "failed", now=clock.now(), code=refusal.code)
        return
    await storage_of(database).put(key_of(operation), done.body)
    async with database.begin_system("bulk work is done") as tx:
        await _settle(tx, operation, done)


def key_of(operation: Operation) -> str:
    """Under which name what came of it is stored."""
    return f"exports/{operation.id}/{0:06}"


async def _begin(tx: Tx, operation_id: UUID) -> tuple[Operation, Wished] | None:
    """Take it up; None if it is over. Whoever comes after so many who never ended ends it."""
    operation = await work.lock(tx, operation_id)
    if operation is None or operation.is_over:
        return None
    if operation.tries >= TRIES_MAX:
        await _forget(tx, operation_id)
        await work.end(tx, operation_id, "failed", now=clock.now(), code=NeverEnds.code)
        return None
    now = clock.now()
    await db.run(
        tx,
        """update infra.operations set state = 'running', tries = tries + 1, has_files = true,
          started_at = coalesce(started_at, %s), touched_at = %s, version = version + 1 where id = %s""",
        *(now, now, operation_id),
    )
    asked: bytes = await db.value(tx, "select asked from infra.operations where id = %s", operation_id)
    running = await work.lock(tx, operation_id)
    assert running  # noqa: S101 - it is locked
    await work.tell(tx, running)
    return running, Wished(running.params["call"], running.params["names"], asked)


async def _forget(tx: Tx, operation_id: UUID) -> None:
    """What was asked is needed no more."""
    await db.run(tx, "update infra.operations set asked = null where id = %s", operation_id)


async def _settle(tx: Tx, operation: Operation, done: BulkDone) -> None:
    """Say what came of it; whoever was stopped, or overtaken by another worker, says nothing."""
    now = clock.now()
    is_ours = await db.run(
        tx,
        """update infra.operations set state = case when %s::text is null then 'done' else 'failed' end,
          error_code = %s, done = total, parts = 1, size_bytes = %s, sha256 = %s, asked = null, finished_at = %s,
          expires_at = %s, touched_at = %s, version = version + 1
        where id = %s and state = 'running' and tries = %s""",
        *(done.code, done.code, len(done.body), sha256(done.body).digest(), now),
        *(now + timedelta(hours=settings.value(PLAYER_HOURS)), now, operation.id, operation.tries),
    )
    if is_ours and (ended := await work.lock(tx, operation.id)):
        await work.tell(tx, ended)


async def result_of(database: Database, operation: Operation) -> bytes:
    """What came of it, as the call would have answered. Refuses with NotReady, and with Gone past its time."""
    work.require_result(operation)
    return await storage_of(database).get(key_of(operation))
