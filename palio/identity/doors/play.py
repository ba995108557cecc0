"""The breaks a player takes from playing: rows that nobody writes himself, so that nobody shortens one."""

from datetime import datetime
from uuid import UUID

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.types import Exclusion, ExclusionLength
from palio.kernel.ids import UserId


async def take_break(house: House, *, user_id: UserId, length: ExclusionLength, now: datetime) -> Exclusion:
    """Stop playing for a while, as `service.play.take_break` does."""
    async with house.database.begin_system("a break from playing") as tx:
        return await service.play.take_break(tx, user_id=user_id, length=length, now=now)


async def ask_to_return(house: House, *, user_id: UserId, exclusion_id: UUID, now: datetime) -> Exclusion:
    """Ask for the way back, as `service.play.ask_to_return` does."""
    async with house.database.begin_system("the way back from a break") as tx:
        return await service.play.ask_to_return(tx, user_id=user_id, exclusion_id=exclusion_id, now=now)
