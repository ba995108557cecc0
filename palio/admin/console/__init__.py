"""The console's own calls and pages: what is declared here stands in the rail by `RAIL`."""

from palio.admin.console import today
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

MODULES: tuple[Routes, ...] = (today.routes,)
RAIL = (RailEntry("today", "Today", "/console", "admin.home.read"),)
