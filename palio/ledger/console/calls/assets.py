"""Calls of staff over assets."""

from fastapi import Response

from palio.infra.db import Tx
from palio.ledger.console.calls.rights import EDIT, READ
from palio.ledger.console.schemas.assets import ASSET_EXAMPLE, ASSETS_EXAMPLE, AssetAnswer, AssetBody
from palio.ledger.errors import AdjustmentReasonMissing, InvalidPost, UnknownAsset
from palio.ledger.rules import desk as rules
from palio.ledger.schemas.wallet import AssetCode
from palio.ledger.service import desk
from palio.ui import versions
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed
from palio.ui.routes import Routes
from palio.ui.versions import Seen

routes = Routes("ledger")


@routes.get("/console/ledger/assets", access=READ, example=ASSETS_EXAMPLE)
async def list_assets(tx: InTx) -> Listed[AssetAnswer]:
    """List assets with all that is set about them."""
    return Listed(tuple(map(AssetAnswer.of, await desk.list_asset_rows(tx))), None, None)


@routes.get("/console/ledger/assets/{asset}", access=READ, example=ASSET_EXAMPLE, refuses=[UnknownAsset])
async def get_asset(asset: AssetCode, tx: InTx, response: Response) -> AssetAnswer:
    """Read an asset, with the version that a change of it names."""
    return await _asset(tx, asset, response)


async def _asset(tx: Tx, asset: str, response: Response) -> AssetAnswer:
    found = await desk.get_asset_row(tx, asset=asset)
    versions.tell(response, rules.version_of_terms(found.terms))
    return AssetAnswer.of(found)


@routes.patch(
    "/console/ledger/assets/{asset}",
    access=EDIT,
    example=ASSET_EXAMPLE,
    refuses=[UnknownAsset, AdjustmentReasonMissing, InvalidPost],
    step_up=True,
)
async def change_asset(
    asset: AssetCode, body: AssetBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> AssetAnswer:
    """Change what an asset is called, and what may be done with it."""
    await desk.change_asset_by_staff(
        tx, asset=asset, changes=body.changes(), reason=body.reason, seen=seen, now=ask.now
    )
    return await _asset(tx, asset, response)
