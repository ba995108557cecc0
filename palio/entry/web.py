"""The web application: the routes of every module behind the browser edge."""

from fastapi import FastAPI
from starlette.types import ASGIApp

import palio
from palio.entry import probes
from palio.entry.wiring import Wiring


def make(wiring: Wiring) -> ASGIApp:
    """The application of one process; its middlewares are pure ASGI."""
    app = FastAPI(title="Palio", version=palio.__version__, docs_url=None, redoc_url=None)
    app.include_router(probes.router(wiring))
    return app
