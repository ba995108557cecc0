"""Pages of the console about data requests and breaks from playing: who sees them, what forms do and refuse."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from palio import identity
from palio.entry import wiring
from palio.identity import doors, service
from palio.infra import db
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.factories.identity import World, later
from tests.identity.test_looks import desk, employed
from tests.identity.test_web import application, browser

ROOT = "https://palio.test"
REQUESTS, BREAKS = "/console/identity/privacy-requests", "/console/identity/play-exclusions"
HTML = {"accept": "text/html"}


@pytest.fixture
def house(world: World, tmp_path: Path) -> Iterator[doors.House]:
    world.database.equipment = replace(
        world.equipment, storage=Storage(tmp_path), personal=wiring.PERSONAL, sealed=wiring.SEALED_COLUMNS
    )
    yield world.house
    world.database.equipment = world.equipment


async def page(client: httpx2.AsyncClient, path: str) -> httpx2.Response:
    return await client.get(ROOT + path, headers=HTML)


async def press(client: httpx2.AsyncClient, where: str, action: str, **said: object) -> httpx2.Response:
    """Send a form of a page, with what the page has put into it."""
    form = (await page(client, where)).text.partition(f'action="{action}" method="post"')[2]
    assert form, action
    token = form.partition('name="csrf_token" value="')[2].partition('"')[0]
    data = {"csrf_token": token, "idempotency_key": str(new_id()), **said}
    return await client.post(ROOT + action, data=data, headers=HTML)


async def audited(world: World, action: str, subject: UserId) -> list[str]:
    async with world.database.begin_system("a test") as tx:
        return await db.column(
            tx,
            "select reason from infra.audit_rows where action = %s and subject_user_id = %s order by id",
            *(action, subject),
        )


async def queued(world: World) -> int:
    with world.superuser() as server:
        found = server.execute("select count(*) from jobs.procrastinate_jobs where task_name like '%run_privacy'")
        return (found.fetchone() or [0])[0]


# what people ask of their data


async def test_the_page_shows_who_asks_for_what_how_far_it_is_and_what_is_red(world: World, house: doors.House) -> None:
    now = clock.now()
    alice, bob = await world.player("alice", now), await world.player("bob", now)
    staff = await employed(world, "stella", "support", now)
    async with desk(world, staff) as client:
        empty = (await page(client, REQUESTS)).text
        copied = await doors.ask_for_export(house, user_id=alice.id, now=now)
        await doors.ask_for_erasure(house, user_id=bob.id, now=now)
        async with world.database.begin_system("a test") as tx:
            for _ in range(3):
                turn = await service.privacy.next_turn(tx, request_id=copied.id)
                assert turn
                await service.privacy.fail_step(tx, turn=turn, failure="<b>OSError</b>")
        both, running, done = [
            (await page(client, REQUESTS + narrowed)).text for narrowed in ("", "?state=running", "?state=done")
        ]
        listed = (await client.get(f"{REQUESTS}?limit=1")).json()
        rest = (await client.get(f"{REQUESTS}?limit=1&cursor={listed['next']}")).json()

    assert "Nobody asks" in empty
    assert "alice" in both and "bob" in both and "not confirmed" in both and "under way" in both
    assert "a step fails" in both and "infra: &lt;b&gt;OSError" in both
    assert "alice" in running and "bob" not in running
    assert "Nobody asks" in done
    assert [(one["kind"], one["state"]) for one in (*listed["items"], *rest["items"])] == [
        ("erase", "requested"),
        ("export", "running"),
    ]
    assert rest["next"] is None
    (red,) = [step for step in rest["items"][0]["steps"] if step["is_red"]]
    assert (red["section"], red["attempts"], red["is_done"]) == ("infra", 3, False)


async def test_a_failed_step_is_set_going_with_a_reason_and_nothing_else_is(world: World, house: doors.House) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    asked = await doors.ask_for_export(house, user_id=alice.id, now=now)
    await world.deliver()  # what waits for a worker
    staff = await employed(world, "stella", "support", now)
    async with desk(world, staff) as client:
        short = await press(client, REQUESTS, f"{REQUESTS}/retry", request_id=asked.id, reason="no")
        strange = await press(client, REQUESTS, f"{REQUESTS}/retry", request_id=new_id(), reason="the disk was full")
        nothing = await press(client, REQUESTS, f"{REQUESTS}/retry", request_id="1", reason="the disk was full")
        assert (await queued(world), await audited(world, "privacy_request.retry", alice.id)) == (0, [])
        done = await press(client, REQUESTS, f"{REQUESTS}/retry", request_id=asked.id, reason="the disk was full")
        told = await page(client, f"{REQUESTS}?told=retried")
        by_call = await client.post(f"{REQUESTS}/{asked.id}/retry", json={"reason": "once more"})
        unknown = await client.post(f"{REQUESTS}/{new_id()}/retry", json={"reason": "once more"})
        async with world.database.begin_system("a test") as tx:
            await db.run(tx, "update identity.privacy_requests set state = 'done', finished_at = now()")
        over = await client.post(f"{REQUESTS}/{asked.id}/retry", json={"reason": "once more"})

    assert (short.status_code, strange.status_code, nothing.status_code) == (422, 404, 422)
    assert 'value="no"' in short.text, "what was typed is still there"
    assert (done.status_code, done.headers["location"]) == (303, f"{REQUESTS}?told=retried")
    assert "It is tried again." in told.text
    assert (by_call.status_code, by_call.json()["state"]) == (200, "running")
    assert [(one.status_code, one.json()["code"]) for one in (unknown, over)] == [
        (404, "identity.no_such_privacy_request")
    ] * 2
    assert await queued(world) == 1, "twice is once"
    assert await audited(world, "privacy_request.retry", alice.id) == ["the disk was full", "once more"]


@pytest.mark.parametrize("path", [REQUESTS, BREAKS])
async def test_both_pages_are_for_those_who_may(world: World, house: doors.House, path: str) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    asked = await doors.ask_for_export(house, user_id=alice.id, now=now)
    await world.deliver()
    other = await employed(world, "rita", "races", now)
    forms = {
        REQUESTS: (f"{REQUESTS}/retry", {"request_id": str(asked.id), "reason": "the disk was full"}),
        BREAKS: (BREAKS, {"user": "alice", "reason": "asked by a relative"}),
    }
    action, said = forms[path]
    async with desk(world, other) as client:
        seen, listed = await page(client, path), await client.get(path)
        token = (await page(client, "/console/sign-out")).text
        sent = await client.post(ROOT + action, data={"csrf_token": "x", **said}, headers=HTML)
    async with browser(application(world)) as stranger:
        unseen = await page(stranger, path)
        unlisted = await stranger.get(path)
        unsent = await stranger.post(ROOT + action, data=said, headers=HTML)

    assert "alice" not in seen.text + listed.text + unseen.text + token
    assert (listed.status_code, listed.json()["code"], unlisted.status_code) == (403, "permission_missing", 401)
    assert (seen.status_code, sent.status_code) == (403, 403)
    assert unseen.status_code in {303, 401} and unsent.status_code in {303, 401, 403}
    assert await queued(world) == 0
    assert await world.count("select count(*) from identity.play_exclusions") == 0


# breaks from playing


async def breaks_of(world: World, user_id: UserId) -> list[identity.Exclusion]:
    async with world.database.begin_system("a test") as tx:
        return await service.play.exclusions_of(tx, user_id=user_id)


async def test_the_house_keeps_somebody_from_playing_by_the_form_and_its_reason_stays_sealed(
    world: World, house: doors.House
) -> None:
    now = clock.now()
    alice, bob = await world.player("alice", now), await world.player("bob", now)
    staff = await employed(world, "stella", "support", now)
    async with desk(world, staff) as client:
        empty = (await page(client, BREAKS)).text
        refused = [
            await press(client, BREAKS, BREAKS, user=user, days=days, reason=reason)
            for user, days, reason in (
                ("alice", "3", "no"),
                ("nobody-at-all", "3", "asked by a relative"),
                ("stella", "3", "asked by a relative"),
                ("alice", "0", "asked by a relative"),
                ("alice", "many", "asked by a relative"),
            )
        ]
        assert await breaks_of(world, alice.id) == []
        done = await press(client, BREAKS, BREAKS, user="alice", days="3", reason="asked by a relative")
        told = (await page(client, f"{BREAKS}?told=set")).text
        shorter = await press(client, BREAKS, BREAKS, user="alice", days="1", reason="asked by a relative")
        longer = await press(client, BREAKS, BREAKS, user="alice", days="", reason="asked by a relative")
        hers, his, nobodys = [
            (await page(client, f"{BREAKS}?user={user}")).text for user in ("alice", "bob", "nobody-at-all")
        ]

    assert "No break" in empty
    assert [one.status_code for one in refused] == [422, 404, 403, 422, 422]
    assert all('value="asked by a relative"' in one.text for one in refused[1:]), "typed, and still there"
    assert (done.status_code, done.headers["location"]) == (303, f"{BREAKS}?told=set")
    assert "It holds from this moment on." in told and "set by the house" in told
    assert (shorter.status_code, longer.status_code) == (409, 303)
    assert "relative" not in told + hers + his
    assert "alice" in hers and "No break" in his and "No break" in nobodys
    ends = [one.ends_at for one in await breaks_of(world, alice.id)]
    assert None in ends and await breaks_of(world, bob.id) == []
    assert await audited(world, "play_exclusion.set", alice.id)
    async with world.database.begin_system("a test") as tx:
        (refusal,) = await identity.require_play_many(tx, [(alice.id, "compete")], now=clock.now())
    assert isinstance(refusal, identity.SelfExcluded)


async def test_a_break_takes_a_fresh_proof_which_the_form_asks_for(world: World, house: doors.House) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    staff = await employed(world, "stella", "support", now - timedelta(minutes=6))
    async with desk(world, staff) as client:
        stale = (await page(client, BREAKS)).text
        refused = await press(client, BREAKS, BREAKS, user="alice", days="3", reason="asked by a relative")
        by_call = await client.post(BREAKS, json={"user": "alice", "days": 3, "reason": "asked by a relative"})

    assert 'name="proof"' in stale or 'autocomplete="one-time-code"' in stale
    assert (refused.status_code, by_call.status_code) == (403, 403)
    assert by_call.json()["code"] == "step_up_required"
    assert 'value="asked by a relative"' in refused.text
    assert await breaks_of(world, alice.id) == []


async def test_a_mistake_is_undone_by_two_and_only_within_its_hour(world: World, house: doors.House) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    staff = await employed(world, "stella", "support", now)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=alice.id, length="24h", now=now)
    (found,) = await breaks_of(world, alice.id)
    async with desk(world, staff) as client:
        short = await press(client, BREAKS, f"{BREAKS}/undo", exclusion_id=found.id, reason="no")
        strange = await press(client, BREAKS, f"{BREAKS}/undo", exclusion_id=new_id(), reason="the wrong button")
        asked = [
            await press(client, BREAKS, f"{BREAKS}/undo", exclusion_id=found.id, reason="the wrong button")
            for _ in range(2)
        ]
        by_call = await client.post(f"{BREAKS}/{found.id}/undo", json={"reason": "the wrong button"})
        told = (await page(client, f"{BREAKS}?told=proposed")).text
        world_before = await breaks_of(world, alice.id)
        await _age(world, now - timedelta(hours=1, seconds=1))
        old = (await page(client, BREAKS)).text
        firm = await client.post(f"{BREAKS}/{found.id}/undo", json={"reason": "the wrong button"})

    assert (short.status_code, strange.status_code) == (422, 404)
    assert [(one.status_code, one.headers.get("location")) for one in asked] == [(303, f"{BREAKS}?told=proposed")] * 2
    assert "Proposed: a second person decides" in told
    approvals = "select count(*) from infra.approvals where subject_user_id = %s and state = 'open'"
    assert (by_call.status_code, await world.count(approvals, alice.id)) == (202, 1), "the same proposal is one"
    assert [one.lifted_at for one in world_before] == [None], "nothing is undone by one"
    assert "Propose to undo it" not in old
    assert (firm.status_code, firm.json()["code"]) == (409, "identity.exclusion_firm")


async def _age(world: World, starts_at: datetime) -> None:
    """A break that began earlier."""
    with world.superuser() as server:
        server.execute("alter table identity.play_exclusions disable trigger user")
        server.execute(
            "update identity.play_exclusions set starts_at = %s, ends_at = %s", [starts_at, later(starts_at, days=1)]
        )
        server.execute("alter table identity.play_exclusions enable trigger user")
