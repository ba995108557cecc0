"""Boards are read in pages, and a page shows what the whole board shows there."""

from datetime import datetime

import pytest

from palio import competitions
from palio.competitions.service import rankings as service
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import BoardRow, CompetitionId, EntrantId, ListId
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import HOUR, enter, live, score, settle

SYSTEM = Actor("system", None, RequestId(new_id()))
TIED = range(86, 116)  # thirty places across the border of the first hundred
SCORES = [5000 - 3 * place if place not in TIED else 5000 - 3 * 86 for place in range(1, 251)]


async def place_of(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> int | None:
    competition = await competitions.get(tx, competition_id=competition_id)
    found = await competitions.nearby(tx, competition=competition, entrant_id=entrant_id, radius=0, now=clock.now())
    return found.row.standing.place if found else None


async def pages(tx: Tx, competition_id: CompetitionId, size: int) -> list[list[BoardRow]]:
    return [
        list((await competitions.top(tx, competition_id=competition_id, limit=size, after=after)).rows)
        for after in range(0, 250, size)
    ]


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_tie_across_the_border_of_a_page_keeps_its_rank(tx: Tx, noon: datetime, *, is_frozen: bool) -> None:
    """250 entrants, thirty of them level across place 100, in pages of 100."""
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 250, noon)
    await score(tx, competition_id, entrants, SCORES, noon)
    if is_frozen:
        await settle(tx, competition_id, noon + 6 * HOUR)

    found = await pages(tx, competition_id, 100)
    whole = (await competitions.top(tx, competition_id=competition_id, limit=250)).rows

    assert [len(page) for page in found] == [100, 100, 50]
    assert [row.standing.place for page in found for row in page] == [*range(1, 251)]
    assert {row.standing.rank for page in found for row in page if row.standing.place in TIED} == {86}
    assert found[1][15].standing.rank == 116
    assert [row for page in found for row in page] == list(whole)


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_page_that_begins_within_a_paid_tie_shows_its_prizes(
    tx: Tx, noon: datetime, *, is_frozen: bool
) -> None:
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 5, noon)
    await score(tx, competition_id, entrants, [9, 7, 7, 7, 5], noon)
    if is_frozen:
        await settle(tx, competition_id, noon + 6 * HOUR)

    rows = (await competitions.top(tx, competition_id=competition_id, limit=2, after=3)).rows

    assert [(row.standing.place, row.standing.rank, row.prize) for row in rows] == [(4, 2, 1666), (5, 5, 0)]


async def test_an_entrant_is_found_by_place_and_by_name(tx: Tx, noon: datetime) -> None:
    """Live and frozen; nobody has a place where he never entered."""
    competition_id, other = await live(tx, noon), await live(tx, noon)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [9, 7, 8], noon)
    ahead = [await place_of(tx, competition_id, one) for one in entrants]
    await settle(tx, competition_id, noon + 6 * HOUR)
    after = [await place_of(tx, competition_id, one) for one in entrants]
    known = await competitions.entrants_many(tx, [*entrants, EntrantId(2**60)])

    assert ahead == after == [1, 3, 2]
    assert await place_of(tx, other, entrants[0]) is None
    assert known.keys() == set(entrants) and known[entrants[0]].entrant_id == entrants[0]


@pytest.mark.parametrize("direction", ["desc", "asc"])
@pytest.mark.parametrize("tie_rule", ["share", "earliest"])
@pytest.mark.parametrize(("min_score", "allow_nonpositive"), [(0, False), (0, True), (5, False), (-3, True)])
async def test_a_live_board_is_what_the_freeze_would_write(
    tx: Tx, noon: datetime, direction: str, tie_rule: str, min_score: int, *, allow_nonpositive: bool
) -> None:
    """Whoever does not qualify stands below everybody who does, whichever way scores are read."""
    terms = {"direction": direction, "tie_rule": tie_rule, "min_score": min_score}
    competition_id = await live(tx, noon, **terms, allow_nonpositive=allow_nonpositive)
    entrants = await enter(tx, competition_id, 12, noon)
    await score(tx, competition_id, entrants, [7, 7, 0, 5, 4, -1, 9, 7, 5, -4, 0, 12], noon)

    board = await competitions.top(tx, competition_id=competition_id, limit=20)
    places = [await place_of(tx, competition_id, one) for one in entrants]
    await settle(tx, competition_id, noon + 6 * HOUR)
    frozen = await competitions.standings(tx, competition_id=competition_id, limit=20)
    counted = await competitions.top(tx, competition_id=competition_id, limit=20)

    assert [row.standing for row in board.rows] == frozen
    assert places == [next(row.place for row in frozen if row.entrant_id == one) for one in entrants]
    assert (board.entrants, board.qualified) == (12, sum(row.rank is not None for row in frozen))
    assert (counted.entrants, counted.qualified) == (board.entrants, board.qualified)
    assert [row.prize for row in board.rows] == [row.prize for row in counted.rows]


async def test_memory_is_for_the_lists_read_last(database: Database, noon: datetime) -> None:
    """A list that was left is loaded anew; the one read last stays whatever its size."""
    rankings = Rankings()
    async with database.begin(SYSTEM) as tx:
        for number in range(1, 4):
            competition_id = await live(tx, noon)
            await score(tx, competition_id, await enter(tx, competition_id, 4, noon), [4, 3, 2, 1], noon)
            competition = await competitions.get(tx, competition_id=competition_id)
            rankings.of(ListId(number)).live = await service.live(tx, terms=competition.terms)
    rankings.of(ListId(1))
    rankings.shrink(8)
    kept = {number: rankings.of(ListId(number)).live is not None for number in (1, 2, 3)}
    rankings.shrink(0)

    assert kept == {1: True, 2: False, 3: True}
    assert rankings.of(ListId(3)).live is not None and rankings.of(ListId(1)).live is None
