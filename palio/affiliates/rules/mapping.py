"""Where a feed keeps what: paths into its JSON, the power of ten of its numbers, and how it says that it succeeded."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from palio.affiliates.errors import BadMapping

Path: TypeAlias = tuple[str, ...]
Field: TypeAlias = Literal[
    "rows",
    "uid",
    "name",
    "today",
    "week",
    "month",
    "all_time",
    "upstream_at",
    "total_users",
    "total_pages",
    "root_today",
    "root_week",
    "success",
]

FIELDS: Final = get_args(Field)
PLAIN_FIELDS: Final = {"units", "success_is", "page"}
PARAMETER: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
PATH_STEPS_MAX: Final = 16
UNITS_MIN, UNITS_MAX = -18, 6


@dataclass(frozen=True, slots=True)
class FeedMapping:
    """What replaces the built-in reading of a feed. A field without a path of its own is read as always.

    `units` is the power of ten by which the feed's numbers are multiplied: -2 for cents. `page` is the parameter of the
    address by which a list of several pages is asked for them, the first being 1; `total_pages` says how many.
    """

    paths: Mapping[Field, Path] = field(default_factory=dict)
    units: int = 0
    success_is: tuple[object, ...] = ()
    version: int = 0
    page: str | None = None


CANONICAL: Final = FeedMapping()


def mapping_of(document: Mapping[str, object], *, version: int) -> FeedMapping:
    """The mapping that an operator wrote: dotted paths by field, `units`, `success_is`, `page`.

    Refuses with BadMapping.
    """
    if unknown := document.keys() - {*FIELDS, *PLAIN_FIELDS}:
        raise BadMapping(field=min(unknown), problem=f"known fields are {', '.join((*FIELDS, *sorted(PLAIN_FIELDS)))}")
    paths = {name: _path(name, document[name]) for name in FIELDS if name in document}
    if "success_is" in document and "success" not in paths:
        raise BadMapping(field="success_is", problem="say where it stands, in `success`")
    return FeedMapping(
        paths,
        _units(document.get("units", 0)),
        _accepted(document.get("success_is", True)),
        version,
        _parameter(document.get("page")),
    )


def values_at(value: object, path: Path) -> Iterator[object]:
    """Everything that a path leads to; `*` is each member of an object or list."""
    if not path:
        yield value
        return
    step, *rest = path
    for inner in _members(value, step):
        yield from values_at(inner, tuple(rest))


def _members(value: object, step: str) -> Sequence[object]:
    if step == "*":
        return [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def _path(name: str, written: object) -> Path:
    steps = tuple(written.split(".")) if isinstance(written, str) else ()
    if not all(steps) or not 0 < len(steps) <= PATH_STEPS_MAX:
        raise BadMapping(field=name, problem=f"expected a dotted path of at most {PATH_STEPS_MAX} names")
    return steps


def _units(written: object) -> int:
    if type(written) is not int or not UNITS_MIN <= written <= UNITS_MAX:
        raise BadMapping(field="units", problem=f"expected a power of ten between {UNITS_MIN} and {UNITS_MAX}")
    return written


def _parameter(written: object) -> str | None:
    if written is not None and not (isinstance(written, str) and PARAMETER.fullmatch(written)):
        raise BadMapping(field="page", problem="expected the name of a parameter: letters, digits, _ . -")
    return written


def _accepted(written: object) -> tuple[object, ...]:
    found = tuple(written) if isinstance(written, list) else (written,)
    if not found or not all(isinstance(value, bool | int | str) for value in found):
        raise BadMapping(field="success_is", problem="expected a text, whole number or boolean, or a list of them")
    return found
