"""What stands before the pages while a demo is filled, so that nobody takes half of it for the whole."""

from typing import ClassVar

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from palio.entry.wiring import Stage
from palio.infra import marks
from palio.kernel.errors import Unavailable
from palio.ui import pages, problems
from palio.ui.routes import Routes

PATH = "/preparing"
OPEN = ("/healthz", "/readyz", "/metrics", "/static/", "/favicon", PATH)
routes = Routes("curtain")


class DemoPreparing(Unavailable):
    """The demo of this machine is being filled; in a few seconds it is all there."""

    code: ClassVar[str] = "entry.demo_preparing"


def is_open() -> bool:
    """Is there no demo that is only half filled?"""
    return marks.state() != "begun"


class Curtain:
    """Lets nothing of a half-filled demo be seen: people are led to how far it is, programs are told to come later."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or is_open() or scope["path"].startswith(OPEN):
            await self._app(scope, receive, send)
        elif scope["path"] == "/":
            await self._app({**scope, "path": PATH, "raw_path": PATH.encode()}, receive, send)
        else:
            await self._refused(
                Request({**scope, "type": "http", "method": scope.get("method", "GET"), "app": self._app})
            )(scope, receive, send)

    def _refused(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/", 307)
        return problems.respond(request, problems.describe(request, DemoPreparing(retry_after_s=2)))


@routes.page(PATH, access="public")
async def preparing(request: Request) -> Response:
    """How far the demo is; when it is all there, the page that asked is loaded anew."""
    if marks.state() != "begun":
        return (
            HTMLResponse(headers={"HX-Redirect": "/"})
            if "HX-Request" in request.headers
            else RedirectResponse("/", 303)
        )
    stage: Stage = request.app.state.stage
    values = {"done": stage.done, "steps": stage.steps}
    return pages.render(request, "preparing.html", values, block="progress", headers={"Cache-Control": "no-store"})
