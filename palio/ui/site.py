"""The web application: routes of many modules, what becomes of refusals and defects, and the edge around all of it."""

from collections.abc import Callable, Mapping, Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

import palio
from palio.kernel.errors import Refusal
from palio.ui import description, problems
from palio.ui.edge import Edge, Served
from palio.ui.files import COMPRESSED_BYTES_MIN
from palio.ui.headers import SecurityHeaders
from palio.ui.routes import Routes


def assemble(
    modules: Sequence[Routes],
    *,
    state: Mapping[str, object],
    served: Callable[[Served], None],
    origin: str | None = None,
) -> ASGIApp:
    """The application: `state` is what handlers find on it, `served` hears of every request."""
    app = FastAPI(
        title="Palio",
        version=palio.__version__,
        routes=[route for module in modules for route in module.all],
        openapi_url=None,
        redirect_slashes=False,
    )
    for name, part in state.items():
        setattr(app.state, name, part)
    app.state.description = description.describe(modules)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES_MIN, compresslevel=6)  # leaves event streams alone
    app.add_exception_handler(Refusal, problems.on_refusal)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_exception_handler(Exception, problems.on_defect)

    def refuse(request: Request, refusal: Refusal) -> Response:
        request.scope["app"] = app  # the edge stands before the application, and its problems are pages too
        return problems.respond(request, problems.describe(request, refusal))

    return SecurityHeaders(Edge(app, served=served, refuse=refuse, origin=origin))
