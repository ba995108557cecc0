"""The audit browser: who did what, with names."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from palio import identity
from palio.admin import rules
from palio.admin.errors import WindowTooWide
from palio.admin.types import Act, FieldChange
from palio.infra import audit
from palio.infra.audit import Part, Row, Wanted
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Cut

WINDOW_DAYS_MAX = 400


async def search(tx: Tx, *, wanted: Wanted, part: Part) -> Cut[Act]:
    """What was done, the newest first. Refuses with WindowTooWide."""
    if not timedelta() < wanted.until - wanted.since <= timedelta(days=WINDOW_DAYS_MAX):
        raise WindowTooWide(days_max=WINDOW_DAYS_MAX)
    rows, has_newer, has_older = part.cut(await audit.search(tx, wanted=wanted, part=part.and_one))
    return Cut(await _named(tx, rows), has_newer, has_older)


async def names_of(tx: Tx, *, ids: Collection[UUID | None]) -> dict[UUID, str]:
    """What staff read as the names of users; unknown ones are absent."""
    known = {UserId(user_id) for user_id in ids if user_id}
    names = await identity.names(tx, ids=known, viewer=tx.actor) if known else {}
    return {user_id: name for user_id, name in names.items()}  # noqa: C416 - a copy whose keys are any ids


async def _named(tx: Tx, rows: Sequence[Row]) -> list[Act]:
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
