"""How people and programs meet the ledger: their own wallets."""

from palio.ledger.web import gifts, pages, wallet
from palio.ui.routes import Routes

__all__ = ["routes"]

routes = Routes("ledger")
routes.all = [*wallet.routes.all, *gifts.routes.all, *pages.routes.all]
