"""The first page: what is here, composed of what the modules offer."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio import races
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Asset

RACES_MAX, LEADERS = 8, 3
routes = Routes("home")


@routes.page("/", access="public")
async def home(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is on, then what comes and what was."""
    lines = await races.recent(tx, limit=RACES_MAX)
    on = next((line for line in lines if line.status == "live"), None)
    featured = await races.view(tx, number=on.number, now=ask.now, rows_max=LEADERS) if on else None
    others = [(line, Asset(line.asset, line.asset_scale)) for line in lines if line is not on]
    return pages.render(request, "home.html", {"races": others, **_shown(featured), "now": ask.now}, block="races")


def _shown(race: races.RaceView | None) -> dict[str, object]:
    """The race that is on, with its podium."""
    if race is None:
        return {"featured": None}
    return {
        "featured": race,
        "featured_asset": Asset(race.asset, race.asset_scale),
        "leaders": [row for row in race.rows if row.is_qualified],
        "has_trends": any(row.trend is not None for row in race.rows),
    }
