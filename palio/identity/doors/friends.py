"""What two people do with each other: the row of each is written by the house, for the one the edge has checked."""

from datetime import datetime

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.types import FriendAct, FriendState
from palio.kernel.ids import UserId


async def befriend(
    house: House, *, user_id: UserId, friend_id: UserId, what: FriendAct, now: datetime
) -> FriendState | None:
    """Ask, accept, part from or block somebody, as `service.friends.act` does."""
    async with house.database.begin_system("friends") as tx:
        return await service.friends.act(tx, user_id=user_id, friend_id=friend_id, what=what, now=now)
