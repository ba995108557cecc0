"""Live rankings as this process holds them: loaded once, then brought up to date by whoever reads.

A process that answers people loads them apart (`Rankings.apart`): who comes meanwhile waits a second, and is then told
that it is warming up. The processes of a host load a long one once between them: see `bases`.

A read asks which scores have changed since the snapshot it remembers and applies those, so that every answer is that of
the database at that moment; when nothing has changed it costs one look into an index. Payments never use it: the freeze
sorts the table.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from time import monotonic
from typing import NamedTuple, TypeAlias

import structlog

from palio.competitions import sql
from palio.competitions.errors import Warming
from palio.competitions.ranks import Ranking
from palio.competitions.rules import prizes
from palio.competitions.service import bases
from palio.competitions.service.bases import SharedBase
from palio.competitions.types import RANK_MEMORY_MB, Changed, Competition, EntrantId, ListId, RankTerms
from palio.infra import db, settings
from palio.infra.db import Tx
from palio.kernel import clock

CHANGED_MAX = 20_000  # of more changes than that everybody is read again
CHANGED_PART = 50  # or this part of them, where that is more
LOOK_EVERY_S = 1  # who rests on a base of his own looks whether there is a shared one
BYTES_PER_ENTRANT = 48  # 32, 8 where there are subscores, and 8 where those of countries are looked for
PATIENCE_S = 1.0
CHECK_EVERY_S = 600
CHECKED_MAX = 100
COMPARED_MAX = 20_000_000  # keys: a list of ten million compares two entrants with everybody
SHOWN_MAX = 10

Chance: TypeAlias = Callable[[int], int]  # a whole number below another

log = structlog.get_logger()
_stamps = count()


@dataclass(frozen=True, slots=True)
class Provisional:
    """What places would be paid if it ended now, in units of the asset, and what nobody would win."""

    amounts: Mapping[int, int]
    undistributed: int
    promised: tuple[object, ...] = ()


@dataclass(slots=True)
class Live:
    """The ranking of a list as of the transaction that asked for it; who reads it later finds what others have seen.

    `as_of` is when the last of them looked. `stamp` is another one after each change: in this process, the same stamp
    means the same places. A version does not, because a transaction that began earlier may commit later.
    `generation` is that of the `shared` base on which it rests, 0 if it has one of its own.
    """

    ranking: Ranking
    terms: RankTerms
    horizon: int
    moment: int
    version: int
    as_of: datetime
    provisional: Provisional | None = None
    stamp: int = field(default_factory=_stamps.__next__)
    shared: SharedBase | None = None
    generation: int = 0

    @property
    def changed_max(self) -> int:
        """Of how many changes on everybody is rather read again."""
        return max(CHANGED_MAX, len(self.ranking) // CHANGED_PART)

    def prizes(self, competition: Competition) -> Provisional:
        """What would be paid if it ended now; worked out once for each state of the ranking and of the prizes."""
        promised = competition.guaranteed_pool, competition.prize_rule, competition.empty_rule
        if self.provisional is None or self.provisional.promised != promised:
            rule = prizes.read(competition.prize_rule)
            first = self.ranking.page(0, min(prizes.places_of(rule) or self.ranking.qualified, self.ranking.qualified))
            shares = prizes.provisional(
                rule,
                pool=competition.guaranteed_pool,
                groups=[place.ties for place in first if place.place == place.rank],
                qualified=self.ranking.qualified,
                empty_rule=competition.empty_rule,
                scores=[place.score for place in first],
            )
            amounts = {share.place: share.amount for share in shares}
            left = competition.guaranteed_pool - sum(amounts.values())
            self.provisional = Provisional(amounts, left, promised)
        return self.provisional


class Glance(NamedTuple):
    """What a look has found on lists, each since a horizon."""

    since: Mapping[ListId, int]
    changed: Mapping[ListId, Changed]
    as_of: datetime


@dataclass(slots=True)
class _Held:
    """A place in the memory of the process; one reader at a time brings it up to date, so that no old row wins."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    live: Live | None = None
    checked_at: float = field(default_factory=monotonic)
    looked_at: float = field(default_factory=monotonic)

    def wants_base(self) -> bool:
        """Is it time to look for a shared base that is better than what is here?"""
        if self.live is None or len(self.live.ranking) < bases.SHARED_MIN:
            return self.live is None
        is_good = self.live.generation and not self.live.ranking.is_due
        if is_good or monotonic() - self.looked_at < LOOK_EVERY_S:
            return False
        self.looked_at = monotonic()
        return True


class Rankings:
    """The lists that a process remembers, those read last at the end."""

    def __init__(self) -> None:
        self._held: OrderedDict[ListId, _Held] = OrderedDict()
        self.apart: Callable[[RankTerms], asyncio.Future[None]] | None = None
        self.look_after: Callable[[RankTerms], object] = _nothing
        self.patience_s = PATIENCE_S

    def of(self, list_id: ListId) -> _Held:
        """The place of a list, read last from now on."""
        held = self._held.setdefault(list_id, _Held())
        self._held.move_to_end(list_id)
        return held

    def knows(self, terms: RankTerms) -> bool:
        """Whether a list is here, ranked like that."""
        held = self._held.get(terms.list_id)
        return held is not None and held.live is not None and held.live.terms == terms

    def since(self, asked: Iterable[RankTerms]) -> dict[ListId, int]:
        """From which transaction on those of these lists are to be looked at that are here, ranked like that."""
        return {terms.list_id: self._held[terms.list_id].live.horizon for terms in asked if self.knows(terms)}  # type: ignore[union-attr]  # it is known

    async def after(
        self, glance: Glance, asked: Mapping[RankTerms, Sequence[EntrantId]]
    ) -> dict[ListId, Mapping[int, int]]:
        """The shown ranks of those who have one after a look at their lists, as of then or later.

        Lists that want another look are left out.
        """
        found: dict[ListId, Mapping[int, int]] = {}
        for terms in asked:
            held, changed = self.of(terms.list_id), glance.changed.get(terms.list_id)
            if changed is None or changed.is_private or len(changed.entrants) >= CHANGED_MAX:
                continue
            async with held.turn:
                known = held.live
                if known and known.terms == terms and glance.since[terms.list_id] <= known.horizon:
                    _look_after(self, held, terms)
                    _renewed(known, changed, glance.as_of)
                    await _settle(known)  # others go on meanwhile, and who reads this one waits for his turn
                    found[terms.list_id] = known.ranking.ranks_of(asked[terms])
        return found

    def forget(self, list_id: ListId) -> None:
        """Leave a list that does not change any more."""
        self._held.pop(list_id, None)

    def shrink(self, entrants_max: int) -> None:
        """Leave the lists not read for longest until the rest is small enough; the one read last stays."""
        sizes = {list_id: len(held.live.ranking) if held.live else 0 for list_id, held in self._held.items()}
        while sum(sizes.values()) > entrants_max and len(sizes) > 1:
            list_id = next(iter(sizes))
            del sizes[list_id], self._held[list_id]


async def live(tx: Tx, *, terms: RankTerms) -> Live:
    """The ranking of a list that is not final, exactly as this transaction sees it.

    A transaction that has written reads for itself: others may wait for what it holds, and a settlement does not stop
    because a process is warming up. Refuses everybody else with Warming while a long list is loaded apart.
    """
    rankings = db.memory(tx, Rankings)
    if rankings.apart and not rankings.knows(terms) and not await sql.has_written(tx):
        await _wait_for(rankings.apart(terms), rankings.patience_s)
    return await load(tx, terms=terms)


async def load(tx: Tx, *, terms: RankTerms, patience_s: float = 0) -> Live:
    """The same for whoever has the time to load it himself, and to wait so long for another process that does."""
    rankings = db.memory(tx, Rankings)
    held = rankings.of(terms.list_id)
    async with held.turn:
        known = held.live if held.live and held.live.terms == terms else None
        shared = await bases.find(tx, terms=terms) if known is None or held.wants_base() else None
        async with _turn(shared, 0 if known else patience_s) as is_ours:
            if known:
                _look_after(rankings, held, terms)
            found = await _brought_up(tx, held, terms, await _taken_over(shared, terms, known) or known)
            if shared and is_ours and found is held.live and (found.ranking.is_due or not found.generation):
                await _lay(found, shared)
        if found is held.live:  # others go on meanwhile, and who reads this one waits for his turn
            await _settle(found)
    if found is not known:
        rankings.shrink((settings.value(RANK_MEMORY_MB) << 20) // BYTES_PER_ENTRANT)
    return found


async def ranks_many(tx: Tx, *, asked: Mapping[RankTerms, Sequence[EntrantId]]) -> dict[ListId, Mapping[int, int]]:
    """The shown ranks of those who have one, by list; of a list that is being loaded none.

    Lists that are known are looked at in one statement, and so at one moment.
    """
    rankings, as_of = db.memory(tx, Rankings), clock.now()
    since = rankings.since(asked)
    changed = await sql.get_changed_many(tx, since, CHANGED_MAX) if since else {}
    found = await rankings.after(Glance(since, changed, as_of), asked)
    for terms in asked:
        if terms.list_id not in found:
            with suppress(Warming):
                found[terms.list_id] = (await live(tx, terms=terms)).ranking.ranks_of(asked[terms])
    return found


async def check(tx: Tx, *, terms: RankTerms, chance: Chance) -> list[int]:
    """Compare ranks in memory with those of the table at one moment, for some entrants whom chance picks.

    Answers for whom they differ; then the ranking is forgotten, and loaded anew by who comes next.
    """
    held = db.memory(tx, Rankings).of(terms.list_id)
    await load(tx, terms=terms)
    async with held.turn:
        known = held.live
        if known is None or not known.ranking.qualified:
            return []
        entrants, as_of = _some(known.ranking, chance), clock.now()
        found, ranks = await sql.get_sampled(tx, terms, known.horizon, CHANGED_MAX, entrants)
        if len(found.entrants) >= CHANGED_MAX:
            return []
        ranking = _renewed(known, found, as_of).ranking
        places = ranking.places_many(entrants)
    told = {place.entrant: place.rank for place in places.values() if place.place <= ranking.qualified}
    wrong: list[int] = [entrant for entrant in entrants if told.get(entrant) != ranks.get(entrant)]
    if wrong:
        log.error("a ranking in memory is not that of the table", list=terms.list_id, entrants=wrong[:SHOWN_MAX])
        forget(tx, list_id=terms.list_id)
    return wrong


def _some(ranking: Ranking, chance: Chance) -> list[EntrantId]:
    """Up to a hundred who have a rank, fewer of very many: each is compared with everybody."""
    count = min(CHECKED_MAX, ranking.qualified, max(1, COMPARED_MAX // ranking.qualified))
    return [EntrantId(ranking.page(chance(ranking.qualified), 1)[0].entrant) for _ in range(count)]


async def _wait_for(loading: "asyncio.Future[None]", seconds: float) -> None:
    done, _ = await asyncio.wait({loading}, timeout=seconds)
    if not done:
        raise Warming(retry_after_s=1)
    await loading


def _look_after(rankings: Rankings, held: _Held, terms: RankTerms) -> None:
    """Have a ranking that is read compared with the table from time to time."""
    if monotonic() - held.checked_at > CHECK_EVERY_S:
        held.checked_at = monotonic()
        rankings.look_after(terms)


def _nothing(_: RankTerms) -> None:
    """Of a process that lives shortly nothing is looked after."""


def forget(tx: Tx, *, list_id: ListId) -> None:
    """Leave a list that is final, or wrong, here and on the shelf."""
    db.memory(tx, Rankings).forget(list_id)
    bases.drop(tx, list_id=list_id)


def _turn(shared: SharedBase | None, seconds_max: float = 0) -> AbstractAsyncContextManager[bool]:
    return shared.turn(seconds_max=seconds_max) if shared else nullcontext(False)


async def _taken_over(shared: SharedBase | None, terms: RankTerms, known: Live | None) -> Live | None:
    """What rests on a shared base that is newer than the one known; it is as old as that."""
    newest = await shared.newest(above=known.generation if known else 0) if shared else None
    if newest is None:
        return None
    book, ranking = newest
    horizon, version = book.facts["horizon"], book.facts["version"]
    live = Live(ranking, terms, horizon, book.generation, version, clock.now(), shared=shared)
    live.generation = book.generation
    return live


async def _brought_up(tx: Tx, held: _Held, terms: RankTerms, known: Live | None) -> Live:
    """As this transaction sees it; what nobody else may see yet is left nowhere."""
    as_of = clock.now()
    if known is None:
        found = await sql.get_ranked(tx, terms.list_id)
    else:
        found = await sql.get_changed(tx, terms.list_id, known.horizon, known.changed_max)
        if not found.is_private and len(found.entrants) < known.changed_max:
            held.live = _renewed(known, found, as_of)
            return held.live
        found = await sql.get_ranked(tx, terms.list_id)
    live = await _loaded(terms, found, as_of)
    if not found.is_private:
        held.live = live
    return live


async def _settle(live: Live) -> None:
    """Take what has changed into the base where that has grown much: into the shared one, if nobody else does."""
    if not live.ranking.is_due:
        return
    async with _turn(live.shared) as is_ours:
        if live.shared and is_ours and live.shared.generation <= live.generation:
            await _lay(live, live.shared)
    if live.ranking.is_due:
        await asyncio.to_thread(live.ranking.merge)
        live.generation = 0


async def _lay(live: Live, shared: SharedBase) -> None:
    facts = {"horizon": live.horizon, "version": live.version}
    if ranking := await shared.lay(live.ranking, generation=live.moment, facts=facts):
        live.ranking, live.shared, live.generation = ranking, shared, live.moment


async def _loaded(terms: RankTerms, found: Changed, as_of: datetime) -> Live:
    """A ranking of everybody. The sorting of many is no reason for other requests to wait."""
    ranking = await asyncio.to_thread(
        Ranking.load,
        *(found.entrants, found.scores, found.reached_at_us, found.subscores if terms.has_subscore else None),
        least=terms.least_score,
        direction=terms.direction,
        ties=terms.tie_rule,
    )
    return Live(ranking, terms, found.horizon, found.moment, found.version, as_of)


def _renewed(known: Live, found: Changed, as_of: datetime) -> Live:
    """What somebody knows who has looked later is left as it is: he has seen all of this."""
    if found.moment < known.moment:
        return known
    if len(found.entrants):
        subscores = found.subscores if known.terms.has_subscore else None
        known.ranking.apply(found.entrants, found.scores, found.reached_at_us, subscores, found.is_ranked)
        known.version = max(known.version, found.version)
        known.provisional, known.stamp = None, next(_stamps)
    known.horizon, known.moment, known.as_of = found.horizon, found.moment, as_of
    return known
