"""A rehearsal equals the race, and writes nothing."""

from datetime import timedelta

import pytest

from palio import competitions, races
from palio.infra import db
from palio.infra.db import Tx
from palio.races.types import NewRace
from tests.factories.races import DEFAULT, Feed, at, feed, race, run, setup_r


def spec(source: Feed, **changes: object) -> NewRace:
    plain: dict[str, object] = {
        "title": "Spring race",
        "programme": source.code,
        "starts_at": at("08:30:00"),
        "ends_at": at("20:00:00"),
        "pool_asset": "USD",
        "pool": 50_000,
        "prize_rule": races.by_place(DEFAULT),
        "min_wager_micro": 0,
    }
    return NewRace(**{**plain, **changes})  # type: ignore[arg-type]  # the caller names fields


async def written(tx: Tx) -> list[int]:
    tables = ("races.races", "competitions.competitions", "competitions.receipts", "ledger.entries", "races.baselines")
    return [
        await db.value(
            tx, "select sum(n_tup_ins) from pg_stat_xact_user_tables where schemaname || '.' || relname = %s", table
        )
        for table in tables
    ]


@pytest.mark.parametrize("minimum", [0, 10_000_000, 12_506_379])
async def test_a_rehearsal_equals_the_race_and_writes_nothing(tx: Tx, minimum: int) -> None:
    source, made = await setup_r(tx, min_wager_micro=minimum)
    before = await written(tx)
    done = await races.rehearse(tx, new=spec(source, min_wager_micro=minimum))
    assert await written(tx) == before
    await run(tx, at("20:30:00"))
    lines = await races.lines(tx, number=made.number)
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    assert [(line.place, line.rank, line.uid, line.name, line.total_micro, line.prize) for line in done.lines] == [
        (line.place, line.rank, line.uid, line.name, line.total_micro, line.prize) for line in lines
    ]
    assert (done.start, done.final, done.start_state, done.final_state) == (shown.start, shown.final, "exact", "exact")
    assert (done.qualified, done.undistributed) == (shown.qualified, shown.undistributed)


async def test_newcomers_falls_doubts_and_ties_are_rehearsed_as_they_are_counted(tx: Tx) -> None:
    source = await feed(tx)
    await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "50", "odd": "-1", "low": "9"})
    made = await race(tx, source, at("08:25:00"))
    await source.show(tx, at("10:00:00"), {"ann": "130", "bob": "80", "odd": "75", "new": "30", "low": "5"})
    await source.show(tx, at("11:00:00"), {"ann": "120", "bob": "80", "odd": "80", "new": "30", "low": "7"})
    await source.show(tx, at("20:20:00"), {"ann": "130", "bob": "80", "odd": "80", "new": "30", "low": "7"})
    await run(tx, at("20:20:00"))
    done = await races.rehearse(tx, new=spec(source))
    lines = await races.lines(tx, number=made.number)
    assert [(line.rank, line.uid, line.total_micro, line.prize) for line in done.lines] == [
        (line.rank, line.uid, line.total_micro, line.prize) for line in lines
    ]
    assert [line.rank for line in lines] == [1, 1, 1, 4]


async def test_a_chained_rehearsal_begins_where_its_neighbour_closes(tx: Tx) -> None:
    source = await feed(tx)
    for clock, total in (("08:25:00", "100"), ("08:50:00", "110"), ("20:20:00", "150")):
        await source.show(tx, at(clock), {"ann": total})
    plain = await races.rehearse(tx, new=spec(source))
    chained = await races.rehearse(tx, new=spec(source), chained=True)
    assert [plain.lines[0].total_micro, chained.lines[0].total_micro] == [50_000_000, 40_000_000]


async def test_without_snapshots_or_with_wrong_prizes_nothing_is_rehearsed(tx: Tx) -> None:
    source = await feed(tx)
    with pytest.raises(races.NoPicture):
        await races.rehearse(tx, new=spec(source))
    await source.show(tx, at("08:25:00"), {"ann": "100"})
    with pytest.raises(races.NoPicture):
        await races.rehearse(tx, new=spec(source))
    await source.show(tx, at("20:20:00"), {"ann": "150"})
    with pytest.raises(competitions.PrizeSum):
        await races.rehearse(tx, new=spec(source, prize_rule=races.by_place([5000])))
    with pytest.raises(races.WindowInvalid):
        await races.rehearse(tx, new=spec(source, ends_at=at("08:30:00") + timedelta(minutes=1)))
