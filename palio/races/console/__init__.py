"""How staff meet races: calls and pages of the console."""

from palio.races.console.calls import routes as calls
from palio.ui.routes import Routes

routes = Routes("races")
routes.all = [*calls.all]
