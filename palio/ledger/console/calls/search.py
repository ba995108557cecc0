"""The call of staff that finds whatever has an id, a key, an address or a name."""

from fastapi import Request

from palio.infra.db import Tx
from palio.ledger.console.calls.rights import READ
from palio.ledger.console.people import names_of, people_of
from palio.ledger.console.schemas.search import HITS_EXAMPLE, HitAnswer, Looked
from palio.ledger.service import desk
from palio.ledger.service.desk import Hit
from palio.ui.actor import InTx
from palio.ui.paging import Listed
from palio.ui.routes import Routes

routes = Routes("ledger")


@routes.get("/console/ledger/search", access=READ, example=HITS_EXAMPLE)
async def search_ledger(request: Request, tx: InTx, q: Looked) -> Listed[HitAnswer]:
    """Find what has this id, key, address or user name."""
    return Listed(tuple(map(HitAnswer.of, await looked_for(request, tx, q))), None, None)


async def looked_for(request: Request, tx: Tx, text: str) -> list[Hit]:
    """Whatever staff may have meant: the player whose name or id it is, too."""
    text = text.strip()
    if not text:
        return []
    found = await desk.search(tx, text=text)
    people = await people_of(request).find(tx, [text])
    names = await names_of(request, tx, people.values())
    return [*found, *(Hit("player", str(user_id), names.get(user_id, text)) for user_id in people.values())]
