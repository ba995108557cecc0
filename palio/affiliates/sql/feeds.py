"""Feeds that are read by themselves, and whose numbers have become too old."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.errors import NoFeedToPull, NoSuchFeed
from palio.affiliates.types import (
    PULL_FEED,
    Breaker,
    FeedHealth,
    FeedId,
    FeedState,
    NewFeed,
    ProgrammeId,
    PullFeed,
    PushFeed,
)
from palio.infra import db
from palio.infra.db import Tx

PULLED = """
    select id, programme_id, url, auth_kind, secret, interval_s, timeout_s, max_attempts, max_bytes, next_due, breaker,
      failed_cycles, opened_at, probe_at
    from affiliates.feeds where kind = 'pull' and enabled """


async def find_pull_feed(tx: Tx, programme_id: ProgrammeId) -> PullFeed | None:
    """The feed of the programme that is read by itself."""
    return await db.find(tx, PullFeed, PULLED + "and programme_id = %s", programme_id)


async def find_switched_off(tx: Tx, programme_id: ProgrammeId) -> FeedId | None:
    """The feed of the programme that would be read by itself if staff had not switched it off."""
    statement = "select id from affiliates.feeds where programme_id = %s and name = %s and not enabled"
    found: FeedId | None = await db.value(tx, statement, programme_id, PULL_FEED)
    return found


async def get_pull_feed(tx: Tx, programme_id: ProgrammeId, code: str) -> PullFeed:
    """The feed of the programme that is read by itself. Refuses with NoFeedToPull."""
    found = await find_pull_feed(tx, programme_id)
    if found is None:
        raise NoFeedToPull(programme=code)
    return found


async def lock_pull_feed(tx: Tx, feed_id: FeedId) -> PullFeed:
    """The feed, ours until the transaction ends. Refuses with NoSuchFeed."""
    found = await db.find(tx, PullFeed, PULLED + "and id = %s for update", feed_id)
    if found is None:
        raise NoSuchFeed(feed_id=feed_id)
    return found


async def lock_due_feeds(tx: Tx, now: datetime, limit: int) -> list[PullFeed]:
    """Feeds whose instant has come, ours until the transaction ends."""
    return await db.rows(
        tx,
        PullFeed,
        PULLED
        + """and next_due <= %s and exists (
            select from affiliates.programmes p where p.id = programme_id and p.status = 'active')
          order by id limit %s for update skip locked""",
        now,
        limit,
    )


async def insert_pull_feed(
    tx: Tx,
    feed_id: FeedId,
    programme_id: ProgrammeId,
    new: NewFeed,
    limits: tuple[int, int, int, int],
    next_due: datetime,
) -> None:
    """A feed that is read by itself, as yet without its key; `limits` are interval, timeout, attempts and bytes."""
    await db.run(
        tx,
        """
        insert into affiliates.feeds (id, programme_id, name, kind, url, auth_kind, coverage, interval_s, timeout_s,
          max_attempts, max_bytes, next_due)
        values (%s, %s, %s, 'pull', %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(feed_id, programme_id, PULL_FEED, new.url, new.auth_kind, new.coverage, *limits, next_due),
    )


async def update_pull_feed(tx: Tx, feed_id: FeedId, new: NewFeed, interval_s: int, next_due: datetime) -> None:
    """The feed is read from elsewhere, or differently, and nothing is held against it."""
    await db.run(
        tx,
        """
        update affiliates.feeds set url = %s, auth_kind = %s, coverage = %s, interval_s = %s, next_due = %s,
          breaker = 'closed', failed_cycles = 0, opened_at = null, probe_at = null where id = %s""",
        *(new.url, new.auth_kind, new.coverage, interval_s, next_due, feed_id),
    )


async def update_secret(tx: Tx, feed_id: FeedId, sealed: bytes | None, secret_hint: str | None) -> None:
    """The key of the feed, sealed."""
    await db.run(
        tx, "update affiliates.feeds set secret = %s, secret_hint = %s where id = %s", sealed, secret_hint, feed_id
    )


async def update_next_due(tx: Tx, feed_id: FeedId, next_due: datetime) -> None:
    """When the feed is read next."""
    await db.run(tx, "update affiliates.feeds set next_due = %s where id = %s", next_due, feed_id)


async def update_breaker(tx: Tx, feed_id: FeedId, breaker: Breaker) -> None:
    """Whether the feed is left alone."""
    await db.run(
        tx,
        """
        update affiliates.feeds set breaker = %s, failed_cycles = %s, opened_at = %s, probe_at = %s where id = %s""",
        *(breaker.state, breaker.failed_cycles, breaker.opened_at, breaker.probe_at, feed_id),
    )


async def list_feeds(tx: Tx, limit: int) -> list[FeedState]:
    """Every feed with how its last cycle ended, by programme and name."""
    return await db.rows(
        tx,
        FeedState,
        """
        select f.id, p.code as programme, f.name, f.kind, substring(f.url from '//([^/?#]*)') as host, f.auth_kind,
          f.secret_hint, f.coverage, f.interval_s, f.enabled, f.breaker, f.failed_cycles, f.probe_at, f.next_due,
          p.last_as_of as as_of, c.due_at as last_due_at, c.state as last_state, c.error_code as last_error
        from affiliates.feeds f join affiliates.programmes p on p.id = f.programme_id
          left join lateral (select due_at, state, error_code from affiliates.cycles
            where feed_id = f.id order by due_at desc limit 1) c on true
        order by p.code, f.name limit %s""",
        limit,
    )


async def find_push_feed(tx: Tx, programme_id: ProgrammeId) -> PushFeed | None:
    """The feed by which the provider of the programme sends by itself."""
    statement = "select id, secret from affiliates.feeds where kind = 'push' and enabled and programme_id = %s"
    return await db.find(tx, PushFeed, statement, programme_id)


async def get_push_feed(tx: Tx, feed_id: FeedId) -> PushFeed | None:
    """The same by its id; None if there is none."""
    statement = "select id, secret from affiliates.feeds where kind = 'push' and enabled and id = %s"
    return await db.find(tx, PushFeed, statement, feed_id)


async def insert_push_feed(tx: Tx, feed_id: FeedId, programme_id: ProgrammeId, bytes_max: int) -> None:
    """A feed whose provider sends by itself, as yet without a secret."""
    await db.run(
        tx,
        "insert into affiliates.feeds (id, programme_id, name, kind, max_bytes) values (%s, %s, 'push', 'push', %s)",
        *(feed_id, programme_id, bytes_max),
    )


async def insert_push(tx: Tx, feed_id: FeedId, event_key: str, now: datetime) -> bool:
    """Note that something was sent; False if it was before."""
    statement = """
        insert into affiliates.pushes (feed_id, event_key, received_at) values (%s, %s, %s)
        on conflict do nothing returning true"""
    return bool(await db.value(tx, statement, feed_id, event_key, now))


async def delete_pushes(tx: Tx, feed_id: FeedId, before: datetime) -> None:
    """Forget what was sent so long ago that nobody sends it again."""
    await db.run(tx, "delete from affiliates.pushes where feed_id = %s and received_at < %s", feed_id, before)


async def list_health(tx: Tx, oldest: datetime, limit: int) -> list[FeedHealth]:
    """Programmes that are read or told, with how many players the last snapshot says there are, by code.

    A complete list that does not say it says it by its length. `oldest` is the oldest `as_of` that counts as fresh.
    """
    return await db.rows(
        tx,
        FeedHealth,
        """
        select p.code as programme, p.last_as_of as as_of, coalesce(p.last_as_of < %s, true) as is_stale,
          coalesce(s.total_users, case when s.complete then s.rows_total end) as players
        from affiliates.programmes p left join affiliates.snapshots s on s.id = p.last_snapshot_id
        where p.status = 'active' and exists (
          select from affiliates.feeds f where f.programme_id = p.id and f.enabled and f.kind <> 'upload')
        order by p.code limit %s""",
        *(oldest, limit),
    )


async def update_stale(
    tx: Tx, now: datetime, oldest: datetime
) -> Sequence[tuple[ProgrammeId, str, int, datetime, bool]]:
    """Note which programmes that are read by themselves became too old or fresh again.

    Of each: id, code, number of its last snapshot, as of when, whether stale.
    `oldest` is the oldest `as_of` that counts as fresh.
    """
    cursor = await tx.execute(
        """
        update affiliates.programmes p set stale_since = case when p.last_as_of < %s then %s::timestamptz end
        where (p.stale_since is null) = (p.last_as_of < %s) and exists (
          select from affiliates.feeds f where f.programme_id = p.id and f.enabled and f.kind <> 'upload')
        returning p.id, p.code, p.seq, p.last_as_of, p.stale_since is not null""",
        (oldest, now, oldest),
    )
    return await cursor.fetchall()
