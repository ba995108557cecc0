"""What opens an account from outside is taken away by its owner: rows that nobody writes himself."""

from datetime import datetime
from uuid import UUID

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.errors import NoSuchIdentity
from palio.kernel.ids import UserId


async def unlink(house: House, *, user_id: UserId, identity_id: UUID, now: datetime) -> None:
    """Take away a way in, but for the last one. Refuses with NoSuchIdentity, LastLoginMethod."""
    async with house.database.begin_system("a way in") as tx:
        await service.identities.unlink(tx, user_id=user_id, identity_id=identity_id, opened=house.opened(), now=now)


async def unlink_telegram(house: House, *, user_id: UserId, now: datetime) -> None:
    """Take the Telegram account away. Refuses with NoSuchIdentity, LastLoginMethod."""
    async with house.database.begin_system("a way in") as tx:
        linked = await service.identities.identities_of(tx, user_id=user_id)
        found = next((one for one in linked if one.provider == "telegram"), None)
        if found is None:
            raise NoSuchIdentity
        await service.identities.unlink(tx, user_id=user_id, identity_id=found.id, opened=house.opened(), now=now)
