"""The first page: what is here, composed of what the modules offer."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio import races
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Asset

RACES_MAX = 8
routes = Routes("home")


@routes.page("/", access="public")
async def home(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is on, then what comes and what was."""
    lines = await races.recent(tx, limit=RACES_MAX)
    values = {"races": [(line, Asset(line.asset, line.asset_scale)) for line in lines], "now": ask.now}
    return pages.render(request, "home.html", values, block="races")
