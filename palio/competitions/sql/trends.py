"""What ranks are compared with: the first of each list by the hour, and what players know of."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from palio.competitions.types import EntrantId, ListId, Mark, Ranked, RankPoint, Snapshot
from palio.infra import db
from palio.infra.db import Tx


async def insert_snapshots(tx: Tx, tops: Mapping[ListId, Sequence[Mapping[str, int]]], now: datetime) -> None:
    """The first of each of these lists at an instant; a repeat changes nothing."""
    await db.run(
        tx,
        """
        insert into competitions.snapshots (list_id, taken_at, top)
        select u.list_id, %s, u.top::jsonb from unnest(%s::bigint[], %s::text[]) u(list_id, top)
        order by u.list_id on conflict do nothing""",
        *(now, list(tops), [json.dumps(top) for top in tops.values()]),
    )


async def insert_final_snapshot(tx: Tx, list_id: ListId, digest: bytes, now: datetime) -> None:
    """The first hundred of a list whose standings are written, with the digest of all of them; a repeat renews it."""
    await db.run(
        tx,
        """
        insert into competitions.snapshots as s (list_id, taken_at, kind, top, digest)
        select %s, %s, 'final', coalesce(jsonb_agg(jsonb_build_object('entrant', f.entrant_id, 'rank', f.rank,
          'score', f.score) order by f.place), '[]'), %s
        from competitions.standings f where f.list_id = %s and f.place <= 100 and f.rank is not null
        on conflict (list_id, taken_at) do update set kind = excluded.kind, top = excluded.top,
          digest = excluded.digest""",
        *(list_id, now, digest, list_id),
    )


async def find_snapshot(tx: Tx, list_id: ListId) -> Snapshot | None:
    """The newest picture of a list."""
    return await db.find(
        tx,
        Snapshot,
        "select taken_at, top from competitions.snapshots where list_id = %s order by taken_at desc limit 1",
        list_id,
    )


async def list_history(tx: Tx, list_id: ListId, entrant_id: EntrantId, limit: int) -> list[RankPoint]:
    """Where somebody stood in the pictures of a list, the newest first."""
    return await db.rows(
        tx,
        RankPoint,
        """
        select s.taken_at as at, e.rank, e.score
        from competitions.snapshots s
        cross join jsonb_to_recordset(s.top) e(entrant bigint, rank int, score bigint)
        where s.list_id = %s and e.entrant = %s order by s.taken_at desc limit %s""",
        *(list_id, entrant_id, limit),
    )


async def delete_snapshots(tx: Tx, before: datetime) -> int:
    """Forget what is older; answers how many."""
    return await db.run(tx, "delete from competitions.snapshots where taken_at < %s and kind = 'hourly'", before)


async def list_earlier(
    tx: Tx, list_id: ListId, taken_until: datetime, entrant_ids: Sequence[EntrantId] | None = None
) -> list[Ranked]:
    """The ranks in the newest snapshot that was taken by then, of these entrants or of all who were among the first."""
    return await db.rows(
        tx,
        Ranked,
        """
        select e.entrant as entrant_id, e.rank
        from (select top from competitions.snapshots where list_id = %s and taken_at <= %s
          order by taken_at desc limit 1) s
        cross join jsonb_to_recordset(s.top) e(entrant bigint, rank int)
        where coalesce(e.entrant = any(%s), true)""",
        *(list_id, taken_until, None if entrant_ids is None else list(entrant_ids)),
    )


async def list_marks(tx: Tx, list_id: ListId, limit: int) -> list[Mark]:
    """What the entrants of a list know of."""
    return await db.rows(
        tx,
        Mark,
        """
        select entrant_id, rank, told_at from competitions.rank_marks where list_id = %s
        order by entrant_id limit %s""",
        *(list_id, limit),
    )


async def find_mark(tx: Tx, list_id: ListId, entrant_id: EntrantId) -> Mark | None:
    """What one of them knows of."""
    return await db.find(
        tx,
        Mark,
        "select entrant_id, rank, told_at from competitions.rank_marks where list_id = %s and entrant_id = %s",
        *(list_id, entrant_id),
    )


async def upsert_marks(tx: Tx, list_id: ListId, marks: Sequence[Mark], now: datetime) -> None:
    """What they know of from now on."""
    await db.run(
        tx,
        """
        insert into competitions.rank_marks (list_id, entrant_id, rank, at, told_at)
        select %s, u.entrant_id, u.rank, %s, u.told_at
        from unnest(%s::bigint[], %s::int[], %s::timestamptz[]) u(entrant_id, rank, told_at) order by u.entrant_id
        on conflict (list_id, entrant_id) do update set rank = excluded.rank, at = excluded.at,
          told_at = excluded.told_at""",
        *(list_id, now, [mark.entrant_id for mark in marks], [mark.rank for mark in marks]),
        [mark.told_at for mark in marks],
    )


async def delete_marks(tx: Tx) -> int:
    """Forget what concerns lists that do not change any more; answers how many."""
    return await db.run(
        tx,
        """
        delete from competitions.rank_marks m using competitions.lists l
        where l.id = m.list_id and l.state = 'final'""",
    )
