"""The API of staff over programmes, feeds and snapshots. Every act leaves an audit row."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio.affiliates import doors, service
from palio.affiliates.console.schemas import (
    ANOMALY_EXAMPLE,
    CONTRAST_EXAMPLE,
    CYCLE_EXAMPLE,
    FEED_EXAMPLE,
    MAPPING_EXAMPLE,
    PROGRAMME_EXAMPLE,
    QUARANTINE_EXAMPLE,
    SNAPSHOT_EXAMPLE,
    TRIAL_EXAMPLE,
    UPLOAD_BYTES_MAX,
    VERDICT_EXAMPLE,
    AnomalyAnswer,
    AnomalyKind,
    Code,
    ContrastAnswer,
    CycleAnswer,
    CyclesAnswer,
    FeedAnswer,
    FeedBody,
    FeedChangeBody,
    FeedsAnswer,
    FetchAnswer,
    HeldAs,
    HeldFor,
    MappedAnswer,
    MappingAnswer,
    MappingBody,
    MappingsAnswer,
    ProgrammeBody,
    ProgrammeChangeBody,
    QuarantineAnswer,
    ReasonBody,
    SnapshotAnswer,
    StaffProgrammeAnswer,
    StaffProgrammesAnswer,
    TrialAnswer,
    UploadBody,
    VerdictAnswer,
    Version,
)
from palio.affiliates.errors import (
    AlreadyDecided,
    BadContentType,
    BadEncoding,
    BadJson,
    BadMapping,
    BodyTooLarge,
    FeedExists,
    FeedOff,
    NoFeedToPull,
    NoSuchFeed,
    NoSuchMapping,
    NoSuchProgramme,
    NoSuchRow,
    NoSuchSnapshot,
    NotReleasable,
    OutOfOrder,
    PayloadGone,
    ProgrammeExists,
    SecretInvalid,
    ShapeUnknown,
    UpstreamRefused,
)
from palio.affiliates.types import (
    AnomalyCard,
    AnomalyCode,
    FeedId,
    HeldCard,
    HeldReason,
    HeldRowId,
    HeldState,
    Snapshot,
    SnapshotId,
    SnapshotRow,
    SnapshotStatus,
)
from palio.infra import files
from palio.infra.db import Database, Tx
from palio.infra.targets import UrlRefused
from palio.ui import versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, PagedByAt, PagedById, Paging, Part, dated, numbered
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes
from palio.ui.versions import Seen

READ, FEEDS, SNAPSHOTS = "affiliates.read", "affiliates.feeds.edit", "affiliates.snapshots.decide"
EVER = Span()
At: TypeAlias = Annotated[Span, Depends(of_times("at"))]
Statuses: TypeAlias = Annotated[list[SnapshotStatus], Depends(of_words("status", get_args(SnapshotStatus)))]
OF_BODIES = (BadContentType, BadEncoding, BadJson, ShapeUnknown, UpstreamRefused, BodyTooLarge)
BASE = "/console/affiliates"
routes = Routes("affiliates")

Programme = Annotated[str | None, Query(max_length=64, description="Code of a programme; all of them without it")]
Other = Annotated[UUID, Query(alias="with", description="The snapshot to compare with, usually the older one")]


class Bytes(Response):
    """Bytes as they came."""

    media_type = "application/octet-stream"


@routes.get(f"{BASE}/programmes", access=READ, example=StaffProgrammesAnswer((PROGRAMME_EXAMPLE,)))
async def list_staff_programmes(tx: InTx) -> StaffProgrammesAnswer:
    """List the programmes as staff change them, the default one first."""
    return StaffProgrammesAnswer(tuple(map(StaffProgrammeAnswer.of, await service.programme_cards(tx))))


@routes.post(f"{BASE}/programmes", access=FEEDS, example=PROGRAMME_EXAMPLE, refuses=[ProgrammeExists], status=201)
async def create_programme(body: ProgrammeBody, tx: InTx, response: Response) -> StaffProgrammeAnswer:
    """Make a programme with its upload feed."""
    made = await service.create_programme(
        tx, code=body.code, name=body.name, currency=body.currency, coverage=body.coverage, reason=body.reason
    )
    versions.tell(response, made.version)
    return StaffProgrammeAnswer.of(made)


@routes.patch(f"{BASE}/programmes/{{code}}", access=FEEDS, example=PROGRAMME_EXAMPLE, refuses=[NoSuchProgramme])
async def change_programme(
    code: Code, body: ProgrammeChangeBody, seen: Seen, tx: InTx, response: Response
) -> StaffProgrammeAnswer:
    """Change what is said of a programme, or pause it."""
    changed = await service.change_programme(tx, code=code, change=body.change(), version=seen, reason=body.reason)
    versions.tell(response, changed.version)
    return StaffProgrammeAnswer.of(changed)


@routes.get(f"{BASE}/feeds", access=READ, example=FeedsAnswer((FEED_EXAMPLE,)))
async def list_feeds(tx: InTx) -> FeedsAnswer:
    """List the feeds, by programme and name."""
    cards = await service.feed_cards(tx, feed_ids=[state.id for state in await service.feeds(tx)])
    return FeedsAnswer(tuple(map(FeedAnswer.of, cards)))


@routes.post(
    f"{BASE}/feeds",
    access=FEEDS,
    example=FEED_EXAMPLE,
    refuses=[NoSuchProgramme, UrlRefused, SecretInvalid, FeedExists, FeedOff],
    status=201,
)
async def add_feed(body: FeedBody, ask: Ask, tx: InTx, response: Response) -> FeedAnswer:
    """Have a programme read from an address from now on; its key is stored sealed."""
    await service.programme(tx, code=body.programme)
    feed_id = await service.add_feed(
        tx, code=body.programme, new=body.new(), now=ask.now, reason=body.reason, via="web"
    )
    card = await service.feed_card(tx, feed_id=feed_id)
    response.headers["Location"] = f"/api/v1{BASE}/feeds/{feed_id}"
    versions.tell(response, card.version)
    return FeedAnswer.of(card)


@routes.get(f"{BASE}/feeds/{{feed_id:uuid}}", access=READ, example=FEED_EXAMPLE, refuses=[NoSuchFeed])
async def get_feed(feed_id: UUID, tx: InTx, response: Response) -> FeedAnswer:
    """Read a feed, with the version that changes name."""
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    versions.tell(response, card.version)
    return FeedAnswer.of(card)


@routes.patch(
    f"{BASE}/feeds/{{feed_id:uuid}}",
    access=FEEDS,
    example=FEED_EXAMPLE,
    refuses=[NoSuchFeed, NoFeedToPull, UrlRefused, SecretInvalid],
)
async def change_feed(feed_id: UUID, body: FeedChangeBody, seen: Seen, tx: InTx, response: Response) -> FeedAnswer:
    """Change how a feed is read."""
    card = await service.change_feed(
        tx, feed_id=FeedId(feed_id), change=body.change(), version=seen, reason=body.reason
    )
    versions.tell(response, card.version)
    return FeedAnswer.of(card)


@routes.delete(f"{BASE}/feeds/{{feed_id:uuid}}", access=FEEDS, example=FEED_EXAMPLE, refuses=[NoSuchFeed, NoFeedToPull])
async def remove_feed(feed_id: UUID, body: ReasonBody, seen: Seen, tx: InTx) -> FeedAnswer:
    """Read a feed no more, for good; its history stays."""
    return FeedAnswer.of(await service.remove_feed(tx, feed_id=FeedId(feed_id), version=seen, reason=body.reason))


@routes.get(
    f"{BASE}/feeds/{{feed_id:uuid}}/cycles",
    access=READ,
    example=CyclesAnswer((CYCLE_EXAMPLE,)),
    refuses=[NoSuchFeed],
)
async def list_cycles(feed_id: UUID, tx: InTx) -> CyclesAnswer:
    """List the last fifty cycles of a feed, the newest first."""
    return CyclesAnswer(tuple(map(CycleAnswer.of, await service.cycles(tx, feed_id=FeedId(feed_id)))))


@routes.post(
    f"{BASE}/feeds/{{feed_id:uuid}}/test",
    access=FEEDS,
    example=TRIAL_EXAMPLE,
    refuses=[NoSuchFeed, NoFeedToPull, *OF_BODIES],
    idempotency="none",
    unaudited="it changes nothing",
)
async def try_feed(feed_id: UUID, request: Request, ask: Ask) -> TrialAnswer:
    """Ask a feed once, and show what would come of it without writing anything."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:  # given back before anybody is asked
        card = await service.pulled_card(tx, feed_id=FeedId(feed_id))
    return TrialAnswer.of(await doors.try_feed(database, code=card.programme))


@routes.post(
    f"{BASE}/feeds/{{feed_id:uuid}}/fetch",
    access=FEEDS,
    example=FetchAnswer(FEED_EXAMPLE.id, "manual"),
    refuses=[NoSuchFeed, NoFeedToPull],
    status=202,
)
async def fetch_feed(feed_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> FetchAnswer:
    """Have a feed read at once by a job; one that is left alone is probed."""
    trigger = await service.fetch_now(tx, feed_id=FeedId(feed_id), reason=body.reason, now=ask.now)
    return FetchAnswer(feed_id, trigger)


@routes.post(f"{BASE}/feeds/{{feed_id:uuid}}/breaker/reset", access=FEEDS, example=FEED_EXAMPLE, refuses=[NoSuchFeed])
async def reset_breaker(feed_id: UUID, body: ReasonBody, tx: InTx) -> FeedAnswer:
    """Forget what is held against a feed: it is read again when it is due."""
    return FeedAnswer.of(await service.reset_breaker(tx, feed_id=FeedId(feed_id), reason=body.reason))


@routes.get(
    f"{BASE}/feeds/{{feed_id:uuid}}/mappings",
    access=READ,
    example=MappingsAnswer((MAPPING_EXAMPLE,)),
    refuses=[NoSuchFeed],
)
async def list_mappings(feed_id: UUID, tx: InTx) -> MappingsAnswer:
    """List every version of how a feed is read, the newest first."""
    return MappingsAnswer(tuple(map(MappingAnswer.of, await service.mappings(tx, feed_id=FeedId(feed_id)))))


@routes.post(
    f"{BASE}/feeds/{{feed_id:uuid}}/mappings",
    access=FEEDS,
    example=MappedAnswer(2),
    refuses=[NoSuchFeed, BadMapping],
    status=201,
)
async def map_feed(feed_id: UUID, body: MappingBody, tx: InTx) -> MappedAnswer:
    """Have a feed read by another mapping from now on; older versions stay for what they have read."""
    version = await service.map_feed(tx, feed_id=FeedId(feed_id), document=dict(body.mapping), reason=body.reason)
    return MappedAnswer(version)


@routes.post(
    f"{BASE}/feeds/{{feed_id:uuid}}/mappings/{{version:int}}/revert",
    access=FEEDS,
    example=MappedAnswer(3),
    refuses=[NoSuchFeed, NoSuchMapping, BadMapping],
    status=201,
)
async def revert_mapping(feed_id: UUID, version: Version, body: ReasonBody, tx: InTx) -> MappedAnswer:
    """Have a feed read as it was at a version: a new version with the old content."""
    made = await service.revert_mapping(tx, feed_id=FeedId(feed_id), version=version, reason=body.reason)
    return MappedAnswer(made)


@routes.post(
    f"{BASE}/feeds/{{feed_id:uuid}}/upload",
    access=SNAPSHOTS,
    example=VERDICT_EXAMPLE,
    refuses=[NoSuchFeed, OutOfOrder, *OF_BODIES],
    idempotency="none",
    unaudited="it is written down in a transaction of its own, before the file is judged",
    body_bytes_max=UPLOAD_BYTES_MAX,
    status=201,
)
async def upload_snapshot(feed_id: UUID, body: UploadBody, request: Request, ask: Ask) -> VerdictAnswer:
    """Hand in a file: it is archived, judged and applied, or kept for a decision."""
    snapshot = await take_upload(
        request,
        ask,
        FeedId(feed_id),
        content=body.content.encode(),
        content_type=body.content_type,
        fetched_at=body.fetched_at,
        reason=body.reason,
    )
    return VerdictAnswer.of(snapshot)


@routes.get(
    f"{BASE}/snapshots",
    access=READ,
    example=Listed((SNAPSHOT_EXAMPLE,), None, None),
    refuses=[NoSuchProgramme],
)
async def list_snapshots(
    tx: InTx, page: PagedById, statuses: Statuses, programme: Programme = None
) -> Listed[SnapshotAnswer]:
    """List snapshots, whatever became of them, the newest first."""
    return (await snapshots_part(tx, page, programme, statuses)).told(SnapshotAnswer.of)


async def snapshots_part(
    tx: Tx, page: Paging, programme: str | None, statuses: Sequence[SnapshotStatus]
) -> Part[SnapshotRow]:
    """A page of snapshots."""
    part = page.wanted(numbered).and_one
    found = await service.snapshot_rows(tx, programme=programme, statuses=statuses, part=part)
    return page.part(found, lambda one: (str(one.id),))


@routes.get(f"{BASE}/snapshots/{{snapshot_id:uuid}}", access=READ, example=SNAPSHOT_EXAMPLE, refuses=[NoSuchSnapshot])
async def get_snapshot(snapshot_id: UUID, tx: InTx) -> SnapshotAnswer:
    """Read a snapshot with everything about it."""
    return SnapshotAnswer.of(await service.snapshot_row(tx, snapshot_id=SnapshotId(snapshot_id)))


async def restored(request: Request, snapshot_id: UUID, ask: Ask) -> bytes:
    """The bytes of a snapshot, fetched before the transaction of the request begins. Refuses with PayloadGone."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        stored = await service.stored_payload(tx, snapshot_id=SnapshotId(snapshot_id))
    try:
        return await service.restore(files.storage_of(database), payload=stored)
    except FileNotFoundError:
        raise PayloadGone(snapshot_id=snapshot_id) from None


Restored = Annotated[bytes, Depends(restored)]


@routes.get(
    f"{BASE}/snapshots/{{snapshot_id:uuid}}/raw",
    access=SNAPSHOTS,
    example="bytes as they came",
    refuses=[NoSuchSnapshot, PayloadGone],
    response_class=Bytes,
)
async def get_raw_snapshot(snapshot_id: UUID, body: Restored, tx: InTx) -> Bytes:
    """Take the raw bytes along; the audit says who did."""
    await service.note_download(tx, snapshot_id=SnapshotId(snapshot_id))
    name = f'attachment; filename="{snapshot_id}.json"'
    return Bytes(body, headers={"Content-Disposition": name})


async def restored_other(request: Request, ask: Ask, other: Other) -> bytes:
    """The bytes of the snapshot to compare with."""
    return await restored(request, other, ask)


@routes.get(
    f"{BASE}/snapshots/{{snapshot_id:uuid}}/diff",
    access=READ,
    example=CONTRAST_EXAMPLE,
    refuses=[NoSuchSnapshot, PayloadGone, *OF_BODIES],
)
async def compare_snapshots(
    snapshot_id: UUID, other: Other, after: Restored, before: Annotated[bytes, Depends(restored_other)], tx: InTx
) -> ContrastAnswer:
    """Compare the list of a snapshot with that of another one, row by row."""
    found = await service.compare_snapshots(
        tx, before_id=SnapshotId(other), before=before, after_id=SnapshotId(snapshot_id), after=after
    )
    return ContrastAnswer.of(found)


@routes.post(
    f"{BASE}/snapshots/{{snapshot_id:uuid}}/apply",
    access=SNAPSHOTS,
    example=VERDICT_EXAMPLE,
    refuses=[NoSuchSnapshot, PayloadGone, AlreadyDecided, OutOfOrder, *OF_BODIES],
)
async def apply_snapshot(snapshot_id: UUID, restored: Restored, body: ReasonBody, ask: Ask, tx: InTx) -> VerdictAnswer:
    """Apply a suspicious snapshot as it is."""
    snapshot = await service.apply_anyway(
        tx, actor=ask.actor, snapshot_id=SnapshotId(snapshot_id), body=restored, reason=body.reason, now=ask.now
    )
    return VerdictAnswer.of(snapshot)


@routes.post(
    f"{BASE}/snapshots/{{snapshot_id:uuid}}/discard",
    access=SNAPSHOTS,
    example=VERDICT_EXAMPLE,
    refuses=[NoSuchSnapshot, AlreadyDecided],
)
async def discard_snapshot(snapshot_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> VerdictAnswer:
    """Put a suspicious snapshot aside for good."""
    snapshot = await service.discard(
        tx, actor=ask.actor, snapshot_id=SnapshotId(snapshot_id), reason=body.reason, now=ask.now
    )
    return VerdictAnswer.of(snapshot)


@routes.get(
    f"{BASE}/quarantine", access=READ, example=Listed((QUARANTINE_EXAMPLE,), None, None), refuses=[NoSuchProgramme]
)
async def list_quarantine(
    tx: InTx, page: PagedById, programme: Programme = None, problem: HeldFor = None, state: HeldAs = "held"
) -> Listed[QuarantineAnswer]:
    """List rows that were not believed, the newest first; those that wait for a decision unless another is asked."""
    return (await held_part(tx, page, programme, problem, state)).told(QuarantineAnswer.of)


async def held_part(
    tx: Tx, page: Paging, programme: str | None, problem: HeldReason | None, state: HeldState | None
) -> Part[HeldCard]:
    """A page of such rows."""
    part = page.wanted(numbered).and_one
    found = await service.held_cards(tx, programme=programme, reason=problem, state=state, part=part)
    return page.part(found, lambda one: (str(one.id),))


@routes.post(
    f"{BASE}/quarantine/{{row_id:uuid}}/release",
    access=SNAPSHOTS,
    example=VERDICT_EXAMPLE,
    refuses=[NoSuchRow, AlreadyDecided, NotReleasable, OutOfOrder],
)
async def release_row(row_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> VerdictAnswer:
    """Believe a row that was held as a jump: the last snapshot is applied once more with it."""
    snapshot = await service.release_row(tx, actor=ask.actor, row_id=HeldRowId(row_id), reason=body.reason, now=ask.now)
    return VerdictAnswer.of(snapshot)


@routes.post(
    f"{BASE}/quarantine/{{row_id:uuid}}/dismiss",
    access=SNAPSHOTS,
    example=QUARANTINE_EXAMPLE,
    refuses=[NoSuchRow, AlreadyDecided],
)
async def dismiss_row(row_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> QuarantineAnswer:
    """Note that a held row is not to be believed."""
    await service.dismiss_row(tx, actor=ask.actor, row_id=HeldRowId(row_id), reason=body.reason, now=ask.now)
    return QuarantineAnswer.of(await service.held_card(tx, row_id=HeldRowId(row_id)))


@routes.get(f"{BASE}/anomalies", access=READ, example=Listed((ANOMALY_EXAMPLE,), None, None), refuses=[NoSuchProgramme])
async def list_anomalies(
    tx: InTx,
    page: PagedByAt,
    at: At,
    programme: Programme = None,
    code: AnomalyKind = None,
) -> Listed[AnomalyAnswer]:
    """List what was believed but is odd, the newest first."""
    return (await odd_part(tx, page, programme, code, at)).told(AnomalyAnswer.of)


async def odd_part(
    tx: Tx, page: Paging, programme: str | None, code: AnomalyCode | None, at: Span = EVER
) -> Part[AnomalyCard]:
    """A page of anomalies."""
    part = page.wanted(dated).and_one
    found = await service.anomaly_cards(tx, programme=programme, code=code, since=at.since, until=at.until, part=part)
    return page.part(found, lambda one: (one.at.isoformat(), str(one.id)))


async def take_upload(
    request: Request,
    ask: Asking,
    feed_id: FeedId,
    *,
    content: bytes,
    content_type: str,
    fetched_at: datetime,
    reason: str,
) -> Snapshot:
    """Write down who hands in a file, then judge and apply it. Refuses as `doors.take_in`."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        await service.note_upload(
            tx,
            feed_id=feed_id,
            sha256=hashlib.sha256(content).digest(),
            size=len(content),
            fetched_at=fetched_at,
            reason=reason,
        )
    return await doors.take_in(
        database,
        files.storage_of(database),
        actor=ask.actor,
        feed_id=feed_id,
        body=content,
        content_type=content_type,
        fetched_at=fetched_at,
        trigger="upload",
        now=ask.now,
    )
