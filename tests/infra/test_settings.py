"""Changing settings: a change set is all or nothing, keeps a history, writes an audit row, and reaches the snapshot."""

import asyncio
from contextlib import suppress

import pytest

from palio.infra import db, realtime, settings
from palio.infra.settings import Change
from palio.infra.settings.runtime import Snapshot
from palio.kernel.errors import Stale
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.settings import Catalogue, OutOfRange, Setting, UnknownSetting
from tests.conftest import PATIENCE_S

CAP = Setting("test.cap", "int", 100, "Coins a day at most.", "coins", 0, 100_000)
TITLE = Setting("test.title", "text", "Palio", "How the house is called.", high=20)
STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


@pytest.fixture
async def declared(tx):
    await settings.declare(tx, Catalogue([CAP, TITLE]))
    return tx


async def change(tx, *changes, reason="because"):
    return await settings.change(tx, STAFF, changes, reason)


async def test_a_change_makes_a_version_and_an_audit_row_with_before_and_after(declared):
    assert await change(declared, Change(CAP, 250, if_version=0)) == {"test.cap": 1}

    assert await settings.exact(declared, CAP) == 250
    audited = await db.value(
        declared,
        """select jsonb_build_array(action, entity_id, changes, reason, actor_id, via) from infra.audit_rows
        where request_id = %s""",
        STAFF.request_id,
    )
    assert audited == ["setting.change", "test.cap", {"value": [100, 250]}, "because", str(STAFF.user_id), "web"]
    (version,) = await settings.history(declared, "test.cap")
    assert (version.version, version.value, version.kind, version.reason) == (1, 250, "set", "because")


async def test_an_equal_value_is_no_new_version(declared):
    await change(declared, Change(CAP, 250))
    assert await change(declared, Change(CAP, 250)) == {"test.cap": 1}
    assert len(await settings.history(declared, "test.cap")) == 1


async def test_a_change_of_an_old_version_is_refused_with_the_present_one(declared):
    await change(declared, Change(CAP, 250))
    with pytest.raises(Stale) as refused:
        await change(declared, Change(CAP, 300, if_version=0))
    assert refused.value.facts == {"key": "test.cap", "version": 1}
    assert await settings.exact(declared, CAP) == 250


async def test_one_bad_member_refuses_the_whole_set(declared):
    with pytest.raises(OutOfRange):
        await change(declared, Change(TITLE, "Corsa"), Change(CAP, 100_001))
    assert await settings.exact(declared, TITLE) == "Palio"
    assert await settings.history(declared, "test.title") == []


async def test_a_revert_is_a_new_version_with_the_old_value(declared):
    for value in (200, 300, 400):
        await change(declared, Change(CAP, value))
    assert await settings.revert(declared, STAFF, CAP, to_version=1, reason="too much") == 4
    assert await settings.exact(declared, CAP) == 200
    assert [(line.version, line.kind) for line in await settings.history(declared, "test.cap")] == [
        (4, "revert"),
        (3, "set"),
        (2, "set"),
        (1, "set"),
    ]
    assert await settings.revert(declared, STAFF, CAP, to_version=0, reason="as delivered") == 5
    assert await settings.exact(declared, CAP) == 100


async def test_a_revert_to_a_value_outside_todays_range_is_refused(declared):
    await change(declared, Change(CAP, 250))
    narrow = Setting("test.cap", "int", 100, "Coins a day at most.", "coins", 0, 200)
    with pytest.raises(OutOfRange):
        await settings.revert(declared, STAFF, narrow, to_version=1, reason="back")
    with pytest.raises(settings.NoSuchVersion):
        await settings.revert(declared, STAFF, CAP, to_version=7, reason="back")


async def test_a_stored_value_that_no_longer_fits_gives_way_to_the_default(declared):
    await change(declared, Change(CAP, 250))
    narrow = Setting("test.cap", "int", 100, "Coins a day at most.", "coins", 0, 200)
    assert await settings.exact(declared, narrow) == 100


async def test_a_setting_of_no_module_is_kept_as_retired_and_comes_back_with_its_value(declared):
    await change(declared, Change(CAP, 250))
    await settings.declare(declared, Catalogue([TITLE]))
    assert [(line.key, line.retired) for line in await settings.list_all(declared) if line.key.startswith("test.")] == [
        ("test.cap", True),
        ("test.title", False),
    ]
    assert await settings.exact(declared, CAP) == 100
    await settings.declare(declared, Catalogue([CAP, TITLE]))
    assert await settings.exact(declared, CAP) == 250


async def test_a_setting_that_was_never_declared_is_unknown(tx):
    with pytest.raises(UnknownSetting):
        await change(tx, Change(Setting("test.absent", "int", 1, "x"), 2))


async def test_history_cannot_be_rewritten_by_the_application(declared):
    await change(declared, Change(CAP, 250))
    with pytest.raises(Exception, match="permission denied"):
        await db.run(declared, "update infra.setting_versions set reason = 'another'")


async def test_another_process_acts_on_a_change_as_soon_as_it_is_committed(cluster, database, database_name):
    """Its hub hears the notice, its snapshot reads again."""
    hub, snapshot = realtime.Hub(cluster.dsn("palio_app", database_name)), Snapshot()
    heard = asyncio.Event()

    def hear() -> None:
        snapshot.reload_soon()
        heard.set()

    hub.on(settings.CHANNEL, hear)
    tasks = [asyncio.create_task(work) for work in (hub.run(), snapshot.run(database))]
    try:
        async with asyncio.timeout(PATIENCE_S):
            await heard.wait()
            async with database.begin_system("a test") as tx:
                await settings.declare(tx, Catalogue([CAP, TITLE]))
                await change(tx, Change(CAP, 321))
            while snapshot.value(CAP) != 321:  # noqa: ASYNC110 - a snapshot rings no bell
                await asyncio.sleep(0.01)
    finally:
        async with database.begin_system("a test") as tx:
            await change(tx, Change(CAP, None))
            await settings.declare(tx, Catalogue([]))
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
