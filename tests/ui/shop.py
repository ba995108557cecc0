"""A module of a few calls, to ask the edge about."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, StrictInt

from palio.kernel.errors import Conflict, Unavailable
from palio.ui.routes import Routes
from palio.ui.values import Whole

ID = "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"


class SoldOut(Conflict):
    """Of `item` there are only `left` left; `Retry-After` is no help."""

    code = "store.sold_out"


class Order(BaseModel):
    """What a call that changes something takes."""

    model_config = ConfigDict(extra="forbid")
    amount: StrictInt
    note: str = ""
    at: AwareDatetime | None = None


shop = Routes("store")


@shop.get("/items", access="public", example={"limit": 5}, refuses=[SoldOut])
async def list_items(limit: Annotated[Whole, Query(ge=1, le=200)] = 50) -> dict[str, int]:
    """List items."""
    return {"limit": limit}


@shop.get("/sold", access="public", example={}, refuses=[SoldOut])
async def get_sold() -> dict[str, int]:
    """Refuse."""
    raise SoldOut(item="bottle", left=2, item_id=UUID(ID), until=datetime(2026, 3, 18, tzinfo=UTC), sizes=("s", "m"))


@shop.get("/busy", access="public", example={})
async def get_busy() -> dict[str, int]:
    """Refuse for the moment."""
    raise Unavailable(retry_after_s=7)


@shop.post("/orders", access="public", example={"amount": 5})
async def place_order(order: Order) -> dict[str, int]:
    """Place an order."""
    return {"amount": order.amount}
