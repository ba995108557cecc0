"""How people and programs meet competitions: what is on, who stands where, and what was won."""

from palio.competitions.web import boards, competitions, entering
from palio.ui.routes import Routes

__all__ = ["routes"]

routes = Routes("competitions")
routes.all = [*competitions.routes.all, *boards.routes.all, *entering.routes.all]
