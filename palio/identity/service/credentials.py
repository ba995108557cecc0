"""Passwords, and the links that are mailed. A link's secret is derived from its row by the keyring: no table has it."""

from datetime import datetime, timedelta
from uuid import UUID

from palio.identity import personal, sql
from palio.identity.errors import NoSuchUser, PepperNeeded, TokenInvalid
from palio.identity.messages import Change, SecurityChanged, TelegramUnlinked, WriteToWhoeverAsked
from palio.identity.service import registration, sessions, tokens
from palio.identity.types import (
    LINK_MINUTES,
    Account,
    EmailRow,
    LetterKind,
    PasswordHash,
    SessionId,
    TokenPurpose,
    TokenRow,
)
from palio.infra import audit, outbox, settings
from palio.infra.db import Tx
from palio.infra.keyring import KeyringError
from palio.kernel.ids import UserId, new_id

LETTERS = ((2, timedelta(hours=1)), (5, timedelta(days=1)))  # at most so many of a purpose to one address


def life_of(tx: Tx, *, purpose: TokenPurpose) -> timedelta:
    """How long a link of this purpose is good from now on."""
    return timedelta(minutes=settings.value(LINK_MINUTES[purpose]))


async def ask_for_letter(tx: Tx, *, letter: LetterKind, email: str) -> None:
    """Have somebody written to, if the address is anybody's; what is done here is the same in either case.

    Refuses with EmailInvalid.
    """
    index = personal.email_index(tx, personal.canonical_email(email))
    await outbox.send(tx, WriteToWhoeverAsked(letter, index.digest.hex(), index.version))


async def make_mailed_link(tx: Tx, *, token_id: UUID, purpose: TokenPurpose, to: EmailRow, now: datetime) -> str | None:
    """The secret of a link for a letter, or None if the address has had its share of letters.

    The link of that id is made once; asked again, the same secret is returned.
    """
    if not await sql.credentials.has_token(tx, token_id):
        await sql.credentials.lock_user(tx, to.user_id)
        for count_max, window in LETTERS:
            if await sql.credentials.count_tokens_since(tx, to.bidx, purpose, now - window) >= count_max:
                return None
    return await make_link(tx, token_id=token_id, purpose=purpose, to=to, now=now)


async def make_link(tx: Tx, *, token_id: UUID, purpose: TokenPurpose, to: EmailRow, now: datetime) -> str:
    """The secret of a link for this purpose, which replaces the live one. Once made, it is the same whoever asks."""
    secret = personal.derived(tx, f"link.{purpose}", token_id)
    if not await sql.credentials.has_token(tx, token_id):
        await sql.credentials.lock_user(tx, to.user_id)
        await sql.credentials.update_revoked(tx, to.user_id, purpose, now=now)
        row = TokenRow(token_id, to.user_id, purpose, to.bidx, now + life_of(tx, purpose=purpose), None, None)
        await sql.credentials.insert_token(tx, row, personal.hash_of(secret), now=now)
    return secret


async def open_link(tx: Tx, *, secret: str, purpose: TokenPurpose, now: datetime) -> TokenRow:
    """The link of this secret, if it is still good. Refuses with TokenInvalid."""
    token = await sql.credentials.find_token(tx, personal.hash_of(secret), purpose)
    if token is None or token.used_at or token.revoked_at or now >= token.expires_at:
        raise TokenInvalid
    return token


async def use_link(tx: Tx, *, token: TokenRow, now: datetime) -> bool:
    """Use a link up; False if somebody was quicker."""
    return await sql.credentials.update_used(tx, token.id, now=now)


async def own_words(tx: Tx, *, user_id: UserId) -> list[str]:
    """What a password of this user may not contain: his name and the local part of his address."""
    account = await get_account(tx, user_id=user_id)
    email = await sql.contacts.find_primary(tx, user_id)
    local = [(await personal.address_of(tx, email)).partition("@")[0]] if email else []
    return [account.username, *local]


async def find_account(tx: Tx, *, user_id: UserId) -> Account | None:
    """What is judged when this user proves who he is, or None."""
    return await sql.credentials.find_account(tx, user_id)


async def get_account(tx: Tx, *, user_id: UserId) -> Account:
    """What is judged when this user proves who he is. Refuses with NoSuchUser."""
    account = await find_account(tx, user_id=user_id)
    if account is None:
        raise NoSuchUser(user=str(user_id))
    return account


async def change_password(
    tx: Tx, *, user_id: UserId, password: PasswordHash, current: SessionId | None, now: datetime
) -> None:
    """Set the password of somebody who has proven himself; every other session of his ends."""
    await sql.credentials.lock_user(tx, user_id)
    await sql.credentials.upsert_password(tx, user_id, password, now=now)
    await sessions.end_sessions(tx, user_id=user_id, but=current, reason="password_changed", now=now)
    await tell_of_change(tx, user_id=user_id, what="password_changed")


async def reset_password(tx: Tx, *, token: TokenRow, password: PasswordHash, now: datetime) -> UserId:
    """Set the password of whoever holds the link, once: all his sessions and API tokens end.

    Where the address was never proven before, the link proves it, and every other proof goes: it may be a stranger's.
    Of two at once one is refused. Refuses with TokenInvalid.
    """
    user_id = token.user_id
    await registration.lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    email = await sql.contacts.find_by_index(tx, user_id, token.target_bidx)
    if email is None:
        raise TokenInvalid
    if email.verified_at is None:
        await registration.take_address(tx, user_id=user_id, bidx=token.target_bidx, now=now)
        await sql.factors.delete_factors(tx, user_id)
        await sql.methods.delete_others(tx, user_id, email.id)
        await unlink_telegram(tx, user_id=user_id, now=now)
        await sql.credentials.update_revoked(tx, user_id, "email_verification", now=now)
    await sql.credentials.upsert_password(tx, user_id, password, now=now)
    await sessions.end_sessions(tx, user_id=user_id, reason="password_changed", now=now)
    await tokens.revoke_all(tx, user_id=user_id, reason="password_reset", now=now)
    await tell_of_change(tx, user_id=user_id, what="password_reset")
    return user_id


async def unlink_telegram(tx: Tx, *, user_id: UserId, now: datetime) -> bool:
    """Unlink the Telegram account of a user, whose row stays; False if he has none."""
    row = await sql.telegram.find_of(tx, user_id)
    if row is None or not await sql.telegram.update_unlinked(tx, user_id, row.id, now=now):
        return False
    await sql.telegram.insert_event(
        tx,
        new_id(),
        telegram_id=row.telegram_id,
        user_id=user_id,
        action="unlinked",
        actor_id=user_id,
        now=now,
    )
    await outbox.send(tx, TelegramUnlinked(user_id, row.telegram_id))
    return True


async def renew_hash(tx: Tx, *, user_id: UserId, password: PasswordHash, was: str) -> None:
    """Store the same password by today's parameters and pepper, unless it was changed meanwhile."""
    await sql.credentials.update_password_if(tx, user_id, password, was=was)


async def peppers_in_use(tx: Tx) -> list[int]:
    """The numbers of the peppers that some password was mixed with, each found by one look into the index."""
    return await sql.credentials.list_peppers(tx)


async def require_peppers(tx: Tx) -> None:
    """Let a process begin that can judge every password. Raises KeyringError, naming the numbers that are missing."""
    ring = tx.equipment.keyring
    if ring and (missing := [number for number in await peppers_in_use(tx) if number not in ring.pepper]):
        raise KeyringError(f"the keyring lacks peppers that passwords need: {', '.join(map(str, missing))}")


async def require_pepper_unneeded(tx: Tx, *, number: int) -> None:
    """Let a pepper be dropped. Refuses with PepperNeeded."""
    if number in await peppers_in_use(tx):
        raise PepperNeeded(pepper=number)


async def tell_of_change(tx: Tx, *, user_id: UserId, what: Change, provider: str | None = None) -> None:
    """Say that a way to prove who somebody is has changed, `provider` that of an account elsewhere.

    Audited; no device stands for a second factor any more.
    """
    changes = {"what": (None, what), **({"provider": (None, provider)} if provider else {})}
    await sql.devices.update_untrusted(tx, user_id)
    await audit.record(
        tx,
        actor=tx.actor,
        action="account.secure",
        entity_type="user",
        entity_id=str(user_id),
        changes=changes,
        subject=user_id,
        via="web" if tx.actor.kind == "system" else None,
    )
    await outbox.send(tx, SecurityChanged(user_id, what))
