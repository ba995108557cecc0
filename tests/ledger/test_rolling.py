"""Sums of open accounts: what they hold, by the day, and that nobody has to add up the past to know it."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from palio import ledger
from palio.infra import settings
from palio.infra.db import Database, Tx
from palio.infra.messages import SettingChanged
from palio.infra.settings import Change
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.settings import OutOfRange
from palio.ledger import Post
from palio.ledger.jobs import keep_pace
from palio.ledger.types import ROLLUP_INTERVAL
from tests.factories.ledger import Superuser, codes, new_wallet, settled

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SUMS = """
  select d.day::text, d.amount, d.entries from ledger.daily_sums d join ledger.accounts a on a.id = d.account_id
  where a.address = %s order by 1"""
ROLLUP = """
  select r.balance, r.entries from ledger.rollups r join ledger.accounts a on a.id = r.account_id
  where a.address = %s"""
READ = """
  select coalesce(sum(seq_scan), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int from pg_stat_xact_all_tables
  where schemaname = 'ledger' and relname ~ '^entries'"""


def out_of(house: str, amount: int, *, wallet: str | None = None) -> Post:
    """A payment of the house to somebody."""
    legs = ((house, "COIN", -amount), (wallet or new_wallet(), "COIN", amount))
    return Post(f"{house}:{new_id()}", "ledger.transfer", legs)


async def posted(database: Database, house: str, *amounts: int, now: datetime = NOON) -> None:
    async with database.begin(SYSTEM) as tx:
        outcomes = await ledger.post_many(tx, [out_of(house, amount) for amount in amounts], now=now)
        assert set(codes(outcomes)) <= {"posted"}


async def rolled_up(database: Database) -> None:
    """Until nothing is left."""
    await settled(database)
    async with database.begin(SYSTEM) as tx:
        while await ledger.roll_up(tx, now=NOON):
            pass


async def ask(database: Database, statement: str, *values: object) -> list[tuple[object, ...]]:
    async with database.begin(SYSTEM) as tx:
        return await (await tx.execute(statement, values)).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def house() -> str:
    return f"house:{new_id().hex}"


async def test_entries_are_added_once_however_often_it_runs(database: Database, house: str) -> None:
    await posted(database, house, 5, 7)
    await posted(database, house, 1, now=NOON + DAY)
    await rolled_up(database)
    await rolled_up(database)
    assert await ask(database, ROLLUP, house) == [(-13, 3)]
    assert await ask(database, SUMS, house) == [("2026-03-20", -12, 2), ("2026-03-21", -1, 1)]

    await posted(database, house, 3, now=NOON - DAY)  # late: it belongs to a day that was summed up before
    await posted(database, house, 4)
    await rolled_up(database)
    assert await ask(database, ROLLUP, house) == [(-20, 5)]
    assert await ask(database, SUMS, house) == [
        ("2026-03-19", -3, 1),
        ("2026-03-20", -16, 3),
        ("2026-03-21", -1, 1),
    ]


async def test_a_day_ends_at_midnight_utc(database: Database, house: str) -> None:
    midnight = datetime(2026, 3, 21, tzinfo=UTC)
    await posted(database, house, 1, now=midnight - timedelta(microseconds=1))
    await posted(database, house, 2, now=midnight)
    await rolled_up(database)
    assert await ask(database, SUMS, house) == [("2026-03-20", -1, 1), ("2026-03-21", -2, 1)]


async def test_a_run_that_is_undone_leaves_no_trace(database: Database, house: str) -> None:
    """Killed at any moment: one transaction, so nothing or everything."""
    await posted(database, house, 5)
    await settled(database)
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        await ledger.roll_up(tx, now=NOON)
        assert await (await tx.execute(ROLLUP, [house])).fetchall() == [(-5, 1)]
    assert await ask(database, ROLLUP, house) == []
    await rolled_up(database)
    assert await ask(database, ROLLUP, house) == [(-5, 1)]


async def test_many_entries_are_added_in_several_transactions(database: Database, house: str) -> None:
    """Whoever stops after each of them has the same in the end."""
    for amount in range(1, 6):
        await posted(database, house, amount)
    await settled(database)
    runs = 0
    async with database.begin(SYSTEM) as tx:
        more = True
        while more:
            found = await (await tx.execute("select added, more from ledger.roll_up(1, %s)", [NOON])).fetchone()
            assert found is not None
            more, runs = found[1], runs + 1
    assert runs >= 1
    assert await ask(database, ROLLUP, house) == [(-15, 5)]


async def test_balances_equal_a_replay_of_the_entries_whenever_they_were_rolled_up(
    database: Database, house: str
) -> None:
    """A hundred instants over several days, instants that come out of order, runs of the job in between."""
    seed = random.Random(20260320)  # noqa: S311 - the same walk every time
    wallet, moved = new_wallet(), list[tuple[datetime, int]]()
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, out_of("house:rich", 10**6, wallet=wallet), now=NOON - 9 * DAY)
    for step in range(60):
        now = NOON + timedelta(minutes=seed.randrange(-4000, 4000))
        async with database.begin(SYSTEM) as tx:
            await ledger.post(tx, out_of(house, seed.choice([-9, -2, 1, 4, 30]), wallet=wallet), now=now)
        if step % 13 == 5:
            await rolled_up(database)
    for posted_at, amount in await ask(
        database,
        """select e.posted_at, e.amount from ledger.entries e join ledger.accounts a on a.id = e.account_id
        where a.address = %s""",
        house,
    ):
        moved.append((posted_at, amount))  # type: ignore[arg-type]
    async with database.begin(SYSTEM) as tx:
        for _ in range(100):
            at = NOON + timedelta(minutes=seed.randrange(-4500, 4500))
            expected = sum(amount for posted_at, amount in moved if posted_at <= at)
            assert await ledger.balance(tx, address=house, asset="COIN", at=at) == expected
            assert await ledger.balance(tx, address=wallet, asset="COIN", at=at) == 10**6 - expected
        for posted_at, _ in moved[:20]:  # an instant counts as past when it is reached, not before
            for at in (posted_at, posted_at - timedelta(microseconds=1)):
                expected = sum(amount for moment, amount in moved if moment <= at)
                assert await ledger.balance(tx, address=house, asset="COIN", at=at) == expected
        assert await ledger.balance(tx, address=house, asset="COIN") == sum(amount for _, amount in moved)


async def test_instants_out_of_order_still_rise_by_seq(database: Database) -> None:
    wallet, house = new_wallet(), f"house:{new_id().hex}"
    for minutes in (0, 5, -30, 2, 9):
        async with database.begin(SYSTEM) as tx:
            await ledger.post(tx, out_of(house, 1, wallet=wallet), now=NOON + timedelta(minutes=minutes))
    found = await ask(
        database,
        """select extract(epoch from e.posted_at - %s)::int / 60 from ledger.entries e
        join ledger.accounts a on a.id = e.account_id where a.address = %s order by e.seq""",
        NOON,
        wallet,
    )
    assert [minutes for (minutes,) in found] == [0, 5, 5, 5, 9]


async def read(tx: Tx) -> Counter[str]:
    found = await (await tx.execute(READ)).fetchone()
    assert found is not None
    return Counter(scans=found[0], rows=found[1])


async def test_a_balance_costs_the_same_however_many_entries_there_are(database: Database, house: str) -> None:
    """Of thousands of entries a statement reads those that are not rolled up, and no table is walked through."""
    for _ in range(4):
        await posted(database, house, *[1] * 1_000)
    await rolled_up(database)
    await posted(database, house, 1, 1, 1)
    async with database.begin(SYSTEM) as tx:
        before = await read(tx)
        assert await ledger.balance(tx, address=house, asset="COIN") == -4_003
        assert (await read(tx)) - before == Counter(rows=3)


async def test_a_balance_of_the_past_reads_one_day(database: Database, house: str) -> None:
    """The days before it are sums; of the day itself the entries are found by their transactions."""
    for days in range(-3, 3):
        await posted(database, house, *[1] * 500, now=NOON + days * DAY)
        await rolled_up(database)
    async with database.begin(SYSTEM) as tx:
        before = await read(tx)
        assert await ledger.balance(tx, address=house, asset="COIN", at=NOON) == -2_000
        cost = (await read(tx)) - before
        assert (cost["scans"], cost["rows"]) == (0, 500)


async def test_what_the_archive_took_still_counts(database: Database, house: str, superuser: Superuser) -> None:
    """Entries of a detached month are in `archived_sums`; what was then can no longer be told."""
    wallet, until = new_wallet(), datetime(2026, 3, 21, tzinfo=UTC)
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, out_of(house, 70, wallet=wallet), now=NOON)
        await ledger.post(tx, out_of(house, 30, wallet=wallet), now=NOON)
    await rolled_up(database)
    superuser.tamper(
        """insert into ledger.archived_sums (account_id, balance, entries, last_seq, through)
        select e.account_id, sum(e.amount), count(*), max(e.seq), %s from ledger.entries e
        join ledger.accounts a on a.id = e.account_id where a.address = any (%s) group by 1""",
        until,
        [house, wallet],
    )
    superuser.tamper(
        "delete from ledger.entries where account_id in (select id from ledger.accounts where address = any (%s))",
        [house, wallet],
    )
    async with database.begin(SYSTEM) as tx:
        for address, sign in ((house, -1), (wallet, 1)):
            assert await ledger.balance(tx, address=address, asset="COIN") == sign * 100
            assert await ledger.balance(tx, address=address, asset="COIN", at=until) == sign * 100
            with pytest.raises(ledger.Archived) as refused:
                await ledger.balance(tx, address=address, asset="COIN", at=until - timedelta(microseconds=1))
            assert refused.value.facts == {"before": until}
        await ledger.post(tx, out_of(house, 1, wallet=wallet), now=until)
        assert await ledger.balance(tx, address=house, asset="COIN", at=until) == -101
        assert await ledger.balance(tx, address=wallet, asset="COIN", at=until) == 101


@pytest.mark.parametrize("table", ["rounds", "rollups", "daily_sums", "archived_sums"])
@pytest.mark.parametrize("right", ["insert", "update", "delete", "truncate"])
async def test_the_application_writes_no_sum_itself(tx: Tx, table: str, right: str) -> None:
    found = await tx.execute("select has_table_privilege('palio_app', 'ledger.' || %s, %s)", [table, right])
    assert await found.fetchone() == (False,)


@pytest.mark.parametrize("kind", ["player", "none"])
async def test_only_operators_see_sums(database: Database, house: str, kind: str) -> None:
    await posted(database, house, 5)
    await rolled_up(database)
    somebody = Actor(kind, None, RequestId(new_id()))  # type: ignore[arg-type]
    async with database.begin(somebody) as tx:
        found = await tx.execute(
            """select (select count(*) from ledger.rounds) + (select count(*) from ledger.rollups)
              + (select count(*) from ledger.daily_sums) + (select count(*) from ledger.archived_sums)"""
        )
        assert await found.fetchone() == (0,)
        assert await ledger.balance(tx, address=house, asset="COIN") == 0


@pytest.mark.parametrize(("seconds", "cron"), [(10, "every 10s"), (600, "every 600s"), (None, "every 60s")])
async def test_the_pace_follows_its_setting(tx: Tx, seconds: int | None, cron: str) -> None:
    await tx.execute("insert into infra.schedules (name, next_at) values ('ledger.rollup', 'infinity')")
    await tx.execute(
        "insert into infra.settings (key, description, type) values (%s, '', 'int')", [ROLLUP_INTERVAL.key]
    )
    await settings.change(tx, SYSTEM, [Change(ROLLUP_INTERVAL, seconds)], "a test")
    await keep_pace(tx, SettingChanged(ROLLUP_INTERVAL.key, 1))
    await keep_pace(tx, SettingChanged("ledger.debt_max", 1))
    found = await tx.execute("select cron, next_at < 'infinity' from infra.schedules where name = 'ledger.rollup'")
    assert await found.fetchall() == [(cron, True)]


@pytest.mark.parametrize("seconds", [9, 601])
async def test_a_pace_out_of_range_is_refused(tx: Tx, seconds: int) -> None:
    with pytest.raises(OutOfRange):
        await settings.change(tx, SYSTEM, [Change(ROLLUP_INTERVAL, seconds)], "a test")
