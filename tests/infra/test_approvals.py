"""Two people: who may decide, until when, what becomes of it, and that it happens once."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from palio.infra import approvals, audit, db
from palio.infra.approvals import Approval, Approved, Command, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.errors import Conflict, Forbidden
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.providers import Change

HELD = {"admin.approval.decide", "shop.price.set"}
REQUEST = RequestId(new_id())


class Broke(Conflict):
    """There is not enough left."""

    code = "infra.test_broke"


def staff() -> Actor:
    return Actor("staff", UserId(new_id()), REQUEST)


MAKER, CHECKER, THIRD = staff(), staff(), staff()


async def mark(tx: Tx, *, approved: Approved) -> Payload:
    """Leaves a row in the audit, so that effects can be counted."""
    changes = {"price": (None, approved.payload["price"])}
    await audit.record(
        tx, actor=approved.maker, action="price.set", entity_type="shelf", entity_id=approved.key, changes=changes
    )
    if approved.payload.get("fails"):
        raise Broke
    return {"price": approved.payload["price"]}


def wake() -> None:
    """What an act promises for after the commit."""


async def looked(tx: Tx, *, approved: Approved) -> list[Change]:
    db.after_commit(tx, wake)
    done = await mark(tx, approved=approved)
    return [Change("shelf", "price", None, done["price"])]


COMMANDS = {"shop.price": Command("shop.price.set", mark, looked)}


def price(amount: int = 5, **changes: object) -> Proposal:
    proposal = Proposal(
        "shop.price", {"price": amount}, "A new price", "shelf", new_id().hex, "the market moved", amount=amount
    )
    return replace(proposal, **changes)  # type: ignore[arg-type]  # as a caller names them


async def opened(tx: Tx, now: datetime, **changes: object) -> Approval:
    return await approvals.open_proposal(tx, actor=MAKER, proposal=price(**changes), now=now)  # type: ignore[arg-type]


async def decide(
    tx: Tx, found: Approval, now: datetime, actor: Actor = CHECKER, decision: str = "approve", **more: object
) -> Approval:
    given = {"decision": decision, "reason": "", "held": HELD, "commands": COMMANDS, "now": now, **more}
    return await approvals.decide(tx, approval_id=found.id, actor=actor, **given)  # type: ignore[arg-type]


async def effects(tx: Tx, found: Approval) -> int:
    key = f"approval:{found.id}"
    return await db.value(tx, "select count(*) from infra.audit_rows where entity_id = %s", key)


async def queued(tx: Tx, approval_id: UUID) -> int:
    return await db.value(
        tx,
        "select count(*) from jobs.procrastinate_jobs where args->'message'->>'approval' = %s",
        str(approval_id),
    )


async def test_a_second_person_approves_and_it_happens_once(tx: Tx, noon: datetime) -> None:
    """By the job that waits for the commit; a second run finds it done."""
    found = await opened(tx, noon)
    assert (found.state, found.expires_at - noon) == ("open", timedelta(hours=72))
    approved = await decide(tx, found, noon)
    assert (approved.state, await queued(tx, found.id), await effects(tx, found)) == ("approved", 1, 0)

    for _ in range(2):
        done = await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=noon)
        assert (done.state, done.result, await effects(tx, found)) == ("executed", {"price": 5}, 1)
    named = "select array_agg(action order by id) from infra.audit_rows where approval_id = %s"
    assert await db.value(tx, named, found.id) == [
        *("approval.open", "approval.approve", "price.set", "approval.executed"),
    ]
    later = Approved({"price": 6}, MAKER, UserId(new_id()), "", f"approval:{found.id}", noon)
    await mark(tx, approved=later)
    assert len(await db.value(tx, named, found.id)) == 4


async def test_what_a_proposal_would_change_is_tried_and_taken_back(tx: Tx, noon: datetime) -> None:
    """It says what the act says, also that it would fail, and nothing of it remains or is promised."""
    found = await opened(tx, noon)
    seen = await approvals.preview(tx, found=found, commands=COMMANDS, now=noon)
    assert list(seen) == [Change("shelf", "price", None, 5)]
    assert (await effects(tx, found), wake in tx.committed) == (0, False)

    failing = await opened(tx, noon, payload={"price": 5, "fails": True})
    with pytest.raises(Broke):
        await approvals.preview(tx, found=failing, commands=COMMANDS, now=noon)
    changed = replace(found, payload={"price": 1})
    with pytest.raises(approvals.PayloadChanged):
        await approvals.preview(tx, found=changed, commands=COMMANDS, now=noon)


@pytest.mark.parametrize(
    ("actor", "held", "refusal"),
    [
        (MAKER, HELD, approvals.OwnProposal),
        (THIRD, HELD, approvals.OwnBenefit),
        (CHECKER, {"admin.approval.decide"}, Forbidden),
        (CHECKER, {"shop.price.set"}, Forbidden),
        (Actor("system", None, REQUEST), HELD, approvals.OwnProposal),
    ],
)
async def test_nobody_decides_about_his_own_or_without_the_right(tx, noon, actor, held, refusal) -> None:
    found = await opened(tx, noon, subject=THIRD.user_id)
    for decision in ("approve", "reject"):
        with pytest.raises(refusal):
            await decide(tx, found, noon, actor, decision, held=held, reason="because of this")
    assert (await approvals.lock(tx, approval_id=found.id)).state == "open"


async def test_a_rejection_says_why_and_ends_it(tx: Tx, noon: datetime) -> None:
    found = await opened(tx, noon)
    with pytest.raises(approvals.ReasonMissing):
        await decide(tx, found, noon, decision="reject", reason=" no ")
    rejected = await decide(tx, found, noon, decision="reject", reason="too cheap")
    with pytest.raises(approvals.Closed) as closed:
        await decide(tx, found, noon, THIRD)

    assert (rejected.state, closed.value.facts) == (
        "rejected",
        {"state": "rejected", "decided_by": str(CHECKER.user_id)},
    )
    assert (await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=noon)).state == "rejected"
    assert await effects(tx, found) == 0


async def test_the_maker_may_take_it_back_and_nobody_else(tx: Tx, noon: datetime) -> None:
    found = await opened(tx, noon)
    with pytest.raises(Forbidden):
        await approvals.withdraw(tx, approval_id=found.id, actor=CHECKER, now=noon)
    assert (await approvals.withdraw(tx, approval_id=found.id, actor=MAKER, now=noon)).state == "withdrawn"
    with pytest.raises(approvals.Closed):
        await decide(tx, found, noon)


async def test_it_expires_after_three_days_and_unexecuted_a_day_after_its_approval(tx: Tx, noon: datetime) -> None:
    """At the instant itself it is too late."""
    found, late = await opened(tx, noon), await opened(tx, noon)
    with pytest.raises(approvals.Expired):
        await decide(tx, found, noon + timedelta(hours=72))
    await decide(tx, late, noon + timedelta(hours=72) - timedelta(seconds=1))
    assert await approvals.expire(tx, now=noon + timedelta(hours=72)) == 1
    assert (await approvals.lock(tx, approval_id=found.id)).state == "expired"

    day_after = noon + timedelta(hours=96)
    assert (await approvals.execute(tx, approval_id=late.id, commands=COMMANDS, now=day_after)).state == "expired"
    assert await effects(tx, late) == 0


async def test_what_no_longer_holds_fails_and_moves_nothing(tx: Tx, noon: datetime) -> None:
    """With the code of the module, for its maker to read."""
    found = await opened(tx, noon, payload={"price": 5, "fails": True})
    await decide(tx, found, noon)
    failed = await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=noon)

    assert (failed.state, failed.error_code, await effects(tx, found)) == ("failed", "infra.test_broke", 0)


async def test_a_payload_that_was_changed_since_is_not_carried_out(tx: Tx, noon: datetime) -> None:
    found = await opened(tx, noon)
    await db.run(tx, """update infra.approvals set payload = '{"price": 1}' where id = %s""", found.id)
    await decide(tx, found, noon)
    failed = await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=noon)

    assert (failed.state, failed.error_code, await effects(tx, found)) == ("failed", "approval.payload_changed", 0)


async def test_the_same_proposal_waits_once(tx: Tx, noon: datetime) -> None:
    proposal = price()
    one = await approvals.open_proposal(tx, actor=MAKER, proposal=proposal, now=noon)
    two = await approvals.open_proposal(tx, actor=THIRD, proposal=proposal, now=noon)
    await decide(tx, one, noon, decision="reject", reason="too cheap")
    three = await approvals.open_proposal(tx, actor=MAKER, proposal=proposal, now=noon)

    assert (two.id, two.made_by) == (one.id, MAKER.user_id)
    assert three.id != one.id


async def test_small_acts_pass_until_their_sum_is_too_much(tx: Tx, noon: datetime) -> None:
    """600 and 400 pass at a limit of 1,000, one more does not; another maker, another thing and the next day do."""
    shelf = new_id().hex

    async def propose(amount: int, now: datetime = noon, actor: Actor = MAKER, thing: str = shelf) -> Approval | None:
        proposal = price(amount, entity_id=thing, payload={"price": amount, "id": new_id().hex})
        return await approvals.propose(tx, actor=actor, proposal=proposal, over=1_000, now=now)

    assert [await propose(600), await propose(-400)] == [None, None]
    waiting = await propose(1)
    assert waiting and (waiting.state, waiting.amount, waiting.needed) == ("open", 1, 1)
    assert await propose(1_000, actor=CHECKER) is None
    assert await propose(1_000, thing=new_id().hex) is None
    assert await propose(1_000, noon + timedelta(hours=24, seconds=1)) is None


async def test_ten_times_the_limit_takes_two_others(tx: Tx, noon: datetime) -> None:
    """One person counts once."""
    found = await approvals.propose(tx, actor=MAKER, proposal=price(10_001), over=1_000, now=noon)
    assert found and found.needed == 2
    assert (await decide(tx, found, noon)).state == "open"
    with pytest.raises(approvals.Closed):
        await decide(tx, found, noon)
    assert (await decide(tx, found, noon, THIRD)).state == "approved"


async def test_a_state_only_goes_on(tx: Tx, noon: datetime) -> None:
    found = await opened(tx, noon)
    await decide(tx, found, noon, decision="reject", reason="too cheap")
    with pytest.raises(psycopg.DatabaseError, match="does not go from rejected to open"):
        await db.run(tx, "update infra.approvals set state = 'open' where id = %s", found.id)
