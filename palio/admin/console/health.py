"""Health: what is wrong with the deployment, why it matters, and what to do."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.admin.schemas import desk_of
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

HERE = "/console/health"
routes = Routes("admin")


@routes.page(HERE, access="admin.health.read")
async def health_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Everything that an examination finds, the worst first."""
    defects = await desk_of(request).examine(tx, ask.now)
    return await console.render(request, ask, tx, "admin/health.html", {"defects": defects}, present=HERE)
