"""Boards of everybody: declared by modules, read by period, live from memory and final from their standings."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from palio import identity
from palio.competitions import sql
from palio.competitions.errors import BoardDiffers, NoSuchBoard, NotNarrowed, Warming
from palio.competitions.ranks import Place
from palio.competitions.rules import periods, trends
from palio.competitions.service import countries, rankings, reads, showing, spots
from palio.competitions.service.known import boards_many
from palio.competitions.types import (
    ENTRANT_DIGITS_MAX,
    EPOCH,
    MICROSECOND,
    Country,
    EntrantId,
    ListId,
    ListPeriod,
    Look,
    NewBoard,
    PlaceOfList,
    RankPoint,
    ScoreBoard,
    ScoreList,
    Some,
    Standing,
)
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import After, BoardAsk, BoardHead, BoardLine, BoardPeriod, BoardSource, BoardView

BOARDS_MAX = 1_000
HISTORY_MAX = 1_000


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
class Sight:
    """A board in the period that is asked for, with its list, if anybody has a score in it.

    Of a list that changes there are its order, once it is known, and the ranks of an hour ago.
    """

    board: ScoreBoard
    period: ListPeriod
    list: ScoreList | None
    order: rankings.Live | None = None
    earlier: Mapping[int, int] = field(default_factory=dict)

    def view(
        self, lines: Sequence[BoardLine], *, of: int, version: int, as_of: datetime | None, after: int = 0
    ) -> BoardView:
        """Lines of it, behind so many of `of`."""
        return BoardView(
            head=_head(self.board),
            period=BoardPeriod(self.period.key, self.period.starts_at, self.period.ends_at, self.is_final),
            lines=tuple(lines),
            of=of,
            version=version,
            as_of=as_of,
            is_stale=False,
            after=after,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.list is not None and self.list.state == "final"

    @property
    def live(self) -> rankings.Live:
        """The order, where there is one. Raises LookupError."""
        if self.order is None:
            raise LookupError(self.period.key)
        return self.order

    def places_many(self, wishes: Sequence[Look]) -> Sequence[Sequence[Place]]:
        """The places that each of these wants to see, all as of one moment; none around who is not there."""
        ranking = self.live.ranking
        found: list[Sequence[Place]] = [
            () if wish.entrant is not None else ranking.page(*ranking.span(wish.after, wish.limit)) for wish in wishes
        ]
        people = [(n, wish.limit, _number(wish.entrant)) for n, wish in enumerate(wishes) if wish.entrant is not None]
        for radius in {radius for _, radius, _ in people}:
            alike = [(n, number) for n, limit, number in people if limit == radius and number is not None]
            around = ranking.around_many([number for _, number in alike], radius)
            for (n, _), places in zip(alike, around, strict=True):
                found[n] = places
        return found


async def sight(tx: Tx, *, ask: BoardAsk) -> Sight | None:
    """What is asked for, its order brought up to date; None for a board or a period that does not exist."""
    found = await _opened(tx, ask)
    if found is None or found.list is None or found.is_final:
        return found
    try:
        order = await rankings.live(tx, terms=found.board.terms(found.list.id))
    except Warming:
        return found
    ranked = await sql.list_earlier(tx, found.list.id, ask.now - reads.TREND_AGE)
    return replace(found, order=order, earlier={one.entrant_id: one.rank for one in ranked})


async def _opened(tx: Tx, ask: BoardAsk) -> Sight | None:
    board = (await boards_many(tx, [ask.code])).get(ask.code)
    period = periods.named(ask.period, board.kinds, board.tz, ask.now) if board else None
    if board is None or period is None or (period.starts_at and period.starts_at > ask.now):
        return None
    return Sight(board, period, await sql.find_list(tx, board.id, period.key))


def _head(board: ScoreBoard) -> BoardHead:
    words = tuple(periods.WORD_OF[kind] for kind in board.periods)
    return BoardHead(board.code, board.title or board.code, board.metric, board.score_scale, board.unit, words)


async def heads(tx: Tx) -> Sequence[BoardHead]:
    """The boards of everybody."""
    return [_head(board) for board in await sql.list_boards(tx, BOARDS_MAX)]


async def look(tx: Tx, *, wish: Look, now: datetime) -> BoardView | None:
    """What somebody sees of a board: a part of the places, or the places around somebody.

    None for a board or a period that does not exist, and for somebody who does not stand there. While an order is
    loaded a part of the places is that of the last picture, and says so.
    """
    found = await sight(tx, ask=BoardAsk(wish.code, wish.period, now))
    if found is None or found.order is None:
        return await otherwise(tx, wish=wish, found=found, now=now) if found else None
    ranking, version = found.order.ranking, found.order.version  # no waiting from here to the last of the figures
    [places], of = found.places_many([wish]), len(ranking)
    after = places[0].place - 1 if places else ranking.span(wish.after, wish.limit)[0]
    if wish.entrant is not None and not places:
        return None
    names = await names_many(tx, {place.entrant for place in places})
    return found.view(_lines(places, names, found.earlier), of=of, version=version, as_of=now, after=after)


async def otherwise(tx: Tx, *, wish: Look, found: Sight, now: datetime) -> BoardView | None:
    """What there is to see of a list that is empty, final, or being loaded."""
    if found.list is None:
        return found.view((), of=0, version=0, as_of=now) if wish.entrant is None else None
    if not found.is_final:
        return await _remembered(tx, found, found.list, wish)
    if wish.entrant is None:
        return await _final(tx, found, found.list, wish.after, wish.limit, now)
    number = _number(wish.entrant)
    place = await sql.find_place(tx, found.list.id, number) if number is not None else None
    first = max(0, place - 1 - wish.limit) if place else 0
    return await _final(tx, found, found.list, first, place + wish.limit - first, now) if place else None


async def list_of(tx: Tx, *, ask: BoardAsk) -> ListId | None:
    """The list of a board and a period, if anybody has a score on it."""
    opened = await _opened(tx, ask)
    return opened.list.id if opened and opened.list else None


async def place_of_list(tx: Tx, *, list_id: ListId) -> PlaceOfList | None:
    """What a list is one of; None where there is no such list."""
    return await sql.find_place_of_list(tx, list_id)


async def of_friends(
    tx: Tx, *, source: BoardSource[Tx], ask: BoardAsk, user_id: UserId, after: After, limit: int
) -> BoardView | None:
    """The lines of a user and his friends; None for a board that does not exist. Refuses with Warming, NotNarrowed."""
    if source.of_users is None:
        raise NotNarrowed(code=ask.code)
    users = [user_id, *await identity.friends(tx, user_id=user_id)]
    return await source.of_users(tx, ask, users, after, limit)


async def of_country(
    tx: Tx, *, source: BoardSource[Tx], ask: BoardAsk, country: str, after: After, limit: int
) -> BoardView | None:
    """The lines of those of a country; None for a board that does not exist. Refuses with Warming, NotNarrowed."""
    if source.of_country is None:
        raise NotNarrowed(code=ask.code)
    return await source.of_country(tx, ask, country, after, limit)


async def _of_users(tx: Tx, ask: BoardAsk, user_ids: Sequence[UserId], after: After, limit: int) -> BoardView | None:
    opened = await _opened(tx, ask)
    entrants = await sql.list_of_users(tx, opened.list.id, user_ids) if opened and opened.list else []
    return await _narrowed(tx, ask, opened, entrants, after, limit)


async def _of_country(tx: Tx, ask: BoardAsk, country: str, after: After, limit: int) -> BoardView | None:
    return await _narrowed(tx, ask, await _opened(tx, ask), Country(country), after, limit)


async def _narrowed(
    tx: Tx, ask: BoardAsk, opened: Sight | None, some: Some, after: After, limit: int
) -> BoardView | None:
    if opened is None:
        return None
    if opened.list is None:
        return opened.view((), of=0, version=0, as_of=ask.now)
    terms = opened.board.terms(opened.list.id)
    if opened.is_final:
        entrants = await countries.listed(tx, list_id=opened.list.id, some=some)
        rows = await sql.list_standings_of(tx, opened.list.id, entrants)
        first, limit = await spots.frozen_among(
            tx, terms=terms, places=[row.place for row in rows], after=after, limit=limit
        )
        lines = await _standing_lines(tx, opened.list.id, rows[first : first + limit])
        lines, as_of = _numbered(lines, [row.rank for row in rows if row.rank]), opened.list.final_at or ask.now
        return opened.view(lines, of=len(rows), version=opened.list.id, as_of=as_of, after=first)
    try:
        live = await rankings.live(tx, terms=terms)
    except Warming:
        return _unordered(opened, after)
    part = await countries.part_of(tx, live=live, some=some)
    version, (first, limit) = live.version, part.span(after, limit)
    found = part.page(first, limit)
    lines = await _live_lines(tx, ask, opened.list.id, [each.place for each in found])
    lines = [replace(line, among=each.among) for line, each in zip(lines, found, strict=True)]
    return opened.view(lines, of=len(part), version=version, as_of=ask.now, after=first)


def _unordered(opened: Sight, after: After) -> BoardView:
    """No lines rather than wrong ones, while an order is loaded. Refuses whoever goes on from a row with Warming."""
    if not isinstance(after, int):
        raise Warming(retry_after_s=1)
    return replace(opened.view((), of=0, version=0, as_of=None), is_stale=True, is_warming=True)


def _numbered(lines: Sequence[BoardLine], ranks: Sequence[int]) -> list[BoardLine]:
    """Lines with the ranks that they have among all who have these."""
    return [replace(line, among=bisect_left(ranks, line.rank) + 1) for line in lines]


async def _live_lines(tx: Tx, ask: BoardAsk, list_id: ListId, places: Sequence[Place]) -> list[BoardLine]:
    """Places of a live order with names, and how they moved."""
    numbers = [EntrantId(place.entrant) for place in places]
    earlier = await sql.list_earlier(tx, list_id, ask.now - reads.TREND_AGE, numbers)
    names = await names_many(tx, set(numbers))
    return _lines(places, names, {one.entrant_id: one.rank for one in earlier})


async def _top(tx: Tx, ask: BoardAsk, after: After, limit: int) -> BoardView | None:
    return await look(tx, wish=Look(ask.code, ask.period, limit, after), now=ask.now)


async def _around(tx: Tx, ask: BoardAsk, entrant: str, radius: int) -> BoardView | None:
    return await look(tx, wish=Look(ask.code, ask.period, radius, entrant=entrant), now=ask.now)


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


async def _final(tx: Tx, opened: Sight, found: ScoreList, after: After, limit: int, now: datetime) -> BoardView:
    rankings.forget(tx, list_id=found.id)
    first, limit = await spots.frozen(tx, terms=opened.board.terms(found.id), after=after, limit=limit)
    rows = await sql.list_standings(tx, found.id, limit, after=first)
    lines, as_of = await _standing_lines(tx, found.id, rows), found.final_at or now
    return opened.view(lines, of=found.entrants or 0, version=found.id, as_of=as_of, after=first)


async def _remembered(tx: Tx, opened: Sight, found: ScoreList, wish: Look) -> BoardView:
    """What the last picture of a list says, while its order is loaded; around somebody nothing is known.

    Refuses whoever goes on from a row with Warming: where that stands by now is not known.
    """
    if wish.entrant is not None or not isinstance(wish.after, int):
        return _unordered(opened, wish.after)
    snapshot = await sql.find_snapshot(tx, found.id)
    top = snapshot.top if snapshot else ()
    places = [
        Place(number, each["rank"], each["entrant"], each["score"], 1)
        for number, each in enumerate(top[wish.after : wish.after + wish.limit], wish.after + 1)
    ]
    lines = _lines(places, await names_many(tx, {place.entrant for place in places}), {})
    as_of = snapshot.taken_at if snapshot else None
    view = opened.view(lines, of=len(top), version=0, as_of=as_of, after=wish.after)
    return replace(view, is_stale=True, is_warming=True)


async def names_many(tx: Tx, entrants: Collection[int]) -> Mapping[EntrantId, str]:
    """What these entrants are called where everybody can read it."""
    found = await spellings_many(tx, entrants)
    return await found.named(tx)


@dataclass(frozen=True, slots=True)
class Spellings:
    """What products call some entrants, and which of them are users, who choose for themselves."""

    labels: Mapping[EntrantId, str]
    users: Mapping[EntrantId, UserId]

    async def named(self, tx: Tx) -> Mapping[EntrantId, str]:
        """What they are called."""
        names = await identity.names(tx, ids=self.users.values()) if self.users else {}
        return {**self.labels, **{each: names[user_id] for each, user_id in self.users.items() if user_id in names}}


async def spellings_many(tx: Tx, entrants: Collection[int]) -> Spellings:
    """As whom these entrants stand on boards."""
    numbers, labels, users = await sql.list_spellings(tx, [EntrantId(entrant) for entrant in entrants])
    return Spellings(
        {number: label or showing.STRANGER for number, label in zip(numbers, labels, strict=True)},
        {number: user_id for number, user_id in zip(numbers, users, strict=True) if user_id},
    )


def _lines(places: Sequence[Place], names: Mapping[EntrantId, str], earlier: Mapping[int, int]) -> list[BoardLine]:
    return [
        BoardLine(
            place=place.place,
            rank=place.rank,
            entrant=str(place.entrant),
            name=names[EntrantId(place.entrant)],
            score=place.score,
            ties=place.ties,
            trend=trends.rose_by(place.rank, earlier.get(place.entrant)),
            key=place.key,
        )
        for place in places
    ]


async def _standing_lines(tx: Tx, list_id: ListId, rows: Sequence[Standing]) -> list[BoardLine]:
    ties = await sql.count_ties(tx, list_id, [row.rank for row in rows if row.rank]) if rows else {}
    places = [
        Place(
            *(row.place, row.rank or row.place, row.entrant_id, row.score, ties.get(row.rank or row.place, 1)),
            *(row.subscore, (row.reached_at - EPOCH) // MICROSECOND),
        )
        for row in rows
    ]
    return _lines(places, await names_many(tx, {place.entrant for place in places}), {})


def _number(entrant: str) -> EntrantId | None:
    is_number = entrant.isascii() and entrant.isdigit() and len(entrant) <= ENTRANT_DIGITS_MAX
    return EntrantId(int(entrant)) if is_number else None


EVERYBODY: BoardSource[Tx] = BoardSource("", heads, _top, _around, _my_rank, _ranks_many, _of_users, _of_country)
