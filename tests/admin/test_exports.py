"""Exports over HTTP: what was there when they began, as a file for whoever asked, once by each link."""

import asyncio
import csv
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape
from uuid import UUID

import httpx2
import pytest

from palio.admin.service import AUDIT_EXPORT
from palio.infra import audit, db, operations, relay
from palio.infra.db import Tx
from palio.infra.messages import KeepOperations, RunOperation
from palio.kernel import clock
from palio.kernel.errors import Gone
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.providers import ExportAsk, ExportColumn, ExportKey, ExportRow, ExportSource
from tests.admin.house import Console, acts_of, form_of
from tests.conftest import PATIENCE_S

CALL, PAGE = "/api/v1/console/exports", "/console/exports"
WHY = "the auditor asked for it"
SINCE, UNTIL = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)
WINDOW = {"since": SINCE.isoformat(), "until": UNTIL.isoformat()}
PLAIN = [column.name for column in AUDIT_EXPORT.columns if not column.is_personal]


def wish(thing: str, **more: object) -> dict[str, object]:
    return {"resource": "audit", "filter": WINDOW | {"entity_type": thing}, "reason": WHY} | more


@pytest.fixture
async def staff(console: Console) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all of it."""
    async with console.talk(console.staff(console.noor)) as staff:
        yield staff


@pytest.fixture
def thing() -> str:
    """A kind of thing that only this test does something to."""
    return f"thing_{new_id().hex}"


async def act(tx: Tx, thing: str, reason: str) -> None:
    await audit.record(
        tx, actor=tx.actor, action="thing.do", entity_type=thing, entity_id="1", changes={}, reason=reason
    )


async def done(console: Console, thing: str, count: int) -> None:
    """So many acts, by the hand of noor."""
    async with console.begin(console.noor) as tx:
        for n in range(count):
            await act(tx, thing, f"act {n}")


async def run(console: Console, operation_id: str) -> None:
    await operations.run(console.wiring.database, RunOperation(UUID(operation_id)))


@dataclass
class Numbers:
    """Something to export whose rows are numbers; `before` is done before so manieth time that some are read."""

    count: int
    before: dict[int, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    reads: int = 0

    async def _count(self, _tx: Tx, _ask: ExportAsk, at_most: int) -> int:
        return min(self.count, at_most)

    async def _rows(self, _tx: Tx, _ask: ExportAsk, behind: ExportKey | None, limit: int) -> list[ExportRow]:
        self.reads += 1
        if call := self.before.get(self.reads):
            await call()
        first = int(behind[0]) + 1 if behind else 1
        return [ExportRow((n,), {"n": n, "name": f"Nr {n}"}) for n in range(first, self.count + 1)][:limit]

    @property
    def source(self) -> ExportSource[Tx]:
        columns = (ExportColumn("n"), ExportColumn("name", is_personal=True))
        return ExportSource("numbers", "Numbers", "/", "admin.audit.export", columns, (), bool, self._count, self._rows)


@asynccontextmanager
async def offering(console: Console, numbers: Numbers) -> AsyncIterator[None]:
    """The console has them beside what it has."""
    database = console.wiring.database
    before = database.equipment
    database.equipment = replace(before, exports={**before.exports, "numbers": numbers.source})
    yield
    database.equipment = before


def numbers_wish(**more: object) -> dict[str, object]:
    return {"resource": "numbers", "filter": {}, "reason": WHY} | more


async def exported(console: Console, staff: httpx2.AsyncClient, asked: dict[str, object]) -> dict:
    """An export that is asked for and made."""
    started = await staff.post(CALL, json=asked)
    assert started.status_code == 202, started.text
    await run(console, started.json()["id"])
    return (await staff.get(started.headers["location"])).json()


async def fetched(staff: httpx2.AsyncClient, operation_id: str) -> httpx2.Response:
    link = (await staff.post(f"{CALL}/{operation_id}/link")).json()
    return await staff.get(link["url"])


async def test_an_export_holds_what_was_there_with_its_digest(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    """It tells how far it is, the audit how many rows left the house, and the file is what the digest says."""
    await done(console, thing, 3)
    started = await staff.post(CALL, json=wish(thing))
    assert started.status_code == 202, started.text
    location = started.headers["location"]
    waiting = await staff.get(location)
    await run(console, started.json()["id"])
    ready = await staff.get(location)
    file = await fetched(staff, started.json()["id"])

    assert (waiting.json()["state"], waiting.json()["total"], waiting.headers["etag"]) == ("queued", None, '"1"')
    assert waiting.headers["etag"] != ready.headers["etag"]
    told = ready.json()
    assert (told["state"], told["done"], told["total"], told["has_file"]) == ("done", 3, 3, True)
    assert told["sha256"] == hashlib.sha256(file.content).hexdigest() and told["size_bytes"] == len(file.content)
    rows = list(csv.DictReader(io.StringIO(file.text, newline="")))
    assert [row["reason"] for row in rows] == ["act 0", "act 1", "act 2"]
    assert list(rows[0]) == PLAIN and file.text.endswith("\r\n")
    assert file.headers["content-disposition"].startswith('attachment; filename="audit-')
    (act,) = [act for act in await acts_of(console, "export.ready") if act.entity_id == told["id"]]
    assert (act.changes["rows"], act.actor_id, act.reason, act.via) == ([None, 3], console.noor, WHY, "job")


async def test_a_read_that_is_known_already_answers_304(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    started = await staff.post(CALL, json=wish(thing))
    location = started.headers["location"]
    assert (await staff.get(location, headers={"If-None-Match": started.headers["etag"]})).status_code == 304


async def test_the_same_key_asks_once(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    one = await staff.post(CALL, json=wish(thing), headers={"Idempotency-Key": thing})
    other = await staff.post(CALL, json=wish(thing), headers={"Idempotency-Key": thing})

    assert other.json() == one.json() and other.headers["idempotency-replayed"] == "true"


async def test_json_lines_are_the_objects_of_the_api_compressed_if_asked(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    await done(console, thing, 2)
    told = await exported(console, staff, wish(thing, format="jsonl", gzip=True))
    file = await fetched(staff, told["id"])
    lines = [json.loads(line) for line in gzip.decompress(file.content).splitlines()]

    listed = (await staff.get("/api/v1/console/audit", params={**WINDOW, "entity_type": thing})).json()["items"][::-1]
    assert lines == [{name: row[name] for name in PLAIN} for row in listed]
    assert {column.name for column in AUDIT_EXPORT.columns} == set(listed[0])


async def test_cells_that_a_spreadsheet_would_run_are_text(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    """Text `=1+1` and `-5` get an apostrophe; a number does not."""
    async with console.begin(console.noor) as tx:
        await act(tx, thing, "=1+1")
        await act(tx, thing, "-5")
    told = await exported(console, staff, wish(thing, fields=["id", "reason"]))
    rows = list(csv.reader(io.StringIO((await fetched(staff, told["id"])).text, newline="")))

    assert [row[1] for row in rows] == ["reason", "'=1+1", "'-5"]
    assert rows[1][0].isdigit()


async def test_nothing_to_export_is_a_file_with_a_head(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    told = await exported(console, staff, wish(thing, fields=["id", "at"]))

    assert (told["done"], (await fetched(staff, told["id"])).text) == (0, "id,at\r\n")


async def test_rows_are_those_of_the_beginning(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """Neither what was written before and committed later is in it, nor what came between two of its parts."""
    await done(console, thing, 5)
    started = (await staff.post(CALL, json=wish(thing))).json()
    async with console.begin(console.noor) as late:
        await act(late, thing, "late")
        reading = asyncio.create_task(
            operations.carry_out(console.wiring.database, UUID(started["id"]), rows_at_once=1)
        )
        address = f"/api/v1/console/operations/{started['id']}"
        async with asyncio.timeout(PATIENCE_S):
            while (await staff.get(address)).json()["done"] == 0:
                pass
    await done(console, thing, 3)
    await reading
    rows = list(csv.DictReader(io.StringIO((await fetched(staff, started["id"])).text, newline="")))

    assert [row["reason"] for row in rows] == [f"act {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"resource": "secrets"}, "export.resource_unknown", "/resource"),
        ({"fields": ["id", "ip"]}, "export.field_unknown", "/fields"),
        ({"filter": WINDOW | {"ip": "::1"}}, "export.filter_unknown", "/filter"),
        ({"filter": {"since": WINDOW["since"]}}, "export.filter_invalid", "/filter"),
        ({"filter": WINDOW | {"since": "2026-03-01T00:00:00"}}, "export.filter_invalid", "/filter"),
        ({"filter": WINDOW | {"actor": "noor"}}, "export.filter_invalid", "/filter"),
        ({"filter": {"since": WINDOW["until"], "until": WINDOW["since"]}}, "admin.window_too_wide", None),
        ({"reason": "no"}, "approval.reason_missing", None),
    ],
)
async def test_only_what_is_declared_can_be_asked_for(
    console: Console, staff: httpx2.AsyncClient, thing: str, change: dict[str, object], code: str, pointer: str | None
) -> None:
    async with console.begin() as tx:
        before = await db.value(tx, "select count(*) from infra.operations")
    refused = await staff.post(CALL, json=wish(thing, **change))

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    if pointer:
        assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]
    async with console.begin() as tx:
        assert await db.value(tx, "select count(*) from infra.operations") == before


async def test_names_take_a_permission_and_leave_a_mark(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    """Without the permission they are refused; with it each row says, to us alone, whose export it left in."""
    await done(console, thing, 2)
    asked = wish(thing, fields=["id", "at", "actor"])
    allowed = "admin.export.run admin.audit.export"
    async with console.talk(console.staff(console.sana, permissions=allowed)) as sana:
        refused = await sana.post(CALL, json=asked)
    told = await exported(console, staff, asked)
    rows = list(csv.DictReader(io.StringIO((await fetched(staff, told["id"])).text, newline="")))

    assert (refused.status_code, refused.json()["facts"]) == (403, {"permission": "admin.export.personal"})
    assert list(rows[0]) == ["id", "at", "actor", "export_ref"] and rows[0]["actor"] == "Noor Haddad"
    assert rows[0]["export_ref"] != rows[1]["export_ref"]
    key = (rows[1]["at"], int(rows[1]["id"]))
    async with console.begin() as tx:
        found = await operations.whose(tx, mark=rows[1]["export_ref"], row=key)
        stranger = await operations.whose(tx, mark="0" * 20, row=key)
    assert found and (str(found.export), found.maker) == (told["id"], console.noor)
    assert stranger is None


async def test_too_many_names_are_refused(console: Console, staff: httpx2.AsyncClient) -> None:
    async with offering(console, Numbers(1_001)):
        refused = await staff.post(CALL, json=numbers_wish(fields=["n", "name"]))
        without = await staff.post(CALL, json=numbers_wish())
    async with offering(console, Numbers(1_000)):
        allowed = await staff.post(CALL, json=numbers_wish(fields=["n", "name"]))

    assert (refused.status_code, refused.json()["code"]) == (422, "export.people_too_many")
    assert (without.status_code, allowed.status_code) == (202, 202)


async def test_an_export_takes_the_permission_of_its_resource_and_a_fresh_code(console: Console, thing: str) -> None:
    async with console.talk(console.staff(console.sana, permissions="admin.export.run")) as sana:
        assert (await sana.post(CALL, json=wish(thing))).json()["facts"] == {"permission": "admin.audit.export"}
        assert (await sana.get("/api/v1/console/export-sources")).json() == {"sources": []}
    async with console.talk(console.staff(console.noor, step_up=False)) as noor:
        assert (await noor.post(CALL, json=wish(thing))).json()["code"] == "step_up_required"


async def test_nobody_else_sees_it(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """Not even staff with every permission: neither progress, nor list, nor a link, nor by the link of its owner."""
    told = await exported(console, staff, wish(thing))
    link = (await staff.post(f"{CALL}/{told['id']}/link")).json()["url"]
    async with console.talk(console.staff(console.sana)) as sana:
        for answer in (
            await sana.get(f"/api/v1/console/operations/{told['id']}"),
            await sana.post(f"/api/v1/console/operations/{told['id']}/cancel"),
            await sana.post(f"{CALL}/{told['id']}/link"),
            await sana.get(link),
        ):
            assert answer.status_code == 404
        assert told["id"] not in [one["id"] for one in (await sana.get(CALL)).json()["items"]]
    async with console.begin(console.sana) as tx:
        assert await db.value(tx, "select count(*) from infra.operations where id = %s", told["id"]) == 0
    assert (await staff.get(link)).status_code == 200  # a stranger has not used it up


async def test_a_link_counts_once_and_five_minutes(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    told = await exported(console, staff, wish(thing))
    link = (await staff.post(f"{CALL}/{told['id']}/link")).json()
    assert (await staff.get(link["url"])).status_code == 200
    again = await staff.get(link["url"], headers={"Accept": "application/json"})
    old = (await staff.post(f"{CALL}/{told['id']}/link")).json()["url"].rpartition("/")[2]
    async with console.begin(console.noor) as tx:
        with pytest.raises(Gone):
            await operations.redeem(tx, secret=old, owner=console.noor, now=clock.real() + timedelta(seconds=301))

    assert (again.status_code, again.json()["code"], link["expires_in_s"]) == (410, "link_gone", 300)
    assert (await staff.get(f"{PAGE}/files/unknown")).status_code == 404


async def test_a_race_for_one_link_has_one_winner(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """Of many who use a link at once one gets the file; looking first and marking after gives it to several."""
    told = await exported(console, staff, wish(thing))
    link = (await staff.post(f"{CALL}/{told['id']}/link")).json()["url"]
    answers = await asyncio.gather(*[staff.get(link) for _ in range(10)])
    assert sorted(answer.status_code for answer in answers) == [200, *[410] * 9]

    looked, seen = asyncio.Barrier(2), []

    async def naively() -> None:
        async with console.begin(console.noor) as tx:
            if await db.value(tx, "select used_at is null from infra.operation_links order by expires_at desc limit 1"):
                await looked.wait()
                seen.append(await db.run(tx, "update infra.operation_links set used_at = now() where used_at is null"))

    await staff.post(f"{CALL}/{told['id']}/link")
    await asyncio.gather(naively(), naively())
    assert len(seen) == 2, "both believe that the link was theirs"


async def test_what_is_stopped_goes_no_further_and_leaves_no_file(console: Console, staff: httpx2.AsyncClient) -> None:
    """Stopped between two chunks: the next one is not counted, and what was stored is removed."""
    numbers = Numbers(9)
    async with offering(console, numbers):
        started = (await staff.post(CALL, json=numbers_wish())).json()
        address = f"/api/v1/console/operations/{started['id']}"
        numbers.before[3] = lambda: staff.post(f"{address}/cancel")
        await operations.carry_out(console.wiring.database, UUID(started["id"]), rows_at_once=2)
    told = (await staff.get(address)).json()
    again = await staff.post(f"{address}/cancel")
    link = await staff.post(f"{CALL}/{started['id']}/link")

    assert (told["state"], told["done"], numbers.reads, told["has_file"]) == ("cancelled", 4, 3, False)
    assert again.status_code == 200
    assert [await console.wiring.storage.has(f"exports/{started['id']}/{n:06}") for n in range(3)] == [False] * 3
    assert (link.status_code, link.json()["code"]) == (409, "operation.not_ready")


async def test_what_is_over_cannot_be_stopped(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    told = await exported(console, staff, wish(thing))
    refused = await staff.post(f"/api/v1/console/operations/{told['id']}/cancel")

    assert (refused.status_code, refused.json()["code"]) == (409, "operation.over")


async def test_two_workers_at_one_export_make_one_file(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """Whoever finds that his part is not the next one leaves: no row is there twice."""
    await done(console, thing, 11)
    started = (await staff.post(CALL, json=wish(thing))).json()
    workers = [operations.carry_out(console.wiring.database, UUID(started["id"]), rows_at_once=2) for _ in range(4)]
    await asyncio.gather(*workers)
    file = await fetched(staff, started["id"])
    rows = list(csv.DictReader(io.StringIO(file.text, newline="")))
    told = (await staff.get(f"/api/v1/console/operations/{started['id']}")).json()

    assert [row["reason"] for row in rows] == [f"act {n}" for n in range(11)]
    assert told["sha256"] == hashlib.sha256(file.content).hexdigest()


async def test_what_fails_again_and_again_at_one_place_is_given_up(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    started = (await staff.post(CALL, json=wish(thing))).json()
    async with console.begin() as tx:
        await db.run(tx, "update infra.operations set tries = 5 where id = %s", started["id"])
    await run(console, started["id"])
    told = (await staff.get(f"/api/v1/console/operations/{started['id']}")).json()

    assert (told["state"], told["code"]) == ("failed", "export.cannot_go_on")


async def test_silent_work_is_woken_and_old_files_are_removed(
    console: Console, staff: httpx2.AsyncClient, thing: str
) -> None:
    """Seven days after its end the file of staff is gone, and says so; the row stays for a month."""
    told = await exported(console, staff, wish(thing))
    silent = (await staff.post(CALL, json=wish(thing))).json()
    async with console.begin() as tx:
        await db.run(tx, "delete from jobs.procrastinate_jobs where args ->> 'key' = %s", silent["id"])
        await db.run(
            tx,
            "update infra.operations set touched_at = touched_at - interval '3 minutes' where id = %s",
            silent["id"],
        )
        await db.run(
            tx, "update infra.operations set expires_at = now() - interval '1 second' where id = %s", told["id"]
        )
    await operations.keep(console.wiring.database, KeepOperations())

    async with console.begin() as tx:
        waiting = "select count(*) from jobs.procrastinate_jobs where args ->> 'key' = %s"
        assert await db.value(tx, waiting, silent["id"]) == 1
    assert not await console.wiring.storage.has(f"exports/{told['id']}/{0:06}")
    assert (await staff.post(f"{CALL}/{told['id']}/link")).status_code == 410
    kept = operations.STAFF_DAYS.default
    assert (kept, operations.PLAYER_HOURS.default) == (7, 24)


async def test_a_player_follows_and_stops_his_own_work(console: Console) -> None:
    """By session or token, under the address of players; others find nothing there."""
    pia, otto = await console.player(), await console.player()
    async with console.wiring.database.begin(Actor("player", pia, RequestId(new_id()))) as tx:
        mine = await operations.add(tx, kind="other", params={}, owner=pia, now=clock.now())
    address = f"/api/v1/operations/{mine.id}"
    async with console.talk(console.player_headers(otto)) as other:
        assert (await other.get(address)).status_code == 404
        assert (await other.post(f"{address}/cancel")).status_code == 404
    async with console.talk(console.player_headers(pia)) as me:
        assert (await me.get(address)).json()["state"] == "queued"
        assert (await me.post(f"{address}/cancel")).json()["state"] == "cancelled"
        assert (await me.get(address)).headers["etag"] == '"2"'


async def test_whoever_asked_is_told_live(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """On `me:operations`, which staff hear of their own in the console, and of nobody else's."""
    poll, topic = "/api/v1/console/stream/poll", {"topics": "me:operations"}
    async with console.begin() as tx:
        await relay.number(tx)
    begin = (await staff.get(poll, params=topic)).json()["next"]
    told = await exported(console, staff, wish(thing))
    async with console.begin() as tx:
        await relay.number(tx)
    heard = (await staff.get(poll, params={**topic, "after": begin})).json()["items"]
    async with console.talk(console.staff(console.sana)) as sana:
        others = (await sana.get(poll, params={**topic, "after": begin})).json()["items"]

    assert {one["type"] for one in heard} == {"operation.changed"}
    states = [one["data"]["state"] for one in heard if one["data"]["operation"] == told["id"]]
    assert (states[0], states[-1], others) == ("queued", "done", [])


async def test_the_page_asks_follows_and_fetches(console: Console, staff: httpx2.AsyncClient, thing: str) -> None:
    """From the audit by its button, with the filters it has; without script too."""
    await done(console, thing, 2)
    empty = (await staff.get(PAGE)).text
    audited = (await staff.get(f"/console/audit?entity_type={thing}")).text
    new = audited.partition(f'href="{PAGE}/new?')[2].partition('"')[0].replace("&amp;", "&")
    form = (await staff.get(f"{PAGE}/new?{new}")).text
    action = f"{PAGE}/new?resource=audit"
    hidden = {name: unescape(value) for name, value in form_of(form, action).items()}
    typed = {**hidden, "fields": "id, reason", "format": "csv", "gzip": "false"}
    refused = await staff.post(action, data={**typed, "reason": "no"})
    sent = await staff.post(action, data={**typed, "reason": WHY})
    listed = (await staff.get(CALL)).json()["items"][0]
    await run(console, listed["id"])
    page = (await staff.get(PAGE)).text
    part = await staff.get(PAGE, headers={"HX-Request": "true"})
    fetch = f"{PAGE}/{listed['id']}/download"
    gone_to = await staff.post(fetch, data=form_of(page, fetch))
    file = await staff.get(gone_to.headers["location"])

    assert "My exports" in empty and thing in form
    assert refused.status_code == 422 and "id, reason" in refused.text
    assert (sent.status_code, sent.headers["location"]) == (303, PAGE)
    assert (part.status_code, "ready" in part.text, "<html" in part.text) == (200, True, False)
    assert "ready" in page and listed["export"]["filter"]["entity_type"] == thing
    assert gone_to.status_code == 303 and file.text.startswith("id,reason\r\n")
