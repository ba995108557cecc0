"""How people and programs meet the ledger: their own wallets, and transfers of programs."""

from palio.ledger.web import limits, transfers, wallet
from palio.ledger.web.gathering import Teller
from palio.ledger.web.transfers import short_ways
from palio.ui.routes import Routes

__all__ = ["Teller", "routes", "short_ways"]

routes = Routes("ledger")
routes.all = [*limits.routes.all, *wallet.routes.all, *transfers.routes.all]
