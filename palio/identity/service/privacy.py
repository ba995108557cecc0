"""What people ask of their own data: a copy of all of it, and to be erased. Modules tell and forget their parts.

A request has a step for each module, done in a job of its own: whoever is killed in between leaves it to the next.
"""

import hashlib
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import ErasureBlocked, ExportTooSoon, NoSuchPrivacyRequest, TokenInvalid
from palio.identity.messages import ErasureScheduled, RunPrivacy, SendLetter, UserErased
from palio.identity.service import credentials, play, registration, sessions
from palio.identity.sql.privacy import Known
from palio.identity.types import (
    ERASURE_WAIT_DAYS,
    PrivacyCard,
    PrivacyRequest,
    PrivacyState,
    PrivacyStep,
)
from palio.infra import audit, crypto, outbox, settings
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import Dated, Part
from palio.kernel.providers import Obstacle, PersonalRow, PrivacySection

EXPORT_APART = timedelta(hours=24)
EXPORT_KEPT = timedelta(days=7)
BLOCKED_AT_MOST = timedelta(days=30)  # what is open longer than that holds nobody back any more
SHOWN_MAX = 50
DUE_AT_ONCE = 100
OPENED_AT_ONCE = 500
PART_BYTES_MAX = 256 << 20


# a copy


async def ask_for_export(tx: Tx, *, user_id: UserId, is_ordered: bool = False, now: datetime) -> PrivacyRequest:
    """Begin a copy of everything that is known of somebody; while one is on the way, that one. Audited.

    An operator orders one whenever he needs it. For the system. Refuses with NoSuchUser, and with ExportTooSoon within
    24 hours of the last.
    """
    await sql.credentials.lock_user(tx, user_id)
    if running := await sql.privacy.find_open(tx, user_id, "export"):
        return running
    newest = await sql.privacy.find_newest(tx, user_id, "export")
    if newest and not is_ordered and now < newest.requested_at + EXPORT_APART:
        raise ExportTooSoon(next_at=newest.requested_at + EXPORT_APART)
    request_id = new_id()
    secret = await crypto.seal(tx, crypto.new_file_secret(), personal.place_of_file_secret(request_id, user_id))
    request = PrivacyRequest(
        *(request_id, user_id, "export", "confirmed", now, now, now),
        file_key=f"privacy/{request_id.hex}/export.zip",
        file_secret=secret,
    )
    await sql.privacy.insert_request(tx, request)
    await _record(tx, request, "privacy_request.export", {"state": (None, "confirmed")})
    await _start(tx, request, now=now)
    return await _get(tx, request_id)


async def export_of(tx: Tx, *, user_id: UserId, request_id: UUID, now: datetime) -> tuple[PrivacyRequest, str]:
    """A copy of somebody's own that can be fetched, and the secret it is encrypted with.

    Refuses with NoSuchPrivacyRequest, also once its time is over.
    """
    found = await sql.privacy.find_request(tx, request_id)
    if found is None or found.user_id != user_id or found.file_secret is None or found.state != "done":
        raise NoSuchPrivacyRequest
    if found.expires_at is None or now >= found.expires_at:
        raise NoSuchPrivacyRequest
    place = personal.place_of_file_secret(found.id, user_id)
    return found, await crypto.open_sealed(tx, found.file_secret, place)


async def exports_of(tx: Tx, *, user_id: UserId) -> list[PrivacyCard]:
    """The copies somebody asked for, the newest first, with how far each is."""
    return await _with_steps(tx, await sql.privacy.list_requests(tx, user_id, "export", SHOWN_MAX))


# to be erased


async def ask_for_erasure(tx: Tx, *, user_id: UserId, is_ordered: bool = False, now: datetime) -> PrivacyRequest:
    """Note that somebody wants to be erased, and write to him; the link of that letter confirms it. Audited.

    Without an address it is confirmed at once, and so it is where an operator orders it. A repeat while one is open
    changes nothing. For the system. Refuses with NoSuchUser, LastOwner, ErasureBlocked.
    """
    await _require_owner_left(tx, user_id, now)
    await sql.credentials.lock_user(tx, user_id)
    if found := await sql.privacy.find_open(tx, user_id, "erase"):
        return found
    await _require_unblocked(tx, user_id, now)
    request = PrivacyRequest(new_id(), user_id, "erase", "requested", now)
    await sql.privacy.insert_request(tx, request)
    await _record(tx, request, "privacy_request.erase", {"state": (None, "requested")})
    email = await sql.contacts.find_primary(tx, user_id)
    if email is None or is_ordered:
        return await _confirm(tx, request, now=now)
    await outbox.send(tx, SendLetter("erase_confirm", email.id))
    return request


async def confirm_erasure(tx: Tx, *, secret: str, now: datetime) -> PrivacyRequest:
    """Confirm by the mailed link that somebody wants to be erased: his account closes, and he may wait and change his
    mind until it begins. Of two at once one is refused. For the system.

    Refuses with TokenInvalid, NoSuchPrivacyRequest, LastOwner, ErasureBlocked.
    """
    token = await credentials.open_link(tx, secret=secret, purpose="erase_confirm", now=now)
    await _require_owner_left(tx, token.user_id, now)
    await registration.lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    found = await sql.privacy.find_open(tx, token.user_id, "erase")
    if found is None or found.state != "requested":
        raise NoSuchPrivacyRequest
    await _require_unblocked(tx, token.user_id, now)
    return await _confirm(tx, found, now=now)


async def _confirm(tx: Tx, request: PrivacyRequest, *, now: datetime) -> PrivacyRequest:
    user = await sql.users.find_by_id(tx, request.user_id)
    due_at = now + timedelta(days=settings.value(ERASURE_WAIT_DAYS))
    before = user.status if user and user.status != "closing" else None
    await sql.privacy.update_confirmed(tx, request.id, due_at=due_at, now=now, status_before=before)
    await sql.privacy.update_status(tx, request.user_id, "closing")
    await _record(tx, request, "privacy_request.confirm", {"due_at": (None, due_at)})
    await outbox.send(tx, ErasureScheduled(request.user_id, due_at))
    return await _get(tx, request.id)


async def cancel_erasure(tx: Tx, *, user_id: UserId, now: datetime) -> PrivacyRequest:
    """Let somebody stay who changed his mind; his account is what it was. Audited. For the system.

    Refuses with NoSuchPrivacyRequest: there is none, or it has begun.
    """
    await sql.credentials.lock_user(tx, user_id)
    found = await sql.privacy.find_open(tx, user_id, "erase")
    if found is None or found.state == "running":
        raise NoSuchPrivacyRequest
    await sql.privacy.update_state(tx, found.id, "cancelled", finished_at=now)
    if found.status_before:
        await sql.privacy.update_status(tx, user_id, found.status_before)
    await sql.credentials.update_revoked(tx, user_id, "erase_confirm", now=now)
    await _record(tx, found, "privacy_request.cancel", {"state": (found.state, "cancelled")})
    return await _get(tx, found.id)


async def erasure_of(tx: Tx, *, user_id: UserId) -> PrivacyRequest | None:
    """The erasure somebody asks for, if he does."""
    return await sql.privacy.find_open(tx, user_id, "erase")


async def obstacles(tx: Tx, *, user_id: UserId, now: datetime) -> list[Obstacle]:
    """What is open of somebody and holds his erasure back: nothing older than 30 days does."""
    found: list[Obstacle] = []
    for section in tx.equipment.personal:
        found += await section.blocks(tx, user_id, now - BLOCKED_AT_MOST)
    return found


async def _require_owner_left(tx: Tx, user_id: UserId, now: datetime) -> None:
    """Somebody always owns the house, also when two owners go at once; before the account is locked, as elsewhere."""
    rules.roles.require_owner_left(await sql.roles.lock_owners(tx, now=now), user_id)


async def _require_unblocked(tx: Tx, user_id: UserId, now: datetime) -> None:
    if found := await obstacles(tx, user_id=user_id, now=now):
        raise ErasureBlocked(open=[{"module": one.module, "what": one.what, "count": one.count} for one in found])


# carried out, a step at a time


async def start_due(tx: Tx, *, now: datetime) -> int:
    """Begin what is due, and send on what has begun and lies still; answers how many began.

    An erasure that something has come in the way of waits, at most 30 days. What nobody confirmed while its link was
    good is dropped.
    """
    life = credentials.life_of(tx, purpose="erase_confirm")
    for request_id in await sql.privacy.list_unconfirmed(tx, before=now - life, limit=DUE_AT_ONCE):
        await sql.privacy.update_state(tx, request_id, "cancelled", finished_at=now)
    started = 0
    for request in await sql.privacy.list_due(tx, now=now, limit=DUE_AT_ONCE):
        if request.kind == "erase" and await obstacles(tx, user_id=request.user_id, now=now):
            continue
        await _start(tx, request, now=now)
        started += 1
    for request_id in await sql.privacy.list_running(tx, DUE_AT_ONCE):
        await outbox.send(tx, RunPrivacy(request_id), key=str(request_id))
    return started


async def _start(tx: Tx, request: PrivacyRequest, *, now: datetime) -> None:
    locked = await sql.privacy.lock_request(tx, request.id)
    if locked is None or locked.state != "confirmed":
        return
    await sql.privacy.insert_steps(tx, request, [one.module for one in tx.equipment.personal], now=now)
    await sql.privacy.update_state(tx, request.id, "running", finished_at=None)
    await outbox.send(tx, RunPrivacy(request.id), key=str(request.id))


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done next for a request: the section, or None when all are done."""

    request: PrivacyRequest
    section: PrivacySection[Tx] | None
    secret: str = ""


async def next_turn(tx: Tx, *, request_id: UUID) -> Turn | None:
    """What is to be done next, counted as tried; None where nothing is."""
    request = await sql.privacy.lock_request(tx, request_id)
    if request is None or request.state != "running":
        return None
    sections = {one.module: one for one in tx.equipment.personal}
    left = [step for step in await sql.privacy.list_steps(tx, [request_id]) if step.finished_at is None]
    secret = ""
    if request.kind == "export" and request.file_secret:
        place = personal.place_of_file_secret(request.id, request.user_id)
        secret = await crypto.open_sealed(tx, request.file_secret, place)
    if not left:
        return Turn(request, None, secret)
    await sql.privacy.update_step_tried(tx, request_id, left[0].section)
    return Turn(request, sections[left[0].section], secret)


async def hold_step(tx: Tx, *, turn: Turn) -> bool:
    """Keep everybody else from a step until the transaction ends; False if somebody has done it since it was begun."""
    request = await sql.privacy.lock_request(tx, turn.request.id)
    if request is None or request.state != "running":
        return False
    left = [step.section for step in await sql.privacy.list_steps(tx, [request.id]) if step.finished_at is None]
    return turn.section.module in left if turn.section else not left


async def fail_step(tx: Tx, *, turn: Turn, failure: str) -> None:
    """Note what went wrong with a step; the request goes on, and the step is tried again."""
    if turn.section:
        await sql.privacy.update_step_failed(tx, turn.request.id, turn.section.module, failure)


async def write_part(tx: Tx, *, section: PrivacySection[Tx], user_id: UserId) -> bytes:
    """What a module knows of somebody, a line of JSON for each thing.

    Raises ValueError if it is too much for a file.
    """
    told = io.BytesIO()
    async for row in section.export(tx, user_id):
        line = json.dumps({"of": row.kind, **row.facts}, ensure_ascii=False, default=str)
        if told.tell() + len(line) > PART_BYTES_MAX:
            raise ValueError(f"more than {PART_BYTES_MAX} bytes of {section.module}")
        told.write(line.encode() + b"\n")
    return told.getvalue()


async def count_export(tx: Tx, *, user_id: UserId) -> dict[str, int]:
    """How many lines each module would write into a copy of what is known of somebody.

    Raises ValueError as `write_part` does.
    """
    parts = {one.module: await write_part(tx, section=one, user_id=user_id) for one in tx.equipment.personal}
    return {module: part.count(b"\n") for module, part in parts.items()}


async def finish_step(tx: Tx, *, turn: Turn, rows: int | None, now: datetime) -> None:
    """Note that a step is done, and have the next one done."""
    if turn.section:
        await sql.privacy.update_step_done(tx, turn.request.id, turn.section.module, rows=rows, now=now)
    await outbox.send(tx, RunPrivacy(turn.request.id), key=str(turn.request.id))


async def steps_of(tx: Tx, *, request_id: UUID) -> list[PrivacyStep]:
    """How far each module is with a request."""
    return await sql.privacy.list_steps(tx, [request_id])


async def finish_export(tx: Tx, *, request: PrivacyRequest, content: bytes, now: datetime) -> None:
    """Note that a copy is ready, for seven days; a repeat changes nothing."""
    locked = await sql.privacy.lock_request(tx, request.id)
    if locked and locked.state == "running":
        digest = hashlib.sha256(content).digest()
        await sql.privacy.update_ready(
            tx, request.id, size=len(content), sha256=digest, expires_at=now + EXPORT_KEPT, now=now
        )


async def expired(tx: Tx, *, now: datetime) -> list[PrivacyRequest]:
    """Copies whose time is over, a hundred at most."""
    return await sql.privacy.list_expired(tx, now=now, limit=DUE_AT_ONCE)


async def forget_files(tx: Tx, *, requests: Sequence[PrivacyRequest]) -> None:
    """Note that these copies are kept no longer."""
    await sql.privacy.update_file_gone(tx, [one.id for one in requests])


async def finish_erasure(tx: Tx, *, request: PrivacyRequest, now: datetime) -> None:
    """Note that somebody is erased, and tell it; a repeat changes nothing. Audited."""
    locked = await sql.privacy.lock_request(tx, request.id)
    if locked is None or locked.state != "running":
        return
    await sql.privacy.update_state(tx, request.id, "done", finished_at=now)
    await _record(tx, request, "user.erase", {"status": ("closing", "erased")})
    await outbox.send(tx, UserErased(request.user_id))


async def erase_again(tx: Tx, *, user_id: UserId, now: datetime) -> bool:
    """Begin to erase somebody who was erased before the database was restored; False if he is erased, or unknown.

    For the system. Audited.
    """
    user = await sql.users.find_by_id(tx, user_id)
    if user is None or user.status == "erased":
        return False
    await sql.credentials.lock_user(tx, user_id)
    found = await sql.privacy.find_open(tx, user_id, "erase")
    if found is None:
        found = PrivacyRequest(new_id(), user_id, "erase", "requested", now)
        await sql.privacy.insert_request(tx, found)
    if found.state == "requested":
        await sql.privacy.update_confirmed(tx, found.id, due_at=now, now=now, status_before=user.status)
        if user.status != "closing":
            await sql.privacy.update_status(tx, user_id, "closing")
    await _record(tx, found, "privacy_request.replay", {"due_at": (None, now)})
    await _start(tx, await _get(tx, found.id), now=now)
    return True


# for staff


async def requests_of_all(tx: Tx, *, states: Sequence[PrivacyState], part: Part[Dated]) -> list[PrivacyCard]:
    """A part of what people ask for, the newest first, with how far each module is: of these states, or of all."""
    return await _with_steps(tx, await sql.privacy.list_all(tx, states, part))


async def retry(tx: Tx, *, request_id: UUID, reason: str) -> PrivacyCard:
    """Set the step of a request going that went wrong. Audited. Refuses with NoSuchPrivacyRequest, ReasonTooShort."""
    rules.roles.require_reason(reason)
    found = await sql.privacy.lock_request(tx, request_id)
    if found is None or found.state != "running":
        raise NoSuchPrivacyRequest
    await _record(tx, found, "privacy_request.retry", {}, reason)
    await outbox.send(tx, RunPrivacy(request_id), key=str(request_id))
    return (await _with_steps(tx, [found]))[0]


async def _with_steps(tx: Tx, requests: Sequence[PrivacyRequest]) -> list[PrivacyCard]:
    steps = await sql.privacy.list_steps(tx, [one.id for one in requests]) if requests else []
    return [PrivacyCard(one, tuple(step for step in steps if step.request_id == one.id)) for one in requests]


async def _get(tx: Tx, request_id: UUID) -> PrivacyRequest:
    found = await sql.privacy.find_request(tx, request_id)
    if found is None:
        raise NoSuchPrivacyRequest
    return found


async def _record(
    tx: Tx, request: PrivacyRequest, action: str, changes: dict[str, tuple[object, object]], reason: str = ""
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="privacy_request",
        entity_id=str(request.id),
        changes=changes,
        reason=reason,
        subject=request.user_id,
    )


# what this module knows of somebody


async def _export(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    waiting: list[Known] = []
    async for known in sql.privacy.stream_known(tx, user_id):
        waiting.append(known)
        if len(waiting) == OPENED_AT_ONCE:
            for row in await _opened(tx, user_id, waiting):
                yield row
            waiting = []
    for row in await _opened(tx, user_id, waiting):
        yield row


async def _opened(tx: Tx, user_id: UserId, known: Sequence[Known]) -> list[PersonalRow]:
    """What is known with its sealed values in clear; a value that was forgotten after its time is not there."""
    purposes = {f"{one.table}.{one.column}".removeprefix("identity."): one for one in personal.SEALED_COLUMNS}
    sealed: list[tuple[bytes, Place]] = [
        (one.sealed, crypto.place_in(purposes[one.place], one.row_id, user_id))
        for one in known
        if one.sealed and one.place and one.row_id
    ]
    opened = iter(await crypto.open_many(tx, sealed) if sealed else [])
    rows: list[PersonalRow] = []
    for one in known:
        facts: dict[str, Any] = dict(one.facts)
        if one.sealed and one.place and one.row_id:
            facts[one.place.partition(".")[2]] = next(opened)
        rows.append(PersonalRow(one.kind, facts))
    return rows


async def _blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
    return ()


async def _files(tx: Tx, user_id: UserId) -> Sequence[str]:
    """Copies that were made for him and parts of them, and his pictures."""
    found = await sql.privacy.list_requests(tx, user_id, "export", SHOWN_MAX)
    parts = [rules.privacy.part_key(one, section.module) for one in found for section in tx.equipment.personal]
    pictures = [rules.names.file_of_avatar(key) for key in await sql.avatars.list_keys(tx, user_id)]
    return [*parts, *(one.file_key for one in found if one.file_key), *pictures]


async def _erase(tx: Tx, user_id: UserId, now: datetime) -> None:
    user = await sql.users.find_by_id(tx, user_id)
    if user is None or user.status == "erased":
        return
    await play.leave_marks(tx, user_id=user_id, now=now)
    await sessions.end_sessions(tx, user_id=user_id, reason="erased", now=now)
    await sql.privacy.update_grants_revoked(tx, user_id, now=now)
    made = await sql.privacy.list_requests(tx, user_id, "export", SHOWN_MAX)
    await sql.privacy.update_file_gone(tx, [one.id for one in made])
    await sql.privacy.delete_person(tx, user_id)
    await sql.privacy.update_erased(tx, user_id, rules.names.erased_name(new_id()))
    await crypto.shred(tx, user_id)


PRIVACY = PrivacySection("identity", _export, _blocks, _files, _erase)
