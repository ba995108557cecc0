"""What players allow themselves: counted when it is set aside or spent, lowered at once, raised after a day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import (
    Capture,
    Hold,
    HoldId,
    LimitGroup,
    Lot,
    PendingLimit,
    Period,
    Post,
    Refused,
    Reverse,
    Used,
    Void,
)
from palio.ledger.rules import limits as rules
from palio.ledger.service import holding
from tests.factories.ledger import HOUSE, codes, fund, new_wallet, owner_of, pay
from tests.ledger.test_posting import counted

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)  # a Friday
MIDNIGHT = datetime(2026, 3, 21, tzinfo=UTC)
HOUR, DAY, MOMENT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
WEEK_ENDS, MONTH_ENDS = datetime(2026, 3, 23, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def bet(key: str, wallet: str, amount: int, **more: object) -> Post:
    return replace(pay(key, wallet, -amount, **more), kind="games.bet")


def win(key: str, wallet: str, amount: int) -> Post:
    return replace(pay(key, wallet, amount), kind="games.win")


def stake(key: str, wallet: str, amount: int) -> Hold:
    return Hold(key, wallet, "COIN", amount, "a bet", "games.bet", NOON + 40 * DAY)


def too_much(group: str, period: str, limit: int, used: int, until: datetime) -> Refused:
    facts = {"group": group, "period": period, "limit": limit, "used": used, "resets_at": until}
    return Refused("ledger.limit_reached", facts)


async def allow(
    tx: Tx,
    wallet: str,
    amount: int | None,
    group: LimitGroup = "stake",
    period: Period = "day",
    *,
    now: datetime = NOON,
) -> None:
    await ledger.set_limit(
        tx,
        owner_id=owner_of(wallet),
        asset="COIN",
        group=group,
        period=period,
        amount=amount,
        now=now,
        reason="he asked for it",
    )


async def shown(tx: Tx, wallet: str, now: datetime = NOON) -> list[tuple[object, ...]]:
    """Group, period, limit, used, and what is pending."""
    return [
        (one.group, one.period, one.amount, one.used, one.pending)
        for one in await ledger.player_limits(tx, owner_id=owner_of(wallet), now=now)
    ]


async def used(tx: Tx, wallet: str) -> dict[str, int]:
    """What counts this Friday, week and month, by group and the letter of the period."""
    found = await tx.execute(
        """select limit_group || ' ' || left(period_key, 1), used from ledger.limit_usage
        where owner_id = %s and period_key in ('D:2026-03-20', 'W:2026-W12', 'M:2026-03')""",
        [owner_of(wallet)],
    )
    return dict(await found.fetchall())


def everywhere(**used: int) -> dict[str, int]:
    """The same in the day, the week and the month."""
    return {f"{group} {period}": amount for group, amount in used.items() for period in "DWM"}


@pytest.fixture
async def rich(tx: Tx, wallet: str) -> str:
    """Somebody with ten thousand."""
    await fund(tx, wallet, 10_000, now=NOON)
    return wallet


async def test_a_limit_of_a_day_is_reached_lowered_and_raised(tx: Tx, rich: str) -> None:
    """500: 300 and 200 go, 1 does not; lowered to 100 at once; 1000 only 24 hours later."""
    await allow(tx, rich, 500)
    outcomes = await ledger.post_many(tx, [bet("a", rich, 300), bet("b", rich, 200), bet("c", rich, 1)], now=NOON)
    assert codes(outcomes[:2]) == ["posted"] * 2
    assert outcomes[2] == too_much("stake", "day", 500, 500, MIDNIGHT)
    with pytest.raises(ledger.LimitReached):
        await ledger.post(tx, bet("c", rich, 1), now=NOON)
    assert await ledger.balance(tx, address=rich, asset="COIN") == 9_500

    await allow(tx, rich, 100)
    assert await ledger.post_many(tx, [bet("c", rich, 1)], now=NOON) == [too_much("stake", "day", 100, 500, MIDNIGHT)]
    await allow(tx, rich, 1000)
    assert await shown(tx, rich) == [("stake", "day", 100, 500, PendingLimit(1000, NOON + DAY))]
    assert await ledger.post_many(tx, [bet("c", rich, 1)], now=NOON) == [too_much("stake", "day", 100, 500, MIDNIGHT)]

    before = NOON + DAY - MOMENT
    late = [bet("d", rich, 100), bet("e", rich, 1)]
    assert codes(await ledger.post_many(tx, late, now=before)) == ["posted", "ledger.limit_reached"]
    assert await shown(tx, rich, NOON + DAY) == [("stake", "day", 1000, 100, None)]
    last = [bet("f", rich, 900), bet("g", rich, 1)]
    outcomes = await ledger.post_many(tx, last, now=NOON + DAY)
    assert codes(outcomes[:1]) == ["posted"]
    assert outcomes[1] == too_much("stake", "day", 1000, 1000, MIDNIGHT + DAY)


async def test_each_period_ends_by_itself(tx: Tx, rich: str) -> None:
    """The day at midnight, the week on Monday, the month on its first; the shortest is named first."""
    for period, amount in (("day", 10), ("week", 15), ("month", 18)):
        await allow(tx, rich, amount, period=period)  # type: ignore[arg-type]
    moments = [NOON, MIDNIGHT, WEEK_ENDS, MONTH_ENDS]
    outcomes = [
        (await ledger.post_many(tx, [bet(f"a{n}", rich, 10), bet(f"b{n}", rich, 1)], now=now))
        for n, now in enumerate(moments)
    ]
    assert outcomes[0][1] == too_much("stake", "day", 10, 10, MIDNIGHT)
    assert outcomes[1] == [too_much("stake", "week", 15, 10, WEEK_ENDS), outcomes[1][1]]
    assert codes(outcomes[1][1:]) == ["posted"]
    assert outcomes[2] == [too_much("stake", "month", 18, 11, MONTH_ENDS), outcomes[2][1]]
    assert codes(outcomes[3]) == ["posted", "ledger.limit_reached"]


async def test_a_loss_is_what_was_staked_less_what_was_won(tx: Tx, rich: str) -> None:
    """Whoever has won may stake more; it is never shown as less than nothing."""
    await allow(tx, rich, 100, "loss")
    first = [bet("a", rich, 100), bet("b", rich, 1), win("c", rich, 30), bet("d", rich, 30), bet("e", rich, 1)]
    words = ["posted", "ledger.limit_reached", "posted", "posted", "ledger.limit_reached"]
    assert codes(await ledger.post_many(tx, first, now=NOON)) == words
    await ledger.post(tx, win("f", rich, 500), now=NOON)
    assert await shown(tx, rich) == [("loss", "day", 100, 0, None)]
    more = [bet("g", rich, 500), bet("h", rich, 1)]
    assert codes(await ledger.post_many(tx, more, now=NOON)) == ["posted", "ledger.limit_reached"]
    assert await used(tx, rich) == {
        f"{group} {period}": n for group, n in (("stake", 630), ("loss", 100)) for period in "DWM"
    }


async def test_wins_of_a_fan_out_count_as_well(tx: Tx, rich: str) -> None:
    """Deposits do not come in such numbers, and have a limit to look at: refused."""
    await allow(tx, rich, 10, "loss")
    await ledger.post(tx, bet("a", rich, 10), now=NOON)
    rows = ledger.Payments(["p", "q"], [owner_of(rich)] * 2, [3, 4])
    about = {"source": HOUSE, "asset": "COIN", "payments": rows, "now": NOON}
    await ledger.fan_out(tx, kind="games.win", **about)
    await ledger.fan_out(tx, kind="games.win", **about)
    assert await shown(tx, rich) == [("loss", "day", 10, 3, None)]
    with pytest.raises(ledger.InvalidPost):
        await ledger.fan_out(tx, kind="payments.deposit", **about)


async def test_spending_and_deposits_have_limits_of_their_own(tx: Tx, rich: str) -> None:
    """An order is no stake; a deposit counts where it comes in; other kinds count nothing."""
    await allow(tx, rich, 10, "spend")
    await allow(tx, rich, 20, "deposit", "month")
    await allow(tx, rich, 0)
    order, deposit = (
        replace(pay("o", rich, -10), kind="store.order"),
        replace(pay("d", rich, 20), kind="payments.deposit"),
    )
    batch = [
        order,
        replace(order, key="o2"),
        deposit,
        replace(deposit, key="d2"),
        pay("t", rich, -30),
        pay("u", rich, 30),
    ]
    outcomes = await ledger.post_many(tx, batch, now=NOON)
    assert codes(outcomes) == ["posted", "ledger.limit_reached", "posted", "ledger.limit_reached", "posted", "posted"]
    assert outcomes[1] == too_much("spend", "day", 10, 10, MIDNIGHT)
    assert outcomes[3] == too_much("deposit", "month", 20, 20, MONTH_ENDS)
    assert codes(await ledger.post_many(tx, [bet("b", rich, 1)], now=NOON)) == ["ledger.limit_reached"]


async def test_a_hold_counts_when_it_is_placed_and_gives_back_what_is_not_taken(tx: Tx, rich: str) -> None:
    """80 held of 100; a capture of it counts nothing more; what is released counts no more, on the day it was held."""
    await allow(tx, rich, 100)
    outcomes = await ledger.post_many(tx, [stake("h", rich, 80), stake("i", rich, 21), bet("b", rich, 20)], now=NOON)
    assert codes(outcomes) == ["held", "ledger.limit_reached", "posted"]
    assert isinstance(outcomes[0], ledger.Held)
    hold = outcomes[0].hold_id
    await ledger.capture_many(tx, [bet("c", rich, 30, capture=Capture(hold))], now=NOON)
    assert (await used(tx, rich))["stake D"] == 100
    await ledger.capture_many(tx, [bet("d", rich, 10, capture=Capture(hold, is_final=True))], now=NOON + DAY)
    assert await used(tx, rich) == everywhere(stake=60, loss=60)
    assert await shown(tx, rich, NOON + DAY) == [("stake", "day", 100, 0, None)]


async def test_a_hold_that_is_let_go_gives_back_all(tx: Tx, rich: str) -> None:
    """Voided in the same batch as the bet that needs it, or past its end."""
    await allow(tx, rich, 100, "loss", "month")
    first, second = await ledger.post_many(tx, [stake("h", rich, 60), stake("i", rich, 40)], now=NOON)
    assert isinstance(first, ledger.Held)
    assert isinstance(second, ledger.Held)
    batch = [bet("a", rich, 60), Void("v", first.hold_id), bet("b", rich, 60)]
    assert codes(await ledger.post_many(tx, batch, now=NOON)) == ["ledger.limit_reached", "voided", "posted"]
    await holding.expire(tx, now=NOON + 40 * DAY)
    assert (await used(tx, rich))["loss M"] == 60


async def test_taking_a_bet_back_gives_back_and_taking_a_win_back_does_not_refuse(tx: Tx, rich: str) -> None:
    """In the periods in which they were; a loss may then be above its limit."""
    await allow(tx, rich, 100, "loss")
    placed = await ledger.post(tx, bet("a", rich, 100), now=NOON)
    won = await ledger.post(tx, win("w", rich, 50), now=NOON)
    await ledger.post(tx, bet("b", rich, 50), now=NOON)
    await ledger.reverse(tx, Reverse("r", won.transfer_id, "a mistake"), now=NOON + DAY)
    assert await shown(tx, rich) == [("loss", "day", 100, 150, None)]
    await ledger.reverse(tx, Reverse("s", placed.transfer_id, "a mistake", 70), now=NOON + DAY)
    assert await shown(tx, rich) == [("loss", "day", 100, 80, None)]
    assert await shown(tx, rich, NOON + DAY) == [("loss", "day", 100, 0, None)]


async def test_taking_a_captured_bet_back_gives_back_where_the_hold_counted(tx: Tx, rich: str) -> None:
    await allow(tx, rich, 100)
    [held] = await ledger.hold_many(tx, [stake("h", rich, 80)], now=NOON)
    assert isinstance(held, ledger.Held)
    taken = await ledger.post(tx, bet("c", rich, 80, capture=Capture(held.hold_id)), now=NOON + DAY)
    await ledger.reverse(tx, Reverse("r", taken.transfer_id, "a mistake"), now=NOON + 2 * DAY)
    assert await used(tx, rich) == everywhere(stake=0, loss=0)


async def test_a_hold_of_another_kind_counts_when_it_is_captured(tx: Tx, rich: str) -> None:
    """Nothing counted before."""
    await allow(tx, rich, 10)
    item = replace(stake("h", rich, 20), kind="ledger.transfer")
    [held] = await ledger.hold_many(tx, [item], now=NOON)
    assert isinstance(held, ledger.Held)
    parts = [bet(f"c{n}", rich, 10, capture=Capture(held.hold_id)) for n in range(2)]
    assert codes(await ledger.capture_many(tx, parts, now=NOON)) == ["posted", "ledger.limit_reached"]


async def test_repeats_and_refusals_count_nothing(tx: Tx, rich: str) -> None:
    """Nor does a dry run."""
    await allow(tx, rich, 100)
    for _ in range(2):
        await ledger.post_many(tx, [bet("a", rich, 10), bet("b", rich, 10_001), bet("a", rich, 10)], now=NOON)
    await ledger.post_many(tx, [bet("c", rich, 10)], now=NOON, dry_run=True)
    assert await used(tx, rich) == everywhere(stake=10, loss=10)


async def test_limits_are_of_one_player_and_one_asset(tx: Tx, rich: str) -> None:
    other = new_wallet()
    await fund(tx, other, 10, now=NOON)
    await fund(tx, rich, 10, asset="QC", now=NOON)
    await allow(tx, rich, 0)
    legs = ((rich, "QC", -5), (HOUSE, "QC", 5))
    batch = [bet("a", rich, 1), bet("b", other, 1), Post("c", "games.bet", legs)]
    assert codes(await ledger.post_many(tx, batch, now=NOON)) == ["ledger.limit_reached", "posted", "posted"]


async def test_two_round_trips_with_limits_and_lots(database: Database, wallet: str) -> None:
    """Bets, a hold and a release of a wallet whose points expire."""
    terms = await _lots(database, lots=True)
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:f", wallet, 100, lot=Lot("bonus", NOON + HOUR)), now=NOON)
        [held] = await ledger.hold_many(tx, [stake(f"{wallet}:h", wallet, 10)], now=NOON)
        await allow(tx, wallet, 50)
    assert isinstance(held, ledger.Held)
    async with database.begin(SYSTEM) as tx:
        batch = [
            bet(f"{wallet}:a", wallet, 40),
            Void(f"{wallet}:v", HoldId(held.hold_id)),
            bet(f"{wallet}:b", wallet, 10),
            bet(f"{wallet}:c", wallet, 1),
        ]
        with counted(tx) as trips:
            outcomes = await ledger.post_many(tx, batch, now=NOON)
        assert trips == [2]
        assert codes(outcomes) == ["posted", "voided", "posted", "ledger.limit_reached"]
        assert (await ledger.verify(tx)).is_sound
    assert terms.lots is False
    await _lots(database, lots=False)


async def _lots(database: Database, *, lots: bool) -> ledger.AssetTerms:
    async with database.begin(SYSTEM) as tx:
        terms = await ledger.asset_terms(tx, asset="COIN")
        wanted = ledger.AssetTerms(terms.name, terms.giftable, terms.withdrawable, lots, terms.active)
        await ledger.change_asset(tx, asset="COIN", terms=wanted, reason="a test", now=NOON)
    return terms


# --- what never touches the wallet ---


async def test_what_a_card_paid_counts_with_what_a_wallet_paid(tx: Tx, rich: str) -> None:
    """One rule for both; what is given back counts no more in the period it was counted in."""
    await allow(tx, rich, 100, "spend")
    await ledger.post(tx, replace(pay("o", rich, -40), kind="store.order"), now=NOON)
    about = {"owner_id": owner_of(rich), "group": "spend", "asset": "COIN", "now": NOON}
    await ledger.check_usage(tx, amount=60, **about)  # type: ignore[arg-type]
    with pytest.raises(ledger.LimitReached) as refusal:
        await ledger.check_usage(tx, amount=61, **about)  # type: ignore[arg-type]
    assert refusal.value.facts == too_much("spend", "day", 100, 40, MIDNIGHT).facts
    paid = Used(owner_of(rich), "spend", "COIN", 30)
    await ledger.count_usage_many(tx, [paid, paid], now=NOON)
    with pytest.raises(ledger.LimitReached):
        await ledger.count_usage_many(tx, [paid._replace(amount=1)], now=NOON)
    await ledger.count_usage_many(tx, [paid._replace(amount=-30, at=NOON)], now=NOON + DAY)
    assert await shown(tx, rich) == [("spend", "day", 100, 70, None)]


async def test_many_of_one_call_see_each_other_and_go_together(tx: Tx, wallet: str) -> None:
    """Also of somebody who never had a wallet."""
    await allow(tx, wallet, 100, "deposit", "week")
    item = Used(owner_of(wallet), "deposit", "COIN", 60)
    with pytest.raises(ledger.LimitReached):
        await ledger.count_usage_many(tx, [item, item], now=NOON)
    assert await shown(tx, wallet) == [("deposit", "week", 100, 0, None)]
    with pytest.raises(ledger.InvalidPost):
        await ledger.check_usage(tx, owner_id=owner_of(wallet), group="spend", asset="NONE", amount=1, now=NOON)


async def test_what_many_people_paid_is_counted_in_as_many_trips_as_of_one(tx: Tx) -> None:
    trips: list[int] = []
    for people in (1, 1, 40):  # the first one learns what assets there are
        items = [Used(owner_of(new_wallet()), "spend", "COIN", 5) for _ in range(people)]
        with counted(tx) as seen:
            await ledger.count_usage_many(tx, items, now=NOON)
        trips += seen
    assert trips[1] == trips[2]
    with pytest.raises(ledger.BatchTooLarge) as refusal:
        await ledger.count_usage_many(tx, [Used(owner_of(new_wallet()), "spend", "COIN", 5)] * 10_001, now=NOON)
    assert refusal.value.facts == {"items": 10_001, "limit": 10_000}


# --- who sets them ---


async def test_a_player_sets_his_own_limits_and_nobody_elses(database: Database, wallet: str) -> None:
    """Without a reason and without a row of audit; staff give one, and have one."""
    player, owner = Actor("player", owner_of(wallet), RequestId(new_id())), owner_of(wallet)
    about = {"asset": "COIN", "group": "stake", "period": "day", "now": NOON}
    async with database.begin(player) as tx:
        await ledger.set_limit(tx, owner_id=owner, amount=10, **about)  # type: ignore[arg-type]
        assert await shown(tx, wallet) == [("stake", "day", 10, 0, None)]
        other = owner_of(new_wallet())
        with pytest.raises(psycopg.Error, match="the limits of somebody else"):
            async with tx.transaction():
                await ledger.set_limit(tx, owner_id=other, amount=10, reason="x", **about)  # type: ignore[arg-type]
        with pytest.raises(psycopg.Error, match="what somebody else has used"):
            async with tx.transaction():
                await ledger.count_usage_many(tx, [Used(other, "stake", "COIN", -1)], now=NOON)
    async with database.begin(SYSTEM) as tx:
        with pytest.raises(ledger.InvalidPost):
            await ledger.set_limit(tx, owner_id=owner, amount=5, **about)  # type: ignore[arg-type]
        await ledger.set_limit(tx, owner_id=owner, amount=20, reason="a call", **about)  # type: ignore[arg-type]
        found = await tx.execute(
            "select changes, reason from infra.audit_rows where action = 'limit.set' and subject_user_id = %s", [owner]
        )
        [(changes, reason)] = await found.fetchall()
    assert (changes["amount"], changes["pending_amount"], reason) == ([10, 10], [None, 20], "a call")
    stranger = Actor("player", owner_of(new_wallet()), RequestId(new_id()))
    async with database.begin(stranger) as tx:
        assert await shown(tx, wallet) == []


@pytest.mark.parametrize("amount", [-1, True, 1.0, 2**53])
async def test_what_is_no_limit_is_refused(tx: Tx, wallet: str, amount: int) -> None:
    with pytest.raises(ledger.InvalidPost):
        await allow(tx, wallet, amount)
    with pytest.raises(ledger.UnknownAsset):
        await ledger.set_limit(
            tx, owner_id=owner_of(wallet), asset="NONE", group="stake", period="day", amount=1, now=NOON, reason="x"
        )
    assert await shown(tx, wallet) == []


async def test_whoever_wants_no_limit_waits_and_may_think_again(tx: Tx, rich: str) -> None:
    """To be rid of it is to raise it; to ask for what is in force gives it up."""
    await allow(tx, rich, 10)
    await allow(tx, rich, None)
    assert await shown(tx, rich) == [("stake", "day", 10, 0, PendingLimit(None, NOON + DAY))]
    await allow(tx, rich, 10)
    assert await shown(tx, rich, NOON + 2 * DAY) == [("stake", "day", 10, 0, None)]
    await allow(tx, rich, None)
    assert await shown(tx, rich, NOON + DAY) == []
    assert codes(await ledger.post_many(tx, [bet("a", rich, 1000)], now=NOON + DAY)) == ["posted"]


# --- rules ---

instants = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@given(at=instants)
def test_a_period_ends_where_the_next_one_begins(at: datetime) -> None:
    for period, key in rules.period_keys(at).items():
        end = rules.resets_at(period, at)
        assert at < end
        assert rules.period_keys(end - MOMENT)[period] == key != rules.period_keys(end)[period]


def test_the_database_names_periods_alike(cluster: embedded.Cluster, database_name: str) -> None:
    """Around every new year, where the week may be of the other one, whatever the zone of the session."""
    days = [date(year, 12, 26) + n * DAY for year in range(2015, 2045) for n in range(14)]
    moments = [datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC) for day in days]
    with psycopg.connect(cluster.dsn("postgres", database_name)) as conn:
        conn.execute("set time zone 'Pacific/Apia'")
        found = conn.execute("select ledger.period_keys(at) from unnest(%s::timestamptz[]) u(at)", [moments])
        assert [row[0] for row in found.fetchall()] == [list(rules.period_keys(at).values()) for at in moments]


limit = st.one_of(st.none(), st.integers(0, 5))
asks = st.lists(st.tuples(limit, st.integers(0, 30)), max_size=12)


@given(asks=asks)
def test_nobody_has_more_before_a_day_is_over(asks: list[tuple[int | None, int]]) -> None:
    """Whatever is asked for and when: above what was allowed is only what was asked for a day before, and stands."""
    amount, pending, now = 3, None, NOON
    history: list[tuple[datetime, int | None]] = []
    limit: int | None = amount
    for wanted, hours in asks:
        now += hours * HOUR
        before = rules.in_force(limit, pending, now)
        limit, pending = rules.changed(limit, pending, wanted, now=now, delay=DAY)
        after = rules.in_force(limit, pending, now)
        history.append((now, wanted))
        if before is not None:
            assert after is not None
            assert after <= before
            assert after == min(before, wanted if wanted is not None else before)
        if pending:
            assert pending.starts_at >= now
            assert any(at + DAY == pending.starts_at and ask == pending.amount for at, ask in history)
