"""Accounts: made by an operator, found, and shown to others."""

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import date, datetime
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import NameImitates, NoSuchUser, UsernameTaken
from palio.identity.messages import ProfileChanged, UserRegistered
from palio.identity.types import (
    RESERVED_NAMES,
    USERNAME_MAX,
    BoardName,
    Card,
    LocalDay,
    Me,
    Standing,
    User,
    UserKind,
    ZoneChange,
)
from palio.infra import audit, crypto, outbox, settings
from palio.infra.db import Tx
from palio.kernel.errors import Stale, TooLarge
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
    require_username(tx, text=username)
    shown = rules.names.require_display_name(username if display_name is None else display_name)
    await require_own_face(tx, username=username, display_name=shown)
    user = rules.names.new_user(user_id=UserId(new_id()), username=username, display_name=shown, kind=kind, now=now)
    if not await sql.users.insert_user(tx, user):
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


def require_username(tx: Tx, *, text: str) -> str:
    """The name, if anybody may bear it here. Refuses with UsernameInvalid, UsernameReserved."""
    longest, reserved = settings.value(USERNAME_MAX), settings.value(RESERVED_NAMES)
    return rules.names.require_username(text, longest=longest, reserved=reserved)


async def require_own_face(tx: Tx, *, username: str, display_name: str) -> None:
    """Let a shown name be borne that is not somebody else's in another script. Refuses with NameImitates."""
    key = rules.names.imitated_key(display_name)
    if key is None or key == rules.names.key_of(username):
        return
    if imitated := await sql.users.find_by_key(tx, key):
        raise NameImitates(display_name=display_name, username=imitated.username)


async def find(tx: Tx, *, name_or_id: str | UUID) -> User | None:
    """The user of this name (upper and lower case alike) or id, or None."""
    if user_id := rules.names.id_of(name_or_id):
        return await sql.users.find_by_id(tx, user_id)
    key = rules.names.key_of(str(name_or_id))
    return await sql.users.find_by_key(tx, key) if key else None


async def ids_many(tx: Tx, texts: Collection[str]) -> dict[str, UserId]:
    """Whose user name (upper and lower case alike) or id each of at most 10,000 texts is; unknown ones are absent.

    Refuses with TooLarge.
    """
    wanted = set(texts)
    if len(wanted) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(wanted))
    asked: dict[str, UserId | str] = {}
    for text in wanted:
        if name := rules.names.id_of(text) or rules.names.key_of(text):
            asked[text] = name
    ids = [name for name in asked.values() if isinstance(name, UUID)]
    keys = [name for name in asked.values() if isinstance(name, str)]
    found = await sql.users.list_by_names(tx, ids, keys)
    known: dict[UserId | str, UserId] = {name: user.id for user in found for name in (user.id, user.username.lower())}
    return {text: known[name] for text, name in asked.items() if name in known}


async def has_anybody(tx: Tx) -> bool:
    """Has anybody an account here?"""
    return await sql.users.has_users(tx)


async def get(tx: Tx, *, name_or_id: str | UUID) -> User:
    """The user of this name or id. Refuses with NoSuchUser."""
    user = await find(tx, name_or_id=name_or_id)
    if user is None:
        raise NoSuchUser(user=str(name_or_id))
    return user


async def update_profile(
    tx: Tx,
    *,
    user_id: UserId,
    display_name: str | None = None,
    board_name: BoardName | None = None,
    locale: str | None = None,
    version: int | None = None,
) -> User:
    """Change what a user says of himself; what is None stays. `version` is the one he saw.

    Refuses with NoSuchUser, Stale, DisplayNameInvalid, CharacterNotAllowed, MixedScripts, NameImitates, LocaleInvalid.
    """
    await sql.credentials.lock_user(tx, user_id)
    user = await get(tx, name_or_id=user_id)
    if version is not None and version != user.version:
        raise Stale(version=user.version)
    shown = user.display_name if display_name is None else rules.names.require_display_name(display_name)
    if shown != user.display_name:
        await require_own_face(tx, username=user.username, display_name=shown)
    changed = replace(
        user,
        display_name=shown,
        board_name=board_name or user.board_name,
        locale=user.locale if locale is None else rules.names.require_locale(locale),
    )
    if changed == user:
        return user
    await sql.users.update_profile(
        tx, user_id, display_name=shown, board_name=changed.board_name, locale=changed.locale
    )
    before, after = asdict(user), asdict(changed)
    fields = tuple(name for name in before if before[name] != after[name])
    await outbox.send(tx, ProfileChanged(user_id, fields))
    return await get(tx, name_or_id=user_id)


async def rename(tx: Tx, *, user_id: UserId, username: str, now: datetime) -> User:
    """Give a user another name, at most once in 30 days; nobody gets the old one for 90 days. Audited.

    The same name changes nothing. Refuses with NoSuchUser, UsernameInvalid, UsernameReserved, UsernameTaken,
    UsernameChangeTooSoon.
    """
    await sql.credentials.lock_user(tx, user_id)
    user = await get(tx, name_or_id=user_id)
    if username == user.username:
        return user
    require_username(tx, text=username)
    rules.names.require_rename(await sql.users.find_renamed_at(tx, user_id), now)
    old, new = user.username.lower(), username.lower()
    if new != old:
        await sql.users.lock_name(tx, new)
        if await sql.contacts.is_held(tx, new, now=now) or await sql.users.find_by_key(tx, new):
            raise UsernameTaken(username=username)
        await sql.contacts.upsert_hold(tx, old, now=now, until=now + rules.names.RENAMED_HELD)
    await sql.users.update_username(tx, user_id, username, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.rename",
        entity_type="user",
        entity_id=str(user_id),
        changes={"username": (user.username, username)},
        subject=user_id,
        via="web",
    )
    await outbox.send(tx, ProfileChanged(user_id, ("username",)))
    return await get(tx, name_or_id=user_id)


async def say_once(
    tx: Tx, *, user_id: UserId, born: date | None = None, country: str | None = None, now: datetime
) -> None:
    """Write down when a user was born and where he lives, for what the house asks of players; None says nothing.

    What was said stands; the same again changes nothing. Where he seemed to be when he registered is not what he said.
    For the system, the user locked by the caller. Refuses with
    NoSuchUser, SaidAlready, BirthDateInvalid, CountryInvalid.
    """
    known = await me(tx, user_id=user_id, now=now)
    rules.names.require_unsaid("birth_date", known.born, born)
    said = None if known.user.country_source == "geo" else known.user.country
    rules.names.require_unsaid("country", said, country)
    fields: list[str] = []
    if born and known.born is None:
        text = rules.names.require_birth_date(born, now).isoformat()
        sealed = await crypto.seal(tx, text, personal.place_of_birth_date(user_id))
        await sql.users.upsert_birth_date(tx, user_id, sealed, now=now)
        fields.append("birth_date")
    if country and said is None:
        await sql.users.update_country(tx, user_id, rules.names.require_country(country))
        fields.append("country")
    if fields:
        await outbox.send(tx, ProfileChanged(user_id, tuple(fields)))


async def me(tx: Tx, *, user_id: UserId, now: datetime) -> Me:
    """A user as he sees himself, his address and name in clear; staff who look as him see that there are some.

    Refuses with NoSuchUser.
    """
    user, standing = await get(tx, name_or_id=user_id), await sql.users.get_standing(tx, user_id, now=now)
    email = full_name = born = None
    if tx.actor.impersonator:
        standing = replace(standing, email_id=None, full_name=None, birth_date=None, telegram_id=None)
    if standing.email_id and standing.address:
        email = await crypto.open_sealed(tx, standing.address, personal.place_of_email(standing.email_id, user_id))
    if standing.full_name:
        full_name = await crypto.open_sealed(tx, standing.full_name, personal.place_of_full_name(user_id))
    if standing.birth_date:
        born = await crypto.open_sealed(tx, standing.birth_date, personal.place_of_birth_date(user_id))
    return Me(
        user,
        audit.SEALED if tx.actor.impersonator else email,
        standing.verified_at is not None,
        full_name,
        date.fromisoformat(born) if born else None,
        standing.is_admin,
        standing.has_password,
        standing.has_totp,
        standing.has_passkey,
        standing.recovery_codes_left,
        standing.last_login_at,
        _today(user, standing, now),
        tuple(await sql.methods.list_ways(tx, user_id)),
        standing.telegram_id,
        standing.avatar_key,
    )


def _today(user: User, standing: Standing, now: datetime) -> LocalDay:
    changes = [ZoneChange(at, zone) for zone, at in zip(standing.zones, standing.zones_from, strict=True)]
    zone = rules.zones.zone_at(changes, user.time_zone, now)
    return LocalDay(zone, rules.zones.local_date(changes, user.time_zone, now))


async def cards(tx: Tx, *, ids: Collection[UserId]) -> dict[UserId, Card]:
    """What everybody may know of at most 10,000 users, whoever asks; unknown ones are absent.

    Refuses with TooLarge.
    """
    if len(ids) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(ids))
    return {card.id: card for card in await sql.users.list_cards(tx, list(ids))} if ids else {}


async def countries(tx: Tx, *, ids: Collection[UserId]) -> dict[UserId, str]:
    """Where at most 10,000 users say they live; who says nothing, and whom the caller does not see, is absent.

    Refuses with TooLarge.
    """
    if len(ids) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(ids))
    found = await sql.users.list_countries(tx, list(ids)) if ids else []
    return {each.id: each.country for each in found}


async def card_named(tx: Tx, *, name: str) -> Card | None:
    """What everybody may know of whoever bears a user name (upper and lower case alike), whoever asks."""
    key = rules.names.key_of(name)
    return await sql.users.find_card(tx, key) if key else None


async def names(tx: Tx, *, ids: Collection[UserId], viewer: Actor | None = None) -> dict[UserId, str]:
    """How at most 10,000 users are shown to `viewer` (None: to the public); unknown ones are absent.

    A stranger reads what the bearer chose to show; staff and the bearer himself read the whole name.
    Refuses with TooLarge.
    """
    found = await cards(tx, ids=ids)
    return {user_id: rules.names.name_for(card, viewer) for user_id, card in found.items()}
