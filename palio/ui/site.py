"""The web application: routes of many modules, what becomes of refusals and defects, and the edge around all of it."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

import palio
from palio.infra.keyring import KEY_BYTES
from palio.infra.ratelimit import Limiter
from palio.kernel.errors import Refusal
from palio.ui import asyncapi, problems
from palio.ui.actor import Identify, nobody
from palio.ui.description import describe
from palio.ui.dispatch import Dispatch
from palio.ui.edge import BODY_BYTES_MAX, Edge, Served
from palio.ui.files import COMPRESSED_BYTES_MIN
from palio.ui.guard import Guard
from palio.ui.headers import SecurityHeaders
from palio.ui.proxies import Network, Proxies
from palio.ui.publication import Publication
from palio.ui.routes import Call, Route, Routes


def assemble(
    modules: Sequence[Routes],
    *,
    state: Mapping[str, object],
    served: Callable[[Served], None],
    origin: str | None = None,
    identify: Identify = nobody,
    limiter: Limiter | None = None,
    key: bytes | None = None,
    trusted: Sequence[Network] = (),
    before: Callable[[ASGIApp], ASGIApp] | None = None,
    in_front: Callable[[ASGIApp], ASGIApp] | None = None,
) -> ASGIApp:
    """The application: `state` is what handlers find on it, `served` hears of every request.

    `identify` says who asks; `limiter` counts how often, nobody does without it; forms are proven ours under `key`,
    which is the same in all processes. What `trusted` proxies say about a caller's address is believed. `before` may
    stand between the edge and the routes, and answer in their place; `in_front` stands before the edge.
    """
    app = FastAPI(
        title="Palio",
        version=palio.__version__,
        routes=[Dispatch(chain.from_iterable((*module.all, *module.sockets) for module in modules))],
        openapi_url=None,
        redirect_slashes=False,
    )
    for name, part in state.items():
        setattr(app.state, name, part)
    app.state.identify, app.state.limiter = identify, limiter
    app.state.guard = Guard(key or secrets.token_bytes(KEY_BYTES))
    app.state.calls = [route for module in modules for route in module.all if isinstance(route, Call)]
    app.state.description = Publication(partial(describe, modules))
    app.state.topics = Publication(lambda: asyncapi.describe(app.state.streams.topics))
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES_MIN, compresslevel=6)  # leaves event streams alone
    app.add_exception_handler(Refusal, problems.on_refusal)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_exception_handler(Exception, problems.on_defect)

    def refuse(request: Request, refusal: Refusal) -> Response:
        request.scope["app"] = app  # the edge stands before the application, and its problems are pages too
        return problems.respond(request, problems.describe(request, refusal))

    longer = [route for module in modules for route in module.all if route.rules.body_bytes_max > BODY_BYTES_MAX]
    edge = Edge(
        before(app) if before else app,
        served=served,
        refuse=refuse,
        origin=origin,
        bytes_max=partial(_bytes_max, longer),
    )
    return SecurityHeaders(Proxies(in_front(edge) if in_front else edge, trusted))


def _bytes_max(longer: Sequence[Route], scope: Scope) -> int:
    """How long the body of a request may be: as usual, but for the few routes that take more."""
    path, method = scope["path"], scope["method"]
    found = (route for route in longer if method in (route.methods or ()) and route.path_regex.match(path))
    return max((route.rules.body_bytes_max for route in found), default=BODY_BYTES_MAX)
