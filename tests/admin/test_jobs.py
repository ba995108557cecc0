"""Jobs: what gave up is tried again or taken out, each with a reason, and written down."""

from palio.entry.wiring import SCHEDULES
from palio.infra import db, schedules
from palio.kernel import clock
from tests.admin.house import Console, acts_of, form_of

CALL = "/api/v1/console/jobs"
WHY = {"reason": "the disk is free again"}


async def test_what_gave_up_is_put_back_once(console: Console) -> None:
    row = await console.queue()
    async with console.talk(console.staff(console.noor)) as noor:
        listed = (await noor.get(f"{CALL}?state=failed")).json()["items"]
        done = await noor.post(f"{CALL}/runs/{row}/retry", json=WHY)
        twice = await noor.post(f"{CALL}/runs/{row}/retry", json=WHY)

    assert row in [one["id"] for one in listed]
    assert (done.status_code, done.json()["state"], done.json()["attempts"]) == (200, "waiting", 0)
    assert (twice.status_code, twice.json()["code"]) == (409, "infra.job_not_dead")
    act = (await acts_of(console, "job.retry"))[0]
    assert (act.changes["state"], act.reason, act.via) == (["failed", "waiting"], WHY["reason"], "web")


async def test_what_waits_is_cancelled_and_stays_in_the_history(console: Console) -> None:
    row = await console.queue(state="waiting")
    page = f"/console/jobs/{row}"
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(page)).text, f"{page}/act")
        silent = await noor.post(f"{page}/act", data={**fields, "act": "cancel", "reason": ""})
        fields = form_of(silent.text, f"{page}/act")
        done = await noor.post(f"{page}/act", data={**fields, "act": "cancel", **WHY})
        gone = await noor.post(f"{CALL}/runs/{row}/cancel", json=WHY)
    async with console.begin() as tx:
        told = await db.value(tx, "select count(*) from infra.job_runs where status = 'cancelled'")

    assert (silent.status_code, done.status_code, done.headers["location"]) == (422, 303, "/console/jobs")
    assert (gone.status_code, gone.json()["code"]) == (404, "infra.job_not_queued")
    assert told == 1
    assert (await acts_of(console, "job.cancel"))[0].changes["state"] == ["waiting", "cancelled"]


async def test_the_same_does_not_wait_twice(console: Console) -> None:
    one = await console.queue()
    other = await console.queue(state="waiting")
    async with console.begin() as tx:
        await db.run(tx, "update jobs.procrastinate_jobs set queueing_lock = 'same' where id = any (%s)", [one, other])
    async with console.talk(console.staff(console.noor)) as noor:
        refused = await noor.post(f"{CALL}/runs/{one}/retry", json=WHY)

    assert (refused.status_code, refused.json()["code"]) == (409, "infra.job_already_queued")


async def test_a_schedule_is_made_due_now(console: Console) -> None:
    name = SCHEDULES[0].name
    async with console.begin() as tx:
        await schedules.declare(tx, {one.name: one for one in SCHEDULES}, now=clock.now())
    async with console.talk(console.staff(console.noor)) as noor:
        page = f"/console/jobs/schedules/{name}"
        fields = form_of((await noor.get(page)).text, f"{page}/run")
        done = await noor.post(f"{page}/run", data={**fields, **WHY})
        listed = {one["name"]: one for one in (await noor.get(f"{CALL}/schedules")).json()["items"]}
        unknown = await noor.post(f"{CALL}/schedules/nothing/run", json=WHY)

    assert done.status_code == 303
    assert listed[name]["next_at"] <= clock.text(clock.now())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "infra.no_such_schedule")
