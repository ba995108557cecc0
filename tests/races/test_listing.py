"""Lists of races go by when they end, whatever their numbers, in parts in either direction."""

from datetime import datetime

from palio import races
from palio.infra.db import Tx
from palio.races.types import Part, RaceLine, Wanted
from tests.factories.races import T1, at, feed, race


def key(line: RaceLine) -> tuple[datetime, int]:
    return line.ends_at, line.number


async def test_a_race_that_was_made_up_for_later_stands_where_it_ended(tx: Tx) -> None:
    """Three races: of two that end at once the later number is first; the one made last ended before them."""
    source, now = await feed(tx), at("12:00:00")
    await source.take(tx, T1, at("08:21:15"))
    first = await race(tx, source, now)
    level = await race(tx, source, now)
    made_up = await race(tx, source, now, ends_at=at("19:00:00"))
    wanted = Wanted(programme=source.code)

    whole = (await races.listed(tx, wanted=wanted, part=Part(10))).rows
    top = await races.listed(tx, wanted=wanted, part=Part(1))
    older = await races.listed(tx, wanted=wanted, part=Part(1, older_than=key(top.rows[0])))
    last = await races.listed(tx, wanted=wanted, part=Part(1, older_than=key(older.rows[0])))
    back = await races.listed(tx, wanted=wanted, part=Part(1, newer_than=key(last.rows[0])))

    assert [line.number for line in whole] == [level.number, first.number, made_up.number]
    assert [part.rows for part in (top, older, last)] == [(line,) for line in whole]
    assert [(part.has_newer, part.has_older) for part in (top, older, last)] == [
        (False, True),
        (True, True),
        (True, False),
    ]
    assert back == (older.rows, True, True)
