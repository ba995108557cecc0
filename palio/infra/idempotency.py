"""Keys of requests: the first request under a key has its effect, every later one is told what the first was told.

The row of a key is written in the transaction of the effect, so there is never one without the other. A second request
that comes meanwhile waits for the first one's end; what was refused is rolled back with its key, and judged anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from psycopg import errors
from psycopg.types.json import Jsonb

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Conflict, Invalid
from palio.kernel.ids import UserId
from palio.kernel.settings import Setting

BODY_BYTES_MAX = 1 << 20  # a longer answer is told again by its id alone

BODY_DAYS = Setting(
    "api.idempotent_answer_days", "int", 7, "How long the answer to a request with a key is kept.", "days", 1, 90
)
KEY_DAYS = Setting(
    "api.idempotency_key_days", "int", 90, "How long a key is known after its answer is gone.", "days", 30, 400
)


class KeyReused(Invalid):
    """This `Idempotency-Key` belongs to another request: take a new one for each thing you want done."""

    code: ClassVar[str] = "idempotency_key_reused"


class InProgress(Conflict):
    """The first request with this `Idempotency-Key` is still running: ask again in a second."""

    code: ClassVar[str] = "idempotency_in_progress"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request under a key: whose, of which call, and the digest of everything it says."""

    user_id: UserId
    call: str
    key: str
    sha256: bytes

    @property
    def scope(self) -> str:
        return f"{self.user_id}:{self.call}"


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given. `body` is None once it is past its time; `id` names what the effect made."""

    status: int
    headers: dict[str, str]
    body: bytes | None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    request_sha256: bytes
    status: int | None
    headers: dict[str, Any]
    body: bytes | None


async def claim(tx: Tx, asked: Asked, *, now: datetime) -> Kept | None:
    """Take the key for this transaction: None means that the effect is ours to make, else what was answered before.

    Waits up to the lock timeout of the transaction for whoever holds it. Refuses with KeyReused, InProgress.
    """
    try:
        is_ours = await db.run(
            tx,
            """insert into infra.idempotency_keys (scope, key, user_id, request_sha256, created_at)
            values (%s, %s, %s, %s, %s) on conflict (scope, key) do nothing""",
            *(asked.scope, asked.key, asked.user_id, asked.sha256, now),
        )
    except errors.LockNotAvailable:
        raise InProgress(retry_after_s=1) from None
    if is_ours:
        return None
    found = await db.find(
        tx,
        _Stored,
        "select request_sha256, status, headers, body from infra.idempotency_keys where scope = %s and key = %s",
        *(asked.scope, asked.key),
    )
    if found is None or found.status is None:  # it was pruned, or given up, since we looked
        raise InProgress(retry_after_s=1)
    if found.request_sha256 != asked.sha256:
        raise KeyReused
    headers = dict(found.headers)
    return Kept(found.status, headers, found.body, headers.pop("id", None))


async def keep(tx: Tx, asked: Asked, answer: Kept, *, keep_until: datetime) -> None:
    """Store what is about to be answered, in the transaction of the effect. An answer that is too long keeps its id."""
    body = answer.body if answer.body is not None and len(answer.body) <= BODY_BYTES_MAX else None
    headers = answer.headers | ({"id": answer.id} if answer.id else {})
    await db.run(
        tx,
        """update infra.idempotency_keys set status = %s, headers = %s, body = %s, body_until = %s
        where scope = %s and key = %s""",
        *(answer.status, Jsonb(headers), body, keep_until, asked.scope, asked.key),
    )


def without(answer: Kept, secrets: frozenset[str]) -> Kept:
    """The answer as it may be stored: what is shown once is null in it, as is what cannot be read as an object."""
    if not secrets or answer.body is None:
        return answer
    told: dict[str, object] = json.loads(answer.body)
    hidden = {name: None if name in secrets else value for name, value in told.items()}
    return replace(answer, body=json.dumps(hidden, ensure_ascii=False, separators=(",", ":")).encode())


def id_in(body: bytes) -> str | None:
    """The `id` of what an answer describes, if it describes one thing that has one."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    found = told.get("id") if isinstance(told, Mapping) else None
    return str(found) if found is not None else None


async def prune(tx: Tx, *, now: datetime, keys_kept: timedelta, rows_max: int) -> int:
    """Forget bodies that are past their time, and keys that are past theirs; at most so many rows of each."""
    await db.run(
        tx,
        """update infra.idempotency_keys set body = null, body_until = null where (scope, key) in (
          select scope, key from infra.idempotency_keys where body_until < %s order by body_until limit %s)""",
        now,
        rows_max,
    )
    return await db.run(
        tx,
        """delete from infra.idempotency_keys where (scope, key) in (
          select scope, key from infra.idempotency_keys where created_at < %s order by created_at limit %s)""",
        now - keys_kept,
        rows_max,
    )
