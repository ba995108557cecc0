"""Feeds that we read by ourselves: what operators say about them, when they are due, and whose numbers are too old."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from palio.affiliates import rules, sql
from palio.affiliates.errors import FeedExists, FeedOff
from palio.affiliates.messages import FEED_STALE, FEED_UPDATED, FeedRecovered, FeedStale, FetchFeed
from palio.affiliates.service.apply import tell_boards
from palio.affiliates.service.ingest import ensure_programme, mapping_of
from palio.affiliates.types import (
    INTERVAL_S,
    MAX_ATTEMPTS,
    MAX_BYTES,
    STALE_AFTER_S,
    TIMEOUT_S,
    Asking,
    FeedHealth,
    FeedId,
    FeedState,
    NewFeed,
    ProgrammeId,
    PullFeed,
)
from palio.infra import audit, crypto, outbox, realtime, settings, targets
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import new_id

FEEDS_OF_TICK_MAX = 100
MISSED_APART = timedelta(minutes=15)  # where time is played
FEEDS_MAX = 1_000


def _secret_of(feed_id: FeedId) -> Place:
    """Where the key of a feed is sealed."""
    return Place("affiliates.feeds", "secret", feed_id, purpose="feeds")


async def add_feed(
    tx: Tx, *, code: str, new: NewFeed, now: datetime, reason: str, may_replace: bool = False, via: audit.Via = "cli"
) -> FeedId:
    """Have a programme, made if it is missing, read from an address from now on; its key is stored sealed. Audited.

    A programme has one such feed; with `may_replace` it is changed and keeps its history.
    Refuses with UrlRefused, SecretInvalid, FeedExists, FeedOff.
    """
    host = targets.target_of(new.url, may_be_inside=tx.equipment.is_simulated).host
    rules.credentials(new.auth_kind, new.secret, new.url)
    programme = await ensure_programme(tx, code=code)
    await sql.lock_codes(tx)
    old = await sql.find_pull_feed(tx, programme.id)
    if old and not may_replace:
        raise FeedExists(programme=code, host=targets.target_of(old.url, may_be_inside=True).host)
    if old is None and await sql.find_switched_off(tx, programme.id):
        raise FeedOff(programme=code)
    feed_id = old.id if old else FeedId(new_id())
    interval_s = new.interval_s or settings.value(INTERVAL_S)
    if old:
        await sql.update_pull_feed(tx, feed_id, new, interval_s, now)
    else:
        limits = (interval_s, settings.value(TIMEOUT_S), settings.value(MAX_ATTEMPTS), settings.value(MAX_BYTES))
        await sql.insert_pull_feed(tx, feed_id, programme.id, new, limits, now)
    sealed = await crypto.seal(tx, new.secret, _secret_of(feed_id)) if new.secret else None
    await sql.update_secret(tx, feed_id, sealed, rules.hint(new.secret))
    await audit.record(
        tx,
        actor=tx.actor,
        action="feed.replace" if old else "feed.add",
        entity_type="feed",
        entity_id=str(feed_id),
        changes={"host": (None, host), "auth_kind": (old and old.auth_kind, new.auth_kind)},
        reason=reason,
        via=via,
    )
    return feed_id


async def ensure_feed(tx: Tx, *, code: str, new: NewFeed, now: datetime) -> FeedId:
    """The feed of a programme as the environment describes it; nothing is written if it is that already.

    One that staff have switched off stays so. Refuses as `add_feed`.
    """
    programme = await ensure_programme(tx, code=code)
    if switched_off := await sql.find_switched_off(tx, programme.id):
        return switched_off
    old = await sql.find_pull_feed(tx, programme.id)
    if old and (old.url, old.auth_kind) == (new.url, new.auth_kind):
        secret = await crypto.open_sealed(tx, old.secret, _secret_of(old.id)) if old.secret else None
        if secret == new.secret:
            return old.id
    return await add_feed(tx, code=code, new=new, now=now, reason="PALIO_FEED_URL", may_replace=True, via="job")


async def asking(tx: Tx, *, feed: PullFeed) -> Asking:
    """How a feed is asked, its key opened. Refuses with SecretInvalid, crypto.Shredded."""
    secret = await crypto.open_sealed(tx, feed.secret, _secret_of(feed.id)) if feed.secret else None
    url, headers = rules.credentials(feed.auth_kind, secret, feed.url)
    mapping = await mapping_of(tx, feed=await sql.get_feed(tx, feed.id))
    limited = replace(feed, max_bytes=min(feed.max_bytes, settings.value(MAX_BYTES)))
    return Asking(limited, url, headers, secret, rules.paging_of(mapping))


async def set_mapping(tx: Tx, *, code: str, document: Mapping[str, object], reason: str, via: audit.Via = "cli") -> int:
    """Have the feed of a programme read by this mapping from now on; answers its version. Audited.

    Older versions stay, for what they have read. Refuses with NoSuchProgramme, NoFeedToPull, BadMapping.
    """
    feed = await sql.lock_pull_feed(tx, (await pull_feed(tx, code=code)).id)
    rules.mapping_of(document, version=1)
    before = (await sql.get_feed(tx, feed.id)).mapping_version
    version = await sql.insert_mapping(tx, feed.id, document, tx.actor.user_id, reason)
    await audit.record(
        tx,
        actor=tx.actor,
        action="feed.mapping",
        entity_type="feed",
        entity_id=str(feed.id),
        changes={"mapping_version": (before, version)},
        reason=reason,
        via=via,
    )
    return version


async def pull_feed(tx: Tx, *, code: str) -> PullFeed:
    """The feed of a programme that is read by itself. Refuses with NoSuchProgramme, NoFeedToPull."""
    programme = await sql.get_programme(tx, code)
    return await sql.get_pull_feed(tx, programme.id, code)


async def feeds(tx: Tx) -> list[FeedState]:
    """Every feed as staff see it, by programme and name."""
    return await sql.list_feeds(tx, FEEDS_MAX)


async def health(tx: Tx, *, now: datetime) -> list[FeedHealth]:
    """How fresh the numbers are of each programme that is read by itself, or told by its provider."""
    oldest = now - timedelta(seconds=settings.value(STALE_AFTER_S))
    return await sql.list_health(tx, oldest, FEEDS_MAX)


async def queue_due(tx: Tx, *, now: datetime) -> int:
    """Queue a reading for each feed whose instant has come and answer how many. What was missed is written down.

    Of several instants only the newest is read; a feed that is left alone gets a cycle that says so. Where time is
    played weeks of it pass in minutes, and missed instants of every few seconds would say nothing.
    """
    queued, apart = 0, MISSED_APART if tx.equipment.is_simulated else timedelta()
    for feed in await sql.lock_due_feeds(tx, now, FEEDS_OF_TICK_MAX):
        due = rules.due(feed.id, feed.interval_s, feed.next_due, now, missed_apart=apart)
        await sql.insert_cycles(tx, feed.id, due.missed, "schedule", "missed", now)
        await sql.update_next_due(tx, feed.id, due.following)
        trigger = rules.admitted(feed.breaker_now, now)
        if trigger is None:
            await sql.insert_cycles(tx, feed.id, [due.at], "schedule", "skipped_open", now)
            continue
        await outbox.send(tx, FetchFeed(feed.id, due.at, trigger), key=f"feed:{feed.id}")
        queued += 1
    return queued


async def watch_staleness(tx: Tx, *, now: datetime) -> None:
    """Tell once of each programme whose numbers have become too old, and once when they are fresh again.

    Programmes that are only uploaded to are nobody's fault.
    """
    oldest = now - timedelta(seconds=settings.value(STALE_AFTER_S))
    for programme_id, code, seq, as_of, is_stale in await sql.update_stale(tx, now, oldest):
        programme = ProgrammeId(programme_id)
        await outbox.send(tx, FeedStale(programme, as_of) if is_stale else FeedRecovered(programme, as_of))
        kind = FEED_STALE if is_stale else FEED_UPDATED
        realtime.publish(tx, "feed", kind, {"programme": str(programme_id), "seq": seq, "as_of": clock.text(as_of)})
        tell_boards(tx, code=code, seq=seq, as_of=as_of, changed=0)
