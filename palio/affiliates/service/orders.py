"""Who stands where, in memory: an order of everybody for each period that is on, which follows commits.

The process that applies a snapshot moves its orders by what that changed; any other finds, when it is asked, that it is
behind, and moves them by the rows that were written meanwhile. An order is never changed itself, so whoever holds one
sees the state of one snapshot.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from palio.affiliates import rules, sql
from palio.affiliates.rules import MICROSECOND, Change, Step, Wagers
from palio.affiliates.service.periods import opening_of
from palio.affiliates.types import (
    BOARD_SOURCE,
    PERIOD_KINDS,
    UNKNOWN,
    Micro,
    PeriodKind,
    ProgrammeId,
    Snapshot,
    Source,
)
from palio.competitions import RankIndex
from palio.infra import db, settings
from palio.infra.db import Tx

PLAYERS_MAX = 500_000  # of all programmes together, at some 250 bytes each
PAST_MAX = 12  # closed periods that are kept, at some 40 bytes a player
CHANGES_MAX = 20_000  # to follow more than that costs more than to begin anew
STEPS_MAX = 100


@dataclass(frozen=True, slots=True)
class Order:
    """Everybody's numbers as of one snapshot, in the order of each period that was on then."""

    wagers: Wagers
    sources: Mapping[PeriodKind, Source]
    indexes: Mapping[PeriodKind, RankIndex]
    _totals: dict[PeriodKind, Micro] = field(default_factory=dict)

    @classmethod
    def of(cls, wagers: Wagers, setting: str) -> "Order":
        """Everybody in order."""
        sources = _sources(wagers, setting)
        return cls(wagers, sources, {kind: _index(wagers, kind, sources[kind]) for kind in PERIOD_KINDS})

    def moved(self, step: Step, setting: str) -> "Order":
        """The order after another snapshot: who changed is placed anew, and a period that has begun begins empty."""
        wagers = rules.advanced(self.wagers, step)
        sources, numbers = _sources(wagers, setting), step.moves.numbers
        before, after = self.wagers.periods, wagers.periods
        indexes = dict(self.indexes)
        for kind in PERIOD_KINDS:
            if (before[kind], self.sources[kind]) != (after[kind], sources[kind]):
                indexes[kind] = _index(wagers, kind, sources[kind])
            elif numbers:
                indexes[kind] = copy(self.indexes[kind])  # shares what it holds, which is never changed
                scores = wagers.scores_of(numbers, kind, sources[kind])
                at = [wagers.value_at[no] for no in numbers]
                indexes[kind].apply(numbers, scores, at, [score > 0 for score in scores])
        return Order(wagers, sources, indexes)

    def total(self, kind: PeriodKind) -> Micro:
        """What everybody wagered together."""
        if kind not in self._totals:
            self._totals[kind] = self.wagers.total(kind, self.sources[kind])
        return self._totals[kind]


@dataclass(frozen=True, slots=True)
class Past:
    """A closed period."""

    index: RankIndex
    total: Micro


class Orders:
    """The orders that this process has; one object per process and database."""

    def __init__(self) -> None:
        self._of_programme: OrderedDict[ProgrammeId, Order] = OrderedDict()
        self._past: OrderedDict[tuple[ProgrammeId, str, Source], Past] = OrderedDict()
        self.in_work: set[ProgrammeId] = set()  # somebody is at it: nobody else needs to

    def find(self, programme_id: ProgrammeId) -> Order | None:
        """The newest order that is here."""
        return self._of_programme.get(programme_id)

    def keep(self, programme_id: ProgrammeId, order: Order) -> None:
        """Remember an order unless a newer one is here, and forget those that were not needed for the longest time."""
        known = self.find(programme_id)
        if known and known.wagers.seq > order.wagers.seq:
            return
        self._of_programme[programme_id] = order
        self._of_programme.move_to_end(programme_id)
        while len(self._of_programme) > 1 and sum(len(one.wagers) for one in self._of_programme.values()) > PLAYERS_MAX:
            self._of_programme.popitem(last=False)

    def follow(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        """Move the order by a snapshot that is applied now, if there is one and it is as of the one before."""
        known = self.find(snapshot.programme_id)
        if known and known.wagers.seq + 1 == snapshot.seq:
            step = rules.step_of(snapshot, changes)
            self.keep(snapshot.programme_id, known.moved(step, settings.value(BOARD_SOURCE)))

    def find_past(self, programme_id: ProgrammeId, key: str, source: Source) -> Past | None:
        """A closed period, if it is here."""
        return self._past.get((programme_id, key, source))

    def keep_past(self, programme_id: ProgrammeId, key: str, source: Source, past: Past) -> None:
        """Remember a closed period: it never changes."""
        self._past[programme_id, key, source] = past
        while len(self._past) > PAST_MAX:
            self._past.popitem(last=False)


def follow_after_commit(tx: Tx, *, snapshot: Snapshot, changes: Sequence[Change] = ()) -> None:
    """Once the transaction is committed, move the order of its programme."""
    db.after_commit(tx, partial(db.memory(tx, Orders).follow, snapshot, changes))


def _sources(wagers: Wagers, setting: str) -> dict[PeriodKind, Source]:
    return {kind: rules.source_of(period, wagers.began_at, setting) for kind, period in wagers.periods.items()}


def _index(wagers: Wagers, kind: PeriodKind, source: Source) -> RankIndex:
    scores = wagers.scores(kind, source)
    numbers = [no for no, score in enumerate(scores) if score > 0]
    return RankIndex.load(numbers, [scores[no] for no in numbers], [wagers.value_at[no] for no in numbers])


async def current_order(tx: Tx, *, programme_id: ProgrammeId, seq: int) -> Order | None:
    """The order as of snapshot `seq`; while somebody else works it out an older one, or None if there is none."""
    orders, setting = db.memory(tx, Orders), settings.value(BOARD_SOURCE)
    known = orders.find(programme_id)
    if known and known.wagers.seq >= seq and known.sources == _sources(known.wagers, setting):
        return known
    if programme_id in orders.in_work:
        return known
    orders.in_work.add(programme_id)
    try:
        found = await _caught_up(tx, programme_id, known, setting) or await _loaded(tx, programme_id, setting)
    finally:
        orders.in_work.discard(programme_id)
    if found:
        db.after_commit(tx, partial(orders.keep, programme_id, found))
    return found


async def _caught_up(tx: Tx, programme_id: ProgrammeId, known: Order | None, setting: str) -> Order | None:
    """An order moved by what was written since, unless that is very much."""
    if known is None or await sql.count_changes(tx, programme_id, known.wagers.seq) > CHANGES_MAX:
        return None
    if known.sources != _sources(known.wagers, setting):
        known = Order.of(known.wagers, setting)
    steps = await sql.list_steps(tx, programme_id, known.wagers.seq, STEPS_MAX + 1)
    if len(steps) > STEPS_MAX:
        return None
    for step in steps:
        known = known.moved(step, setting)
    return known


async def _loaded(tx: Tx, programme_id: ProgrammeId, setting: str) -> Order | None:
    """The order of what the tables say; None before the first snapshot."""
    wagers = await sql.find_wagers(tx, programme_id)
    if wagers is None:
        return None
    openings = {}
    for kind in rules.DATED:
        starts_at = wagers.periods[kind].starts_at
        assert starts_at  # noqa: S101 - only ALL has none
        before = await sql.find_before(tx, programme_id, starts_at - MICROSECOND)
        openings[kind] = await opening_of(tx, programme_id=programme_id, snapshot=before, all_time=wagers.all_time)
    return Order.of(rules.opened(wagers, openings), setting)


async def past(tx: Tx, *, programme_id: ProgrammeId, key: str, source: Source) -> Past | None:
    """A closed period in order; None while it is not closed."""
    orders = db.memory(tx, Orders)
    if found := orders.find_past(programme_id, key, source):
        return found
    numbers, wagered, reported = await sql.list_period(tx, programme_id, key)
    totals = dict(zip(numbers, wagered if source == "computed" else reported, strict=True))
    total = totals.pop(sql.PROGRAMME, None)
    if total is None:
        return None
    placed = sorted(no for no, score in totals.items() if score > 0)
    index = RankIndex.load(placed, [totals[no] for no in placed], [0] * len(placed))
    made_past = Past(index, 0 if total == UNKNOWN else total)
    db.after_commit(tx, partial(orders.keep_past, programme_id, key, source, made_past))
    return made_past
