"""Acts on races that wait for a second person, and happen once when he agrees, or say why they cannot any more."""

from datetime import datetime, timedelta

import pytest

from palio import competitions, ledger, races
from palio.entry.approving import COMMANDS
from palio.infra import approvals, db
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.races import STAFF, Feed, at, feed, player, race, run
from tests.races.test_staff import BEFORE, START, WHY, WORDS, begun, board, finished

CHECKER = Actor("staff", UserId(new_id()), RequestId(new_id()))
HELD = {"admin.approval.decide", "races.race.money"}


async def adjusted(tx: Tx, number: int, player_id: object, units: int, now: datetime) -> Approval | None:
    return await races.adjust_or_propose(
        tx,
        adjustment_id=new_id(),
        number=number,
        player_id=player_id,  # type: ignore[arg-type]  # as the factory gives it
        amount_micro=units * 10**6,
        now=now,
        **WORDS,  # type: ignore[arg-type]
    )


async def approve(tx: Tx, found: Approval, now: datetime) -> Approval:
    given = {"decision": "approve", "reason": "", "held": HELD, "commands": COMMANDS, "now": now}
    await approvals.decide(tx, approval_id=found.id, actor=CHECKER, **given)  # type: ignore[arg-type]
    return await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=now)


async def seen(tx: Tx, found: Approval, now: datetime) -> list[tuple[object, ...]]:
    """What deciders are shown: whose, what, before, after."""
    changes = await approvals.preview(tx, found=found, commands=COMMANDS, now=now)
    return [(one.whose, one.what, one.before, one.after) for one in changes]


async def test_the_second_600_of_a_day_waits_and_is_added_once(tx: Tx) -> None:
    """The first acts at once. The proposal moves nothing; its maker cannot approve it; a second run adds nothing."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"}, ends_at=at("20:00:00", day=30))
    ann = await player(tx, source, "ann")
    assert await adjusted(tx, made.number, ann, 600, at("10:00:00")) is None
    waiting = await adjusted(tx, made.number, ann, 600, at("11:00:00"))
    assert waiting
    assert (waiting.state, waiting.summary) == (
        "open",
        f"Adjust a total of race {made.number} by +600.000000: booked twice by the provider",
    )
    assert await board(tx, made) == [("ann", 600, 1)]
    assert await seen(tx, waiting, at("11:00:00")) == [("name-ann", "total", 600 * 10**6, 1_200 * 10**6)]
    assert await board(tx, made) == [("ann", 600, 1)]
    with pytest.raises(approvals.OwnProposal):
        await approvals.decide(
            tx,
            approval_id=waiting.id,
            actor=STAFF,
            decision="approve",
            reason="",
            held=HELD,
            commands=COMMANDS,
            now=at("11:00:00"),
        )

    done = await approve(tx, waiting, at("11:05:00"))
    again = await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=at("11:06:00"))
    assert (done.state, done.result, again.state) == ("executed", {"is_new": True}, "executed")
    assert await board(tx, made) == [("ann", 1200, 1)]


async def test_another_start_picture_is_proposed_with_what_it_would_move(tx: Tx) -> None:
    source = await feed(tx)
    early = await source.show(tx, at("08:00:00"), {"ann": "70", "bob": "100"})
    await source.show(tx, BEFORE, {"ann": "100", "bob": "100"})
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    await source.show(tx, at("10:00:00"), {"ann": "101", "bob": "120"})
    await run(tx, at("10:00:00"))
    act = {"number": made.number, "snapshot_id": early.id, "now": at("10:05:00"), **WHY}
    waiting = await races.replace_start_or_propose(tx, **act)  # type: ignore[arg-type]
    assert waiting.summary == f"Open race {made.number} by another snapshot: 2 ranks move"
    assert await seen(tx, waiting, at("10:06:00")) == [
        ("", "start picture", BEFORE, at("08:00:00")),
        ("name-ann", "total", 1 * 10**6, 31 * 10**6),
        ("name-ann", "rank", 2, 1),
        ("name-ann", "prize", 7_500, 25_000),
        ("name-bob", "rank", 1, 2),
        ("name-bob", "prize", 25_000, 7_500),
    ]
    assert await board(tx, made) == [("bob", 20, 1), ("ann", 1, 2)]

    done = await approve(tx, waiting, at("10:10:00"))
    assert (done.state, done.result) == ("executed", {"moves": 2})
    assert await board(tx, made) == [("ann", 31, 1), ("bob", 20, 2)]


async def overdue(tx: Tx) -> tuple[Feed, int, Approval]:
    """A race that nobody has closed for six hours, and the proposal to close it."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    last = await source.show(tx, at("19:50:00"), {"ann": "110", "bob": "100"})
    await run(tx, at("20:11:00"))
    now = at("02:00:00", day=27)
    act = {"number": made.number, "snapshot_id": last.id, "now": now, **WHY}
    return source, made.number, await races.force_final_or_propose(tx, **act)  # type: ignore[arg-type]


async def test_a_forced_end_waits_for_a_second_person(tx: Tx) -> None:
    _, number, waiting = await overdue(tx)
    now = at("02:00:00", day=27)
    assert (await races.view(tx, number=number, now=now)).final_state == "waiting"
    assert await seen(tx, waiting, now) == [("", "final picture", None, at("19:50:00"))]
    assert (await approve(tx, waiting, now)).state == "executed"
    assert (await races.view(tx, number=number, now=now)).final_state == "forced"


async def test_a_snapshot_that_comes_first_closes_the_race_and_the_approval_fails(tx: Tx) -> None:
    """With the reason for its maker, and nothing is counted twice."""
    source, number, waiting = await overdue(tx)
    now = at("02:00:00", day=27)
    await source.show(tx, now, {"ann": "110", "bob": "100"})
    await run(tx, now + timedelta(minutes=1))
    with pytest.raises(races.NotOverdue):
        await seen(tx, waiting, now + timedelta(minutes=1))
    failed = await approve(tx, waiting, now + timedelta(minutes=2))

    assert (failed.state, failed.error_code) == ("failed", "races.not_overdue")
    assert (await races.view(tx, number=number, now=now)).final_state in {"exact", "late"}


async def test_what_cannot_be_done_anyhow_is_not_proposed(tx: Tx) -> None:
    """A refusal comes at once, and nobody is asked."""
    source, made = await begun(tx, {"ann": "100"})
    last = await source.show(tx, at("19:50:00"), {"ann": "110"})
    with pytest.raises(races.NotOverdue):
        await races.force_final_or_propose(tx, number=made.number, snapshot_id=last.id, now=at("20:30:00"), **WHY)
    assert [found for found in await approvals.listed(tx, states=["open"]) if found.command == races.FORCE_SETTLE] == []


async def test_a_payment_a_cancellation_and_an_exclusion_show_what_they_would_do(tx: Tx) -> None:
    """What is shown is what stands in the books afterwards."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"}, pool=250_000, prize_rule=races.by_place((7000, 3000)))
    ann = await player(tx, source, "ann")
    await finished(tx, source, made, {"ann": "130", "bob": "110"})
    now = at("21:00:00")
    act = {"number": made.number, "actor": STAFF, "reason": "compared with the provider", "now": now}
    release = await races.release_or_propose(tx, **act)  # type: ignore[arg-type]
    cancel = await races.cancel_or_propose(tx, **act)  # type: ignore[arg-type]
    exclude = await races.exclude_or_propose(tx, player_id=ann, public_note="an account of the provider", **act)  # type: ignore[arg-type]
    assert release
    assert cancel
    assert exclude
    house = await ledger.balance(tx, address="house:prizes", asset="USD")

    assert await seen(tx, release, now) == [
        ("", "pool in escrow", 250_000, 0),
        ("", "account for prizes", house, house),
        ("name-ann", "waits for a link", None, 175_000),
        ("name-bob", "waits for a link", None, 75_000),
    ]
    assert await seen(tx, exclude, now) == [
        ("name-bob", "rank", 2, 1),
        ("name-bob", "prize", 75_000, 175_000),
        ("name-ann", "total", 30 * 10**6, 0),
        ("name-ann", "rank", 1, None),
        ("name-ann", "prize", 175_000, 0),
    ]
    assert await seen(tx, cancel, now) == [
        ("", "state", "settling", "cancelled"),
        ("", "pool in escrow", 250_000, 0),
        ("", "account for prizes", house, house + 250_000),
        ("name-ann", "prize", 175_000, 0),
        ("name-bob", "prize", 75_000, 0),
    ]
    assert (await approve(tx, cancel, now)).state == "executed"
    assert await ledger.balance(tx, address="house:prizes", asset="USD") == house + 250_000
    named = "select array_agg(action order by id) from infra.audit_rows where approval_id = %s"
    assert "competition.cancel" in await db.value(tx, named, cancel.id)
    for too_late in (release, exclude):
        with pytest.raises(competitions.Cancelled if too_late is exclude else competitions.NotInReview):
            await seen(tx, too_late, now)
