"""Invitations: staff name an address, and whoever opens the letter makes the account; that proves the address."""

import secrets
from collections.abc import Collection
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import EmailTaken, TokenInvalid
from palio.identity.messages import SendLetter
from palio.identity.service import arrivals, registration
from palio.identity.types import (
    PERMISSION_EMAIL_BYPASS,
    Application,
    Invitation,
    PasswordHash,
    TokenRow,
    Visitor,
)
from palio.infra import approvals, audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId

LISTED_MAX = 200


async def invite(tx: Tx, *, email: str, reason: str, held: Collection[str], now: datetime) -> Invitation:
    """Write to an address whose owner may make an account within a week, whoever else may. Audited.

    `held` is what the one who invites may do: with `identity.email_rule.bypass` the e-mail rules are passed over.
    Refuses with EmailInvalid, EmailNotAllowed, EmailTaken, RegistrationRefused, and with approvals.ReasonMissing.
    """
    why, address = approvals.checked_reason(reason), personal.canonical_email(email)
    is_bypassed = PERMISSION_EMAIL_BYPASS.name in held
    if not is_bypassed:
        await registration.require_email(tx, text=email)
    owner = await sql.contacts.find_owner_of(tx, personal.email_index(tx, address))
    if owner and owner.verified_at:
        raise EmailTaken
    await arrivals.require_unmarked(tx, marks=personal.normal_index(tx, address).known, now=now)
    drawn = rules.methods.generated_name(secrets.token_bytes(rules.methods.NAME_CHARACTERS))
    contact = await registration.open_account(tx, address=address, stem=drawn, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.invite",
        entity_type="user",
        entity_id=str(contact.user_id),
        changes={"email": (None, audit.SEALED), "email_rules": (None, "passed over" if is_bypassed else "asked")},
        reason=why,
        subject=contact.user_id,
    )
    await outbox.send(tx, SendLetter("invite", contact.id))
    return Invitation(contact.user_id, contact.username, now)


async def waiting(tx: Tx) -> list[Invitation]:
    """Accounts that wait for whoever was invited, the newest first; at most 200. For staff."""
    return await sql.contacts.list_invited(tx, LISTED_MAX)


async def accept(
    tx: Tx, *, token: TokenRow, application: Application, password: PasswordHash, visitor: Visitor, now: datetime
) -> UserId:
    """Use a letter up: the address is his, and the account is active under the name and password he chose.

    The address of the application is not looked at. Of two at once one is refused. Refuses with TokenInvalid, as
    `registration.judge_person` does, and with RegistrationRefused who is not to play.
    """
    user_id, key = token.user_id, application.username.lower()
    await registration.lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    contact = await sql.contacts.find_by_index(tx, user_id, token.target_bidx)
    if contact is None or contact.status != "pending":
        raise TokenInvalid
    normal = personal.normal_index(tx, await personal.address_of(tx, contact))
    await arrivals.require_unmarked(tx, marks=normal.known, now=now)
    await sql.users.lock_name(tx, key)
    await registration.judge_person(tx, application=application, bearer=user_id, now=now)
    shown = rules.names.require_display_name(application.display_name or application.username)
    await sql.users.update_applicant(tx, user_id, application, display_name=shown)
    if application.country is not None:
        await sql.users.update_country(tx, user_id, application.country)
    await registration.take_address(tx, user_id=user_id, bidx=token.target_bidx, now=now)
    await sql.credentials.upsert_password(tx, user_id, password, now=now)
    await registration.take_in(tx, user_id=user_id, application=application, visitor=visitor, now=now)
    return user_id
