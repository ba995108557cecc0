"""Who did what: a row in the same transaction as the change, appended and never altered."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Literal, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId

Via: TypeAlias = Literal["web", "bot", "cli", "mcp", "job"]

SEALED = "•"  # what stands for the value of a sealed field


async def record(
    tx: Tx,
    *,
    actor: Actor,
    action: str,
    entity_type: str,
    entity_id: str,
    changes: Mapping[str, tuple[object, object]],
    reason: str = "",
    subject: UserId | None = None,
    via: Via | None = None,
    approval_id: UUID | None = None,
) -> None:
    """Write the audit row of an act: `noun.verb`, what it touched, each field before and after, and why.

    Fields are integers, strings, booleans, ids, instants or None; a float raises TypeError, and a sealed field is
    given as `SEALED`. Without `via` the system acted in a job and everybody else on the web.
    """
    told = {field: [_plain(value) for value in pair] for field, pair in changes.items()}
    await db.run(
        tx,
        """insert into infra.audit_rows (actor_kind, actor_id, subject_user_id, action, entity_type, entity_id, changes,
          reason, request_id, via, approval_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(actor.kind, actor.user_id, subject, action, entity_type, entity_id, Jsonb(told), reason, actor.request_id),
        via or ("job" if actor.kind == "system" else "web"),
        approval_id,
    )
    tx.is_audited = True


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (UUID, datetime, date, time)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    raise TypeError(f"{type(value).__name__} does not belong into an audit row")
