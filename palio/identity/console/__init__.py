"""How staff meet accounts: calls and pages of the console."""

from palio.identity.console import looks, user_pages, users
from palio.ui.routes import Routes

__all__ = ["routes"]

routes = Routes("identity")
routes.all = [*users.routes.all, *looks.routes.all, *user_pages.routes.all]
