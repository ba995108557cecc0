"""Asking for an export: only what its source declares, and what names people only for whoever may have it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias, get_args
from uuid import UUID

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.infra.operations import marks, work
from palio.infra.operations.work import Operation
from palio.kernel.errors import Invalid
from palio.kernel.ids import UserId
from palio.kernel.providers import ExportAsk, ExportFilter, ExportSource

Format: TypeAlias = Literal["csv", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
PERSONAL_ROWS_MAX = 1_000


class ResourceUnknown(Invalid):
    """There is nothing of the name `resource` to be exported; what there is: `known`."""

    code: ClassVar[str] = "export.resource_unknown"
    blames = "resource"


class FieldUnknown(Invalid):
    """There is no field `field`; what there is: `known`."""

    code: ClassVar[str] = "export.field_unknown"
    blames = "fields"


class FilterUnknown(Invalid):
    """It cannot be narrowed by `filter`; what it can be narrowed by: `known`."""

    code: ClassVar[str] = "export.filter_unknown"
    blames = "filter"


class FilterInvalid(Invalid):
    """The filter `filter` takes `expected`."""

    code: ClassVar[str] = "export.filter_invalid"
    blames = "filter"


class PeopleTooMany(Invalid):
    """An export that says who people are holds at most `limit` rows: narrow it, or leave those fields out."""

    code: ClassVar[str] = "export.people_too_many"
    blames = "fields"


EXPECTED = {
    "instant": "a time with its offset, like 2026-03-20T12:00:00Z",
    "id": "an id",
    "text": "1 to 200 characters",
}
TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants exported. No fields are all that do not say who people are."""

    resource: str
    filter: Mapping[str, str]
    fields: Sequence[str] = ()
    format: Format = "csv"
    gzip: bool = False


def source_of(tx: Tx, name: str) -> ExportSource[Tx]:
    """What can be exported under a name. Refuses with ResourceUnknown."""
    found = tx.equipment.exports.get(name)
    if found is None:
        raise ResourceUnknown(resource=name, known=sorted(tx.equipment.exports))
    return found


def ask_of(source: ExportSource[Tx], wish: Wish, *, snapshot: str) -> ExportAsk:
    """A wish as its source understands it. Refuses with FieldUnknown, FilterUnknown, FilterInvalid and as `check`."""
    known = [column.name for column in source.columns]
    if odd := [name for name in wish.fields if name not in known]:
        raise FieldUnknown(field=odd[0], known=known)
    usual = [column.name for column in source.columns if not column.is_personal]
    wanted = set(wish.fields or usual)
    filters = {one.name: one for one in source.filters}
    if strange := [name for name in wish.filter if name not in filters]:
        raise FilterUnknown(filter=strange[0], known=list(filters))
    if missing := [one for one in source.filters if one.is_required and one.name not in wish.filter]:
        raise FilterInvalid(filter=missing[0].name, expected=EXPECTED[missing[0].kind])
    values = {name: _value(filters[name], text) for name, text in wish.filter.items()}
    source.check(values)
    return ExportAsk(values, tuple(name for name in known if name in wanted), snapshot)


def _value(one: ExportFilter, text: str) -> datetime | UUID | str:
    try:
        if one.kind == "id":
            return UUID(text)
        if one.kind == "instant":
            return _instant(text)
    except ValueError:
        raise FilterInvalid(filter=one.name, expected=EXPECTED[one.kind]) from None
    if not 1 <= len(text) <= TEXT_MAX:
        raise FilterInvalid(filter=one.name, expected=EXPECTED[one.kind])
    return text


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


async def present(tx: Tx) -> str:
    """What is committed at this moment, as the server writes it."""
    return str(await db.value(tx, "select pg_current_snapshot()::text"))


def personal_of(source: ExportSource[Tx], ask: ExportAsk) -> list[str]:
    """Those of the wanted fields that say who somebody is."""
    return [column.name for column in source.columns if column.is_personal and column.name in ask.fields]


async def start(tx: Tx, *, wish: Wish, owner: UserId, reason: str, now: datetime) -> Operation:
    """Have what somebody wants exported; the caller has judged whether he may. Audited.

    Refuses with ResourceUnknown, FieldUnknown, FilterUnknown, FilterInvalid, PeopleTooMany, and as the source does.
    """
    source = source_of(tx, wish.resource)
    ask = ask_of(source, wish, snapshot=await present(tx))
    if personal := personal_of(source, ask):
        marks.key_of(tx)
        if await source.count(tx, ask, PERSONAL_ROWS_MAX + 1) > PERSONAL_ROWS_MAX:
            raise PeopleTooMany(limit=PERSONAL_ROWS_MAX)
    params = {**asdict(wish), "filter": dict(wish.filter), "fields": list(ask.fields), "reason": reason}
    operation = await work.add(tx, kind="export", params=params, owner=owner, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="export.start",
        entity_type="export",
        entity_id=str(operation.id),
        changes={"resource": (None, wish.resource), "fields": (None, list(ask.fields)), "personal": (None, personal)},
        reason=reason,
    )
    return operation
