"""Marks: each row of an export with personal columns says, to us alone, in which export it left the house."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import KeyringError
from palio.kernel.ids import UserId
from palio.kernel.providers import ExportKey

COLUMN = "export_ref"
PURPOSE = "exports"
READY = "export.ready"  # the act by which an export is known for ever
MARK_BYTES = 10
SEARCHED_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a marked row comes from: the export, when it was made, by whom (None: at the terminal), and why."""

    export: UUID
    at: datetime
    maker: UserId | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Made:
    entity_id: str
    at: datetime
    actor_id: UserId | None
    reason: str


def key_of(tx: Tx) -> bytes:
    """What marks are made with. Raises KeyringError where there are no keys."""
    if tx.equipment.keyring is None:
        raise KeyringError("exports with personal columns are marked, which takes a keyring")
    return tx.equipment.keyring.key_for(PURPOSE)


def mark_of(key: bytes, export: UUID, row: ExportKey) -> str:
    """The mark of a row: nobody without the key can make one, or tell whose it is."""
    said = f"{export}|" + "|".join(map(str, row))
    return hmac.digest(key, said.encode(), "sha256")[:MARK_BYTES].hex()


async def whose(tx: Tx, *, mark: str, row: ExportKey) -> Mark | None:
    """Out of which export a row with this mark comes, as the audit tells; None if it is none of ours.

    The latest 50,000 exports are compared.
    """
    key = key_of(tx)
    made = await db.rows(
        tx,
        _Made,
        "select entity_id, at, actor_id, reason from infra.audit_rows where action = %s order by at desc limit %s",
        *(READY, SEARCHED_MAX),
    )
    found = (one for one in made if hmac.compare_digest(mark_of(key, UUID(one.entity_id), row), mark))
    return next((Mark(UUID(one.entity_id), one.at, one.actor_id, one.reason) for one in found), None)
