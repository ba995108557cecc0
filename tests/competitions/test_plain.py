"""Plain submissions are counted in one statement, and nobody can tell by what comes of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest

from palio import competitions
from palio.competitions.rules import plain
from palio.competitions.service import programs
from palio.competitions.service.known import KnownLists
from palio.competitions.types import (
    BoardId,
    Counted,
    EntrantId,
    ListId,
    NewBoard,
    NewEntrant,
    Op,
    Outcome,
    ProgramScore,
    Refused,
    ScoreBoard,
    Submission,
)
from palio.infra import db
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=3)
STEPS = ScoreBoard(
    BoardId(7), "steps", "Steps", "steps", None, 0, "add", "desc", False, ("D", "ALL"), "UTC", 48, "share"
)
LISTS = {(STEPS.id, "D:2026-03-18"): ListId(70), (STEPS.id, "ALL"): ListId(71)}


def sent(
    ref: str, delta: int | None, key: str, at: datetime = NOON, board: str = "steps", **more: object
) -> ProgramScore:
    return ProgramScore("player", ref, Submission(None, EntrantId(0), delta, key, at, board=board, **more))  # type: ignore[arg-type]


def test_what_adds_on_lists_that_were_met_is_plain() -> None:
    """Yesterday's list is not known, a value is told by another operator, and what is wrong was refused elsewhere."""
    best = replace(STEPS, id=BoardId(8), code="best", op="best")
    items: list[ProgramScore | Refused] = [
        sent("anna", 5, "a"),
        sent("anna", 5, "b", NOON - timedelta(days=1)),
        sent("bert", None, "c", board="best", value=9),
        sent("bert", 5, "d", board="unknown"),
        sent("bert", 5, "e", NOW + timedelta(days=1)),
        sent("bert", None, "f"),
        Refused("competitions.invalid", {}),
        sent("cleo", -2, "g"),
    ]
    found = plain.read(items, {"steps": STEPS, "best": best}, LISTS, NOW)
    assert (found.places, found.lists) == ([0, 7], [[70, 71], [70, 71]])
    counted = found.counted([EntrantId(1), EntrantId(2)], {(70, 1): 5, (71, 1): 8, (70, 2): -2, (71, 2): 0})
    assert [(place, each.score, each.replayed, each.lists[0].score) for place, each in counted.items()] == [
        *((0, 8, False, 5), (7, 0, False, -2))
    ]


async def board_of(database: Database, op: Op = "add", *, has_subscore: bool = False) -> str:
    """A board of its own whose lists of that day this process has met, because somebody has a score there."""
    code = f"test.{new_id().hex[-12:]}"
    new = NewBoard(code, "Test", "points", op, has_subscore=has_subscore, periods=("D", "ALL"), final_after_h=48)
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=new)
        await competitions.enter_many(tx, [NewEntrant("player", each, None, each) for each in ("anna", "bert", "cleo")])
        await programs.submit_many(tx, [sent("cleo", 1, "first", board=code)], now=NOW)
    return code


async def alone(database: Database, items: Sequence[ProgramScore | Refused]) -> list[Outcome | None]:
    async with database.alone("a test") as tx:
        return (await programs.submit_alone_many(tx, items, now=NOW)).outcomes


async def stored(database: Database, code: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Scores and receipts of a board, but for the numbers of its lists and transactions."""
    async with database.begin(SYSTEM) as tx:
        scores = await tx.execute(
            """select l.period_key, s.entrant_id, s.score, s.subscore, s.reached_at, s.submissions, s.state
            from competitions.scores s join competitions.lists l on l.id = s.list_id
            join competitions.boards b on b.id = l.board_id where b.code = %s order by 1, 2""",
            [code],
        )
        receipts = await tx.execute(
            """select l.period_key, r.entrant_id, r.key, r.happened_at, r.kind, r.delta, r.sub_delta, r.value, r.facts,
              r.owner_id, r.created_at
            from competitions.receipts r join competitions.lists l on l.id = r.list_id
            join competitions.boards b on b.id = l.board_id where b.code = %s order by 1, 2, 3, 4""",
            [code],
        )
        return await scores.fetchall(), await receipts.fetchall()


@pytest.mark.parametrize("seed", range(4))
async def test_the_short_way_leaves_what_the_ordinary_one_leaves(database: Database, seed: int) -> None:
    """The same batches on two boards: ties, corrections, subscores, facts, several changes of one entrant."""
    short, ordinary = await board_of(database, has_subscore=True), await board_of(database, has_subscore=True)
    chance = Random(seed)  # noqa: S311 - scores
    for turn in range(3):
        items = [
            sent(
                *(chance.choice(["anna", "bert", "cleo"]), chance.randrange(-3, 4), f"k{turn}-{n}"),
                NOON + timedelta(seconds=chance.randrange(5)),
                sub=chance.randrange(3),
                kind=chance.choice(["score", "correction"]),
                facts=chance.choice([None, {"walk": n}]),
            )
            for n in range(chance.randrange(1, 12))
        ]
        aimed = [replace(item, score=replace(item.score, board=short)) for item in items]
        told = await alone(database, aimed)
        async with database.begin(SYSTEM) as tx:
            aimed = [replace(item, score=replace(item.score, board=ordinary)) for item in items]
            wanted = await programs.submit_many(tx, aimed, now=NOW)
        assert told == wanted
        lists = [[each[1:] for each in one.lists] for one in told if isinstance(one, Counted)]
        assert lists == [[each[1:] for each in one.lists] for one in wanted if isinstance(one, Counted)]
    assert await stored(database, short) == await stored(database, ordinary)


@pytest.mark.parametrize("what", ["a used key", "a key twice", "a stranger", "a final list"])
async def test_something_in_the_way_and_nothing_is_done(database: Database, what: str) -> None:
    code = await board_of(database)
    items = [sent("anna", 5, "a", board=code), sent("bert", 5, "b", board=code)]
    if what == "a used key":
        items.append(sent("cleo", 1, "first", board=code))
    elif what == "a key twice":
        items.append(sent("anna", 5, "a", board=code))
    elif what == "a stranger":
        items.append(sent("nobody", 5, "c", board=code))
    else:
        async with database.begin(SYSTEM) as tx:
            final = """update competitions.lists l set state = 'final' from competitions.boards b
                where b.id = l.board_id and b.code = %s and l.period_key = 'ALL'"""
            await db.run(tx, final, code)
    before = await stored(database, code)
    assert await alone(database, items) == [None] * len(items)
    assert await stored(database, code) == before


async def test_a_board_that_takes_the_best_is_left_to_the_ordinary_way(database: Database) -> None:
    adds, takes_best = await board_of(database), f"test.{new_id().hex[-12:]}"
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(takes_best, "Best", "points", "best", periods=("ALL",)))
    told = await alone(database, [sent("anna", None, "a", board=takes_best, value=3), sent("anna", 4, "a", board=adds)])
    assert told == [None, Counted(4, replayed=False)]


async def test_it_is_a_transaction_by_itself_and_nobody_elses(database: Database) -> None:
    """Inside one that acts for somebody it would go on as the system."""
    code = await board_of(database)
    async with database.begin(SYSTEM) as tx:
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            await programs.submit_alone_many(tx, [sent("anna", 5, "a", board=code)], now=NOW)


def test_lists_are_forgotten_before_they_are_too_many() -> None:
    known = KnownLists()
    known.by_key = {(BoardId(n), "ALL"): ListId(n) for n in range(20_001)}
    known.learn([])
    assert not known.by_key
