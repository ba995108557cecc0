"""What holds while others act: lists are read whole, and of two who change what both have seen one does."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from palio.infra import db
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console

ROWS, PAGE, PER_SECOND = 10_000, 200, 100
KEY = "/api/v1/console/settings/affiliates.stale_after_s"
ACTS = """insert into infra.audit_rows (actor_kind, actor_id, action, entity_type, entity_id, reason, request_id, via)
    select 'staff', %s, 'thing.do', 'crowd', %s || n, '', gen_random_uuid(), 'web' from generate_series(1, %s) as n"""


AT_ONE_INSTANT = """
    with new (by, kind, at, many, begun) as (values (%s::uuid, %s::text, %s::timestamptz, %s::int, %s::timestamptz))
    insert into infra.audit_rows (actor_kind, actor_id, action, entity_type, entity_id, reason, request_id, via, at)
    select 'staff', by, 'thing.do', kind, kind || ' ' || n, '', gen_random_uuid(), 'web', at
    from new, generate_series(1, many) as n
    union all
    select 'staff', by, 'thing.do', kind, kind || case when at = begun then ' +' else ' late ' end || n, '',
      gen_random_uuid(), 'web', at + n * interval '1 microsecond'
    from new, generate_series(1, 5) as n"""


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


@pytest.mark.parametrize("order", ["-at", "at"])
@pytest.mark.parametrize("limit", [1, 7, 20])
async def test_rows_of_one_instant_are_each_met_once_both_ways(console: Console, limit: int, order: str) -> None:
    """Fifty of one transaction and five that lie a microsecond apart, while another one comes on the way."""
    kind, now = f"crowd-{new_id().hex[-12:]}", clock.now()
    async with console.begin() as tx:
        await db.run(tx, AT_ONE_INSTANT, console.noor, kind, now, 50, now)
    asked = {"since": (now - timedelta(days=1)).isoformat(), "until": (now + timedelta(days=1)).isoformat()}
    asked |= {"entity_type": kind, "limit": str(limit), "sort": order}
    async with console.talk(console.staff(console.noor)) as noor:

        async def part(cursor: str | None) -> tuple[list[str], str | None, str | None]:
            answer = await noor.get("/api/v1/console/audit", params=asked | ({"cursor": cursor} if cursor else {}))
            told = answer.json()
            return [row["entity_id"] for row in told["items"]], told["next"], told["prev"]

        there, following, before = await part(None)
        async with console.begin() as tx:
            await db.run(tx, AT_ONE_INSTANT, console.noor, f"{kind}", now + timedelta(hours=1), 0, now)
        while following:
            found, following, before = await part(following)
            there += found
        last = found
        back = [*last]
        while before:
            found, _, before = await part(before)
            back = found + back

    old = [f"{kind} {n}" for n in range(1, 51)] + [f"{kind} +{n}" for n in range(1, 6)]
    assert sorted(name for name in there if name in old) == sorted(old)
    assert [name for name in back if name in old] == [name for name in there if name in old]
    assert len(there) == len(set(there)) and len(back) == len(set(back))
