"""Where competitions are shown: by a product that has pages for its own, else here."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import Request

from palio.competitions.types import Competition
from palio.infra.db import Tx
from palio.kernel.providers import OwnPage, ProductPages

TEN = 10


async def pages_of(request: Request, tx: Tx, competitions: Sequence[Competition]) -> dict[UUID, OwnPage]:
    """The page of each of them."""
    offered: tuple[ProductPages[Tx], ...] = request.app.state.product_pages
    found: dict[UUID, OwnPage] = {
        each.id: OwnPage(f"/competitions/{each.id}", each.id.int % TEN) for each in competitions
    }
    for product in offered:
        theirs = [each.id for each in competitions if each.product == product.product]
        found.update(await product.pages_many(tx, theirs) if theirs else {})
    return found


async def elsewhere(request: Request, tx: Tx, competition: Competition) -> str | None:
    """The page of a competition that its product shows; None for those that are shown here."""
    path = (await pages_of(request, tx, [competition]))[competition.id].path
    return None if path == f"/competitions/{competition.id}" else path
