"""The addresses of a user: added, proven, chosen to be written to, and removed; the removed one is told."""

from collections.abc import Collection
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import (
    EmailIsPrimary,
    EmailKnown,
    EmailUnverified,
    NoSuchEmail,
    TokenInvalid,
    TooManyEmails,
)
from palio.identity.messages import SendFarewell, SendLetter
from palio.identity.service import credentials, registration
from palio.identity.sql.contacts import OwnEmail
from palio.identity.types import AuthMethod, Email, EmailId
from palio.infra import crypto, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

EMAILS_MAX = 3


async def emails_of(tx: Tx, *, user_id: UserId) -> list[Email]:
    """The addresses of a user, the primary one first; staff who look as him see that there are some."""
    rows = await sql.contacts.list_emails(tx, user_id)
    sealed = [(row.address, personal.place_of_email(row.id, user_id)) for row in rows]
    opened = await personal.shown(tx, sealed)
    return [
        Email(row.id, address, row.is_primary, row.verified_at, row.created_at)
        for row, address in zip(rows, opened, strict=True)
    ]


async def add_email(tx: Tx, *, user_id: UserId, text: str, now: datetime) -> EmailId:
    """Add an address to those of a user; it counts once he has opened the link that is sent to it. Audited.

    Whether it is somebody else's is told to the address alone. Refuses with EmailInvalid, EmailNotAllowed, EmailKnown,
    TooManyEmails.
    """
    address = await registration.require_email(tx, text=text)
    await sql.credentials.lock_user(tx, user_id)
    known = await sql.contacts.list_emails(tx, user_id)
    index = personal.email_index(tx, address)
    if any(row.bidx in index.known for row in known):
        raise EmailKnown
    if len(known) >= EMAILS_MAX:
        raise TooManyEmails(limit=EMAILS_MAX)
    email_id = EmailId(new_id())
    sealed = await crypto.seal(tx, address, personal.place_of_email(email_id, user_id))
    normal = personal.normal_index(tx, address)
    await sql.contacts.insert_email(tx, email_id, user_id, address=sealed, index=index, normal=normal, now=now)
    await outbox.send(tx, SendLetter("email_change", email_id))
    await credentials.tell_of_change(tx, user_id=user_id, what="email_added")
    return email_id


async def send_again(tx: Tx, *, user_id: UserId, email_id: EmailId) -> None:
    """Send the link to an address that is not proven yet once more, as often as an address gets letters.

    Refuses with NoSuchEmail.
    """
    found, _ = await _own(tx, user_id, email_id)
    if found.verified_at is None:
        await outbox.send(tx, SendLetter("email_change", email_id))


async def verify_email(tx: Tx, *, user_id: UserId, secret: str, now: datetime) -> None:
    """Prove an address that this user has added, by the mailed link. Of two who prove it, one is refused.

    Refuses with TokenInvalid.
    """
    token = await credentials.open_link(tx, secret=secret, purpose="email_change", now=now)
    if token.user_id != user_id:
        raise TokenInvalid
    await registration.lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    await registration.take_address(tx, user_id=user_id, bidx=token.target_bidx, now=now)


async def make_primary(tx: Tx, *, user_id: UserId, email_id: EmailId) -> None:
    """Write to this address from now on; the one before is told. Audited. Again it changes nothing.

    Refuses with NoSuchEmail, EmailUnverified.
    """
    await sql.credentials.lock_user(tx, user_id)
    found, known = await _own(tx, user_id, email_id)
    if found.is_primary:
        return
    if found.verified_at is None:
        raise EmailUnverified
    await sql.contacts.update_primary(tx, user_id, email_id)
    await _part(tx, user_id, next((row for row in known if row.is_primary), None))
    await credentials.tell_of_change(tx, user_id=user_id, what="email_primary")


async def remove_email(
    tx: Tx, *, user_id: UserId, email_id: EmailId, opened: Collection[AuthMethod], now: datetime
) -> None:
    """Remove an address that is not the primary one; its links are good for nothing any more, and it is told. Audited.

    A proven one is a way in: another that is `opened` must be left. Refuses with NoSuchEmail, EmailIsPrimary,
    LastLoginMethod.
    """
    await sql.credentials.lock_user(tx, user_id)
    found, _ = await _own(tx, user_id, email_id)
    if found.is_primary:
        raise EmailIsPrimary
    if found.verified_at:
        rules.methods.require_another(await sql.methods.list_ways(tx, user_id, but=email_id), opened)
    await sql.contacts.delete_email(tx, user_id, email_id)
    await sql.credentials.update_revoked_for(tx, user_id, found.bidx, now=now)
    await _part(tx, user_id, found)
    await credentials.tell_of_change(tx, user_id=user_id, what="email_removed")


async def _part(tx: Tx, user_id: UserId, row: OwnEmail | None) -> None:
    """Write to an address that was somebody's; one that he never proved is nobody to write to."""
    if row and row.verified_at:
        await outbox.send(tx, SendFarewell(user_id, row.id, row.address.hex()))


async def _own(tx: Tx, user_id: UserId, email_id: EmailId) -> tuple[OwnEmail, list[OwnEmail]]:
    known = await sql.contacts.list_emails(tx, user_id)
    for row in known:
        if row.id == email_id:
            return row, known
    raise NoSuchEmail
