"""What identity does beside the requests: writes its letters, and removes what has served its time."""

from datetime import timedelta
from uuid import UUID

from palio.identity import letters, personal, service, sql
from palio.identity.messages import Purge, SendCode, SendLetter, WriteToWhoeverAsked
from palio.identity.types import IP_RETENTION_DAYS, EmailId, EmailRow, LetterKind, TokenPurpose
from palio.infra import settings
from palio.infra.db import Database, Tx
from palio.infra.keyring import BlindIndex
from palio.infra.mail import Letter
from palio.kernel import clock
from palio.kernel.messages import Envelope, handles
from palio.kernel.schedules import Schedule

PURGE_SCHEDULE = Schedule("identity.purge", "17 * * * *", Purge())

PENDING_AGE, DEAD_LINK_AGE, ENDED_SESSION_AGE = timedelta(days=7), timedelta(days=30), timedelta(days=90)
DEAD_CODE_AGE = timedelta(days=2)  # the codes of a day are counted
PENDING_AT_ONCE = 1_000
PURPOSE: dict[LetterKind, TokenPurpose] = {
    "email_verification": "email_verification",
    "password_reset": "password_reset",
    "account_exists": "password_reset",
    "login_link": "login_link",
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
    if kind == "email_verification" and contact.verified_at:
        kind = "account_exists"
    elif kind == "login_link" and not contact.verified_at:
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
    )


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
    """Remove dead links, ended sessions and people who never proved a contact; forget addresses after their time."""
    now = clock.now()
    stale = await sql.contacts.list_stale_pending(tx, now=now, age=PENDING_AGE, limit=PENDING_AT_ONCE)
    await sql.contacts.delete_users(tx, stale)
    await sql.contacts.delete_holds(tx, now=now)
    await sql.credentials.delete_dead_tokens(tx, before=now - DEAD_LINK_AGE)
    await sql.phones.delete_dead_codes(tx, before=now - DEAD_CODE_AGE)
    await sql.external.delete_dead_flows(tx, before=now)
    await sql.methods.delete_dead_proofs(tx, before=now)
    await sql.sessions.delete_old(tx, before=now - ENDED_SESSION_AGE)
    before = now - timedelta(days=settings.value(IP_RETENTION_DAYS))
    await sql.attempts.update_forgotten(tx, before=before)
    await sql.contacts.update_forgotten(tx, before=before)
