"""Boards of a programme: who wagered how much in a day, week, month, or ever."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from palio import competitions
from palio.affiliates import rules, sql
from palio.affiliates.errors import NoSuchPeriod, NoSuchProgramme
from palio.affiliates.service.naming import names_of, users_of
from palio.affiliates.service.orders import Order, current_order, past
from palio.affiliates.types import (
    BOARD_SOURCE,
    PERIOD_KINDS,
    PLACEHOLDER_NAMES,
    STALE_AFTER_S,
    BoardPlayer,
    BoardRow,
    BoardView,
    PlayerId,
    ProgrammeHead,
    ProgrammeStatus,
    ProgrammeTotals,
    Wanted,
)
from palio.competitions import RankIndex
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.providers import After

PROGRAMMES_MAX = 1_000
FOUND_MAX = 20
LEAD = 3  # how many are shown above whoever was found
LAST_CHARACTER = chr(0x10FFFF)


async def programmes(tx: Tx) -> list[ProgrammeStatus]:
    """Every programme and how far it has been read, the default one first."""
    heads = await sql.list_heads(tx, PROGRAMMES_MAX)
    return [await sql.get_status(tx, head.id, settings.value(STALE_AFTER_S)) for head in heads]


async def leaderboard(tx: Tx, *, wanted: Wanted, now: datetime, after: After = 0, limit: int = 100) -> BoardView:
    """At most `limit` rows of a board, behind a place or beside a row. A deployment without a programme has none.

    Refuses with NoSuchProgramme, BadPeriodKey, NoSuchPeriod.
    """
    view, index = await _opened(tx, wanted, now)
    if view.programme is None or index is None:
        return view
    passed, limit = index.span(after, limit)
    rows = await _rows(tx, view, index.page(passed, limit))
    return replace(view, rows=tuple(rows), after=passed)


async def around(tx: Tx, *, wanted: Wanted, player_id: PlayerId, radius: int, now: datetime) -> BoardView | None:
    """The rows around a player; None if he does not stand there. Refuses as `leaderboard`."""
    view, index = await _opened(tx, wanted, now)
    (number,) = await _numbers(tx, view, [player_id]) or (None,)
    if index is None or number is None:
        return None
    places = index.around(number, radius)
    rows = await _rows(tx, view, places)
    return replace(view, rows=tuple(rows), after=places[0].place - 1) if places else None


async def standings_of(tx: Tx, *, wanted: Wanted, player_ids: Sequence[PlayerId], now: datetime) -> BoardView:
    """The rows of some players, by place; who does not stand there is left out. Refuses as `leaderboard`."""
    view, index = await _opened(tx, wanted, now)
    numbers = await _numbers(tx, view, player_ids)
    if index is None or not numbers:
        return view
    places = sorted(index.places_many(numbers).values())
    return replace(view, rows=tuple(await _rows(tx, view, places)))


async def of_players(
    tx: Tx, *, wanted: Wanted, player_ids: Sequence[PlayerId], now: datetime, after: After, limit: int
) -> BoardView:
    """A part of the board that has only these players, with their ranks among each other. Refuses as `leaderboard`."""
    view, index = await _opened(tx, wanted, now)
    numbers = await _numbers(tx, view, player_ids)
    if index is None or not numbers:
        return replace(view, of=0)
    places = sorted(index.places_many(numbers).values())
    first, limit = competitions.among(index, places, after, limit)
    ranks = [place.rank for place in places]
    rows = await _rows(tx, view, places[first : first + limit])
    numbered = tuple(replace(row, among=bisect_left(ranks, row.rank or 0) + 1) for row in rows)
    return replace(view, rows=numbered, of=len(places), after=first)


async def _numbers(tx: Tx, view: BoardView, player_ids: Sequence[PlayerId]) -> list[int]:
    """The numbers of those who belong to the programme."""
    if view.programme is None or not player_ids:
        return []
    found = await sql.list_players(tx, player_ids)
    return [player.no for player in found if player.programme_id == view.programme.id]


async def find_players(tx: Tx, *, wanted: Wanted, text: str, now: datetime) -> BoardView:
    """Players by name with their places on a board, at most 20; who has wagered nothing there has none.

    A masked name is only found by the whole of it, so that nobody can guess it letter by letter, and a hidden one not
    at all; a linked player only if the name that he chose fits too. Refuses as `leaderboard`.
    """
    view, index = await _opened(tx, wanted, now)
    key = rules.name_key(text)
    if view.programme is None or not key:
        return view
    named = await sql.list_named(tx, view.programme.id, key, key + LAST_CHARACTER, limit=10 * FOUND_MAX)
    names, users = await names_of(tx, players=named), await users_of(tx, players=named)
    found = [player for player in named if _may_find(player, names[player.id], key, is_linked=player.id in users)]
    shown = found[:FOUND_MAX]
    near = index.around_many([player.no for player in shown], LEAD + 1) if index else [[] for _ in shown]
    rows = [
        _led(_row(view, player, _own(places, player), names[player.id]), places)
        for player, places in zip(shown, near, strict=True)
    ]
    return replace(view, rows=tuple(rows))


def _own(places: Sequence[competitions.Place], player: BoardPlayer) -> competitions.Place | None:
    return next((place for place in places if place.entrant == player.no), None)


def _led(row: BoardRow, places: Sequence[competitions.Place]) -> BoardRow:
    """The row with what stands so many places above it that a few of them are seen with it."""
    is_far_down = row.place is not None and row.place > LEAD + 1
    return replace(row, lead=places[0].key) if is_far_down else row


def _may_find(player: BoardPlayer, shown: str, key: str, *, is_linked: bool) -> bool:
    if is_linked:
        return (rules.name_key(shown) or "").startswith(key)
    kind = rules.shown(settings.value(PLACEHOLDER_NAMES), is_hidden=player.name_hidden)
    return kind == "full" or (kind == "masked" and rules.name_key(player.name) == key)


async def totals(tx: Tx, *, programme: str | None, now: datetime) -> ProgrammeTotals | None:
    """What a programme adds up to; None before its first snapshot. Refuses with NoSuchProgramme."""
    head = await head_of(tx, code=programme)
    sums = await sql.find_last_sums(tx, head.id) if head else None
    if head is None or sums is None:
        return None
    boards = [(await _opened(tx, Wanted(programme, kind), now))[0] for kind in PERIOD_KINDS]
    players, total_users, reported = sums
    status = await sql.get_status(tx, head.id, settings.value(STALE_AFTER_S))
    return ProgrammeTotals(status, players, total_users, reported, tuple(boards))


async def head_of(tx: Tx, *, code: str | None) -> ProgrammeHead | None:
    """The programme of a code, or the default one; None if there is none at all. Refuses with NoSuchProgramme."""
    heads = await sql.list_heads(tx, PROGRAMMES_MAX)
    found = next((head for head in heads if code in {None, head.code}), None)
    if found is None and code is not None:
        raise NoSuchProgramme(programme=code)
    return found


async def _opened(tx: Tx, wanted: Wanted, now: datetime) -> tuple[BoardView, RankIndex | None]:
    """What is known of a board beside its rows, and its order: None if nobody stands there or it is not known."""
    period = rules.period_of(wanted.key) if wanted.key else rules.period_at(wanted.kind, now)
    head = await head_of(tx, code=wanted.programme)
    status = await sql.get_status(tx, head.id, settings.value(STALE_AFTER_S)) if head else None
    view = BoardView(status, period, "reported" if period.kind == "ALL" else "computed")
    if period.starts_at and period.starts_at > now:
        raise NoSuchPeriod(key=period.key)
    if status is None or status.as_of is None:
        return view, None
    order = await current_order(tx, programme_id=status.id, seq=status.seq)
    if order is None:
        return replace(view, as_of=status.as_of, is_stale=status.is_stale(now), is_warming=True), None
    return await _placed(tx, view, order, now)


async def _placed(tx: Tx, view: BoardView, order: Order, now: datetime) -> tuple[BoardView, RankIndex | None]:
    wagers, period, status = order.wagers, view.period, view.programme
    assert status  # noqa: S101 - it has an order
    source = rules.source_of(period, wagers.began_at, settings.value(BOARD_SOURCE))
    view = replace(
        view,
        source=source,
        as_of=wagers.as_of,
        is_stale=replace(status, as_of=wagers.as_of).is_stale(now),
        coverage_from=max(wagers.began_at, period.starts_at or wagers.began_at),
        has_earlier=period.starts_at is not None and period.starts_at > wagers.began_at,
    )
    if wagers.periods[period.kind] == period:
        index = order.indexes[period.kind]
        return replace(
            view, source=order.sources[period.kind], of=len(index), total_micro=order.total(period.kind)
        ), index
    if period.starts_at and period.starts_at > wagers.fetched_at:
        return replace(view, coverage_from=period.starts_at), None
    if period.ends_at and period.ends_at <= wagers.began_at:
        raise NoSuchPeriod(key=period.key)
    closed = await past(tx, programme_id=status.id, key=period.key, source=source)
    if closed is None:
        return replace(view, is_warming=True), None
    index = closed.index
    return replace(view, of=len(index), total_micro=closed.total, is_final=True, is_stale=False), index


async def _rows(tx: Tx, view: BoardView, places: Sequence[competitions.Place]) -> list[BoardRow]:
    assert view.programme  # noqa: S101 - somebody stands there
    found = await sql.list_board_players(tx, view.programme.id, [place.entrant for place in places], view.period.key)
    players, names = {player.no: player for player in found}, await names_of(tx, players=found)
    return [_row(view, players[place.entrant], place, names[players[place.entrant].id]) for place in places]


def _row(view: BoardView, player: BoardPlayer, place: competitions.Place | None, name: str) -> BoardRow:
    score = place.score if place else 0
    share = player.share_bps if view.is_final else None
    return BoardRow(
        place=place.place if place else None,
        rank=place.rank if place else None,
        ties=place.ties if place else 1,
        player_id=player.id,
        name=name,
        wagered_micro=score,
        growth_bps=player.growth_bps,
        share_bps=rules.share_bps(score, view.total_micro) if share is None else share,
        key=place.key if place else (),
    )
