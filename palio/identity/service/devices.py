"""The devices that people sign in on, by a cookie or a header: known ones are throttled apart, and may be trusted."""

from datetime import datetime, timedelta

from palio.identity import sql
from palio.identity.errors import NoSuchDevice
from palio.identity.service import sessions
from palio.identity.types import MFA_TRUST_DAYS, Account, Device, DeviceId, SessionId, SessionKind
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def devices_of(tx: Tx, *, user_id: UserId, current: SessionId | None, now: datetime) -> list[Device]:
    """The devices of a user, the last used first; at most 200."""
    return await sql.devices.list_devices(tx, user_id, current=current, now=now)


async def forget(tx: Tx, *, user_id: UserId, device_id: DeviceId, now: datetime) -> None:
    """Forget a device: the sessions on it end, and whoever comes on it again comes on a new one.

    Refuses with NoSuchDevice.
    """
    await sessions.end_sessions(tx, user_id=user_id, device_id=device_id, reason="revoked_by_user", now=now)
    if not await sql.devices.delete_device(tx, user_id, device_id):
        raise NoSuchDevice(device_id=device_id)


async def trust(tx: Tx, *, device_id: DeviceId, now: datetime) -> None:
    """Let a device on which a second factor was just shown stand for it a while, as long as the house allows."""
    if days := settings.value(MFA_TRUST_DAYS):
        await sql.devices.update_trusted(tx, device_id, until=now + timedelta(days=days))


async def stands_for_factor(
    tx: Tx, *, account: Account, device_id: DeviceId | None, kind: SessionKind, now: datetime
) -> bool:
    """Does the device on which somebody shows his password stand for his second factor? Never for staff."""
    if device_id is None or kind == "console" or account.is_staff or not settings.value(MFA_TRUST_DAYS):
        return False
    return await sql.devices.is_trusted(tx, device_id, now=now)
