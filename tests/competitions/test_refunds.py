"""Everything goes back where it came from, or on to where the rules send it; pools end at 0."""

from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from palio import competitions, ledger
from palio.competitions import jobs
from palio.competitions.messages import ReturnContributions
from palio.competitions.service import refunds
from palio.competitions.types import REFUND_TO, CompetitionId, Contribution, NewSeries, TakeBack
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel import settings
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import (
    HOUR,
    THREE,
    balances,
    banded,
    enter,
    live,
    new,
    paid_in,
    players,
    score,
    settle,
)

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
SECOND = UserId(new_id())
SYSTEM = Actor("system", None, RequestId(new_id()))
WHY = "the feed is gone"
HOUSES = ("house:prizes", "house:promotions", "treasury:main", "external:manual")


async def cancel(tx: Tx, competition_id: CompetitionId, now: datetime) -> None:
    await competitions.cancel(tx, competition_id=competition_id, actor=STAFF, reason=WHY, now=now, approved_by=SECOND)


def test_a_way_back_that_does_not_exist_is_refused() -> None:
    """Into the wallet there is a way; back to where a payment came from there is none, and nobody is told otherwise."""
    assert settings.read(REFUND_TO, "wallet") == "wallet"
    with pytest.raises(settings.NotAllowed) as refused:
        settings.read(REFUND_TO, "source")
    assert refused.value.facts["choices"] == ["wallet"]


async def test_a_cancellation_gives_every_source_exactly_its_own(tx: Tx, noon: datetime) -> None:
    """Three payments of 100 with 10 to the treasury, one partly gone before, 500 by the house, a fee, a sponsor."""
    before = await balances(tx, *HOUSES)
    terms = new(noon + HOUR, guaranteed_pool=500, join_mode="open", entry_fee=50)
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    users = await players(tx, 4, noon, each=100)
    funded = await balances(tx, *HOUSES)
    items = [paid_in(competition_id, user, 100) for user in users[:3]]
    items += [
        Contribution(competition_id, "sponsor", 33, "external:manual", f"test:{new_id()}"),
        Contribution(competition_id, "bonus_event", 21, "house:promotions", f"test:{new_id()}"),
    ]
    await competitions.contribute_many(tx, items, now=noon)
    await competitions.join(tx, competition_id=competition_id, user_id=users[3], now=noon)
    gone = TakeBack(items[0].key, 13, f"user:{users[0]}:main", f"undo:{new_id()}")
    await competitions.take_back_many(tx, [gone], now=noon)
    await competitions.start(tx, competition_id=competition_id, now=noon + HOUR)

    await cancel(tx, competition_id, noon + HOUR)

    assert await balances(tx, *(f"user:{user}:main" for user in users)) == [100] * 4
    assert await balances(tx, f"pool:{competition_id}") == [0]
    after = await balances(tx, *HOUSES)
    assert after == [now + back for now, back in zip(funded, (500, 0, 0, 0), strict=True)]
    assert after[:3] == before[:3]
    sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert (sums.pool, sums.treasury) == (0, 0)
    with pytest.raises(competitions.Cancelled):
        await cancel(tx, competition_id, noon + HOUR)


async def test_with_too_few_it_does_not_begin_and_fees_go_back(tx: Tx, noon: datetime) -> None:
    terms = new(noon + HOUR, join_mode="open", entry_fee=50, min_participants=2)
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    (user,) = await players(tx, 1, noon, each=50)
    await competitions.join(tx, competition_id=competition_id, user_id=user, now=noon)

    assert await competitions.due(tx, now=noon + HOUR) == [competition_id]
    await competitions.advance(tx, competition_id=competition_id, now=noon + HOUR)

    found = await competitions.get(tx, competition_id=competition_id)
    assert (found.status, found.cancel_reason) == ("cancelled", "fewer than 2 have joined")
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [50, 0]
    assert await competitions.due(tx, now=noon + 9 * HOUR) == []


async def test_with_enough_it_begins(tx: Tx, noon: datetime) -> None:
    terms = new(noon + HOUR, join_mode="open", min_participants=1)
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    (user,) = await players(tx, 1, noon)
    await competitions.join(tx, competition_id=competition_id, user_id=user, now=noon)
    assert await competitions.advance(tx, competition_id=competition_id, now=noon + HOUR) == 1
    assert (await competitions.get(tx, competition_id=competition_id)).status == "live"


async def test_many_contributions_go_back_in_steps(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    users = await players(tx, 5, noon, each=10)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 10) for user in users], now=noon)
    found = await competitions.lock(tx, competition_id=competition_id)
    first = await refunds.give_back(tx, competition=found, now=noon, limit=4)
    assert first == refunds.Returned(4, 0, has_more=True)
    waiting = await db.value(
        tx, "select count(*) from jobs.procrastinate_jobs where task_name like %s", "%return_contributions%"
    )
    assert waiting == 1
    await cancel(tx, competition_id, noon)
    await jobs.return_contributions(tx, ReturnContributions(competition_id))
    assert await balances(tx, f"pool:{competition_id}", *(f"user:{user}:main" for user in users)) == [0, *[10] * 5]


async def test_what_a_closed_wallet_does_not_take_waits_in_the_pool(
    database: Database, cluster: embedded.Cluster, database_name: str, noon: datetime
) -> None:
    """Everybody else has his money; it is tried again, and given when the wallet is open."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
        users = await players(tx, 2, noon, each=100)
        await competitions.contribute_many(tx, [paid_in(competition_id, user, 100) for user in users], now=noon)

    def set_status(status: str) -> None:
        with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as operator:
            for table in ("accounts", "balances"):
                statement = sql.SQL("update ledger.{} set status = %s where owner_id = %s")
                operator.execute(statement.format(sql.Identifier(table)), [status, users[0]])

    set_status("frozen")
    async with database.begin(SYSTEM) as tx:
        await cancel(tx, competition_id, noon)
    async with database.begin(SYSTEM) as tx:
        assert await balances(tx, f"pool:{competition_id}", f"user:{users[1]}:main") == [90, 100]
        assert await refunds.owing(tx) == [competition_id]
    set_status("active")
    async with database.begin(SYSTEM) as tx:
        await jobs.return_contributions(tx, ReturnContributions(competition_id))
        assert await balances(tx, f"pool:{competition_id}", f"user:{users[0]}:main") == [0, 100]
        assert await refunds.owing(tx) == []


async def test_without_winners_the_treasury_has_the_pool(tx: Tx, noon: datetime) -> None:
    before = await balances(tx, "treasury:main")
    competition_id = await live(tx, noon, no_winner="treasury", min_score=5)
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [4, 1], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    after = await balances(tx, "treasury:main")
    assert (after[0] - before[0], await balances(tx, f"pool:{competition_id}")) == (10_000, [0])
    assert await left_over(tx, competition_id) == ("treasury:main", 10_000, "no_winner")


async def test_without_winners_everybody_has_his_own_back(tx: Tx, noon: datetime) -> None:
    """Also what the treasury had of it."""
    before = await balances(tx, "house:prizes", "treasury:main")
    competition_id = await live(tx, noon, no_winner="refund")
    (user,) = await players(tx, 1, noon, each=99)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 99)], now=noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"
    assert await balances(tx, f"pool:{competition_id}", f"user:{user}:main") == [0, 99]
    assert await balances(tx, "house:prizes", "treasury:main") == before
    assert await left_over(tx, competition_id) == ("contributors", 10_090, "no_winner")


async def left_over(tx: Tx, competition_id: CompetitionId) -> tuple[str, int, str]:
    statement = "select to_address, amount, reason from competitions.undistributed where competition_id = %s"
    row = await (await tx.execute(statement, [competition_id])).fetchone()
    assert row
    return row[0], row[1], row[2]


async def of_series(tx: Tx, noon: datetime, **changes: object) -> list[CompetitionId]:
    """The competition of today and that of tomorrow."""
    plain: dict[str, object] = {
        "code": f"daily-{new_id().hex[-8:]}",
        "product": "custom",
        "cadence": "daily",
        "tz": "UTC",
        "title": "Daily",
        "prize_asset": "USD",
        "guaranteed_pool": 1_000,
        "prize_rule": competitions.read_prize_rule(THREE),
        "create_lead_h": 48,
    }
    new_series = NewSeries(**{**plain, **changes})
    await competitions.create_series(tx, new=new_series, actor=STAFF, now=noon)
    made = await competitions.ensure_series(tx, now=noon)
    for competition_id in made[:1]:
        await competitions.start(tx, competition_id=competition_id, now=noon)
    return made


@pytest.mark.parametrize(("scores", "rolled"), [([], 1_000), ([7], 500)])
async def test_what_nobody_won_rolls_over_into_the_next_pool(
    tx: Tx, noon: datetime, scores: list[int], rolled: int
) -> None:
    """As a contribution of it: it is paid there, and goes to the treasury when that one is cancelled."""
    today, tomorrow = await of_series(tx, noon, leftover_to="rollover", no_winner="rollover", empty_rule="keep")
    await score(tx, today, await enter(tx, today, len(scores), noon), scores, noon)
    await settle(tx, today, noon + timedelta(days=1))
    assert (await competitions.get(tx, competition_id=today)).status == "completed"
    assert await balances(tx, f"pool:{today}", f"pool:{tomorrow}") == [0, 1_000 + rolled]
    assert (await left_over(tx, today))[:2] == (f"pool:{tomorrow}", rolled)
    sums = (await competitions.pool_sums(tx, competition_ids=[tomorrow]))[tomorrow]
    assert [(each.source, each.to_pool) for each in sums.sources] == [("admin_fund", 1_000), ("rollover", rolled)]
    before = await balances(tx, "treasury:main")
    await cancel(tx, tomorrow, noon)
    assert await balances(tx, f"pool:{tomorrow}", "treasury:main") == [0, before[0] + rolled]


async def test_where_nothing_follows_the_treasury_has_what_would_roll_over(tx: Tx, noon: datetime) -> None:
    today, tomorrow = await of_series(tx, noon, no_winner="rollover")
    await cancel(tx, tomorrow, noon)
    before = await balances(tx, "treasury:main")
    await settle(tx, today, noon + timedelta(days=1))
    assert await balances(tx, f"pool:{today}", "treasury:main") == [0, before[0] + 1_000]
    assert (await left_over(tx, today))[0] == "treasury:main"


@pytest.mark.parametrize("field", ["leftover_to", "no_winner"])
async def test_outside_a_series_nothing_rolls_over(tx: Tx, noon: datetime, field: str) -> None:
    draft = await competitions.create(tx, new=new(noon, **{field: "rollover"}), created_by=None, now=noon - HOUR)
    with pytest.raises(competitions.NothingFollows):
        await competitions.publish(tx, competition_id=draft, now=noon - HOUR)
    assert await balances(tx, f"pool:{draft}") == [0]


async def test_what_a_pool_has_above_its_fixed_prizes_is_left_over(tx: Tx, noon: datetime) -> None:
    rule = banded("places", (1, 1, 600), (2, 2, 400), kind="fixed")
    competition_id = await live(tx, noon, prize_rule=rule, guaranteed_pool=1_000, leftover_to="house")
    (user,) = await players(tx, 1, noon, each=100)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 100)], now=noon)
    before = await balances(tx, "house:prizes")
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [2, 1], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.amount for reward in rewards] == [600, 400]
    assert await balances(tx, "house:prizes", f"pool:{competition_id}") == [before[0] + 90, 0]


async def test_prizes_are_worked_out_of_everything_that_came_in(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    users = await players(tx, 2, noon, each=1_000)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 1_000) for user in users], now=noon)
    await score(tx, competition_id, await enter(tx, competition_id, 3, noon), [3, 2, 1], noon)
    ahead = await competitions.top(tx, competition_id=competition_id, limit=3)
    await settle(tx, competition_id, noon + 6 * HOUR)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [row.prize for row in ahead.rows] == [reward.amount for reward in rewards] == [5_900, 3_540, 2_360]
    assert (await competitions.verify(tx, competition_id=competition_id)).differences == ()
    assert await ledger.total(tx) == 0
