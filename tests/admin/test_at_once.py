"""What holds while others act: lists are read whole, and of two who change what both have seen one does."""

import asyncio
from datetime import timedelta

import psycopg

from palio.infra import db
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console

ROWS, PAGE, PER_SECOND = 10_000, 200, 100
KEY = "/api/v1/console/settings/affiliates.stale_after_s"
ACTS = """insert into infra.audit_rows (actor_kind, actor_id, action, entity_type, entity_id, reason, request_id, via)
    select 'staff', %s, 'thing.do', 'crowd', %s || n, '', gen_random_uuid(), 'web' from generate_series(1, %s) as n"""


async def test_a_list_is_read_whole_while_somebody_writes(console: Console) -> None:
    """10,000 rows in pages of 200 beside a writer of 100 a second: each is seen once. By offset some come twice."""
    dsn = console.wiring.addresses.app
    async with console.begin() as tx:
        await db.run(tx, ACTS, console.noor, "old ", ROWS)
    written = 0

    async def write() -> None:
        nonlocal written
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute("set palio.kind = 'system'")
            while True:
                written += 1
                await conn.execute(ACTS, (console.noor, f"new {written} ", 1))
                await asyncio.sleep(1 / PER_SECOND)

    window = {"since": clock.now() - timedelta(days=1), "until": clock.now() + timedelta(days=1)}
    asked: dict[str, object] = {name: at.isoformat() for name, at in window.items()}
    asked |= {"entity_type": "crowd", "limit": PAGE, "fields": "entity_id"}
    seen: list[str] = []
    by_offset: list[str] = []
    writer = asyncio.create_task(write())
    async with console.talk(console.staff(console.noor)) as noor:
        cursor: str | None = None
        while True:
            params = asked | ({"cursor": cursor} if cursor else {})
            answer = (await noor.get("/api/v1/console/audit", params=params)).json()
            seen += [row["entity_id"] for row in answer["items"]]
            if len(by_offset) < 10 * PAGE:
                async with console.begin() as tx:
                    by_offset += await db.column(
                        tx,
                        """select entity_id from infra.audit_rows where entity_type = 'crowd'
                        order by at desc, id desc offset %s limit %s""",
                        *(len(by_offset), PAGE),
                    )
            if (cursor := answer["next"]) is None:
                break
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)

    old = [name for name in seen if name.startswith("old ")]
    assert sorted(old) == sorted(f"old {n}" for n in range(1, ROWS + 1)) and len(seen) == len(set(seen))
    assert written > 0 and len(by_offset) > len(set(by_offset)), "pages by number repeat what was pushed on"


async def test_of_two_who_change_what_both_have_seen_one_does(console: Console) -> None:
    """Both send the tag that they have read, at the same moment: one 200, one 412 with the present tag."""
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        seen = (await noor.get(KEY)).headers["etag"]
        changes = [{"value": value, "reason": f"a trial {new_id()}"} for value in (1_801, 1_802)]
        answers = await asyncio.gather(
            noor.put(KEY, json=changes[0], headers={"if-match": seen}),
            sana.put(KEY, json=changes[1], headers={"if-match": seen}),
        )
        present = (await noor.get(KEY)).headers["etag"]

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    (refused,) = [answer for answer in answers if answer.status_code == 412]
    assert (refused.json()["code"], refused.headers["etag"]) == ("version_mismatch", present)
