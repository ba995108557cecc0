"""What the lists of staff over the ledger share: places in the order of ids, and a note of many rows taken away."""

from uuid import UUID

from palio.infra import audit
from palio.infra.db import Tx
from palio.ledger.sql.desk import HoldRow
from palio.ledger.types import Adjustment, KeptFinding
from palio.ui.actor import Asking
from palio.ui.paging import Key, Paging

EXPORT_ROWS_NOTED = 1_000


async def note_export(tx: Tx, ask: Asking, page: Paging, what: str, rows: int) -> None:
    """Write down that somebody took many rows away."""
    if page.limit > EXPORT_ROWS_NOTED and rows > EXPORT_ROWS_NOTED:
        changes = {"rows": (None, rows)}
        await audit.record(
            tx, actor=ask.actor, action="ledger.export", entity_type="ledger", entity_id=what, changes=changes
        )


def ids_beside(page: Paging) -> tuple[UUID | None, UUID | None]:
    """The ids beside a page of a list in the order of ids: what is in it is older than one, or newer than the other."""
    behind, in_front = page.sides
    return UUID(str(behind[0])) if behind else None, UUID(str(in_front[0])) if in_front else None


def id_of(row: Adjustment | HoldRow | KeptFinding) -> Key:
    """Where a row stands in a list that is in the order of its ids."""
    return (str(row.id),)
