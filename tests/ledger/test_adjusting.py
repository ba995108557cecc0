"""Corrections by staff: alone up to a limit that splitting does not widen, above it with somebody else."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import ledger
from palio.infra import approvals, audit, db
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId, new_id
from palio.ledger import AdjustmentLine, errors
from palio.ledger.jobs import expire_adjustments
from palio.ledger.messages import ExpireAdjustments
from palio.ledger.rules import adjusting as rules
from palio.ledger.service import adjusting
from palio.ledger.types import Hold
from tests.factories.ledger import fund, owner_of

WHY = "the bet was counted twice"
HOUR = timedelta(hours=1)


def somebody() -> UserId:
    return UserId(new_id())


async def adjusted(
    tx: Tx,
    owner: UserId,
    amount: int,
    *,
    maker: UserId,
    now: datetime,
    asset: str = "USD",
    to_debt: bool = False,
) -> ledger.Adjustment:
    line = AdjustmentLine(owner, asset, amount)
    return await ledger.adjust(tx, lines=[line], reason=WHY, maker=maker, now=now, to_debt=to_debt)


async def balance(tx: Tx, owner: UserId, asset: str = "USD") -> int:
    return await ledger.balance(tx, address=f"user:{owner}:main", asset=asset)


async def rows(tx: Tx) -> tuple[int, int]:
    """How many adjustments and transfers there are."""
    count = await db.value(tx, "select count(*) from ledger.adjustments")
    return count, await db.value(tx, "select count(*) from ledger.transfers where kind = 'ledger.adjustment'")


# alone, and with somebody else


async def test_up_to_the_limit_it_is_posted_at_once_and_one_cent_more_waits(tx: Tx, noon: datetime) -> None:
    owner, other, maker = somebody(), somebody(), somebody()
    made = await adjusted(tx, owner, 10_000, maker=maker, now=noon)
    waiting = await adjusted(tx, other, 10_001, maker=maker, now=noon)

    [line] = made.lines
    key = await db.value(tx, "select key from ledger.transfers where id = %s", line.transfer_id)
    assert (made.status, made.decided_at, key) == ("posted", noon, f"adj:{made.id}:1")
    assert (made.asset, made.total_abs, made.line_count) == ("USD", 10_000, 1)
    assert (waiting.status, waiting.expires_at, waiting.decided_at) == ("pending", noon + 72 * HOUR, None)
    assert (await balance(tx, owner), await balance(tx, other)) == (10_000, 0)
    assert await ledger.balance(tx, address="house:adjustments", asset="USD") == -10_000


async def test_the_sixth_of_two_thousand_within_a_day_waits(tx: Tx, noon: datetime) -> None:
    """Splitting does not help; a day later, or for somebody else, or by somebody else, there is room again."""
    owner, maker = somebody(), somebody()
    made = [(await adjusted(tx, owner, 2_000, maker=maker, now=noon + n * HOUR)).status for n in range(6)]
    again = await adjusted(tx, owner, -2_000, maker=maker, now=noon + 5 * HOUR)
    other = await adjusted(tx, somebody(), 2_000, maker=maker, now=noon + 5 * HOUR)
    by_another = await adjusted(tx, owner, 2_000, maker=somebody(), now=noon + 5 * HOUR)
    later = await adjusted(tx, owner, 2_000, maker=maker, now=noon + 24 * HOUR)

    assert made == [*["posted"] * 5, "pending"]
    assert [one.status for one in (again, other, by_another, later)] == ["pending", "posted", "posted", "posted"]


async def test_lines_of_one_act_are_summed_by_asset_whoever_they_are_for(tx: Tx, noon: datetime) -> None:
    maker = somebody()
    halves = [AdjustmentLine(somebody(), "USD", 5_000), AdjustmentLine(somebody(), "USD", 5_000)]
    assets = [AdjustmentLine(somebody(), "USD", 10_000), AdjustmentLine(somebody(), "COIN", 10_000)]
    made = await ledger.adjust(tx, lines=halves, reason=WHY, maker=maker, now=noon)
    more = [halves[0], halves[1]._replace(amount=5_001)]
    over = await ledger.adjust(tx, lines=more, reason=WHY, maker=somebody(), now=noon)
    both = await ledger.adjust(tx, lines=assets, reason=WHY, maker=somebody(), now=noon)

    assert [one.status for one in (made, over, both)] == ["posted", "pending", "posted"]
    assert (over.total_abs, both.asset, both.total_abs, both.line_count) == (10_001, None, None, 2)


async def test_an_asset_without_a_limit_of_its_own_always_takes_two(tx: Tx, noon: datetime) -> None:
    assert (await adjusted(tx, somebody(), 1, maker=somebody(), now=noon, asset="XTR")).status == "pending"


async def test_somebody_else_approves_and_then_it_is_posted_once(tx: Tx, noon: datetime) -> None:
    owner, maker, checker = somebody(), somebody(), somebody()
    waiting = await adjusted(tx, owner, 10_001, maker=maker, now=noon)
    decided = await ledger.decide_adjustment(
        tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=noon + HOUR
    )
    with pytest.raises(approvals.Closed) as closed:
        await ledger.decide_adjustment(
            tx, adjustment_id=waiting.id, decision="reject", checker=somebody(), now=noon + HOUR, reason="too much"
        )

    [line] = await db.column(tx, "select metadata from ledger.transfers where id = %s", decided.lines[0].transfer_id)
    assert (decided.status, decided.checker, decided.decided_at) == ("posted", checker, noon + HOUR)
    assert line == {"adjustment": str(waiting.id), "maker": str(maker), "people": 2}
    assert closed.value.facts == {"state": "posted", "decided_by": str(checker), "decided_at": noon + HOUR}
    assert (await balance(tx, owner), await rows(tx)) == (10_001, (1, 1))


async def test_neither_the_maker_nor_who_is_paid_decides(tx: Tx, noon: datetime) -> None:
    owner, maker = somebody(), somebody()
    waiting = await adjusted(tx, owner, 10_001, maker=maker, now=noon)
    for checker, refusal in ((maker, approvals.OwnProposal), (owner, approvals.OwnBenefit)):
        with pytest.raises(refusal):
            await ledger.decide_adjustment(tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=noon)
    with pytest.raises(Forbidden):
        await ledger.cancel_adjustment(tx, adjustment_id=waiting.id, maker=owner, now=noon)

    assert (await ledger.get_adjustment(tx, adjustment_id=waiting.id)).status == "pending"
    assert await balance(tx, owner) == 0


async def test_nobody_corrects_his_own_wallet(tx: Tx, noon: datetime) -> None:
    maker = somebody()
    for amount in (1, 10_001):
        with pytest.raises(errors.SelfAdjustment):
            await adjusted(tx, maker, amount, maker=maker, now=noon)
    assert await rows(tx) == (0, 0)


async def test_rejected_with_a_reason_and_cancelled_by_the_maker_nothing_moves(tx: Tx, noon: datetime) -> None:
    owner, maker, checker = somebody(), somebody(), somebody()
    first, second = [await adjusted(tx, owner, 10_001, maker=maker, now=noon) for _ in range(2)]
    with pytest.raises(approvals.ReasonMissing):
        await ledger.decide_adjustment(tx, adjustment_id=first.id, decision="reject", checker=checker, now=noon)
    rejected = await ledger.decide_adjustment(
        tx, adjustment_id=first.id, decision="reject", checker=checker, now=noon, reason="no such bet"
    )
    cancelled = await ledger.cancel_adjustment(tx, adjustment_id=second.id, maker=maker, now=noon)
    with pytest.raises(approvals.Closed) as closed:
        await ledger.decide_adjustment(tx, adjustment_id=second.id, decision="approve", checker=checker, now=noon)

    assert (rejected.status, rejected.note, rejected.checker) == ("rejected", "no such bet", checker)
    assert (cancelled.status, cancelled.checker) == ("cancelled", None)
    assert closed.value.facts["decided_by"] == str(maker)
    assert (await balance(tx, owner), (await rows(tx))[1]) == (0, 0)


async def test_after_three_days_it_is_too_late_before_and_after_the_job(tx: Tx, noon: datetime) -> None:
    owner, checker = somebody(), somebody()
    waiting = await adjusted(tx, owner, 10_001, maker=somebody(), now=noon)
    almost = noon + 72 * HOUR - timedelta(microseconds=1)

    async def approve(now: datetime) -> str:
        try:
            async with db.taken_back(tx):
                decided = await ledger.decide_adjustment(
                    tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=now
                )
                return decided.status
        except approvals.Expired as refusal:
            return refusal.code

    before = [await approve(almost), await approve(noon + 72 * HOUR)]
    assert await adjusting.expire_adjustments(tx, now=almost) is False
    still = (await ledger.get_adjustment(tx, adjustment_id=waiting.id)).status
    await adjusting.expire_adjustments(tx, now=noon + 72 * HOUR)

    assert (before, still) == (["posted", "approval.expired"], "pending")
    assert (await ledger.get_adjustment(tx, adjustment_id=waiting.id)).status == "expired"
    assert await approve(noon + 72 * HOUR) == "approval.expired"
    assert await balance(tx, owner) == 0


async def test_the_job_ends_what_is_due_by_the_clock(tx: Tx, noon: datetime) -> None:
    waiting = await adjusted(tx, somebody(), 10_001, maker=somebody(), now=noon - timedelta(days=4_000))
    await expire_adjustments(tx, ExpireAdjustments())
    assert (await ledger.get_adjustment(tx, adjustment_id=waiting.id)).status == "expired"


# the ceiling of a day


async def test_no_maker_posts_more_than_his_day_holds_approved_or_not(tx: Tx, noon: datetime) -> None:
    """Five times 10,000 are the 50,000 of a day; what is approved counts, and waits for the next day."""
    maker, checker = somebody(), somebody()
    for _ in range(4):
        await adjusted(tx, somebody(), 10_000, maker=maker, now=noon)
    owner = somebody()
    waiting = await adjusted(tx, owner, 10_001, maker=maker, now=noon)
    with pytest.raises(errors.MakerLimit) as full:
        await ledger.decide_adjustment(tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=noon)
    await adjusted(tx, somebody(), 10_000, maker=maker, now=noon)
    with pytest.raises(errors.MakerLimit):
        await adjusted(tx, somebody(), 1, maker=maker, now=noon)
    midnight = noon.replace(hour=0) + timedelta(days=1)
    decided = await ledger.decide_adjustment(
        tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=midnight
    )

    assert full.value.facts == {"asset": "USD", "limit": 50_000, "used": 40_000, "needed": 10_001}
    assert (decided.status, await balance(tx, owner)) == ("posted", 10_001)


async def test_what_no_day_has_room_for_is_not_even_proposed(tx: Tx, noon: datetime) -> None:
    with pytest.raises(errors.MakerLimit):
        await adjusted(tx, somebody(), 50_001, maker=somebody(), now=noon)
    assert await rows(tx) == (0, 0)


# what becomes of the lines


async def test_a_refused_line_keeps_its_code_and_the_others_stand(tx: Tx, wallet: str, noon: datetime) -> None:
    poor, rich = somebody(), owner_of(wallet)
    await fund(tx, wallet, 500, now=noon)
    lines = [AdjustmentLine(poor, "COIN", -1), AdjustmentLine(rich, "COIN", -300), AdjustmentLine(poor, "COIN", 20)]
    made = await ledger.adjust(tx, lines=lines, reason=WHY, maker=somebody(), now=noon)

    told = [(line.n, line.refusal, line.transfer_id is not None) for line in made.lines]
    assert told == [(1, "ledger.insufficient_funds", False), (2, None, True), (3, None, True)]
    assert (made.status, await balance(tx, poor, "COIN"), await balance(tx, rich, "COIN")) == ("posted", 20, 200)


async def test_what_cannot_be_posted_at_all_is_refused_and_not_kept(tx: Tx, noon: datetime) -> None:
    """Below the limit and above it: nobody is asked to agree to what cannot be done."""
    for amount in (-1, -10_001):
        with pytest.raises(errors.InsufficientFunds):
            await adjusted(tx, somebody(), amount, maker=somebody(), now=noon)
    assert await rows(tx) == (0, 0)


async def test_approved_too_late_for_its_funds_it_has_failed(tx: Tx, wallet: str, noon: datetime) -> None:
    owner, checker = owner_of(wallet), somebody()
    await fund(tx, wallet, 20_000, now=noon)
    waiting = await adjusted(tx, owner, -20_000, maker=somebody(), now=noon, asset="COIN")
    hold = Hold(f"h:{new_id()}", wallet, "COIN", 1, "a bet", "ledger.transfer", noon + HOUR)
    await ledger.hold_many(tx, [hold], now=noon)
    decided = await ledger.decide_adjustment(
        tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=noon
    )

    assert (decided.status, decided.lines[0].refusal) == ("failed", "ledger.insufficient_funds")
    assert await balance(tx, owner, "COIN") == 20_000
    with pytest.raises(approvals.Closed):
        await ledger.decide_adjustment(tx, adjustment_id=waiting.id, decision="approve", checker=checker, now=noon)


async def test_what_a_wallet_does_not_have_is_owed_where_it_is_said_so(tx: Tx, wallet: str, noon: datetime) -> None:
    owner = owner_of(wallet)
    await fund(tx, wallet, 100, now=noon)
    made = await adjusted(tx, owner, -500, maker=somebody(), now=noon, asset="COIN", to_debt=True)

    debt = await ledger.balance(tx, address=f"user:{owner}:debt", asset="COIN")
    assert (made.status, await balance(tx, owner, "COIN"), debt) == ("posted", 0, -400)


# seen before


async def test_the_effect_is_the_act_taken_back(tx: Tx, wallet: str, noon: datetime) -> None:
    owner, maker, poor = owner_of(wallet), somebody(), somebody()
    await fund(tx, wallet, 100, now=noon)
    lines = [AdjustmentLine(owner, "COIN", -500), AdjustmentLine(poor, "COIN", -1), AdjustmentLine(owner, "COIN", 7)]
    foreseen = await adjusting.foresee_adjustment(tx, lines=lines, maker=maker, now=noon)
    owed = await adjusting.foresee_adjustment(tx, lines=lines[:1], maker=maker, now=noon, to_debt=True)

    told = [(change.address, change.before, change.after) for change in foreseen.changes]
    house = (rules.HOUSE, 0, -7)
    assert told == [(wallet, 100, 107), (f"user:{poor}:main", 0, 0), house]
    assert foreseen.refusals == {1: "ledger.insufficient_funds", 2: "ledger.insufficient_funds"}
    assert (foreseen.waits, foreseen.obstacle) == (False, None)
    assert [(change.address, change.after) for change in owed.changes] == [
        (wallet, 0),
        (f"user:{owner}:debt", -400),
        (rules.HOUSE, 500),
    ]
    assert (await balance(tx, owner, "COIN"), await rows(tx)) == (100, (0, 0))


async def test_what_waits_says_what_it_would_do_now(tx: Tx, noon: datetime) -> None:
    owner, maker = somebody(), somebody()
    waiting = await adjusted(tx, owner, 40_001, maker=maker, now=noon)
    await adjusted(tx, somebody(), 10_000, maker=maker, now=noon)
    foreseen = await adjusting.foresee_decision(tx, adjustment_id=waiting.id, now=noon)
    tomorrow = await adjusting.foresee_decision(tx, adjustment_id=waiting.id, now=noon + 24 * HOUR)

    assert [(change.before, change.after) for change in foreseen.changes] == [(0, 40_001), (-10_000, -50_001)]
    assert (foreseen.obstacle, tomorrow.obstacle) == ("ledger.maker_limit", None)
    assert await balance(tx, owner) == 0


# bad input, and what is written down


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([], "lines"),
        ([(1, "USD")] * 1_001, "lines"),
        ([(1, "USD"), (0, "USD")], "lines[1].amount"),
        ([(2**53, "USD")], "lines[0].amount"),
        ([(1.0, "USD")], "lines[0].amount"),
        ([(True, "USD")], "lines[0].amount"),
        ([(1, "EUR")], "lines[0].asset"),
    ],
)
async def test_a_line_that_is_wrong_is_named_and_nothing_is_kept(
    tx: Tx, noon: datetime, lines: Sequence[tuple[int, str]], field: str
) -> None:
    asked = [AdjustmentLine(somebody(), asset, amount) for amount, asset in lines]
    with pytest.raises(errors.InvalidPost) as refused:
        await ledger.adjust(tx, lines=asked, reason=WHY, maker=somebody(), now=noon)
    assert (refused.value.facts, await rows(tx)) == ({"field": field}, (0, 0))


@pytest.mark.parametrize("reason", ["", "too short", "         x         ", "x" * 501, "ten characters\0"])
async def test_a_reason_has_ten_to_five_hundred_characters(tx: Tx, noon: datetime, reason: str) -> None:
    line = AdjustmentLine(somebody(), "USD", 1)
    with pytest.raises(errors.AdjustmentReasonMissing):
        await ledger.adjust(tx, lines=[line], reason=reason, maker=somebody(), now=noon)
    assert await rows(tx) == (0, 0)


async def test_every_step_is_written_down_and_told(tx: Tx, noon: datetime) -> None:
    owner = somebody()
    waiting = await adjusted(tx, owner, 10_001, maker=somebody(), now=noon)
    await ledger.decide_adjustment(tx, adjustment_id=waiting.id, decision="approve", checker=somebody(), now=noon)

    since = audit.Wanted(
        datetime.fromtimestamp(0, noon.tzinfo), noon + timedelta(days=9_999), entity_id=str(waiting.id)
    )
    acts = {
        row.action: (row.changes["status"], row.subject_user_id)
        for row in await audit.search(tx, wanted=since, part=audit.Part(9))
    }
    assert acts == {
        "wallet.adjust": ([None, "pending"], owner),
        "adjustment.approve": (["pending", "posted"], owner),
    }


async def test_what_was_decided_is_kept_as_it_is(tx: Tx, noon: datetime) -> None:
    made = await adjusted(tx, somebody(), 5, maker=somebody(), now=noon)
    for statement, state in (
        ("update ledger.adjustments set reason = 'something else' where id = %s", "42501"),
        ("delete from ledger.adjustment_lines where adjustment_id = %s", "42501"),
        ("select ledger.close_adjustment(%s, 'rejected', null, '', now(), '{}', '{}', '{}')", "PL004"),
        ("select ledger.close_adjustment(%s, 'pending', null, '', null, '{1}', '{null}', '{x}')", "PL004"),
    ):
        with pytest.raises(psycopg.Error) as refused:
            async with db.taken_back(tx):
                await tx.execute(statement, [made.id])  # type: ignore[arg-type]  # each is literal
        assert refused.value.sqlstate == state


# the rule, against a plain second one

PEOPLE = [somebody() for _ in range(3)]
LINES = st.lists(
    st.builds(
        AdjustmentLine,
        st.sampled_from(PEOPLE),
        st.sampled_from(["USD", "COIN"]),
        st.integers(-60, 60).filter(bool),
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(LINES, max_size=12))
def test_nobody_gets_more_than_the_limit_from_one_person_alone(acts: list[list[AdjustmentLine]]) -> None:
    """Whatever is split how: what passes without a second person never adds up to more, for any player and asset."""
    limits, done = (
        {"USD": 100, "COIN": 50},
        dict.fromkeys(((one, asset) for one in PEOPLE for asset in ("USD", "COIN")), 0),
    )
    for lines in acts:
        moved = {asset: sum(abs(line.amount) for line in lines if line.asset == asset) for asset in ("USD", "COIN")}
        plain = any(done[line.owner_id, line.asset] + moved[line.asset] > limits[line.asset] for line in lines)
        assert rules.needs_second(lines, done=done, limits=limits) is plain
        if not plain:
            for line in lines:
                done[line.owner_id, line.asset] += abs(line.amount)
    assert all(units <= limits[asset] for (_, asset), units in done.items())
