"""What identity does beside the requests: writes its letters, and removes what has served its time."""

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import TypeAlias
from uuid import UUID

from palio.identity import letters, personal, rules, service, sql
from palio.identity.messages import (
    EndSessions,
    KeepNoLonger,
    LiftSuspensions,
    Purge,
    Reindex,
    RemovePictures,
    ResetFactors,
    RunPrivacy,
    SendCode,
    SendFarewell,
    SendLetter,
    SendNote,
    TickExclusions,
    TickPrivacy,
    WriteToWhoeverAsked,
)
from palio.identity.service.privacy import Turn
from palio.identity.types import IP_RETENTION_DAYS, EmailId, EmailRow, LetterKind, TokenPurpose, User
from palio.infra import crypto, files, outbox, settings
from palio.infra.db import Database, Tx
from palio.infra.keyring import BlindIndex
from palio.infra.mail import Letter
from palio.kernel import clock
from palio.kernel.messages import Envelope, handles
from palio.kernel.schedules import Schedule

PRIVACY_SCHEDULE = Schedule("identity.privacy_run", "every 1m", TickPrivacy(), at_start=True)
EXCLUSION_SCHEDULE = Schedule("identity.exclusion_tick", "every 1m", TickExclusions(), at_start=True)
PURGE_SCHEDULE = Schedule("identity.purge", "17 * * * *", Purge())
SESSIONS_SCHEDULE = Schedule("identity.end_sessions", "47 * * * *", EndSessions())
REINDEX_SCHEDULE = Schedule("identity.reindex", "every 10m", Reindex(), at_start=True)
REINDEX_TURNS_MAX = 40  # of one job: then others have their turn, and the next goes on
PICTURES_SCHEDULE = Schedule("identity.remove_pictures", "27 * * * *", RemovePictures())
RETENTION_SCHEDULE = Schedule("identity.retention", "10 3 * * *", KeepNoLonger())
RESET_SCHEDULE = Schedule("identity.reset_factors", "* * * * *", ResetFactors())
LIFT_SCHEDULE = Schedule("identity.lift_suspensions", "* * * * *", LiftSuspensions())

SIGN_UP_AGE = timedelta(days=1)  # the longest time they are counted for
PENDING_AGE, DEAD_LINK_AGE, ENDED_SESSION_AGE = timedelta(days=7), timedelta(days=30), timedelta(days=90)
ATTEMPT_AGE = timedelta(days=425)  # fourteen months
DEAD_CODE_AGE = timedelta(days=2)  # the codes of a day are counted
REVEAL_AGE = timedelta(days=1)
PENDING_AT_ONCE, ATTEMPTS_AT_ONCE, SESSIONS_AT_ONCE = 200, 100_000, 10_000
Recipient: TypeAlias = EmailRow | User
PURPOSE: dict[LetterKind, TokenPurpose] = {
    "email_change": "email_change",
    "email_verification": "email_verification",
    "password_reset": "password_reset",
    "account_exists": "password_reset",
    "erase_confirm": "erase_confirm",
    "login_link": "login_link",
    "invite": "invite",
}


@handles(SendLetter, queue="outgoing")
async def send_letter(database: Database, job: SendLetter, envelope: Envelope) -> None:
    """Write to a contact. Run again, it sends the same link again."""
    async with database.begin_system("a letter") as tx:
        contact = await sql.contacts.find_email(tx, EmailId(job.contact_id))
        letter = await _letter(tx, job.letter, contact, envelope.event_id) if contact else None
    if letter:
        await database.equipment.mail.send(letter)


@handles(WriteToWhoeverAsked, queue="outgoing")
async def write_to_whoever_asked(database: Database, job: WriteToWhoeverAsked, envelope: Envelope) -> None:
    """Write to whoever has the address, at the address that is stored, if anybody has it."""
    async with database.begin_system("a letter") as tx:
        contact = await sql.contacts.find_owner_of(tx, BlindIndex(bytes.fromhex(job.bidx), job.bidx_version))
        letter = await _letter(tx, job.letter, contact, envelope.event_id) if contact else None
    if letter:
        await database.equipment.mail.send(letter)


async def _letter(tx: Tx, kind: LetterKind, contact: EmailRow, token_id: UUID) -> Letter | None:
    if kind == "factors_reset":
        if await sql.resets.find(tx, contact.user_id) is None:
            return None  # it was taken back meanwhile
        return await _note(tx, kind, contact, await personal.address_of(tx, contact), token_id)
    if kind in {"email_change", "invite"} and contact.verified_at:
        return None
    if kind in {"email_change", "email_verification"} and await sql.contacts.is_verified(tx, contact.known):
        if not contact.verified_at:
            return await _note(tx, "email_taken", contact, await personal.address_of(tx, contact), token_id)
        kind = "account_exists"
    if kind == "login_link" and not contact.verified_at:
        kind = "email_verification"
    secret = await service.credentials.make_mailed_link(
        tx, token_id=token_id, purpose=PURPOSE[kind], to=contact, now=clock.now()
    )
    if secret is None:
        return None
    return letters.write(
        kind,
        to=await personal.address_of(tx, contact),
        username=contact.username,
        locale=contact.locale,
        site=tx.equipment.site,
        secret=secret,
        number=token_id.hex,
        life=service.credentials.life_of(tx, purpose=PURPOSE[kind]),
    )


async def _note(tx: Tx, kind: LetterKind, contact: Recipient, address: str, number: UUID) -> Letter:
    """A letter without a secret."""
    return letters.write(
        kind,
        to=address,
        username=contact.username,
        locale=contact.locale,
        site=tx.equipment.site,
        secret="",
        number=number.hex,
    )


@handles(SendNote, queue="outgoing")
async def send_note(database: Database, job: SendNote, envelope: Envelope) -> None:
    """Write to the proven address of somebody, if he has one. Run again, it sends the same letter again."""
    async with database.begin_system("a letter") as tx:
        contact = await sql.contacts.find_primary(tx, job.user_id)
        if contact is None or contact.verified_at is None:
            return
        letter = letters.write_note(
            job.subject,
            job.paragraphs,
            to=await personal.address_of(tx, contact),
            locale=contact.locale,
            link=tx.equipment.site + job.path,
            number=envelope.event_id.hex,
        )
    await database.equipment.mail.send(letter)


@handles(SendFarewell, queue="outgoing")
async def send_farewell(database: Database, job: SendFarewell, envelope: Envelope) -> None:
    """Tell an address that it was removed, or is no longer the one that is written to."""
    async with database.begin_system("a letter") as tx:
        user = await service.accounts.get(tx, name_or_id=job.user_id)
        place = personal.place_of_email(job.contact_id, job.user_id)
        address = await crypto.open_sealed(tx, bytes.fromhex(job.sealed), place)
        letter = await _note(tx, "email_removed", user, address, envelope.event_id)
    await database.equipment.mail.send(letter)


@handles(LiftSuspensions)
async def lift_suspensions(tx: Tx, job: LiftSuspensions) -> None:
    """Let in again whoever was suspended until now; what is more than one turn takes waits for the next minute."""
    await service.suspensions.lift_due(tx, now=clock.now())


@handles(ResetFactors)
async def reset_factors(tx: Tx, job: ResetFactors) -> None:
    """Remove the second factors whose removal was agreed a day ago; a second run finds nothing."""
    await service.resets.carry_out_due(tx, now=clock.now())


@handles(SendCode, queue="outgoing")
async def send_code(database: Database, job: SendCode, envelope: Envelope) -> None:
    """Send a short code. Run again, it sends the same code under the same number; where it went is then forgotten."""
    words = letters.words_of_code(job.locale)
    async with database.begin_system("a code") as tx:
        code = await service.phones.letter_of_code(
            tx, challenge_id=job.challenge_id, locale=job.locale, words=words, now=clock.now()
        )
    if code:
        await database.equipment.otp.send(code)
        async with database.begin_system("a code") as tx:
            await service.phones.forget_target(tx, challenge_id=job.challenge_id)


@handles(Purge, queue="bulk")
async def purge(tx: Tx, job: Purge) -> None:
    """Remove dead links, names that are free again, and people who proved no contact and are needed by no module."""
    now = clock.now()
    stale = await sql.contacts.list_stale_pending(tx, now=now, age=PENDING_AGE, limit=PENDING_AT_ONCE)
    free = [user_id for user_id in stale if not await service.privacy.obstacles(tx, user_id=user_id, now=now)]
    await sql.contacts.delete_users(tx, free)
    await sql.contacts.delete_holds(tx, now=now)
    await sql.credentials.delete_dead_tokens(tx, before=now - DEAD_LINK_AGE)
    await sql.phones.delete_dead_codes(tx, before=now - DEAD_CODE_AGE)
    await sql.external.delete_dead_flows(tx, before=now)
    await sql.methods.delete_dead_proofs(tx, before=now)
    await sql.sign_ups.delete_old(tx, before=now - SIGN_UP_AGE)
    await sql.uploads.delete_days(tx, before=now.astimezone(UTC).date())


@handles(EndSessions, queue="bulk")
async def end_sessions(database: Database, job: EndSessions) -> None:
    """Look at all open sessions, some at a time, and write down which have run out, and when and why.

    Nobody is let in by them any more anyway, so nobody need be told.
    """
    after: sql.sessions.Open | None = sql.sessions.FIRST
    while after is not None:
        async with database.begin_system("sessions that have run out") as tx:
            after = await sql.sessions.update_run_out(tx, after, now=clock.now(), limit=SESSIONS_AT_ONCE)


@handles(Reindex, queue="bulk")
async def reindex(database: Database, job: Reindex) -> None:
    """Take some turns of a rotation of index keys, and have the next job go on while there is more to do."""
    if database.equipment.keyring is None:
        return
    for _ in range(REINDEX_TURNS_MAX):
        async with database.begin_system("a rotation of indexes") as tx:
            if not await service.reindexing.turn(tx, now=clock.now()):
                return
    async with database.begin_system("a rotation of indexes goes on") as tx:
        await outbox.send(tx, Reindex(), key="more")


@handles(RemovePictures, queue="bulk")
async def remove_pictures(database: Database, job: RemovePictures) -> None:
    """Remove the files of pictures that have served, or were never shown; what is left waits for the next hour."""
    async with database.begin_system("pictures that have served") as tx:
        keys = await service.avatars.unneeded(tx, now=clock.now())
    await _remove(database, [rules.names.file_of_avatar(key) for key in keys])
    async with database.begin_system("pictures that have served") as tx:
        await sql.avatars.delete_files(tx, keys)


@handles(KeepNoLonger, queue="bulk")
async def keep_no_longer(tx: Tx, job: KeepNoLonger) -> None:
    """Forget addresses and programs after their time; remove ended sessions and attempts of more than a year ago."""
    now = clock.now()
    await sql.sessions.delete_old(tx, before=now - ENDED_SESSION_AGE)
    await sql.attempts.delete_old(tx, before=now - ATTEMPT_AGE, limit=ATTEMPTS_AT_ONCE)
    await sql.looks.delete_old(tx, reveals_before=now - REVEAL_AGE, now=now)
    before = now - timedelta(days=settings.value(IP_RETENTION_DAYS))
    await sql.attempts.update_forgotten(tx, before=before)
    await sql.contacts.update_forgotten(tx, before=before)
    await sql.sessions.update_forgotten(tx, before=before)


@handles(TickExclusions)
async def tick_exclusions(tx: Tx, job: TickExclusions) -> None:
    """Note which breaks are over, and forget marks that have ended; some at a time."""
    await service.play.end_breaks(tx, now=clock.now())


@handles(TickPrivacy, queue="bulk")
async def tick_privacy(database: Database, job: TickPrivacy) -> None:
    """Begin copies and erasures that are due, and remove copies whose time is over."""
    now = clock.now()
    async with database.begin_system("what people ask of their data") as tx:
        await service.privacy.start_due(tx, now=now)
        gone = await service.privacy.expired(tx, now=now)
        steps = [await service.privacy.steps_of(tx, request_id=one.id) for one in gone]
    for request, parts in zip(gone, steps, strict=True):
        keys = [rules.privacy.part_key(request, step.section) for step in parts]
        await _remove(database, [*keys, request.file_key or ""])
    if gone:
        async with database.begin_system("copies whose time is over") as tx:
            await service.privacy.forget_files(tx, requests=gone)


@handles(RunPrivacy, queue="bulk")
async def run_privacy(database: Database, job: RunPrivacy) -> None:
    """Do the next step of a copy or an erasure. What goes wrong is noted at the step, and tried again by the queue."""
    async with database.begin_system("a step of a request") as tx:
        turn = await service.privacy.next_turn(tx, request_id=job.request_id)
    if turn is None:
        return
    try:
        await (_copy(database, turn) if turn.request.kind == "export" else _erase(database, turn))
    except Exception as failure:
        async with database.begin_system("a step went wrong") as tx:
            await service.privacy.fail_step(tx, turn=turn, failure=type(failure).__name__)
        raise


async def _copy(database: Database, turn: Turn) -> None:
    """Write the part of a module, or put all parts together. Of several at once all go on with what the first wrote."""
    if turn.section is None:
        await _put_together(database, turn)
        return
    async with database.begin_system("a part of a copy") as tx:
        part = await service.privacy.write_part(tx, section=turn.section, user_id=turn.request.user_id)
    part = await _kept(database, turn, rules.privacy.part_key(turn.request, turn.section.module), part)
    async with database.begin_system("a part of a copy") as tx:
        await service.privacy.finish_step(tx, turn=turn, rows=part.count(b"\n"), now=clock.now())


async def _kept(database: Database, turn: Turn, key: str, content: bytes) -> bytes:
    """Keep this under the key, encrypted, and answer it; where something is kept there already, answer that."""
    storage = files.storage_of(database)
    if await storage.keep(key, crypto.encrypted(content, turn.secret, key)):
        return content
    return crypto.decrypted(await storage.get(key), turn.secret, key)


async def _put_together(database: Database, turn: Turn) -> None:
    now, key = clock.now(), turn.request.file_key or ""
    async with database.begin_system("the parts of a copy") as tx:
        steps = await service.privacy.steps_of(tx, request_id=turn.request.id)
    storage = files.storage_of(database)
    parts = {}
    try:
        for step in steps:
            part = rules.privacy.part_key(turn.request, step.section)
            parts[f"{step.section}.jsonl"] = crypto.decrypted(await storage.get(part), turn.secret, part)
    except FileNotFoundError:
        async with database.begin_system("the parts of a copy") as tx:
            if await service.privacy.hold_step(tx, turn=turn):
                raise
        return  # somebody was quicker: he has put them together and removed them
    parts["README.txt"] = rules.privacy.explained(steps, site=database.equipment.site, at=now).encode()
    content = await _kept(database, turn, key, await asyncio.to_thread(_packed, parts))
    async with database.begin_system("a copy is ready") as tx:
        await service.privacy.finish_export(tx, request=turn.request, content=content, now=now)
    await _remove(database, [rules.privacy.part_key(turn.request, step.section) for step in steps])


def _packed(parts: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return packed.getvalue()


async def _erase(database: Database, turn: Turn) -> None:
    """Have a module forget somebody: his files first, then the rest in one transaction with the step."""
    user_id = turn.request.user_id
    if turn.section:
        async with database.begin_system("files of somebody who goes") as tx:
            keys = await turn.section.files(tx, user_id)
        await _remove(database, keys)
    async with database.begin_system("somebody is erased") as tx:
        if not await service.privacy.hold_step(tx, turn=turn):
            return
        if turn.section is None:
            await service.privacy.finish_erasure(tx, request=turn.request, now=clock.now())
        else:
            await turn.section.erase(tx, user_id, clock.now())
            await service.privacy.finish_step(tx, turn=turn, rows=None, now=clock.now())


async def _remove(database: Database, keys: Sequence[str]) -> None:
    for key in keys:
        await files.storage_of(database).delete(key)
