"""Operations over HTTP: how far a long piece of work of one's own is, and the way to stop it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from pydantic import TypeAdapter

from palio.infra import operations
from palio.infra.db import Database
from palio.infra.operations import (
    NoSuchOperation,
    NotReady,
    Operation,
    OperationKind,
    OperationOver,
    OperationState,
)
from palio.kernel.errors import Gone
from palio.kernel.ids import UserId
from palio.ui import strict, versions
from palio.ui.access import NO_SCOPE
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.routes import Routes
from palio.ui.values import Instant

routes = Routes("api")
ONE = "/operations/{operation_id:uuid}"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export was asked for."""

    resource: str
    filter: Mapping[str, str]
    fields: Sequence[str]
    format: str
    gzip: bool


@dataclass(frozen=True, slots=True)
class OperationAnswer:
    """A piece of work: `done` of `total` rows (null until it has begun), and what came of it.

    `code` says why it failed. The file can be fetched until `expires_at`, `has_file` says whether it is there.
    """

    id: UUID
    kind: OperationKind
    state: OperationState
    done: int
    total: int | None
    export: Exported | None
    has_file: bool
    size_bytes: int
    sha256: str | None
    code: str | None
    created_at: Instant
    started_at: Instant | None
    updated_at: Instant
    finished_at: Instant | None
    expires_at: Instant | None
    version: int

    @classmethod
    def of(cls, one: Operation) -> "OperationAnswer":
        """The answer for an operation."""
        return cls(
            id=one.id,
            kind=one.kind,
            state=one.state,
            done=one.done,
            total=one.total,
            export=_exported(one.params) if one.kind == "export" else None,
            has_file=one.state == "done" and one.has_files,
            size_bytes=one.size_bytes,
            sha256=one.sha256.hex() if one.sha256 else None,
            code=one.error_code,
            created_at=one.created_at,
            started_at=one.started_at,
            updated_at=one.touched_at,
            finished_at=one.finished_at,
            expires_at=one.expires_at,
            version=one.version,
        )


SHAPE = TypeAdapter(OperationAnswer)


def _exported(params: Mapping[str, Any]) -> Exported:
    return Exported(params["resource"], params["filter"], params["fields"], params["format"], params["gzip"])


AN_OPERATION = OperationAnswer(
    id=UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"),
    kind="export",
    state="running",
    done=5_000,
    total=12_000,
    export=Exported(
        "audit",
        {"since": "2026-03-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"},
        ("id", "at", "action"),
        "csv",
        gzip=False,
    ),
    has_file=False,
    size_bytes=1_310_720,
    sha256=None,
    code=None,
    created_at=datetime.fromisoformat("2026-04-01T08:00:00Z"),
    started_at=datetime.fromisoformat("2026-04-01T08:00:01Z"),
    updated_at=datetime.fromisoformat("2026-04-01T08:00:02Z"),
    finished_at=None,
    expires_at=None,
    version=3,
)


def owner_of(ask: Asking) -> UserId:
    """Whose operations a request is about."""
    assert ask.actor.user_id  # noqa: S101 - the declared access lets nobody else in
    return ask.actor.user_id


def told(operation: Operation, response: Response) -> OperationAnswer:
    """The answer for an operation, with its version."""
    versions.tell(response, operation.version)
    return OperationAnswer.of(operation)


@routes.get(ONE, access="owner", example=AN_OPERATION, refuses=[NoSuchOperation], scope=NO_SCOPE, tier="expected")
async def get_operation(operation_id: UUID, ask: Ask, tx: InTx, response: Response) -> OperationAnswer:
    """Read how far a piece of work of yours is; the topic `me:operations` tells when that changes."""
    return told(await operations.get_mine(tx, operation_id=operation_id, owner=owner_of(ask)), response)


@routes.get(
    f"{ONE}/result",
    access="owner",
    example={"results": [], "counts": {"ok": 0, "duplicate": 0, "refused": 0}},
    refuses=[NoSuchOperation, NotReady, Gone],
    scope=NO_SCOPE,
    tier="expected",
)
async def get_operation_result(operation_id: UUID, ask: Ask, request: Request) -> Response:
    """Read what came of bulk work: what its call would have answered; of work that failed as a whole, with its code."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        found = await operations.get_mine(tx, operation_id=operation_id, owner=owner_of(ask))
    return Response(await operations.result_of(database, found), media_type=strict.JSON_TYPE)


@routes.post(
    f"{ONE}/cancel",
    access="owner",
    example=AN_OPERATION,
    refuses=[NoSuchOperation, OperationOver],
    scope=NO_SCOPE,
    tier="expected",
)
async def cancel_operation(operation_id: UUID, ask: Ask, tx: InTx, response: Response) -> OperationAnswer:
    """Stop a piece of work of yours before its next chunk; what it has done so far is thrown away."""
    found = await operations.cancel(tx, operation_id=operation_id, owner=owner_of(ask), now=ask.now)
    return told(found, response)
