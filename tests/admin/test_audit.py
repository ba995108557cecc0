"""The audit browser: by window and filter, in parts, as a table that no spreadsheet runs."""

import json

from palio.admin import rules
from palio.infra import audit
from palio.kernel import clock
from tests.admin.house import Console, acts_of, form_of

CALL = "/api/v1/console/audit"


async def test_a_search_of_acts_needs_a_window(console: Console) -> None:
    async with console.talk(console.staff(console.noor)) as noor:
        nothing = await noor.get(CALL)
        wide = await noor.get(f"{CALL}?since=2025-01-01T00:00:00Z&until=2026-03-20T00:00:00Z")

    assert (nothing.status_code, nothing.json()["code"]) == (422, "validation_failed")
    assert (wide.status_code, wide.json()["code"]) == (422, "admin.window_too_wide")


async def test_acts_are_listed_in_parts_and_as_a_table(console: Console) -> None:
    async with console.begin(console.noor) as tx:
        for number in range(5):
            await audit.record(
                tx,
                actor=tx.actor,
                action="till.price",
                entity_type="till",
                entity_id=str(number),
                changes={"price": (number, None)},
                reason="=cmd|' /C calc'!A0",
            )
    now = clock.now()
    window = {"since": f"{now.year}-01-01T00:00:00Z", "until": f"{now.year + 1}-01-01T00:00:00Z", "action": "till"}
    async with console.talk(console.staff(console.sana)) as sana:
        first = (await sana.get("/api/v1/console/audit", params={**window, "limit": 2})).json()
        second = (
            await sana.get("/api/v1/console/audit", params={**window, "limit": 2, "cursor": first["next"]})
        ).json()
        newer = (
            await sana.get("/api/v1/console/audit", params={**window, "limit": 2, "cursor": second["prev"]})
        ).json()
        elsewhere = await sana.get("/api/v1/console/audit", params={**window, "action": "x", "cursor": first["next"]})
        table = (await sana.get("/api/v1/console/audit.csv", params=window)).text.splitlines()
        page = await sana.get("/console/audit", params={"actor": str(console.noor), "action": "till.price"})

    assert [one["entity_id"] for one in first["items"] + second["items"]] == ["4", "3", "2", "1"]
    assert [one["entity_id"] for one in newer["items"]] == ["4", "3"]
    assert (first["prev"], newer["prev"]) == (None, None)
    assert first["items"][0]["changes"] == "price: 4 → nothing"
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "cursor_mismatch")
    assert len(table) == 6
    assert "'=cmd|' /C calc'!A0" in table[1]
    assert (page.status_code, page.text.count("till.price</a>"), "Noor Haddad" in page.text) == (200, 5, True)


def test_times_of_a_change_are_told_as_times() -> None:
    changes = {"ends_at": ["2026-12-09 00:00:00+00:00", "2026-12-20T01:30:00.250000+01:00"], "at": [None, "2026-12-09"]}

    assert rules.told(changes) == [
        ("ends_at", "2026-12-09 00:00:00 UTC", "2026-12-20 00:30:00 UTC"),
        ("at", "nothing", "2026-12-09"),
    ]


async def test_acts_are_taken_out_as_a_file_with_a_reason_and_that_is_an_act(console: Console) -> None:
    async with console.begin(console.noor) as tx:
        for number in range(3):
            await audit.record(
                tx,
                actor=tx.actor,
                action="till.export",
                entity_type="till",
                entity_id=str(number),
                changes={},
                reason="=1+1",
            )
    page, file = "/console/audit", "/console/audit/export"
    held = "admin.audit.read admin.audit.export"
    async with console.talk(console.staff(console.sana, permissions=held)) as sana:
        shown = (await sana.get(page, params={"action": "till.export"})).text
        said = {**form_of(shown, file), "format": "csv"}
        short = await sana.post(file, data={**said, "reason": "why"})
        said = {**said, **form_of(short.text, file), "reason": "for the auditors"}
        table = await sana.post(file, data=said)
        lines = await sana.post(file, data={**said, "format": "jsonl"})
    codes = []
    for permissions, less in (("admin.audit.read", ""), (held, "test-mfa")):
        headers = console.staff(console.sana, permissions=permissions)
        headers.pop(less, None)
        async with console.talk(headers) as other:
            codes.append((await other.post(file, data=said)).status_code)

    assert (short.status_code, 'role="alert"' in short.text, codes) == (422, True, [403, 403])
    assert table.headers["content-disposition"].endswith('.csv"')
    rows = table.text.splitlines()
    assert (len(rows), rows[0].split(",")[:3], all("'=1+1" in row for row in rows[1:])) == (
        4,
        ["id", "at", "actor_kind"],
        True,
    )
    assert [json.loads(line)["entity_id"] for line in lines.text.splitlines()] == ["2", "1", "0"]
    acts = await acts_of(console, "audit.export")
    assert [(act.entity_id, act.reason, act.changes["action"]) for act in acts] == [
        ("jsonl", "for the auditors", [None, "till.export"]),
        ("csv", "for the auditors", [None, "till.export"]),
    ]
