"""The first page of the console, and the same as a call."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.admin import schemas, service
from palio.admin.schemas import desk_of
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

routes = Routes("admin")


@routes.page("/console", access="admin.home.read")
async def today_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """How the house does, what needs a person, what waits."""
    found = await service.today(tx, desk=desk_of(request), held=ask.permissions, now=ask.now)
    return await console.render(
        request, ask, tx, "admin/today.html", {"today": found}, present="/console", block="today"
    )


@routes.get("/console/home", access="admin.home.read", example=schemas.HOME)
async def get_home(request: Request, ask: Ask, tx: InTx) -> schemas.Home:
    """Read how the house does: tiles, alarms and queues."""
    found = await service.today(tx, desk=desk_of(request), held=ask.permissions, now=ask.now)
    return schemas.Home.of(found)
