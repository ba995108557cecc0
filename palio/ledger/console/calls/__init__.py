"""The API of staff over the ledger. Every act leaves an audit row; a correction above its limit answers 202."""

from palio.ledger.console.calls import accounts, adjustments, assets, checks, holds, search, transfers
from palio.ui.routes import Routes

routes = Routes("ledger")
routes.all = [
    each for part in (accounts, transfers, adjustments, holds, assets, checks, search) for each in part.routes.all
]
