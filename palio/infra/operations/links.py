"""One-time links to what came of an operation: for its owner, for five minutes, once. They live by real time."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.infra.operations.work import NotReady, Operation, get_mine
from palio.kernel.errors import Gone, NotFound
from palio.kernel.ids import UserId

SECRET_BYTES = 32
SECONDS = 300


async def make_link(tx: Tx, *, operation_id: UUID, owner: UserId, now: datetime) -> str:
    """What fetches the file of an operation once; `now` is real. Audited.

    Refuses with NoSuchOperation, NotReady, and with Gone where the file is past its time.
    """
    _require_file(await get_mine(tx, operation_id=operation_id, owner=owner))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    await db.run(
        tx,
        "insert into infra.operation_links (link_hash, operation_id, owner_id, expires_at) values (%s, %s, %s, %s)",
        *(_hash_of(secret), operation_id, owner, now + timedelta(seconds=SECONDS)),
    )
    await _record(tx, "export.link", operation_id)
    return secret


async def redeem(tx: Tx, *, secret: str, owner: UserId, now: datetime) -> Operation:
    """Use a link up, and answer whose file it leads to. Of many who use it at once one gets it. Audited.

    Refuses with NotFound where there is no such link of this owner, and with Gone where it was used or is too old.
    """
    found = await tx.execute(
        """update infra.operation_links set used_at = %s
        where link_hash = %s and owner_id = %s and used_at is null and expires_at > %s returning operation_id""",
        (now, _hash_of(secret), owner, now),
    )
    row = await found.fetchone()
    if row is None:
        known = await db.value(
            tx, "select true from infra.operation_links where link_hash = %s and owner_id = %s", _hash_of(secret), owner
        )
        raise Gone if known else NotFound
    operation = await get_mine(tx, operation_id=row[0], owner=owner)
    _require_file(operation)
    await _record(tx, "export.download", operation.id)
    return operation


def _require_file(operation: Operation) -> None:
    if operation.state != "done":
        raise NotReady(state=operation.state)
    if not operation.has_files:
        raise Gone


async def _record(tx: Tx, action: str, operation_id: UUID) -> None:
    await audit.record(tx, actor=tx.actor, action=action, entity_type="export", entity_id=str(operation_id), changes={})


def _hash_of(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
