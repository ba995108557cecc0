"""Strict reading: JSON that means one thing only, and addresses without parameters nobody asked for."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn, TypeAlias

from starlette.requests import Request

from palio.ui.refusals import MalformedJson, UnsupportedMedia

DEPTH_MAX = 32
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # lines and tabs are writing
JSON_TYPE, LINES_TYPE = "application/json", "application/x-ndjson"

Json: TypeAlias = "str | int | float | list[Json] | dict[str, Json] | None"


class StrictRequest(Request):
    """A request whose `json()` refuses what careless readers accept."""

    _said: Json
    _is_read = False

    @classmethod
    async def of_lines(cls, request: Request) -> "StrictRequest":
        """The same request as if its lines had come as the items of a JSON body. Refuses with MalformedJson."""
        said = parse_lines(await request.body())
        headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
        request.scope["headers"] = [*headers, (b"content-type", JSON_TYPE.encode())]
        found = cls(request.scope, request.receive)
        found._body = json.dumps(said, ensure_ascii=False).encode()
        found._said, found._is_read = said, True
        return found

    async def json(self) -> Json:
        """The body, read once. Refuses with MalformedJson."""
        if not self._is_read:
            self._said, self._is_read = parse(await self.body()), True
        return self._said


def parse(body: bytes) -> Json:
    """JSON by RFC 8259 without its loopholes.

    Refuses with MalformedJson: other encodings, NaN and Infinity, a key twice, more than 32 levels, lone surrogates.
    """
    value = _read(_text_of(body))
    _check(value)
    return value


def parse_lines(body: bytes) -> Json:
    """JSON lines as a body with these items, so that each is judged by itself; empty lines are none.

    A line that is no JSON stands there as its text, which no item is. Refuses with MalformedJson what the whole may not
    have: other encodings, more than 32 levels, lone surrogates.
    """
    items = [_item_of(line) for line in _text_of(body).split("\n") if line.strip()]
    said: Json = {"items": items}
    _check(said)
    return said


def _item_of(line: str) -> Json:
    try:
        return _read(line)
    except MalformedJson:
        return line


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedJson(reason="it is not UTF-8") from None


def _read(text: str) -> Json:
    try:
        value: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_finite)
    except json.JSONDecodeError as error:
        raise MalformedJson(reason=f"{error.msg.lower()} at line {error.lineno}, column {error.colno}") from None
    except ValueError:  # Python reads no more digits than it could write in time
        raise MalformedJson(reason="a number has too many digits") from None
    except RecursionError:
        raise MalformedJson(reason="it is nested too deeply") from None
    return value


def control_characters(value: Json, path: Sequence[str | int] = ()) -> Iterator[Sequence[str | int]]:
    """Where texts of a body hold control characters: no text needs them, and no database holds all of them."""
    if isinstance(value, str):
        if not value.isprintable() and CONTROL.search(value):
            yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from control_characters(name, path)
            yield from control_characters(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from control_characters(part, (*path, number))


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise MalformedJson(reason=f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return members


def _finite(name: str) -> NoReturn:
    raise MalformedJson(reason=f"{name} is no number")


def _check(value: Json) -> None:
    """Walk all levels, outermost first: how deep it goes, and whether every text is one."""
    level: list[Json] = [value]
    for _ in range(DEPTH_MAX + 1):
        for text in _texts(level):
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                raise MalformedJson(reason="a text has half a character (a lone surrogate)")
        wholes = [whole for whole in level if isinstance(whole, dict | list)]
        if not wholes:
            return
        level = [part for whole in wholes for part in (whole.values() if isinstance(whole, dict) else whole)]
    raise MalformedJson(reason="it is nested too deeply")


def _texts(level: list[Json]) -> Iterable[str]:
    for value in level:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value


def require_json(request: Request) -> None:
    """Refuses with UnsupportedMedia unless the body says that it is JSON in UTF-8."""
    if not _is_called(request, JSON_TYPE):
        raise UnsupportedMedia(media_type=JSON_TYPE)


def has_lines(request: Request) -> bool:
    """Does the body say that it is JSON lines in UTF-8?"""
    return _is_called(request, LINES_TYPE)


def _is_called(request: Request, media_type: str) -> bool:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace('"', "").strip().lower()
    return kind.strip().lower() == media_type and charset in {"", "charset=utf-8"}


def accepts(accepted: str, media_type: str) -> bool:
    """Does a header `Accept` take this type? One without a value takes everything."""
    family = media_type.partition("/")[0] + "/*"
    return not accepted.strip() or bool(ranges(accepted) & {"*/*", family, media_type})


def ranges(accepted: str) -> set[str]:
    """The types and families that a header `Accept` takes, as it names them."""
    parts = [part.split(";") for part in accepted.lower().split(",")]
    return {kind.strip() for kind, *rest in parts if not any(word.replace(" ", "") in _NEVER for word in rest)}


_NEVER = {"q=0", "q=0.0", "q=0.00", "q=0.000"}
