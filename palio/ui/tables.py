"""Lists as tables: the rows of an answer as CSV (RFC 4180), for spreadsheets that must not run what players wrote."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from palio.ui import strict

MEDIA_TYPE = "text/csv"
ENDING = ".csv"
ROWS_MAX = 10_000
LIVELY = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to some programs

Cells: TypeAlias = dict[str, str]


def is_wanted(request: Request) -> bool:
    """Is this list asked for as a table: by its address, or by a header that names CSV and not JSON?"""
    named = strict.ranges(request.headers.get("accept", ""))
    return request.url.path.endswith(ENDING) or (MEDIA_TYPE in named and strict.JSON_TYPE not in named)


def respond(request: Request, answer: strict.Json, row: strict.Json) -> Response:
    """The list of an answer as a file; `row` is one that has its columns. What goes on says so in the header `Link`."""
    headers = {"Content-Disposition": f'attachment; filename="{_name(request)}{ENDING}"', "Vary": "Accept"}
    if isinstance(answer, dict) and answer.get("next"):
        rest = request.url.include_query_params(cursor=answer["next"])
        headers["Link"] = f'<{rest.path}?{rest.query}>; rel="next"'
    body = write(_items(answer), columns=list(cells(row)))
    return Response(body, media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present", headers=headers)


def write(rows: Sequence[strict.Json], *, columns: Sequence[str], has_head: bool = True) -> str:
    """The rows under a line of their columns; lines end with CR LF. What goes on has no such line."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\r\n")
    if has_head:
        table.writeheader()
    table.writerows(cells(row) for row in rows)
    return text.getvalue()


def cells(row: strict.Json) -> Cells:
    """One row flat: a part of a part is `outer_inner`, several values of one stand side by side."""
    return dict(_flat(row, ()))


def _flat(value: strict.Json, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(part, (*path, name))
    else:
        yield "_".join(path), _text(value)


def _text(value: strict.Json) -> str:
    """A cell. Text that a program would run gets an apostrophe in front; a negative number stays a number."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(LIVELY) else value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence):
        return _text(" ".join(str(part) for part in value))
    return "" if value is None else str(value)


def _items(answer: strict.Json) -> list[strict.Json]:
    items = answer["items"] if isinstance(answer, dict) else answer
    return items if isinstance(items, list) else []


def _name(request: Request) -> str:
    """The file is named by the address: `races-38-standings`."""
    return "-".join(request.url.path.removesuffix(ENDING).split("/")[3:])
