"""Workers are killed between the parts of an export: the next one goes on, and no row is missing or there twice."""

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from palio.entry.wiring import EXPORTS
from palio.infra import operations, outbox, roles
from palio.infra.messages import RunOperation
from palio.infra.operations import ROWS_AT_ONCE, Wish
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.chaos import programs
from tests.chaos.house import House, until

ROWS, KILLS = 8 * ROWS_AT_ONCE + 123, 3
NOOR = UserId(new_id())
STAFF = Actor("staff", NOOR, RequestId(new_id()))
SYSTEM = Actor("system", None, RequestId(new_id()))
ACTS = """insert into infra.audit_rows (actor_kind, actor_id, action, entity_type, entity_id, reason, request_id, via)
    select 'staff', %s, 'thing.do', 'thing', n::text, 'act ' || n, gen_random_uuid(), 'web'
    from generate_series(1, %s) as n"""
BY_NAIVE_OFFSET = (
    "select id from infra.audit_rows where entity_type = 'thing' order by at desc, id desc offset %s limit 5"
)


async def asked(house: House, name: str) -> UUID:
    """An export of all those acts, which waits for a worker."""
    window = {"since": clock.now() - timedelta(days=1), "until": clock.now() + timedelta(days=1)}
    narrowed = {key: value.isoformat() for key, value in window.items()} | {"entity_type": "thing"}
    async with house.opened(name) as database:
        database.equipment = replace(database.equipment, exports={one.name: one for one in EXPORTS})
        async with database.begin(STAFF) as tx:
            wish = Wish("audit", narrowed, ("id", "entity_id"), "jsonl", gzip=True)
            return (await operations.start(tx, wish=wish, owner=NOOR, reason="a test", now=clock.now())).id


async def send_again(house: House, name: str, operation_id: UUID) -> None:
    """As the clock does after two minutes of silence."""
    async with house.opened(name) as database, database.begin(SYSTEM) as tx:
        await outbox.send(tx, RunOperation(operation_id))


def progress(house: House, name: str, operation_id: UUID) -> tuple[str, int, int]:
    with psycopg.connect(house.dsn(name)) as conn:
        found = conn.execute("select state, parts, done from infra.operations where id = %s", [operation_id]).fetchone()
    assert found
    return found


def stored(house: House, operation_id: UUID, parts: int) -> bytes:
    folder = Path(house.cluster.home) / "files/exports" / str(operation_id)
    return b"".join((folder / f"{part:06}").read_bytes() for part in range(parts))


async def test_an_export_survives_the_death_of_its_workers(house: House) -> None:
    """Each is killed when his part is stored and not counted yet; meanwhile others act, which does not show."""
    name = house.copy(roles.DATABASE)
    with psycopg.connect(house.dsn(name), autocommit=True) as conn:
        conn.execute(ACTS, [NOOR, ROWS])
    operation_id = await asked(house, name)
    for kill in range(KILLS):
        worker = house.start(name, programs.worker)
        wanted = 2 * kill + 1
        until(lambda wanted=wanted: progress(house, name, operation_id)[1] >= wanted, what=lambda: "a part")
        with house.hold(name, "infra.operations") as caught:
            caught(worker)
            worker.kill()
        house.settle_down(name)
        state, parts, _ = progress(house, name, operation_id)
        assert state == "running" and wanted <= parts <= 8, "killed between two parts"
        with psycopg.connect(house.dsn(name), autocommit=True) as conn:
            conn.execute(ACTS, [NOOR, 100])
        await send_again(house, name, operation_id)

    worker = house.start(name, programs.worker)
    until(lambda: progress(house, name, operation_id)[0] == "done", what=lambda: f"the end\n{worker.errors}")
    worker.kill()
    house.settle_down(name)

    _, parts, done = progress(house, name, operation_id)
    content = stored(house, operation_id, parts)
    rows = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    ids = [row["id"] for row in rows]
    with psycopg.connect(house.dsn(name)) as conn:
        [(digest, told)] = conn.execute(
            """select sha256, (select (changes -> 'rows' ->> 1)::int from infra.audit_rows
              where action = 'export.ready' and entity_id = o.id::text) from infra.operations o where id = %s""",
            [operation_id],
        ).fetchall()
    assert [int(row["entity_id"]) for row in rows] == list(range(1, ROWS + 1))
    assert ids == sorted(set(ids))
    assert (done, told, digest) == (ROWS, ROWS, hashlib.sha256(content).digest())


def test_pages_by_number_would_repeat_rows(house: House) -> None:
    """What the keys are for: by counting from the newest, rows come again as soon as somebody acts."""
    name = house.copy(roles.DATABASE)
    with psycopg.connect(house.dsn(name), autocommit=True) as conn:
        conn.execute(ACTS, [NOOR, 20])
        first = conn.execute(BY_NAIVE_OFFSET, [0]).fetchall()
        conn.execute(ACTS, [NOOR, 2])
        second = conn.execute(BY_NAIVE_OFFSET, [5]).fetchall()
    assert set(first) & set(second)
