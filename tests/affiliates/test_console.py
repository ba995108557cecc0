"""Staff over the API: programmes, feeds, mappings, uploads, and what is decided about doubted snapshots and rows."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from palio import affiliates
from palio.affiliates import console
from palio.affiliates.types import NewFeed
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, jobs, partitions
from palio.infra.db import Database, Equipment
from palio.infra.keyring import load_or_make
from palio.infra.storage import Storage
from palio.kernel.ids import new_id
from palio.ui.values import instant
from tests.factories.affiliates import body, row
from tests.races.desk import app
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import NOW, OURS, STELLA, caller
from tests.ui.repeats import sent

ALL = "affiliates.read affiliates.feeds.edit affiliates.snapshots.decide"
WHY = {"reason": "the provider has told us so"}


@dataclass
class Desk:
    """Staff before the calls of feeds."""

    client: httpx2.AsyncClient
    database: Database

    async def ask(
        self, method: str, path: str, body: object = None, *, seen: int | None = None, permissions: str = ALL
    ) -> httpx2.Response:
        headers = {**caller("staff", STELLA, permissions=permissions), **OURS, "idempotency-key": str(new_id())}
        headers |= {"if-match": f'"{seen}"'} if seen is not None else {}
        address = f"/api/v1/console/affiliates{path}"
        return await sent(self.client, method, address, headers=headers, json=body)

    async def get(self, path: str) -> httpx2.Response:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object, **more: object) -> httpx2.Response:
        return await self.ask("POST", path, body, **more)  # type: ignore[arg-type]

    async def audited(self, action: str) -> list[dict[str, object]]:
        async with self.database.begin(SYSTEM) as tx:
            return await db.column(
                tx,
                "select changes from infra.audit_rows where action = %s and actor_id = %s order by id",
                action,
                STELLA,
            )

    async def programme(self) -> tuple[str, str]:
        """The code of a new programme, and its upload feed."""
        code = f"p{new_id().hex[-12:]}"
        made = await self.post("/programmes", {"code": code, "name": "Northwind", **WHY})
        assert made.status_code == 201, made.text
        (feed,) = [feed for feed in (await self.get("/feeds")).json()["items"] if feed["programme"] == code]
        return code, feed["id"]

    async def upload(self, feed: str, content: bytes, at: datetime) -> httpx2.Response:
        return await self.post(f"/feeds/{feed}/upload", {"fetched_at": instant(at), "content": content.decode(), **WHY})


@pytest.fixture
async def staff(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    """Over a process that has storage and keys."""
    equipped = Database(
        database.pool.conninfo,
        equipment=Equipment(
            jobs.addresses(SUBSCRIPTIONS),
            keyring=load_or_make(tmp_path / "keyring.json"),
            storage=Storage(tmp_path / "files"),
            is_simulated=True,
        ),
    )
    await equipped.pool.open(wait=True)
    async with equipped.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "affiliates.stats", NOW)
    async with talk_to(app(equipped, [console.routes])) as client:
        yield Desk(client, equipped)
    await equipped.pool.close()


async def test_a_programme_is_made_and_changed_by_whoever_saw_it(staff: Desk) -> None:
    code, _ = await staff.programme()
    again = await staff.post("/programmes", {"code": code, "name": "Other", **WHY})
    assert (again.status_code, again.json()["code"]) == (409, "affiliates.programme_exists")
    (card,) = [one for one in (await staff.get("/programmes")).json()["items"] if one["code"] == code]
    body = {"status": "paused", "site_hosts": ["northwind.example"], **WHY}
    changed = await staff.ask("PATCH", f"/programmes/{code}", body, seen=card["version"])
    assert (changed.status_code, changed.json()["status"]) == (200, "paused")
    stale = await staff.ask("PATCH", f"/programmes/{code}", body, seen=card["version"])
    assert (stale.status_code, stale.headers["etag"]) == (412, f'"{card["version"] + 1}"')
    assert (await staff.audited("programme.change"))[-1] == {
        "status": ["active", "paused"],
        "site_hosts": [[], ["northwind.example"]],
    }


async def test_a_feed_keeps_its_key_to_itself(staff: Desk) -> None:
    """In no answer and no audit row: only how it ends."""
    code, _ = await staff.programme()
    given = {"programme": code, "url": "http://127.0.0.1:9/feed", "auth_kind": "bearer", "key": "s3cr3t-XYZ"}
    made = await staff.post("/feeds", {**given, **WHY})
    assert (made.status_code, made.json()["key_ends_with"], made.json()["host"]) == (201, "-XYZ", "127.0.0.1:9")
    twice = await staff.post("/feeds", {**given, **WHY})
    assert twice.json()["code"] == "affiliates.feed_exists"
    feed = made.json()["id"]
    change = {"interval_s": 300, "key": "an0ther-s3cr3t-ABC", **WHY}
    changed = await staff.ask("PATCH", f"/feeds/{feed}", change, seen=made.json()["version"])
    assert (changed.json()["interval_s"], changed.json()["key_ends_with"]) == (300, "-ABC")
    stale = await staff.ask("PATCH", f"/feeds/{feed}", change, seen=made.json()["version"])
    assert stale.json()["code"] == "version_mismatch"
    rows = [*await staff.audited("feed.add"), *await staff.audited("feed.change")]
    assert "s3cr3t" not in json.dumps([made.json(), changed.json(), rows])
    assert rows[-1] == {"interval_s": [900, 300], "secret": ["•", "•"]}

    gone = await staff.ask("DELETE", f"/feeds/{feed}", WHY, seen=changed.json()["version"])
    assert (gone.json()["enabled"], gone.json()["key_ends_with"]) == (False, None)
    assert (await staff.post("/feeds", {**given, **WHY})).status_code == 201


async def test_a_feed_that_is_switched_off_stays_the_feed_of_its_programme(staff: Desk) -> None:
    """Nobody connects another one beside it, and what the environment says does not switch it on again."""
    code, _ = await staff.programme()
    given = {"programme": code, "url": "http://127.0.0.1:9/feed", **WHY}
    made = (await staff.post("/feeds", given)).json()
    off = await staff.ask("PATCH", f"/feeds/{made['id']}", {"enabled": False, **WHY}, seen=made["version"])
    again = await staff.post("/feeds", given)
    async with staff.database.begin(SYSTEM) as tx:
        kept = await affiliates.ensure_feed(tx, code=code, new=NewFeed("http://127.0.0.1:9/other"), now=NOW)
    still = (await staff.get(f"/feeds/{made['id']}")).json()
    assert off.json()["enabled"] is False
    assert (again.status_code, again.json()["code"]) == (409, "affiliates.feed_off")
    assert (str(kept), still["enabled"], still["version"]) == (made["id"], False, off.json()["version"])


async def test_a_feed_is_fetched_by_a_job_and_its_breaker_closed_by_hand(staff: Desk) -> None:
    code, upload = await staff.programme()
    made = await staff.post("/feeds", {"programme": code, "url": "http://127.0.0.1:9/feed", **WHY})
    feed = made.json()["id"]
    fetched = await staff.post(f"/feeds/{feed}/fetch", WHY)
    assert (fetched.status_code, fetched.json()["trigger"]) == (202, "manual")
    async with staff.database.begin(SYSTEM) as tx:
        statement = "update affiliates.feeds set breaker = 'open', failed_cycles = 5, opened_at = %s where id = %s"
        await db.run(tx, statement, NOW, feed)
    assert (await staff.post(f"/feeds/{feed}/fetch", WHY)).json()["trigger"] == "probe"
    assert (await staff.post(f"/feeds/{feed}/breaker/reset", WHY)).json()["breaker"] == "closed"
    assert (await staff.audited("feed.breaker_reset"))[-1] == {"breaker": ["open", "closed"], "failed_cycles": [5, 0]}
    files = await staff.post(f"/feeds/{upload}/fetch", WHY)
    assert files.json()["code"] == "affiliates.no_pull_feed"


async def test_mappings_are_versions_and_go_back_by_a_new_one(staff: Desk) -> None:
    _, feed = await staff.programme()
    first = await staff.post(f"/feeds/{feed}/mappings", {"mapping": {"page": "p", "total_pages": "m.pages"}, **WHY})
    second = await staff.post(f"/feeds/{feed}/mappings", {"mapping": {"total_users": "m.players"}, **WHY})
    back = await staff.post(f"/feeds/{feed}/mappings/1/revert", WHY)
    assert [answer.json() for answer in (first, second, back)] == [{"version": 1}, {"version": 2}, {"version": 3}]
    found = (await staff.get(f"/feeds/{feed}/mappings")).json()["items"]
    assert [each["version"] for each in found] == [3, 2, 1]
    assert found[0]["mapping"] == found[2]["mapping"] != found[1]["mapping"]
    wrong = await staff.post(f"/feeds/{feed}/mappings", {"mapping": {"no_such_field": "x"}, **WHY})
    unknown = await staff.post(f"/feeds/{feed}/mappings/9/revert", WHY)
    assert [wrong.json()["code"], unknown.json()["code"]] == ["affiliates.bad_mapping", "affiliates.mapping_unknown"]


async def test_a_suspicious_snapshot_is_applied_or_discarded_once(staff: Desk) -> None:
    """A list of half the players waits: one is applied as it is, the next put aside; the bytes can be had."""
    code, feed = await staff.programme()
    whole = [row(f"u{n}", 100 + n) for n in range(10)]
    first = await staff.upload(feed, body(*whole), NOW - timedelta(hours=2))
    assert (first.status_code, first.json()["status"], first.json()["seq"]) == (201, "applied", 1)
    part = body(*whole[:4])
    doubted = (await staff.upload(feed, part, NOW - timedelta(hours=1))).json()
    assert doubted["status"] == "suspicious"
    listed = (await staff.get(f"/snapshots?programme={code}&status=suspicious")).json()["items"]
    assert [(each["id"], each["doubt"]) for each in listed] == [(doubted["id"], "shrink")]

    raw = await staff.get(f"/snapshots/{doubted['id']}/raw")
    assert raw.content == part
    assert (await staff.audited("snapshot.download"))[-1]["bytes"] == [None, len(part)]
    applied = await staff.post(f"/snapshots/{doubted['id']}/apply", WHY)
    assert (applied.json()["status"], applied.json()["seq"]) == ("applied", 2)
    again = await staff.post(f"/snapshots/{doubted['id']}/discard", WHY)
    assert (again.status_code, again.json()["code"]) == (409, "affiliates.already_decided")

    less = (await staff.upload(feed, body(whole[0]), NOW)).json()
    assert (await staff.post(f"/snapshots/{less['id']}/discard", WHY)).json()["status"] == "discarded"
    assert (await staff.audited("snapshot.discard"))[-1]["status"] == ["suspicious", "discarded"]
    newest, *_ = (await staff.get(f"/snapshots?programme={code}&limit=1")).json()["items"]
    assert newest["id"] == less["id"]


async def test_a_held_row_is_believed_or_dismissed_and_oddities_are_listed(staff: Desk) -> None:
    code, feed = await staff.programme()
    await staff.upload(feed, body(row("ann", 100), row("bob", 100), row("cid", "many")), NOW - timedelta(hours=2))
    await staff.upload(feed, body(row("ann", 900_000), row("bob", 90), row("cid", "many")), NOW - timedelta(hours=1))
    rows = (await staff.get(f"/quarantine?programme={code}")).json()["items"]
    jump = next(each for each in rows if each["problem"] == "jump")
    unreadable = next(each for each in rows if each["problem"] == "bad_number")
    refused = await staff.post(f"/quarantine/{unreadable['id']}/release", WHY)
    assert (refused.status_code, refused.json()["code"]) == (409, "affiliates.not_releasable")
    assert (await staff.post(f"/quarantine/{jump['id']}/release", WHY)).json()["seq"] == 3
    assert (await staff.post(f"/quarantine/{unreadable['id']}/dismiss", WHY)).json()["state"] == "dismissed"
    codes = {each["code"] for each in (await staff.get(f"/anomalies?programme={code}")).json()["items"]}
    assert codes >= {"correction", "jump_confirmed"}


async def test_a_file_that_is_older_or_no_list_is_refused_and_the_audit_knows_who_sent_it(staff: Desk) -> None:
    _, feed = await staff.programme()
    await staff.upload(feed, body(row("ann", 100)), NOW)
    old = await staff.upload(feed, body(row("ann", 101)), NOW - timedelta(hours=1))
    broken = await staff.upload(feed, b"<html>", NOW + timedelta(hours=1))
    assert [answer.json()["code"] for answer in (old, broken)] == ["affiliates.out_of_order", "affiliates.bad_json"]
    assert (await staff.audited("feed.upload"))[-1]["bytes"] == [None, 6]


async def test_who_may_only_look_changes_nothing(staff: Desk) -> None:
    _, feed = await staff.programme()
    refused = await staff.post(f"/feeds/{feed}/mappings", {"mapping": {}, **WHY}, permissions="affiliates.read")
    assert (refused.status_code, refused.json()["facts"]) == (403, {"permission": "affiliates.feeds.edit"})
    assert (await staff.get(f"/feeds/{feed}/mappings")).json()["items"] == []
