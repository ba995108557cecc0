"""How races are met: pages, calls, and what stands in pages of others."""

from palio.races.web.calls import routes as calls
from palio.races.web.embeds import routes as embeds
from palio.races.web.own import routes as own
from palio.races.web.pages import routes as pages
from palio.races.web.views import Views
from palio.ui.routes import Routes

__all__ = ["Views", "routes"]

routes = Routes("races")
routes.all = [*pages.all, *calls.all, *embeds.all, *own.all]
