"""Live rankings as this process holds them: loaded once, then brought up to date by whoever reads.

A read asks which scores have changed since the snapshot it remembers and applies those, so that every answer is that of
the database at that moment; when nothing has changed it costs one look into an index. Payments never use it: the freeze
sorts the table.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from palio.competitions import sql
from palio.competitions.ranks import Ranking
from palio.competitions.rules import prizes
from palio.competitions.types import RANK_MEMORY_MB, Changed, Competition, ListId
from palio.infra import db, settings
from palio.infra.db import Tx

CHANGED_MAX = 20_000  # of more changes than that everybody is read again
BYTES_PER_ENTRANT = 40

Terms: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Provisional:
    """What places would be paid if it ended now, in units of the asset, and what nobody would win."""

    amounts: Mapping[int, int]
    undistributed: int


@dataclass(slots=True)
class Live:
    """The ranking of a list as of the transaction that asked for it."""

    ranking: Ranking
    terms: Terms
    horizon: int
    version: int
    provisional: Provisional | None = None

    def prizes(self, competition: Competition) -> Provisional:
        """What would be paid if it ended now; worked out once for each state of the ranking."""
        if self.provisional is None:
            rule = prizes.read(competition.prize_rule)
            first = self.ranking.page(0, min(prizes.places_of(rule) or self.ranking.qualified, self.ranking.qualified))
            shares = prizes.provisional(
                rule,
                pool=competition.guaranteed_pool,
                groups=[place.ties for place in first if place.place == place.rank],
                qualified=self.ranking.qualified,
                empty_rule=competition.empty_rule,
            )
            amounts = {share.place: share.amount for share in shares}
            self.provisional = Provisional(amounts, competition.guaranteed_pool - sum(amounts.values()))
        return self.provisional


@dataclass(slots=True)
class _Held:
    """A place in the memory of the process; one reader at a time brings it up to date, so that no old row wins."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    live: Live | None = None


class Rankings:
    """The lists that a process remembers, those read last at the end."""

    def __init__(self) -> None:
        self._held: OrderedDict[ListId, _Held] = OrderedDict()

    def of(self, list_id: ListId) -> _Held:
        """The place of a list, read last from now on."""
        held = self._held.setdefault(list_id, _Held())
        self._held.move_to_end(list_id)
        return held

    def forget(self, list_id: ListId) -> None:
        """Leave a list that does not change any more."""
        self._held.pop(list_id, None)

    def shrink(self, entrants_max: int) -> None:
        """Leave the lists not read for longest until the rest is small enough; the one read last stays."""
        sizes = {list_id: len(held.live.ranking) if held.live else 0 for list_id, held in self._held.items()}
        while sum(sizes.values()) > entrants_max and len(sizes) > 1:
            list_id = next(iter(sizes))
            del sizes[list_id], self._held[list_id]


async def live(tx: Tx, *, competition: Competition) -> Live:
    """The ranking of a competition that is not frozen, exactly as this transaction sees it.

    A transaction that has written reads everybody for itself, so that nothing uncommitted is remembered.
    """
    rankings = db.memory(tx, Rankings)
    held = rankings.of(competition.list_id)
    async with held.turn:
        known = held.live if held.live and held.live.terms == _terms(competition) else None
        found = await _read(tx, competition, known)
        if found.is_private:
            return await _loaded(competition, await sql.get_ranked(tx, competition.list_id) if known else found)
        if known and len(found.entrants) < CHANGED_MAX:
            return _renewed(known, found)
        everybody = await sql.get_ranked(tx, competition.list_id) if known else found
        held.live = await _loaded(competition, everybody)
    rankings.shrink((settings.value(RANK_MEMORY_MB) << 20) // BYTES_PER_ENTRANT)
    return held.live


def forget(tx: Tx, *, competition: Competition) -> None:
    """Free the memory of a competition that is frozen."""
    db.memory(tx, Rankings).forget(competition.list_id)


async def _read(tx: Tx, competition: Competition, known: Live | None) -> Changed:
    if known is None:
        return await sql.get_ranked(tx, competition.list_id)
    return await sql.get_changed(tx, competition.list_id, known.horizon, CHANGED_MAX)


async def _loaded(competition: Competition, found: Changed) -> Live:
    """A ranking of everybody. The sorting of many is no reason for other requests to wait."""
    ranking = await asyncio.to_thread(
        Ranking.load,
        *(found.entrants, found.scores, found.reached_at_us, found.subscores),
        least=competition.least_score,
        direction=competition.direction,
        ties=competition.tie_rule,
    )
    return Live(ranking, _terms(competition), found.horizon, found.version)


def _renewed(known: Live, found: Changed) -> Live:
    if found.entrants:
        columns = (found.entrants, found.scores, found.reached_at_us, found.subscores)
        known.ranking.apply(*columns, [is_ranked == 1 for is_ranked in found.is_ranked])
        known.version, known.provisional = found.version, None
    known.horizon = found.horizon
    return known


def _terms(competition: Competition) -> Terms:
    of_ranking = competition.least_score, competition.direction, competition.tie_rule
    return *of_ranking, competition.guaranteed_pool, competition.prize_rule
