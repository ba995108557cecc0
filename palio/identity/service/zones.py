"""Time zones of users: chosen once a week, in force from a midnight on, and asked for many at once."""

from collections.abc import Sequence
from datetime import datetime

from palio.identity import rules, sql
from palio.identity.messages import TimeZoneChanged
from palio.identity.service import accounts
from palio.identity.types import LocalDay, ZoneChange
from palio.infra import outbox
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import UserId

ASKED_AT_ONCE_MAX = 10_000


async def change_zone(tx: Tx, *, user_id: UserId, zone: str, now: datetime) -> ZoneChange:
    """Choose another time zone, and say from when on it counts. The same again changes nothing.

    Refuses with NoSuchUser, TimeZoneInvalid, TimeZoneChangeTooSoon.
    """
    rules.names.require_time_zone(zone)
    await sql.credentials.lock_user(tx, user_id)
    user = await accounts.get(tx, name_or_id=user_id)
    known = (await sql.zones.list_zones(tx, [user_id]))[0]
    if zone == user.time_zone:
        return ZoneChange(known.zones_from[-1] if known.zones_from else user.created_at, zone)
    asked_at = await sql.zones.find_asked_at(tx, user_id)
    rules.zones.require_change(asked_at, now)
    if not known.zones:
        began = user.created_at - rules.zones.CHANGE_EVERY  # the first one was never asked for
        await sql.zones.insert_change(tx, user_id, user.time_zone, valid_from=user.created_at, asked_at=began)
    begins = rules.zones.valid_from(now, user.time_zone, zone)
    await sql.zones.insert_change(tx, user_id, zone, valid_from=begins, asked_at=now)
    await sql.zones.update_zone(tx, user_id, zone)
    await outbox.send(tx, TimeZoneChanged(user_id, zone, begins))
    return ZoneChange(begins, zone)


async def zones_many(tx: Tx, asked: Sequence[tuple[UserId, datetime]]) -> list[LocalDay | None]:
    """The zone in force and the local date of each of at most 10,000 users at an instant each, in the order given.

    None for whom the caller does not see. Refuses with TooLarge.
    """
    if len(asked) > ASKED_AT_ONCE_MAX:
        raise TooLarge(limit=ASKED_AT_ONCE_MAX, given=len(asked))
    found = await sql.zones.list_zones(tx, list({user_id for user_id, _ in asked})) if asked else []
    known = {each.user_id: each for each in found}
    return [_day(known.get(user_id), at) for user_id, at in asked]


def _day(known: sql.zones.Zones | None, at: datetime) -> LocalDay | None:
    if known is None:
        return None
    changes = [ZoneChange(begins, zone) for zone, begins in zip(known.zones, known.zones_from, strict=True)]
    return LocalDay(
        rules.zones.zone_at(changes, known.time_zone, at), rules.zones.local_date(changes, known.time_zone, at)
    )
