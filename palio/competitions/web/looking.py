"""Boards of everybody as many read them at once: one look serves all who ask meanwhile, a first page all of a moment.

When the database cannot be asked, a first page is told as it was, and after a while it says that it is stale.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from urllib.parse import parse_qsl

from pydantic import TypeAdapter

from palio.competitions.errors import NoSuchBoard, NotOnBoard
from palio.competitions.schemas.boards import BoardAnswer
from palio.competitions.service.boards import look_many
from palio.competitions.types import RANK_REFRESH_MS, RANK_STALE_AFTER_S, Look
from palio.infra import settings
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.batches import Gatherer
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.providers import BoardView
from palio.ui.hot import HotRead, Told
from palio.ui.paging import LIMIT_DEFAULT, LIMIT_MAX, Cursors, Listing, Paging

RADIUS_DEFAULT, RADIUS_MAX = 5, 25
PAGES_MAX = 1_000
CODE, PERIOD, NUMBER = re.compile(r"[a-z0-9_.-]{1,100}"), re.compile(r"[A-Za-z0-9:-]{1,20}"), re.compile(r"[0-9]{1,18}")
SHAPE: TypeAdapter[BoardAnswer] = TypeAdapter(BoardAnswer)


@dataclass(slots=True)
class _Kept:
    """A first page as it was told at a moment of this process."""

    answer: BoardAnswer
    told: Told
    at: float


class Looks:
    """Those of one process; they see what nobody in particular sees."""

    def __init__(self, database: Database, cursors: Cursors, *, now: Callable[[], float] = monotonic) -> None:
        self._database, self._cursors, self._now = database, cursors, now
        self._gatherer: Gatherer[Look, BoardView | None] = Gatherer(self._look)
        self._kept: dict[Look, _Kept] = {}

    def short_ways(self) -> Sequence[HotRead[Look]]:
        """The second way to a first page, and to the lines around somebody."""
        board = "/api/v1/boards/{code}/{period}"
        return HotRead(board, _read_top, self.top), HotRead(f"{board}/around", _read_around, self.around)

    async def top(self, look: Look) -> Told:
        """The first places. Refuses with NoSuchBoard, and with Unavailable when nothing is known."""
        kept = self._kept.get(look)
        if kept and self._now() - kept.at < settings.value(RANK_REFRESH_MS) / 1_000:
            return kept.told
        try:
            view = await self._gatherer.submit(look)
        except Unavailable:
            if kept is None:
                raise
            return self._stale(kept)
        if view is None:
            raise NoSuchBoard(code=look.code, period=look.period)
        answer = BoardAnswer.of_view(view, *self._paging(look).around(1, len(view.lines), of=view.of))
        told = Told(SHAPE.dump_json(answer), tag_of(view))
        if not view.is_warming:
            self._keep(look, _Kept(answer, told, self._now()))
        return told

    async def around(self, look: Look) -> Told:
        """The places around somebody. Refuses with NoSuchBoard, NotOnBoard, Unavailable."""
        view = await self._gatherer.submit(look)
        if view is None:
            if await self._gatherer.submit(Look(look.code, look.period, 1)) is None:
                raise NoSuchBoard(code=look.code, period=look.period)
            raise NotOnBoard(code=look.code, entrant=look.entrant)
        return Told(SHAPE.dump_json(BoardAnswer.of_view(view, None, None)))

    async def _look(self, wishes: Sequence[Look]) -> list[BoardView | None]:
        different = list(dict.fromkeys(wishes))
        async with self._database.begin(Actor("none", None, RequestId(new_id()))) as tx:
            views = dict(zip(different, await look_many(tx, different, now=clock.now()), strict=True))
        return [views[wish] for wish in wishes]

    def _keep(self, look: Look, kept: _Kept) -> None:
        if len(self._kept) >= PAGES_MAX:
            self._kept.clear()
        self._kept[look] = kept

    def _stale(self, kept: _Kept) -> Told:
        if self._now() - kept.at < settings.value(RANK_STALE_AFTER_S):
            return kept.told
        return Told(SHAPE.dump_json(replace(kept.answer, stale=True)))

    def _paging(self, look: Look) -> Paging:
        listing = Listing(f"/api/v1/boards/{look.code}/{look.period}", "", "", "")
        return Paging(look.limit, None, listing, self._cursors, clock.now())


def tag_of(view: BoardView) -> str:
    """What a board says changes with its version, and its arrows and names by the hour; what is in doubt has no tag."""
    if view.is_stale or view.is_warming or view.as_of is None:
        return ""
    return f'W/"{view.version}.{view.of}.{view.as_of:%Y%m%d%H}"'


def _read_top(names: tuple[str, ...], query: str) -> Look | None:
    given = _given(names, query, {"limit"})
    limit = None if given is None else _number(given.get("limit", str(LIMIT_DEFAULT)), 1, LIMIT_MAX)
    return Look(names[0], names[1], limit) if limit else None


def _read_around(names: tuple[str, ...], query: str) -> Look | None:
    given = _given(names, query, {"entrant", "radius"})
    if given is None or not NUMBER.fullmatch(given.get("entrant", "")):
        return None
    radius = _number(given.get("radius", str(RADIUS_DEFAULT)), 0, RADIUS_MAX)
    return None if radius is None else Look(names[0], names[1], radius, entrant=given["entrant"])


def _given(names: tuple[str, ...], query: str, known: set[str]) -> dict[str, str] | None:
    """The parameters of a plain address of a board of everybody, else None."""
    code, period = names
    if not CODE.fullmatch(code) or not PERIOD.fullmatch(period):
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    return given if len(given) == len(pairs) and given.keys() <= known else None


def _number(text: str, low: int, high: int) -> int | None:
    is_plain = NUMBER.fullmatch(text) is not None
    return int(text) if is_plain and low <= int(text) <= high else None
