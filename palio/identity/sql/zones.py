"""Statements of time zones and their changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


@dataclass(frozen=True, slots=True)
class Zones:
    """The chosen zone of a user, and every one that he had with its beginning, in order."""

    user_id: UserId
    time_zone: str
    zones: list[str]
    zones_from: list[datetime]


async def list_zones(tx: Tx, user_ids: Sequence[UserId]) -> list[Zones]:
    """The zones of these users, of those that the caller sees."""
    return await db.rows(
        tx,
        Zones,
        """select u.id as user_id, u.time_zone,
          coalesce(array_agg(z.zone order by z.valid_from) filter (where z.zone is not null), '{}') as zones,
          coalesce(array_agg(z.valid_from order by z.valid_from) filter (where z.zone is not null), '{}') as zones_from
        from identity.users u left join identity.time_zone_changes z on z.user_id = u.id
        where u.id = any (%s::uuid[]) group by u.id""",
        list(user_ids),
    )


async def find_asked_at(tx: Tx, user_id: UserId) -> datetime | None:
    """When a user chose another zone last, or None."""
    found: datetime | None = await db.value(
        tx, "select max(asked_at) from identity.time_zone_changes where user_id = %s", user_id
    )
    return found


async def insert_change(tx: Tx, user_id: UserId, zone: str, *, valid_from: datetime, asked_at: datetime) -> None:
    """Store from when on a zone counts."""
    await db.run(
        tx,
        """insert into identity.time_zone_changes (user_id, valid_from, zone, asked_at) values (%s, %s, %s, %s)
        on conflict do nothing""",
        *(user_id, valid_from, zone, asked_at),
    )


async def update_zone(tx: Tx, user_id: UserId, zone: str) -> None:
    """Write down which zone a user has chosen."""
    await db.run(tx, "update identity.users set time_zone = %s where id = %s", *(zone, user_id))
