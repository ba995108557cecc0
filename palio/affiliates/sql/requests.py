"""Requests to link, and the history of requests and links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.affiliates.types import (
    Attachment,
    AttachmentId,
    LinkObstacle,
    LinkRequest,
    LinkRequestId,
    LinkStep,
    Micro,
    PlayerId,
    ProgrammeId,
    QueueFilter,
    RequestState,
    Snapshot,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import IDS, Part

REQUEST = """
    select r.id, r.ref, r.programme_id, r.user_id, r.player_id, r.uid, r.name_at_request, r.telegram_id,
      r.telegram_name, r.source, r.proof, r.proof_code, r.code_seen_at, r.attachments, r.note, r.state,
      r.staff_notes, r.player_note, r.taken_by, r.taken_until, r.decided_by, r.decided_at, r.created_at, r.updated_at
    from affiliates.link_requests r """
OPEN = " r.state in ('pending', 'under_review') "


@dataclass(frozen=True, slots=True)
class Beside:
    """What staff see beside a request."""

    id: LinkRequestId
    programme: str
    currency: str
    player_name: str | None
    all_time_micro: Micro | None
    others: int
    earlier: int


async def lock_asking(tx: Tx, user_id: UserId) -> None:
    """Nobody else asks for this user until the transaction ends."""
    await db.value(tx, "select pg_advisory_xact_lock(hashtextextended('affiliates.asking|' || %s, 0))", str(user_id))


async def find_obstacle(tx: Tx, player_id: PlayerId, user_id: UserId, rest_since: datetime) -> LinkObstacle | None:
    """Why a user cannot have a player, whoever asks."""
    found: LinkObstacle | None = await db.value(
        tx, "select affiliates.link_obstacle(%s, %s, %s)", player_id, user_id, rest_since
    )
    return found


async def list_players_named(tx: Tx, programme_id: ProgrammeId, name_key: str) -> list[PlayerId]:
    """Players of exactly this name whom the last list shows; two are enough to know that it is not one."""
    return await db.column(
        tx,
        """
        select id from affiliates.players
        where programme_id = %s and name_key = %s and stale_since is null order by no limit 2""",
        *(programme_id, name_key),
    )


async def find_player_id(tx: Tx, programme_id: ProgrammeId, uid: str) -> PlayerId | None:
    """The player of a uid."""
    found: PlayerId | None = await db.value(
        tx, "select id from affiliates.players where programme_id = %s and uid = %s", programme_id, uid
    )
    return found


async def share_player(tx: Tx, player_id: PlayerId) -> None:
    """Nobody links this player until the transaction ends, while others may ask for him too."""
    await db.value(tx, "select 1 from affiliates.players where id = %s for share", player_id)


async def list_asked_at(tx: Tx, user_id: UserId, since: datetime) -> list[datetime]:
    """When a user has asked since then."""
    return await db.column(
        tx,
        """
        select created_at from affiliates.link_requests where user_id = %s and created_at > %s
        order by created_at limit 100""",
        *(user_id, since),
    )


async def insert_request(tx: Tx, request: LinkRequest) -> bool:
    """Store a request; False when one of the user is open in the programme."""
    done = await db.run(
        tx,
        """
        insert into affiliates.link_requests (id, ref, programme_id, user_id, player_id, uid, name_at_request,
          telegram_id, telegram_name, source, proof, proof_code, note, state, created_at, updated_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (user_id, programme_id) where state in ('pending', 'under_review') do nothing""",
        *(request.id, request.ref, request.programme_id, request.user_id, request.player_id, request.uid),
        *(request.name_at_request, request.telegram_id, request.telegram_name, request.source, request.proof),
        *(request.proof_code, request.note, request.state, request.created_at, request.updated_at),
    )
    return bool(done)


async def find_request(tx: Tx, request_id: LinkRequestId) -> LinkRequest | None:
    """A request by its id."""
    return await db.find(tx, LinkRequest, REQUEST + "where r.id = %s", request_id)


async def find_request_id(tx: Tx, ref: str) -> LinkRequestId | None:
    """The id of a request by what people call it."""
    found: LinkRequestId | None = await db.value(tx, "select id from affiliates.link_requests where ref = %s", ref)
    return found


async def find_open_request(tx: Tx, programme_id: ProgrammeId, user_id: UserId) -> LinkRequest | None:
    """The open request of a user in a programme."""
    return await db.find(
        tx, LinkRequest, REQUEST + "where r.programme_id = %s and r.user_id = %s and" + OPEN, programme_id, user_id
    )


async def lock_request(tx: Tx, request_id: LinkRequestId) -> LinkRequest | None:
    """A request, ours until the transaction ends."""
    return await db.find(tx, LinkRequest, REQUEST + "where r.id = %s for update", request_id)


async def lock_rivals(
    tx: Tx, programme_id: ProgrammeId, player_id: PlayerId, user_ids: Sequence[UserId]
) -> list[LinkRequest]:
    """The open requests for a player, and those of these users in the programme; ours until the transaction ends."""
    return await db.rows(
        tx,
        LinkRequest,
        REQUEST
        + "where"
        + OPEN
        + """and r.programme_id = %s and (r.player_id = %s or r.user_id = any (%s::uuid[]))
        order by r.id for update""",
        *(programme_id, player_id, list(user_ids)),
    )


async def lock_due(tx: Tx, created_before: datetime, now: datetime, limit: int) -> list[LinkRequest]:
    """Open requests that have waited since before an instant, or whose lease is over; locked ones are left out."""
    return await db.rows(
        tx,
        LinkRequest,
        REQUEST
        + "where"
        + OPEN
        + """and (r.created_at <= %s or (r.state = 'under_review' and r.taken_until <= %s))
        order by r.created_at, r.id limit %s for update skip locked""",
        *(created_before, now, limit),
    )


async def update_request(tx: Tx, request: LinkRequest) -> None:
    """Write what can change of a request."""
    await db.run(
        tx,
        """
        update affiliates.link_requests set state = %s, staff_notes = %s, player_note = %s, taken_by = %s,
          taken_until = %s, decided_by = %s, decided_at = %s, updated_at = %s where id = %s""",
        *(request.state, request.staff_notes, request.player_note, request.taken_by, request.taken_until),
        *(request.decided_by, request.decided_at, request.updated_at, request.id),
    )


async def update_code_seen(tx: Tx, snapshot: Snapshot, since: datetime) -> list[LinkRequestId]:
    """Note which open requests of since then have their code in the name of their player, as of an applied snapshot."""
    return await db.column(
        tx,
        """
        update affiliates.link_requests r set code_seen_at = %s, code_snapshot_id = %s
        from affiliates.players p
        where r.state in ('pending', 'under_review') and r.programme_id = %s and r.code_seen_at is null
          and r.created_at > %s and p.id = r.player_id and p.stale_since is null
          and strpos(p.name_key, lower(r.proof_code)) > 0
        returning r.id""",
        *(snapshot.fetched_at, snapshot.id, snapshot.programme_id, since),
    )


async def insert_request_event(
    tx: Tx, request: LinkRequest, *, from_state: RequestState | None, by: UserId | None, note: str, at: datetime
) -> None:
    """A step of the history of a request."""
    await db.run(
        tx,
        """
        insert into affiliates.link_events
          (id, request_id, user_id, player_id, uid, name, telegram_id, from_state, to_state, actor_id, note, at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(new_id(), request.id, request.user_id, request.player_id, request.uid, request.name_at_request),
        *(request.telegram_id, from_state, request.state, by, note, at),
    )


async def insert_attachment(tx: Tx, one: Attachment) -> bool:
    """Store where a picture of a request lies; False when the request has the same one already."""
    done = await db.run(
        tx,
        """
        insert into affiliates.attachments
          (id, request_id, user_id, storage_key, sha256, bytes, width, height, created_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (request_id, sha256) do nothing""",
        *(one.id, one.request_id, one.user_id, one.storage_key, one.sha256, one.bytes, one.width, one.height),
        one.created_at,
    )
    if done:
        await db.run(
            tx,
            "update affiliates.link_requests set attachments = attachments || %s, updated_at = %s where id = %s",
            *(one.id, one.created_at, one.request_id),
        )
    return bool(done)


async def find_attachment(tx: Tx, attachment_id: AttachmentId) -> Attachment | None:
    """A picture by its id."""
    return await db.find(
        tx,
        Attachment,
        """
        select id, request_id, user_id, storage_key, sha256, bytes, width, height, created_at
        from affiliates.attachments where id = %s""",
        attachment_id,
    )


async def list_requests_of(tx: Tx, user_id: UserId, before: LinkRequestId | None, limit: int) -> list[LinkRequest]:
    """The requests of a user, newest first."""
    return await db.rows(
        tx,
        LinkRequest,
        REQUEST + "where r.user_id = %s and (%s::uuid is null or r.id < %s) order by r.id desc limit %s",
        *(user_id, before, before, limit),
    )


async def list_history(tx: Tx, user_id: UserId, limit: int) -> list[LinkStep]:
    """The steps of a user's requests and links, newest first."""
    return await db.rows(
        tx,
        LinkStep,
        """
        select request_id, link_id, user_id, player_id, uid, name, telegram_id, from_state, to_state, actor_id, note, at
        from affiliates.link_events where user_id = %s order by at desc, id desc limit %s""",
        *(user_id, limit),
    )


async def list_history_of_request(tx: Tx, request_id: LinkRequestId) -> list[LinkStep]:
    """The steps of a request, oldest first."""
    return await db.rows(
        tx,
        LinkStep,
        """
        select request_id, link_id, user_id, player_id, uid, name, telegram_id, from_state, to_state, actor_id, note, at
        from affiliates.link_events where request_id = %s order by at, id limit 1000""",
        request_id,
    )


FILTERED = """
  (%s::text is null or r.programme_id = (select g.id from affiliates.programmes g where g.code = %s))
  and (%s::uuid is null or (r.taken_by = %s and r.state = 'under_review'))
  and (not %s or exists (select 1 from affiliates.link_requests o where o.player_id = r.player_id
    and o.user_id <> r.user_id and o.state in ('pending', 'under_review')))
  and (%s = '' or r.ref = upper(%s) or r.uid = %s or lower(r.name_at_request) = lower(%s)
    or r.user_id = any (%s::uuid[])) """


QUEUED = REQUEST + "where" + FILTERED + "and r.id > %s and r.id < %s and" + OPEN
DECIDED = REQUEST + "where" + FILTERED + "and r.id > %s and r.id < %s and not" + OPEN


async def list_open(tx: Tx, wanted: QueueFilter, user_ids: Sequence[UserId], part: Part[UUID]) -> list[LinkRequest]:
    """A part of the open requests, newest first; `user_ids` are those whom the text of the filter names."""
    values = *_filter(wanted, user_ids), *part.between(*IDS), part.limit
    if part.is_back:
        return (await db.rows(tx, LinkRequest, QUEUED + " order by r.id limit %s", *values))[::-1]
    return await db.rows(tx, LinkRequest, QUEUED + " order by r.id desc limit %s", *values)


async def list_decided(tx: Tx, wanted: QueueFilter, user_ids: Sequence[UserId], part: Part[UUID]) -> list[LinkRequest]:
    """The same of those that are closed."""
    values = *_filter(wanted, user_ids), *part.between(*IDS), part.limit
    if part.is_back:
        return (await db.rows(tx, LinkRequest, DECIDED + " order by r.id limit %s", *values))[::-1]
    return await db.rows(tx, LinkRequest, DECIDED + " order by r.id desc limit %s", *values)


def _filter(wanted: QueueFilter, user_ids: Sequence[UserId]) -> tuple[object, ...]:
    return (
        *(wanted.programme, wanted.programme, wanted.taken_by, wanted.taken_by, wanted.is_contested),
        *(wanted.text, wanted.text, wanted.text, wanted.text, list(user_ids)),
    )


async def list_rivals(tx: Tx, player_id: PlayerId, limit: int) -> list[LinkRequest]:
    """The open requests for a player, oldest first."""
    return await db.rows(
        tx, LinkRequest, REQUEST + "where" + OPEN + "and r.player_id = %s order by r.id limit %s", player_id, limit
    )


async def find_next(tx: Tx, user_id: UserId | None, now: datetime) -> LinkRequestId | None:
    """The oldest open request that is not this user's own, and that nobody else looks at."""
    found: LinkRequestId | None = await db.value(
        tx,
        """
        select r.id from affiliates.link_requests r
        where r.state in ('pending', 'under_review') and r.user_id is distinct from %s
          and (r.taken_until is null or r.taken_until <= %s or r.taken_by = %s)
        order by r.created_at, r.id limit 1""",
        *(user_id, now, user_id),
    )
    return found


async def count_open(tx: Tx) -> tuple[int, datetime | None]:
    """How many requests are open, and since when the oldest is."""
    cursor = await tx.execute(
        """
        select count(*), min(created_at) from affiliates.link_requests
        where state in ('pending', 'under_review')"""
    )
    (found,) = await cursor.fetchall()
    return found


async def list_history_beside(
    tx: Tx, request_id: LinkRequestId, user_id: UserId, player_id: PlayerId, limit: int
) -> list[LinkStep]:
    """The steps of everything else that a user or a player was part of, newest first."""
    return await db.rows(
        tx,
        LinkStep,
        """
        select request_id, link_id, user_id, player_id, uid, name, telegram_id, from_state, to_state, actor_id, note, at
        from affiliates.link_events
        where (user_id = %s or player_id = %s) and request_id is distinct from %s order by at desc, id desc limit %s""",
        *(user_id, player_id, request_id, limit),
    )


async def list_beside(tx: Tx, request_ids: Sequence[LinkRequestId]) -> list[Beside]:
    """What staff see beside requests."""
    return await db.rows(
        tx,
        Beside,
        """
        select r.id, g.code as programme, g.currency, p.name as player_name, p.all_time_micro,
          (select count(*) from affiliates.link_requests o where o.player_id = r.player_id and o.user_id <> r.user_id
            and o.state in ('pending', 'under_review'))::int as others,
          (select count(*) from affiliates.link_requests o where o.user_id = r.user_id and o.id < r.id)::int as earlier
        from affiliates.link_requests r join affiliates.programmes g on g.id = r.programme_id
        join affiliates.players p on p.id = r.player_id where r.id = any (%s::uuid[])""",
        list(request_ids),
    )
