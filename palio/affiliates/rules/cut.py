"""Cutting a body into its rows, unread: rows whose bytes are known need not be parsed again."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from palio.affiliates.errors import BadJson, ShapeUnknown
from palio.affiliates.rules.mapping import PATH_STEPS_MAX, Path
from palio.affiliates.rules.numbers import NotBelievedError, exact
from palio.affiliates.types import Shape

UIDS: Final = ("uid", "id", "user_id")
NESTING_MAX: Final = 32
DEEP_ROW_BRACKETS: Final = NESTING_MAX - PATH_STEPS_MAX - 1  # a mapped list lies below the most levels
BEGINNING_BYTES: Final = 60
STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS: Final = re.compile(rb"[\[\]{}]")
ESCAPES: Final = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)
LONE_SURROGATE_BYTES: Final = 6
LISTS: Final[Mapping[str, Shape]] = {"data": "flat", "results": "results", "users": "users"}  # in this order
ABSENT: Final = msgspec.Raw(b"")


class _Usual(msgspec.Struct, forbid_unknown_fields=True):
    """The normal form, cut in one pass; any other goes member by member."""

    data: list[msgspec.Raw]
    success: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT
    metadata: msgspec.Raw = ABSENT
    today: msgspec.Raw = ABSENT
    this_week: msgspec.Raw = ABSENT


class UsualNumbers(msgspec.Struct, forbid_unknown_fields=True):
    """The four numbers of a row in the normal form, as they are written."""

    today: msgspec.Raw
    this_week: msgspec.Raw
    this_month: msgspec.Raw
    all_time: msgspec.Raw


class UsualRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row in the normal form."""

    uid: str
    wagered: UsualNumbers
    name: str = ""


_value = msgspec.json.Decoder(float_hook=exact)
_raw = msgspec.json.Decoder(msgspec.Raw)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_usual = msgspec.json.Decoder(_Usual)
_usual_row = msgspec.json.Decoder(UsualRow)


@dataclass(frozen=True, slots=True)
class Opened:
    """A body that is JSON: its members if it is an object, and its rows if it has the normal form."""

    text: bytes
    members: Mapping[str, bytes]
    rows: list[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A body in pieces: its rows, and how many levels lie above them.

    A row may be a view of the body, which compares like bytes: `bytes(row)` are its own, to be looked up and read.
    """

    shape: Shape
    rows: list[bytes]
    above: int


def value_of(text: bytes) -> object:
    """A JSON value with exact numbers. Raises NotBelievedError for a whole number of more than 4,300 digits."""
    try:
        return _value.decode(text)
    except msgspec.ValidationError:
        raise NotBelievedError("bad_number") from None


def usual_row(text: bytes) -> UsualRow | None:
    """A row if it has the normal form, in a third of the time; None for any other, which goes key by key."""
    try:
        return _usual_row.decode(text)
    except msgspec.ValidationError:
        return None


def opened(text: bytes) -> Opened:
    """Check that the whole text is strict JSON and take it apart; a text inside a text is unwrapped once.

    Refuses with BadJson.
    """
    try:
        return _opened(text)
    except (msgspec.DecodeError, RecursionError) as problem:
        mended = ESCAPES.sub(_without_lone_surrogate, text)
        if mended == text:
            raise BadJson(problem=str(problem)) from None
    try:
        return _opened(mended)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadJson(problem=str(problem)) from None


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    """U+0000 stands for it: both are judged alike, in the one row they stand in, and the reader takes only this one."""
    return escape[0] if len(escape[0]) != LONE_SURROGATE_BYTES else rb"\u0000"


def _opened(text: bytes) -> Opened:
    text = text.strip()
    if text.startswith(b'"'):
        text = msgspec.json.decode(text, type=str).encode().strip()
    if text.startswith(b"["):
        return Opened(text, {}, _cut(text))
    if not text.startswith(b"{"):
        _raw.decode(text)
        return Opened(text, {})
    try:
        usual = _usual.decode(text)
    except msgspec.ValidationError:
        return Opened(text, {name: bytes(raw) for name, raw in _object.decode(text).items()})
    members = {name: bytes(getattr(usual, name)) for name in usual.__struct_fields__ if name != "data"}
    return Opened(text, {name: raw for name, raw in members.items() if raw}, [*usual.data])


def cut(body: Opened, path: Path) -> Body:
    """Find the rows, by the mapping's path or by the shape. Refuses with ShapeUnknown, BadJson."""
    if path:
        return _mapped(body, path)
    if body.text.startswith(b"[") and body.rows is not None:
        return Body("array", body.rows, 1)
    if body.rows is not None:
        return _flat("flat", body, body.rows, "data")
    for holder, shape in LISTS.items():
        if body.members.get(holder, b"").startswith(b"["):
            return _flat(shape, body, _cut(body.members[holder]), holder)
        if holder == "data" and (groups := list(_groups(body.members.get(holder, b"")))):
            require_shallow(body.text, 0)
            return Body("grouped", _once(groups), 4)
    if any(alias in body.members for alias in UIDS):
        return Body("object", [body.text], 0)
    raise ShapeUnknown(begins_with=body.text[:BEGINNING_BYTES].decode(errors="replace"))


def _flat(shape: Shape, body: Opened, rows: list[bytes], holder: str) -> Body:
    for name, raw in body.members.items():
        if name != holder:
            require_shallow(raw, 1)
    return Body(shape, rows, 2)


def may_be_deep(row: bytes) -> bool:
    """Has a row so many brackets that it might be nested too deep in some shape?"""
    return row.count(b"{") + row.count(b"[") > DEEP_ROW_BRACKETS


def require_shallow(text: bytes, above: int) -> None:
    """Refuses with BadJson what is nested deeper than 32, counting the levels that lie above it."""
    if _depth(text) + above > NESTING_MAX:
        raise BadJson(problem=f"nested deeper than {NESTING_MAX}")


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for bracket in BRACKETS.findall(STRINGS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _groups(data: bytes) -> Iterator[list[bytes]]:
    """The rows of each group; a group is an object that holds a list named `data`."""
    if not data.startswith(b"{"):
        return
    for group in map(bytes, _object.decode(data).values()):
        rows = bytes(_object.decode(group).get("data", ABSENT)) if group.startswith(b"{") else b""
        if rows.startswith(b"["):
            yield _cut(rows)


def _mapped(body: Opened, path: Path) -> Body:
    require_shallow(body.text, 0)
    lists = list(_lists_at(body.text, path))
    if not lists:
        raise ShapeUnknown(begins_with=body.text[:BEGINNING_BYTES].decode(errors="replace"), rows=".".join(path))
    return Body("grouped" if "*" in path else "flat", _once(map(_cut, lists)), len(path) + 1)


def _lists_at(text: bytes, path: Path) -> Iterator[bytes]:
    if not path:
        if text.startswith(b"["):
            yield text
        return
    members: list[bytes] = []
    if text.startswith(b"{"):
        inner = _object.decode(text)
        members = [bytes(raw) for name, raw in inner.items() if path[0] in {"*", name}]
    elif text.startswith(b"[") and path[0] == "*":
        members = [*map(bytes, _cut(text))]
    for member in members:
        yield from _lists_at(member, path[1:])


def _cut(rows: bytes) -> list[bytes]:
    return [*_list.decode(rows)]


def _once(lists: Iterable[list[bytes]]) -> list[bytes]:
    """The rows of all lists; one that stands in several counts once."""
    return [*dict.fromkeys(bytes(row) for rows in lists for row in rows)]
