"""What staff say and are told about exports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from pydantic import Field, StrictBool

from palio.infra.db import Tx
from palio.infra.operations import Wish
from palio.kernel.providers import ExportSource
from palio.ui.bodies import Body
from palio.ui.operations import AN_OPERATION
from palio.ui.paging import Listed

FIELDS_MAX, FILTERS_MAX = 100, 20
Name = Annotated[str, Field(min_length=1, max_length=100)]
Value = Annotated[str, Field(max_length=200)]


class NewExport(Body):
    """What is to be exported: nothing but fields and filters that `GET /console/export-sources` names.

    Without `fields` all that do not say who people are.
    """

    resource: Name
    filter: dict[Name, Value] = Field(max_length=FILTERS_MAX)
    fields: list[Name] = Field(default=[], max_length=FIELDS_MAX)
    format: Literal["csv", "jsonl"] = "csv"
    gzip: StrictBool = False
    reason: Annotated[str, Field(max_length=500)]

    def wish(self) -> Wish:
        """The same for the door of exports."""
        return Wish(self.resource, self.filter, self.fields, self.format, self.gzip)


class ExportForm(Body):
    """The same as its form writes it: filters as in the address of the list, fields between commas."""

    narrowed: Annotated[str, Field(max_length=2_000)] = ""
    fields: Annotated[str, Field(max_length=2_000)] = ""
    format: Literal["csv", "jsonl"] = "csv"
    gzip: bool = False
    reason: Annotated[str, Field(max_length=500)] = ""

    def wish(self, resource: str) -> Wish:
        """The same for the door of exports."""
        names = [word for word in self.fields.replace(",", " ").split() if word]
        return Wish(resource, dict(parse_qsl(self.narrowed)), names[:FIELDS_MAX], self.format, self.gzip)


class NoForm(Body):
    """A form that says nothing but that its button was pressed."""


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """A field; a personal one needs the permission `admin.export.personal`, and leaves a mark on each row."""

    name: str
    is_personal: bool


@dataclass(frozen=True, slots=True)
class FilterAnswer:
    """By what it can be narrowed: an `instant` with its offset, an `id`, or a `text`."""

    name: str
    kind: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """Something that can be exported, and the permission that it takes beside `admin.export.run`."""

    resource: str
    permission: str
    fields: Sequence[FieldAnswer]
    filters: Sequence[FilterAnswer]

    @classmethod
    def of(cls, source: ExportSource[Tx]) -> "SourceAnswer":
        """The answer for a source."""
        return cls(
            source.name,
            source.permission,
            [FieldAnswer(one.name, one.is_personal) for one in source.columns],
            [FilterAnswer(one.name, one.kind, one.is_required) for one in source.filters],
        )


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be exported."""

    sources: Sequence[SourceAnswer]


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """Where the file can be fetched once, in the session of whoever asked for it, within so many seconds."""

    url: str
    expires_in_s: int


SOURCES = Sources(
    (
        SourceAnswer(
            "audit",
            "admin.audit.export",
            (FieldAnswer("id", is_personal=False), FieldAnswer("actor", is_personal=True)),
            (FilterAnswer("since", "instant", is_required=True),),
        ),
    )
)
EXPORTS = Listed((AN_OPERATION,), None, None)
LINK = LinkAnswer("/console/exports/files/Zr1x3m8sVbC5nQpLk7TgHwDfAeUi9oXyMtRz6aE", 300)
