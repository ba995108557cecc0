"""The first page and cards: each part by itself, as far as somebody may see it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from palio.admin import Defect, rules
from palio.admin import console as admin_console
from palio.admin.types import FeedNow, JobsNow, LateNow, QueueLag
from palio.entry.wiring import EXPORTS, PERMISSIONS
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.providers import Fact, Panel, Queue, Waiting
from tests.admin.house import Console

NOON = clock.now()


async def broken(tx: Tx, *_: object) -> list[Fact]:
    await tx.execute("select 1 / 0")
    return []


async def fails(tx: Tx, *_: object) -> Waiting:
    raise KeyError("a defect")


async def test_a_part_that_fails_leaves_the_others_alone(console: Console) -> None:
    desk = replace(
        console.app_state("desk"),
        queues=[Queue("Broken", "/console/broken", "admin.home.read", fails), *console.app_state("desk").queues],
        panels=[Panel("broken", "Broken", "admin.card.read", broken), *console.app_state("desk").panels],
    )
    async with console.talk(console.staff(console.noor), desk=desk) as noor:
        page = await noor.get("/console")
        home = (await noor.get("/api/v1/console/home")).json()
        card = (await noor.get(f"/api/v1/console/users/{console.sana}/card")).json()
        person = await noor.get(f"/console/people/{console.sana}")

    assert page.status_code == 200
    assert [(one["label"], one["count"] is None) for one in home["queues"]] == [
        ("Broken", True),
        ("Approvals", False),
        ("Suspicious snapshots", False),
        ("Quarantined rows", False),
        ("Link requests", False),
        ("Doubts about results", False),
        ("Withheld prizes", False),
    ]
    assert (home["races"]["live"], home["feeds"], home["jobs"]["dead"] >= 0) == (0, [], True)
    assert [(one["module"], one["facts"] is None) for one in card["panels"]] == [
        ("broken", True),
        ("identity", False),
        ("ledger", False),
        ("competitions", False),
        ("affiliates", False),
    ]
    assert (person.status_code, person.text.count('role="alert"')) == (200, 1)


async def test_a_card_shows_what_the_reader_may_see(console: Console) -> None:
    nobody = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
    async with console.talk(console.staff(console.noor, permissions="admin.card.read")) as support:
        card = (await support.get(f"/api/v1/console/users/{console.sana}/card")).json()
        page = await support.get(f"/console/people/{console.sana}")
        unknown = await support.get(f"/console/people/{nobody}")

    assert (card["username"], card["panels"], "Wallets" in page.text) == ("sana", [], False)
    assert unknown.status_code == 404


async def test_somebody_is_found_by_the_beginning_of_his_name_or_by_his_id(console: Console) -> None:
    async with console.talk(console.staff(console.noor)) as noor:
        pages = [await noor.get("/console/people", params={"q": q}) for q in ("SAN", str(console.sana), "zz", "%")]

    assert [f"/console/people/{console.sana}" in page.text for page in pages] == [True, True, False, False]


async def test_the_rail_holds_what_somebody_may_use(console: Console) -> None:
    async with console.talk(console.staff(console.noor, permissions="admin.audit.read")) as auditor:
        page = await auditor.get("/console/audit")
    async with console.talk(console.staff(console.noor, permissions="")) as nobody:
        refused = await nobody.get("/console")

    assert ('href="/console/audit"' in page.text, 'href="/console/settings"' in page.text) == (True, False)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


def test_alarms_name_what_needs_a_person_the_critical_first() -> None:
    feeds = [
        FeedNow("calm", NOON, is_stale=False),
        FeedNow("late", NOON - timedelta(hours=1), is_stale=True),
        FeedNow("gone", NOON - timedelta(hours=4), is_stale=True),
        FeedNow("new", None, is_stale=True),
    ]
    jobs = JobsNow(90, 3, 1, 2, [QueueLag("critical", 61), QueueLag("default", 600), QueueLag("bulk", 601)])
    defects = [
        Defect("server.bundled", "warning", "bundled", "", ""),
        Defect("disk.low", "warning", "low", "", ""),
        Defect("files.open", "error", "open", "", ""),
        Defect("settings.unknown", "note", "unknown", "", ""),
    ]

    late = [LateNow("Spring", NOON - timedelta(hours=7))]

    found = rules.alarms(feeds=feeds, jobs=jobs, defects=defects, late=late, mismatches=2, now=NOON)

    assert [(one.kind, one.severity, one.subject) for one in found] == [
        ("ledger.mismatch", "critical", ""),
        ("feed_stale", "critical", "gone"),
        ("feed_silent", "critical", "new"),
        ("jobs_late", "critical", "critical"),
        ("overdue.settlement", "critical", "Spring"),
        ("defect", "critical", "open"),
        ("feed_stale", "warning", "late"),
        ("jobs_dead", "warning", ""),
        ("jobs_late", "warning", "bulk"),
        ("defect", "warning", "low"),
    ]


def test_what_the_console_itself_offers_can_be_granted() -> None:
    """A permission that no module declares is held by nobody, owners included."""
    declared = {permission.name for permission in PERMISSIONS}
    routes = {route.access for module in admin_console.MODULES for route in module.all}
    entries = {entry.permission for entry in admin_console.RAIL}

    assert (routes | entries) - declared == {"public"}  # the catalogue of what webhooks can hear is open to everybody
    asked = {one.permission for one in EXPORTS} | {"admin.export.personal"}  # besides that of the call
    assert {name for name in declared if name.startswith("admin.")} - routes == asked
