"""Requests to link: who asks for whom, what is refused in which order, and what staff and the clock make of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from palio import affiliates, identity
from palio.affiliates import jobs as affiliate_jobs
from palio.affiliates import messages, rules, service, types
from palio.affiliates.types import LinkRequest, LinkRequestId
from palio.entry import approving
from palio.entry.approving import COMMANDS
from palio.infra import approvals, db, jobs, settings
from palio.infra.db import Equipment, Tx
from palio.infra.messages import ExecuteApproval
from palio.infra.outbox import shape_of
from palio.infra.settings import Change
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.messages import Message
from palio.kernel.parts import Part
from palio.kernel.settings import Catalogue
from tests.affiliates.conftest import Send
from tests.factories.affiliates import T1, T2, body, fixture, row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = T1 + HOUR


async def hear_requested(tx: Tx, event: messages.LinkRequested) -> None:
    """Nobody listens to these yet; the tests read in the queue what would be heard."""


async def hear_decided(tx: Tx, event: messages.LinkDecided) -> None:
    """As above."""


async def hear_linked(tx: Tx, event: messages.AccountLinked) -> None:
    """As above."""


async def hear_unlinked(tx: Tx, event: messages.AccountUnlinked) -> None:
    """As above."""


async def hear_advanced(tx: Tx, event: messages.WagersAdvanced) -> None:
    """As above."""


HANDLERS: dict[type[Message], jobs.Handler] = {
    messages.LinkRequested: hear_requested,
    messages.LinkDecided: hear_decided,
    messages.AccountLinked: hear_linked,
    messages.AccountUnlinked: hear_unlinked,
    messages.WagersAdvanced: hear_advanced,
    messages.ApproveByCode: affiliate_jobs.approve_by_code,
    ExecuteApproval: approving.execute,
}


@pytest.fixture(autouse=True)
async def players(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Three players, and who listens."""
    await send(body(row("a", "100.5", name="Anna"), row("b", 7, name="Ben"), row("c", 8, name="Cleo")))
    tx.equipment = Equipment(jobs.addresses({kind: (handler,) for kind, handler in HANDLERS.items()}))


async def user(tx: Tx, name: str) -> UserId:
    return (await identity.create(tx, username=name, now=T1)).id


async def staff(tx: Tx, name: str) -> Actor:
    return Actor("staff", await user(tx, name), RequestId(new_id()))


async def told(tx: Tx, kind: type[Message]) -> list[Any]:
    statement = "select args from jobs.procrastinate_jobs where task_name = %s order by id"
    found = await (await tx.execute(statement, (jobs.task_name(HANDLERS[kind]),))).fetchall()
    return [shape_of(kind).validate_python(args["message"]) for (args,) in found]


async def ask(tx: Tx, programme: types.Programme, user_id: UserId, *, now: datetime = NOW, **wish: Any) -> LinkRequest:
    given = {"uid": "a"} if not {"uid", "name"} & wish.keys() else {}
    wanted = affiliates.LinkWish(user_id, "name_code", programme.code, **given, **wish)
    return await affiliates.request_link(tx, wish=wanted, now=now)


async def decide(tx: Tx, request: LinkRequest, actor: Actor, decision: str = "approve", note: str = "") -> LinkRequest:
    return await affiliates.decide(
        tx,
        request_id=request.id,
        actor=actor,
        decision=decision,  # type: ignore[arg-type]  # one of the two
        note=note,
        now=NOW + HOUR,
    )


async def state(tx: Tx, request: LinkRequest) -> str:
    return await db.value(tx, "select state from affiliates.link_requests where id = %s", request.id)


async def steps(tx: Tx, user_id: UserId) -> list[tuple[str | None, str, str]]:
    found = await affiliates.history_of(tx, user_id=user_id)
    return [(step.from_state, step.to_state, step.note) for step in reversed(found)]


async def owners(tx: Tx, programme: types.Programme) -> list[tuple[str, UserId]]:
    statement = """select p.uid, l.user_id from affiliates.links l join affiliates.players p on p.id = l.player_id
        where l.state = 'active' and l.programme_id = %s order by p.uid"""
    return await (await tx.execute(statement, [programme.id])).fetchall()


# asking


async def test_a_name_is_found_in_any_case_and_nobody_else_is(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 21: PLAYER0018 of the capture."""
    await send(fixture("affiliate_snapshot_T1"), T1 + timedelta(minutes=15))
    alice = await user(tx, "alice")
    made = await ask(tx, programme, alice, name="PLAYER0018", note=" it is me ")
    assert (made.uid, made.name_at_request, made.note, made.state) == (
        "5XLJobqamfk6lZCvYKGR",
        "player0018",
        "it is me",
        "pending",
    )
    assert made.ref[:2] == "V-" and len(made.ref) == 8
    assert made.proof_code[:2] == "PL" and len(made.proof_code) == 10
    assert await told(tx, messages.LinkRequested) == [messages.LinkRequested(made.id, alice, made.player_id)]
    bob = await user(tx, "bob")
    for name in ("PLAYER001", "player0018 x", "nobody"):
        with pytest.raises(affiliates.PlayerUnknown):
            await ask(tx, programme, bob, name=name)
    with pytest.raises(affiliates.PlayerUnknown):
        await ask(tx, programme, bob, uid="5xljobqamfk6lzcvykgr")


async def test_two_of_one_name_are_told_apart_by_their_uid(tx: Tx, programme: types.Programme, send: Send) -> None:
    rows = [row("a", "100.5", name="Anna"), row("b", 7, name="ANNA"), row("c", 8, name="Cleo")]
    await send(body(*rows), T1 + timedelta(minutes=15))
    alice = await user(tx, "alice")
    with pytest.raises(affiliates.PlayerAmbiguous):
        await ask(tx, programme, alice, name="anna")
    assert (await ask(tx, programme, alice, uid="b", name="anna")).uid == "b"


async def test_a_second_open_request_is_refused_and_one_after_a_rejection_is_not(
    tx: Tx, programme: types.Programme
) -> None:
    """Acceptance 21; the history shows both."""
    alice, stella = await user(tx, "alice"), await staff(tx, "stella")
    first = await ask(tx, programme, alice)
    with pytest.raises(affiliates.RequestOpen) as refused:
        await ask(tx, programme, alice, uid="b")
    assert refused.value.facts == {"ref": first.ref}
    await decide(tx, first, stella, "reject", "the picture shows another name")
    second = await ask(tx, programme, alice, now=NOW + 2 * HOUR)
    assert [one.ref for one in await affiliates.requests_of(tx, user_id=alice)] == [second.ref, first.ref]
    assert await steps(tx, alice) == [
        (None, "pending", ""),
        ("pending", "rejected", "the picture shows another name"),
        (None, "pending", ""),
    ]


async def test_what_is_in_the_way_is_told_in_one_order(tx: Tx, programme: types.Programme) -> None:
    """Each of them is taken away in turn, and the next one shows."""
    alice, bob, stella = await user(tx, "alice"), await user(tx, "bob"), await staff(tx, "stella")
    for number in range(3):  # three in a quarter of an hour
        request = await ask(tx, programme, alice, uid="abc"[number], now=NOW + timedelta(minutes=number))
        await affiliates.cancel(tx, request_id=request.id, user_id=alice, now=NOW + timedelta(minutes=number))
    mine = await affiliates.link(tx, programme_id=programme.id, uid="b", user_id=alice, reason="known", now=NOW)
    his = await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=bob, reason="known", now=NOW)
    await db.run(tx, "update affiliates.programmes set status = 'paused' where id = %s", programme.id)

    async def refused(uid: str = "a", now: datetime = NOW + timedelta(minutes=5)) -> str:
        try:
            async with db.attempt(tx):
                await ask(tx, programme, alice, uid=uid, now=now)
        except affiliates.TooManyRequests as too_many:
            return f"{too_many.code} {too_many.facts['count']} {too_many.facts['retry_after_s']}"
        except Exception as refusal:  # noqa: BLE001 - its code is compared
            return refusal.code  # type: ignore[attr-defined]  # it is a refusal
        return "taken in"

    assert await refused("nobody") == "affiliates.player_unknown"
    assert await refused() == "affiliates.programme_closed"
    await db.run(tx, "update affiliates.programmes set status = 'active' where id = %s", programme.id)
    assert await refused() == "affiliates.already_linked"
    await affiliates.unlink_one(tx, link_id=mine.id, actor=stella, reason="wrong", now=NOW)
    assert await refused() == "affiliates.player_taken"
    await affiliates.unlink_one(tx, link_id=his.id, actor=stella, reason="wrong", now=NOW)
    assert await refused() == "affiliates.player_resting"
    assert await refused("b") == "affiliates.too_many 3 600"
    assert await refused("a", NOW + 30 * DAY - timedelta(seconds=1)) == "affiliates.player_resting"
    assert await refused("b", NOW + timedelta(minutes=15)) == "taken in"
    assert await refused("b", NOW + timedelta(minutes=16)) == "affiliates.request_open"
    assert await refused("a", NOW + 30 * DAY) == "affiliates.request_open"


def test_ten_a_day_are_enough() -> None:
    asked_at = [NOW + 2 * HOUR * number for number in range(10)]
    assert rules.retry_after_s(asked_at, NOW + 20 * HOUR) == 4 * 3_600
    assert rules.retry_after_s(asked_at[1:], NOW + 20 * HOUR) is None


# deciding


async def test_an_approval_links_and_tells_everything_at_once(tx: Tx, programme: types.Programme) -> None:
    alice, stella = await user(tx, "alice"), await staff(tx, "stella")
    request = await ask(tx, programme, alice)
    decided = await decide(tx, request, stella)
    assert (decided.state, decided.decided_by, decided.decided_at) == ("approved", stella.user_id, NOW + HOUR)
    assert await owners(tx, programme) == [("a", alice)]
    assert await told(tx, messages.LinkDecided) == [
        messages.LinkDecided(request.id, alice, request.player_id, "approved")
    ]
    assert await told(tx, messages.AccountLinked) == [messages.AccountLinked(alice, request.player_id, programme.id)]
    (advanced,) = await told(tx, messages.WagersAdvanced)
    assert [(total.span, total.micros) for total in advanced.totals] == [("ALL", 100_500_000), ("M:2025-03", 0)]
    assert await steps(tx, alice) == [
        (None, "pending", ""),
        (None, "active", f"request {request.ref}"),
        ("pending", "approved", ""),
    ]
    acts = await db.column(tx, "select action from infra.audit_rows where actor_id = %s order by id", stella.user_id)
    assert acts == ["link.make", "link_request.approve"]
    with pytest.raises(affiliates.AlreadyDecided) as refused:
        await decide(tx, request, await staff(tx, "sven"))
    assert refused.value.facts == {"state": "approved", "at": NOW + HOUR, "by": "stella"}


async def test_a_contested_player_goes_to_one_and_the_other_is_told(tx: Tx, programme: types.Programme) -> None:
    """Acceptance 22: A, then B, and B is right."""
    alice, bob, stella = await user(tx, "alice"), await user(tx, "bob"), await staff(tx, "stella")
    first, second = await ask(tx, programme, alice), await ask(tx, programme, bob)
    queued = await affiliates.queue(tx)
    assert [(one.request.ref, one.username, one.others, one.is_contested) for one in queued] == [
        (first.ref, "alice", 1, True),
        (second.ref, "bob", 1, True),
    ]
    await decide(tx, second, stella)
    assert (await state(tx, first), await owners(tx, programme)) == ("superseded", [("a", bob)])
    assert [(event.user_id, event.state) for event in await told(tx, messages.LinkDecided)] == [
        (bob, "approved"),
        (alice, "superseded"),
    ]
    with pytest.raises(affiliates.AlreadyDecided):
        await decide(tx, first, stella)
    assert await affiliates.queue(tx) == []


async def test_a_link_by_staff_decides_what_was_open(tx: Tx, programme: types.Programme) -> None:
    """Of the player, and of the user for another player."""
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    his, hers = await ask(tx, programme, bob), await ask(tx, programme, alice, uid="b")
    await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=alice, reason="known", now=NOW)
    assert (await state(tx, his), await state(tx, hers)) == ("superseded", "superseded")


async def test_a_rejection_needs_words_for_the_user(tx: Tx, programme: types.Programme) -> None:
    alice, stella = await user(tx, "alice"), await staff(tx, "stella")
    request = await ask(tx, programme, alice)
    for note in ("", "no", "  no ", "x" * 501):
        with pytest.raises(affiliates.NoteMissing):
            await decide(tx, request, stella, "reject", note)
    assert await state(tx, request) == "pending"
    decided = await decide(tx, request, stella, "reject", " not you ")
    assert (decided.player_note, decided.state) == ("not you", "rejected")
    assert await owners(tx, programme) == []


async def test_nobody_decides_about_himself(tx: Tx, programme: types.Programme) -> None:
    stella = await staff(tx, "stella")
    assert stella.user_id
    request = await ask(tx, programme, stella.user_id)
    for act in (
        decide(tx, request, stella),
        affiliates.take(tx, request_id=request.id, actor=stella, now=NOW),
        affiliates.ask_more(tx, request_id=request.id, actor=stella, note="more", now=NOW),
        affiliates.propose_transfer(
            tx,
            programme_id=programme.id,
            uid="a",
            to_user=stella.user_id,
            actor=stella,
            reason="it is mine",
            now=NOW,
        ),
    ):
        with pytest.raises(affiliates.OwnRequest):
            await act
    assert await state(tx, request) == "pending"


async def test_who_looks_has_half_an_hour(tx: Tx, programme: types.Programme) -> None:
    alice, stella, sven = await user(tx, "alice"), await staff(tx, "stella"), await staff(tx, "sven")
    request = await ask(tx, programme, alice)
    taken = await affiliates.take(tx, request_id=request.id, actor=stella, now=NOW)
    assert (taken.state, taken.taken_by, taken.taken_until) == (
        "under_review",
        stella.user_id,
        NOW + timedelta(minutes=30),
    )
    with pytest.raises(affiliates.RequestTaken) as refused:
        await affiliates.take(tx, request_id=request.id, actor=sven, now=NOW + timedelta(minutes=29))
    assert refused.value.facts == {"by": "stella", "until": NOW + timedelta(minutes=30)}
    assert await affiliates.expire(tx, now=NOW + timedelta(minutes=29)) == 0
    assert await affiliates.expire(tx, now=NOW + timedelta(minutes=30)) == 1
    assert await state(tx, request) == "pending"
    await affiliates.take(tx, request_id=request.id, actor=sven, now=NOW + timedelta(minutes=31))
    await affiliates.ask_more(
        tx, request_id=request.id, actor=sven, note="show the date too", now=NOW + timedelta(minutes=32)
    )
    await affiliates.answer(
        tx, request_id=request.id, user_id=alice, note="it is of today", now=NOW + timedelta(minutes=33)
    )
    assert await steps(tx, alice) == [
        (None, "pending", ""),
        ("pending", "under_review", ""),
        ("under_review", "pending", ""),
        ("pending", "under_review", ""),
        ("under_review", "pending", "show the date too"),
        ("pending", "pending", "it is of today"),
    ]
    assert [event.state for event in await told(tx, messages.LinkDecided)] == ["pending"]


async def test_an_open_request_ends_after_fourteen_days(tx: Tx, programme: types.Programme) -> None:
    alice = await user(tx, "alice")
    request = await ask(tx, programme, alice)
    assert await affiliates.expire(tx, now=NOW + 14 * DAY - timedelta(seconds=1)) == 0
    assert await affiliates.expire(tx, now=NOW + 14 * DAY) == 1
    assert await affiliates.expire(tx, now=NOW + 14 * DAY) == 0
    assert await state(tx, request) == "expired"
    assert [event.state for event in await told(tx, messages.LinkDecided)] == ["expired"]


async def test_only_its_user_takes_a_request_back(tx: Tx, programme: types.Programme) -> None:
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    request = await ask(tx, programme, alice)
    for request_id in (request.id, LinkRequestId(new_id())):
        with pytest.raises(affiliates.NoSuchRequest):
            await affiliates.cancel(tx, request_id=request_id, user_id=bob, now=NOW)
    await affiliates.cancel(tx, request_id=request.id, user_id=alice, now=NOW)
    with pytest.raises(affiliates.AlreadyDecided):
        await affiliates.cancel(tx, request_id=request.id, user_id=alice, now=NOW)
    assert await told(tx, messages.LinkDecided) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update affiliates.link_requests set state = 'pending'",
        "update affiliates.link_requests set state = 'approved'",
        "update affiliates.links set state = 'active'",
        "update affiliates.links set state = 'transferred'",
    ],
)
async def test_what_is_decided_stays_so_whoever_writes(tx: Tx, programme: types.Programme, statement: str) -> None:
    """The last guard are triggers."""
    alice = await user(tx, "alice")
    request = await ask(tx, programme, alice)
    await affiliates.cancel(tx, request_id=request.id, user_id=alice, now=NOW)
    await affiliates.link(tx, programme_id=programme.id, uid="b", user_id=alice, reason="known", now=NOW)
    await affiliates.unlink(tx, programme_id=programme.id, uid="b", reason="wrong", now=NOW)
    with pytest.raises(psycopg.ProgrammingError, match="does not go from"):
        async with tx.transaction():
            await tx.execute(statement)  # type: ignore[arg-type]  # a literal above


# names


async def test_a_link_follows_the_uid_and_not_the_name(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 23."""
    alice, bob, stella = await user(tx, "alice"), await user(tx, "bob"), await staff(tx, "stella")
    await decide(tx, await ask(tx, programme, alice, name="anna"), stella)
    await send(body(row("a", 101, name="Zoe"), row("b", 7, name="Anna"), row("c", 8, name="Cleo")), T2)
    assert await owners(tx, programme) == [("a", alice)]
    assert (await ask(tx, programme, bob, name="anna")).uid == "b"


async def test_a_code_in_the_name_is_seen_within_a_day_of_that_player(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    alice, bob, carol = await user(tx, "alice"), await user(tx, "bob"), await user(tx, "carol")
    hers = await ask(tx, programme, alice)
    his = await ask(tx, programme, bob, uid="b")
    late = await ask(tx, programme, carol, uid="c", now=T2 - DAY)
    await send(
        body(
            row("a", 101, name=f"Anna {hers.proof_code.lower()}"),
            row("b", 7, name=hers.proof_code),
            row("c", 8, name=late.proof_code),
        ),
        T2,
    )
    seen = {one.request.ref: one.request.code_seen_at for one in await affiliates.queue(tx)}
    assert seen == {hers.ref: T2, his.ref: None, late.ref: None}
    assert await told(tx, messages.ApproveByCode) == []


async def test_a_seen_code_is_enough_if_the_house_says_so_and_nobody_else_asks(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    stella = await staff(tx, "stella")
    await settings.declare(tx, Catalogue([types.AUTO_APPROVE_CODE]))
    await settings.change(tx, stella, [Change(types.AUTO_APPROVE_CODE, True, None)], "we trust codes")
    alice, bob, carol = await user(tx, "alice"), await user(tx, "bob"), await user(tx, "carol")
    alone, contested = await ask(tx, programme, alice), await ask(tx, programme, bob, uid="b")
    await ask(tx, programme, carol, uid="b")
    names = [row("a", 101, name=alone.proof_code), row("b", 7, name=contested.proof_code), row("c", 8)]
    await send(body(*names), T2)
    queued = await told(tx, messages.ApproveByCode)
    assert {job.request_id for job in queued} == {alone.id, contested.id}
    for job in [*queued, *queued]:
        await affiliate_jobs.approve_by_code(tx, job)
    assert await owners(tx, programme) == [("a", alice)]
    assert await state(tx, contested) == "pending"


# privacy


async def test_a_request_is_nobody_elses_business(tx: Tx, programme: types.Programme) -> None:
    """Acceptance 24: SQL as the application, with another player's context."""
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    await ask(tx, programme, alice)
    for owner, rows in ((alice, 1), (bob, 0)):
        await tx.execute("set local palio.kind = 'player'")
        await tx.execute("select set_config('palio.user_id', %s, true)", (owner.hex,))
        assert await db.value(tx, "select count(*) from affiliates.link_requests") == rows
        assert len(await affiliates.history_of(tx, user_id=alice)) == rows
        touched = await db.run(tx, "update affiliates.link_requests set note = note where state = 'pending'")
        assert touched == rows
        await tx.execute("set local palio.kind = 'system'")


async def test_a_player_asks_cancels_and_unlinks_as_himself(tx: Tx, programme: types.Programme) -> None:
    """With no more rights than his own; that somebody else has a player is told, and not who."""
    alice, bob, stella = await user(tx, "alice"), await user(tx, "bob"), await staff(tx, "stella")
    await affiliates.link(tx, programme_id=programme.id, uid="b", user_id=bob, reason="known", now=NOW)
    system = tx.actor
    await tx.execute("set local palio.kind = 'player'")
    await tx.execute("select set_config('palio.user_id', %s, true)", (alice.hex,))
    tx.actor = Actor("player", alice, RequestId(new_id()))
    with pytest.raises(affiliates.PlayerTaken) as refused:
        await ask(tx, programme, alice, uid="b")
    assert refused.value.facts == {"uid": "b"}
    request = await ask(tx, programme, alice)
    await affiliates.answer(tx, request_id=request.id, user_id=alice, note="see the picture", now=NOW)
    await affiliates.cancel(tx, request_id=request.id, user_id=alice, now=NOW)
    again = await ask(tx, programme, alice)
    await tx.execute("set local palio.kind = 'system'")
    tx.actor = system
    await decide(tx, again, stella)
    link_id = await db.value(tx, "select id from affiliates.links where user_id = %s", alice)
    theirs = await db.value(tx, "select id from affiliates.links where user_id = %s", bob)
    await tx.execute("set local palio.kind = 'player'")
    tx.actor = actor = Actor("player", alice, RequestId(new_id()))
    with pytest.raises(affiliates.NoSuchLink):
        await affiliates.unlink_one(tx, link_id=theirs, actor=actor, reason="", now=NOW)
    await affiliates.unlink_one(tx, link_id=link_id, actor=actor, reason="", now=NOW + 2 * HOUR)
    with pytest.raises(affiliates.NotLinked):
        await affiliates.unlink_one(tx, link_id=link_id, actor=actor, reason="", now=NOW + 2 * HOUR)
    assert [step[:2] for step in await steps(tx, alice)][-1] == ("active", "unlinked")


# moving


HELD = {"admin.approval.decide", "affiliates.links.review"}


async def test_a_link_moves_when_a_second_person_agrees(tx: Tx, programme: types.Programme) -> None:
    """Acceptance 27."""
    alice, bob, stella, sven = (
        await user(tx, "alice"),
        await user(tx, "bob"),
        await staff(tx, "stella"),
        await staff(tx, "sven"),
    )
    old = await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=alice, reason="known", now=NOW)
    waiting = await affiliates.propose_transfer(
        tx, programme_id=programme.id, uid="a", to_user=bob, actor=stella, reason="sold the account", now=NOW
    )
    assert (waiting.state, waiting.summary, await owners(tx, programme)) == (
        "open",
        "Link player Anna (a) to bob",
        [("a", alice)],
    )
    given: Any = {"decision": "approve", "reason": "", "held": HELD, "commands": COMMANDS, "now": NOW}
    with pytest.raises(approvals.OwnProposal):
        await approvals.decide(tx, approval_id=waiting.id, actor=stella, **given)
    await approvals.decide(tx, approval_id=waiting.id, actor=sven, **given)
    done = await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=NOW + HOUR)
    assert (done.state, await owners(tx, programme)) == ("executed", [("a", bob)])
    assert await db.value(tx, "select state from affiliates.links where id = %s", old.id) == "transferred"
    assert [event.user_id for event in await told(tx, messages.AccountUnlinked)] == [alice]
    assert [event.user_id for event in await told(tx, messages.AccountLinked)] == [alice, bob]
    again = await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=NOW + HOUR)
    assert (again.state, len(await told(tx, messages.AccountLinked))) == ("executed", 2)


async def test_a_resting_player_is_given_by_two_people_and_not_by_a_request(tx: Tx, programme: types.Programme) -> None:
    """Acceptance 27, its first half."""
    alice, bob, stella, sven = (
        await user(tx, "alice"),
        await user(tx, "bob"),
        await staff(tx, "stella"),
        await staff(tx, "sven"),
    )
    await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=alice, reason="known", now=NOW)
    await affiliates.unlink(tx, programme_id=programme.id, uid="a", reason="a mistake", now=NOW)
    with pytest.raises(affiliates.PlayerResting):
        await ask(tx, programme, bob, now=NOW + DAY)
    waiting = await affiliates.propose_transfer(
        tx, programme_id=programme.id, uid="a", to_user=bob, actor=stella, reason="he has proved it", now=NOW + DAY
    )
    given: Any = {"decision": "approve", "reason": "", "held": HELD, "commands": COMMANDS, "now": NOW + DAY}
    await approvals.decide(tx, approval_id=waiting.id, actor=sven, **given)
    await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=NOW + DAY)
    assert await owners(tx, programme) == [("a", bob)]


async def test_a_move_that_was_overtaken_moves_nothing(tx: Tx, programme: types.Programme) -> None:
    alice, bob, stella, sven = (
        await user(tx, "alice"),
        await user(tx, "bob"),
        await staff(tx, "stella"),
        await staff(tx, "sven"),
    )
    await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=alice, reason="known", now=NOW)
    waiting = await affiliates.propose_transfer(
        tx, programme_id=programme.id, uid="a", to_user=bob, actor=stella, reason="sold the account", now=NOW
    )
    await affiliates.unlink(tx, programme_id=programme.id, uid="a", reason="a mistake", now=NOW)
    given: Any = {"decision": "approve", "reason": "", "held": HELD, "commands": COMMANDS, "now": NOW}
    await approvals.decide(tx, approval_id=waiting.id, actor=sven, **given)
    failed = await approvals.execute(tx, approval_id=waiting.id, commands=COMMANDS, now=NOW)
    assert (failed.state, failed.error_code, await owners(tx, programme)) == ("failed", "affiliates.link_changed", [])


# lists


async def imported(tx: Tx, programme: types.Programme, text: str, *, dry_run: bool = False) -> list[tuple[str, str]]:
    found = await affiliates.import_links(
        tx, programme_id=programme.id, text=text, reason="from the old site", now=NOW, dry_run=dry_run, via="cli"
    )
    return [(one.uid, one.verdict) for one in found.lines]


async def test_a_list_of_links_is_made_whole_or_not_at_all(tx: Tx, programme: types.Programme) -> None:
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    good = "\ufeffuser,uid\nalice,a\n\n bob , b \n"
    assert await imported(tx, programme, good, dry_run=True) == [("a", "linked"), ("b", "linked")]
    assert (await owners(tx, programme), await told(tx, messages.AccountLinked)) == ([], [])
    bad = good + "alice,c\nnobody,c\nbob,x\n"
    assert await imported(tx, programme, bad) == [
        ("a", "linked"),
        ("b", "linked"),
        ("c", "affiliates.already_linked"),
        ("c", "identity.no_such_user"),
        ("x", "affiliates.player_unknown"),
    ]
    assert await owners(tx, programme) == []
    assert await imported(tx, programme, good) == [("a", "linked"), ("b", "linked")]
    assert await owners(tx, programme) == [("a", alice), ("b", bob)]
    assert len(await told(tx, messages.AccountLinked)) == 2
    later = await affiliates.import_links(
        tx, programme_id=programme.id, text=good, reason="again", now=NOW + HOUR, dry_run=False, via="cli"
    )
    assert [one.verdict for one in later.lines] == ["present", "present"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "it is empty"),
        ("uid\na\n", 1, "the first line names the columns uid and user, each once"),
        ("uid,user,uid\na,b,c\n", 1, "the first line names the columns uid and user, each once"),
        ("uid,user\na\n", 2, "1 fields instead of 2"),
        ("uid,user\na,\n", 2, "uid or user is empty"),
        ('uid,user\n"a,b\n', 3, "unexpected end of data"),
        ("uid,user\n" + "a,b\n" * 1_001, 1_002, "more than 1000 links"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(affiliates.BadLinkList) as refused:
        rules.read_links(text)
    assert refused.value.facts == {"line": line, "problem": problem}


def test_codes_are_spelt_in_letters_that_nobody_confuses() -> None:
    chance = bytes(range(256))
    assert rules.ref_of(chance) == "V-012345"
    assert rules.proof_code_of(chance[24:]) == "PLRSTVWXYZ"
    spelt = {rules.proof_code_of(bytes([byte] * 8))[-1] for byte in chance}
    assert len(spelt) == 32 and not spelt & set("ILOU")


async def test_a_card_shows_staff_every_step(tx: Tx, programme: types.Programme) -> None:
    alice, stella = await user(tx, "alice"), await staff(tx, "stella")
    first = await ask(tx, programme, alice)
    await decide(tx, first, stella, "reject", "not you")
    second = await ask(tx, programme, alice, uid="b", now=NOW + 2 * HOUR)
    request_id = await affiliates.request_by(tx, ref=second.ref.lower())
    card, history = await affiliates.request_card(tx, request_id=request_id)
    assert (card.earlier, card.player_name, card.all_time_micro, card.programme) == (
        1,
        "Ben",
        7_000_000,
        programme.code,
    )
    assert [step.to_state for step in history] == ["pending"]
    assert [one.request.ref for one in await affiliates.decided(tx, part=Part(50))] == [first.ref]
    with pytest.raises(affiliates.NoSuchRequest):
        await affiliates.request_by(tx, ref="V-000000")
    with pytest.raises(affiliates.NoSuchRequest):
        await affiliates.request_card(tx, request_id=LinkRequestId(new_id()))
    assert replace(card.request, state="pending") == card.request
    assert service.LINK_MOVE in COMMANDS


async def test_steps_outlive_whoever_is_erased_without_a_word_of_him(tx: Tx, programme: types.Programme) -> None:
    alice, bob, stella = await user(tx, "alice"), await user(tx, "bob"), await staff(tx, "stella")
    first = await ask(tx, programme, alice, note="I am Alice of the harbour")
    await affiliates.take(tx, request_id=first.id, actor=stella, now=NOW)
    await affiliates.ask_more(tx, request_id=first.id, actor=stella, note="show the harbour", now=NOW)
    await affiliates.answer(tx, request_id=first.id, user_id=alice, note="here is the harbour", now=NOW)
    await ask(tx, programme, bob, uid="b", note="I am Bob")
    everything = "select l::text from affiliates.link_events l where user_id = %s order by at, id"
    before, his = await steps(tx, alice), await db.column(tx, everything, bob)

    await affiliates.PRIVACY.erase(tx, alice, NOW + DAY)
    await affiliates.PRIVACY.erase(tx, alice, NOW + DAY)

    after = await steps(tx, alice)
    assert [step[:2] for step in after] == [*(step[:2] for step in before), ("pending", "cancelled")]
    assert {note for _, _, note in after} == {""}
    assert "harbour" not in " ".join(await db.column(tx, everything, alice))
    named = """select count(*) from affiliates.link_events
        where user_id = %s and (name is not null or telegram_id is not null)"""
    assert await db.value(tx, named, alice) == 0
    assert await db.column(tx, everything, bob) == his
    for change in (
        "update affiliates.link_events set to_state = 'approved', name = null, telegram_id = null, note = ''",
        "update affiliates.link_events set note = 'rewritten'",
        "delete from affiliates.link_events",
    ):
        with pytest.raises(psycopg.Error, match=r"permission denied|never changes"):
            async with tx.transaction():
                await tx.execute(change)
