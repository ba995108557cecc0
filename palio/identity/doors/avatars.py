"""Pictures of players as files: no transaction is open while one is drawn, stored or read."""

import asyncio
from datetime import datetime

from palio.identity import rules, service
from palio.identity.doors.house import House
from palio.infra import files
from palio.kernel.ids import UserId


async def put_avatar(house: House, *, user_id: UserId, content: bytes, now: datetime) -> str:
    """Show a picture of somebody, drawn anew; answers its key. What is sent counts, whatever becomes of it.

    Refuses with NoSuchUser, and with files.SentEnough, files.NotAPicture, files.PictureTooLarge.
    """
    async with house.database.begin_system("a file is sent") as tx:
        await service.uploads.take(tx, user_id=user_id, sent=len(content), now=now)
    picture = await asyncio.to_thread(files.redraw_face, content)
    async with house.database.begin_system("a picture is announced") as tx:
        key = await service.avatars.announce(tx, user_id=user_id, now=now)
    await files.storage_of(house.database).put(rules.names.file_of_avatar(key), picture.content)
    async with house.database.begin_system("a picture is shown") as tx:
        await service.avatars.show(tx, user_id=user_id, key=key, now=now)
    return key


async def remove_avatar(house: House, *, user_id: UserId, now: datetime) -> bool:
    """Show no picture of somebody any more; False where there was none."""
    async with house.database.begin_system("a picture is removed") as tx:
        return await service.avatars.remove(tx, user_id=user_id, now=now)


async def read_avatar(house: House, *, key: str) -> bytes:
    """The picture, WebP, while it is shown of somebody. Refuses with NoSuchAvatar."""
    async with house.database.begin_system("a picture is looked at") as tx:
        await service.avatars.require_shown(tx, key=key)
    return await files.storage_of(house.database).get(rules.names.file_of_avatar(key))
