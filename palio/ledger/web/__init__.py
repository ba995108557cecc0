"""How people and programs meet the ledger: their own wallets, and transfers of programs."""

from palio.ledger.web import gifts, limits, pages, proofs, transfers, wallet
from palio.ledger.web.gathering import Teller
from palio.ledger.web.transfers import BULK, short_ways
from palio.ui.routes import Routes

__all__ = ["BULK", "Teller", "routes", "short_ways"]

routes = Routes("ledger")
routes.all = [
    *limits.routes.all,
    *proofs.routes.all,
    *wallet.routes.all,
    *gifts.routes.all,
    *pages.routes.all,
    *transfers.routes.all,
]
