"""How staff meet programmes, feeds, snapshots and links: calls and pages of the console."""

from palio.affiliates.console import doubts, feeds, programmes, snapshots, uploads
from palio.affiliates.console.calls import READ
from palio.affiliates.console.calls import routes as calls
from palio.affiliates.console.link_pages import LINKS, REQUESTS
from palio.affiliates.console.link_pages import routes as link_pages
from palio.affiliates.console.links import routes as links
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

__all__ = ["RAIL", "REQUESTS", "routes"]

routes = Routes("affiliates")
routes.all = [
    *calls.all,
    *links.all,
    *link_pages.all,
    *programmes.routes.all,
    *feeds.routes.all,
    *uploads.routes.all,
    *snapshots.routes.all,
    *doubts.routes.all,
]
RAIL = (
    RailEntry("sources", "Link requests", REQUESTS, READ),
    RailEntry("sources", "Links", LINKS, READ),
    RailEntry("sources", "Programmes", programmes.HERE, READ),
    RailEntry("sources", "Feeds", feeds.HERE, READ),
    RailEntry("sources", "Snapshots", snapshots.HERE, READ),
    RailEntry("sources", "Quarantine", doubts.HELD, READ),
    RailEntry("sources", "Anomalies", doubts.ANOMALIES, READ),
)
