"""Routes: how a module offers calls and pages. Each says who may use it; calls are strict and document themselves."""

import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from http import HTTPStatus
from typing import ParamSpec, TypeAlias, TypeVar

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from palio.kernel.errors import Invalid, Refusal, Unavailable
from palio.ui import problems, strict, tables
from palio.ui.refusals import (
    CursorExpired,
    CursorInvalid,
    CursorMismatch,
    InternalError,
    NotAcceptable,
    UnknownParameter,
)

Access: TypeAlias = str  # "public", "player", "owner", or the permission it takes: "races.race.edit"
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Handler: TypeAlias = Callable[[Request], Coroutine[None, None, Response]]

OF_EVERY_CALL: tuple[type[Refusal], ...] = (NotAcceptable, UnknownParameter, Invalid, InternalError, Unavailable)
OF_EVERY_LIST: tuple[type[Refusal], ...] = (CursorInvalid, CursorMismatch, CursorExpired)
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


class _Number(IntegerConvertor):
    """A number in an address is written in one way, so that each page has one address: no zeros in front."""

    regex = "0|[1-9][0-9]{0,18}"


register_url_convertor("int", _Number())


class Route(APIRoute):
    """A route that has declared who may use it."""

    access: Access
    refuses: tuple[type[Refusal], ...] = ()


class Call(Route):
    """A route of the API: unknown parameters, foreign media types and loose JSON are refused, reads carry an ETag.

    A list is also a table (CSV) for whoever prefers that; `row` is one of its rows, which tells the columns.
    """

    row: strict.Json = None

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()
        media_type = getattr(self.response_class, "media_type", None) or strict.JSON_TYPE
        known = {each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, params.Query)}
        takes_json = self.body_field is not None

        async def strictly(request: Request) -> Response:
            as_table = self.row is not None and tables.is_wanted(request)
            wanted = tables.MEDIA_TYPE if as_table else media_type
            if not strict.accepts(request.headers.get("accept", ""), wanted):
                raise NotAcceptable(media_type=wanted)
            if odd := _odd_parameters(request, known):
                places = [problems.place_of([name], "unknown_parameter", words) for name, words in odd.items()]
                return problems.respond(request, problems.describe(request, UnknownParameter(), places))
            if takes_json:
                strict.require_json(request)
            response = await answer(strict.StrictRequest(request.scope, request.receive))
            if as_table and response.status_code == HTTPStatus.OK:
                return tables.respond(request, strict.parse(bytes(response.body)), self.row)
            return _unless_known(request, response)

        return strictly


class Routes:
    """What one module offers, in the order of declaration; `entry/web.py` puts the modules together."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.all: list[Route] = []

    def get(
        self,
        path: str,
        *,
        access: Access,
        example: object,
        refuses: Sequence[type[Refusal]] = (),
        tier: str = "core",
        response_class: type[Response] = JSONResponse,
    ) -> Callable[[Callable[Given, Answer]], Callable[Given, Answer]]:
        """Declare a call that reads. The function's name becomes its operation id, its docstring the document.

        A list (an example with `items`) can also be had as a table: by `Accept`, and for links as `<path>.csv`.
        """
        row = _first_row(example)

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            every = (*refuses, *(OF_EVERY_LIST if row else ()), *OF_EVERY_CALL)
            if row:
                self._add(self._table(path, handler, row), access, every, handler)
            route = Call(
                f"/api/v1{path}",
                handler,
                methods=["GET"],
                operation_id=f"{self.module}_{handler.__name__}",
                tags=[self.module],
                summary=(handler.__doc__ or "").strip().splitlines()[0],
                response_class=response_class,
                responses={200: _example(example, response_class), **_documented(every)},
                openapi_extra=_declared(access, tier, every),
            )
            route.row = row
            return self._add(route, access, every, handler)

        return declare

    def _table(self, path: str, handler: Callable[Given, Answer], row: strict.Json) -> Call:
        """The same list under an address that always answers CSV."""
        operation_id = f"{self.module}_{handler.__name__}_csv"
        address = f"/api/v1{path}{tables.ENDING}"
        route = Call(address, handler, methods=["GET"], operation_id=operation_id, include_in_schema=False)
        route.row = row
        return route

    def page(self, path: str, *, access: Access) -> Callable[[Callable[Given, Answer]], Callable[Given, Answer]]:
        """Declare something that is not a call: a page, a health check, a file."""

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            route = Route(path, handler, methods=["GET"], response_class=HTMLResponse, include_in_schema=False)
            return self._add(route, access, (), handler)

        return declare

    def _add(
        self, route: Route, access: Access, refuses: tuple[type[Refusal], ...], handler: Callable[Given, Answer]
    ) -> Callable[Given, Answer]:
        route.access, route.refuses = access, refuses
        self.all.append(route)
        return handler


def _odd_parameters(request: Request, known: set[str]) -> dict[str, str]:
    names = [name for name, _ in request.query_params.multi_items()]
    odd = {name: "There is no such parameter." for name in names if name not in known}
    return odd | {name: "This parameter stands twice." for name in known if names.count(name) > 1}


def _unless_known(request: Request, response: Response) -> Response:
    """Give a read its weak ETag, and answer 304 to whoever has the same already."""
    if response.status_code != HTTPStatus.OK or response.headers.get("content-type") != strict.JSON_TYPE:
        return response
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()[:16]}"'
    response.headers["ETag"] = tag
    response.headers.setdefault("Cache-Control", "public, max-age=5")
    if tag in [word.strip() for word in request.headers.get("if-none-match", "").split(",")]:
        kept = {name: response.headers[name] for name in ("etag", "cache-control")}
        return Response(status_code=304, headers=kept)
    return response


def _declared(access: Access, tier: str, refuses: Iterable[type[Refusal]]) -> dict[str, object]:
    return {
        "x-access": access,
        "x-scope": "none",
        "x-rate": "none",
        "x-idempotency": "none",
        "x-tier": tier,
        "x-mcp": "none",
        "x-problems": sorted({kind.code for kind in refuses}),
    }


def _example(example: object, response_class: type[Response]) -> dict[str, object]:
    media_type = response_class.media_type or strict.JSON_TYPE
    content = {media_type: {"example": _plain(example)}}
    if row := _first_row(example):
        content[tables.MEDIA_TYPE] = {"example": tables.write([row], columns=list(tables.cells(row)))}
    return {"content": content}


def _plain(example: object) -> strict.Json:
    plain: strict.Json = TypeAdapter(type(example)).dump_python(example, mode="json")
    return plain


def _first_row(example: object) -> strict.Json:
    """The first row of the example of a list; None when it is no list."""
    plain = _plain(example)
    items = plain.get("items") if isinstance(plain, dict) else None
    return items[0] if isinstance(items, list) else None


def _documented(refuses: Iterable[type[Refusal]]) -> dict[int | str, dict[str, object]]:
    """The problems of a call by status, each code with an example."""
    by_status: dict[int, dict[str, object]] = {}
    for kind in sorted(set(refuses), key=lambda kind: (problems.status_of(kind), kind.code)):
        by_status.setdefault(problems.status_of(kind), {})[kind.code] = {"value": problems.example_of(kind)}
    return {status: _problem_answer(examples) for status, examples in by_status.items()}


def _problem_answer(examples: dict[str, object]) -> dict[str, object]:
    return {
        "description": ", ".join(examples),
        "content": {problems.MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": examples}},
    }
