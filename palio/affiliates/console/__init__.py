"""How staff meet programmes, feeds, snapshots and links: calls and pages of the console."""

from palio.affiliates.console.calls import routes as calls
from palio.affiliates.console.links import routes as links
from palio.ui.routes import Routes

routes = Routes("affiliates")
routes.all = [*calls.all, *links.all]
