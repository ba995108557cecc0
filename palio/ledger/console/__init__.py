"""How staff meet the ledger: calls and pages of the console."""

from palio.ledger.console.calls import routes as calls
from palio.ledger.console.calls.rights import READ
from palio.ledger.console.pages import routes as pages
from palio.ledger.console.pages.places import (
    ADJUST,
    ADJUSTMENTS,
    ASSETS,
    CONSERVATION,
    FINDINGS,
    HERE,
    HOLDS,
    SEALS,
    TRANSFERS,
    TREASURY,
)
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

__all__ = ["ADJUST", "ADJUSTMENTS", "HERE", "RAIL", "TRANSFERS", "routes"]

routes = Routes("ledger")
routes.all = [*calls.all, *pages.all]
RAIL = (
    RailEntry("money", "Ledger", HERE, READ),
    RailEntry("money", "Adjustments", ADJUSTMENTS, READ),
    RailEntry("money", "Holds", HOLDS, READ),
    RailEntry("money", "Treasury", TREASURY, READ),
    RailEntry("money", "Conservation", CONSERVATION, READ),
    RailEntry("money", "Findings", FINDINGS, READ),
    RailEntry("money", "Seals", SEALS, READ),
    RailEntry("money", "Assets", ASSETS, READ),
)
