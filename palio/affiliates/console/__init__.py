"""How staff meet programmes, feeds, snapshots and links: calls and pages of the console."""

from palio.affiliates.console import doubts, feeds, snapshots
from palio.affiliates.console.calls import READ
from palio.affiliates.console.calls import routes as calls
from palio.affiliates.console.links import routes as links
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

routes = Routes("affiliates")
routes.all = [
    *calls.all,
    *links.all,
    *feeds.routes.all,
    *snapshots.routes.all,
    *doubts.routes.all,
]
RAIL = (
    RailEntry("sources", "Feeds", feeds.HERE, READ),
    RailEntry("sources", "Snapshots", snapshots.HERE, READ),
    RailEntry("sources", "Quarantine", doubts.HELD, READ),
    RailEntry("sources", "Anomalies", doubts.ANOMALIES, READ),
)
