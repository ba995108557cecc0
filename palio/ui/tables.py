"""Lists as tables: the rows of an answer as CSV, whose cells are those of `infra/tables.py`."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from palio.infra import tables
from palio.infra.tables import Cells
from palio.ui import strict

MEDIA_TYPE = "text/csv"
ENDING = ".csv"
ROWS_MAX = 10_000


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
    """The rows under a line of their columns, as `infra/tables.py` writes them."""
    return tables.write(rows, columns=columns, has_head=has_head)


def cells(row: strict.Json) -> Cells:
    """One row flat, as `infra/tables.py` makes it."""
    return tables.cells(row)


def _items(answer: strict.Json) -> list[strict.Json]:
    items = answer["items"] if isinstance(answer, dict) else answer
    return items if isinstance(items, list) else []


def _name(request: Request) -> str:
    """The file is named by the address: `races-38-standings`."""
    return "-".join(request.url.path.removesuffix(ENDING).split("/")[3:])
