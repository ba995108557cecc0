"""One inbox, two keepers: proposals of the door and corrections of the ledger obey the same rules."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from palio import ledger
from palio.infra import approvals, db
from palio.infra.approvals import Kept, State
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.parts import Part
from palio.ledger import AdjustmentLine
from tests.admin.house import Console, acts_of

CALL = "/api/v1/console/approvals"
Propose = Callable[[Console, UserId, UserId, datetime], Awaitable[UUID]]


async def of_the_door(console: Console, maker: UserId, subject: UserId, now: datetime) -> UUID:
    return await console.propose(maker, subject=subject, now=now)


async def of_the_ledger(console: Console, maker: UserId, subject: UserId, now: datetime) -> UUID:
    async with console.begin(maker) as tx:
        lines = [AdjustmentLine(subject, "USD", 10_001)]
        made = await ledger.adjust(tx, lines=lines, reason="the bet was counted twice", maker=maker, now=now)
    return made.id


BOTH = pytest.mark.parametrize("propose", [of_the_door, of_the_ledger])


@BOTH
async def test_it_stands_in_the_inbox_and_only_somebody_else_decides(console: Console, propose: Propose) -> None:
    player = await console.player()
    proposed = await propose(console, console.noor, player, clock.now())
    about = await propose(console, console.noor, console.sana, clock.now())
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        own = await noor.post(f"{CALL}/{proposed}/approve", json={})
        subject = await sana.post(f"{CALL}/{about}/approve", json={})
        listed = {one["id"]: one for one in (await sana.get(CALL)).json()["items"]}
        mine = {one["id"] for one in (await noor.get(f"{CALL}?box=mine")).json()["items"]}
        done = await sana.post(f"{CALL}/{proposed}/approve", json={})
        twice = await sana.post(f"{CALL}/{proposed}/approve", json={})
        over = {one["id"]: one["state"] for one in (await noor.get(f"{CALL}?box=done")).json()["items"]}

    assert (own.status_code, own.json()["code"]) == (403, "approval.own")
    assert (subject.status_code, subject.json()["code"]) == (403, "approval.subject")
    assert (listed[str(proposed)]["may_decide"], listed[str(about)]["refusal"]) == (True, "subject")
    assert {str(proposed), str(about)} <= mine
    assert (done.status_code, done.json()["given"], done.json()["verdicts"][0]["decision"]) == (200, 1, "approve")
    assert (twice.status_code, twice.json()["code"]) == (409, "approval.closed")
    assert str(console.sana) in twice.text
    assert over[str(proposed)] in {"approved", "executed"}


@BOTH
async def test_a_fresh_factor_the_permission_and_a_reason_to_reject(console: Console, propose: Propose) -> None:
    proposed = await propose(console, console.noor, await console.player(), clock.now())
    held = "admin.approval.read admin.approval.decide"
    async with console.talk(console.staff(console.sana, step_up=False)) as sana:
        stale = await sana.post(f"{CALL}/{proposed}/approve", json={})
    async with console.talk(console.staff(console.sana, permissions=held)) as sana:
        lacking = await sana.post(f"{CALL}/{proposed}/approve", json={})
    async with console.talk(console.staff(console.sana)) as sana:
        silent = await sana.post(f"{CALL}/{proposed}/reject", json={"reason": "    "})
        rejected = await sana.post(f"{CALL}/{proposed}/reject", json={"reason": "it is too much"})

    assert [answer.status_code for answer in (stale, lacking, silent)] == [403, 403, 422]
    assert [answer.json()["code"] for answer in (stale, lacking)] == ["step_up_required", "permission_missing"]
    assert (rejected.json()["state"], rejected.json()["verdicts"][0]["reason"]) == ("rejected", "it is too much")


@BOTH
async def test_it_is_open_for_three_days_and_its_maker_may_take_it_back(console: Console, propose: Propose) -> None:
    three_days = timedelta(hours=72)
    late = await propose(console, console.noor, await console.player(), clock.now() - three_days)
    proposed = await propose(console, console.noor, await console.player(), clock.now())
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        too_late = await sana.post(f"{CALL}/{late}/approve", json={})
        foreign = await sana.post(f"{CALL}/{proposed}/withdraw")
        taken = await noor.post(f"{CALL}/{proposed}/withdraw")

    assert (too_late.status_code, too_late.json()["code"]) == (409, "approval.expired")
    assert (foreign.status_code, taken.status_code, taken.json()["state"]) == (403, 200, "withdrawn")


async def test_a_correction_shows_every_balance_and_its_approval_posts_it(console: Console) -> None:
    player = await console.player()
    proposed = await of_the_ledger(console, console.noor, player, clock.now())
    async with console.talk(console.staff(console.sana)) as sana:
        told = (await sana.get(f"{CALL}/{proposed}")).json()
        page = (await sana.get(f"/console/approvals/{proposed}")).text
        await sana.post(f"{CALL}/{proposed}/approve", json={"reason": "I have seen the bet"})

    assert told["summary"] == "Correct a wallet by +100.01 USD: the bet was counted twice"
    assert [(one["whose"], one["before"], one["after"]) for one in told["changes"]][:1] == [("Pia Lund", 0, 10_001)]
    assert f"/console/ledger/adjustments/{proposed}" in page and "Pia Lund" in page
    async with console.begin() as tx:
        assert await ledger.balance(tx, address=f"user:{player}:main", asset="USD") == 10_001
    assert str(proposed) in {act.entity_id for act in await acts_of(console, "adjustment.approve")}


async def test_a_module_that_cannot_tell_its_own_is_named_and_the_rest_is_there(console: Console) -> None:
    async def broken(tx: Tx, states: Sequence[State], part: Part[UUID], made_by: UserId | None) -> Sequence[Kept]:
        return await db.value(tx, "select 1 / 0")

    proposed = await console.propose(console.noor)
    desk = console.app_state("desk")
    desk = replace(desk, pending=[replace(each, listed=broken) for each in desk.pending])
    async with console.talk(console.staff(console.sana), desk=desk) as sana:
        page = await sana.get("/console/approvals")

    assert (page.status_code, f"/console/approvals/{proposed}" in page.text) == (200, True)
    assert "What waits in the module ledger could not be read" in page.text


async def test_both_are_paged_together_and_counted(console: Console) -> None:
    made = [
        await propose(console, console.noor, await console.player(), clock.now())
        for propose in [of_the_door, of_the_ledger] * 2
    ]
    async with console.talk(console.staff(console.sana)) as sana:
        seen, cursor = [], ""
        while True:
            part = (await sana.get(f"{CALL}?limit=1{cursor}")).json()
            seen += [one["id"] for one in part["items"]]
            if part["next"] is None:
                break
            cursor = f"&cursor={part['next']}"
        back: list[str] = []
        while part["prev"]:
            part = (await sana.get(f"{CALL}?limit=1&cursor={part['prev']}")).json()
            back += [one["id"] for one in part["items"]]
        assert back == seen[-2::-1]
        whole = (await sana.get(f"{CALL}?limit=100&sort=id")).json()["items"]
        assert [one["id"] for one in whole] == seen[::-1]
        rail = (await sana.get("/console/approvals")).text

    assert (seen[:4], len(set(seen))) == ([str(one) for one in reversed(made)], len(seen))
    async with console.begin() as tx:
        waiting = (await approvals.waiting(tx))[0] + (await ledger.ADJUSTMENTS.waiting(tx))[0]
    assert re.findall(r'href="/console/approvals"[^>]*>.*?rail-count"><[^>]*>(\d+)', rail)[:1] == [str(waiting)]
