"""Who did what: a row in the same transaction as the change, appended and never altered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal, TypeAlias
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel import parts
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
    given as `SEALED`. Without `via` the system acted in a job and everybody else on the web. What is written while a
    proposal is carried out happened in a job, and names that approval.
    """
    told = {field: [_plain(value) for value in pair] for field, pair in changes.items()}
    await db.run(
        tx,
        """insert into infra.audit_rows (actor_kind, actor_id, subject_user_id, action, entity_type, entity_id, changes,
          reason, request_id, via, approval_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(actor.kind, actor.user_id, subject, action, entity_type, entity_id, Jsonb(told), reason, actor.request_id),
        via or ("job" if actor.kind == "system" or tx.approval_id else "web"),
        approval_id or tx.approval_id,
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


# looking


@dataclass(frozen=True, slots=True)
class Row:
    """What somebody did, as it was written down: `changes` are fields with their values before and after."""

    at: datetime
    id: int
    actor_kind: str
    actor_id: UserId | None
    subject_user_id: UserId | None
    action: str
    entity_type: str
    entity_id: str
    changes: dict[str, list[Any]]
    reason: str
    request_id: UUID
    approval_id: UUID | None
    via: Via


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted, within `[since, until)`; None means all. An action is named whole or by its beginning."""

    since: datetime
    until: datetime
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    request_id: UUID | None = None
    reason: str | None = None


Part: TypeAlias = parts.Part[tuple[datetime, int]]  # rows are ordered by instant and id

ROWS = """
    select at, id, actor_kind, actor_id, subject_user_id, action, entity_type, entity_id, changes, reason, request_id,
      approval_id, via
    from infra.audit_rows
    where at >= %(since)s::timestamptz and at < %(until)s::timestamptz
      and (%(actor_id)s::uuid is null or actor_id = %(actor_id)s::uuid)
      and (%(subject_id)s::uuid is null or subject_user_id = %(subject_id)s::uuid)
      and (%(action)s::text is null or action = %(action)s::text or starts_with(action, %(action)s::text))
      and (%(entity_type)s::text is null or entity_type = %(entity_type)s::text)
      and (%(entity_id)s::text is null or entity_id = %(entity_id)s::text)
      and (%(request_id)s::uuid is null or request_id = %(request_id)s::uuid)
      and (%(reason)s::text is null or position(lower(%(reason)s::text) in lower(reason)) > 0)
      and (%(older_at)s::timestamptz is null or (at, id) < (%(older_at)s::timestamptz, %(older_id)s::bigint))
      and (%(newer_at)s::timestamptz is null or (at, id) > (%(newer_at)s::timestamptz, %(newer_id)s::bigint))"""


AS_IT_WAS = " and infra.was_there(tx_id, %(snapshot)s::text)"
COUNTED = "with found as (" + ROWS + AS_IT_WAS + " limit %(limit)s::int) select count(*) from found"  # noqa: S608 - of constants


async def list_as_it_was(
    tx: Tx, *, wanted: Wanted, snapshot: str, behind: tuple[datetime, int] | None, limit: int
) -> list[Row]:
    """Rows that were there when a snapshot was taken, the oldest first, behind an instant and id."""
    facts = _facts(wanted, Part(limit, newer_than=behind)) | {"snapshot": snapshot}
    async with tx.cursor(row_factory=class_row(Row)) as cursor:
        await cursor.execute(ROWS + AS_IT_WAS + " order by at, id limit %(limit)s::int", facts)
        return await cursor.fetchall()


async def count_as_it_was(tx: Tx, *, wanted: Wanted, snapshot: str, at_most: int) -> int:
    """How many rows were there when a snapshot was taken; no more than so many are counted."""
    facts = _facts(wanted, Part(at_most)) | {"snapshot": snapshot}
    found = await (await tx.execute(COUNTED, facts)).fetchone()
    return int(found[0]) if found else 0


async def search(tx: Tx, *, wanted: Wanted, part: Part) -> list[Row]:
    """Rows, the newest first. Of those in front of a row, the nearest to it."""
    facts = _facts(wanted, part)
    async with tx.cursor(row_factory=class_row(Row)) as cursor:
        if part.newer_than:
            await cursor.execute(ROWS + " order by at, id limit %(limit)s::int", facts)
            return (await cursor.fetchall())[::-1]
        await cursor.execute(ROWS + " order by at desc, id desc limit %(limit)s::int", facts)
        return await cursor.fetchall()


def _facts(wanted: Wanted, part: Part) -> dict[str, object]:
    older, newer = part.older_than or (None, None), part.newer_than or (None, None)
    return {
        **{name: getattr(wanted, name) for name in wanted.__slots__},
        "older_at": older[0],
        "older_id": older[1],
        "newer_at": newer[0],
        "newer_id": newer[1],
        "limit": part.limit,
    }
