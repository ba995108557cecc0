"""Pictures that players show of themselves: drawn anew, stored before they are named, gone when they have served."""

import secrets
from datetime import datetime, timedelta

from palio.identity import sql
from palio.identity.errors import NoSuchAvatar, OwnAccount
from palio.identity.messages import ProfileChanged
from palio.identity.service import accounts
from palio.infra import approvals, audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId

KEY_BYTES = 16
KEPT_UNNAMED = timedelta(hours=24)
FILES_AT_ONCE = 500


async def announce(tx: Tx, *, user_id: UserId, now: datetime) -> str:
    """Note that a picture of a user is about to be stored; answers the key, which nobody guesses.

    What is never shown is removed after a day. Refuses with NoSuchUser.
    """
    await accounts.get(tx, name_or_id=user_id)
    key = secrets.token_hex(KEY_BYTES)
    await sql.avatars.insert_file(tx, key, user_id, now=now)
    return key


async def show(tx: Tx, *, user_id: UserId, key: str, now: datetime) -> None:
    """Show a picture of a user, whose file is stored; the one before is served no more."""
    await sql.credentials.lock_user(tx, user_id)
    await sql.avatars.update_avatar(tx, user_id, key, now=now)
    await outbox.send(tx, ProfileChanged(user_id, ("avatar",)))


async def remove(tx: Tx, *, user_id: UserId, now: datetime) -> bool:
    """Show no picture of a user any more; False where there was none, and nothing is changed."""
    await sql.credentials.lock_user(tx, user_id)
    if await sql.avatars.find_avatar(tx, user_id) is None:
        return False
    await sql.avatars.update_avatar(tx, user_id, None, now=now)
    await outbox.send(tx, ProfileChanged(user_id, ("avatar",)))
    return True


async def remove_by_staff(tx: Tx, *, user_id: UserId, reason: str, now: datetime) -> None:
    """The same by staff, with a reason. Audited.

    Refuses with NoSuchUser, OwnAccount, NoSuchAvatar, and with approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    user = await accounts.get(tx, name_or_id=user_id)
    if user.id == tx.actor.user_id:
        raise OwnAccount
    if not await remove(tx, user_id=user.id, now=now):
        raise NoSuchAvatar
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.remove_avatar",
        entity_type="user",
        entity_id=str(user.id),
        changes={"avatar": ("shown", None)},
        reason=why,
        subject=user.id,
    )


async def require_shown(tx: Tx, *, key: str) -> None:
    """Let a picture be read that is shown of somebody now. Refuses with NoSuchAvatar."""
    if not await sql.avatars.is_shown(tx, key):
        raise NoSuchAvatar


async def unneeded(tx: Tx, *, now: datetime) -> list[str]:
    """Files that have served, or were never shown for a day; at most 500."""
    return await sql.avatars.list_unneeded(tx, unnamed_before=now - KEPT_UNNAMED, limit=FILES_AT_ONCE)
