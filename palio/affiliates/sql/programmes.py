"""Programmes, their feeds, and the cycles in which these are read."""

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from palio.affiliates.errors import NoSuchFeed, NoSuchMapping, NoSuchProgramme
from palio.affiliates.types import (
    CycleState,
    Feed,
    FeedId,
    Programme,
    ProgrammeId,
    ProgrammeStatus,
    Snapshot,
    SnapshotId,
    Trigger,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import new_id


async def lock_codes(tx: Tx) -> None:
    """Let nobody else make a programme until the transaction ends."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('affiliates.programmes', 0))")


async def lock_applying(tx: Tx, programme_id: ProgrammeId) -> None:
    """Let nobody else apply a snapshot to the programme until the transaction ends."""
    await db.run(
        tx, "select pg_advisory_xact_lock(hashtextextended('affiliates.apply:' || %s::text, 0))", programme_id.hex
    )


async def stay(tx: Tx) -> None:
    """Say something, so that the server does not take us for dead."""
    await db.run(tx, "select 1")


async def find_programme(tx: Tx, code: str) -> Programme | None:
    """The programme of a code, with the feed that uploads go to."""
    return await db.find(
        tx,
        Programme,
        """
        select p.id, p.code, p.name, p.currency, p.status, p.seq, p.last_snapshot_id, f.id as upload_feed_id
        from affiliates.programmes p join affiliates.feeds f on f.programme_id = p.id and f.name = 'upload'
        where p.code = %s""",
        code,
    )


async def get_programme(tx: Tx, code: str) -> Programme:
    """The programme of a code. Refuses with NoSuchProgramme."""
    found = await find_programme(tx, code)
    if found is None:
        raise NoSuchProgramme(programme=code)
    return found


async def insert_programme(tx: Tx, programme_id: ProgrammeId, code: str) -> None:
    """A programme; the first one is the default."""
    await db.run(
        tx,
        """
        insert into affiliates.programmes (id, code, name, is_default)
        select %s, %s, initcap(replace(%s, '-', ' ')),
          not exists (select from affiliates.programmes where is_default)""",
        *(programme_id, code, code),
    )


async def insert_upload_feed(tx: Tx, feed_id: FeedId, programme_id: ProgrammeId, coverage: str, max_bytes: int) -> None:
    """The feed that files are uploaded to."""
    await db.run(
        tx,
        """
        insert into affiliates.feeds (id, programme_id, name, kind, coverage, max_bytes)
        values (%s, %s, 'upload', 'upload', %s, %s)""",
        *(feed_id, programme_id, coverage, max_bytes),
    )


async def get_feed(tx: Tx, feed_id: FeedId) -> Feed:
    """The feed. Refuses with NoSuchFeed."""
    statement = (
        "select id, programme_id, name, kind, coverage, mapping_version, max_bytes from affiliates.feeds where id = %s"
    )
    found = await db.find(tx, Feed, statement, feed_id)
    if found is None:
        raise NoSuchFeed(feed_id=feed_id)
    return found


async def get_mapping(tx: Tx, feed_id: FeedId, version: int) -> dict[str, object]:
    """What an operator wrote as this version of a feed's mapping. Refuses with NoSuchMapping."""
    statement = "select mapping from affiliates.feed_mappings where feed_id = %s and version = %s"
    found: dict[str, object] | None = await db.value(tx, statement, feed_id, version)
    if found is None:
        raise NoSuchMapping(feed_id=feed_id, version=version)
    return found


async def insert_mapping(
    tx: Tx, feed_id: FeedId, mapping: Mapping[str, object], created_by: UUID | None, note: str
) -> int:
    """The feed is read by this mapping from now on; answers its version."""
    written = json.dumps(mapping)
    version: int = await db.value(
        tx,
        """
        insert into affiliates.feed_mappings (feed_id, version, mapping, sha256, created_by, note)
        select %s, coalesce(max(version), 0) + 1, %s::jsonb, sha256(convert_to(%s::jsonb::text, 'utf8')), %s, %s
        from affiliates.feed_mappings where feed_id = %s
        returning version""",
        *(feed_id, written, written, created_by, note, feed_id),
    )
    await db.run(tx, "update affiliates.feeds set mapping_version = %s where id = %s", version, feed_id)
    return version


async def get_status(tx: Tx, programme_id: ProgrammeId, stale_after_s: int) -> ProgrammeStatus:
    """How far the programme has been read. Refuses with NoSuchProgramme."""
    found = await db.find(
        tx,
        ProgrammeStatus,
        """
        select p.id, p.code, p.name, p.currency, p.status, p.seq, p.first_as_of, p.last_as_of as as_of,
          s.fetched_at as last_fetched_at, p.last_snapshot_id, make_interval(secs => %s::int) as stale_after
        from affiliates.programmes p left join affiliates.snapshots s on s.id = p.last_snapshot_id
        where p.id = %s""",
        *(stale_after_s, programme_id),
    )
    if found is None:
        raise NoSuchProgramme(programme=programme_id)
    return found


async def update_programme(tx: Tx, snapshot: Snapshot) -> str:
    """The programme, whose code is answered, has one more applied snapshot."""
    code: str = await db.value(
        tx,
        """
        update affiliates.programmes set seq = %s, last_as_of = %s, last_snapshot_id = %s,
          first_as_of = coalesce(first_as_of, %s) where id = %s returning code""",
        *(snapshot.seq, snapshot.as_of, snapshot.id, snapshot.as_of, snapshot.programme_id),
    )
    return code


async def upsert_cycle(
    tx: Tx,
    feed_id: FeedId,
    due_at: datetime,
    trigger: Trigger,
    at: datetime,
    *,
    state: CycleState,
    error_code: str | None = None,
    snapshot_id: SnapshotId | None = None,
) -> UUID:
    """Note how a cycle ended and answer its id; one that is tried again keeps its row.

    What is sent to us is one attempt each time; the exchanges of what we read by ourselves have been counted.
    """
    found: UUID = await db.value(
        tx,
        """
        insert into affiliates.cycles as c
          (id, feed_id, due_at, trigger, state, attempts, error_code, snapshot_id, started_at, ended_at)
        values (%s, %s, %s, %s, %s, 1, %s, %s, %s, %s)
        on conflict (feed_id, due_at, trigger) do update set state = excluded.state,
          attempts = c.attempts + (c.trigger in ('push', 'upload'))::int, error_code = excluded.error_code,
          snapshot_id = excluded.snapshot_id, ended_at = excluded.ended_at
        returning c.id""",
        *(new_id(), feed_id, due_at, trigger, state, error_code, snapshot_id, at, at),
    )
    return found
