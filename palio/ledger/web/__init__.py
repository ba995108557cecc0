"""How people and programs meet the ledger: their own wallets."""

from palio.ledger.web import proofs, wallet
from palio.ui.routes import Routes

__all__ = ["routes"]

routes = Routes("ledger")
routes.all = [*proofs.routes.all, *wallet.routes.all]
