"""How staff meet competitions of every product: calls and pages of the console."""

from palio.competitions.console.calls import READ
from palio.competitions.console.calls import routes as calls
from palio.competitions.console.editor import routes as editor
from palio.competitions.console.lists import routes as lists
from palio.competitions.console.looking import CALENDAR
from palio.competitions.console.looking import routes as looking
from palio.competitions.console.pages import APPEALS, HERE, WITHHELD
from palio.competitions.console.pages import routes as pages
from palio.competitions.console.series import SERIES
from palio.competitions.console.series import routes as series
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

__all__ = ["APPEALS", "HERE", "RAIL", "WITHHELD", "routes"]
routes = Routes("competitions")
routes.all = [*lists.all, *calls.all, *editor.all, *looking.all, *series.all, *pages.all]
RAIL = (
    RailEntry("compete", "Competitions", HERE, READ),
    RailEntry("compete", "Calendar", CALENDAR, READ),
    RailEntry("compete", "Series", SERIES, READ),
    RailEntry("compete", "Doubts", APPEALS, READ),
    RailEntry("compete", "Withheld prizes", WITHHELD, READ),
)
