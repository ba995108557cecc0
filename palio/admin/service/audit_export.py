"""What staff did, as a file: the same objects as in the list of the audit, the oldest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from palio.admin import rules
from palio.admin.errors import WindowTooWide
from palio.admin.service.audit import WINDOW_DAYS_MAX, names_of
from palio.infra import audit
from palio.infra.audit import Row, Wanted
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.providers import ExportAsk, ExportColumn, ExportFilter, ExportKey, ExportRow, ExportSource

NAME = "actor"  # what somebody is called: the only field that takes a look-up
COLUMNS = (
    ExportColumn("id"),
    ExportColumn("at"),
    ExportColumn("actor_kind"),
    ExportColumn("actor_id"),
    ExportColumn(NAME, is_personal=True),
    ExportColumn("action"),
    ExportColumn("entity_type"),
    ExportColumn("entity_id"),
    ExportColumn("subject_id"),
    ExportColumn("changes"),
    ExportColumn("reason"),
    ExportColumn("request_id"),
    ExportColumn("approval_id"),
    ExportColumn("via"),
)
FILTERS = (
    ExportFilter("since", "instant", "from", is_required=True),
    ExportFilter("until", "instant", "until", is_required=True),
    ExportFilter("actor", "id", "who did it"),
    ExportFilter("subject", "id", "about whom"),
    ExportFilter("action", "text", "what, or how it begins"),
    ExportFilter("entity_type", "text", "what kind of thing"),
    ExportFilter("entity_id", "text", "which thing"),
    ExportFilter("request", "id", "in which request"),
    ExportFilter("reason", "text", "words in the reason"),
)
FIELDS_OF = {"actor": "actor_id", "subject": "subject_id", "request": "request_id"}  # of what is wanted, by filter


def _check(values: Mapping[str, Any]) -> None:
    """Refuses with WindowTooWide."""
    if not timedelta() < values["until"] - values["since"] <= timedelta(days=WINDOW_DAYS_MAX):
        raise WindowTooWide(days_max=WINDOW_DAYS_MAX)


def _wanted(values: Mapping[str, Any]) -> Wanted:
    return Wanted(**{FIELDS_OF.get(name, name): value for name, value in values.items()})


async def _count(tx: Tx, ask: ExportAsk, at_most: int) -> int:
    return await audit.count_as_it_was(tx, wanted=_wanted(ask.filter), snapshot=ask.snapshot, at_most=at_most)


async def _rows(tx: Tx, ask: ExportAsk, behind: ExportKey | None, limit: int) -> Sequence[ExportRow]:
    key = (datetime.fromisoformat(str(behind[0])), int(behind[1])) if behind else None
    found = await audit.list_as_it_was(tx, wanted=_wanted(ask.filter), snapshot=ask.snapshot, behind=key, limit=limit)
    names = await names_of(tx, ids={row.actor_id for row in found}) if NAME in ask.fields else {}
    return [ExportRow((clock.text(row.at), row.id), _values(row, names)) for row in found]


def _values(row: Row, names: Mapping[UUID, str]) -> dict[str, object]:
    told = partial(_text_of, row)
    changes = "; ".join(f"{field}: {before} → {after}" for field, before, after in rules.told(row.changes))
    return {
        "id": row.id,
        "at": clock.text(row.at),
        "actor_kind": row.actor_kind,
        "actor_id": told("actor_id"),
        NAME: names.get(row.actor_id, "") if row.actor_id else "",
        "action": row.action,
        "entity_type": row.entity_type,
        "entity_id": row.entity_id,
        "subject_id": told("subject_user_id"),
        "changes": changes,
        "reason": row.reason,
        "request_id": str(row.request_id),
        "approval_id": told("approval_id"),
        "via": row.via,
    }


def _text_of(row: Row, name: str) -> str | None:
    value = getattr(row, name)
    return None if value is None else str(value)


AUDIT_EXPORT: ExportSource[Tx] = ExportSource(
    "audit", "Who did what", "/console/audit", "admin.audit.export", COLUMNS, FILTERS, _check, _count, _rows
)
