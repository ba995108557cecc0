"""Boards and periods: the order in memory says what the tables say, whatever the time and the process."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from palio import affiliates
from palio.affiliates import rules, types
from palio.affiliates.service.orders import Orders, current_order
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.infra.storage import Storage
from palio.kernel.ids import UserId, new_id
from palio.kernel.providers import After, BoardAsk, Spot
from tests.affiliates.conftest import Send
from tests.conftest import SYSTEM
from tests.factories.affiliates import QUARTER, T1, T2, Crowd, body, fixture, ingest, row

MICRO = 1_000_000
NOON = datetime(2025, 4, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def board(
    tx: Tx, programme: types.Programme, key: str = "ALL", *, after: After = 0, limit: int = 200
) -> types.BoardView:
    wanted = types.Wanted(programme.code, key=key)
    return await affiliates.leaderboard(tx, wanted=wanted, now=NOON + 40 * DAY, after=after, limit=limit)


async def close(tx: Tx, programme: types.Programme) -> list[str]:
    """Close everything that is over, in the order in which it is done."""
    closed = []
    while period := await affiliates.close_next(tx, programme_id=programme.id, now=NOON):
        closed.append(period.key)
    return closed


def lines(view: types.BoardView) -> list[tuple[int | None, str, int]]:
    return [(one.rank, one.name, one.wagered_micro) for one in view.rows]


async def test_the_boards_of_the_capture_are_those_that_the_provider_shows(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    await send(fixture("affiliate_snapshot_T1"), T1)
    await send(fixture("affiliate_snapshot_T2"), T2)

    first = {key: await board(tx, programme, key) for key in ("D:2025-03-26", "W:2025-W13", "M:2025-03", "ALL")}
    nobody = await board(tx, programme, "D:2025-03-27")

    assert {key: (view.source, view.rows[0].name, view.rows[0].wagered_micro) for key, view in first.items()} == {
        "D:2025-03-26": ("reported", "pla***", 503_809_659),
        "W:2025-W13": ("reported", "pla***", 5_707_591_426),
        "M:2025-03": ("reported", "pla***", 136_219_502_291),
        "ALL": ("reported", "pla***", 457_433_951_725),
    }
    assert (nobody.source, nobody.rows, nobody.of, nobody.total_micro) == ("computed", (), 0, 0)


async def test_equal_totals_share_a_rank_and_zero_has_none(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 5, name="aa"), row("b", 7, name="bb"), row("c", 7, name="cc"), row("d", 0), row("e", 3)))

    view = await board(tx, programme)

    assert [(one.place, one.rank, one.ties, one.name) for one in view.rows] == [
        (1, 1, 2, "b***"),
        (2, 1, 2, "c***"),
        (3, 3, 1, "a***"),
        (4, 4, 1, "nam***"),
    ]
    assert (view.of, view.total_micro) == (4, 22 * MICRO)
    assert [one.place for one in (await board(tx, programme, after=2, limit=1)).rows] == [3]


DAYS = (datetime(2025, 4, 9, 23, tzinfo=UTC), datetime(2025, 4, 10, 1, tzinfo=UTC), NOON, NOON + DAY, NOON + 2 * DAY)


@pytest.fixture
async def month(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Five snapshots over four days: a plays, b is corrected, c joins, d joins with too much to have joined."""
    for at, rows in zip(
        DAYS,
        (
            [row("a", 100), row("b", 50)],
            [row("a", 110), row("b", 50)],
            [row("a", 130), row("b", 40), row("c", 7), row("d", 20_000)],
            [row("a", 130), row("b", 40), row("c", 9), row("d", 20_001)],
            [row("a", 190), row("b", 40), row("c", 9), row("d", 20_001)],
        ),
        strict=True,
    ):
        await send(body(*rows), at)


SUMS = """
    select p.no, sum(s.delta_micro)::bigint from affiliates.stats s join affiliates.players p on p.id = s.player_id
    where p.programme_id = %s and s.at >= %s and s.at < %s group by p.no having sum(s.delta_micro) <> 0"""
ROWS = """
    select p.no, c.wagered_micro from affiliates.periods c join affiliates.players p on p.id = c.player_id
    where c.programme_id = %s and c.period_key = %s and c.wagered_micro <> 0"""


async def sums(tx: Tx, programme: types.Programme, starts_at: datetime, ends_at: datetime) -> dict[int, int]:
    """What the rows of changes add up to in a span."""
    return dict(await (await tx.execute(SUMS, [programme.id, starts_at, ends_at])).fetchall())


async def test_a_day_that_is_over_is_closed_with_the_sums_of_its_changes(
    tx: Tx, programme: types.Programme, month: None
) -> None:
    assert await close(tx, programme) == ["D:2025-04-09", "D:2025-04-10", "D:2025-04-11"]
    assert await close(tx, programme) == []

    found = await sums(tx, programme, datetime(2025, 4, 10, tzinfo=UTC), datetime(2025, 4, 11, tzinfo=UTC))
    stored = dict(await (await tx.execute(ROWS, [programme.id, "D:2025-04-10"])).fetchall())
    assert found == stored == {0: 30 * MICRO, 1: -10 * MICRO, 2: 7 * MICRO}
    statement = """
        select wagered_micro, corrected_micro, reported_micro, growth_bps, share_bps from affiliates.periods
        where programme_id = %s and player_id = programme_id and period_key = 'D:2025-04-10'"""
    assert await (await tx.execute(statement, [programme.id])).fetchall() == [(27 * MICRO, 10 * MICRO, 0, None, 10_000)]


async def test_every_closed_period_adds_up_to_the_changes_in_it(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Two months with players who join, fall and pause: acceptance 16, its last sentence."""
    crowd = Crowd(30)
    for number in range(90):
        joined = [row(f"new{more}", 3 * number - more) for more in range(number // 9)]
        await send(body(*crowd.rows, *joined), DAYS[0] + number * timedelta(hours=17))
        crowd.play(0.3)

    closed = await close(tx, programme)

    assert (len([key for key in closed if key[0] == "D"]), len([key for key in closed if key[0] == "W"])) == (64, 9)
    assert [key for key in closed if key[0] == "M"] == ["M:2025-04", "M:2025-05"]
    for key in closed:
        period = rules.period_of(key)
        assert period.starts_at and period.ends_at
        stored = dict(await (await tx.execute(ROWS, [programme.id, key])).fetchall())
        assert stored == await sums(tx, programme, period.starts_at, period.ends_at), key


async def test_a_closed_day_keeps_its_board_with_growth_and_share(
    tx: Tx, programme: types.Programme, month: None, send: Send
) -> None:
    await send(body(row("a", 200), row("b", 40), row("c", 11), row("d", 20_001)), NOON + 3 * DAY)
    await close(tx, programme)

    tenth, eleventh = await board(tx, programme, "D:2025-04-10"), await board(tx, programme, "D:2025-04-11")

    assert (tenth.source, tenth.is_final, lines(tenth)) == (
        "computed",
        True,
        [(1, "nam***", 30 * MICRO), (2, "nam***", 7 * MICRO)],
    )
    assert [(one.share_bps, one.growth_bps) for one in tenth.rows] == [(11_111, None), (2_593, None)]
    assert [(one.wagered_micro, one.share_bps, one.growth_bps) for one in eleventh.rows] == [
        (2 * MICRO, 6_667, -7_143),
        (1 * MICRO, 3_333, None),
    ]


async def test_a_closed_period_is_never_changed(database: Database, storage: Storage, code: str) -> None:
    async with database.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
        for number, at in enumerate(DAYS):
            await ingest(tx, programme, body(row("a", 10 * number)), at, storage)
        await close(tx, programme)
    with pytest.raises(Exception, match="it is closed"):
        async with database.begin(SYSTEM) as tx:
            await tx.execute("update affiliates.periods set wagered_micro = 0 where programme_id = %s", [programme.id])


async def test_a_period_that_is_over_and_not_closed_shows_nothing_rather_than_something_wrong(
    tx: Tx, programme: types.Programme, month: None
) -> None:
    view = await board(tx, programme, "D:2025-04-10")

    assert (view.is_warming, view.rows, view.of) == (True, (), 0)


@pytest.mark.parametrize("key", ["D:2025-04-08", "W:2025-W14", "M:2025-03", "D:2199-01-01"])
async def test_periods_without_numbers_are_unknown(tx: Tx, programme: types.Programme, month: None, key: str) -> None:
    with pytest.raises(affiliates.NoSuchPeriod):
        await board(tx, programme, key)


@pytest.mark.parametrize("key", ["D", "D:2025-4-1", "D:2025-02-30", "W:2025-W54", "M:2025-13", "all", "D:٢٠٢٥-04-01"])
async def test_a_key_that_names_no_period_is_refused(tx: Tx, programme: types.Programme, key: str) -> None:
    with pytest.raises(affiliates.BadPeriodKey):
        await board(tx, programme, key)


def expected(changes: dict[int, int]) -> list[int]:
    return sorted((total for total in changes.values() if total > 0), reverse=True)


@pytest.mark.parametrize("place", [2, 3, 4, 5])
async def test_the_total_of_a_period_that_is_on_is_the_sum_of_its_changes(
    tx: Tx, programme: types.Programme, send: Send, place: int
) -> None:
    """By the difference of two counters, from the tables alone, at every hour of a month."""
    crowd = Crowd(60)
    for number in range(place):
        await send(crowd.body(), DAYS[0] + number * timedelta(hours=11))
        crowd.play(0.4)
    at = DAYS[0] + (place - 1) * timedelta(hours=11)

    order = await current_order(tx, programme_id=programme.id, seq=place)

    assert order
    for kind in ("D", "W", "M"):
        period = order.wagers.periods[kind]  # type: ignore[index]
        assert period.starts_at and period.ends_at
        found = await sums(tx, programme, period.starts_at, period.ends_at)
        totals = order.wagers.scores(kind, "computed")  # type: ignore[arg-type]
        assert {no: total for no, total in enumerate(totals) if total} == found, (kind, at)
        assert order.wagers.total(kind, "computed") == sum(found.values())  # type: ignore[arg-type]


def same(one: object, other: object) -> None:
    """Two orders of one snapshot are alike, however each came about."""
    assert one and other
    for kind in types.PERIOD_KINDS:
        assert one.indexes[kind].page(0, 1_000) == other.indexes[kind].page(0, 1_000)  # type: ignore[attr-defined]
    assert one.wagers == other.wagers  # type: ignore[attr-defined]


async def another(database: Database) -> Database:
    """What another process has: the same tables, and a memory of its own."""
    found = Database(database.pool.conninfo)
    await found.pool.open(wait=True)
    return found


async def test_an_order_that_followed_equals_one_that_is_loaded(
    database: Database, storage: Storage, code: str
) -> None:
    """The process that applies moves its own; another one, with a memory of its own, follows the tables."""
    crowd, seen = Crowd(50), list[object]()
    other = await another(database)
    async with database.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
    for number in range(6):
        rows = [*crowd.rows, *(row(f"new{more}", 5 * more + number) for more in range(number))]
        async with database.begin(SYSTEM) as tx:
            await ingest(tx, programme, body(*rows[number:]), DAYS[0] + number * timedelta(hours=9), storage)
        crowd.play(0.3)
        orders = []
        for here in (database, other):
            async with here.begin(SYSTEM) as tx:
                known = db.memory(tx, Orders).find(programme.id)
                orders.append(await current_order(tx, programme_id=programme.id, seq=number + 1))
                seen.append(known and known.wagers.seq)
        same(*orders)
        fresh = await another(database)
        async with fresh.begin(SYSTEM) as tx:
            same(orders[0], await current_order(tx, programme_id=programme.id, seq=number + 1))
        await fresh.pool.close()
    await other.pool.close()
    assert seen[2:] == [2, 1, 3, 2, 4, 3, 5, 4, 6, 5]


async def test_while_somebody_else_loads_the_order_nobody_is_shown_a_rank(
    database: Database, storage: Storage, code: str
) -> None:
    async with database.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
        await ingest(tx, programme, body(row("a", 5)), T1, storage)
    async with database.begin(SYSTEM) as tx:
        db.memory(tx, Orders).in_work.add(programme.id)
        view = await board(tx, programme)
        db.memory(tx, Orders).in_work.remove(programme.id)
        after = await board(tx, programme)

    assert (view.is_warming, view.rows) == (True, ())
    assert (after.is_warming, lines(after)) == (False, [(1, "nam***", 5 * MICRO)])


async def found_by(tx: Tx, programme: types.Programme, text: str) -> Sequence[tuple[int | None, str, int]]:
    view = await affiliates.find_players(tx, wanted=types.Wanted(programme.code), text=text, now=NOON)
    return lines(view)


async def test_a_masked_player_is_found_by_his_whole_name_only(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 5, name="Nightjar"), row("b", 9, name="Nightjar2"), row("c", 0, name="Idle")))

    assert await found_by(tx, programme, "nightJAR") == [(2, "Nig***", 5 * MICRO)]
    assert await found_by(tx, programme, "nightj") == []
    assert await found_by(tx, programme, "idle") == [(None, "I***", 0)]


async def test_a_programme_without_snapshot_is_empty_and_stale(tx: Tx, programme: types.Programme) -> None:
    view = await board(tx, programme)
    assert (view.rows, view.as_of, view.is_stale, view.coverage_from) == ((), None, True, None)
    assert await affiliates.totals(tx, programme=programme.code, now=NOON) is None
    with pytest.raises(affiliates.NoSuchProgramme):
        await affiliates.leaderboard(tx, wanted=types.Wanted("nowhere"), now=NOON)


async def test_a_board_is_stale_after_half_an_hour(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 5)), T1)
    wanted = types.Wanted(programme.code)
    at = [T1 + timedelta(minutes=minutes) for minutes in (29, 31)]
    views = [await affiliates.leaderboard(tx, wanted=wanted, now=now) for now in at]
    assert [(view.is_stale, view.as_of, len(view.rows)) for view in views] == [(False, T1, 1), (True, T1, 1)]


async def test_the_totals_of_a_programme(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(fixture("affiliate_snapshot_T1"), T1)
    await send(fixture("affiliate_snapshot_T2"), T2)
    found = await affiliates.totals(tx, programme=programme.code, now=T2 + QUARTER)
    assert found
    assert (found.players, found.total_users) == (127, None)
    assert found.reported.all_time == 3_019_398_273_349
    assert [(one.period.key, one.total_micro) for one in found.boards] == [
        ("D:2025-03-26", found.reported.today),
        ("W:2025-W13", found.reported.week),
        ("M:2025-03", found.reported.month),
        ("ALL", found.reported.all_time),
    ]


async def test_a_board_is_served_like_those_of_other_modules(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance of the seam: top, around and ranks say the same, and what does not exist is None."""
    source = affiliates.WAGER_BOARDS
    await send(body(*(row(f"u{n}", n, name=f"player {n}") for n in range(10))))
    ask = BoardAsk(f"wager:{programme.code}", "all", NOON)

    top = await source.top(tx, ask, 0, 3)
    assert top
    third = top.lines[2]
    around = await source.around(tx, ask, third.entrant, 1)
    ranks = await source.ranks_many(tx, ask, [third.entrant, str(new_id()), "nobody"])

    assert [(one.place, one.score) for one in top.lines] == [(1, 9 * MICRO), (2, 8 * MICRO), (3, 7 * MICRO)]
    assert (top.head.code, top.of, top.version, top.period.key) == (ask.code, 9, 1, "ALL")
    assert around and [one.place for one in around.lines] == [2, 3, 4]
    assert ranks == {third.entrant: third}
    for code, period in ((f"wager:{programme.code}", "weekend"), ("wager:nowhere", "all"), (ask.code, "D:2020-01-01")):
        assert await source.top(tx, BoardAsk(code, period, NOON), 0, 1) is None
    assert await source.my_rank(tx, ask, new_id()) is None
    assert await source.around(tx, ask, str(new_id()), 1) is None


async def test_a_board_is_read_to_its_end_while_others_overtake(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Between two pages the last becomes the first; by number the reader would meet somebody again."""
    await send(body(*(row(f"u{n}", n, name=f"player {n}") for n in range(1, 7))))
    first = await board(tx, programme, limit=3)
    await send(body(*(row(f"u{n}", 60 if n == 1 else n, name=f"player {n}") for n in range(1, 7))), T2)
    rest = await board(tx, programme, after=Spot(first.rows[-1].key))
    back = await board(tx, programme, after=Spot(rest.rows[0].key, is_back=True), limit=2)

    assert [one.wagered_micro // MICRO for one in (*first.rows, *rest.rows)] == [6, 5, 4, 3, 2]
    assert (rest.after, rest.of) == (4, 6)
    assert [one.wagered_micro // MICRO for one in back.rows] == [5, 4]


async def test_friends_are_found_by_their_links_and_ranked_among_themselves(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    await send(body(*(row(f"u{n}", n // 2, name=f"player {n}") for n in range(2, 10))))
    users = [UserId(new_id()) for _ in range(4)]
    for uid, user_id in zip(("u9", "u5", "u4"), users, strict=False):
        await db.run(
            tx,
            """
            insert into affiliates.links (id, programme_id, player_id, user_id, state, proof, linked_at)
            select %s, programme_id, id, %s, 'active', 'staff', '2025-03-26T00:00:00Z'
            from affiliates.players where programme_id = %s and uid = %s""",
            *(new_id(), user_id, programme.id, uid),
        )
    source, ask = affiliates.WAGER_BOARDS, BoardAsk(f"wager:{programme.code}", "all", NOON)
    assert source.of_users

    view = await source.of_users(tx, ask, users, 0, 2)
    rest = await source.of_users(tx, ask, users, Spot(view.lines[-1].key), 2) if view else None
    nobody = await source.of_users(tx, ask, users[3:], 0, 2)

    assert view and rest and nobody
    assert [(one.rank, one.among, one.ties) for one in (*view.lines, *rest.lines)] == [(1, 1, 2), (5, 2, 2), (5, 2, 2)]
    assert [(one.of, one.after) for one in (view, rest, nobody)] == [(3, 0), (3, 2), (0, 0)]
    assert await source.of_users(tx, BoardAsk(ask.code, "weekend", NOON), users, 0, 2) is None
