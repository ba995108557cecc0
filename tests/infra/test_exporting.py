"""What an export costs: the same memory however many rows there are."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from palio.entry.wiring import EXPORTS
from palio.infra import embedded, operations
from palio.infra.db import Database
from palio.infra.operations import Wish
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id

ALONE = Path(__file__).with_name("export_alone.py")
ROOT = Path(__file__).parents[2]
MEMORY_BYTES_MAX = 100 << 20
NOOR = UserId(new_id())
ACTS = """insert into infra.audit_rows (actor_kind, actor_id, action, entity_type, entity_id, changes, reason,
      request_id, via)
    select 'staff', %s, 'setting.change', 'setting', 'affiliates.stale_after_s', '{"value": [2700, 1800]}',
      'the provider is slower at night', gen_random_uuid(), 'web' from generate_series(1, %s) as n"""


@pytest.mark.parametrize(
    "rows", [60_000, pytest.param(1_000_000, marks=pytest.mark.nightly)], ids=lambda rows: f"{rows} rows"
)
async def test_an_export_takes_the_same_memory_however_long_it_is(
    cluster: embedded.Cluster, database_name: str, database: Database, tmp_path: Path, rows: int
) -> None:
    """At most 100 MiB more than the process had before, at 1,000,000 rows as well."""
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as admin:
        admin.execute(ACTS, [NOOR, rows])
    window = {"since": clock.now() - timedelta(days=1), "until": clock.now() + timedelta(days=1)}
    narrowed = {name: value.isoformat() for name, value in window.items()} | {"actor": str(NOOR)}
    database.equipment = replace(database.equipment, exports={one.name: one for one in EXPORTS})
    async with database.begin(Actor("staff", NOOR, RequestId(new_id()))) as tx:
        operation = await operations.start(
            tx, wish=Wish("audit", narrowed), owner=NOOR, reason="a test", now=clock.now()
        )

    command = [sys.executable, str(ALONE), cluster.dsn("palio_app", database_name), str(operation.id), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    said, _ = await process.communicate()
    told = json.loads(said.splitlines()[-1])  # below the log
    async with database.begin(Actor("staff", NOOR, RequestId(new_id()))) as tx:
        done = await operations.get_mine(tx, operation_id=operation.id, owner=NOOR)

    assert done.state == "done" and done.done >= rows
    assert told["grew_bytes"] <= MEMORY_BYTES_MAX, told
