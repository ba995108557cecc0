"""How staff meet races: calls and pages of the console."""

from palio.races.console.calls import READ
from palio.races.console.calls import routes as calls
from palio.races.console.pages import HERE
from palio.races.console.pages import routes as pages
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

routes = Routes("races")
routes.all = [*calls.all, *pages.all]
RAIL = (RailEntry("compete", "Races", HERE, READ),)
