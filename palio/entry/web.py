"""The web application: the routes of every module behind the browser edge."""

from starlette.types import ASGIApp

from palio.entry import probes
from palio.entry.wiring import Wiring
from palio.infra import logging
from palio.ui import assets, documents, streams
from palio.ui.edge import Served
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.routes import Routes
from palio.ui.site import assemble
from palio.ui.streams import Streams

log = logging.get("web")

MODULES: tuple[Routes, ...] = (streams.routes, documents.routes, assets.routes)


def make(wiring: Wiring) -> ASGIApp:
    """The application of one process; its middlewares are pure ASGI."""
    origin = wiring.environment.public_url
    state = {
        "database": wiring.database,
        "streams": Streams(wiring.hub, origin),
        "pages": Pages(Languages()),
        "files": Files(DIST.parent),
    }
    return assemble((probes.routes(wiring), *MODULES), state=state, served=tell, origin=origin)


def tell(served: Served) -> None:
    """One line for one request, and all that is known of a defect."""
    facts = {
        "request_id": str(served.request_id),
        "method": served.method,
        "route": served.route,
        "status": served.status,
        "ms": round(served.seconds * 1000, 1),
    }
    if served.defect:
        log.error("request failed", exc_info=served.defect, **facts)
    else:
        log.info("request", **facts)
