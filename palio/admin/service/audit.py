"""The audit browser: who did what, with names."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from palio import identity
from palio.admin import rules
from palio.admin.errors import WindowTooWide
from palio.admin.types import Act, Acts, FieldChange
from palio.infra import approvals, audit
from palio.infra.audit import Part, Row, Wanted
from palio.infra.db import Tx
from palio.kernel.ids import UserId

WINDOW_DAYS_MAX = 400


async def search(tx: Tx, *, wanted: Wanted, part: Part) -> Acts:
    """What was done, the newest first. Refuses with WindowTooWide."""
    if not timedelta() < wanted.until - wanted.since <= timedelta(days=WINDOW_DAYS_MAX):
        raise WindowTooWide(days_max=WINDOW_DAYS_MAX)
    found = await audit.search(tx, wanted=wanted, part=Part(part.limit + 1, part.older_than, part.newer_than))
    has_more = len(found) > part.limit
    if part.newer_than is None:
        return Acts(await _named(tx, found[: part.limit]), part.older_than is not None, has_more)
    return Acts(await _named(tx, found[-part.limit :]), has_more, has_older=True)


async def note_export(tx: Tx, *, wanted: Wanted, kind: str, reason: str) -> None:
    """Write down that rows are taken out as a file. Refuses with WindowTooWide, and with approvals.ReasonMissing."""
    if not timedelta() < wanted.until - wanted.since <= timedelta(days=WINDOW_DAYS_MAX):
        raise WindowTooWide(days_max=WINDOW_DAYS_MAX)
    narrowed = {name: getattr(wanted, name) for name in wanted.__slots__}
    await audit.record(
        tx,
        actor=tx.actor,
        action="audit.export",
        entity_type="audit",
        entity_id=kind,
        changes={name: (None, value) for name, value in narrowed.items() if value is not None},
        reason=approvals.checked_reason(reason),
    )


async def names_of(tx: Tx, *, ids: Collection[UUID | None]) -> dict[UUID, str]:
    """What staff read as the names of users; unknown ones are absent."""
    known = {UserId(user_id) for user_id in ids if user_id}
    names = await identity.names(tx, ids=known, viewer=tx.actor) if known else {}
    return {user_id: name for user_id, name in names.items()}  # noqa: C416 - a copy whose keys are any ids


async def _named(tx: Tx, rows: list[Row]) -> list[Act]:
    names = await names_of(tx, ids=[user_id for row in rows for user_id in (row.actor_id, row.subject_user_id)])
    return [
        Act(
            at=row.at,
            id=row.id,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            actor_name=names.get(row.actor_id, "") if row.actor_id else "",
            subject_id=row.subject_user_id,
            subject_name=names.get(row.subject_user_id, "") if row.subject_user_id else "",
            action=row.action,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            changes=[FieldChange(*change) for change in rules.told(row.changes)],
            reason=row.reason,
            request_id=row.request_id,
            approval_id=row.approval_id,
            via=row.via,
        )
        for row in rows
    ]
