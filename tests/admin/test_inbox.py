"""The inbox: somebody else decides, once, with a fresh factor; everybody may take back his own."""

from palio.infra import approvals
from palio.kernel import clock
from tests.admin.house import Console, acts_of, form_of

CALL = "/api/v1/console/approvals"


async def test_somebody_else_approves_and_then_it_is_over(console: Console) -> None:
    proposed = await console.propose(console.noor)
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        own = await noor.post(f"{CALL}/{proposed}/approve", json={})
        seen = (await sana.get(f"{CALL}/{proposed}")).json()
        mine = (await noor.get(f"{CALL}?box=mine")).json()
        done = await sana.post(f"{CALL}/{proposed}/approve", json={})
        twice = await sana.post(f"{CALL}/{proposed}/approve", json={})
        over = (await noor.get(f"{CALL}?box=done")).json()

    assert (own.status_code, own.json()["code"]) == (403, "approval.own")
    assert (seen["may_decide"], seen["maker"], seen["state"]) == (True, "Noor Haddad", "open")
    assert [one["id"] for one in mine["items"]] == [str(proposed)]
    assert (done.status_code, done.json()["state"], done.json()["given"]) == (200, "approved", 1)
    assert (twice.status_code, twice.json()["code"]) == (409, "approval.closed")
    assert str(proposed) in [one["id"] for one in over["items"]]
    (act,) = await acts_of(console, "approval.approve")
    assert (act.changes, act.actor_id) == ({"state": ["open", "approved"]}, console.sana)


async def test_the_maker_is_told_which_fact_no_longer_holds(console: Console) -> None:
    proposed = await console.propose(console.noor, number=9_999)
    commands = console.app_state("desk").commands
    async with console.talk(console.staff(console.sana)) as sana:
        await sana.post(f"{CALL}/{proposed}/approve", json={})
    async with console.begin() as tx:
        await approvals.execute(tx, approval_id=proposed, commands=commands, now=clock.now())
    async with console.talk(console.staff(console.noor)) as noor:
        page = await noor.get(f"/console/approvals/{proposed}")

    assert ('href="/problems/races.no_such_race"' in page.text, page.status_code) == (True, 200)


async def test_what_would_fail_now_is_said_before_anybody_decides(console: Console) -> None:
    proposed = await console.propose(console.noor, number=9_998)
    async with console.talk(console.staff(console.sana)) as sana:
        told = (await sana.get(f"{CALL}/{proposed}")).json()
        page = (await sana.get(f"/console/approvals/{proposed}")).text
        listed = (await sana.get(CALL)).json()["items"]
    async with console.talk(console.staff(console.sana, permissions="admin.approval.read")) as reader:
        hidden = (await reader.get(f"{CALL}/{proposed}")).json()

    assert (told["changes"], told["obstacle"]) == (None, "races.no_such_race")
    assert ("It would fail now" in page, hidden["changes"], hidden["obstacle"]) == (True, None, None)
    assert {(one["changes"], one["obstacle"]) for one in listed} == {(None, None)}


async def test_a_rejection_needs_a_reason_and_a_fresh_factor(console: Console) -> None:
    proposed = await console.propose(console.noor)
    page = f"/console/approvals/{proposed}"
    async with console.talk(console.staff(console.sana, step_up=False)) as sana:
        unproven = await sana.post(f"{CALL}/{proposed}/reject", json={"reason": "it is too much"})
        shown = await sana.get(page)
    async with console.talk(console.staff(console.sana)) as sana:
        fields = form_of((await sana.get(page)).text, f"{page}/decide")
        silent = await sana.post(f"{page}/decide", data={**fields, "decision": "reject", "reason": ""})
        fields = form_of(silent.text, f"{page}/decide")
        done = await sana.post(f"{page}/decide", data={**fields, "decision": "reject", "reason": "it is too much"})
        after = (await sana.get(f"{CALL}/{proposed}")).json()

    assert (unproven.status_code, unproven.json()["code"]) == (403, "step_up_required")
    assert f"/console/prove?next={page}" in shown.text
    assert (silent.status_code, done.status_code) == (422, 303)
    assert (after["state"], after["verdicts"][0]["reason"]) == ("rejected", "it is too much")


async def test_whom_it_is_about_does_not_decide_and_the_maker_withdraws(console: Console) -> None:
    proposed = await console.propose(console.noor, subject=console.sana)
    page = f"/console/approvals/{proposed}"
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        about = await sana.post(f"{CALL}/{proposed}/approve", json={})
        foreign = await sana.post(f"{CALL}/{proposed}/withdraw")
        fields = form_of((await noor.get(page)).text, f"{page}/withdraw")
        done = await noor.post(f"{page}/withdraw", data=fields)
        after = (await noor.get(f"{CALL}/{proposed}")).json()

    assert (about.status_code, about.json()["code"]) == (403, "approval.subject")
    assert (foreign.status_code, done.status_code, after["state"]) == (403, 303, "withdrawn")


async def test_the_permission_of_the_command_is_needed_too(console: Console) -> None:
    proposed = await console.propose(console.noor)
    held = "admin.approval.read admin.approval.decide"
    async with console.talk(console.staff(console.sana, permissions=held)) as sana:
        seen = (await sana.get(f"{CALL}/{proposed}")).json()
        refused = await sana.post(f"{CALL}/{proposed}/approve", json={})

    assert (seen["may_decide"], seen["refusal"]) == (False, "permission")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
