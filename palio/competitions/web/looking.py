"""Boards of everybody as many read them at once: one look at the database serves all who ask for a moment.

Whoever asks meanwhile is told out of memory where he stands, and a first page is told as it was written. When the
database does not answer, a board is told as it was seen last, and after a while it says that it is stale.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from time import monotonic
from typing import NamedTuple

import structlog
from pydantic import TypeAdapter

from palio.competitions.errors import NoSuchBoard, NotOnBoard
from palio.competitions.ranks import Place
from palio.competitions.schemas.boards import BoardAnswer, LineWritten, beside, write_lines
from palio.competitions.service import boards
from palio.competitions.service.boards import Sight
from palio.competitions.types import RANK_REFRESH_MS, RANK_STALE_AFTER_S, EntrantId, Look
from palio.infra import settings
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.batches import Gatherer, Sharer
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.providers import BoardAsk, BoardView
from palio.ui.hot import HotRead, Told
from palio.ui.paging import LIMIT_DEFAULT, Cursors, Listing, Paging
from palio.ui.types import LIMIT_MAX

RADIUS_DEFAULT, RADIUS_MAX = 5, 25
PAGES_MAX = 1_000
LINES_MAX = 20_000  # some 30 MB
PATIENCE_S = 0.5  # whoever knows how a board was waits so long for how it is
NAMES_KEPT_S = 5  # as long as anybody may keep an answer
NAMES_RENEWED_AFTER_S = NAMES_KEPT_S / 2
NAMES_AT_ONCE = 2_000
NAMES_MAX = 200_000
CODE, PERIOD = re.compile(r"[a-z0-9_.-]{1,100}"), re.compile(r"[A-Za-z0-9:-]{1,20}")
TOP = re.compile(r"(limit=(?P<limit>[0-9]{1,4}))?")
AROUND = re.compile(r"entrant=(?P<entrant>[0-9]{1,18})(&radius=(?P<radius>[0-9]{1,4}))?")
log = structlog.get_logger()
SHAPE: TypeAdapter[BoardAnswer] = TypeAdapter(BoardAnswer)
ITEMS = b'{"items":'
TAG_BYTES = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a look found at a moment of this process."""

    sight: Sight
    at: float


class _Asked(NamedTuple):
    """What somebody wants to see of what was found; `is_stale` says that this was long ago."""

    look: Look
    seen: _Seen
    is_stale: bool


class _Found(NamedTuple):
    """The places that somebody wants to see, and the answer around them: `rest` is what follows lines of a part."""

    sight: Sight
    view: BoardView
    rest: bytes
    places: Sequence[Place]
    stamp: int


class _Lines(NamedTuple):
    """The lines around somebody as they were written, and of what: which places, names, and ranks of an hour ago.

    `edition` is that of the names with which these were compared last.
    """

    written: bytes
    stamp: int
    earlier: Mapping[int, int]
    names: Mapping[EntrantId, str]
    edition: int


class _Rest(NamedTuple):
    """What follows lines of a board, as long as it was seen last then."""

    written: bytes
    seen: _Seen
    as_of: datetime
    is_stale: bool


class Looks:
    """Those of one process; they see what nobody in particular sees."""

    def __init__(
        self,
        database: Database,
        cursors: Cursors,
        *,
        now: Callable[[], float] = monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._database, self._cursors, self._now = database, cursors, now
        self._patience_s = patience_s
        self._looking: Sharer[tuple[str, str], _Seen | None] = Sharer(self._look)
        self._telling: Gatherer[_Asked, Told | None] = Gatherer(self._tell)
        self._telling_otherwise: Gatherer[_Asked, Told | None] = Gatherer(self._tell_otherwise)
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._kept: dict[Look, tuple[Told, float]] = {}
        self._lines: dict[Look, _Lines] = {}
        self._rests: dict[tuple[str, str], _Rest] = {}
        self._names = _Names(self._read_names, now, patience_s)

    def short_ways(self) -> Sequence[HotRead[Look]]:
        """The second way to a first page, and to the lines around somebody."""
        board = "/api/v1/boards/{code}/{period}"
        return HotRead(board, _read_top, self.top), HotRead(f"{board}/around", _read_around, self.around)

    async def top(self, look: Look) -> Told:
        """The first places. Refuses with NoSuchBoard, and with Unavailable when nothing is known."""
        known, at = self._kept.get(look, (None, 0.0))
        if known and self._is_fresh(at):
            return known
        at, told = self._now(), await self._told(look)
        if told is None:
            raise NoSuchBoard(code=look.code, period=look.period)
        if len(self._kept) >= PAGES_MAX:
            self._kept.clear()
        self._kept[look] = told, at
        return told

    async def around(self, look: Look) -> Told:
        """The places around somebody. Refuses with NoSuchBoard, NotOnBoard, Unavailable."""
        told = await self._told(look)
        if told is None:
            raise NotOnBoard(code=look.code, entrant=look.entrant)
        return told

    async def _told(self, look: Look) -> Told | None:
        seen = self._seen.get((look.code, look.period))
        if seen is None or not self._is_fresh(seen.at):
            seen = await self._seen_again(look, seen)
        asked = _Asked(look, seen, self._now() - seen.at >= settings.value(RANK_STALE_AFTER_S))
        if look.entrant is not None and (told := self._told_before(asked)):
            return told
        return await (self._telling if seen.sight.order else self._telling_otherwise).submit(asked)

    def _told_before(self, asked: _Asked) -> Told | None:
        """What was written around somebody, if that is still so; None where it is to be looked up."""
        kept, (look, seen, is_stale) = self._lines.get(asked.look), asked
        order = seen.sight.order
        if not kept or not order or kept.stamp != order.stamp or kept.earlier is not seen.sight.earlier:
            return None
        if not self._names.are_sound:
            return None
        if kept.edition != self._names.edition:
            if not self._names.are_still(kept.names):
                return None
            self._lines[look] = kept._replace(edition=self._names.edition)
        rest = self._rests.get((look.code, look.period))
        if rest is None or rest[1:] != (seen, order.as_of, is_stale):
            written = _rest(_view_of(seen.sight, is_stale=is_stale), None, None)
            rest = self._rests[look.code, look.period] = _Rest(written, seen, order.as_of, is_stale)
        return Told(b"".join((ITEMS, kept.written, rest.written)))

    async def _seen_again(self, look: Look, before: _Seen | None) -> _Seen:
        """What there is now, or what there was before if there is no answer soon. Refuses with NoSuchBoard."""
        try:
            async with asyncio.timeout(self._patience_s if before else None):
                found = await self._looking.ask((look.code, look.period))
        except (Unavailable, TimeoutError):
            if before is None:
                raise
            return before
        if found is None:
            raise NoSuchBoard(code=look.code, period=look.period)
        return found

    async def _look(self, key: tuple[str, str]) -> _Seen | None:
        """Look at a board, unless somebody just has; what nobody has asked for lately is forgotten then."""
        at, lately = self._now(), self._seen.get(key)
        if lately and self._is_fresh(lately.at):
            return lately
        async with self._begin() as tx:
            sight = await boards.sight(tx, ask=BoardAsk(*key, clock.now()))
        patience = settings.value(RANK_STALE_AFTER_S)
        self._seen = {each: seen for each, seen in self._seen.items() if at - seen.at < patience}
        self._rests = {each: rest for each, rest in self._rests.items() if each in self._seen}
        if sight is None:
            return None
        if lately and lately.sight.earlier == sight.earlier:
            sight = replace(sight, earlier=lately.sight.earlier)
        found = self._seen[key] = _Seen(sight, at)
        return found

    async def _tell(self, asked: Sequence[_Asked]) -> list[Told | None]:
        """What these see of orders in memory; each order is looked into once for all who ask."""
        found = {one: each for group in _together(asked) for one, each in zip(group, _found(group), strict=True)}
        names = await self._names.of({EntrantId(place.entrant) for each in found.values() for place in each.places})
        told = {one: self._written(one.look, each, names) for one, each in found.items()}
        return [told[one] for one in asked]

    def _written(self, look: Look, found: _Found, names: Mapping[EntrantId, str]) -> Told | None:
        sight, view, rest, places, stamp = found
        if look.entrant is not None and not places:
            return None
        lines = write_lines(LineWritten.of_many(places, names, sight.earlier, sight.board.score_scale))
        if look.entrant is not None:
            if len(self._lines) >= LINES_MAX:
                self._lines.clear()
            own = {entrant: names[entrant] for place in places if (entrant := EntrantId(place.entrant)) in names}
            self._lines[look] = _Lines(lines, stamp, sight.earlier, own, self._names.edition)
            return Told(ITEMS + lines + rest)
        following = self._paging(look).behind(*places[-1].key) if len(places) < view.of else None
        return Told(ITEMS + lines + _rest(view, following, None), tag_of(view, lines))

    async def _tell_otherwise(self, asked: Sequence[_Asked]) -> list[Told | None]:
        """What these see of lists that are empty, final, or being loaded."""
        async with self._begin() as tx:
            now = clock.now()
            views = [await boards.otherwise(tx, wish=look, found=seen.sight, now=now) for look, seen, _ in asked]
        told: list[Told | None] = []
        for (look, _, is_stale), seen in zip(asked, views, strict=True):
            view = replace(seen, is_stale=seen.is_stale or is_stale) if seen else None
            if view is None:
                told.append(None)
                continue
            ends = beside(view, self._paging(look)) if look.entrant is None else (None, None)
            answer = BoardAnswer.of_view(view, *ends)
            tag = tag_of(view, write_lines(answer.items)) if look.entrant is None else ""
            told.append(Told(SHAPE.dump_json(answer), tag))
        return told

    def _paging(self, look: Look) -> Paging:
        """How the first part of a board goes on."""
        listing = Listing(f"/api/v1/boards/{look.code}/{look.period}", "", "", "")
        return Paging(look.limit, None, listing, self._cursors, clock.now())

    def _begin(self) -> AbstractAsyncContextManager[Tx]:
        return self._database.begin(Actor("none", None, RequestId(new_id())))

    async def _read_names(self, entrants: Collection[int]) -> Mapping[EntrantId, str]:
        async with self._database.alone("names on boards") as tx:
            found = await boards.spellings_many(tx, entrants)
        if not found.users:
            return found.labels
        async with self._begin() as tx:
            return await found.named(tx)

    def _is_fresh(self, at: float) -> bool:
        return self._now() - at < settings.value(RANK_REFRESH_MS) / 1_000


class _Names:
    """What entrants are called, for a few seconds; what was known before is good enough while nobody can be asked.

    Names that somebody wanted lately are read again, all together, before they are too old, and meanwhile told as they
    were: so hardly anybody waits for a name. Each time begins another `edition`.
    """

    def __init__(
        self,
        read: Callable[[Collection[int]], Awaitable[Mapping[EntrantId, str]]],
        now: Callable[[], float],
        patience_s: float,
    ) -> None:
        self._read, self._now, self._patience_s = read, now, patience_s
        self.edition = 0
        self._since = now()
        self._known: dict[EntrantId, str] = {}
        self._wanted: set[EntrantId] = set()
        self._renewing: Gatherer[None, None] = Gatherer(self._renew)
        self._is_renewing = False

    @property
    def are_sound(self) -> bool:
        """Whether none of them has been known for so long that it is to be read before it is told."""
        age = self._now() - self._since
        if age > NAMES_RENEWED_AFTER_S and self._wanted and not self._is_renewing:
            self._is_renewing = True
            self._renewing.submit(None).add_done_callback(self._end_renewal)
        return age <= NAMES_KEPT_S

    def are_still(self, names: Mapping[EntrantId, str]) -> bool:
        """Whether these are the names of their entrants, as far as is known."""
        self._wanted.update(names)
        return all(self._known.get(entrant) == name for entrant, name in names.items())

    async def of(self, entrants: AbstractSet[EntrantId]) -> Mapping[EntrantId, str]:
        """The names of these, and of others. Refuses with Unavailable."""
        is_new = not self.are_sound or len(self._known) > NAMES_MAX
        self._wanted |= entrants
        missing: Collection[EntrantId] = entrants if is_new else self._unknown_of(entrants)
        while missing:
            edition, at = self.edition, self._now()
            try:
                async with asyncio.timeout(None if self._unknown_of(entrants) else self._patience_s):
                    found = await self._read(missing)
            except (Unavailable, TimeoutError):
                if self._unknown_of(entrants):
                    raise
                break
            if is_new and edition == self.edition:
                self._begin_edition({}, at)
            self._known.update(found)
            is_new = False
            missing = self._unknown_of(entrants) if edition != self.edition else ()  # some may be forgotten meanwhile
        return self._known

    def _unknown_of(self, entrants: AbstractSet[EntrantId]) -> list[EntrantId]:
        return [entrant for entrant in entrants if entrant not in self._known]

    async def _renew(self, asked: Sequence[None]) -> Sequence[None]:
        """Read again who was wanted since the last time, in parts between which others have their turn."""
        at, wanted, before = self._now(), list(self._wanted), self._known
        self._wanted = set()
        found: dict[EntrantId, str] = {}
        for start in range(0, len(wanted), NAMES_AT_ONCE):
            found.update(await self._read(wanted[start : start + NAMES_AT_ONCE]))
        if self._known is before:
            self._begin_edition(found, at)
        else:  # somebody could not wait for us
            self._begin_edition(self._known | found, min(self._since, at))
        return asked

    def _begin_edition(self, known: dict[EntrantId, str], since: float) -> None:
        self._known, self._since = known, since
        self.edition += 1

    def _end_renewal(self, renewal: "asyncio.Future[None]") -> None:
        """What was known stays good enough for a while; whoever asks after that reads by himself, and hears why not."""
        self._is_renewing = False
        if not renewal.cancelled() and (failure := renewal.exception()):
            log.warning("names of boards could not be read again", failure=type(failure).__name__)


def _together(asked: Sequence[_Asked]) -> Collection[Sequence[_Asked]]:
    """Those who look at the same, each look once."""
    groups: dict[_Seen, list[_Asked]] = {}
    for one in dict.fromkeys(asked):
        groups.setdefault(one.seen, []).append(one)
    return groups.values()


def _found(group: Sequence[_Asked]) -> list[_Found]:
    """What these find in an order at this moment."""
    sight = group[0].seen.sight
    view, stamp = _view_of(sight, is_stale=group[0].is_stale), sight.live.stamp
    rest = _rest(view, None, None)
    return [_Found(sight, view, rest, places, stamp) for places in sight.places_many([one.look for one in group])]


def _view_of(sight: Sight, *, is_stale: bool) -> BoardView:
    """A board with the lines left out."""
    order = sight.live
    seen = sight.view((), of=len(order.ranking), version=order.version, as_of=order.as_of)
    return replace(seen, is_stale=is_stale)


def _rest(view: BoardView, after: str | None, before: str | None) -> bytes:
    """What an answer says behind its lines."""
    return SHAPE.dump_json(BoardAnswer.of_view(view, after, before)).removeprefix(ITEMS + b"[]")


def tag_of(view: BoardView, lines: bytes) -> str:
    """The state of a board whose lines are written like that; what is in doubt has no tag.

    A version alone would not do: a transaction that began earlier may commit later, and change lines but no version.
    The hour is there for the cursors, which grow old.
    """
    if view.is_stale or view.is_warming or view.as_of is None:
        return ""
    return f'W/"{view.version}.{view.of}.{view.as_of:%Y%m%d%H}.{blake2b(lines, digest_size=TAG_BYTES).hexdigest()}"'


def _read_top(names: tuple[str, ...], query: str) -> Look | None:
    code, period = names
    found = TOP.fullmatch(query) if _is_board(code, period) else None
    if found is None:
        return None
    limit = LIMIT_DEFAULT if found["limit"] is None else int(found["limit"])
    return Look(code, period, limit) if 1 <= limit <= settings.value(LIMIT_MAX) else None


def _read_around(names: tuple[str, ...], query: str) -> Look | None:
    code, period = names
    found = AROUND.fullmatch(query) if _is_board(code, period) else None
    if found is None:
        return None
    radius = RADIUS_DEFAULT if found["radius"] is None else int(found["radius"])
    return Look(code, period, radius, entrant=found["entrant"]) if radius <= RADIUS_MAX else None


def _is_board(code: str, period: str) -> bool:
    """Whether this is how boards and their periods are named; what is not, the ordinary way refuses."""
    return CODE.fullmatch(code) is not None and PERIOD.fullmatch(period) is not None
