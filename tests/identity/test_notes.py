"""What other modules have to say is written to whom it concerns: here, that an endpoint of webhooks takes nothing."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from palio import identity
from palio.admin import jobs as admin_jobs
from palio.entry.wiring import PERMISSIONS
from palio.identity import jobs as identity_jobs
from palio.infra import webhooks
from palio.infra.mail import Letter
from palio.infra.messages import TellWebhookOwner, WatchWebhooks
from palio.infra.outbox import Stored, shape_of
from palio.infra.webhooks import endpoints
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.messages import Envelope
from tests.factories.identity import HOME, PASSWORD, World, subjects
from tests.factories.webhooks import KNOWN

WHY = "the bot of the club listens"


async def staff(world: World, name: str, now: datetime) -> UserId:
    user = await world.player(name, now)
    async with world.database.begin_system("a test") as tx:
        await identity.declare_roles(tx, permissions=PERMISSIONS, now=now)
        await identity.grant_role(tx, user_id=user.id, role="admin", reason=WHY, now=now)
    return user.id


async def made_by(world: World, owner: UserId | None, now: datetime) -> UUID:
    actor = Actor("staff", owner, RequestId(new_id())) if owner else None
    begin = world.database.begin(actor) if actor else world.database.begin_system("a test")
    async with begin as tx:
        wish = webhooks.Wish("https://hooks.example.com/palio", ["race.*"])
        return (await webhooks.create(tx, wish=wish, known=KNOWN, reason=WHY, now=now))[0]


async def pass_on(world: World) -> None:
    """Do what waits of telling owners."""
    with world.superuser() as server:
        waiting = server.execute(
            "delete from jobs.procrastinate_jobs where task_name like '%:tell_webhook_owner' returning args"
        ).fetchall()
    async with world.database.begin_system("a test") as tx:
        for (args,) in waiting:
            job = shape_of(TellWebhookOwner).validate_python(shape_of(Stored).validate_python(args).message)
            await admin_jobs.tell_webhook_owner(tx, job)


async def letters_about(world: World, endpoint: UUID, days: int = 0) -> list[Letter]:
    async with world.database.begin_system("a test") as tx:
        await admin_jobs.tell_webhook_owner(tx, TellWebhookOwner(endpoint, days=days))
    return await world.deliver()


@pytest.fixture(autouse=True)
def at_noon(noon: datetime) -> None:
    clock.use(lambda: noon)


async def test_whoever_made_an_endpoint_is_told_that_it_is_switched_off(world: World, noon: datetime) -> None:
    """He alone of the staff; his address stands in no job."""
    ada = await staff(world, "ada", noon)
    await staff(world, "bea", noon)
    await world.deliver()
    here = await made_by(world, ada, noon)
    async with world.database.begin_system("a test") as tx:
        await endpoints.disable(tx, endpoint_id=here, why="gone", now=noon)
    await pass_on(world)

    assert "ada@example.com" not in world.everything()
    (letter,) = await world.deliver()
    assert (letter.to, letter.subject) == ("ada@example.com", "Webhooks to hooks.example.com are switched off")
    assert "because it said that it is gone (410)" in letter.text
    assert f"/console/webhooks/{here}" in letter.text and f"/console/webhooks/{here}" in letter.html


async def test_who_manages_them_is_told_where_nobody_made_it(world: World, noon: datetime) -> None:
    """Also where whoever made it is no longer of the staff; whom it does not concern is not told."""
    ada, eve = await staff(world, "ada", noon), await world.player("eve", noon)
    await world.deliver()
    for owner in (None, eve.id):
        letters = await letters_about(world, await made_by(world, owner, noon), days=1)
        assert [(one.to, one.subject) for one in letters] == [
            ("ada@example.com", "Webhooks to hooks.example.com fail")
        ], ada


async def test_an_endpoint_that_is_gone_from_here_is_told_of_to_nobody(world: World, noon: datetime) -> None:
    await staff(world, "ada", noon)
    await world.deliver()

    assert await letters_about(world, new_id()) == []


async def test_the_same_letter_again_has_the_same_number(world: World, noon: datetime) -> None:
    ada = await staff(world, "ada", noon)
    await world.deliver()
    note, envelope = identity.SendNote(ada, "A line", ("One.", "Two."), "/account"), Envelope(new_id(), noon, 1)
    for _ in range(2):
        await identity_jobs.send_note(world.database, note, envelope)

    first, second = list(world.mail.letters)[-2:]
    assert first == second and first.text.startswith("One.\n\nTwo.\n\nhttp")


async def test_an_unproven_address_is_not_written_to(world: World, noon: datetime) -> None:
    application = identity.Application("ann", "ann@example.com", PASSWORD)
    await identity.register(world.house, application=application, visitor=HOME, now=noon)
    await world.deliver()
    async with world.database.begin_system("a test") as tx:
        ann = await identity.get(tx, name_or_id="ann")
    await identity_jobs.send_note(
        world.database, identity.SendNote(ann.id, "A line", ("One.",), "/account"), Envelope(new_id(), noon, 1)
    )

    assert "A line" not in subjects(list(world.mail.letters))


async def test_days_of_failing_are_told_three_times(world: World, noon: datetime) -> None:
    """On the first and third day that it fails, on the fifth that it is switched off."""
    here = await made_by(world, await staff(world, "ada", noon), noon)
    await world.deliver()
    told: list[str] = []
    for hours in range(0, 24 * 6, 12):
        now = noon + timedelta(hours=hours)
        clock.use(lambda now=now: now)  # type: ignore[misc]  # its own instant each time
        async with world.database.begin_system("a test") as tx:
            if hours == 0:
                await tx.execute("update infra.webhook_endpoints set failing_since = %s where id = %s", (now, here))
            await webhooks.watch(tx, WatchWebhooks())
        await pass_on(world)
        told += [letter.subject for letter in await world.deliver()]

    host = "hooks.example.com"
    assert told == [f"Webhooks to {host} fail", f"Webhooks to {host} fail", f"Webhooks to {host} are switched off"]
