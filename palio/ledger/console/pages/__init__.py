"""Pages of staff over the ledger: accounts with their chains, transfers, corrections, holds, assets, the treasury."""

from palio.ledger.console.pages import accounts, adjustments, assets, checks, holds, transfers, treasury
from palio.ui.routes import Routes

routes = Routes("ledger")
routes.all = [
    each for part in (accounts, transfers, adjustments, holds, assets, treasury, checks) for each in part.routes.all
]
