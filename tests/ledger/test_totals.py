"""Days, months and places: every figure equals a replay of the entries."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import LiteralString, NamedTuple

import pytest

from palio import ledger
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Capture, CategorySum, Held, Hold, Post
from palio.ledger.rules.totals import span_of
from palio.ledger.service import desk
from palio.ledger.types import AccountId
from tests.factories.ledger import Superuser, codes, new_wallet, owner_of, settled

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)  # a month ends among the days
DAY = timedelta(days=1)
DAYS = [NOON.date() + timedelta(days=n) for n in range(-4, 5)]
WALLETS = [new_wallet() for _ in range(5)]
DEBT = WALLETS[0].replace(":main", ":debt")
OPEN = (
    "issuance:steps",
    "house:prizes",
    "house:games",
    "pool:cup",
    "treasury:main",
    "breakage:expired",
    "external:opening",
)
KINDS = {
    "steps.award": "steps",
    "games.bet": "bet",
    "games.win": "win",
    "competitions.fund": "contribution",
    "competitions.prize": "prize",
    "ledger.transfer": "transfer",
}
ENTRIES = """
  select a.address, s.code, k.category, e.posted_at, e.amount from ledger.entries e
  join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
  join ledger.transfers t on t.id = e.transfer_id join ledger.kinds k on k.code = t.kind"""


class Moved(NamedTuple):
    """One entry, as a replay sees it."""

    address: str
    asset: str
    category: str
    posted_at: datetime
    amount: int

    @property
    def family(self) -> str:
        return self.address.split(":")[0]


@pytest.fixture(scope="module")
async def replay(database: Database) -> Sequence[Moved]:
    """Two hundred transfers over nine days, instants in any order; sums were made now and then, and not in the end."""
    seed = random.Random(7)  # noqa: S311 - the same walk every time
    opening = [(wallet, asset) for wallet in WALLETS for asset in ("COIN", "USD")]
    async with database.begin(SYSTEM) as tx:
        for wallet, asset in opening:
            legs = ("external:opening", asset, -1_000), (wallet, asset, 1_000)
            await ledger.post(tx, Post(f"open:{wallet}:{asset}", "ledger.opening", legs), now=NOON - 5 * DAY)
    for number in range(200):
        async with database.begin(SYSTEM) as tx:
            now = NOON + timedelta(hours=seed.randrange(-96, 96), microseconds=seed.randrange(1_000_000))
            first, second = seed.sample([*OPEN, *WALLETS], 2)
            kind, asset, amount = seed.choice([*KINDS]), seed.choice(["COIN", "USD"]), seed.randrange(1, 50)
            legs = (first, asset, -amount), (second, asset, amount)
            [outcome] = await ledger.post_many(tx, [Post(f"walk:{number}", kind, legs)], now=now)
            assert codes([outcome]) == ["posted"]
        if number % 40 == 20:
            await rolled_up(database)
    async with database.begin(SYSTEM) as tx:
        legs = (WALLETS[0], "COIN", -9_000), ("house:games", "COIN", 9_000)
        owed = Post("owed", "ledger.clawback", legs, to_debt=True)
        assert codes(await ledger.post_many(tx, [owed], now=NOON + 4 * DAY)) == ["posted"]
        return [Moved(*row) for row in await (await tx.execute(ENTRIES)).fetchall()]


async def rolled_up(database: Database) -> None:
    await settled(database)
    async with database.begin(SYSTEM) as tx:
        while await ledger.roll_up(tx, now=NOON):
            pass


def until(moved: Sequence[Moved], end: datetime) -> Counter[tuple[str, str]]:
    """What each family held of each asset before an instant."""
    held: Counter[tuple[str, str]] = Counter()
    for each in moved:
        if each.posted_at < end:
            held[each.asset, each.family] += each.amount
    return held


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize("day", DAYS, ids=str)
async def test_a_day_equals_a_replay_of_the_entries(database: Database, replay: Sequence[Moved], day: date) -> None:
    begins, ends = midnight(day), midnight(day) + DAY
    before, after = until(replay, begins), until(replay, ends)
    flows: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in replay:
        if begins <= each.posted_at < ends:
            flows[each.asset, each.family, each.category][each.amount < 0] += abs(each.amount)

    async with database.begin(SYSTEM) as tx:
        found = await ledger.daily_totals(tx, day=day)

    assert [each.asset for each in found] == ["USD", "COIN"]
    for each in found:
        families = {one.family: (one.opening, one.closing) for one in each.families}
        known = {family for asset, family in after if asset == each.asset} | {"user"}
        assert families == {one: (before[each.asset, one], after[each.asset, one]) for one in known}
        told = {(each.asset, flow.family, flow.category): [flow.came, flow.went] for flow in each.flows}
        assert told == {key: value for key, value in flows.items() if key[0] == each.asset}
        assert (each.opening, each.closing) == families["user"]
        assert each.issued == sum(value[1] for key, value in flows.items() if key[:2] == (each.asset, "issuance"))
        assert each.burnt == sum(
            value[0] for key, value in flows.items() if key[0] == each.asset and key[1] in {"issuance", "breakage"}
        )
        for family, (opening, closing) in families.items():
            assert opening + sum(f.came - f.went for f in each.flows if f.family == family) == closing
        assert sum(closing for _, closing in families.values()) == 0


async def test_what_is_held_is_told_of_the_end_of_each_day(database: Database, replay: Sequence[Moved]) -> None:
    """100 set aside: 30 captured a day later, the rest released a day after that."""
    wallet = WALLETS[1]

    async def held() -> list[int]:
        async with database.begin(SYSTEM) as tx:
            days = [await ledger.daily_totals(tx, day=day) for day in DAYS]
        return [each.held for day in days for each in day if each.asset == "COIN"]

    later = NOON + 4 * DAY + timedelta(hours=1)
    async with database.begin(SYSTEM) as tx:
        until = later + 30 * DAY
        items = [Hold("held", wallet, "COIN", 100, "a bet", "games.bet", until)]
        [hold] = await ledger.hold_many(tx, items, now=NOON + DAY)
        assert isinstance(hold, Held)
        legs = (wallet, "COIN", -30), ("house:games", "COIN", 30)
        taken = Post("taken", "games.bet", legs, capture=Capture(hold.hold_id))
        [posted] = await ledger.capture_many(tx, [taken], now=NOON + 2 * DAY)
        assert codes([posted]) == ["posted"]
        found = await tx.execute("select posted_at from ledger.transfers where key = 'taken'")
        [(at,)] = await found.fetchall()
    days_until_taken = (at.date() - (NOON + DAY).date()).days
    assert await held() == [0] * 5 + [100] * days_until_taken + [70] * (4 - days_until_taken)
    async with database.begin(SYSTEM) as tx:
        freed = await ledger.void_many(tx, [ledger.Void("freed", hold.hold_id)], now=NOON + 4 * DAY)
        assert codes(freed) == ["voided"]
    assert (await held())[-1] == 0


async def test_a_day_of_people_equals_a_replay(database: Database, replay: Sequence[Moved]) -> None:
    """In pages of two, of the third day; debts are not wallets."""
    day = DAYS[2]
    expected = {}
    for each in replay:
        if each.family == "user" and each.posted_at.date() == day and each.address.endswith(":main"):
            came, went, n = expected.get((owner_of(each.address), each.asset), (0, 0, 0))
            expected[owner_of(each.address), each.asset] = (
                came + max(each.amount, 0),
                went + max(-each.amount, 0),
                n + 1,
            )
    found: list[ledger.Activity] = []
    async with database.begin(SYSTEM) as tx:
        while page := await ledger.daily_activity(
            tx, day=day, after_user=found[-1].owner_id if found else None, limit=2
        ):
            assert len({each.owner_id for each in page}) <= 2
            found += page
    assert {(each.owner_id, each.asset): (each.came, each.went, each.movements) for each in found} == expected
    assert len(found) == len(expected)
    assert [each.owner_id for each in found] == sorted(each.owner_id for each in found)


@pytest.mark.parametrize("month", ["M:2026-02", "M:2026-03", "M:2026-04", "M:2026-05"])
async def test_a_month_of_many_equals_a_replay(database: Database, replay: Sequence[Moved], month: str) -> None:
    begins, ends = span_of(month)
    nobody = UserId(new_id())
    owners = [owner_of(wallet) for wallet in WALLETS]
    async with database.begin(SYSTEM) as tx:
        found = await ledger.statement_many(tx, owner_ids=[*owners, nobody], period_key=month)
        known = [Moved(*row) for row in await (await tx.execute(ENTRIES)).fetchall()]
    assert found[nobody] == []
    for wallet in WALLETS:
        for asset in ("COIN", "USD"):
            lines = [one for one in known if (one.address, one.asset) == (wallet, asset)]
            opening = sum(one.amount for one in lines if one.posted_at < begins)
            flows: dict[str, list[int]] = defaultdict(lambda: [0, 0])
            for one in lines:
                if begins <= one.posted_at < ends:
                    flows[one.category][one.amount < 0] += abs(one.amount)
            of_asset = [each for each in found[owner_of(wallet)] if each.asset == asset]
            if not opening and not flows:
                assert of_asset == []
                continue
            [told] = of_asset
            assert told.opening == opening
            assert told.flows == [CategorySum(name, *flows[name]) for name in sorted(flows)]
            assert told.closing == opening + sum(came - went for came, went in flows.values())


@pytest.mark.parametrize("key", ["2026-03", "M:2026-3", "M:2026-13", "M:2026-00", "W:2026-W12", "M:9999-01", "ALL", ""])
async def test_only_months_are_periods(tx: Tx, key: str) -> None:
    with pytest.raises(ledger.PeriodInvalid):
        await ledger.statement_many(tx, owner_ids=[], period_key=key)


async def test_too_many_statements_at_once_are_refused(tx: Tx) -> None:
    with pytest.raises(ledger.BatchTooLarge):
        await ledger.statement_many(tx, owner_ids=[UserId(new_id())] * 10_001, period_key="M:2026-03")


async def test_every_unit_is_somewhere(database: Database, replay: Sequence[Moved]) -> None:
    async with database.begin(SYSTEM) as tx:
        found = {each.asset: each for each in await ledger.conservation(tx, now=NOON)}
        known = [Moved(*row) for row in await (await tx.execute(ENTRIES)).fetchall()]
    assert [*found] == ["USD", "QC", "COIN", "INPUT", "XTR"]
    for code in ("USD", "COIN"):
        each = found[code]
        held = until(known, datetime(9999, 1, 1, tzinfo=UTC))
        assert dict(each.by_family) == {family: held[asset, family] for asset, family in held if asset == code}
        assert each.total == 0
        assert each.issued == -held[code, "issuance"]
        wallets = sum(one.amount for one in known if one.asset == code and one.address in WALLETS)
        assert (each.wallets, each.liability) == (wallets, wallets + held[code, "pool"])
        assert each.owed == -sum(one.amount for one in known if one.asset == code and one.address == DEBT)
    assert found["COIN"].owed > 0
    assert found["QC"] == ledger.Conserved("QC", 2, {}, 0, 0, 0)


async def test_an_imbalance_shows(database: Database, replay: Sequence[Moved], superuser: Superuser) -> None:
    change: LiteralString = """update ledger.balances set balance = balance + %s
      where account_id = (select min(account_id) from ledger.balances)"""
    superuser.run(change, 5)
    async with database.begin(SYSTEM) as tx:
        assert sorted(each.total for each in await ledger.conservation(tx, now=NOON)) == [0, 0, 0, 0, 5]
    superuser.run(change, -5)


@pytest.mark.parametrize(
    "address", ["house:games", "treasury:main", WALLETS[1], DEBT], ids=["house", "treasury", "wallet", "debt"]
)
async def test_what_staff_see_of_thirty_days_are_the_balances_then(
    database: Database, replay: Sequence[Moved], address: str
) -> None:
    """Of wallets, of debts and of the house, whether or not sums were brought up."""
    now = NOON + 4 * DAY
    async with database.begin(SYSTEM) as tx:
        number = await db.value(
            tx,
            """select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = %s and s.code = 'COIN'""",
            address,
        )
        account = await desk.get_account(tx, account_id=AccountId(number))
        course = await desk.course_of(tx, account=account, now=now)
        days = [now.date() - n * DAY for n in range(30, -1, -1)]
        ends = [midnight(day) + DAY - timedelta(microseconds=1) for day in days]
        held = [await ledger.balance(tx, address=address, asset="COIN", at=end) for end in ends]
    assert course == list(zip(days, held, strict=True))


async def test_what_lies_in_the_archive_is_not_summed_up(
    database: Database, replay: Sequence[Moved], superuser: Superuser
) -> None:
    superuser.run(
        """insert into infra.partitions (parent, child, from_at, to_at, state)
        values ('ledger.transfers', 'ledger.transfers_2026_02', '2026-02-01Z', '2026-03-01Z', 'archived')"""
    )
    async with database.begin(SYSTEM) as tx:
        assert await ledger.daily_totals(tx, day=date(2026, 3, 1)) == []
        await ledger.statement_many(tx, owner_ids=[], period_key="M:2026-03")
        with pytest.raises(ledger.Archived):
            await ledger.daily_totals(tx, day=date(2026, 2, 28))
        with pytest.raises(ledger.Archived):
            await ledger.daily_activity(tx, day=date(2026, 2, 28))
        with pytest.raises(ledger.Archived):
            await ledger.statement_many(tx, owner_ids=[], period_key="M:2026-02")
