"""Boards of everybody: declared by modules, read by period, live from memory and final from their standings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio import identity
from palio.competitions import sql
from palio.competitions.errors import BoardDiffers, NoSuchBoard, Warming
from palio.competitions.ranks import Place
from palio.competitions.rules import periods, trends
from palio.competitions.service import rankings, reads, showing
from palio.competitions.service.known import boards_many
from palio.competitions.types import (
    EntrantId,
    ListId,
    ListPeriod,
    Look,
    NewBoard,
    PlaceOfList,
    RankPoint,
    ScoreBoard,
    ScoreList,
    Standing,
)
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import BoardAsk, BoardHead, BoardLine, BoardPeriod, BoardSource, BoardView

BOARDS_MAX = 1_000
HISTORY_MAX = 1_000
COUNTRY_MAX = 100_000
ENTRANT_DIGITS_MAX = 18


async def ensure_board(tx: Tx, *, new: NewBoard) -> ScoreBoard:
    """A board of everybody, as its module declares it; repeated, it renews title, unit and the time for late scores.

    Refuses with BoardDiffers where a board of this code combines or ranks scores otherwise.
    """
    await sql.upsert_board(tx, new)
    found = await sql.list_boards_of(tx, [new.code])
    if not found or _ranking(found[0]) != _ranking(new):
        raise BoardDiffers(code=new.code)
    return found[0]


def _ranking(board: NewBoard | ScoreBoard) -> tuple[object, ...]:
    """What must not change under the scores of a board."""
    of_scores = board.op, board.direction, board.has_subscore, board.score_scale
    return *of_scores, tuple(board.periods), board.tz, board.tie_rule


@dataclass(frozen=True, slots=True)
class _Opened:
    """A board with the period that is asked for, and its list, if anybody has a score in it."""

    board: ScoreBoard
    period: ListPeriod
    list: ScoreList | None

    def view(self, lines: Sequence[BoardLine], *, of: int, version: int, as_of: datetime | None) -> BoardView:
        """Lines of it."""
        return BoardView(
            head=_head(self.board),
            period=BoardPeriod(self.period.key, self.period.starts_at, self.period.ends_at, self.is_final),
            lines=tuple(lines),
            of=of,
            version=version,
            as_of=as_of,
            is_stale=False,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.list is not None and self.list.state == "final"


async def _opened(tx: Tx, ask: BoardAsk) -> _Opened | None:
    board = (await boards_many(tx, [ask.code])).get(ask.code)
    period = periods.named(ask.period, board.kinds, board.tz, ask.now) if board else None
    if board is None or period is None or (period.starts_at and period.starts_at > ask.now):
        return None
    return _Opened(board, period, await sql.find_list(tx, board.id, period.key))


def _head(board: ScoreBoard) -> BoardHead:
    words = tuple(periods.WORD_OF[kind] for kind in board.periods)
    return BoardHead(board.code, board.title or board.code, board.metric, board.score_scale, board.unit, words)


async def heads(tx: Tx) -> Sequence[BoardHead]:
    """The boards of everybody."""
    return [_head(board) for board in await sql.list_boards(tx, BOARDS_MAX)]


async def look_many(tx: Tx, wishes: Sequence[Look], *, now: datetime) -> list[BoardView | None]:
    """What these see of boards, each in its order: a part of the places, or the places around somebody.

    None for a board or a period that does not exist, and for somebody who does not stand there. Each order is brought
    up to date once, and names are read once for all. While an order is loaded a part of the places is that of the last
    picture, and says so.
    """
    opened = {key: await _opened(tx, BoardAsk(*key, now)) for key in dict.fromkeys((w.code, w.period) for w in wishes)}
    orders = {key: await _order(tx, found) for key, found in opened.items() if found and found.list}
    seen = [_seen(wish, opened[wish.code, wish.period], orders.get((wish.code, wish.period))) for wish in wishes]
    live = [each for each in seen if isinstance(each, _Seen)]
    earlier = await _earlier(tx, live, now)
    names = await _names(tx, {place.entrant for each in live for place in each.places})
    found: list[BoardView | None] = []
    for wish, each in zip(wishes, seen, strict=True):
        if isinstance(each, _Seen):
            lines = _lines(each.places, names, earlier[each.list_id])
            found.append(each.opened.view(lines, of=each.of, version=each.version, as_of=now))
        else:
            found.append(await _otherwise(tx, wish, each, now))
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """Places of a live order, as they were at one moment."""

    opened: _Opened
    list_id: ListId
    places: Sequence[Place]
    of: int
    version: int


async def _order(tx: Tx, opened: _Opened) -> rankings.Live | None:
    """The order of a list that changes; None of a final one, and of one that is being loaded."""
    if opened.list is None or opened.is_final:
        return None
    try:
        return await rankings.live(tx, terms=opened.board.terms(opened.list.id))
    except Warming:
        return None


def _seen(wish: Look, opened: _Opened | None, order: rankings.Live | None) -> _Seen | _Opened | None:
    """What somebody sees of a live order; without one, what is left to be looked up. None where there is nothing."""
    if opened is None or opened.list is None or order is None:
        return opened
    ranking = order.ranking
    if wish.entrant is None:
        places = ranking.page(wish.after, wish.limit)
    else:
        number = _number(wish.entrant)
        found = ranking.place_of(number) if number is not None else None
        if found is None:
            return None
        places = ranking.around(found.place, wish.limit)
    return _Seen(opened, opened.list.id, places, len(ranking), order.version)


async def _otherwise(tx: Tx, wish: Look, opened: _Opened | None, now: datetime) -> BoardView | None:
    """What there is to see of a list that is empty, final, or being loaded."""
    if opened is None:
        return None
    if opened.list is None:
        return opened.view((), of=0, version=0, as_of=now) if wish.entrant is None else None
    if not opened.is_final:
        return await _remembered(tx, opened, opened.list, wish)
    if wish.entrant is None:
        return await _final(tx, opened, opened.list, wish.after, wish.limit, now)
    number = _number(wish.entrant)
    place = await sql.find_place(tx, opened.list.id, number) if number is not None else None
    first = max(0, place - 1 - wish.limit) if place else 0
    return await _final(tx, opened, opened.list, first, place + wish.limit - first, now) if place else None


async def list_of(tx: Tx, *, ask: BoardAsk) -> ListId | None:
    """The list of a board and a period, if anybody has a score on it."""
    opened = await _opened(tx, ask)
    return opened.list.id if opened and opened.list else None


async def place_of_list(tx: Tx, *, list_id: ListId) -> PlaceOfList | None:
    """What a list is one of; None where there is no such list."""
    return await sql.find_place_of_list(tx, list_id)


async def of_friends(tx: Tx, *, ask: BoardAsk, user_id: UserId, after: int, limit: int) -> BoardView | None:
    """The lines of a user and his friends, with their places among everybody; None for a board that does not exist.

    Refuses with Warming.
    """
    users = [user_id, *await identity.friends(tx, user_id=user_id)]
    opened = await _opened(tx, ask)
    entrants = await sql.list_of_users(tx, opened.list.id, users) if opened and opened.list else []
    return await _narrowed(tx, ask, opened, entrants, after, limit)


async def of_country(tx: Tx, *, ask: BoardAsk, country: str, after: int, limit: int) -> BoardView | None:
    """The lines of those of a country, at most 100,000, with their places among everybody; None as above.

    Refuses with Warming.
    """
    opened = await _opened(tx, ask)
    entrants = await sql.list_of_country(tx, opened.list.id, country, COUNTRY_MAX) if opened and opened.list else []
    return await _narrowed(tx, ask, opened, entrants, after, limit)


async def _narrowed(
    tx: Tx, ask: BoardAsk, opened: _Opened | None, entrants: Sequence[EntrantId], after: int, limit: int
) -> BoardView | None:
    if opened is None:
        return None
    if opened.list is None:
        return opened.view((), of=0, version=0, as_of=ask.now)
    if opened.is_final:
        rows = await sql.list_standings_of(tx, opened.list.id, entrants)
        lines = await _standing_lines(tx, opened.list.id, rows[after : after + limit])
        return opened.view(lines, of=len(rows), version=opened.list.id, as_of=opened.list.final_at or ask.now)
    live = await rankings.live(tx, terms=opened.board.terms(opened.list.id))
    places = sorted(live.ranking.places_many(list(entrants)).values())
    lines = await _live_lines(tx, ask, opened.list.id, places[after : after + limit])
    return opened.view(lines, of=len(places), version=live.version, as_of=ask.now)


async def _live_lines(tx: Tx, ask: BoardAsk, list_id: ListId, places: Sequence[Place]) -> list[BoardLine]:
    """Places of a live order with names, and how they moved."""
    numbers = [EntrantId(place.entrant) for place in places]
    earlier = await sql.list_earlier(tx, list_id, ask.now - reads.TREND_AGE, numbers)
    names = await _names(tx, set(numbers))
    return _lines(places, names, {one.entrant_id: one.rank for one in earlier})


async def _top(tx: Tx, ask: BoardAsk, after: int, limit: int) -> BoardView | None:
    [found] = await look_many(tx, [Look(ask.code, ask.period, limit, after)], now=ask.now)
    return found


async def _around(tx: Tx, ask: BoardAsk, entrant: str, radius: int) -> BoardView | None:
    [found] = await look_many(tx, [Look(ask.code, ask.period, radius, entrant=entrant)], now=ask.now)
    return found


async def _my_rank(tx: Tx, ask: BoardAsk, user_id: UUID) -> BoardLine | None:
    known = await sql.list_entrants_of(tx, [("user", str(user_id))])
    found = await _ranks_many(tx, ask, [str(entrant_id) for entrant_id in known.values()])
    return next(iter(found.values()), None) if found else None


async def _ranks_many(tx: Tx, ask: BoardAsk, entrants: Sequence[str]) -> Mapping[str, BoardLine] | None:
    opened = await _opened(tx, ask)
    if opened is None or opened.list is None:
        return None if opened is None else {}
    numbers = [number for entrant in entrants if (number := _number(entrant)) is not None]
    if opened.is_final:
        rows = await sql.list_standings_of(tx, opened.list.id, numbers)
        lines = await _standing_lines(tx, opened.list.id, rows)
    else:
        live = await rankings.live(tx, terms=opened.board.terms(opened.list.id))
        lines = await _live_lines(tx, ask, opened.list.id, list(live.ranking.places_many(numbers).values()))
    return {line.entrant: line for line in lines}


async def history(tx: Tx, *, ask: BoardAsk, entrant: str, limit: int) -> list[RankPoint]:
    """Where somebody stood on a list by the hour, the newest first, as far as he was among the first hundred.

    Refuses with NoSuchBoard.
    """
    opened, entrant_id = await _opened(tx, ask), _number(entrant)
    if opened is None:
        raise NoSuchBoard(code=ask.code, period=ask.period)
    if opened.list is None or entrant_id is None:
        return []
    return await sql.list_history(tx, opened.list.id, entrant_id, min(limit, HISTORY_MAX))


async def _final(tx: Tx, opened: _Opened, found: ScoreList, after: int, limit: int, now: datetime) -> BoardView:
    rankings.forget(tx, list_id=found.id)
    rows = await sql.list_standings(tx, found.id, limit, after=after)
    lines = await _standing_lines(tx, found.id, rows)
    return opened.view(lines, of=found.entrants or 0, version=found.id, as_of=found.final_at or now)


async def _remembered(tx: Tx, opened: _Opened, found: ScoreList, wish: Look) -> BoardView:
    """What the last picture of a list says, while its order is loaded; around somebody nothing is known."""
    snapshot = await sql.find_snapshot(tx, found.id) if wish.entrant is None else None
    top = snapshot.top if snapshot else ()
    places = [
        Place(number, each["rank"], each["entrant"], each["score"], 1)
        for number, each in enumerate(top[wish.after : wish.after + wish.limit], wish.after + 1)
    ]
    lines = _lines(places, await _names(tx, {place.entrant for place in places}), {})
    view = opened.view(lines, of=len(top), version=0, as_of=snapshot.taken_at if snapshot else None)
    return replace(view, is_stale=True, is_warming=True)


async def _earlier(tx: Tx, seen: Sequence[_Seen], now: datetime) -> dict[ListId, dict[EntrantId, int]]:
    """The ranks of an hour ago, by list."""
    wanted: dict[ListId, set[EntrantId]] = {}
    for each in seen:
        wanted.setdefault(each.list_id, set()).update(EntrantId(place.entrant) for place in each.places)
    found = {}
    for list_id, entrants in wanted.items():
        ranked = await sql.list_earlier(tx, list_id, now - reads.TREND_AGE, list(entrants)) if entrants else []
        found[list_id] = {one.entrant_id: one.rank for one in ranked}
    return found


async def _names(tx: Tx, entrants: Collection[int]) -> Mapping[EntrantId, str]:
    people = await reads.entrants_many(tx, [EntrantId(entrant) for entrant in entrants]) if entrants else {}
    return await showing.names_of(tx, people=people)


def _lines(
    places: Sequence[Place], names: Mapping[EntrantId, str], earlier: Mapping[EntrantId, int]
) -> list[BoardLine]:
    return [
        BoardLine(
            place=place.place,
            rank=place.rank,
            entrant=str(place.entrant),
            name=names[EntrantId(place.entrant)],
            score=place.score,
            ties=place.ties,
            trend=trends.rose_by(place.rank, earlier.get(EntrantId(place.entrant))),
        )
        for place in places
    ]


async def _standing_lines(tx: Tx, list_id: ListId, rows: Sequence[Standing]) -> list[BoardLine]:
    ties = await sql.count_ties(tx, list_id, [row.rank for row in rows if row.rank]) if rows else {}
    places = [
        Place(row.place, row.rank or row.place, row.entrant_id, row.score, ties.get(row.rank or row.place, 1))
        for row in rows
    ]
    return _lines(places, await _names(tx, {place.entrant for place in places}), {})


def _number(entrant: str) -> EntrantId | None:
    is_number = entrant.isascii() and entrant.isdigit() and len(entrant) <= ENTRANT_DIGITS_MAX
    return EntrantId(int(entrant)) if is_number else None


EVERYBODY: BoardSource[Tx] = BoardSource("", heads, _top, _around, _my_rank, _ranks_many)
