"""Statements of the devices that people sign in on."""

from dataclasses import dataclass
from datetime import datetime

from palio.identity.types import Device, DeviceId, Platform, SessionId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


@dataclass(frozen=True, slots=True)
class Met:
    """A device a user signs in on."""

    id: DeviceId
    is_new: bool


async def find_device(tx: Tx, user_id: UserId | None, key_hash: bytes | None) -> DeviceId | None:
    """The device of this key, if the user has signed in on it."""
    found: DeviceId | None = await db.value(
        tx, "select id from identity.devices where user_id = %s and key_hash = %s", user_id, key_hash
    )
    return found


async def upsert_device(
    tx: Tx,
    device_id: DeviceId,
    user_id: UserId,
    *,
    key_hash: bytes,
    label: str,
    platform: Platform | None,
    now: datetime,
) -> Met:
    """The device of this key, made if it is new to the user."""
    found = await db.find(
        tx,
        Met,
        """insert into identity.devices (id, user_id, key_hash, label, platform, first_seen_at, last_seen_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (user_id, key_hash) do update set last_seen_at = excluded.last_seen_at, label = excluded.label,
          platform = coalesce(excluded.platform, devices.platform)
        returning id, xmax = 0 as is_new""",
        *(device_id, user_id, key_hash, label, platform, now, now),
    )
    assert found  # noqa: S101 - an upsert returns its row
    return found


async def has_devices(tx: Tx, user_id: UserId) -> bool:
    """Has the user signed in on any device that is not forgotten?"""
    return bool(await db.value(tx, "select exists (select from identity.devices where user_id = %s)", user_id))


async def list_devices(tx: Tx, user_id: UserId, *, current: SessionId | None, now: datetime) -> list[Device]:
    """The devices of a user with the number of open sessions on each, the last used first; at most 200."""
    return await db.rows(
        tx,
        Device,
        """select d.id, d.label, d.platform, d.first_seen_at, d.last_seen_at,
          case when d.mfa_trusted_until > %s then d.mfa_trusted_until end as mfa_trusted_until,
          count(s.id) as sessions, coalesce(bool_or(s.id = %s), false) as is_current
        from identity.devices d left join identity.sessions s on s.device_id = d.id and s.user_id = d.user_id
          and s.ended_at is null and s.idle_expires_at > %s and s.absolute_expires_at > %s
        where d.user_id = %s group by d.id order by d.last_seen_at desc, d.id limit 200""",
        *(now, current, now, now, user_id),
    )


async def is_trusted(tx: Tx, device_id: DeviceId, *, now: datetime) -> bool:
    """Does the device stand for the second factor of its user now?"""
    statement = "select mfa_trusted_until > %s from identity.devices where id = %s"
    return bool(await db.value(tx, statement, now, device_id))


async def update_trusted(tx: Tx, device_id: DeviceId, *, until: datetime) -> None:
    """Let a device stand for the second factor of its user."""
    await db.run(tx, "update identity.devices set mfa_trusted_until = %s where id = %s", until, device_id)


async def update_untrusted(tx: Tx, user_id: UserId) -> None:
    """Let no device of a user stand for his second factor any more."""
    await db.run(
        tx,
        "update identity.devices set mfa_trusted_until = null where user_id = %s and mfa_trusted_until is not null",
        user_id,
    )


async def delete_device(tx: Tx, user_id: UserId, device_id: DeviceId) -> bool:
    """Forget a device whose sessions have ended; False if the user has none of this id."""
    return bool(await db.run(tx, "delete from identity.devices where user_id = %s and id = %s", *(user_id, device_id)))
