"""Calls of staff over holds."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.console.calls.lists import id_of, ids_beside, note_export
from palio.ledger.console.calls.rights import FREEZE, OF_ACTS, READ
from palio.ledger.console.schemas.asked import OfOwner, ReasonBody
from palio.ledger.console.schemas.holds import (
    HOLD_EXAMPLE,
    STAFF_HOLDS_EXAMPLE,
    StaffHoldAnswer,
)
from palio.ledger.errors import HoldNotOpen, NoSuchHold
from palio.ledger.service import desk
from palio.ledger.sql.desk import HoldRow
from palio.ledger.types import HoldState
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, PagedById, Paging, Part
from palio.ui.ranges import of_words
from palio.ui.routes import Routes

routes = Routes("ledger")


States: TypeAlias = Annotated[list[HoldState], Depends(of_words("state", get_args(HoldState)))]


async def holds_part(tx: Tx, page: Paging, states: Sequence[HoldState], owner: UUID | None) -> Part[HoldRow]:
    """A page of holds."""
    older_than, newer_than = ids_beside(page)
    found = await desk.list_holds(
        tx,
        limit=page.limit + 1,
        states=states,
        owner=UserId(owner) if owner else None,
        older_than=older_than,
        newer_than=newer_than,
    )
    return page.part(found, id_of)


@routes.get("/console/ledger/holds", access=READ, example=STAFF_HOLDS_EXAMPLE)
async def list_staff_holds(
    ask: Ask, tx: InTx, page: PagedById, states: States, owner: OfOwner = None
) -> Listed[StaffHoldAnswer]:
    """List holds, the newest first."""
    part = await holds_part(tx, page, states, owner)
    await note_export(tx, ask, page, "holds", len(part.rows))
    return Listed(tuple(map(StaffHoldAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/holds/{hold_id:uuid}/void",
    access=FREEZE,
    example=HOLD_EXAMPLE,
    refuses=[NoSuchHold, HoldNotOpen, *OF_ACTS],
    step_up=True,
)
async def void_hold(hold_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> StaffHoldAnswer:
    """Let a hold go: what remains of it may be spent again."""
    return StaffHoldAnswer.of(
        await desk.void_by_staff(tx, hold_id=hold_id, reason=body.reason, actor_id=ask.actor.user_id, now=ask.now)
    )
