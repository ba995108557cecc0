"""From the last score to the last prize: exact in the ledger, once, whatever is repeated."""

from datetime import datetime, timedelta

import psycopg
import pytest

from palio import competitions, ledger
from palio.competitions.types import CompetitionId, EmptyRule, PrizeRule, TieRule
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, banded, enter, live, new, score, settle

R10_VALUES = (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)
FIXED_VALUES = (500000, 250000, 100000, 50000, 35000, 25000, 15000, 12500, 7500, 5000)
R10 = banded("places", *((n, n, value) for n, value in enumerate(R10_VALUES, 1)))
FIXED = banded("places", *((n, n, value) for n, value in enumerate(FIXED_VALUES, 1)), kind="fixed")
THREE = banded("places", (1, 1, 5000), (2, 2, 3000), (3, 3, 2000))
QUEST = banded("occupants", (1, 1, 5000), (2, 13, 4000), (14, 50, 1000))
OPEN = banded("occupants", (1, 1, 4000), (2, 2, 2000), (3, 3, 1500), (4, 10, 1500), (11, None, 1000))

LOWEST = 100
SYSTEM = Actor("system", None, RequestId(new_id()))


async def pool(tx: Tx, competition_id: CompetitionId, asset: str = "USD") -> int:
    return await ledger.balance(tx, address=f"pool:{competition_id}", asset=asset)


async def house(tx: Tx, asset: str = "USD") -> int:
    return await ledger.balance(tx, address="house:prizes", asset=asset)


def points_of(groups: list[int]) -> list[int]:
    """Falling scores, equal inside a group."""
    return [LOWEST + len(groups) - n for n, size in enumerate(groups) for _ in range(size)]


@pytest.mark.parametrize(
    ("rule", "amount", "tie", "empty", "groups", "paid"),
    [
        pytest.param(
            R10,
            50000,
            "share",
            "keep",
            [1, 3, *[1] * 7],
            [25000, 5000, 5000, 5000, 2500, 1875, 1875, 1250, 1250, 1250],
            id="W1",
        ),
        pytest.param(QUEST, 131500, "earliest", "redistribute", [1] * 6, [73056, *[11689] * 4, 11688], id="W2"),
        pytest.param(QUEST, 131500, "earliest", "keep", [1] * 6, [65750, *[10520] * 5], id="W3"),
        pytest.param(
            R10,
            50000,
            "share",
            "keep",
            [*[1] * 9, 4],
            [25000, 7500, 5000, 2500, 2500, 1875, 1875, 1250, 1250, 313, 313, 312, 312],
            id="W4",
        ),
        pytest.param(R10, 50000, "share", "keep", [1] * 4, [25000, 7500, 5000, 2500], id="W5 keep"),
        pytest.param(R10, 50000, "share", "redistribute", [1] * 4, [31250, 9375, 6250, 3125], id="W5 redistribute"),
        pytest.param(THREE, 1003, "share", "keep", [2, 1], [402, 401, 200], id="W6"),
        pytest.param(THREE, 100, "share", "keep", [3], [34, 33, 33], id="W7 tied"),
        pytest.param(THREE, 7, "share", "keep", [1] * 3, [4, 2, 1], id="W7 seven"),
        pytest.param(R10, 1, "share", "redistribute", [1] * 4, [1], id="W7 one"),
        pytest.param(QUEST, 25001, "earliest", "redistribute", [1] * 15, [12501, *[893] * 12, 892, 892], id="W8"),
        pytest.param(
            FIXED,
            1000000,
            "share",
            "keep",
            [*[1] * 8, 3],
            [500000, 250000, 100000, 50000, 35000, 25000, 15000, 12500, 4167, 4167, 4166],
            id="W9",
        ),
        pytest.param(FIXED, 1000000, "share", "keep", [1] * 6, [500000, 250000, 100000, 50000, 35000, 25000], id="W10"),
        pytest.param(
            OPEN,
            99999,
            "earliest",
            "redistribute",
            [1] * 14,
            [40000, 20000, 15000, *[2273] * 7, *[2272] * 4],
            id="W11",
        ),
        pytest.param(
            banded("places", (1, 1, 8000), (2, 2, 2000)), 10000, "share", "keep", [1, 2], [8000, 1000, 1000], id="80/20"
        ),
        pytest.param(THREE, 10000, "share", "keep", [1, 3], [5000, 1667, 1667, 1666], id="50/30/20"),
    ],
)
async def test_every_wallet_gets_what_its_place_earns(
    tx: Tx,
    noon: datetime,
    rule: PrizeRule,
    amount: int,
    tie: TieRule,
    empty: EmptyRule,
    groups: list[int],
    paid: list[int],
) -> None:
    """The worked examples, seen in the ledger: wallets, pool, house and the sum of everything."""
    asset = "USD" if amount <= 100_000 else "QC"  # larger pools of dollars ask for a second person
    before = await house(tx, asset)
    competition_id = await live(
        tx, noon, prize_rule=rule, guaranteed_pool=amount, prize_asset=asset, tie_rule=tie, empty_rule=empty
    )
    entrants = await enter(tx, competition_id, sum(groups), noon)
    await score(tx, competition_id, entrants, points_of(groups), noon)
    ahead = await competitions.top(tx, competition_id=competition_id, limit=100)
    assert [row.prize for row in ahead.rows if row.prize] == paid
    assert ahead.is_provisional and ahead.undistributed == amount - sum(paid)

    await settle(tx, competition_id, noon + 6 * HOUR)

    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.amount for reward in rewards] == paid
    assert {reward.status for reward in rewards} == {"paid"}
    wallets = await ledger.balances_many(tx, owner_ids=[reward.user_id for reward in rewards], asset=asset)  # type: ignore[misc]
    assert list(wallets.values()) == paid
    assert await pool(tx, competition_id, asset) == 0
    assert await house(tx, asset) - before == -sum(paid)
    assert await ledger.total(tx) == 0
    done = await competitions.get(tx, competition_id=competition_id)
    assert (done.status, done.phase, done.pool_final) == ("completed", None, amount)


async def test_the_line_of_a_prize_names_its_competition(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [2, 1], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    for reward in await competitions.rewards(tx, competition_id=competition_id):
        assert reward.user_id
        [line] = (await ledger.statement(tx, owner_id=reward.user_id, asset="USD")).lines
        assert line.metadata == {"competition": str(competition_id), "rank": reward.rank, "title": "Spring"}


async def test_a_second_settlement_changes_nothing(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 4, noon)
    await score(tx, competition_id, entrants, [4, 3, 2, 1], noon)
    assert await settle(tx, competition_id, noon + 6 * HOUR) == 2  # closed; frozen, paid and completed in one
    first = await competitions.get(tx, competition_id=competition_id)
    entries = await db.value(tx, "select count(*) from ledger.entries")

    assert await settle(tx, competition_id, noon + 7 * HOUR) == 0
    again = await competitions.freeze(tx, competition_id=competition_id, evidence={"other": 1}, now=noon + 8 * HOUR)
    assert again == first
    assert await db.value(tx, "select count(*) from ledger.entries") == entries


async def test_publishing_puts_the_promise_in_escrow(tx: Tx, noon: datetime) -> None:
    before = await house(tx)
    competition_id = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    assert await pool(tx, competition_id) == 0
    published = await competitions.publish(tx, competition_id=competition_id, now=noon)
    assert (published.status, await pool(tx, competition_id), await house(tx) - before) == ("upcoming", 10_000, -10_000)
    assert published.terms_hash and len(published.terms_hash) == 32
    with pytest.raises(competitions.NotDraft):
        await competitions.publish(tx, competition_id=competition_id, now=noon)


async def test_a_start_in_the_past_needs_a_reason(tx: Tx, noon: datetime) -> None:
    competition_id = await competitions.create(tx, new=new(noon), created_by=None, now=noon)
    with pytest.raises(competitions.StartsInPast):
        await competitions.publish(tx, competition_id=competition_id, now=noon)
    published = await competitions.publish(
        tx, competition_id=competition_id, now=noon, backdated_reason="announced on stream"
    )
    assert published.backdated_reason == "announced on stream"


async def test_the_months_of_a_past_start_are_made_before_anything_is_written(tx: Tx, noon: datetime) -> None:
    """From 2 January to 20 March: three partitions, and no row in the default one."""
    begun = noon - timedelta(days=77)
    competition_id = await competitions.create(tx, new=new(begun, ends_at=noon), created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon, backdated_reason="announced on stream")
    await competitions.start(tx, competition_id=competition_id, now=noon)
    entrants = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, entrants, [1, 2], begun)
    for month in ("01", "02", "03"):
        assert await db.value(tx, "select to_regclass(%s) is not null", f"competitions.receipts_2026_{month}")
    strays = "select count(*) from competitions.receipts where tableoid = 'competitions.receipts_default'::regclass"
    assert await db.value(tx, strays + " and entrant_id = any(%s)", entrants) == 0


async def test_a_pool_of_nothing_moves_nothing(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, guaranteed_pool=0)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    await score(tx, competition_id, [entrant], [5], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"
    assert await competitions.rewards(tx, competition_id=competition_id) == []
    with pytest.raises(competitions.NoSuchCompetition):
        await competitions.get(tx, competition_id=CompetitionId(new_id()))


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ((4250, 2000, 1500, 750, 600, 400, 275, 225, 175, 175), competitions.PrizeSum),
        ((4250, 2000, 1250, 750, 500, 350, 250, 200, 200, 225), competitions.PrizeSum),
        ((3000, 4000, 3000), competitions.PrizeIncreasing),
    ],
)
async def test_a_rule_that_does_not_add_up_is_never_published(
    tx: Tx, noon: datetime, values: tuple[int, ...], refusal: type[competitions.PrizeSum]
) -> None:
    rule = banded("places", *((n, n, value) for n, value in enumerate(values, 1)))
    competition_id = await competitions.create(tx, new=new(noon, prize_rule=rule), created_by=None, now=noon - HOUR)
    entries = await db.value(tx, "select count(*) from ledger.entries")
    with pytest.raises(refusal):
        await competitions.publish(tx, competition_id=competition_id, now=noon - HOUR)
    assert await db.value(tx, "select count(*) from ledger.entries") == entries
    assert (await competitions.get(tx, competition_id=competition_id)).status == "draft"


async def test_the_clock_moves_a_competition_once(tx: Tx, noon: datetime) -> None:
    with pytest.raises(competitions.WindowInvalid):
        await competitions.create(tx, new=new(noon, ends_at=noon), created_by=None, now=noon)
    competition_id = await competitions.create(tx, new=new(noon), created_by=None, now=noon - HOUR)
    await competitions.publish(tx, competition_id=competition_id, now=noon - HOUR)
    with pytest.raises(competitions.NotUpcoming):
        await competitions.start(tx, competition_id=competition_id, now=noon - timedelta(seconds=1))
    assert (await competitions.start(tx, competition_id=competition_id, now=noon)).status == "live"
    with pytest.raises(competitions.NotUpcoming):
        await competitions.start(tx, competition_id=competition_id, now=noon)
    with pytest.raises(competitions.NotLive):
        await competitions.close(tx, competition_id=competition_id, now=noon + HOUR)
    with pytest.raises(competitions.NotCollecting):
        await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=noon + HOUR)
    closed = await competitions.close(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    assert (closed.status, closed.phase) == ("settling", "collecting")
    with pytest.raises(competitions.NoSuchCompetition):
        await competitions.start(tx, competition_id=CompetitionId(new_id()), now=noon)


async def test_prizes_of_entrants_without_a_user_wait_in_the_pool(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    linked = await enter(tx, competition_id, 1, noon)
    unlinked = await enter(tx, competition_id, 1, noon, linked=False)
    await score(tx, competition_id, [*unlinked, *linked], [9, 5], noon)
    now = noon + 6 * HOUR
    await settle(tx, competition_id, now)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.amount, reward.status, reward.claim_by) for reward in rewards] == [
        (5000, "unclaimed", now + timedelta(days=30)),
        (3000, "paid", None),
    ]
    assert await pool(tx, competition_id) == 5000
    board = await competitions.top(tx, competition_id=competition_id, limit=10)
    assert [(row.prize, row.reward_status) for row in board.rows] == [(5000, "unclaimed"), (3000, "paid")]
    assert (board.undistributed, board.is_provisional) == (2000, False)


async def test_a_review_waits_and_then_pays(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, review_h=24)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [3, 2, 1], noon)
    frozen_at = noon + 6 * HOUR
    assert await settle(tx, competition_id, frozen_at) == 2
    assert await settle(tx, competition_id, frozen_at + 23 * HOUR) == 0
    pending = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.status for reward in pending] == ["pending"] * 3
    assert await pool(tx, competition_id) == 10_000

    assert await settle(tx, competition_id, frozen_at + 24 * HOUR) == 3  # released, paid, completed
    paid = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.status, reward.amount, reward.paid_at) for reward in paid] == [
        ("paid", amount, frozen_at + 24 * HOUR) for amount in (5000, 3000, 2000)
    ]
    assert paid[0].why == {"band": {"from": 1, "to": 1}, "head": "5000", "exact": "5000", "unit": 0}
    assert await pool(tx, competition_id) == 0


STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


async def test_an_oddity_keeps_the_payment_waiting_for_a_person(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [3, 2, 1], noon)
    end = noon + 5 * HOUR
    await competitions.close(tx, competition_id=competition_id, now=end)
    evidence = {"review_reasons": ["late_start"]}
    await competitions.freeze(tx, competition_id=competition_id, evidence=evidence, now=end)
    assert await settle(tx, competition_id, end + 1000 * HOUR) == 0
    await competitions.release(tx, competition_id=competition_id, actor=STAFF, reason="numbers checked", now=end)
    assert await settle(tx, competition_id, end) == 2
    assert await pool(tx, competition_id) == 0
    with pytest.raises(competitions.NotInReview):
        await competitions.release(tx, competition_id=competition_id, actor=STAFF, reason="again", now=end)


async def test_a_large_pool_is_not_released_by_one_person(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, guaranteed_pool=100_001)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [3, 2, 1], noon)
    await settle(tx, competition_id, noon + 1000 * HOUR)
    assert (await competitions.get(tx, competition_id=competition_id)).phase == "review"
    with pytest.raises(competitions.ApprovalDue):
        await competitions.release(tx, competition_id=competition_id, actor=STAFF, reason="numbers checked", now=noon)
    assert await pool(tx, competition_id) == 100_001


@pytest.mark.parametrize(("to", "address"), [("treasury", "treasury:main"), ("refund", "house:prizes")])
async def test_without_a_winner_the_whole_pool_goes_where_the_terms_say(
    tx: Tx, noon: datetime, to: str, address: str
) -> None:
    before = await ledger.balance(tx, address=address, asset="USD")
    competition_id = await live(tx, noon, no_winner=to)
    entrants = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, entrants, [0, -5], noon)
    published = -10_000 if address == "house:prizes" else 0
    assert await ledger.balance(tx, address=address, asset="USD") - before == published
    await settle(tx, competition_id, noon + 6 * HOUR)
    left = "select (amount, to_address, reason)::text from competitions.undistributed where competition_id = %s"
    row = await db.value(tx, left, competition_id)
    assert row == f"(10000,{'contributors' if to == 'refund' else address},no_winner)"
    assert await ledger.balance(tx, address=address, asset="USD") - before == published + 10_000
    assert await pool(tx, competition_id) == 0


async def test_the_minimum_draws_the_line(tx: Tx, noon: datetime) -> None:
    """4999 of 5000 is shown below the line without rank or prize; 5000 qualifies; 0 never does."""
    competition_id = await live(tx, noon, min_score=5000)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [4999, 5000, 0], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    standings = await competitions.standings(tx, competition_id=competition_id, limit=10)
    found = [(standing.place, standing.rank, standing.entrant_id, standing.score) for standing in standings]
    assert found == [(1, 1, entrants[1], 5000), (2, None, entrants[0], 4999), (3, None, entrants[2], 0)]
    assert [reward.amount for reward in await competitions.rewards(tx, competition_id=competition_id)] == [5000]


@pytest.mark.parametrize(("tie", "ranks"), [("share", [1, 2, 2, 4]), ("earliest", [1, 2, 3, 4])])
async def test_ties_share_a_rank_or_go_to_the_earlier(tx: Tx, noon: datetime, tie: str, ranks: list[int]) -> None:
    competition_id = await live(tx, noon, tie_rule=tie)
    entrants = await enter(tx, competition_id, 4, noon)
    await score(tx, competition_id, entrants, [9, 7, 7, 5], noon)
    board = await competitions.top(tx, competition_id=competition_id, limit=10)
    assert [row.standing.rank for row in board.rows] == ranks
    assert [row.standing.entrant_id for row in board.rows] == entrants


async def test_a_page_that_cuts_a_tie_shows_the_prizes_of_the_whole_tie(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 4, noon)
    await score(tx, competition_id, entrants, [9, 7, 7, 7], noon)
    whole = await competitions.top(tx, competition_id=competition_id, limit=4)
    cut = await competitions.top(tx, competition_id=competition_id, limit=2)
    assert [row.prize for row in whole.rows] == [5000, 1667, 1667, 1666]
    assert [row.prize for row in cut.rows] == [5000, 1667]
    assert cut.undistributed == whole.undistributed == 0


async def test_the_archive_keeps_what_history_shows(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [30, 20, -5], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    statement = """
        select (month, year, prize_pool, participant_count, total_score)::text
        from competitions.archives where competition_id = %s"""
    assert await db.value(tx, statement, competition_id) == "(3,2026,10000,3,45)"
    statement = "select participants -> 0 from competitions.archives where competition_id = %s"
    first = await db.value(tx, statement, competition_id)
    assert first == {"place": 1, "rank": 1, "entrant": entrants[0], "label": None, "score": 30, "prize": 5000}


async def test_a_pool_that_does_not_hold_what_it_owes_stays_in_paying(tx: Tx, noon: datetime) -> None:
    """Somebody took 1.00 out of the pool: prizes are paid, but nothing is called complete."""
    competition_id = await live(tx, noon)
    entrants = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, entrants, [2, 1], noon)
    legs = ((f"pool:{competition_id}", "USD", -100), ("house:prizes", "USD", 100))
    await ledger.post(tx, ledger.Post(f"test:{competition_id}", "ledger.adjustment", legs), now=noon)
    await competitions.close(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    await db.run(tx, "update competitions.competitions set review_h = 1 where id = %s", competition_id)
    await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=noon + 5 * HOUR)
    await ledger.post(
        tx,
        ledger.Post(f"test:{competition_id}:2", "ledger.adjustment", legs),
        now=noon,
    )
    await settle(tx, competition_id, noon + 7 * HOUR)
    stuck = await competitions.get(tx, competition_id=competition_id)
    assert (stuck.status, stuck.phase) == ("settling", "paying")
    back = tuple((address, asset, -amount) for address, asset, amount in legs)
    await ledger.post(tx, ledger.Post(f"test:{competition_id}:3", "ledger.adjustment", back), now=noon)
    await settle(tx, competition_id, noon + 8 * HOUR)
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"


async def test_a_reward_belongs_to_its_competition_for_good(
    database: Database, cluster: embedded.Cluster, database_name: str, noon: datetime
) -> None:
    """What a foreign key would see to: a reward names a competition that exists, keeps it, and it is never deleted."""
    async with database.begin(SYSTEM) as tx:
        paid, other = await live(tx, noon), await live(tx, noon)
        await score(tx, paid, await enter(tx, paid, 1, noon), [9], noon)
        await settle(tx, paid, noon + 6 * HOUR)

    copied = """insert into competitions.rewards (competition_id, entrant_id, place, rank, asset, amount, status, why)
        select %s, entrant_id, place, rank, asset, amount, 'pending', why
        from competitions.rewards where competition_id = %s"""
    moved = "update competitions.rewards set competition_id = %s where competition_id = %s"
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as conn:
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="a reward without its competition"):
            conn.execute(copied, [new_id(), paid])
        with pytest.raises(psycopg.Error, match="append-only"):
            conn.execute(moved, [other, paid])
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="a competition with rewards is kept"):
            conn.execute("delete from competitions.competitions where id = %s", [paid])
        conn.execute(copied, [other, paid])
        conn.execute("delete from competitions.rewards where competition_id = %s", [other])
