"""Machines that hear of events: endpoints, the receiver of the simulated world, and events to be told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from palio.infra import webhooks
from palio.infra.db import Database, Tx
from palio.infra.keyring import Keyring
from palio.infra.messages import Told
from palio.kernel.ids import new_id

KEYS = Keyring({1: bytes(range(32))}, {1: bytes(32)})
KNOWN = ("race.completed", "race.leader_changed", "reward.paid")
REASON = "for a test"


def equip(database: Database, **more: object) -> Database:
    """Give a database keys, and have its machines inside called as if they were outside."""
    database.equipment = replace(database.equipment, keyring=KEYS, is_simulated=True, **more)  # type: ignore[arg-type]
    return database


async def endpoint(
    tx: Tx, url: str, *, types: Sequence[str] = ("race.*",), per_second: int = 100, now: datetime
) -> tuple[UUID, str]:
    """Somebody who hears of these types; his id and his secret."""
    wish = webhooks.Wish(url, types, per_second=per_second)
    return await webhooks.create(tx, wish=wish, known=KNOWN, reason=REASON, now=now)


def events(count: int, *, now: datetime, kind: str = "race.completed") -> list[Told]:
    """So many events of a type."""
    ids = [new_id() for _ in range(count)]
    return [Told(one, kind, now, {"event_id": str(one), "race": str(one), "period_key": None}) for one in ids]
