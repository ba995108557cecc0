"""Whence entrants are: what the users behind them say of themselves, for the boards of a country.

A process remembers who is of the countries that are asked for, whatever list they stand on, and brings that up to date
from who has come and left since, as it does with rankings (`rankings`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from palio import identity
from palio.competitions import sql
from palio.competitions.ranks import Members, Part
from palio.competitions.service.rankings import Live
from palio.competitions.types import Country, EntrantId, ListId, Some
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

MOVED_MAX = 20_000  # of more who came and left than that everybody is read again
LISTED_MAX = 100_000
MEMBERS_MAX = 4_000_000  # 32 MB
MEMBERS_LEAST = 1_000  # so much an empty country counts, so that there are not many of them either


@dataclass(slots=True)
class _Known:
    members: Members
    horizon: int
    moment: int


@dataclass(slots=True)
class _Held:
    """A place in the memory of the process; one reader at a time brings it up to date, so that no old row wins."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: _Known | None = None

    @property
    def size(self) -> int:
        return max(MEMBERS_LEAST, len(self.known.members) if self.known else 0)


class Countries:
    """Those that a process remembers, the one read last at the end."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def of(self, country: str) -> _Held:
        """The place of a country, read last from now on."""
        held = self._held.setdefault(country, _Held())
        self._held.move_to_end(country)
        return held

    def shrink(self, members_max: int) -> None:
        """Leave those not read for longest until the rest is small enough; the one read last stays."""
        size = sum(held.size for held in self._held.values())
        while size > members_max and len(self._held) > 1:
            size -= self._held.popitem(last=False)[1].size


async def renew(tx: Tx, *, user_ids: Collection[UserId]) -> None:
    """Have the entrants of at most 10,000 users be where these say they live; of who says nothing, nothing is changed.

    Nor is it of those whom the caller may not see. Refuses with TooLarge.
    """
    if not user_ids:
        return
    countries = await identity.countries(tx, ids=user_ids)
    if countries:
        await sql.update_countries(tx, countries)


async def members(tx: Tx, *, country: str) -> Members:
    """Who is of a country, exactly as this transaction sees it."""
    countries = db.memory(tx, Countries)
    held = countries.of(country)
    async with held.turn:
        known = await _brought_up(tx, held, country)
    countries.shrink(MEMBERS_MAX)
    return known


async def _brought_up(tx: Tx, held: _Held, country: str) -> Members:
    """What nobody else may see yet is left nowhere."""
    if known := held.known:
        moved = await sql.get_moved(tx, country, known.horizon, MOVED_MAX)
        if not moved.is_private and len(moved.entrants) < MOVED_MAX:
            if moved.moment >= known.moment:  # who has looked later has seen all of this
                known.members.apply(moved.entrants, moved.is_here)
                known.horizon, known.moment = moved.horizon, moved.moment
            return known.members
    found = await sql.get_members(tx, country)
    everybody = await asyncio.to_thread(Members, found.entrants)
    if not found.is_private:
        held.known = _Known(everybody, found.horizon, found.moment)
    return everybody


async def listed(tx: Tx, *, list_id: ListId, some: Some) -> Sequence[EntrantId]:
    """Some of a list by their numbers; of a country at most 100,000."""
    return await sql.list_of_country(tx, list_id, some.code, LISTED_MAX) if isinstance(some, Country) else some


async def part_of(tx: Tx, *, live: Live, some: Some) -> Part:
    """Some of a live ranking in their order: those of a country out of memory, or the ones named."""
    if not isinstance(some, Country):
        return live.ranking.part(Members(some))
    found = await members(tx, country=some.code)
    if not live.ranking.knows(found, some.code):  # no reason for other requests to wait
        await asyncio.to_thread(live.ranking.learn, found, some.code)
    return live.ranking.part(found, some.code)
