"""What sealing needs in a test: keys, a place for anchors, and rows that are final."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from palio.infra import audit, db, seals
from palio.infra.anchors import Anchors
from palio.infra.db import Database, Equipment
from palio.infra.keyring import Keyring
from palio.infra.seals import Chain, Checked, Seal
from palio.kernel.ids import Actor, RequestId, new_id

SYSTEM = Actor("system", None, RequestId(new_id()))
RING = Keyring({1: bytes(range(32))}, {1: bytes(range(32, 64))}, {1: bytes(range(64, 96))})


def equipment(folder: Path | None = None, **more: object) -> Equipment:
    """What a process has that seals."""
    return replace(Equipment(keyring=RING, anchors=Anchors(folder) if folder else None), **more)  # type: ignore[arg-type]


async def act(database: Database, entity: str, changes: Mapping[str, tuple[object, object]] | None = None) -> None:
    """Leave an audit row, in a transaction of its own."""
    async with database.begin(SYSTEM) as tx:
        await audit.record(
            tx, actor=SYSTEM, action="door.try", entity_type="door", entity_id=entity, changes=changes or {}
        )


async def settle(database: Database) -> None:
    """Wait until everything that was committed may be sealed: other tests have transactions on the same server."""
    async with database.begin(SYSTEM) as tx:
        newest = await db.value(tx, "select infra.tx_id()")
    is_over = False
    while not is_over:
        async with database.begin(SYSTEM) as tx:
            is_over = await db.value(tx, "select infra.tx_horizon() > %s::bigint", newest)


async def seal(database: Database, chain: Chain, now: datetime, **more: int) -> Seal | None:
    """Seal what was committed before."""
    await settle(database)
    async with database.begin(SYSTEM) as tx:
        return await seals.seal(tx, chain=chain, now=now, **more)


async def check(database: Database, chain: Chain, **more: datetime) -> Checked:
    """What a check of the chain sees."""
    async with database.begin(SYSTEM) as tx:
        return await seals.check(tx, chain=chain, **more)
