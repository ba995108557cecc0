"""Boards of everybody: lists by period, made when somebody scores, final when their time is over."""

from datetime import UTC, date, datetime, timedelta

import pytest

from palio import competitions
from palio.competitions.service import boards
from palio.competitions.types import Counted, EntrantId, NewBoard, NewEntrant, Refused, Submission
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.providers import BoardAsk, BoardLine

WEDNESDAY = datetime(2026, 3, 18, 9, tzinfo=UTC)


async def people(tx: Tx, count: int) -> list[EntrantId]:
    new = [NewEntrant("player", f"walker-{n}", None, f"Walker {n}") for n in range(count)]
    return await competitions.enter_many(tx, new)


def steps(entrant: EntrantId, delta: int, key: str, day: date) -> Submission:
    return Submission(None, entrant, delta, key, None, board="steps", day=day)


async def lines(tx: Tx, code: str, period: str, now: datetime) -> list[tuple[int, str, int]]:
    view = await competitions.EVERYBODY.top(tx, BoardAsk(code, period, now), 0, 100)
    assert view is not None
    return [(line.rank, line.name, line.score) for line in view.lines]


async def test_the_boards_of_every_deployment_are_there(tx: Tx) -> None:
    heads = {head.code: head for head in await competitions.EVERYBODY.heads(tx)}

    assert {"quest_points", "steps", "game_pnl"} <= heads.keys()
    assert heads["steps"].periods == ("today", "week", "month", "all")
    assert heads["game_pnl"].scale == 2


async def test_one_score_counts_on_the_lists_of_its_day_week_month_and_of_all_time(tx: Tx) -> None:
    anna, bert = await people(tx, 2)
    items = [
        steps(anna, 4_000, "a1", date(2026, 3, 17)),
        steps(anna, 5_000, "a2", date(2026, 3, 18)),
        steps(bert, 6_000, "b1", date(2026, 3, 18)),
        steps(bert, 1_000, "b2", date(2026, 2, 27)),
    ]

    first, second, third, fourth = await competitions.submit_many(tx, items, now=WEDNESDAY)

    assert isinstance(second, Counted) and isinstance(fourth, Counted)
    assert {each.period_key: each.score for each in second.lists} == {
        "D:2026-03-18": 5_000,
        "W:2026-W12": 9_000,
        "M:2026-03": 9_000,
        "ALL": 9_000,
    }
    assert (fourth.score, fourth.skipped) == (7_000, ("D:2026-02-27", "W:2026-W09", "M:2026-02"))
    assert await lines(tx, "steps", "today", WEDNESDAY) == [(1, "Walker 1", 6_000), (2, "Walker 0", 5_000)]
    assert await lines(tx, "steps", "week", WEDNESDAY) == [(1, "Walker 0", 9_000), (2, "Walker 1", 6_000)]
    assert await lines(tx, "steps", "all", WEDNESDAY) == [(1, "Walker 0", 9_000), (2, "Walker 1", 7_000)]
    assert first == Counted(9_000, replayed=False) and third == Counted(7_000, replayed=False)


async def test_a_day_of_steps_takes_scores_until_two_days_after_it_has_ended_everywhere(tx: Tx) -> None:
    """At 11:59:59 it counts, at 12:00:00 the list is final and is skipped, while all time counts it."""
    (anna,) = await people(tx, 1)
    day, end = date(2026, 3, 18), datetime(2026, 3, 21, 12, tzinfo=UTC)

    (before,) = await competitions.submit_many(tx, [steps(anna, 10, "k1", day)], now=end - timedelta(seconds=1))
    (after,) = await competitions.submit_many(tx, [steps(anna, 5, "k2", day)], now=end)

    assert before == Counted(10, replayed=False)
    assert after == Counted(15, replayed=False, skipped=("D:2026-03-18",))
    assert await lines(tx, "steps", "D:2026-03-18", end) == [(1, "Walker 0", 10)]
    assert await lines(tx, "steps", "ALL", end) == [(1, "Walker 0", 15)]


async def test_a_score_says_when_or_on_which_day_and_a_key_counts_once_for_each(tx: Tx) -> None:
    """With both, one instant could stand on two days; another instant under the same key is another event."""
    (anna,) = await people(tx, 1)
    day, other = date(2026, 3, 17), date(2026, 3, 16)
    both = Submission(None, anna, 5, "k", WEDNESDAY, board="steps", day=day)
    neither = Submission(None, anna, 5, "k", None, board="steps")
    for wrong in (both, neither):
        (refused,) = await competitions.submit_many(tx, [wrong], now=WEDNESDAY)
        assert isinstance(refused, Refused) and refused.code == "competitions.invalid"

    sent = [steps(anna, 5, "k", day), steps(anna, 5, "k", day), steps(anna, 5, "k", other)]
    outcomes = await competitions.submit_many(tx, sent, now=WEDNESDAY)
    assert [isinstance(one, Counted) and (one.replayed, one.score) for one in outcomes] == [
        (False, 10),
        (True, 10),
        (False, 10),
    ]


async def test_a_board_without_all_time_refuses_what_comes_too_late(tx: Tx) -> None:
    await competitions.ensure_board(tx, new=NewBoard("test.days", "Days", "points", periods=("D",)))
    (anna,) = await people(tx, 1)
    item = Submission(None, anna, 5, "k", WEDNESDAY, board="test.days")

    (outcome,) = await competitions.submit_many(tx, [item], now=datetime(2026, 3, 19, tzinfo=UTC))

    assert outcome == Refused("competitions.list_final", {"periods": ["D:2026-03-18"]})
    assert await db.value(tx, "select count(*) from competitions.receipts where entrant_id = %s", anna) == 0


async def test_a_list_that_is_over_is_written_down_and_stays_as_it_was(tx: Tx) -> None:
    anna, bert, cleo = await people(tx, 3)
    items = [steps(who, n, f"k{who}", date(2026, 3, 18)) for who, n in ((anna, 10), (bert, 30), (cleo, 10))]
    await competitions.submit_many(tx, items, now=WEDNESDAY)
    end = datetime(2026, 3, 21, 12, tzinfo=UTC)
    ask = BoardAsk("steps", "D:2026-03-18", end)
    live = await competitions.EVERYBODY.top(tx, ask, 0, 10)

    assert await competitions.close_list(tx, now=end - timedelta(seconds=1)) is False
    assert await competitions.close_list(tx, now=end) is True
    assert await competitions.close_list(tx, now=end) is False

    final = await competitions.EVERYBODY.top(tx, ask, 0, 10)
    assert live is not None and final is not None
    assert (final.lines, final.of, final.period.is_final) == (live.lines, 3, True)
    assert [(line.rank, line.place, line.ties) for line in final.lines] == [(1, 1, 1), (2, 2, 2), (2, 3, 2)]
    digest = "select kind, length(digest), jsonb_array_length(top) from competitions.snapshots where kind = 'final'"
    assert await (await tx.execute(digest)).fetchall() == [("final", 32, 3)]
    (late,) = await competitions.submit_many(tx, [steps(anna, 99, "late", date(2026, 3, 18))], now=WEDNESDAY)
    assert isinstance(late, Counted)
    assert late.skipped == ("D:2026-03-18",)
    around = await competitions.EVERYBODY.around(tx, ask, str(cleo), 1)
    assert around is not None
    assert [line.entrant for line in around.lines] == [str(anna), str(cleo)]


async def test_a_board_that_works_otherwise_is_not_renamed_into_another(tx: Tx) -> None:
    plain = NewBoard("test.board", "Test", "points")
    await competitions.ensure_board(tx, new=plain)
    renamed = await competitions.ensure_board(tx, new=NewBoard("test.board", "Better", "points", final_after_h=6))

    assert (renamed.title, renamed.final_after_h) == ("Better", 6)
    with pytest.raises(competitions.BoardDiffers):
        await competitions.ensure_board(tx, new=NewBoard("test.board", "Test", "points", op="best"))


async def test_unknown_boards_people_and_days_to_come_are_refused(tx: Tx) -> None:
    (anna,) = await people(tx, 1)
    items = [
        Submission(None, anna, 5, "k", WEDNESDAY, board="nothing"),
        Submission(None, EntrantId(anna + 1_000), 5, "k", WEDNESDAY, board="quest_points"),
        steps(anna, 5, "k", date(2026, 3, 20)),
        Submission(None, anna, 5, "k", WEDNESDAY + timedelta(hours=2, minutes=6), board="quest_points"),
        steps(anna, 5, "k", date(2026, 3, 19)),
    ]
    eleven = datetime(2026, 3, 18, 11, tzinfo=UTC)  # where a day begins first it is the 19th already

    outcomes = await competitions.submit_many(tx, items, now=eleven)

    codes = [outcome.code if isinstance(outcome, Refused) else None for outcome in outcomes]
    assert codes == [
        *("competitions.no_such_board", "competitions.no_such_entrant", "competitions.outside_window"),
        *("competitions.outside_window", None),
    ]


async def test_a_period_to_come_and_an_unknown_one_do_not_exist_and_an_empty_one_is_empty(tx: Tx) -> None:
    top = competitions.EVERYBODY.top

    assert await top(tx, BoardAsk("steps", "D:2026-03-19", WEDNESDAY), 0, 10) is None
    assert await top(tx, BoardAsk("steps", "WE:2026-W12", WEDNESDAY), 0, 10) is None
    assert await top(tx, BoardAsk("steps", "yesterday", WEDNESDAY), 0, 10) is None
    assert await top(tx, BoardAsk("nothing", "ALL", WEDNESDAY), 0, 10) is None
    empty = await top(tx, BoardAsk("steps", "D:2026-03-17", WEDNESDAY), 0, 10)
    assert empty is not None
    assert (empty.lines, empty.of) == ((), 0)


async def test_yesterdays_five_are_one_of_one_today(tx: Tx) -> None:
    five = await people(tx, 5)
    yesterday = [steps(who, 10 + n, "y", date(2026, 3, 17)) for n, who in enumerate(five)]
    await competitions.submit_many(tx, [*yesterday, steps(five[0], 1, "t", date(2026, 3, 18))], now=WEDNESDAY)
    ask = BoardAsk("steps", "today", WEDNESDAY)

    view = await competitions.EVERYBODY.top(tx, ask, 0, 10)
    found = await competitions.EVERYBODY.ranks_many(tx, ask, [str(who) for who in five])

    assert view is not None and found is not None
    assert view.of == 1
    assert [(line.entrant, line.rank) for line in found.values()] == [(str(five[0]), 1)]


async def test_history_is_what_the_pictures_say(tx: Tx) -> None:
    anna, bert = await people(tx, 2)
    day = date(2026, 3, 18)
    await competitions.submit_many(tx, [steps(anna, 10, "a", day), steps(bert, 5, "b", day)], now=WEDNESDAY)
    await competitions.take_snapshots(tx, now=WEDNESDAY)
    await competitions.submit_many(tx, [steps(bert, 20, "b2", day)], now=WEDNESDAY)
    await competitions.take_snapshots(tx, now=WEDNESDAY + timedelta(hours=1))
    ask = BoardAsk("steps", "today", WEDNESDAY + timedelta(hours=2))

    points = await boards.history(tx, ask=ask, entrant=str(bert), limit=10)
    view = await competitions.EVERYBODY.top(tx, ask, 0, 10)

    assert [(point.rank, point.score) for point in points] == [(1, 25), (2, 5)]
    assert view is not None
    assert [trend(line) for line in view.lines] == [("Walker 1", 0), ("Walker 0", 0)]


def trend(line: BoardLine) -> tuple[str, int | None]:
    return line.name, line.trend


async def test_two_statements_whatever_the_size(tx: Tx, statements: list[str]) -> None:
    """Lists, then receipts and scores in one: the same for one item and for a thousand over four lists."""
    crowd = await people(tx, 250)
    await competitions.submit_many(tx, [steps(crowd[0], 1, "first", date(2026, 3, 18))], now=WEDNESDAY)
    statements.clear()
    items = [steps(who, n, f"k{n}", date(2026, 3, 18)) for who in crowd for n in range(4)]
    outcomes = await competitions.submit_many(tx, items, now=WEDNESDAY)

    writes = [text for text in statements if "competitions.boards b where" not in text]
    assert len(writes) == 2
    assert all(isinstance(outcome, Counted) and len(outcome.lists) == 4 for outcome in outcomes)
