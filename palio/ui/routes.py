"""Routes: how a module offers calls, pages and forms. Each says who may use it; calls are strict and well described.

What happens to a request, in this order: who asks, how often, may he, did he ask it before, and then the handler.
"""

import hashlib
import threading
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeAlias, TypedDict, TypeVar, Unpack

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import TypeAdapter
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import compile_path

from palio.infra.db import Database, Tx
from palio.infra.deprecations import Deprecations
from palio.infra.idempotency import Asked, InProgress, KeyReused
from palio.infra.operations import TooManyOpen
from palio.kernel import clock
from palio.kernel.errors import (
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Refusal,
    Required,
    Stale,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from palio.kernel.permissions import OBJECTS
from palio.ui import access as accesses
from palio.ui import actor, counting, keys, limits, problems, strict, tables, versions
from palio.ui.access import NO_SCOPE, NO_TOKEN, Access, Terms
from palio.ui.actor import Asking
from palio.ui.edge import BODY_BYTES_MAX, SAFE_METHODS
from palio.ui.going import Deprecation
from palio.ui.guard import CSRF, KEY, PROOF, FormRequest, Guard
from palio.ui.limits import Limit
from palio.ui.paging import COUNT, Listed
from palio.ui.problems import Problem
from palio.ui.refusals import (
    BodyTooLarge,
    CsrfRejected,
    CursorExpired,
    CursorInvalid,
    CursorMismatch,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    ImpersonationReadOnly,
    InternalError,
    MalformedJson,
    MfaRequired,
    NotAcceptable,
    ScopeMissing,
    SessionRequired,
    StepUpRequired,
    TokenInUrl,
    UnknownField,
    UnknownParameter,
    UnsupportedMedia,
)

Idempotency: TypeAlias = Literal["required", "optional", "none"]
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Handler: TypeAlias = Callable[[Request], Coroutine[None, None, Response]]
Ahead: TypeAlias = Callable[[Request, Mapping[str, object]], Awaitable[None]]  # of a request, and what it says

OF_EVERY_CALL: tuple[type[Refusal], ...] = (
    *(NotAcceptable, Malformed, UnknownParameter, Invalid, InternalError, Unavailable, TooMany, TokenInUrl),
)
OF_EVERY_LIST: tuple[type[Refusal], ...] = (CursorInvalid, CursorMismatch, CursorExpired)
OF_EVERY_WRITE: tuple[type[Refusal], ...] = (CsrfRejected, ImpersonationReadOnly)
OF_EVERY_BODY: tuple[type[Refusal], ...] = (MalformedJson, UnknownField, UnsupportedMedia, BodyTooLarge)
OF_EVERY_KEY: tuple[type[Refusal], ...] = (IdempotencyKeyInvalid, KeyReused, InProgress)
OF_EVERY_VERSION: tuple[type[Refusal], ...] = (Required, Stale)
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}
READING = threading.RLock()  # the description is made in a thread, while the loop reads what requests are for
NO_CONTROL = "The text holds a control character; leave it out."
ACCEPTED: dict[str, object] = {
    "description": "It is done later: follow it at the address in `Location`",
    "content": {strict.JSON_TYPE: {"schema": {"$ref": "#/components/schemas/OperationAnswer"}}},
}
UNCHANGED: dict[str, object] = {
    "description": "It is as the version or the answer that was named in `If-None-Match`",
    "content": {},
}
ELSEWHERE: dict[str, object] = {"description": "The way goes on at the address in `Location`", "content": {}}
NO_CONTENT: dict[str, object] = {"description": "It is done; there is nothing to say", "content": {}}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a route is declared with: who may use it, how often, and what becomes of a repeat.

    `secrets` are fields of the answer that are shown once, and null when it is told again. `unaudited` says why an act
    of staff leaves no audit row. With `keeps_keys` the module itself keeps the keys, for ever.
    """

    terms: Terms
    limits: tuple[Limit, ...] = ()
    idempotency: Idempotency = "none"
    secrets: frozenset[str] = frozenset()
    unaudited: str = ""
    body_bytes_max: int = BODY_BYTES_MAX
    keeps_keys: bool = False
    deprecation: Deprecation | None = None


class UndeclaredError(Exception):
    """A defect: a call answers with a status that its description does not name, so it is rolled back."""


class UnauditedError(Exception):
    """A defect: an act of staff left no audit row, so it is rolled back."""


class _Number(IntegerConvertor):
    """A number in an address is written in one way, so that each page has one address: no zeros in front."""

    regex = "0|[1-9][0-9]{0,18}"


register_url_convertor("int", _Number())


class Route(APIRoute):
    """A route that has declared who may use it.

    The framework reads its handler when the route is first used: it takes some milliseconds each, and a process that
    starts would wait for many hundred that nobody has asked for. `complete` then says what follows from the handler.
    """

    rules: Rules
    module: str
    refuses: tuple[type[Refusal], ...]
    ahead: Ahead | None = None

    def __init__(
        self,
        path: str,
        handler: Callable[..., Any],
        *,
        method: str,
        complete: Callable[[], None] | None = None,
        **offer: Any,
    ) -> None:
        self.path, self.endpoint, self.methods, self.name = path, handler, {method}, handler.__name__
        self.include_in_schema = offer.get("include_in_schema", True)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        read = super().__init__

        def unread() -> None:
            read(path, handler, methods=[method], **offer)
            if complete:
                complete()

        self._unread: Callable[[], None] | None = unread

    if not TYPE_CHECKING:  # else a checker would believe that there is every attribute

        def __getattr__(self, name: str) -> object:
            """What is known when the handler has been read: all but address, method and rules."""
            with READING:
                if unread := self.__dict__.pop("_unread", None):
                    unread()
            try:
                return self.__dict__[name]
            except KeyError:
                raise AttributeError(name) from None

    @property
    def access(self) -> Access:
        return self.rules.terms.access

    async def admit(self, request: Request, *, is_counted: bool = False) -> Asking:
        """Find out who asks, count it, and refuse whoever may not: whoever is turned away has asked as well."""
        ask = await actor.asking(request)
        if ask.lent:
            ask = request.scope[actor.ASKING] = ask.before(self.module, objects_of(request))
        if is_counted:
            await limits.take(request, ask, self.rules.limits, is_strict=self.rules.idempotency == "required")
        accesses.require(self.rules.terms, ask, request.method)
        return ask

    @property
    def must_be_audited(self) -> bool:
        """Is this an act of staff?"""
        return (
            self.access not in {"public", *accesses.OF_PLAYERS}
            and not (self.methods or set()) <= SAFE_METHODS
            and not self.rules.unaudited
        )

    def audited(self, answer: Handler) -> Handler:
        """The same, but an act of staff that nobody has written down fails, before it is committed."""

        async def written_down(request: Request) -> Response:
            response = await answer(request)
            tx: Tx | None = request.scope.get(actor.TX)
            if self.must_be_audited and response.status_code in keys.DONE and not (tx and tx.is_audited):
                raise UnauditedError(self.path)
            return response

        return written_down

    def asked(self, ask: Asking, key: str, sha256: bytes) -> Asked | None:
        """The request under its key; None for a caller whom nobody would know again."""
        return Asked(ask.actor.user_id, self.unique_id, key, sha256) if ask.actor.user_id else None


class Hook(Route):
    """Where others send what they have signed: its handler knows them by that, and by nothing else."""


class Page(Route):
    """Something that is not a call: a page, a health check, a file. What somebody signed in sees is kept nowhere.

    A page also shows strangers and others who they are, and its forms are theirs, whether its handler asks or not.
    """

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            if self.access != "public":
                await self.admit(request)
            elif problems.wants_page(request):  # a file asks nobody who he is
                with suppress(Refusal):  # what says that we cannot answer is shown all the same
                    await actor.asking(request)
            response = await answer(request)
            ask: Asking | None = request.scope.get(actor.ASKING)
            return _unkept(ask, response) if ask else response

        return admitted


class Call(Route):
    """A route of the API: unknown parameters, foreign media types and loose JSON are refused, reads carry an ETag.

    A list is also a table (CSV) for whoever prefers that; `row` is one of its rows, which tells the columns. One that
    `is_open_ended` is led to by others, who add parameters of their own. Bulk also comes as lines of JSON.
    """

    example: object = None
    is_open_ended = False
    is_bulk = False

    @cached_property
    def row(self) -> strict.Json:
        """The first row of the example of a list; None when it is no list."""
        return _plain(_items_of(self.example)[0]) if _items_of(self.example) else None

    @cached_property
    def known(self) -> set[str]:
        """The parameters of its handler."""
        return {each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, params.Query)}

    @property
    def is_paged(self) -> bool:
        """Is this a list that is read in parts?"""
        return self.row is not None and "cursor" in self.known

    def get_route_handler(self) -> Handler:
        answer = self.as_declared(self.audited(super().get_route_handler()))
        media_type = getattr(self.response_class, "media_type", None) or strict.JSON_TYPE
        known = self.known
        takes_json = self.body_field is not None

        async def strictly(request: Request) -> Response:
            ask = await self.admit(request, is_counted=True)
            as_table = self.row is not None and tables.is_wanted(request)
            wanted = tables.MEDIA_TYPE if as_table else media_type
            if not strict.accepts(request.headers.get("accept", ""), wanted):
                raise NotAcceptable(media_type=wanted)
            known_here = known | self._of_lists(is_table=as_table)
            if not self.is_open_ended and (odd := _odd_parameters(request, known_here)):
                places = [problems.place_of([name], "unknown_parameter", words) for name, words in odd.items()]
                return problems.respond(request, problems.describe(request, UnknownParameter(), places))
            strict_request = strict.StrictRequest(request.scope, request.receive)
            if self.is_bulk and strict.has_lines(request):
                strict_request = await strict.StrictRequest.of_lines(request)
            elif takes_json:
                strict.require_json(request)
            if takes_json and (unwritable := list(strict.control_characters(await strict_request.json()))):
                places = [problems.place_of(path, "control_character", NO_CONTROL) for path in unwritable]
                return problems.respond(request, problems.describe(request, Invalid(), places))
            if request.method not in SAFE_METHODS:
                return _told(request, ask, await self._change(strict_request, ask, answer))
            row, names = self._fields(request)
            is_counted = self._is_counted(request)
            response = await answer(strict_request)
            if is_counted and response.status_code == HTTPStatus.OK:
                response = await counting.tell(strict_request, ask, response, answer)
            if names and response.status_code == HTTPStatus.OK:
                response = _narrowed(response, names)
            if as_table and response.status_code == HTTPStatus.OK:
                return _told(request, ask, tables.respond(request, strict.parse(bytes(response.body)), row))
            return _told(request, ask, _unless_known(request, ask, response))

        return self._going(strictly)

    def as_declared(self, answer: Handler) -> Handler:
        """The same, but a status that nobody could have read of fails, before anything is committed."""

        async def described(request: Request) -> Response:
            response = await answer(request)
            if self.include_in_schema and response.status_code not in self.responses:
                raise UndeclaredError(f"{self.unique_id} answers {response.status_code}")
            return response

        return described

    def _of_lists(self, *, is_table: bool) -> set[str]:
        """The parameters of every list; a table has no place for a count."""
        return {FIELDS, COUNT} if self.is_paged and not is_table else {FIELDS} if self.row is not None else set()

    def _is_counted(self, request: Request) -> bool:
        """Is it wanted how many there are? Refuses with RequestValidationError what is no way to count."""
        if not self.is_paged or not (asked := request.query_params.get(COUNT, "")):
            return False
        if asked != counting.EXACT:
            words = f"Lists are counted as {counting.EXACT!r}, or not at all"
            raise RequestValidationError([{"type": "literal_error", "loc": ("query", COUNT), "msg": words}])
        return True

    def _fields(self, request: Request) -> tuple[strict.Json, frozenset[str]]:
        """A row with the fields of a list that are wanted, and their names; none are named where all are.

        Refuses with RequestValidationError what no row has.
        """
        asked = request.query_params.get(FIELDS, "")
        if not asked or not isinstance(self.row, dict):
            return self.row, frozenset()
        names = frozenset(asked.split(","))
        if odd := sorted(names - self.row.keys()):
            words = f"There is no field {odd[0]!r}; there are {', '.join(self.row)}"
            raise RequestValidationError([{"type": "value_error", "loc": ("query", FIELDS), "msg": words}])
        return {name: value for name, value in self.row.items() if name in names}, names

    def _going(self, answer: Handler) -> Handler:
        """The same; what goes away says so, and is counted."""

        async def told(request: Request) -> Response:
            response = await answer(request)
            if deprecation := self.rules.deprecation:
                response.headers.update(deprecation.headers)
                response.headers.append("Link", deprecation.link_header)
                await self._count(request)
            return response

        return told

    async def _count(self, request: Request) -> None:
        """Remember who still uses what goes away."""
        counted: Deprecations | None = getattr(request.app.state, "deprecations", None)
        if counted:
            ask: Asking = request.scope[actor.ASKING]
            await counted.note(self.unique_id, ask.token_id)

    async def _change(self, request: strict.StrictRequest, ask: Asking, answer: Handler) -> Response:
        """Carry out what changes something, once for each key."""
        if self.ahead:
            wished = await request.json()
            await self.ahead(request, wished if isinstance(wished, dict) else {})
        key = keys.key_of(request) if self.rules.idempotency != "none" else None
        if key is None:
            if self.rules.idempotency == "required":
                raise IdempotencyKeyRequired
            return await answer(request)
        if self.rules.keeps_keys:
            return await answer(request)
        said = keys.canonical(await request.json()) if self.body_field is not None else b""
        asked = self.asked(ask, key, keys.digest(request, said))
        if asked is None:
            return await answer(request)
        return await keys.once(request, ask, asked, lambda: answer(request), secrets=self.rules.secrets)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that was refused, to be shown again: what was typed, and what is wrong with it."""

    values: Mapping[str, str]
    problem: Problem


Again: TypeAlias = Callable[[Request, Asking, Tx, Filled], Awaitable[Response]]
Prove: TypeAlias = Callable[[Request, Response, Asking, str], Awaitable[None]]  # judges a code, and sets the cookie


class Offer(TypedDict, total=False):
    """How a call that changes something is declared.

    With a key it happens once: `required` where value moves, `none` where an answer must never be stored; `secrets` are
    fields of the answer that are shown once. `rate` adds limits of its own. Tokens need the scope `<module>:write`,
    unless `scope` names another; "session" is for what no token may do. `step_up` wants a fresh second factor;
    `for_viewers` is for what whoever only looks may do too, `for_restricted` for what somebody whose account is
    suspended may. What staff do leaves an audit row, unless `unaudited` says why not. `body_bytes_max` is for files and
    bulk. `ahead` is done before the transaction begins: what looks outside, and leaves what it found in the scope of
    the request. `may_wait` is for bulk whose handler lets it be done later (`background.accept`); its `items` also come
    as lines. `for_services` is for what programs may do that hold the permission; with `keeps_keys` the module keeps
    the keys by itself, and its handler reads them (`keys.key_of`). A `deprecation` announces that the call goes away.
    `status` is how it answers, and `also` how else, with an example for each status; None is for one without a body.
    """

    access: typing.Required[Access]
    example: typing.Required[object]
    refuses: Sequence[type[Refusal]]
    scope: str
    rate: Sequence[Limit]
    idempotency: Idempotency
    secrets: Sequence[str]
    step_up: bool
    for_viewers: bool
    for_restricted: bool
    unaudited: str
    body_bytes_max: int
    ahead: Ahead
    may_wait: bool
    for_services: bool
    keeps_keys: bool
    deprecation: Deprecation
    status: int
    also: Mapping[int, object]
    tier: str


class Declare(Protocol):
    """What a declaration does to its handler: nothing, it only notes it down."""

    def __call__(self, handler: Callable[Given, Answer], /) -> Callable[Given, Answer]: ...


class Form(Route):
    """What a form of a page is sent to. It comes from our own page and has its effect once, however often it is sent.

    What is refused is shown in the form again by `again`, in a transaction of its own; without it, as a problem.
    With `asks_code` that is also so where the last proof is too old: the page shows a field for a code, and what was
    typed is still there.
    """

    again: Again | None = None
    asks_code: bool = False

    def get_route_handler(self) -> Handler:
        answer = self.audited(super().get_route_handler())

        async def guarded(request: Request) -> Response:
            ask, stale = await self._admit(request)
            form = FormRequest(request.scope, request.receive)
            await form.read()
            if ask.session_id:
                guard: Guard = request.app.state.guard
                guard.check(ask, form.carried[CSRF])
            proof = Response()
            try:
                if stale:
                    ask = await _proven(form, proof, ask, stale)
                response = await self._change(form, ask, answer)
            except (Refusal, RequestValidationError) as refused:
                if self.again is None:
                    raise
                response = await self._show_again(self.again, form, ask, problems.of(request, refused))
            response.raw_headers += [each for each in proof.raw_headers if each[0] == b"set-cookie"]
            return _unkept(ask, response)

        return guarded

    async def _admit(self, request: Request) -> tuple[Asking, StepUpRequired | None]:
        """Who asks, and what is missing if it is only a fresh proof, for which the form has a field."""
        try:
            return await self.admit(request, is_counted=True), None
        except StepUpRequired as stale:
            if not self.asks_code:
                raise
            return await actor.asking(request), stale

    async def _change(self, form: FormRequest, ask: Asking, answer: Handler) -> Response:
        if self.ahead:
            await self.ahead(form, await form.typed())
        key = keys.read_key(form.carried[KEY] or None) if self.rules.idempotency != "none" else None
        if key is None and self.rules.idempotency == "required":
            raise IdempotencyKeyRequired
        asked = self.asked(ask, key, keys.digest(form, await form.said())) if key else None
        if asked is None:
            return await answer(form)
        return await keys.once(form, ask, asked, lambda: answer(form), secrets=self.rules.secrets)

    async def _show_again(self, again: Again, form: FormRequest, ask: Asking, problem: Problem) -> Response:
        database: Database = form.app.state.database
        async with database.begin(ask.actor) as tx:
            response = await again(form, ask, tx, Filled(await form.typed(), problem))
        response.status_code = problem.status
        return response


async def _proven(form: FormRequest, proof: Response, ask: Asking, stale: StepUpRequired) -> Asking:
    """Who asks, once the code in his form was judged. Refuses as that does, and without a code with `stale`."""
    if not (code := form.carried[PROOF].strip()):
        raise stale
    prove: Prove = form.app.state.prove
    await prove(form, proof, ask, code)
    fresh = form.scope[actor.ASKING] = replace(ask, step_up_at=clock.now())
    return fresh


class Routes:
    """What one module offers, in the order of declaration; `entry/web.py` puts the modules together."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.all: list[Route] = []
        self.sockets: list[APIWebSocketRoute] = []

    def get(
        self,
        path: str,
        *,
        access: Access,
        example: object,
        refuses: Sequence[type[Refusal]] = (),
        scope: str | None = None,
        rate: Sequence[Limit] = (),
        tier: str = "core",
        response_class: type[Response] = JSONResponse,
        file: str = "",
        deprecation: Deprecation | None = None,
        is_open_ended: bool = False,
        also: Mapping[int, object] | None = None,
    ) -> Declare:
        """Declare a call that reads. The function's name becomes its operation id, its docstring the document.

        `file` is the media type of what it answers where a file was asked for.

        A list (an example with `items`) can also be had as a table: by `Accept`, and for links as `<path>.csv`.
        Tokens need the scope `<module>:read` for what is not public, unless `scope` names another. `is_open_ended` is
        for what others lead to, who add parameters of their own. `also` is as in an offer.
        """
        is_list = bool(_items_of(example))
        rules = self._rules("GET", access, scope, rate=rate, deprecation=deprecation)

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            every = (*refuses, *(OF_EVERY_LIST if is_list else ()), *_of_access(rules.terms), *_of_every_call(path))
            if is_list:
                self._add(self._table(path, handler, example), rules)

            def complete() -> None:
                route.refuses = every
                others = _others(route, also or {}) | ({304: UNCHANGED} if response_class is JSONResponse else {})
                route.responses = {200: _example(example, response_class, file), **others, **_documented(every)}
                route.openapi_extra = _declared(rules, tier, every) | _of_list(route)

            route = self._call("GET", path, handler, complete, response_class=response_class)
            route.example, route.is_open_ended = example, is_open_ended
            self._add(route, rules)
            return handler

        return declare

    def post(self, path: str, **offer: Unpack[Offer]) -> Declare:
        """Declare a call that changes something; `put`, `patch` and `delete` take the same.

        Its body is one pydantic model with `extra="forbid"`. A handler that takes `versions.Seen` needs `If-Match`.
        """
        return self._change("POST", path, offer)

    def put(self, path: str, **offer: Unpack[Offer]) -> Declare:
        """Declare a call that replaces something."""
        return self._change("PUT", path, offer)

    def patch(self, path: str, **offer: Unpack[Offer]) -> Declare:
        """Declare a call that changes some fields of something."""
        return self._change("PATCH", path, offer)

    def delete(self, path: str, **offer: Unpack[Offer]) -> Declare:
        """Declare a call that removes something."""
        return self._change("DELETE", path, offer)

    def _change(self, method: str, path: str, offer: Offer) -> Declare:
        rules = self._rules(
            method,
            offer["access"],
            offer.get("scope"),
            rate=offer.get("rate", ()),
            idempotency=offer.get("idempotency", "optional"),
            secrets=offer.get("secrets", ()),
            step_up=offer.get("step_up", False),
            for_viewers=offer.get("for_viewers", False),
            for_restricted=offer.get("for_restricted", False),
            unaudited=offer.get("unaudited", ""),
            body_bytes_max=offer.get("body_bytes_max", BODY_BYTES_MAX),
            for_services=offer.get("for_services", False),
            keeps_keys=offer.get("keeps_keys", False),
            deprecation=offer.get("deprecation"),
        )
        status = offer.get("status", 200)

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            def complete() -> None:
                later = offer.get("may_wait", False)
                every = (
                    *offer.get("refuses", ()),
                    *([TooManyOpen, TooLarge] if later else ()),
                    *_of_change(route, rules),
                )
                done = NO_CONTENT if status == HTTPStatus.NO_CONTENT else _example(offer["example"], JSONResponse)
                route.refuses = every
                others = _others(route, offer.get("also", {})) | ({202: ACCEPTED} if later else {})
                route.responses = {status: done, **others, **_documented(every)}
                more = [PREFER_PARAMETER] if later else []
                route.openapi_extra = _declared(rules, offer.get("tier", "core"), every, more) | _of_bulk(route)

            route = self._call(method, path, handler, complete, status_code=status)
            route.ahead, route.is_bulk = offer.get("ahead"), offer.get("may_wait", False)
            self._add(route, rules)
            return handler

        return declare

    def _call(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        complete: Callable[[], None],
        *,
        status_code: int | None = None,
        response_class: type[Response] = JSONResponse,
    ) -> Call:
        return Call(
            f"/api/v1{path}",
            handler,
            method=method,
            complete=complete,
            status_code=status_code,
            operation_id=f"{self.module}_{handler.__name__}",
            tags=[self.module],
            summary=(handler.__doc__ or "").strip().splitlines()[0],
            response_class=response_class,
        )

    def _table(self, path: str, handler: Callable[..., Any], example: object) -> Call:
        """The same list under an address that always answers CSV."""
        operation_id = f"{self.module}_{handler.__name__}_csv"
        address = f"/api/v1{path}{tables.ENDING}"
        route = Call(address, handler, method="GET", operation_id=operation_id, include_in_schema=False)
        route.example = example
        return route

    def page(self, path: str, *, access: Access) -> Declare:
        """Declare something that is not a call: a page, a health check, a file."""
        rules = self._rules("GET", access, NO_SCOPE if access == "public" else NO_TOKEN)

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            self._add(Page(path, handler, method="GET", response_class=HTMLResponse, include_in_schema=False), rules)
            return handler

        return declare

    def socket(self, path: str) -> Declare:
        """Declare a socket. Everybody may open it; who it is and what he may hear is said over it."""

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            self.sockets.append(APIWebSocketRoute(f"/api/v1{path}", handler))
            return handler

        return declare

    def hook(self, path: str, *, refuses: Sequence[type[Refusal]]) -> Declare:
        """Declare where others send what they have signed (POST); the handler reads and verifies the raw body."""
        rules = self._rules("POST", "public", NO_SCOPE)

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            def complete() -> None:
                route.refuses = tuple(refuses)

            route = Hook(path, handler, method="POST", complete=complete, include_in_schema=False)
            self._add(route, rules)
            return handler

        return declare

    def form(
        self,
        path: str,
        *,
        access: Access,
        again: Again | None = None,
        rate: Sequence[Limit] = (),
        idempotency: Idempotency = "optional",
        step_up: bool = False,
        asks_code: bool = False,
        for_viewers: bool = False,
        for_restricted: bool = False,
        unaudited: str = "",
        body_bytes_max: int = BODY_BYTES_MAX,
        ahead: Ahead | None = None,
    ) -> Declare:
        """Declare what the form of a page is sent to (POST). The handler takes `Annotated[Model, Form()]`.

        The model has `extra="forbid"` and only the form's own fields: those that `{{ hidden_fields() }}` writes in the
        template are taken aside. What is refused is shown by `again`. No token can send a form. With `asks_code` (and
        `step_up`) the page writes `{{ code_field() }}` where it is not `is_fresh`: the code comes with the act.
        """
        rules = self._rules(
            "POST",
            access,
            NO_TOKEN,
            rate=rate,
            idempotency=idempotency,
            step_up=step_up,
            for_viewers=for_viewers,
            for_restricted=for_restricted,
            unaudited=unaudited,
            body_bytes_max=body_bytes_max,
        )

        def declare(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
            route = Form(path, handler, method="POST", response_class=HTMLResponse, include_in_schema=False)
            route.again, route.asks_code, route.ahead = again, asks_code, ahead
            self._add(route, rules)
            return handler

        return declare

    def _rules(
        self,
        method: str,
        access: Access,
        scope: str | None,
        *,
        rate: Sequence[Limit] = (),
        idempotency: Idempotency = "none",
        secrets: Sequence[str] = (),
        step_up: bool = False,
        for_viewers: bool = False,
        for_restricted: bool = False,
        unaudited: str = "",
        body_bytes_max: int = BODY_BYTES_MAX,
        for_services: bool = False,
        keeps_keys: bool = False,
        deprecation: Deprecation | None = None,
    ) -> Rules:
        needed = accesses.scope_of(self.module, access, method) if scope is None else scope
        terms = Terms(access, needed, step_up, for_viewers, for_services, for_restricted)
        return Rules(
            terms, tuple(rate), idempotency, frozenset(secrets), unaudited, body_bytes_max, keeps_keys, deprecation
        )

    def _add(self, route: Route, rules: Rules) -> None:
        route.rules, route.module = rules, self.module
        self.all.append(route)


def objects_of(request: Request) -> list[str]:
    """The things that an address names of which somebody may hold a role alone."""
    return [f"{kind}:{request.path_params[name]}" for name, kind in OBJECTS.items() if name in request.path_params]


def takes_version(route: Route) -> bool:
    """Does the handler want to know which version the caller has seen?"""
    return any(each.call is versions.seen_version for each in route.dependant.dependencies)


def _odd_parameters(request: Request, known: set[str]) -> dict[str, str]:
    names = [name for name, _ in request.query_params.multi_items()]
    odd = {name: "There is no such parameter." for name in names if name not in known}
    return odd | {name: "This parameter stands twice." for name in known if names.count(name) > 1}


def _narrowed(response: Response, names: frozenset[str]) -> Response:
    """A list whose rows have no other fields than these."""
    answer = strict.parse(bytes(response.body))
    if isinstance(answer, dict) and isinstance(rows := answer.get("items"), list):
        answer["items"] = [_part_of(row, names) for row in rows]
    kept = {name: value for name, value in response.headers.items() if name not in {"content-length", "etag"}}
    return JSONResponse(answer, headers=kept)


def _part_of(row: strict.Json, names: frozenset[str]) -> strict.Json:
    return {name: value for name, value in row.items() if name in names} if isinstance(row, dict) else row


def _unless_known(request: Request, ask: Asking, response: Response) -> Response:
    """Give a read its ETag, weak if it has no version, and answer 304 to whoever has the same already."""
    if response.status_code != HTTPStatus.OK or response.headers.get("content-type") != strict.JSON_TYPE:
        return response
    tag = response.headers.setdefault("ETag", f'W/"{hashlib.sha256(response.body).hexdigest()[:16]}"')
    if ask.actor.kind == "none":
        response.headers.setdefault("Cache-Control", "public, max-age=5")
    if tag in [word.strip() for word in request.headers.get("if-none-match", "").split(",")]:
        kept = {name: response.headers[name] for name in ("etag", "cache-control") if name in response.headers}
        return Response(status_code=304, headers=kept)
    return response


def _told(request: Request, ask: Asking, response: Response) -> Response:
    """The answer of a call with what it says about limits; only what everybody is told may be kept."""
    for name, value in limits.headers(request).items():
        response.headers[name] = value
    response.headers.add_vary_header("Authorization")
    response.headers.add_vary_header("Cookie")
    return _unkept(ask, response)


def _unkept(ask: Asking, response: Response) -> Response:
    if ask.actor.kind != "none":
        response.headers["Cache-Control"] = "no-store"
    return response


def _of_access(terms: Terms) -> tuple[type[Refusal], ...]:
    """What a caller may be refused with for who he is."""
    found: list[type[Refusal]] = []
    if terms.access != "public":
        found.append(Unauthenticated)
    if terms.access not in {"public", *accesses.OF_PLAYERS}:
        found += [Forbidden, MfaRequired]
    if terms.scope != NO_SCOPE:
        found.append(SessionRequired if terms.scope == NO_TOKEN else ScopeMissing)
    if terms.step_up:
        found.append(StepUpRequired)
    return tuple(found)


def _of_every_call(path: str) -> tuple[type[Refusal], ...]:
    """A path parameter of the wrong shape leads nowhere."""
    return (*OF_EVERY_CALL, NotFound) if "{" in path else OF_EVERY_CALL


def _of_change(route: Route, rules: Rules) -> tuple[type[Refusal], ...]:
    return (
        *_of_access(rules.terms),
        *_of_every_call(route.path),
        *OF_EVERY_WRITE,
        *(OF_EVERY_BODY if route.body_field is not None else ()),
        *(OF_EVERY_KEY if rules.idempotency != "none" and not rules.keeps_keys else ()),
        *([IdempotencyKeyInvalid] if rules.keeps_keys else ()),
        *([IdempotencyKeyRequired] if rules.idempotency == "required" else ()),
        *(OF_EVERY_VERSION if takes_version(route) else ()),
    )


FIELDS = "fields"
FIELDS_PARAMETER = {
    "name": FIELDS,
    "in": "query",
    "required": False,
    "description": "Which fields of a row are wanted, between commas; all of them without it",
    "schema": {"type": "string", "minLength": 1, "maxLength": 500},
}
PREFER_PARAMETER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async`: it is done later, and the answer (202) says where to ask what came of it",
    "schema": {"type": "string", "maxLength": 255},
}
LINES: dict[str, object] = {
    "schema": {
        "type": "string",
        "description": "An item a line, with no other choices made; a line that is no JSON is refused like an item",
    }
}
KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A new text for each thing you want done; the same one again is told the same answer",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _declared(
    rules: Rules, tier: str, refuses: Iterable[type[Refusal]], more: Sequence[Mapping[str, object]] = ()
) -> dict[str, object]:
    key = [KEY_PARAMETER | {"required": rules.idempotency == "required"}] if rules.idempotency != "none" else []
    return {
        **({"parameters": [*key, *more]} if key or more else {}),
        "security": _proofs_of(rules.terms),
        **({"deprecated": True, "x-sunset": str(rules.deprecation.sunset)} if rules.deprecation else {}),
        "x-access": rules.terms.access,
        "x-scope": rules.terms.scope,
        "x-rate": ["calls", *(limit.name for limit in rules.limits)],
        "x-idempotency": rules.idempotency,
        "x-tier": tier,
        "x-mcp": "none",
        "x-problems": sorted({kind.code for kind in refuses}),
    }


def _of_list(route: Call) -> dict[str, object]:
    """What every list takes beside its own parameters."""
    if route.row is None:
        return {}
    return {"parameters": [FIELDS_PARAMETER, *([counting.PARAMETER] if route.is_paged else [])]}


def _of_bulk(route: Call) -> dict[str, object]:
    """What every bulk call takes instead of a JSON body."""
    return {"requestBody": {"content": {strict.LINES_TYPE: LINES}}} if route.is_bulk else {}


def _proofs_of(terms: Terms) -> list[dict[str, list[str]]]:
    """With which of the schemes of the description a caller may come; an empty one is nobody in particular."""
    is_for_players = terms.access in {"public", *accesses.OF_PLAYERS}
    cookie = "session" if is_for_players else "console"
    scopes = [] if terms.scope == NO_SCOPE else [terms.scope]
    return [
        *([{}] if terms.access == "public" else []),
        {cookie: []},
        *([] if terms.scope == NO_TOKEN else [{"bearer": scopes}]),
    ]


def _example(example: object, response_class: type[Response], file: str = "") -> dict[str, object]:
    media_type = response_class.media_type or strict.JSON_TYPE
    content: dict[str, object] = {media_type: {"example": _plain(example)}}
    if file:
        content[file] = {"schema": {"type": "string"}}
    if items := _items_of(example):
        row = _plain(items[0])
        content[tables.MEDIA_TYPE] = {"example": tables.write([row], columns=list(tables.cells(row)))}
    return {"content": content}


def _others(route: Call, also: Mapping[int, object]) -> dict[int | str, dict[str, object]]:
    """The other statuses of a call, whose answers have the same shape; without an example the way goes on elsewhere."""
    if shape := route.response_field:
        route.response_fields |= {status: shape for status, example in also.items() if example}
    return {status: _example(example, JSONResponse) if example else ELSEWHERE for status, example in also.items()}


@cache
def _shape_of(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _plain(example: object) -> strict.Json:
    if isinstance(example, Listed):  # its class says nothing of its rows
        return {"items": [_plain(row) for row in example.items], "next": example.next, "prev": example.prev}
    shape = _shape_of(type(example))  # type: ignore[arg-type]  # a class can be hashed
    plain: strict.Json = shape.dump_python(example, mode="json")
    return plain


def _items_of(example: object) -> Sequence[object]:
    """The rows of the example of a list; none of anything else."""
    items = example.get("items") if isinstance(example, Mapping) else getattr(example, "items", None)
    return items if isinstance(items, list | tuple) else ()


def _documented(refuses: Iterable[type[Refusal]]) -> dict[int | str, dict[str, object]]:
    """The problems of a call by status, each code with its example: one for all calls."""
    by_status: dict[int, dict[str, object]] = {}
    for kind in sorted(set(refuses), key=lambda kind: (problems.status_of(kind), kind.code)):
        example = {"$ref": f"#/components/examples/{kind.code}"}
        by_status.setdefault(problems.status_of(kind), {})[kind.code] = example
    return {status: _problem_answer(examples) for status, examples in by_status.items()}


def _problem_answer(examples: dict[str, object]) -> dict[str, object]:
    return {
        "description": ", ".join(examples),
        "content": {problems.MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": examples}},
    }
