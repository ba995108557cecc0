"""The rows of operations: whoever asked for one sees it, follows it and can stop it; nobody else knows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from palio.infra import audit, db, outbox, relay
from palio.infra.db import Tx
from palio.infra.messages import RunOperation
from palio.kernel.errors import Conflict, Gone, NotFound
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import IDS, Part
from palio.kernel.topics import OWNER, LiveType, Topic

OperationKind: TypeAlias = Literal["export", "import", "bulk", "other"]
OperationState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

TOPIC = "me:operations"


class NoSuchOperation(NotFound):
    """You have asked for no operation of this id."""

    code: ClassVar[str] = "operation.unknown"


class OperationOver(Conflict):
    """The operation is `state` already: there is nothing to stop."""

    code: ClassVar[str] = "operation.over"


class NotReady(Conflict):
    """The operation is `state`: there is no file yet, or never will be."""

    code: ClassVar[str] = "operation.not_ready"


def require_result(operation: "Operation") -> None:
    """Refuses with NotReady where bulk work has come to no end yet, and with Gone where its result is past its time."""
    if operation.kind != "bulk" or operation.finished_at is None or not operation.parts:
        raise NotReady(state=operation.state)
    if not operation.has_files:
        raise Gone


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is."""

    operation: str
    kind: str
    state: str
    done: int
    total: int | None


OPERATION_CHANGED = LiveType(
    "operation.changed",
    "A piece of work of yours has come further, or has ended.",
    Progress,
    {
        "operation": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44",
        "kind": "export",
        "state": "running",
        "done": 5000,
        "total": 12000,
    },
)
TOPICS = (
    Topic(
        TOPIC, "Long pieces of work that I asked for.", (OPERATION_CHANGED,), is_log=True, access=OWNER, for_staff=True
    ),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """A piece of work: what was asked for (`params`), how far it is, and what came of it.

    `total` is unknown until it has begun; its file is stored in so many `parts`, `size_bytes` long together.
    """

    id: UUID
    owner_id: UserId
    is_of_staff: bool
    kind: OperationKind
    state: OperationState
    done: int
    total: int | None
    params: dict[str, Any]
    snapshot: str | None
    cursor: list[Any] | None
    parts: int
    size_bytes: int
    sha256: bytes | None
    has_files: bool
    error_code: str | None
    tries: int
    version: int
    created_at: datetime
    started_at: datetime | None
    touched_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Will it go no further?"""
        return self.finished_at is not None


COLUMNS = """
    select id, owner_id, is_of_staff, kind, state, done, total, params, snapshot, cursor, parts, size_bytes, sha256,
      has_files, error_code, tries, version, created_at, started_at, touched_at, finished_at, expires_at
    from infra.operations"""


async def add(tx: Tx, *, kind: OperationKind, params: Mapping[str, Any], owner: UserId, now: datetime) -> Operation:
    """Store a piece of work for its owner, who asks, and have it carried out."""
    operation_id = new_id()
    await db.run(
        tx,
        """insert into infra.operations (id, owner_id, is_of_staff, kind, state, params, created_at, touched_at)
        values (%s, %s, %s, %s, 'queued', %s, %s, %s)""",
        *(operation_id, owner, tx.actor.kind == "staff", kind, Jsonb(params), now, now),
    )
    await outbox.send(tx, RunOperation(operation_id), key=str(operation_id))
    found = await get_mine(tx, operation_id=operation_id, owner=owner)
    await tell(tx, found)
    return found


async def find_mine(tx: Tx, *, operation_id: UUID, owner: UserId) -> Operation | None:
    """An operation of its owner, or None."""
    return await db.find(tx, Operation, COLUMNS + " where id = %s and owner_id = %s", operation_id, owner)


async def get_mine(tx: Tx, *, operation_id: UUID, owner: UserId) -> Operation:
    """An operation of its owner. Refuses with NoSuchOperation, also where it is somebody else's."""
    found = await find_mine(tx, operation_id=operation_id, owner=owner)
    if found is None:
        raise NoSuchOperation
    return found


@dataclass(frozen=True, slots=True)
class WorkWanted:
    """Which pieces of work are wanted: in which states (none named: in all), asked for in `[since, until)`."""

    states: Sequence[OperationState] = ()
    since: datetime | None = None
    until: datetime | None = None


ANY_WORK = WorkWanted()


OWNED = """
    where owner_id = %s and kind = %s and id > %s and id < %s and (%s::text[] = '{}' or state = any (%s::text[]))
      and created_at >= coalesce(%s::timestamptz, '-infinity') and created_at < coalesce(%s::timestamptz, 'infinity')"""


async def list_mine(
    tx: Tx,
    *,
    owner: UserId,
    kind: OperationKind,
    wanted: WorkWanted = ANY_WORK,
    part: Part[UUID],
) -> list[Operation]:
    """A part of what somebody has asked for, the newest first."""
    states = list(wanted.states)
    values = (owner, kind, *part.between(*IDS), states, states, wanted.since, wanted.until, part.limit)
    if part.is_back:
        return (await db.rows(tx, Operation, COLUMNS + OWNED + " order by id limit %s", *values))[::-1]
    return await db.rows(tx, Operation, COLUMNS + OWNED + " order by id desc limit %s", *values)


async def lock(tx: Tx, operation_id: UUID) -> Operation | None:
    """An operation, ours until the transaction ends; None if there is none, or it is somebody else's."""
    return await db.find(tx, Operation, COLUMNS + " where id = %s for update", operation_id)


async def cancel(tx: Tx, *, operation_id: UUID, owner: UserId, now: datetime) -> Operation:
    """Have an operation stop before its next chunk; what it has done so far is thrown away. Audited.

    Again, it changes nothing.

    Refuses with NoSuchOperation, OperationOver.
    """
    found = await lock(tx, operation_id)
    if found is None or found.owner_id != owner:
        raise NoSuchOperation
    if found.state in {"done", "failed"}:
        raise OperationOver(state=found.state)
    if found.state != "cancelled":
        await end(tx, found.id, "cancelled", now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="operation.cancel",
        entity_type=found.kind,
        entity_id=str(found.id),
        changes={"state": (found.state, "cancelled")},
    )
    return await get_mine(tx, operation_id=operation_id, owner=owner)


async def end(tx: Tx, operation_id: UUID, state: OperationState, *, now: datetime, code: str | None = None) -> None:
    """Let an operation that is not over end without anything coming of it; its owner is told."""
    is_ended = await db.run(
        tx,
        """update infra.operations set state = %s, error_code = %s, finished_at = %s, touched_at = %s,
          version = version + 1 where id = %s and finished_at is null""",
        *(state, code, now, now, operation_id),
    )
    if is_ended and (found := await lock(tx, operation_id)):
        await tell(tx, found)


async def tell(tx: Tx, operation: Operation) -> None:
    """Tell its owner how far it is."""
    facts = {
        "operation": str(operation.id),
        "kind": operation.kind,
        "state": operation.state,
        "done": operation.done,
        "total": operation.total,
    }
    await relay.tell(tx, topic=TOPIC, user_id=operation.owner_id, kind=OPERATION_CHANGED, facts=facts)
