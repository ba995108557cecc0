"""How staff meet competitions of every product: calls and pages of the console."""

from palio.competitions.console.calls import READ
from palio.competitions.console.calls import routes as calls
from palio.competitions.console.pages import HERE
from palio.competitions.console.pages import routes as pages
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

routes = Routes("competitions")
routes.all = [*calls.all, *pages.all]
RAIL = (RailEntry("compete", "Competitions", HERE, READ),)
