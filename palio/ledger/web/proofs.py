"""What everybody may know of seals, and the proof that a movement of one's own is in one."""

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.infra import seals
from palio.ledger.errors import NoSuchTransfer, NotSealed, SealBroken
from palio.ledger.schemas.proofs import HEADS_EXAMPLE, PROOF_EXAMPLE, At, HeadsAnswer, ProofAnswer, beside, wanted
from palio.ledger.schemas.wallet import TransferNumber
from palio.ledger.service import sealing
from palio.ledger.types import TransferId
from palio.ui import pages
from palio.ui.actor import InTx
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.paging import Paged
from palio.ui.routes import Routes

PROOFS = Limit("proofs", 60, MINUTE_S)
routes = Routes("ledger")


@routes.get(
    "/wallet/transactions/{transfer_id:uuid}/proof",
    access="owner",
    example=PROOF_EXAMPLE,
    refuses=[NoSuchTransfer, NotSealed, SealBroken],
    rate=[PROOFS],
)
async def get_proof(transfer_id: TransferNumber, tx: InTx) -> ProofAnswer:
    """Prove that a movement of yours is sealed: what to check offline, against a head that was published."""
    return ProofAnswer.of(await sealing.proof(tx, transfer_id=TransferId(transfer_id)))


@routes.get("/transparency/heads", access="public", example=HEADS_EXAMPLE)
async def list_heads(tx: InTx, page: Paged) -> HeadsAnswer:
    """List the heads of the ledger, the newest first: whoever keeps one can show later that nothing was altered."""
    before, after = wanted(page)
    found = await sealing.heads(tx, before=before, after=after, limit=page.limit)
    newest = await sealing.newest(tx)
    return HeadsAnswer.of(found, page, newest=newest, keys=seals.public_keys(tx.equipment.keyring))


@routes.page("/transparency", access="public")
async def transparency_page(request: Request, tx: InTx, page: Paged, at: At = None) -> HTMLResponse:
    """The heads, from seal `at` on if one is named, and how to check them."""
    before, after = wanted(page, at)
    found = await sealing.heads(tx, before=before, after=after, limit=page.limit)
    older, newer = beside(found, page, newest=await sealing.newest(tx))
    keys = {number: key.hex() for number, key in sorted(seals.public_keys(tx.equipment.keyring).items())}
    values = {"heads": found, "keys": keys, "older": older, "newer": newer, "at": at}
    return pages.render(request, "ledger/transparency.html", values)
