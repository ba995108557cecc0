"""Codes of requests in names of players, as snapshots show them."""

from palio.affiliates import rules, sql
from palio.affiliates.messages import ApproveByCode
from palio.affiliates.types import AUTO_APPROVE_CODE, Snapshot
from palio.infra import outbox, settings
from palio.infra.db import Tx


async def note_codes(tx: Tx, *, snapshot: Snapshot) -> None:
    """Note whose player shows the code of a request in his name; if the house says so, that is proof enough."""
    seen = await sql.update_code_seen(tx, snapshot, snapshot.fetched_at - rules.CODE_SEEN_WITHIN)
    if not seen:
        return
    is_enough = await settings.exact(tx, AUTO_APPROVE_CODE)
    if is_enough:
        for request_id in seen:
            await outbox.send(tx, ApproveByCode(request_id), key=str(request_id))
