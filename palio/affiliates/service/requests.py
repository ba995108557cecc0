"""Requests to link: a user says which player he is, staff look at the proof, and everybody concerned is told."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from palio import identity
from palio.affiliates import rules, sql
from palio.affiliates.errors import (
    AlreadyDecided,
    AlreadyLinked,
    NoSuchPicture,
    NoSuchRequest,
    PlayerAmbiguous,
    PlayerResting,
    PlayerTaken,
    PlayerUnknown,
    ProgrammeClosed,
    RequestOpen,
    RequestTaken,
    TooManyPictures,
    TooManyRequests,
)
from palio.affiliates.messages import LinkDecided, LinkRequested
from palio.affiliates.service.boards import head_of
from palio.affiliates.service.links import close, lock_player, make, supersede
from palio.affiliates.types import (
    RELINK_REST_DAYS,
    REQUEST_DAYS,
    Attachment,
    AttachmentId,
    LinkDecision,
    LinkRequest,
    LinkRequestId,
    LinkStep,
    LinkWish,
    Player,
    PlayerId,
    ProgrammeHead,
)
from palio.infra import audit, outbox, settings
from palio.infra.db import Tx
from palio.infra.files import Picture
from palio.kernel.ids import Actor, UserId, new_id

EXPIRED_AT_ONCE_MAX = 200
CHANCE_BYTES = 16
HISTORY_MAX = 200


async def request_link(tx: Tx, *, wish: LinkWish, now: datetime) -> LinkRequest:
    """Ask to be linked to a player, with a proof that staff will look at.

    Others may ask for the same player: who was first does not keep the owner out. Refuses in this order, with
    NoSuchProgramme, PlayerUnknown, PlayerAmbiguous, ProgrammeClosed, AlreadyLinked, RequestOpen, PlayerTaken,
    PlayerResting, TooManyRequests.
    """
    head = await head_of(tx, code=wish.programme)
    if head is None:
        raise PlayerUnknown(uid=wish.uid or wish.name)
    player = await _resolve(tx, head, wish)
    if head.status != "active":
        raise ProgrammeClosed(programme=head.code)
    await sql.lock_asking(tx, wish.user_id)
    await sql.share_player(tx, player.id)
    await _require_allowed(tx, head, player, wish.user_id, now)
    request = LinkRequest(
        id=LinkRequestId(new_id()),
        ref=rules.ref_of(secrets.token_bytes(CHANCE_BYTES)),
        programme_id=head.id,
        user_id=wish.user_id,
        player_id=player.id,
        uid=player.uid,
        name_at_request=player.name,
        telegram_id=wish.telegram_id,
        telegram_name=wish.telegram_name,
        source=wish.source,
        proof=wish.proof,
        proof_code=rules.proof_code_of(secrets.token_bytes(CHANCE_BYTES)),
        code_seen_at=None,
        attachments=(),
        note=wish.note.strip(),
        state="pending",
        staff_notes="",
        player_note="",
        taken_by=None,
        taken_until=None,
        decided_by=None,
        decided_at=None,
        created_at=now,
        updated_at=now,
    )
    if not await sql.insert_request(tx, request):
        raise RequestOpen(ref=None)
    await sql.insert_request_event(tx, request, from_state=None, by=tx.actor.user_id, note="", at=now)
    await outbox.send(tx, LinkRequested(request.id, request.user_id, request.player_id))
    return request


async def _resolve(tx: Tx, head: ProgrammeHead, wish: LinkWish) -> Player:
    """The player of the uid, else the only one of that name whom the last list shows."""
    found: list[PlayerId] = []
    if wish.uid and (player_id := await sql.find_player_id(tx, head.id, wish.uid)):
        found = [player_id]
    elif wish.name and (key := rules.name_key(wish.name)):
        found = await sql.list_players_named(tx, head.id, key)
    if not found:
        raise PlayerUnknown(uid=wish.uid or wish.name)
    if len(found) > 1:
        raise PlayerAmbiguous(name=wish.name)
    (player,) = await sql.list_players(tx, found)
    return player


async def _require_allowed(tx: Tx, head: ProgrammeHead, player: Player, user_id: UserId, now: datetime) -> None:
    """Accept a user whom nothing keeps from this player; as `request_link` says."""
    if mine := await sql.find_link_of(tx, head.id, user_id):
        raise AlreadyLinked(uid=(await sql.list_players(tx, [mine.player_id]))[0].uid)
    if waiting := await sql.find_open_request(tx, head.id, user_id):
        raise RequestOpen(ref=waiting.ref)
    days = settings.value(RELINK_REST_DAYS)
    obstacle = await sql.find_obstacle(tx, player.id, user_id, now - timedelta(days=days))
    if obstacle == "taken":
        raise PlayerTaken(uid=player.uid)
    if obstacle == "resting":
        raise PlayerResting(uid=player.uid, days=days)
    asked_at = await sql.list_asked_at(tx, user_id, now - timedelta(days=1))
    if (wait := rules.retry_after_s(asked_at, now)) is not None:
        raise TooManyRequests(count=len(asked_at), retry_after_s=wait)


async def cancel(tx: Tx, *, request_id: LinkRequestId, user_id: UserId, now: datetime) -> LinkRequest:
    """Take back one's own request. Refuses with NoSuchRequest, AlreadyDecided."""
    found = await sql.lock_request(tx, request_id)
    if found is None or found.user_id != user_id:
        raise NoSuchRequest
    await _require_open(tx, found)
    return await close(tx, request=found, state="cancelled", actor=tx.actor, note="", now=now)


async def take(tx: Tx, *, request_id: LinkRequestId, actor: Actor, now: datetime) -> LinkRequest:
    """Say that one looks at a request, for half an hour; again for another half. Audited.

    Refuses with NoSuchRequest, AlreadyDecided, OwnRequest, and RequestTaken while somebody else looks.
    """
    found = await _lock_open(tx, request_id, actor)
    if rules.is_taken_by_other(found, actor, now) and found.taken_by:
        raise RequestTaken(by=await _username(tx, found.taken_by), until=found.taken_until)
    taken = replace(found, state="under_review", taken_by=actor.user_id, taken_until=now + rules.LEASE, updated_at=now)
    await sql.update_request(tx, taken)
    if found.state != "under_review":
        await sql.insert_request_event(tx, taken, from_state=found.state, by=actor.user_id, note="", at=now)
    await _record(tx, actor, "link_request.take", found, taken)
    return taken


async def ask_more(
    tx: Tx, *, request_id: LinkRequestId, actor: Actor, note: str, now: datetime, staff_note: str = ""
) -> LinkRequest:
    """Ask the user for more; the request waits for his answer. Audited. `staff_note` stays among staff.

    Refuses with NoSuchRequest, AlreadyDecided, OwnRequest, NoteMissing.
    """
    found = _noted(await _lock_open(tx, request_id, actor), staff_note)
    note = rules.checked_note(note)
    asked = replace(found, state="pending", player_note=note, taken_by=None, taken_until=None, updated_at=now)
    await sql.update_request(tx, asked)
    await sql.insert_request_event(tx, asked, from_state=found.state, by=actor.user_id, note=note, at=now)
    await _record(tx, actor, "link_request.ask", found, asked, note)
    await outbox.send(tx, LinkDecided(found.id, found.user_id, found.player_id, "pending"))
    return asked


async def answer(tx: Tx, *, request_id: LinkRequestId, user_id: UserId, note: str, now: datetime) -> LinkRequest:
    """Add what staff have asked for, or what one has forgotten.

    Refuses with NoSuchRequest, AlreadyDecided, NoteMissing.
    """
    found = await sql.lock_request(tx, request_id)
    if found is None or found.user_id != user_id:
        raise NoSuchRequest
    await _require_open(tx, found)
    note = rules.checked_note(note)
    answered = replace(found, updated_at=now)
    await sql.update_request(tx, answered)
    await sql.insert_request_event(tx, answered, from_state=found.state, by=user_id, note=note, at=now)
    await outbox.send(tx, LinkRequested(found.id, found.user_id, found.player_id, found.state))
    return answered


async def require_room(tx: Tx, *, request_id: LinkRequestId, user_id: UserId) -> LinkRequest:
    """An open request of a user that takes one more picture; ours until the transaction ends.

    Refuses with NoSuchRequest, AlreadyDecided, TooManyPictures.
    """
    found = await sql.lock_request(tx, request_id)
    if found is None or found.user_id != user_id:
        raise NoSuchRequest
    await _require_open(tx, found)
    if len(found.attachments) >= rules.PICTURES_MAX:
        raise TooManyPictures(count=rules.PICTURES_MAX)
    return found


async def attach(
    tx: Tx, *, request_id: LinkRequestId, user_id: UserId, picture: Picture, storage_key: str, now: datetime
) -> LinkRequest:
    """Add a picture, whose bytes are stored, to one's open request; the same again changes nothing.

    Refuses as `require_room` does.
    """
    found = await require_room(tx, request_id=request_id, user_id=user_id)
    one = Attachment(
        AttachmentId(new_id()),
        found.id,
        user_id,
        storage_key,
        picture.sha256,
        len(picture.content),
        picture.width,
        picture.height,
        now,
    )
    if await sql.insert_attachment(tx, one):
        await sql.insert_request_event(tx, found, from_state=found.state, by=user_id, note="", at=now)
    return found


async def attachment(tx: Tx, *, attachment_id: AttachmentId) -> Attachment:
    """Where a picture lies, for its user and for staff. Refuses with NoSuchPicture."""
    found = await sql.find_attachment(tx, attachment_id)
    if found is None:
        raise NoSuchPicture
    return found


async def decide(
    tx: Tx,
    *,
    request_id: LinkRequestId,
    actor: Actor,
    decision: LinkDecision,
    note: str,
    now: datetime,
    staff_note: str = "",
) -> LinkRequest:
    """Approve or reject a request; everything is read anew under locks. Audited.

    An approval makes the link, pays what waits, and supersedes other requests for the player. The user reads the note
    of a rejection; `staff_note` stays among staff. Refuses with NoSuchRequest, OwnRequest, AlreadyDecided (who, when
    and what), NoteMissing, PlayerTaken, AlreadyLinked.
    """
    seen = await _get(tx, request_id)
    rules.require_other(actor, seen.user_id)
    note = rules.checked_note(note) if decision == "reject" or note.strip() else ""
    player = await lock_player(tx, programme_id=seen.programme_id, uid=seen.uid)
    rivals = await sql.lock_rivals(tx, seen.programme_id, seen.player_id, [seen.user_id])
    found = next((rival for rival in rivals if rival.id == request_id), None)
    if found is None:
        raise await _decided(tx, await _get(tx, request_id))
    found = _noted(found, staff_note)
    if decision == "reject":
        closed = await close(tx, request=found, state="rejected", actor=actor, note=note, now=now)
        await _record(tx, actor, "link_request.reject", found, closed, note)
        return closed
    reason = f"request {found.ref}"
    await make(
        tx, player=player, user_id=found.user_id, actor=actor, proof=found.proof, reason=reason, now=now, request=found
    )
    closed = await close(tx, request=found, state="approved", actor=actor, note=note, now=now)
    await supersede(tx, rivals=[rival for rival in rivals if rival.id != request_id], actor=actor, now=now)
    await _record(tx, actor, "link_request.approve", found, closed, note)
    return closed


async def expire(tx: Tx, *, now: datetime) -> int:
    """End requests that have waited too long, and give back those that somebody took and left.

    Answers how many were moved; call again until it is 0.
    """
    created_before = now - timedelta(days=settings.value(REQUEST_DAYS))
    due = await sql.lock_due(tx, created_before, now, EXPIRED_AT_ONCE_MAX)
    for request in due:
        if request.created_at <= created_before:
            await close(tx, request=request, state="expired", actor=tx.actor, note="", now=now)
            continue
        back = replace(request, state="pending", taken_by=None, taken_until=None, updated_at=now)
        await sql.update_request(tx, back)
        await sql.insert_request_event(tx, back, from_state="under_review", by=None, note="", at=now)
    return len(due)


async def approve_by_code(tx: Tx, *, request_id: LinkRequestId, now: datetime) -> None:
    """Approve a request whose code was seen, unless it is decided, or contested: then staff look."""
    found = await sql.find_request(tx, request_id)
    if found is None or found.code_seen_at is None or found.decided_at is not None:
        return
    (beside,) = await sql.list_beside(tx, [request_id])
    if not beside.others:
        await decide(tx, request_id=request_id, actor=tx.actor, decision="approve", note="", now=now)


# looking


async def requests_of(
    tx: Tx, *, user_id: UserId, before: LinkRequestId | None = None, limit: int = 50
) -> list[LinkRequest]:
    """The requests of a user, newest first."""
    return await sql.list_requests_of(tx, user_id, before, limit)


async def my_request(tx: Tx, *, request_id: LinkRequestId, user_id: UserId) -> tuple[LinkRequest, list[LinkStep]]:
    """A request of a user with its steps, newest first. Refuses with NoSuchRequest."""
    found = await _get(tx, request_id)
    if found.user_id != user_id:
        raise NoSuchRequest
    return found, (await sql.list_history_of_request(tx, request_id))[::-1]


async def history_of(tx: Tx, *, user_id: UserId) -> list[LinkStep]:
    """Every step of a user's requests and links, newest first."""
    return await sql.list_history(tx, user_id, HISTORY_MAX)


async def request_by(tx: Tx, *, ref: str) -> LinkRequestId:
    """The request that people call so. Refuses with NoSuchRequest."""
    found = await sql.find_request_id(tx, ref.strip().upper())
    if found is None:
        raise NoSuchRequest
    return found


def _noted(request: LinkRequest, note: str) -> LinkRequest:
    """The request with one more note among staff."""
    return replace(request, staff_notes="\n".join(filter(None, (request.staff_notes, note.strip()))))


async def _get(tx: Tx, request_id: LinkRequestId) -> LinkRequest:
    found = await sql.find_request(tx, request_id)
    if found is None:
        raise NoSuchRequest
    return found


async def _lock_open(tx: Tx, request_id: LinkRequestId, actor: Actor) -> LinkRequest:
    """An open request of somebody else, locked."""
    found = await sql.lock_request(tx, request_id)
    if found is None:
        raise NoSuchRequest
    rules.require_other(actor, found.user_id)
    await _require_open(tx, found)
    return found


async def _require_open(tx: Tx, request: LinkRequest) -> None:
    if request.decided_at is not None:
        raise await _decided(tx, request)


async def _decided(tx: Tx, request: LinkRequest) -> AlreadyDecided:
    by = await _username(tx, request.decided_by) if request.decided_by else None
    return AlreadyDecided(state=request.state, at=request.decided_at, by=by)


async def _username(tx: Tx, user_id: UserId) -> str:
    found = (await identity.cards(tx, ids={user_id})).get(user_id)
    return found.username if found else str(user_id)


async def _record(tx: Tx, actor: Actor, action: str, before: LinkRequest, after: LinkRequest, reason: str = "") -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="link_request",
        entity_id=str(after.id),
        changes={"state": (before.state, after.state), "taken_until": (before.taken_until, after.taken_until)},
        reason=reason,
        subject=after.user_id,
    )
