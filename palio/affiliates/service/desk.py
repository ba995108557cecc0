"""What staff ask of the feeds, and change of them. Every change is audited with what was before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from palio.affiliates import rules, sql
from palio.affiliates.errors import NoFeedToPull, ProgrammeExists
from palio.affiliates.messages import FetchFeed
from palio.affiliates.service.ingest import ensure_programme
from palio.affiliates.types import (
    STALE_AFTER_S,
    AnomalyCard,
    AnomalyCode,
    Breaker,
    Coverage,
    CycleMark,
    CycleRow,
    FeedCard,
    FeedChange,
    FeedId,
    FeedLine,
    HeldCard,
    HeldReason,
    HeldRowId,
    HeldState,
    MappingRow,
    PlayerId,
    ProgrammeCard,
    ProgrammeChange,
    ProgrammeId,
    SnapshotId,
    SnapshotRow,
    SnapshotStatus,
    Trigger,
    UsersPoint,
)
from palio.infra import audit, crypto, outbox, settings, targets
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.parts import Dated, Part

CYCLES_SHOWN = 50
FEEDS_MAX = 1_000
OF_SNAPSHOT_MAX = 100
WAITING_MAX = 10_000  # nobody counts more of them one by one
CURVE, CURVE_POINTS_MAX = timedelta(days=7), 168


async def player_named(tx: Tx, *, programme_id: ProgrammeId, text: str) -> PlayerId | None:
    """The player of a programme whom staff name by his uid or by his id."""
    if found := await sql.find_uid(tx, programme_id, text):
        return found
    try:
        player_id = PlayerId(UUID(text))
    except ValueError:
        return None
    known = await sql.list_players(tx, [player_id])
    return player_id if known and known[0].programme_id == programme_id else None


# programmes


async def programme_cards(tx: Tx) -> list[ProgrammeCard]:
    """Every programme as staff change it, the default one first."""
    return await sql.list_programme_cards(tx)


async def create_programme(
    tx: Tx, *, code: str, name: str, currency: str, coverage: Coverage, reason: str
) -> ProgrammeCard:
    """Make a programme with its upload feed. Refuses with ProgrammeExists."""
    if await sql.find_programme(tx, code):
        raise ProgrammeExists(programme=code)
    await ensure_programme(tx, code=code, coverage=coverage)
    card = await sql.lock_programme_card(tx, code)
    await sql.update_programme_card(tx, replace(card, name=name, currency=currency))
    made = await sql.lock_programme_card(tx, code)
    changes = {"code": (None, code), "name": (None, name), "currency": (None, currency)}
    await _record(tx, "programme.create", "affiliates.programme", made.id, changes, reason)
    return made


async def change_programme(tx: Tx, *, code: str, change: ProgrammeChange, version: int, reason: str) -> ProgrammeCard:
    """Change what is said of a programme; paused ones are not read. Refuses with NoSuchProgramme, Stale."""
    card = await sql.lock_programme_card(tx, code)
    if card.version != version:
        raise Stale(version=card.version)
    after = replace(
        card,
        name=change.name or card.name,
        status=change.status or card.status,
        link_url=card.link_url if change.link_url is None else change.link_url,
        site_hosts=card.site_hosts if change.site_hosts is None else tuple(change.site_hosts),
    )
    await sql.update_programme_card(tx, after)
    names = ("name", "status", "link_url", "site_hosts")
    await _record(tx, "programme.change", "affiliates.programme", card.id, _changes(card, after, names), reason)
    return await sql.lock_programme_card(tx, code)


# feeds


async def feed_lines(tx: Tx, *, now: datetime) -> list[FeedLine]:
    """Every feed with its last cycles, by programme and name."""
    states = await sql.list_feeds(tx, FEEDS_MAX)
    marks: dict[FeedId, list[CycleMark]] = {state.id: [] for state in states}
    for mark in await sql.list_cycle_marks(tx, list(marks), CYCLES_SHOWN):
        marks[mark.feed_id].append(mark)
    oldest = now - timedelta(seconds=settings.value(STALE_AFTER_S))
    return [FeedLine(state, state.as_of is None or state.as_of < oldest, marks[state.id]) for state in states]


async def feed_card(tx: Tx, *, feed_id: FeedId) -> FeedCard:
    """A feed as staff change it. Refuses with NoSuchFeed."""
    return await sql.get_feed_card(tx, feed_id)


async def feed_cards(tx: Tx, *, feed_ids: Sequence[FeedId]) -> list[FeedCard]:
    """Feeds as staff change them, in the order of their ids here; one that is gone is left out."""
    found = {card.id: card for card in await sql.list_feed_cards(tx, feed_ids)}
    return [found[feed_id] for feed_id in feed_ids if feed_id in found]


async def pulled_card(tx: Tx, *, feed_id: FeedId) -> FeedCard:
    """The feed, if it is one that is read by itself. Refuses with NoSuchFeed, NoFeedToPull."""
    card = await sql.get_feed_card(tx, feed_id)
    if card.kind != "pull" or not card.enabled:
        raise NoFeedToPull(programme=card.programme)
    return card


async def change_feed(tx: Tx, *, feed_id: FeedId, change: FeedChange, version: int, reason: str) -> FeedCard:
    """Change how a feed is read. A new address or key is tried as a new feed would be.

    Refuses with NoSuchFeed, NoFeedToPull, Stale, UrlRefused, SecretInvalid.
    """
    card = await _lock(tx, feed_id, version)
    if card.kind != "pull" and (change.url or change.auth_kind or change.secret):
        raise NoFeedToPull(programme=card.programme)
    url = change.url or await sql.find_url(tx, feed_id) or ""
    auth_kind = change.auth_kind or card.auth_kind
    host = card.host
    if change.url:
        host = targets.target_of(change.url, may_be_inside=tx.equipment.is_simulated).host
    if change.secret or change.auth_kind:
        rules.credentials(auth_kind, change.secret, url)
        sealed = await crypto.seal(tx, change.secret, _secret_of(feed_id)) if change.secret else None
        await sql.update_secret(tx, feed_id, sealed, rules.hint(change.secret))
    after = replace(
        card,
        host=host,
        auth_kind=auth_kind,
        coverage=change.coverage or card.coverage,
        interval_s=change.interval_s or card.interval_s,
        timeout_s=change.timeout_s or card.timeout_s,
        max_attempts=change.max_attempts or card.max_attempts,
        max_bytes=change.max_bytes or card.max_bytes,
        enabled=card.enabled if change.enabled is None else change.enabled,
    )
    await sql.update_feed_card(tx, after, change.url)
    names = ("host", "auth_kind", "coverage", "interval_s", "timeout_s", "max_attempts", "max_bytes", "enabled")
    changes = _changes(card, after, names)
    if change.secret:
        changes["secret"] = (audit.SEALED, audit.SEALED)
    await _record(tx, "feed.change", "feed", feed_id, changes, reason)
    return await sql.get_feed_card(tx, feed_id)


async def remove_feed(tx: Tx, *, feed_id: FeedId, version: int, reason: str) -> FeedCard:
    """Read a feed no more, for good; its history stays, and the programme may have another. The upload feed stays.

    Refuses with NoSuchFeed, NoFeedToPull, Stale.
    """
    card = await _lock(tx, feed_id, version)
    if card.kind == "upload":
        raise NoFeedToPull(programme=card.programme)
    retired = replace(card, enabled=False, name=f"{card.kind}-{feed_id.hex[-12:]}")
    await sql.update_feed_card(tx, retired, None)
    await sql.update_secret(tx, feed_id, None, None)
    await _record(tx, "feed.remove", "feed", feed_id, _changes(card, retired, ("enabled", "name")), reason)
    return await sql.get_feed_card(tx, feed_id)


async def fetch_now(tx: Tx, *, feed_id: FeedId, reason: str, now: datetime) -> Trigger:
    """Have a feed read by a job at once: as a probe if it is left alone. Refuses with NoSuchFeed, NoFeedToPull."""
    card = await sql.lock_feed_card(tx, feed_id)
    if card.kind != "pull" or not card.enabled:
        raise NoFeedToPull(programme=card.programme)
    trigger: Trigger = "manual" if card.breaker == "closed" else "probe"
    await outbox.send(tx, FetchFeed(feed_id, now, trigger), key=f"feed:{feed_id}")
    await _record(tx, "feed.fetch", "feed", feed_id, {"trigger": (None, trigger)}, reason)
    return trigger


async def reset_breaker(tx: Tx, *, feed_id: FeedId, reason: str) -> FeedCard:
    """Forget what is held against a feed: it is read again when it is due. Refuses with NoSuchFeed."""
    card = await sql.lock_feed_card(tx, feed_id)
    await sql.update_breaker(tx, feed_id, Breaker())
    changes = {"breaker": (card.breaker, "closed"), "failed_cycles": (card.failed_cycles, 0)}
    await _record(tx, "feed.breaker_reset", "feed", feed_id, changes, reason)
    return await sql.get_feed_card(tx, feed_id)


async def cycles(tx: Tx, *, feed_id: FeedId, limit: int = CYCLES_SHOWN) -> list[CycleRow]:
    """The newest cycles of a feed, newest first. Refuses with NoSuchFeed."""
    await sql.get_feed(tx, feed_id)
    return await sql.list_cycles(tx, feed_id, limit)


async def mappings(tx: Tx, *, feed_id: FeedId) -> list[MappingRow]:
    """Every version of how a feed is read, newest first. Refuses with NoSuchFeed."""
    await sql.get_feed(tx, feed_id)
    return await sql.list_mappings(tx, feed_id)


async def map_feed(
    tx: Tx, *, feed_id: FeedId, document: Mapping[str, object], reason: str, seen: int | None = None
) -> int:
    """Have a feed read by this mapping from now on; answers its version. `seen` is the mapping that it is to replace.

    Refuses with NoSuchFeed, Stale when another one holds by now, BadMapping.
    """
    card = await sql.lock_feed_card(tx, feed_id)
    if seen is not None and card.mapping_version != seen:
        raise Stale(version=card.mapping_version)
    rules.mapping_of(document, version=1)
    version = await sql.insert_mapping(tx, feed_id, document, tx.actor.user_id, reason)
    await _record(tx, "feed.mapping", "feed", feed_id, {"mapping_version": (card.mapping_version, version)}, reason)
    return version


async def revert_mapping(tx: Tx, *, feed_id: FeedId, version: int, reason: str, seen: int | None = None) -> int:
    """Have a feed read as it was: a new version with the old content; version 0 is the built-in reading.

    Refuses with NoSuchFeed, NoSuchMapping, and with Stale as `map_feed` does.
    """
    await sql.get_feed(tx, feed_id)
    document = await sql.get_mapping(tx, feed_id, version) if version else {}
    return await map_feed(tx, feed_id=feed_id, document=document, reason=reason, seen=seen)


async def users_curve(tx: Tx, *, programme: str, now: datetime) -> list[UsersPoint]:
    """How many players a programme had, hour by hour over a week, oldest first. Refuses with NoSuchProgramme."""
    found = await sql.get_programme(tx, programme)
    return (await sql.list_users(tx, found.id, now - CURVE, CURVE_POINTS_MAX))[::-1]


# snapshots


async def snapshot_rows(
    tx: Tx,
    *,
    programme: str | None,
    statuses: Sequence[SnapshotStatus],
    part: Part[UUID],
) -> list[SnapshotRow]:
    """A part of the snapshots, newest first. Refuses with NoSuchProgramme."""
    found = await sql.get_programme(tx, programme) if programme else None
    return await sql.list_snapshot_rows(tx, found.id if found else None, statuses, part)


async def snapshot_row(tx: Tx, *, snapshot_id: SnapshotId) -> SnapshotRow:
    """A snapshot with everything about it. Refuses with NoSuchSnapshot."""
    return await sql.get_snapshot_row(tx, snapshot_id)


async def note_download(tx: Tx, *, snapshot_id: SnapshotId) -> None:
    """Write down that somebody took the raw bytes of a snapshot. Refuses with NoSuchSnapshot."""
    row = await sql.get_snapshot_row(tx, snapshot_id)
    changes = {"sha256": (None, row.sha256.hex()), "bytes": (None, row.size)}
    await _record(tx, "snapshot.download", "affiliates.snapshot", snapshot_id, changes, "")


async def note_upload(tx: Tx, *, feed_id: FeedId, sha256: bytes, size: int, fetched_at: datetime, reason: str) -> None:
    """Write down that somebody hands in a file. Refuses with NoSuchFeed."""
    await sql.get_feed(tx, feed_id)
    changes = {"sha256": (None, sha256.hex()), "bytes": (None, size), "fetched_at": (None, fetched_at)}
    await _record(tx, "feed.upload", "feed", feed_id, changes, reason)


async def suspicious_waiting(tx: Tx) -> tuple[int, datetime | None]:
    """How many snapshots wait for a decision, and since when the oldest does."""
    return await sql.count_suspicious(tx, WAITING_MAX)


# what is not believed, and what is odd


async def held_cards(
    tx: Tx,
    *,
    programme: str | None,
    reason: HeldReason | None,
    state: HeldState | None,
    part: Part[UUID],
) -> list[HeldCard]:
    """A part of the rows that were not believed, newest first. Refuses with NoSuchProgramme."""
    found = await sql.get_programme(tx, programme) if programme else None
    return await sql.list_held_cards(tx, found.id if found else None, reason, state, part)


async def held_card(tx: Tx, *, row_id: HeldRowId) -> HeldCard:
    """A row that was not believed. Refuses with NoSuchRow."""
    return await sql.get_held_card(tx, row_id)


async def held_waiting(tx: Tx) -> tuple[int, datetime | None]:
    """How many rows wait for a decision, and since when the oldest does."""
    return await sql.count_held(tx, WAITING_MAX)


async def anomaly_cards(
    tx: Tx,
    *,
    programme: str | None,
    code: AnomalyCode | None,
    since: datetime | None = None,
    until: datetime | None = None,
    part: Part[Dated],
) -> list[AnomalyCard]:
    """A part of what was believed but is odd, newest first. Refuses with NoSuchProgramme."""
    found = await sql.get_programme(tx, programme) if programme else None
    return await sql.list_anomaly_cards(tx, found.id if found else None, code, since, until, part)


async def oddities_of(tx: Tx, *, snapshot: SnapshotRow) -> tuple[list[AnomalyCard], list[HeldCard]]:
    """What became odd with a snapshot, and which of its rows were not believed; at most a hundred of each."""
    anomalies = await sql.list_anomalies_of(tx, snapshot.id, snapshot.fetched_at, OF_SNAPSHOT_MAX)
    return anomalies, await sql.list_held_of(tx, snapshot.id, OF_SNAPSHOT_MAX)


def _secret_of(feed_id: FeedId) -> Place:
    return Place("affiliates.feeds", "secret", feed_id, purpose="feeds")


async def _lock(tx: Tx, feed_id: FeedId, version: int) -> FeedCard:
    """The feed as it was seen. Refuses with NoSuchFeed, Stale, and NoFeedToPull for one that was removed for good."""
    card = await sql.lock_feed_card(tx, feed_id)
    if card.is_retired:
        raise NoFeedToPull(programme=card.programme)
    if card.version != version:
        raise Stale(version=card.version)
    return card


def _changes(
    before: FeedCard | ProgrammeCard, after: FeedCard | ProgrammeCard, names: Sequence[str]
) -> dict[str, tuple[object, object]]:
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def _record(
    tx: Tx, action: str, kind: str, entity_id: UUID, changes: Mapping[str, tuple[object, object]], reason: str
) -> None:
    await audit.record(
        tx, actor=tx.actor, action=action, entity_type=kind, entity_id=str(entity_id), changes=changes, reason=reason
    )
