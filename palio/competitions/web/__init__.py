"""How people and programs meet competitions: what is on, who stands where, scores, and what was won."""

from palio.competitions.web import (
    boards,
    competitions,
    embeds,
    entering,
    joining,
    listing,
    own,
    pages,
    scores,
    showing,
)
from palio.competitions.web.gathering import Scorer
from palio.competitions.web.looking import Looks
from palio.competitions.web.scores import BULK, short_ways
from palio.competitions.web.warming import Warmer
from palio.ui.routes import Routes

__all__ = ["BULK", "Looks", "Scorer", "Warmer", "routes", "short_ways"]

routes = Routes("competitions")
routes.all = [
    *(*competitions.routes.all, *entering.routes.all, *own.routes.all),
    *(*boards.routes.all, *scores.routes.all, *pages.routes.all),
    *(*listing.routes.all, *showing.routes.all, *joining.routes.all, *embeds.routes.all),
]
