"""The course of a competition under the hands of staff: rests, ends, terms, doubts, and what takes two people."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from palio import competitions
from palio.competitions.types import Appeal, CompetitionId, Contributed, Counted, EntrantId, Outcome, Submission
from palio.entry.approving import COMMANDS
from palio.infra import approvals, db
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, enter, live, new, paid_in, players, score

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
CHECKER = Actor("staff", UserId(new_id()), RequestId(new_id()))
WHY = "the server was down"
ACT: dict[str, object] = {"actor": STAFF, "reason": WHY}
DOUBT = "My last game is missing."
ANSWER = "It was played after the end."
LATE = "competitions.starts_in_past"


async def submit(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, at: datetime) -> Outcome:
    item = Submission(competition_id, entrant, 1, f"k:{at}", at)
    (outcome,) = await competitions.submit_many(tx, [item], now=at)
    return outcome


async def test_a_rest_of_two_hours_moves_the_end_by_two_hours(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, product="quest", ends_at=noon + 24 * HOUR)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    await competitions.pause(tx, competition_id=competition_id, **ACT, now=noon + HOUR)
    refused = await submit(tx, competition_id, entrant, noon + 2 * HOUR)
    assert not isinstance(refused, Counted) and refused.code == "competitions.paused"
    with pytest.raises(competitions.Paused):
        await competitions.pause(tx, competition_id=competition_id, **ACT, now=noon + 2 * HOUR)

    resumed = await competitions.resume(tx, competition_id=competition_id, **ACT, now=noon + 3 * HOUR)
    assert (resumed.ends_at, resumed.paused_at) == (noon + 26 * HOUR, None)
    assert isinstance(await submit(tx, competition_id, entrant, noon + 25 * HOUR), Counted)
    with pytest.raises(competitions.NotPaused):
        await competitions.resume(tx, competition_id=competition_id, **ACT, now=noon + 4 * HOUR)
    assert await competitions.settle(tx, competition_id=competition_id, now=noon + 26 * HOUR)


async def test_what_rests_does_not_end_by_the_clock(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    await competitions.pause(tx, competition_id=competition_id, **ACT, now=noon + HOUR)
    assert await competitions.due(tx, now=noon + 9 * HOUR) == []
    assert not await competitions.settle(tx, competition_id=competition_id, now=noon + 9 * HOUR)
    with pytest.raises(competitions.Paused):
        await competitions.close(tx, competition_id=competition_id, now=noon + 9 * HOUR)
    with pytest.raises(competitions.Paused):
        await competitions.end_now(tx, competition_id=competition_id, **ACT, now=noon + 2 * HOUR)


async def test_it_begins_and_ends_when_staff_say_so(tx: Tx, noon: datetime) -> None:
    draft = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    published = await competitions.publish(tx, competition_id=draft, now=noon)
    begun = await competitions.start_now(tx, competition_id=draft, **ACT, now=noon + HOUR / 2)
    assert (begun.status, begun.starts_at) == ("live", noon + HOUR / 2)
    assert begun.terms_hash != published.terms_hash
    ended = await competitions.end_now(tx, competition_id=draft, **ACT, now=noon + HOUR)
    assert (ended.status, ended.phase, ended.ends_at) == ("settling", "collecting", noon + HOUR)
    with pytest.raises(competitions.NotLive):
        await competitions.end_now(tx, competition_id=draft, **ACT, now=noon + HOUR)
    with pytest.raises(competitions.NotUpcoming):
        await competitions.start_now(tx, competition_id=draft, **ACT, now=noon + HOUR)


async def update(
    tx: Tx, competition_id: CompetitionId, now: datetime, **changes: object
) -> competitions.types.Competition:
    return await competitions.update(tx, competition_id=competition_id, changes=changes, actor=STAFF, now=now)


async def test_a_draft_can_be_written_anew(tx: Tx, noon: datetime) -> None:
    draft = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    changed = await update(tx, draft, noon, title="Summer", guaranteed_pool=5, starts_at=noon + 2 * HOUR, min_score=3)
    assert (changed.title, changed.guaranteed_pool, changed.starts_at, changed.min_score, changed.version) == (
        *("Summer", 5, noon + 2 * HOUR, 3, 2),
    )
    assert await update(tx, draft, noon, title="Summer") == changed  # what is equal is no change


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"min_score": 5}, competitions.TermsFrozen),
        ({"prize_rule": {"kind": "bps"}}, competitions.TermsFrozen),
        ({"tie_rule": "earliest"}, competitions.TermsFrozen),
        ({"treasury_bps": 5}, competitions.TermsFrozen),
        ({"guaranteed_pool": 5}, competitions.TermsFrozen),
        ({"ends_at": timedelta(hours=-1)}, competitions.EndsEarlier),
    ],
)
async def test_terms_are_frozen_when_it_runs(
    tx: Tx, noon: datetime, changes: Mapping[str, object], refusal: type[Exception]
) -> None:
    competition_id = await live(tx, noon)
    before = await competitions.get(tx, competition_id=competition_id)
    wanted = {
        field: before.ends_at + value if isinstance(value, timedelta) else value for field, value in changes.items()
    }
    with pytest.raises(refusal):
        await update(tx, competition_id, noon + HOUR, **wanted)
    assert await competitions.get(tx, competition_id=competition_id) == before


async def test_texts_and_a_later_end_may_change_while_it_runs(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    before = await competitions.get(tx, competition_id=competition_id)
    after = await update(tx, competition_id, noon, rules_text="Be fair.", ends_at=noon + 9 * HOUR)
    assert (after.rules_text, after.ends_at, after.terms_hash) == ("Be fair.", noon + 9 * HOUR, before.terms_hash)
    told = await db.value(
        tx,
        "select changes from infra.audit_rows where entity_id = %s and action = 'competition.update'",
        str(competition_id),
    )
    assert told["rules_text"] == ["", "Be fair."]


async def test_what_is_announced_is_frozen_by_the_first_who_enters(tx: Tx, noon: datetime) -> None:
    draft = await competitions.create(tx, new=new(noon + HOUR, join_mode="open"), created_by=None, now=noon)
    announced = await competitions.publish(tx, competition_id=draft, now=noon)
    changed = await update(tx, draft, noon, min_score=7)
    assert changed.terms_hash != announced.terms_hash
    with pytest.raises(competitions.TermsFrozen):
        await update(tx, draft, noon, guaranteed_pool=20_000)
    (user,) = await players(tx, 1, noon)
    await competitions.join(tx, competition_id=draft, user_id=user, now=noon)
    with pytest.raises(competitions.TermsFrozen):
        await update(tx, draft, noon, min_score=8)


async def in_review(tx: Tx, noon: datetime, **changes: object) -> tuple[CompetitionId, list[EntrantId]]:
    """Three with 30, 20 and 10, frozen at five o'clock."""
    competition_id = await live(tx, noon, **{"review_h": 24, **changes})
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [30, 20, 10], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    return competition_id, entrants


async def doubt(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, now: datetime, text: str = DOUBT) -> Appeal:
    who = (await competitions.entrants_many(tx, [entrant]))[entrant]
    assert who.user_id
    return await competitions.open_appeal(
        tx, appeal_id=new_id(), competition_id=competition_id, user_id=who.user_id, text=text, now=now
    )


async def test_an_open_doubt_stops_the_payment_until_it_is_answered(tx: Tx, noon: datetime) -> None:
    competition_id, entrants = await in_review(tx, noon)
    appeal = await doubt(tx, competition_id, entrants[2], noon + 6 * HOUR)
    assert not await competitions.settle(tx, competition_id=competition_id, now=noon + 30 * HOUR)
    with pytest.raises(competitions.AppealsOpen):
        await competitions.release(tx, competition_id=competition_id, **ACT, now=noon + 30 * HOUR)

    decided = await competitions.decide_appeal(
        tx, appeal_id=appeal.id, decision="rejected", answer=ANSWER, actor=STAFF, now=noon + 31 * HOUR
    )
    assert (decided.state, decided.answer, decided.decided_by) == ("rejected", ANSWER, STAFF.user_id)
    with pytest.raises(competitions.AppealDecidedBefore):
        await competitions.decide_appeal(
            tx, appeal_id=appeal.id, decision="upheld", answer=ANSWER, actor=STAFF, now=noon + 31 * HOUR
        )
    assert await competitions.settle(tx, competition_id=competition_id, now=noon + 31 * HOUR)


async def test_an_upheld_doubt_works_everything_out_anew(tx: Tx, noon: datetime) -> None:
    competition_id, (first, second, third) = await in_review(tx, noon)
    appeal = await doubt(tx, competition_id, third, noon + 6 * HOUR)
    await competitions.adjust_score(
        tx,
        adjustment_id=new_id(),
        competition_id=competition_id,
        entrant_id=third,
        delta=100,
        **ACT,
        now=noon + 7 * HOUR,
    )
    await competitions.decide_appeal(
        tx, appeal_id=appeal.id, decision="upheld", answer="You are right.", actor=STAFF, now=noon + 7 * HOUR
    )
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(each.entrant_id, each.amount) for each in rewards] == [(third, 5_000), (first, 3_000), (second, 2_000)]


async def test_doubts_have_their_time_their_number_and_their_length(tx: Tx, noon: datetime) -> None:
    competition_id, (first, *_) = await in_review(tx, noon)
    running = await live(tx, noon)
    (stranger,) = await enter(tx, running, 1, noon)
    now = noon + 6 * HOUR
    with pytest.raises(competitions.NotEligible):
        await doubt(tx, competition_id, stranger, now)
    with pytest.raises(competitions.AppealsClosed):
        await doubt(tx, running, stranger, now)
    with pytest.raises(competitions.AppealTextInvalid):
        await doubt(tx, competition_id, first, now, "  no  ")
    for _ in range(3):
        appeal = await doubt(tx, competition_id, first, now)
        with pytest.raises(competitions.TooManyAppeals):
            await doubt(tx, competition_id, first, now)
        await competitions.decide_appeal(
            tx, appeal_id=appeal.id, decision="rejected", answer=ANSWER, actor=STAFF, now=now
        )
    with pytest.raises(competitions.TooManyAppeals):
        await doubt(tx, competition_id, first, now)


async def test_nobody_answers_his_own_doubt(tx: Tx, noon: datetime) -> None:
    competition_id, (first, *_) = await in_review(tx, noon)
    appeal = await doubt(tx, competition_id, first, noon + 6 * HOUR)
    himself = Actor("staff", appeal.user_id, RequestId(new_id()))
    with pytest.raises(approvals.OwnBenefit):
        await competitions.decide_appeal(
            tx, appeal_id=appeal.id, decision="upheld", answer=ANSWER, actor=himself, now=noon + 6 * HOUR
        )
    (open_one,) = await competitions.list_appeals(tx, states=["open"], competition_id=competition_id)
    assert open_one == appeal


async def carry_out(tx: Tx, proposal: approvals.Approval, now: datetime) -> approvals.Approval:
    """Somebody else agrees, and it is done."""
    held = {approvals.DECIDE, COMMANDS[proposal.command].permission}
    await approvals.decide(
        tx, approval_id=proposal.id, actor=CHECKER, decision="approve", reason="", held=held, commands=COMMANDS, now=now
    )
    return await approvals.execute(tx, approval_id=proposal.id, commands=COMMANDS, now=now)


@pytest.mark.parametrize(("pool", "needs"), [(100_000, False), (100_001, True)])
async def test_a_large_pool_is_paid_by_two_people(tx: Tx, noon: datetime, pool: int, needs: bool) -> None:
    """Whoever released it cannot approve it."""
    competition_id, _ = await in_review(tx, noon, guaranteed_pool=pool)
    now = noon + 6 * HOUR
    waiting = await competitions.release_or_propose(tx, competition_id=competition_id, **ACT, now=now)
    phase = (await competitions.get(tx, competition_id=competition_id)).phase
    assert (waiting is not None, phase) == (needs, "review" if needs else "paying")
    if waiting is None:
        return
    held = {approvals.DECIDE, "competitions.settlement.run"}
    with pytest.raises(approvals.OwnProposal):
        await approvals.decide(
            tx,
            approval_id=waiting.id,
            actor=STAFF,
            decision="approve",
            reason="",
            held=held,
            commands=COMMANDS,
            now=now,
        )
    told = await approvals.preview(tx, found=waiting, commands=COMMANDS, now=now)
    assert [(each.what, each.after) for each in told] == [
        *(("state", "paying"), ("pool", pool), ("paid", 50_001), ("paid", 30_000), ("paid", 20_000)),
    ]
    assert (await carry_out(tx, waiting, now)).state == "executed"
    assert (await competitions.get(tx, competition_id=competition_id)).phase == "paying"


async def test_a_prize_winner_is_taken_out_by_two_people(tx: Tx, noon: datetime) -> None:
    competition_id, (first, second, third) = await in_review(tx, noon)
    now = noon + 6 * HOUR
    waiting = await competitions.disqualify_or_propose(
        tx, competition_id=competition_id, entrant_id=first, **ACT, now=now
    )
    assert waiting and len(await competitions.rewards(tx, competition_id=competition_id)) == 3
    told = await approvals.preview(tx, found=waiting, commands=COMMANDS, now=now)
    assert [(each.before, each.after) for each in told if each.what == "prize"] == [
        *((5_000, None), (3_000, 5_000), (2_000, 3_000)),
    ]
    assert (await carry_out(tx, waiting, now)).state == "executed"
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(each.entrant_id, each.amount) for each in rewards] == [(second, 5_000), (third, 3_000)]


async def test_a_running_pool_is_given_back_by_two_people(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (user,) = await players(tx, 1, noon, each=100)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 100)], now=noon)
    waiting = await competitions.cancel_or_propose(tx, competition_id=competition_id, **ACT, now=noon + HOUR)
    assert waiting and (waiting.amount, waiting.asset) == (10_090, "USD")
    assert await balances(tx, f"user:{user}:main") == [0]
    assert (await carry_out(tx, waiting, noon + HOUR)).state == "executed"
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [100, 0]


async def test_what_its_product_left_lying_is_frozen_by_two_people_and_reviewed(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, product="quest", collect_s=3_600)
    entrants = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, entrants, [2, 1], noon)
    assert await competitions.advance(tx, competition_id=competition_id, now=noon + 5 * HOUR) == 1
    with pytest.raises(competitions.NotOverdue):
        await competitions.force_freeze_or_propose(
            tx, competition_id=competition_id, **ACT, now=noon + 12 * HOUR - timedelta(microseconds=1)
        )
    now = noon + 12 * HOUR
    waiting = await competitions.force_freeze_or_propose(tx, competition_id=competition_id, **ACT, now=now)
    assert (await carry_out(tx, waiting, now)).state == "executed"
    frozen = await competitions.get(tx, competition_id=competition_id)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["forced_freeze"])
    assert not await competitions.settle(tx, competition_id=competition_id, now=now)


async def test_funds_of_the_house_are_added_once_each(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    given: dict[str, object] = {
        "fund_id": new_id(),
        "competition_id": competition_id,
        "source": "sponsor",
        "amount": 500,
        **ACT,
        "now": noon,
    }
    first = await competitions.fund(tx, **given)
    again = await competitions.fund(tx, **given)
    assert (first.to_pool, first.replayed, again.replayed) == (500, False, True)
    assert await balances(tx, f"pool:{competition_id}") == [10_500]
    with pytest.raises(competitions.ContributionRefused):
        await competitions.fund(tx, **{**given, "source": "user_payment", "fund_id": new_id()})
    await competitions.close(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    with pytest.raises(competitions.ContributionRefused):
        await competitions.fund(tx, **{**given, "fund_id": new_id()})


async def test_what_terms_do_not_say_the_settings_of_the_product_say(tx: Tx, noon: datetime) -> None:
    """A race waits a quarter of an hour for late play and a day for its review, others for neither."""
    found = []
    for changes in ({"product": "race"}, {"product": "quest"}, {"product": "race", "grace_s": 0, "review_h": 2}):
        terms = new(noon, **changes)
        competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
        made = await competitions.get(tx, competition_id=competition_id)
        found.append((made.grace_s, made.review_h))

    assert found == [(900, 24), (0, 0), (0, 2)]


def funds(competition_id: CompetitionId, amount: int, now: datetime, **more: object) -> dict[str, object]:
    plain = {"fund_id": new_id(), "competition_id": competition_id, "source": "admin_fund", "amount": amount}
    return {**plain, **ACT, "now": now, **more}


async def test_what_one_person_puts_into_a_pool_is_summed_over_a_day(tx: Tx, noon: datetime) -> None:
    """1,000.00 alone, in whatever parts; a cent more waits, nothing has moved, and the next day begins anew."""
    competition_id = await live(tx, noon, ends_at=noon + 99 * HOUR)
    for amount in (60_000, 40_000):
        done = await competitions.fund_or_propose(tx, **funds(competition_id, amount, noon))
        assert isinstance(done, Contributed)
    waiting = await competitions.fund_or_propose(tx, **funds(competition_id, 1, noon + HOUR))
    again = await competitions.fund_or_propose(tx, **funds(competition_id, 1, noon + HOUR))
    assert isinstance(waiting, approvals.Approval) and isinstance(again, approvals.Approval)
    assert (again.id, waiting.amount, waiting.asset, waiting.needed) == (waiting.id, 1, "USD", 1)
    assert await balances(tx, f"pool:{competition_id}") == [110_000]
    told = await approvals.preview(tx, found=waiting, commands=COMMANDS, now=noon + HOUR)
    assert [(each.before, each.after) for each in told if each.what == "pool"] == [(110_000, 110_001)]
    assert (await carry_out(tx, waiting, noon + HOUR)).state == "executed"
    assert await balances(tx, f"pool:{competition_id}") == [110_001]
    assert (await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=noon + HOUR)).result
    assert await balances(tx, f"pool:{competition_id}") == [110_001]
    later = await competitions.fund_or_propose(tx, **funds(competition_id, 100_000, noon + 25 * HOUR))
    assert isinstance(later, Contributed)


@pytest.mark.parametrize(
    ("asset", "amount", "needed"),
    [("USD", 1_000_000, 1), ("USD", 1_000_001, 2), ("COIN", 100_001, 1), ("COIN", 10**14, 2), ("QC", 10**8 + 1, 2)],
)
async def test_a_fund_above_the_limit_of_its_asset_waits(
    tx: Tx, noon: datetime, asset: str, amount: int, needed: int
) -> None:
    competition_id = await live(tx, noon, prize_asset=asset)
    waiting = await competitions.fund_or_propose(tx, **funds(competition_id, amount, noon))
    assert isinstance(waiting, approvals.Approval)
    assert waiting.needed == needed
    assert await balances(tx, f"pool:{competition_id}", asset=asset) == [10_000]


async def test_what_a_pool_would_refuse_is_not_proposed(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    await competitions.close(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    for changes in ({}, {"source": "user_payment"}):
        with pytest.raises(competitions.ContributionRefused):
            async with db.attempt(tx):
                await competitions.fund_or_propose(tx, **funds(competition_id, 10**9, noon + 5 * HOUR, **changes))
    waiting = "select count(*) from infra.approvals where entity_id = %s"
    assert await db.value(tx, waiting, str(competition_id)) == 0


async def test_a_pool_that_has_closed_meanwhile_takes_nothing(tx: Tx, noon: datetime) -> None:
    """The approval fails with the code of the pool, and nothing moves."""
    competition_id = await live(tx, noon)
    waiting = await competitions.fund_or_propose(tx, **funds(competition_id, 200_000, noon))
    assert isinstance(waiting, approvals.Approval)
    await competitions.close(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    failed = await carry_out(tx, waiting, noon + 6 * HOUR)
    assert (failed.state, failed.error_code) == ("failed", "competitions.contribution_refused")
    assert await balances(tx, f"pool:{competition_id}") == [10_000]


async def drafted(tx: Tx, noon: datetime, **terms: object) -> tuple[CompetitionId, list[int]]:
    """A draft, and what the house has for prizes of it."""
    made = await competitions.create(tx, new=new(noon + HOUR, **terms), created_by=None, now=noon)
    return made, await balances(tx, "house:prizes", asset=str(terms.get("prize_asset", "USD")))


async def announced(tx: Tx, competition_id: CompetitionId, now: datetime) -> object:
    return await competitions.announce_or_propose(tx, competition_id=competition_id, actor=STAFF, now=now)


@pytest.mark.parametrize(
    ("asset", "pool", "needed"),
    [
        *(("USD", 100_000, 0), ("USD", 100_001, 1), ("USD", 1_000_001, 2)),
        *(("COIN", 100_000, 0), ("COIN", 100_001, 1), ("QC", 10**8 + 1, 2)),
    ],
)
async def test_a_large_pool_is_promised_by_two_people(
    tx: Tx, noon: datetime, asset: str, pool: int, needed: int
) -> None:
    """While it waits it is a draft, and nothing has moved; the naive announcement moves any pool."""
    draft, [held] = await drafted(tx, noon, prize_asset=asset, guaranteed_pool=pool)
    both = (f"pool:{draft}", "house:prizes")
    found = await announced(tx, draft, noon)
    if not needed:
        assert isinstance(found, competitions.types.Competition)
        assert await balances(tx, *both, asset=asset) == [pool, held - pool]
        return
    again = await announced(tx, draft, noon)
    assert isinstance(found, approvals.Approval) and isinstance(again, approvals.Approval)
    assert (again.id, found.amount, found.asset, found.needed) == (found.id, pool, asset, needed)
    assert (await competitions.get(tx, competition_id=draft)).status == "draft"
    assert await balances(tx, *both, asset=asset) == [0, held]
    async with db.taken_back(tx):
        await competitions.publish(tx, competition_id=draft, now=noon)
        assert await balances(tx, *both, asset=asset) == [pool, held - pool]
    if needed > 1:
        return

    told = await approvals.preview(tx, found=found, commands=COMMANDS, now=noon)
    assert [(each.what, each.before, each.after) for each in told] == [
        ("state", "draft", "upcoming"),
        ("pool", 0, pool),
    ]
    assert await balances(tx, *both, asset=asset) == [0, held]
    for act in (carry_out, execute):  # a second run finds it done
        assert (await act(tx, found, noon)).state == "executed"
        assert await balances(tx, *both, asset=asset) == [pool, held - pool]
    audited = "select changes->'approved_by'->>1 from infra.audit_rows where entity_id = %s and action = %s"
    assert await db.value(tx, audited, str(draft), "competition.publish") == str(CHECKER.user_id)


async def execute(tx: Tx, found: approvals.Approval, now: datetime) -> approvals.Approval:
    return await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=now)


async def test_a_draft_that_was_changed_or_is_too_late_is_not_announced(tx: Tx, noon: datetime) -> None:
    """What two people agreed about is the draft as it was."""
    changed, [held] = await drafted(tx, noon, guaranteed_pool=200_000)
    late, _ = await drafted(tx, noon, guaranteed_pool=200_000)
    waiting = [await announced(tx, each, noon) for each in (changed, late)]
    await update(tx, changed, noon, guaranteed_pool=900_000)
    for found, now, code in zip(waiting, (noon, noon + 2 * HOUR), ("version_mismatch", LATE), strict=True):
        assert isinstance(found, approvals.Approval)
        failed = await carry_out(tx, found, now)
        assert (failed.state, failed.error_code) == ("failed", code)
    with pytest.raises(competitions.StartsInPast):
        async with db.attempt(tx):
            await announced(tx, changed, noon + 2 * HOUR)
    assert await balances(tx, f"pool:{changed}", f"pool:{late}", "house:prizes") == [0, 0, held]
    open_ones = "select count(*) from infra.approvals where entity_id = %s and state = 'open'"
    assert await db.value(tx, open_ones, str(changed)) == 0
