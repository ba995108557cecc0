"""People who come in by what somebody else vouches for: the first time they get an account, under a drawn name."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from palio.identity import personal, rules, sql
from palio.identity.errors import InvitationNeeded, RegistrationClosed, RegistrationRefused, TooManyAttempts
from palio.identity.messages import UserRegistered
from palio.identity.service import documents, sessions
from palio.identity.types import REGISTRATION, AuthMethod, Consents, NewUser, Visitor
from palio.infra import outbox, settings
from palio.infra.db import Tx
from palio.kernel.errors import Unavailable
from palio.kernel.ids import UserId, new_id

SIGN_UPS = ((3, timedelta(hours=1)), (10, timedelta(days=1)))  # new accounts of one network, and of one device


def require_open(tx: Tx) -> None:
    """Let somebody make an account by himself. Refuses with RegistrationClosed, InvitationNeeded."""
    if (opened := settings.value(REGISTRATION)) != "open":
        raise InvitationNeeded if opened == "invite" else RegistrationClosed


async def require_unmarked(tx: Tx, *, marks: Sequence[bytes], now: datetime) -> None:
    """Let somebody begin whom none of these marks tells to be resting. Refuses with RegistrationRefused."""
    if await sql.play.is_marked(tx, marks, now=now):
        raise RegistrationRefused


async def count_device(tx: Tx, *, visitor: Visitor, now: datetime) -> None:
    """Count that an account is asked for on a device, whether one is made of it: from outside both look alike.

    Refuses with TooManyAttempts.
    """
    if visitor.device_key is None:
        return
    device_hash = personal.hash_of(visitor.device_key)
    await sql.attempts.lock_subjects(tx, device_hash, device_hash)
    for count, window in SIGN_UPS:
        if await sql.sign_ups.count_sign_ups(tx, device_hash, since=now - window) >= count:
            raise TooManyAttempts(retry_after_s=int(window.total_seconds()))
    await sql.sign_ups.insert_sign_up(tx, new_id(), device_hash, now=now)


async def begin_account(
    tx: Tx,
    *,
    method: AuthMethod,
    marks: Sequence[bytes],
    consents: Consents,
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> UserId:
    """Make an active account for somebody who has proven who he is elsewhere; he may choose another name later.

    `marks` is what he is known by if he is not to play, `consents` what he accepts. Refuses with RegistrationClosed,
    InvitationNeeded, ConsentRequired, RegistrationRefused, TooManyAttempts, Unavailable.
    """
    require_open(tx)
    given = dict(consents)
    rules.documents.require_consents(await documents.needed(tx, locale=locale, now=now), given)
    await require_unmarked(tx, marks=marks, now=now)
    network = personal.network_of(tx, visitor.ip)
    await sql.attempts.lock_subjects(tx, network.net, network.net)
    for count, window in SIGN_UPS:
        if await sql.contacts.count_registrations(tx, network.net, since=now - window) >= count:
            raise TooManyAttempts(retry_after_s=int(window.total_seconds()))
    await count_device(tx, visitor=visitor, now=now)
    username = rules.methods.generated_name(secrets.token_bytes(rules.methods.NAME_CHARACTERS))
    user = NewUser(
        UserId(new_id()),
        username,
        username,
        kind="person",
        status="active",
        registered_with=method,
        locale=locale,
        time_zone="UTC",
        board_name="full",
        created_at=now,
        activated_at=now,
        country=network.country,
        city=network.city,
    )
    if not await sql.users.insert_user(tx, user):
        raise Unavailable(retry_after_s=1)  # one in 800 billion draws a name that is taken
    await documents.give_all(tx, user_id=user.id, given=given, locale=locale, ip=visitor.ip, now=now)
    await sessions.note_network(tx, user_id=user.id, visitor=visitor, kind="registration", now=now)
    await outbox.send(tx, UserRegistered(user.id, method))
    return user.id
