"""The first page: what is here, composed of what the modules offer."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio import races
from palio.ui import pages
from palio.ui.actor import InTx
from palio.ui.routes import Routes
from palio.ui.values import Asset

RACES_MAX = 24
routes = Routes("home")


@routes.page("/", access="public")
async def home(request: Request, tx: InTx) -> HTMLResponse:
    """The races, those that are not over first."""
    lines = await races.recent(tx, limit=RACES_MAX)
    values = {"races": [(line, Asset(line.asset, line.asset_scale)) for line in lines]}
    return pages.render(request, "home.html", values, block="races")
