"""What the house keeps: treasury and pools over time."""

from dataclasses import asdict

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from palio.ledger.console.calls.rights import READ
from palio.ledger.console.pages.places import TREASURY
from palio.ledger.console.pages.showing import chart_of
from palio.ledger.console.schemas.asked import OfAsset
from palio.ledger.schemas.wallet import AssetCode
from palio.ledger.service import desk, reading
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Asset

routes = Routes("ledger")


@routes.page(TREASURY, access=READ)
async def treasury_page(request: Request, ask: Ask, tx: InTx, asset: OfAsset = None) -> HTMLResponse:
    """What treasury and pools have held. Refuses with UnknownAsset."""
    known = await reading.assets(tx)
    chosen = await reading.asset_of(tx, code=asset or known[0].code)
    kept = await desk.kept_over_time(tx, asset=chosen.code, now=ask.now)
    values = {
        "chosen": Asset(chosen.code, chosen.scale),
        "assets": known,
        "days": [
            (day, *(int(kept[family][n][1]) for family in desk.KEPT)) for n, (day, _) in enumerate(kept[desk.KEPT[0]])
        ][::-1],
        "is_empty": not any(held for course in kept.values() for _, held in course),
    }
    return await console.render(request, ask, tx, "ledger/console/treasury.html", values, present=TREASURY)


@routes.page(TREASURY + "/{asset}/chart", access=READ)
async def treasury_chart(request: Request, asset: AssetCode, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of treasury and pools. Refuses with UnknownAsset."""
    chosen = await reading.asset_of(tx, code=asset)
    kept = await desk.kept_over_time(tx, asset=chosen.code, now=ask.now)
    courses = [("Treasury", kept["treasury"]), ("Pools", kept["pool"])]
    return JSONResponse(asdict(chart_of(request, courses, chosen.scale)))
