"""People: found by name, and shown with what modules know of them."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import HTMLResponse

from palio import identity
from palio.admin import schemas, service
from palio.admin.schemas import desk_of
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

HERE = "/console/people"
routes = Routes("admin")


@routes.page(HERE, access="admin.card.read")
async def people_page(
    request: Request, ask: Ask, tx: InTx, q: Annotated[str, Query(max_length=64)] = ""
) -> HTMLResponse:
    """Find somebody."""
    found = await service.find_people(tx, text=q)
    return await console.render(request, ask, tx, "admin/people.html", {"found": found, "q": q}, present=HERE)


@routes.page(HERE + "/{user_id:uuid}", access="admin.card.read")
async def person_page(request: Request, ask: Ask, tx: InTx, user_id: UUID) -> HTMLResponse:
    """Somebody, as each module knows him. Refuses with identity.NoSuchUser."""
    card = await service.card(tx, desk=desk_of(request), held=ask.permissions, user_id=user_id, now=ask.now)
    return await console.render(request, ask, tx, "admin/person.html", {"card": card}, present=HERE)


@routes.get(
    "/console/users/{user_id:uuid}/card",
    access="admin.card.read",
    example=schemas.CARD,
    refuses=[identity.NoSuchUser],
)
async def get_card(request: Request, ask: Ask, tx: InTx, user_id: UUID) -> schemas.CardAnswer:
    """Read what modules know of somebody, as far as you may; a panel that could not be read is null."""
    card = await service.card(tx, desk=desk_of(request), held=ask.permissions, user_id=user_id, now=ask.now)
    return schemas.CardAnswer.of(card)
