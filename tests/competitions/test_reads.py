"""Boards are read in pages, and a page shows what the whole board shows there."""

from datetime import datetime

import pytest

from palio import competitions
from palio.competitions.types import BoardRow, CompetitionId, EntrantId
from palio.infra.db import Tx
from tests.factories.competitions import HOUR, enter, live, score, settle

TIED = range(86, 116)  # thirty places across the border of the first hundred
SCORES = [5000 - 3 * place if place not in TIED else 5000 - 3 * 86 for place in range(1, 251)]


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
    ahead = [await competitions.place_of(tx, competition_id=competition_id, entrant_id=one) for one in entrants]
    await settle(tx, competition_id, noon + 6 * HOUR)
    after = [await competitions.place_of(tx, competition_id=competition_id, entrant_id=one) for one in entrants]
    known = await competitions.entrants_many(tx, [*entrants, EntrantId(2**60)])

    assert ahead == after == [1, 3, 2]
    assert await competitions.place_of(tx, competition_id=other, entrant_id=entrants[0]) is None
    assert known.keys() == set(entrants) and known[entrants[0]].entrant_id == entrants[0]
