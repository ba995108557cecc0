"""Scores of every operator: whatever the order, the batches and the repeats, and as a plain second working-out says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palio import competitions
from palio.competitions.types import Counted, Direction, EntrantId, NewBoard, NewEntrant, Op, Refused, Submission
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import new_id

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
PEOPLE = 3


@dataclass(frozen=True)
class Event:
    """Something that happened to somebody: a change or a value, with all that may decide between two of them."""

    who: int
    amount: int
    second: int
    key: str
    sub: int
    version: int

    @property
    def at(self) -> datetime:
        return NOON + timedelta(seconds=self.second)


events = st.lists(
    st.builds(
        Event,
        who=st.integers(0, PEOPLE - 1),
        amount=st.integers(-3, 3),
        second=st.integers(0, 3),
        key=st.sampled_from(["a", "b", "c", "B", "ü"]),
        sub=st.integers(0, 2),
        version=st.integers(1, 3),
    ),
    max_size=14,
    unique_by=lambda event: (event.who, event.key, event.second),
)


def worked_out(happened: Sequence[Event], op: Op, direction: Direction) -> dict[int, tuple[int, int, datetime]]:
    """Score, subscore and time reached of everybody, in the plainest way."""
    found = {}
    sign = 1 if direction == "asc" else -1
    for who in {event.who for event in happened}:
        mine = [event for event in happened if event.who == who]
        if op == "add":
            rises = [event.at for event in mine if event.amount > 0]
            reached = max(rises) if rises else datetime(1970, 1, 1, tzinfo=UTC)
            found[who] = sum(event.amount for event in mine), sum(event.sub for event in mine), reached
            continue
        if op == "best":
            best = min(mine, key=lambda event: (sign * event.amount, event.sub, event.at))
        elif op == "last":
            best = max(mine, key=lambda event: (event.at, event.key.encode()))
        else:
            best = min(mine, key=lambda event: (-event.version, sign * event.amount, event.sub, event.at))
        found[who] = best.amount, best.sub, best.at
    return found


def submission(event: Event, op: Op, code: str, entrants: Sequence[EntrantId]) -> Submission:
    return Submission(
        None,
        entrants[event.who],
        event.amount if op == "add" else None,
        event.key,
        event.at,
        value=None if op == "add" else event.amount,
        sub=event.sub,
        version=event.version if op == "set" else None,
        board=code,
    )


async def played(
    tx: Tx, happened: Sequence[Event], op: Op, direction: Direction, chance: Random
) -> dict[int, tuple[int, int, datetime]]:
    """The same submitted in random batches, each twice, and what the table says afterwards."""
    code = f"test.{new_id().hex[:12]}"
    new = NewBoard(code, "Test", "points", op, direction, has_subscore=True, periods=("ALL",))
    board = await competitions.ensure_board(tx, new=new)
    people = [NewEntrant("team", f"{code}:{n}", None, f"Team {n}") for n in range(PEOPLE)]
    entrants = await competitions.enter_many(tx, people)
    items = [submission(event, op, code, entrants) for event in happened for _ in range(2)]
    chance.shuffle(items)
    while items:
        size = chance.randint(1, 6)
        batch, items = items[:size], items[size:]
        outcomes = await competitions.submit_many(tx, batch, now=NOON + timedelta(hours=1))
        assert all(isinstance(outcome, Counted) for outcome in outcomes), outcomes
    rows = await tx.execute(
        """select s.entrant_id, s.score, s.subscore, s.reached_at from competitions.scores s
        join competitions.lists l on l.id = s.list_id where l.board_id = %s""",
        [board.id],
    )
    stored = {entrants.index(row[0]): (row[1], row[2], row[3].astimezone(UTC)) for row in await rows.fetchall()}
    sums = await tx.execute(
        """select r.entrant_id, sum(r.delta), sum(r.sub_delta) from competitions.receipts r
        join competitions.lists l on l.id = r.list_id where l.board_id = %s group by 1""",
        [board.id],
    )
    of_receipts = {entrants.index(row[0]): (row[1], row[2]) for row in await sums.fetchall()}
    assert of_receipts == {who: (score, sub) for who, (score, sub, _) in stored.items()}
    return stored


@pytest.mark.parametrize("direction", ["desc", "asc"])
@pytest.mark.parametrize("op", ["add", "best", "last", "set"])
async def test_scores_do_not_depend_on_order_batches_or_repeats(tx: Tx, op: Op, direction: Direction) -> None:
    """A dozen random histories, each shuffled, cut and doubled twice; changes of all receipts add up to the score."""
    chance = Random(f"{op}{direction}")  # noqa: S311 - the same histories each time
    for _ in range(12):
        happened = some_events(chance)

        found = [await played(tx, happened, op, direction, chance) for _ in range(2)]

        assert found == [worked_out(happened, op, direction)] * 2


def some_events(chance: Random) -> list[Event]:
    known = {}
    for _ in range(chance.randint(1, 16)):
        event = Event(
            chance.randrange(PEOPLE),
            chance.randint(-3, 3),
            chance.randint(0, 3),
            chance.choice(["a", "b", "c", "B", "ü"]),
            chance.randint(0, 2),
            chance.randint(1, 3),
        )
        known[event.who, event.key, event.second] = event
    return list(known.values())


@given(events, st.sampled_from(["best", "last", "set"]), st.randoms(use_true_random=False))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_plain_working_out_does_not_depend_on_order(happened: list[Event], op: Op, chance: Random) -> None:
    """The control: what the tables are compared with is the same for any order."""
    shuffled = list(happened)
    chance.shuffle(shuffled)

    assert worked_out(happened, op, "desc") == worked_out(shuffled, op, "desc")


async def test_a_value_that_does_not_win_has_a_receipt_and_changes_nothing(tx: Tx) -> None:
    """A score older than the last one: a receipt of no change."""
    await competitions.ensure_board(tx, new=NewBoard("test.last", "Test", "points", "last", periods=("ALL",)))
    (entrant,) = await competitions.enter_many(tx, [NewEntrant("team", "one", None, "One")])

    def value(points: int, minutes: int, key: str) -> Submission:
        at = NOON + timedelta(minutes=minutes)
        return Submission(None, entrant, None, key, at, value=points, board="test.last")

    late, early = value(7, 10, "late"), value(9, 5, "early")
    assert await competitions.submit_many(tx, [late], now=NOON + timedelta(hours=1)) == [Counted(7, replayed=False)]
    assert await competitions.submit_many(tx, [early], now=NOON + timedelta(hours=1)) == [Counted(7, replayed=False)]
    receipts = (
        "select array_agg((key, delta, value)::text order by key) from competitions.receipts where entrant_id = %s"
    )
    assert await db.value(tx, receipts, entrant) == ["(early,0,9)", "(late,7,7)"]


async def test_another_value_under_the_same_key_is_refused(tx: Tx) -> None:
    await competitions.ensure_board(tx, new=NewBoard("test.best", "Test", "points", "best", periods=("ALL",)))
    (entrant,) = await competitions.enter_many(tx, [NewEntrant("team", "one", None, "One")])
    first = Submission(None, entrant, None, "k", NOON, value=7, board="test.best")
    other = Submission(None, entrant, None, "k", NOON, value=9, board="test.best")

    outcomes = await competitions.submit_many(tx, [first, other, first], now=NOON)

    mismatch = Refused("competitions.key_mismatch", {"key": "k", "stored": 7})
    assert outcomes == [Counted(7, replayed=False), mismatch, Counted(7, replayed=True)]
    assert await competitions.submit_many(tx, [other], now=NOON) == [mismatch]


@pytest.mark.parametrize(
    ("op", "wrong"),
    [
        ("add", {"value": 1}),
        ("add", {"delta": 1, "value": 1}),
        ("add", {"delta": 1, "version": 1}),
        ("best", {"delta": 1}),
        ("best", {"value": 1, "version": 3}),
        ("best", {"value": 1, "kind": "adjust"}),
        ("set", {"value": 1}),
        ("set", {"value": 1.0, "version": 1}),
        ("add", {"delta": 1, "sub": 1}),
        ("add", {"delta": 1, "facts": {"share": 0.5}}),
        ("add", {"delta": 1, "facts": {"text": "x" * 2_048}}),
        ("add", {"delta": 1, "facts": {"text": "\0"}}),
        ("add", {"delta": 1, "key": ""}),
        ("add", {"delta": 1, "key": "k" * 201}),
        ("add", {"delta": 1, "happened_at": None}),
    ],
)
async def test_what_the_operator_cannot_work_with_is_refused(tx: Tx, op: Op, wrong: dict[str, object]) -> None:
    await competitions.ensure_board(tx, new=NewBoard("test.shape", "Test", "points", op, periods=("ALL",)))
    (entrant,) = await competitions.enter_many(tx, [NewEntrant("team", "one", None, "One")])
    plain: dict[str, object] = {"delta": None, "key": "k", "happened_at": NOON, "board": "test.shape"}
    item = Submission(None, entrant, **plain | wrong)  # type: ignore[arg-type]  # some are wrong on purpose

    [outcome] = await competitions.submit_many(tx, [item], now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "competitions.invalid"
    assert await db.value(tx, "select count(*) from competitions.receipts where entrant_id = %s", entrant) == 0
