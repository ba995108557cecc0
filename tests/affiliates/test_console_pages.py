"""Pages of staff over feeds and snapshots: what they say to the digit, what their forms do, and what they refuse."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import httpx2
import pytest

from palio import affiliates
from palio.affiliates import service
from palio.affiliates.service import previews
from palio.affiliates.types import SnapshotId
from palio.infra import db, embedded
from palio.infra.storage import Storage
from palio.kernel.ids import new_id
from tests.admin.house import acts_of, form_of, manned
from tests.affiliates.feed_desk import ALL, HOUR, MINUTE, SECRET, Stage, players, stocked
from tests.factories.affiliates import row

WHY = "the provider has told us so"
READER = "affiliates.read"


@pytest.fixture(scope="module")
async def stage(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with stocked(cluster, f"palio_feeddesk_{worker_id}", tmp_path_factory.mktemp("data")) as stage:
        yield stage


def words(page: str) -> str:
    """What a piece of a page says."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def table(page: str, caption: str) -> list[list[str]]:
    """The cells of the table with this caption, without its head."""
    content = page.partition(f">{html.escape(caption)}</caption>")[2].partition("</table>")[0].partition("<tbody>")[2]
    lines = re.findall(r"<tr[ >].*?</tr>", content, re.DOTALL)
    return [[words(cell) for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", line, re.DOTALL)] for line in lines]


def facts(page: str) -> dict[str, str]:
    """The pairs of the fact lists."""
    pairs = re.findall(r"<dt[^>]*>(.*?)</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    return {words(name): words(value) for name, value in pairs}


async def send(client: httpx2.AsyncClient, page: str, action: str | None = None, **fields: str) -> httpx2.Response:
    """Fill in the form of a page, and send it."""
    shown = (await client.get(page)).text
    action = action or page.partition("?")[0]
    return await client.post(action, data={**form_of(shown, action), **fields})


async def test_all_feeds_stand_side_by_side_with_their_state_and_their_last_cycles(stage: Stage) -> None:
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as noor:
        page = (await noor.get("/console/affiliates/feeds")).text
        csv = (await noor.get("/api/v1/console/affiliates/feeds.csv")).text
        today = (await noor.get("/console/affiliates/feeds")).text.count('href="/console/affiliates/feeds/new"')

    (pulled, by_hand) = table(page, "Feeds of Northwind")
    assert pulled[1:3] == ["fine", "closed"]
    assert "10 applied, 5 failed, 5 unreadable, 5 missed, 5 left alone, 5 suspicious, 5 unchanged" in pulled[4]
    assert by_hand[:2] == ["Northwind: files by hand fine", "fine"]
    (alone, _) = table(page, "Feeds of Harbour")
    assert alone[0].startswith("Harbour: read by itself 127.0.0.1:9 left alone probed at ")
    assert alone[1].startswith("left alone")
    assert alone[2].startswith("open: it is left alone 5 failures in a row probed at ")
    assert [word for word in (SECRET, "k3y", "-XYZ") if word in page] == []
    assert csv.count("\n") == 5
    assert today == 0, "who may only look is not offered to connect one"


async def test_a_feed_shows_how_it_is_read_and_never_its_key_or_address(stage: Stage) -> None:
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = (await noor.get(f"/console/affiliates/feeds/{stage.failing}")).text
        chart = (await noor.get(f"/console/affiliates/feeds/{stage.feed}/chart")).json()
        table_of_cycles = (await noor.get(f"/console/affiliates/feeds/{stage.feed}")).text
        missing = await noor.get(f"/console/affiliates/feeds/{stage.northwind.id}")

    found = facts(page)
    assert (found["Host"], found["Proves itself by"]) == ("127.0.0.1:9", "a bearer token ends with -XYZ")
    assert (found["Every"], found["Patience"], found["At most"]) == ("15 min", "20 s, 4 attempts", "64 MiB")
    assert (found["Failures in a row"], found["Mapping"]) == ("5", "the built-in one")
    assert [word for word in (SECRET, "k3y", "/players") if word in page] == []
    assert len(table(table_of_cycles, "The last fifty cycles, the newest first")) == 40
    assert chart["series"] == [{"name": "", "kind": "step", "values": [10.0, 11.0]}]
    assert missing.status_code == 404


async def test_it_is_fetched_by_a_job_and_its_breaker_reset_with_a_reason(stage: Stage) -> None:
    here = f"/console/affiliates/feeds/{stage.failing}"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        silent = await send(noor, f"{here}/fetch", reason="no")
        fetched = await send(noor, f"{here}/fetch", reason=WHY)
        before = facts((await noor.get(f"{here}/reset")).text)
        reset = await send(noor, f"{here}/reset", reason=WHY)
        after = facts((await noor.get(here)).text)

    assert (silent.status_code, 'aria-invalid="true"' in silent.text) == (422, True)
    assert fetched.headers["location"] == f"{here}?asked=probe"
    assert before["Failures in a row"] == "before: 5 after: 0"
    assert (reset.status_code, after["Breaker"], after["Failures in a row"]) == (303, "closed", "0")
    acts = await acts_of(stage.console, "feed.breaker_reset")
    assert [(act.changes, act.reason) for act in acts] == [
        ({"breaker": ["open", "closed"], "failed_cycles": [5, 0]}, WHY)
    ]
    assert [act.changes for act in await acts_of(stage.console, "feed.fetch")] == [{"trigger": [None, "probe"]}]


async def test_a_test_fetch_shows_rows_as_they_would_be_read_and_writes_nothing(stage: Stage) -> None:
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        tried = await send(noor, f"/console/affiliates/feeds/{stage.feed}/test")
        down = await send(noor, f"/console/affiliates/feeds/{stage.failing}/test")
        held = await noor.get("/api/v1/console/affiliates/feeds")

    found = facts(tried.text)
    assert (tried.status_code, found["Outcome"], found["Status"]) == (200, "a list of players", "200")
    rows = table(tried.text, "The first twenty rows with what the mapping makes of them")
    assert len(rows) == 20
    assert rows[0][0].startswith("player")
    assert facts(down.text)["Outcome"] == "network"
    assert SECRET not in tried.text + down.text + held.text


async def test_a_feed_is_changed_by_whoever_saw_it_and_what_is_wrong_stands_at_its_field(stage: Stage) -> None:
    here = f"/console/affiliates/feeds/{stage.failing}"
    same = {
        "auth_kind": "bearer",
        "timeout_s": "20",
        "max_attempts": "4",
        "max_bytes": "67108864",
        "coverage": "full",
        "enabled": "true",
        "reason": WHY,
    }
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = (await noor.get(f"{here}/edit")).text
        wrong = await send(noor, f"{here}/edit", **same, interval_s="5")
        keyless = await send(noor, f"{here}/edit", **{**same, "auth_kind": "header"}, interval_s="900")
        changed = await send(noor, f"{here}/edit", **same, interval_s="300", key="an0ther-ABC")
        stale = await noor.post(f"{here}/edit", data={**form_of(page, f"{here}/edit"), **same, "interval_s": "600"})
        after = facts((await noor.get(here)).text)

    assert wrong.status_code == 422
    assert re.search(r'id="interval_s"[^>]*value="5"[^>]*aria-invalid="true"', wrong.text)
    assert keyless.status_code == 422
    assert re.search(r'id="key"[^>]*value=""[^>]*aria-invalid="true"', keyless.text)
    assert (changed.status_code, after["Every"]) == (303, "5 min")
    assert after["Proves itself by"] == "a bearer token ends with -ABC"
    assert (stale.status_code, "an0ther" in stale.text) == (412, False)
    (act,) = await acts_of(stage.console, "feed.change")
    assert act.changes == {"interval_s": [900, 300], "secret": ["•", "•"]}


async def test_a_feed_is_connected_and_removed(stage: Stage) -> None:
    given = {"programme": "harbour", "url": "http://127.0.0.1:9/list", "auth_kind": "none", "coverage": "partial"}
    async with stage.console.begin() as tx:
        await affiliates.ensure_programme(tx, code="meadow")
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        taken = await send(noor, "/console/affiliates/feeds/new", **given, reason=WHY)
        made = await send(noor, "/console/affiliates/feeds/new", **{**given, "programme": "meadow"}, reason=WHY)
        here = made.headers["location"]
        found = facts((await noor.get(here)).text)
        removed = await send(noor, f"{here}/remove", reason=WHY)
        late = [(await send(noor, f"{here}/{act}", reason=WHY)).status_code for act in ("fetch", "remove")]
        late.append((await send(noor, f"{here}/test")).status_code)
        page = (await noor.get(here)).text
        listed = (await noor.get("/console/affiliates/feeds")).text

    assert (taken.status_code, "is read from 127.0.0.1 already" in words(taken.text)) == (409, True)
    assert (made.status_code, found["Lists"]) == (303, "a part: nobody vanishes")
    assert (removed.status_code, "/edit" in page, "1 feed was removed" in listed) == (303, False, True)
    assert late == [404, 404, 404], "what was removed comes back by no form"


async def test_a_mapping_is_shown_before_it_is_saved_and_gone_back_to(stage: Stage) -> None:
    here = f"/console/affiliates/feeds/{stage.feed}/mapping"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        first = (await noor.get(here)).text
        wrong = await noor.get(here, params={"mapping": '{"no_such_field": "x"}'})
        typed = (await noor.get(here, params={"mapping": '{"total_users": "m.players"}'})).text
        form = form_of(typed.partition('id="do"')[2], here)
        form = {name: html.unescape(value) for name, value in form.items()} | {"reason": WHY}
        saved = await noor.post(here, data=form)
        late = await noor.post(here, data={**form, "idempotency_key": ""})
        back = (await noor.get(f"{here}?version=0")).text
        reverted = await noor.post(f"{here}/0", data={**form_of(back, f"{here}/0"), "reason": "it was a mistake"})
        after = (await noor.get(here)).text
        nothing = await noor.get(f"{here}?version=9")

    assert "Read as built in" in first
    assert wrong.status_code == 422
    assert "The mapping cannot be used at no_such_field" in words(wrong.text)
    assert '+ "total_users": "m.players"' in words(typed)
    assert (saved.status_code, late.status_code, reverted.status_code) == (303, 412, 303)
    assert "version 2 holds" in words(after)
    assert (nothing.status_code, await versions_of(stage)) == (404, [(1, {"total_users": "m.players"}), (2, {})])


async def versions_of(stage: Stage) -> list[tuple[int, object]]:
    async with stage.console.begin() as tx:
        cursor = await tx.execute(
            "select version, mapping from affiliates.feed_mappings where feed_id = %s order by version", (stage.feed,)
        )
        return await cursor.fetchall()


async def test_what_waits_is_counted_in_the_rail_and_on_todays_page(stage: Stage) -> None:
    async with stage.console.talk(stage.console.staff(stage.console.noor)) as noor:
        home = (await noor.get("/api/v1/console/home")).json()
        page = (await noor.get("/console/affiliates/anomalies")).text

    counts = {queue["label"]: queue["count"] for queue in home["queues"]}
    async with stage.console.begin() as tx:
        (suspicious, oldest), (held, _) = await affiliates.suspicious_waiting(tx), await affiliates.held_waiting(tx)
    assert (counts["Suspicious snapshots"], counts["Quarantined rows"]) == (suspicious, held)
    assert oldest == stage.doubted.fetched_at
    assert f"Quarantine {held} waiting" in words(page)


async def test_anomalies_are_narrowed_by_kind_paged_and_to_be_had_as_csv(stage: Stage) -> None:
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as noor:
        corrections = await noor.get("/console/affiliates/anomalies?programme=northwind&code=correction")
        first = await noor.get("/console/affiliates/anomalies?limit=1")
        older = re.search(r'href="(\?cursor=[^"]+)"', first.text)
        second = await noor.get(f"/console/affiliates/anomalies{older[1]}&limit=1") if older else None
        nothing = await noor.get("/console/affiliates/anomalies?code=page_skew")
        csv = (await noor.get("/api/v1/console/affiliates/anomalies.csv?code=correction")).text

    (line,) = table(corrections.text, "Anomalies, the newest first")
    assert line[0].startswith("a total that went down Northwind")
    assert (line[1], line[2]) == ("Amber u0", "before: $1,000.00 after: $950.00")
    assert second is not None
    one, other = (table(page.text, "Anomalies, the newest first") for page in (first, second))
    assert (len(one), len(other), one == other) == (1, 1, False)
    assert "Nothing of that kind" in nothing.text
    assert [line.split(",")[0] for line in csv.splitlines()] == ["programme", "northwind"]


async def test_an_unreadable_row_can_only_be_dismissed(stage: Stage) -> None:
    row_id = await stage.held("bad_number")
    here = f"/console/affiliates/quarantine/{row_id}"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = (await noor.get(here)).text
        refused = await send(noor, here, decision="release", reason=WHY)
        done = await send(noor, here, decision="dismiss", reason=WHY)
        again = await noor.post(here, data={**form_of(page, here), "decision": "dismiss", "reason": WHY})
        dismissed = (await noor.get("/console/affiliates/quarantine?problem=bad_number&state=dismissed")).text

    assert ("Release it" in page, "Dismiss it" in page) == (False, True)
    assert "&#34;many&#34;" in page
    assert (refused.status_code, WHY in refused.text) == (409, True)
    assert (done.status_code, again.status_code) == (303, 409)
    ((who, what, *_),) = table(dismissed, "Rows that were not believed, the newest first")
    assert (who.startswith("u9x Northwind"), what) == (True, "a number that is none dismissed")
    (act,) = await acts_of(stage.console, "held_row.dismiss")
    assert (act.entity_id, act.reason, act.actor_id) == (str(row_id), WHY, stage.console.noor)


async def test_a_jump_is_released_and_its_number_holds(stage: Stage) -> None:
    row_id = await stage.held("jump")
    here = f"/console/affiliates/quarantine/{row_id}"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        found = facts((await noor.get(here)).text)
        done = await send(noor, here, decision="release", reason=WHY)
        after = facts((await noor.get(here)).text)

    assert (found["Believed now"], found["It says"], found["Difference"]) == ("$1,100.00", "$901,100.00", "$900,000.00")
    assert (done.status_code, after["Believed now"]) == (303, "$901,100.00")
    assert after["Decided"].endswith(WHY)


async def test_a_snapshot_shows_its_rows_and_what_differs_from_another(stage: Stage) -> None:
    here = f"/console/affiliates/snapshots/{stage.second.id}"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = (await noor.get(here)).text
        few = (await noor.get(f"{here}?limit=4")).text
        found = (await noor.get(f"{here}?uid=cobalt")).text
        compared = (await noor.get(f"{here}/compare?with={stage.first.id}")).text
        answer = await noor.get(f"/api/v1/console/affiliates/snapshots/{stage.second.id}/diff?with={stage.first.id}")
        raw = await noor.get(f"/api/v1/console/affiliates/snapshots/{stage.second.id}/raw")

    caption = "What it says of each player, in its own order"
    assert table(page, caption)[0] == ["Amber u0", "$5.00", "$20.00", "$60.00", "$950.00"]
    assert (len(table(page, caption)), len(table(few, caption)), "Further rows" in few) == (10, 4, True)
    assert table(found, caption) == [["Cobalt u2", "$5.00", "$20.00", "$60.00", "$1,200.00"]]
    assert facts(page)["Corrections"] == "1"
    differences = table(compared, "Players of whom the two say different things, the largest difference first")
    assert differences == [
        ["Basalt u1", "all-time wager", "$1,100.00", "$901,100.00", "$900,000.00"],
        ["Amber u0", "all-time wager", "$1,000.00", "$950.00", "-$50.00"],
        ["Jasper u9", "before: Juniper after: Jasper", "$1,900.00", "$1,900.00", "$0.00"],
    ]
    told = answer.json()
    assert (told["appeared"], told["gone"], told["changed"], told["same"]) == (0, 0, 3, 7)
    assert [(one["uid"], one["delta_micro"]) for one in told["items"]] == [
        ("u1", 900_000_000_000),
        ("u0", -50_000_000),
        ("u9", 0),
    ]
    assert raw.status_code == 200
    assert [act.entity_id for act in await acts_of(stage.console, "snapshot.download")] == [str(stage.second.id)]


async def test_applying_a_doubted_snapshot_does_what_its_page_has_shown(stage: Stage) -> None:
    """The page says whom it would change; applied, exactly these numbers hold."""
    here = f"/console/affiliates/snapshots/{stage.doubted.id}/decide"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        listed = (await noor.get("/console/affiliates/snapshots")).text
        page = (await noor.get(here)).text
        silent = await send(noor, here, decision="apply", reason="")
        done = await send(noor, here, decision="apply", reason=WHY)
        again = await noor.post(here, data={**form_of(page, here), "decision": "discard", "reason": WHY})
        after = facts((await noor.get(f"/console/affiliates/snapshots/{stage.doubted.id}")).text)

    assert 'id="waiting"' in listed
    assert "It lists less than half of the players." in page
    shown = facts(page)
    changes = table(page, "Players whom applying it would change, the largest change first")
    assert (shown["New players"], shown["Vanish"], shown["Set aside"]) == ("1", "7", "0")
    assert changes[0][1] in ("corrected", "more")
    assert sum(line[1] == "vanishes" for line in changes) == 7
    assert ["Lilac u77", "new", "\N{EN DASH}", "$40.00", "$40.00"] in changes
    assert (silent.status_code, done.status_code, again.status_code) == (422, 303, 409)
    names = ("New players", "Corrections", "Wagered since")
    assert [after[name] for name in names] == [shown[name] for name in names]
    assert (after["Vanished"], after["Changed"]) == (shown["Vanish"], shown["Other numbers"])
    (act,) = await acts_of(stage.console, "snapshot.apply")
    assert (act.changes["status"], act.reason) == (["suspicious", "applied"], WHY)


async def test_one_that_is_overtaken_can_only_be_discarded(stage: Stage) -> None:
    doubted = await stage.send(stage.harbour, stage.now - 3 * HOUR, *players())
    doubted = await stage.send(stage.harbour, stage.now - 2 * HOUR, row("u0", 1_001))
    await stage.send(stage.harbour, stage.now - HOUR, *players(lower=1))
    here = f"/console/affiliates/snapshots/{doubted.id}/decide"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = (await noor.get(here)).text
        refused = await send(noor, here, decision="apply", reason=WHY)
        done = await send(noor, here, decision="discard", reason=WHY)
        listed = (await noor.get("/console/affiliates/snapshots?programme=harbour&status=discarded")).text

    assert ("Apply it" in page, "It can only be discarded." in page) == (False, True)
    assert (refused.status_code, WHY in refused.text) == (409, True)
    assert done.status_code == 303
    assert len(table(listed, "Snapshots, the newest first")) == 1


async def test_bytes_that_are_gone_are_said_to_be_gone(stage: Stage) -> None:
    kept = await stage.send(stage.harbour, stage.now - 30 * MINUTE, *players(lower=2))
    doubted = await stage.send(stage.harbour, stage.now - 20 * MINUTE, row("u0", 1_002))
    storage: Storage = stage.console.wiring.storage
    async with stage.console.begin() as tx:
        for one in (kept, doubted):
            await storage.delete((await affiliates.stored_payload(tx, snapshot_id=one.id)).storage_key)
    here = f"/console/affiliates/snapshots/{doubted.id}"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        page = await noor.get(here)
        compared = await noor.get(f"{here}/compare?with={kept.id}")
        raw = await noor.get(f"/api/v1/console/affiliates/snapshots/{doubted.id}/raw")
        applied = await send(noor, f"{here}/decide", decision="apply", reason=WHY)
        discarded = await send(noor, f"{here}/decide", decision="discard", reason=WHY)

    assert (page.status_code, "Its bytes are gone" in page.text) == (200, True)
    assert (compared.status_code, "They cannot be compared" in compared.text) == (200, True)
    assert (raw.status_code, raw.json()["code"]) == (410, "affiliates.payload_gone")
    assert (applied.status_code, discarded.status_code) == (410, 303)


async def test_who_may_only_look_sees_no_act_and_can_do_none(stage: Stage) -> None:
    feed, row_id = f"/console/affiliates/feeds/{stage.feed}", await any_row(stage)
    acts = [f"{feed}/{act}" for act in ("fetch", "test", "reset", "remove", "edit")]
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as noor:
        pages = [
            (await noor.get(page)).text
            for page in (feed, f"{feed}/mapping", f"/console/affiliates/quarantine/{row_id}")
        ]
        offered = [re.findall(r'<form method="post"', page.partition("<main")[2]) for page in pages]
        looked = [(await noor.get(act)).status_code for act in acts]
        done = [(await noor.post(act, data={"reason": WHY})).status_code for act in [*acts, f"{feed}/mapping"]]
        decided = await noor.post(
            f"/console/affiliates/quarantine/{row_id}", data={"decision": "dismiss", "reason": WHY}
        )

    assert offered == [[], [], []]
    assert (looked, done, decided.status_code) == ([403] * 5, [403] * 6, 403)


async def any_row(stage: Stage) -> UUID:
    async with stage.console.begin() as tx:
        found: UUID = await db.value(tx, "select id from affiliates.quarantine order by id limit 1")
        return found


async def test_a_house_without_feeds_says_what_will_stand_there(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ("feeds", "snapshots", "quarantine", "anomalies")
    async with (
        manned(cluster, f"palio_nofeeds_{worker_id}", tmp_path_factory.mktemp("data")) as console,
        console.talk(console.staff(console.noor)) as noor,
    ):
        pages = [(await noor.get(f"/console/affiliates/{name}")).text for name in names]
    said = ["No programme yet", "No list has come yet", "Nothing waits", "Nothing is odd"]
    assert [one in page for one, page in zip(said, pages, strict=True)] == [True] * 4


async def test_a_programme_is_made_and_paused_by_its_forms(stage: Stage) -> None:
    """What is missing is said where it is missing; an old version changes nothing; whoever may only look sees them."""
    pages = "/console/affiliates/programmes"
    new = {"code": "quayside", "name": "Quayside", "currency": "EUR", "coverage": "full", "reason": WHY}
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:
        nameless = await send(noor, f"{pages}/new", **{**new, "name": ""})
        made = await send(noor, f"{pages}/new", **new)
        twice = await send(noor, f"{pages}/new", **new)
        shown = (await noor.get(f"{pages}/quayside")).text
        said = {"name": "Quayside", "status": "paused", "link_url": "https://quay.example/join", "reason": WHY}
        wrong = await send(noor, f"{pages}/quayside", **{**said, "site_hosts": "quay.example https://not-a-host"})
        paused = await send(noor, f"{pages}/quayside", **{**said, "site_hosts": "quay.example www.quay.example"})
        old = form_of(shown, f"{pages}/quayside") | {"idempotency_key": "another-try"}
        stale = await noor.post(f"{pages}/quayside", data={**old, **said, "status": "active", "site_hosts": ""})
        nowhere = await noor.get(f"{pages}/no-such-one")
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as reader:
        page = (await reader.get(pages)).text
        denied = await reader.get(f"{pages}/new")

    assert (nameless.status_code, 'value="quayside"' in nameless.text) == (422, True)
    assert (made.status_code, twice.status_code, 'role="alert"' in twice.text) == (303, 409, True)
    assert (wrong.status_code, 'aria-invalid="true"' in wrong.text, paused.status_code) == (422, True, 303)
    assert (stale.status_code, nowhere.status_code, denied.status_code) == (412, 404, 403)
    line = next(cells for cells in table(page, "Programmes, the default one first") if "quayside" in cells[0])
    assert line[1:4] == ["paused", "EUR", "quay.example, www.quay.example"]
    assert f"{pages}/quayside" not in page
    (act,) = await acts_of(stage.console, "programme.change")
    assert (act.changes["status"], act.reason) == (["active", "paused"], WHY)


async def test_a_list_is_handed_in_as_a_file(stage: Stage) -> None:
    """It is judged like any other; what is none is refused and said so, and one from before the last is too late."""
    async with stage.console.begin() as tx:
        await affiliates.ensure_programme(tx, code="pierside")
        (feed,) = [one for one in await affiliates.feeds(tx) if one.programme == "pierside"]
    path = f"/console/affiliates/feeds/{feed.id}/upload"
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=ALL)) as noor:

        async def hand_in(content: bytes, fetched_at: str) -> httpx2.Response:
            fields = form_of((await noor.get(path)).text, path) | {"fetched_at": fetched_at, "reason": WHY}
            return await noor.post(path, data=fields, files={"file": ("list.json", content, "application/json")})

        taken = await hand_in(b'[{"uid": "h1", "name": "Reed", "all_time": 7.5}]', "2025-03-26T20:00")
        late = await hand_in(b'[{"uid": "h1", "name": "Reed", "all_time": 8}]', "2025-03-26T19:00")
        broken = await hand_in(b'[{"uid": "h1"', "2025-03-26T21:00")
        page = words((await noor.get(taken.headers["location"])).text)
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as reader:
        denied = await reader.get(path)

    assert (taken.status_code, "applied" in page, "Reed" in page) == (303, True, True)
    assert (late.status_code, 'role="alert"' in late.text, denied.status_code) == (409, True, 403)
    assert (broken.status_code, 'value="2025-03-26T21:00"' in broken.text) == (422, True)
    act = (await acts_of(stage.console, "feed.upload"))[0]
    assert (act.actor_id, act.reason) == (stage.console.noor, WHY)


async def test_a_list_that_is_looked_at_page_by_page_is_read_once(stage: Stage) -> None:
    """The bytes of the second look are not even opened; of very many rows the lists looked at last are remembered."""
    async with stage.console.talk(stage.console.staff(stage.console.noor, permissions=READER)) as noor:
        await noor.get(f"/console/affiliates/snapshots/{stage.first.id}?limit=2")
    async with stage.console.begin() as tx:
        again = await service.parsed_snapshot(tx, snapshot_id=stage.first.id, body=b"not a list")
    assert len(again.readings) == len(players())

    looked, ids = previews.Looked(), [SnapshotId(new_id()) for _ in range(3)]
    large = replace(again, readings=dict.fromkeys(map(str, range(120_000)), next(iter(again.readings.values()))))
    for snapshot_id in ids[:2]:
        looked.keep(snapshot_id, again)
    assert looked.find(ids[0])
    looked.keep(ids[2], large)
    assert [looked.find(snapshot_id) is not None for snapshot_id in ids] == [True, True, True]
    looked.keep(ids[1], large)
    assert [looked.find(snapshot_id) is not None for snapshot_id in ids] == [False, True, False]
