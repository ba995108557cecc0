"""Somebody's addresses, his name and his time zone: rows that nobody writes himself, written by the house."""

from datetime import datetime

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.types import EmailId, User, ZoneChange
from palio.kernel.ids import UserId


async def add_email(house: House, *, user_id: UserId, text: str, now: datetime) -> EmailId:
    """Add an address to somebody's. Refuses as `service.contacts.add_email` does."""
    async with house.database.begin_system("an address") as tx:
        return await service.contacts.add_email(tx, user_id=user_id, text=text, now=now)


async def send_email_again(house: House, *, user_id: UserId, email_id: EmailId) -> None:
    """Send the link to one of somebody's addresses once more. Refuses with NoSuchEmail."""
    async with house.database.begin_system("an address") as tx:
        await service.contacts.send_again(tx, user_id=user_id, email_id=email_id)


async def confirm_email(house: House, *, user_id: UserId, secret: str, now: datetime) -> None:
    """Prove an address that somebody has added. Refuses with TokenInvalid."""
    async with house.database.begin_system("an address") as tx:
        await service.contacts.verify_email(tx, user_id=user_id, secret=secret, now=now)


async def make_email_primary(house: House, *, user_id: UserId, email_id: EmailId) -> None:
    """Write to this address of somebody from now on. Refuses with NoSuchEmail, EmailUnverified."""
    async with house.database.begin_system("an address") as tx:
        await service.contacts.make_primary(tx, user_id=user_id, email_id=email_id)


async def remove_email(house: House, *, user_id: UserId, email_id: EmailId, now: datetime) -> None:
    """Remove an address of somebody. Refuses with NoSuchEmail, EmailIsPrimary, LastLoginMethod."""
    async with house.database.begin_system("an address") as tx:
        await service.contacts.remove_email(tx, user_id=user_id, email_id=email_id, opened=house.opened(), now=now)


async def rename(house: House, *, user_id: UserId, username: str, now: datetime) -> User:
    """Give somebody another user name. Refuses as `service.accounts.rename` does."""
    async with house.database.begin_system("a name") as tx:
        return await service.accounts.rename(tx, user_id=user_id, username=username, now=now)


async def change_zone(house: House, *, user_id: UserId, zone: str, now: datetime) -> ZoneChange:
    """Choose another time zone for somebody. Refuses with TimeZoneInvalid, TimeZoneChangeTooSoon."""
    async with house.database.begin_system("a time zone") as tx:
        return await service.zones.change_zone(tx, user_id=user_id, zone=zone, now=now)
