"""Scores are sums of receipts: whatever the order, the batches and the repeats."""

from datetime import datetime, timedelta
from random import Random

import pytest

from palio import competitions
from palio.competitions.service.scores import ITEMS_MAX
from palio.competitions.types import Admission, CompetitionId, Counted, EntrantId, Refused, StateChange, Submission
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import HOUR, enter, live, new, score

SECOND = timedelta(seconds=1)


async def board(tx: Tx, competition_id: CompetitionId) -> list[tuple[int | None, EntrantId, int]]:
    found = await competitions.top(tx, competition_id=competition_id, limit=200)
    return [(row.standing.rank, row.standing.entrant_id, row.standing.score) for row in found.rows]


async def test_scores_do_not_depend_on_order_batches_or_repeats(tx: Tx, noon: datetime) -> None:
    """The same changes, shuffled, cut into random batches and sent twice, give the same scores at the same times."""
    chance = Random(7)  # noqa: S311 - a fixed shuffle
    results = []
    changes = [(n % 6, chance.randint(-40, 100), f"k{n}", noon + n * SECOND) for n in range(60)]
    for _ in range(4):
        competition_id = await live(tx, noon)
        entrants = await enter(tx, competition_id, 6, noon)
        items = [Submission(competition_id, entrants[who], delta, key, at) for who, delta, key, at in changes]
        items += chance.sample(items, 30)
        chance.shuffle(items)
        while items:
            size = chance.randint(1, 25)
            batch, items = items[:size], items[size:]
            outcomes = await competitions.submit_many(tx, batch, now=noon + HOUR)
            assert all(isinstance(outcome, Counted) for outcome in outcomes)
        found = await competitions.top(tx, competition_id=competition_id, limit=10)
        results.append(
            [
                (entrants.index(row.standing.entrant_id), row.standing.score, row.standing.reached_at)
                for row in found.rows
            ]
        )
    assert results[0] == results[1] == results[2] == results[3]
    sums = {who: sum(delta for mine, delta, _, _ in changes if mine == who) for who in range(6)}
    assert {who: total for who, total, _ in results[0]} == sums


async def test_a_repeat_is_a_replay_and_another_value_a_mismatch(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    first = Submission(competition_id, entrant, 60, "snap:1", noon)
    other = Submission(competition_id, entrant, 61, "snap:1", noon)
    later = Submission(competition_id, entrant, -10, "snap:1", noon + SECOND, kind="correction")

    assert await competitions.submit_many(tx, [first, first, other], now=noon) == [
        Counted(60, replayed=False),
        Counted(60, replayed=True),
        Refused("competitions.key_mismatch", {"key": "snap:1", "stored": 60}),
    ]
    assert await competitions.submit_many(tx, [later, first, other], now=noon) == [
        Counted(50, replayed=False),
        Counted(50, replayed=True),
        Refused("competitions.key_mismatch", {"key": "snap:1", "stored": 60}),
    ]
    assert await db.value(tx, "select count(*) from competitions.receipts where entrant_id = %s", entrant) == 2


async def test_the_window_decides_whatever_the_client_says(tx: Tx, noon: datetime) -> None:
    """At the last microsecond a score counts, at the end it does not; what came before the end counts after it too."""
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    end = noon + 5 * HOUR

    def at(instant: datetime, key: str) -> Submission:
        return Submission(competition_id, entrant, 1, key, instant)

    tick = timedelta(microseconds=1)
    moments = [noon - tick, noon, end - tick, end]
    items = [at(instant, f"k{n}") for n, instant in enumerate(moments)]
    outcomes = await competitions.submit_many(tx, items, now=end)
    assert [isinstance(outcome, Counted) for outcome in outcomes] == [False, True, True, False]
    assert [o.code for o in outcomes if isinstance(o, Refused)] == ["competitions.outside_window"] * 2

    await competitions.close(tx, competition_id=competition_id, now=end)
    (slow,) = await competitions.submit_many(tx, [at(end - SECOND, "slow")], now=end + SECOND)
    assert slow == Counted(3, replayed=False)

    await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=end + HOUR)
    (late,) = await competitions.submit_many(tx, [at(end - SECOND, "too late")], now=end + HOUR)
    assert isinstance(late, Refused) and late.code == "competitions.not_live"


async def test_each_refusal_has_a_code_and_never_fails_its_neighbours(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    ahead = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    nobody = competitions.NoSuchCompetition.code
    cases = [
        (Submission(competition_id, entrant, 5, "ok", noon), None),
        (Submission(competition_id, entrant, 9 * 10**15 + 1, "k", noon), "competitions.invalid"),
        (Submission(competition_id, entrant, 1.5, "k", noon), "competitions.invalid"),  # type: ignore[arg-type]
        (Submission(competition_id, entrant, True, "k", noon), "competitions.invalid"),
        (Submission(competition_id, entrant, float("nan"), "k", noon), "competitions.invalid"),  # type: ignore[arg-type]
        (Submission(CompetitionId(new_id()), entrant, 1, "k", noon), nobody),
        (Submission(ahead, entrant, 1, "k", noon + HOUR), "competitions.not_live"),
        (Submission(competition_id, EntrantId(entrant + 1000), 1, "k", noon), "competitions.not_entered"),
        (Submission(competition_id, entrant, 1, "k", noon + 4 * HOUR), "competitions.outside_window"),
    ]
    outcomes = await competitions.submit_many(tx, [item for item, _ in cases], now=noon)
    codes = [outcome.code if isinstance(outcome, Refused) else None for outcome in outcomes]
    assert codes == [code for _, code in cases]
    assert await board(tx, competition_id) == [(1, entrant, 5)]


async def test_a_pause_and_a_disqualification_keep_scores_out(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    fair, foul = await enter(tx, competition_id, 2, noon)
    items = [Submission(competition_id, entrant, 5, "k", noon) for entrant in (fair, foul)]
    await db.run(tx, "update competitions.participants set state = 'disqualified' where entrant_id = %s", foul)
    outcomes = await competitions.submit_many(tx, items, now=noon)
    assert outcomes == [Counted(5, replayed=False), Refused("competitions.disqualified", {})]

    await db.run(tx, "update competitions.competitions set paused_at = %s where id = %s", noon, competition_id)
    (outcome,) = await competitions.submit_many(tx, items[:1], now=noon)
    assert outcome == Refused("competitions.paused", {"since": noon.isoformat()})


async def test_a_batch_is_bounded(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    item = Submission(competition_id, EntrantId(1), 1, "k", noon)
    with pytest.raises(TooLarge):
        await competitions.submit_many(tx, [item] * (ITEMS_MAX + 1), now=noon)
    assert await competitions.submit_many(tx, [], now=noon) == []
    assert await competitions.admit_many(tx, [], now=noon) == []


async def test_three_statements_whatever_the_size(tx: Tx, noon: datetime, statements: list[str]) -> None:
    """Two round trips: gates and participants, then receipts and scores in one statement."""
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 400, noon)
    items = [Submission(competition_id, entrant, 7, f"k{n}", noon) for n in range(10) for entrant in entrants]
    statements.clear()
    outcomes = await competitions.submit_many(tx, items, now=noon)
    assert len(statements) == 3
    assert {outcome.score for outcome in outcomes if isinstance(outcome, Counted)} == {70}


async def test_admission_keeps_the_order_given_and_renews_names(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    first = await enter(tx, competition_id, 5, noon, linked=False)
    assert first == sorted(first)
    item = Admission(competition_id, "player", "x-7", None, "abc***")
    again = Admission(competition_id, "player", "x-7", None, "new***")
    (entrant,) = await competitions.admit_many(tx, [item], now=noon)
    assert await competitions.admit_many(tx, [again], now=noon) == [entrant]
    assert await db.value(tx, "select label from competitions.entrants where id = %s", entrant) == "new***"


async def test_a_zero_event_later_does_not_move_who_was_first(tx: Tx, noon: datetime) -> None:
    """A reaches 100 at 10:00, B at 10:05, A gets a zero-point event at 10:10: the order stays A, B."""
    competition_id = await live(tx, noon, tie_rule="earliest")
    a, b = await enter(tx, competition_id, 2, noon)
    items = [(a, 100, 0), (b, 100, 5), (a, 0, 10)]
    for entrant, delta, minutes in items:
        at = noon + timedelta(minutes=minutes)
        await competitions.submit_many(tx, [Submission(competition_id, entrant, delta, f"m{minutes}", at)], now=at)
    assert await board(tx, competition_id) == [(1, a, 100), (2, b, 100)]


async def test_lower_is_better(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, direction="asc")
    entrants = await enter(tx, competition_id, 8, noon)
    await score(tx, competition_id, entrants, [15, 11, 10, 10, 10, 9, 7, 5], noon)
    found = [(rank, points) for rank, _, points in await board(tx, competition_id)]
    assert found == [(1, 5), (2, 7), (3, 9), (4, 10), (4, 10), (4, 10), (7, 11), (8, 15)]


async def test_who_is_out_neither_ranks_nor_wins_until_he_is_back(tx: Tx, noon: datetime) -> None:
    """A 300 is taken out: B 200 is 1 and C 100 is 2, on the board, in the prizes and in the settlement alike."""
    competition_id = await live(tx, noon)
    a, b, c = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, [a, b, c], [300, 200, 100], noon)
    out = StateChange(competition_id, a, "out", "excluded", noon + HOUR, "plays for the house")
    assert await competitions.set_state_many(tx, [out, out], now=noon + HOUR) == 1
    assert await board(tx, competition_id) == [(1, b, 200), (2, c, 100)]

    back = StateChange(competition_id, a, "in", "back", noon + 2 * HOUR, "cleared")
    assert await competitions.set_state_many(tx, [back], now=noon + 2 * HOUR) == 1
    assert await board(tx, competition_id) == [(1, a, 300), (2, b, 200), (3, c, 100)]

    again = StateChange(competition_id, a, "out", "excluded again", noon + 3 * HOUR, "plays for the house")
    await competitions.set_state_many(tx, [again], now=noon + 3 * HOUR)
    while await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR):
        pass
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.entrant_id, reward.rank, reward.amount) for reward in rewards] == [(b, 1, 5000), (c, 2, 3000)]


async def test_receipts_of_users_are_theirs_and_those_of_players_everybodys(database: Database, noon: datetime) -> None:
    system = Actor("system", None, RequestId(new_id()))
    async with database.begin(system) as tx:
        competition_id = await live(tx, noon)
        (mine,) = await enter(tx, competition_id, 1, noon)
        (placeholder,) = await enter(tx, competition_id, 1, noon, linked=False)
        await score(tx, competition_id, [mine, placeholder], [5, 6], noon)
    async with database.begin(Actor("none", None, RequestId(new_id()))) as tx:
        seen = "select array_agg(entrant_id) from competitions.receipts where entrant_id = any(%s)"
        assert await db.value(tx, seen, [mine, placeholder]) == [placeholder]
        assert await db.value(tx, "select count(*) from competitions.contributions") == 0
