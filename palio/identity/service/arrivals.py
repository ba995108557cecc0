"""People who come in by what somebody else vouches for: the first time they get an account, under a drawn name."""

import secrets
from datetime import datetime, timedelta

from palio.identity import personal, rules, sql
from palio.identity.errors import RegistrationClosed, TooManyAttempts
from palio.identity.messages import UserRegistered
from palio.identity.service import sessions
from palio.identity.types import REGISTRATION, AuthMethod, NewUser, Visitor
from palio.infra import outbox, settings
from palio.infra.db import Tx
from palio.kernel.errors import Unavailable
from palio.kernel.ids import UserId, new_id

SIGN_UPS = ((3, timedelta(hours=1)), (10, timedelta(days=1)))  # new accounts of one network


async def begin_account(tx: Tx, *, method: AuthMethod, locale: str, visitor: Visitor, now: datetime) -> UserId:
    """Make an active account for somebody who has proven who he is elsewhere; he may choose another name later.

    Refuses with RegistrationClosed, TooManyAttempts, Unavailable.
    """
    if settings.value(REGISTRATION) == "closed":
        raise RegistrationClosed
    network = personal.network_of(tx, visitor.ip)
    await sql.attempts.lock_subjects(tx, network.net, network.net)
    for count, window in SIGN_UPS:
        if await sql.contacts.count_registrations(tx, network.net, since=now - window) >= count:
            raise TooManyAttempts(retry_after_s=int(window.total_seconds()))
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
    )
    if not await sql.users.insert_user(tx, user):
        raise Unavailable(retry_after_s=1)  # one in 800 billion draws a name that is taken
    await sessions.note_network(tx, user_id=user.id, visitor=visitor, kind="registration", now=now)
    await outbox.send(tx, UserRegistered(user.id, method))
    return user.id
