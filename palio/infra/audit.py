"""Who did what: a row in the same transaction as the change."""

from collections.abc import Mapping

from palio.infra.db import Tx
from palio.kernel.ids import Actor


async def record(
    tx: Tx,
    *,
    actor: Actor,
    action: str,
    entity_type: str,
    entity_id: str,
    changes: Mapping[str, tuple[object, object]],
    reason: str = "",
) -> None:
    """Write the audit row of an act: `noun.verb`, what it touched, each field before and after (no floats), and why."""
