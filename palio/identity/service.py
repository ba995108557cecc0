"""Use cases of identity."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from palio.identity import rules, sql
from palio.identity.errors import NameImitates, NoSuchUser, UsernameTaken
from palio.identity.messages import UserRegistered
from palio.identity.types import USERNAME_MAX, Card, User, UserKind
from palio.infra import audit, outbox, settings
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, UserId, new_id

USERS_OF_A_CALL_MAX = 10_000


async def create(
    tx: Tx,
    *,
    username: str,
    display_name: str | None = None,
    kind: UserKind = "person",
    now: datetime,
    reason: str = "",
    via: audit.Via | None = None,
) -> User:
    """Make an active account that cannot sign in yet, for an operator who vouches for it; audited with his reason.

    Who has no display name is shown under his user name.
    Refuses with UsernameInvalid, UsernameReserved, UsernameTaken, DisplayNameInvalid, CharacterNotAllowed,
    MixedScripts, NameImitates.
    """
    rules.require_username(username, longest=settings.value(USERNAME_MAX))
    shown = rules.require_display_name(username if display_name is None else display_name)
    await _require_own_face(tx, username, shown)
    user = rules.new_user(user_id=UserId(new_id()), username=username, display_name=shown, kind=kind, now=now)
    if not await sql.insert_user(tx, user):
        raise UsernameTaken(username=username)
    changes = {"username": (None, username), "kind": (None, kind), "status": (None, user.status)}
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.create",
        entity_type="user",
        entity_id=str(user.id),
        changes=changes,
        reason=reason,
        subject=user.id,
        via=via,
    )
    await outbox.send(tx, UserRegistered(user.id, user.registered_with))
    return await get(tx, name_or_id=user.id)


async def _require_own_face(tx: Tx, username: str, display_name: str) -> None:
    key = rules.imitated_key(display_name)
    if key is None or key == rules.key_of(username):
        return
    if imitated := await sql.find_by_key(tx, key):
        raise NameImitates(display_name=display_name, username=imitated.username)


async def find(tx: Tx, *, name_or_id: str | UUID) -> User | None:
    """The user of this name (upper and lower case alike) or id, or None."""
    if user_id := rules.id_of(name_or_id):
        return await sql.find_by_id(tx, user_id)
    key = rules.key_of(str(name_or_id))
    return await sql.find_by_key(tx, key) if key else None


async def has_anybody(tx: Tx) -> bool:
    """Has anybody an account here?"""
    return await sql.has_users(tx)


async def get(tx: Tx, *, name_or_id: str | UUID) -> User:
    """The user of this name or id. Refuses with NoSuchUser."""
    user = await find(tx, name_or_id=name_or_id)
    if user is None:
        raise NoSuchUser(user=str(name_or_id))
    return user


async def cards(tx: Tx, *, ids: Collection[UserId]) -> dict[UserId, Card]:
    """What everybody may know of at most 10,000 users, whoever asks; unknown ones are absent.

    Refuses with TooLarge.
    """
    if len(ids) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(ids))
    return {card.id: card for card in await sql.list_cards(tx, list(ids))} if ids else {}


async def names(tx: Tx, *, ids: Collection[UserId], viewer: Actor | None = None) -> dict[UserId, str]:
    """How at most 10,000 users are shown to `viewer` (None: to the public); unknown ones are absent.

    A stranger reads what the bearer chose to show; staff and the bearer himself read the whole name.
    Refuses with TooLarge.
    """
    found = await cards(tx, ids=ids)
    return {user_id: rules.name_for(card, viewer) for user_id, card in found.items()}
