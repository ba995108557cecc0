"""Telegram accounts: whose account here they open, and how they are linked by what Telegram or its bot vouches for."""

from datetime import datetime, timedelta

from palio.identity import personal, rules, sql
from palio.identity.errors import (
    NoSuchTelegram,
    OwnAccount,
    TelegramAlreadyLinked,
    TelegramProofInvalid,
    TokenInvalid,
)
from palio.identity.messages import ContactVerified, TelegramLinked, TelegramUnlinked
from palio.identity.rules.telegram import Proof
from palio.identity.service import accounts, arrivals, credentials, identities, play
from palio.identity.types import (
    TELEGRAM_PROOF_MAX_AGE_S,
    Challenge,
    Consents,
    LinkAction,
    TelegramRow,
    TelegramUser,
    TokenRow,
    Visitor,
)
from palio.infra import approvals, audit, outbox, settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

PROOF = "telegram_hash"


async def touch_telegram(tx: Tx, *, user: TelegramUser, has_started: bool = False, now: datetime) -> TelegramRow:
    """Keep the row of a Telegram account current: at each update of the bot, and at each proof.

    `has_started` says that it has started the bot: it may be written to again if it had blocked it.
    """
    row = await sql.telegram.upsert_account(tx, new_id(), user, now=now)
    if has_started and await sql.telegram.update_unblocked(tx, user.telegram_id):
        await _note(tx, row.telegram_id, row.user_id, "bot_unblocked", now)
    return row


async def telegram_blocked(tx: Tx, *, telegram_id: int, now: datetime) -> bool:
    """Note that a Telegram account takes nothing from the bot any more, until it starts it. For the system.

    Answers False if that is known, or there is none.
    """
    owners = await sql.telegram.update_blocked(tx, telegram_id, now=now)
    if owners:
        await _note(tx, telegram_id, owners[0], "bot_blocked", now)
    return bool(owners)


async def _note(tx: Tx, telegram_id: int, user_id: UserId | None, action: LinkAction, now: datetime) -> None:
    await sql.telegram.insert_event(
        tx, new_id(), telegram_id=telegram_id, user_id=user_id, action=action, actor_id=user_id, now=now
    )


async def arrive(
    tx: Tx, *, proof: Proof, consents: Consents = (), locale: str, visitor: Visitor, now: datetime
) -> UserId:
    """Whose account a proof of Telegram opens, else a new one. Each proof is good once.

    Refuses with TelegramProofInvalid, and as `arrivals.begin_account` does.
    """
    await use_proof(tx, proof=proof, now=now)
    row = await touch_telegram(tx, user=proof.user, now=now)  # locks it: of two at once one makes the account
    if row.user_id:
        return row.user_id
    marks = personal.telegram_mark(tx, row.telegram_id).known
    user_id = await arrivals.begin_account(
        tx, method="telegram", marks=marks, consents=consents, locale=locale, visitor=visitor, now=now
    )
    await _link(tx, user_id, row.telegram_id, now)
    await outbox.send(tx, ContactVerified(user_id, "telegram", first=True))
    return user_id


async def use_proof(tx: Tx, *, proof: Proof, now: datetime) -> None:
    """Use a proof of Telegram up. Refuses with TelegramProofInvalid."""
    kept = timedelta(seconds=settings.value(TELEGRAM_PROOF_MAX_AGE_S)) + 2 * rules.telegram.AHEAD
    proof_hash = bytes.fromhex(proof.hash)
    if not await sql.methods.insert_proof(tx, PROOF, proof_hash, now=now, expires_at=now + kept):
        raise TelegramProofInvalid


async def link(tx: Tx, *, user_id: UserId, user: TelegramUser, now: datetime) -> None:
    """Link a proven Telegram account to a user; linked to him already, nothing changes. Audited.

    Refuses with TelegramAlreadyLinked: it is another's, or he has another one.
    """
    await sql.credentials.lock_user(tx, user_id)
    row = await touch_telegram(tx, user=user, now=now)
    if row.user_id == user_id:
        return
    if row.user_id or await sql.telegram.find_of(tx, user_id):
        raise TelegramAlreadyLinked
    await _link(tx, user_id, row.telegram_id, now)
    await play.carry_over(tx, user_id=user_id, now=now)
    await outbox.send(tx, ContactVerified(user_id, "telegram", first=False))
    await identities.tell(tx, user_id=user_id, provider="telegram", is_linked=True)


async def move(tx: Tx, *, telegram_id: int, user_id: UserId, reason: str, now: datetime) -> None:
    """Link a Telegram account that is somebody's to somebody else, as staff, who say why. Audited; both are told.

    Linked to him already, nothing changes. Refuses with NoSuchUser, OwnAccount, NoSuchTelegram, TelegramAlreadyLinked
    where he has another one, and with approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    user = await accounts.get(tx, name_or_id=user_id)
    await sql.credentials.lock_user(tx, user.id)  # before the account, as whoever links one does
    row = await sql.telegram.lock_account(tx, telegram_id)
    if row is None or row.user_id is None:
        raise NoSuchTelegram
    if tx.actor.user_id in {user.id, row.user_id}:
        raise OwnAccount
    if row.user_id == user.id:
        return
    if await sql.telegram.find_of(tx, user.id):
        raise TelegramAlreadyLinked
    await sql.telegram.update_moved(tx, telegram_id, user.id, now=now)
    await sql.telegram.insert_event(
        tx,
        new_id(),
        telegram_id=telegram_id,
        user_id=user.id,
        action="moved",
        actor_id=tx.actor.user_id,
        reason=why,
        now=now,
    )
    await audit.record(
        tx,
        actor=tx.actor,
        action="telegram.move",
        entity_type="user",
        entity_id=str(user.id),
        changes={"telegram_of": (row.user_id, user.id)},
        reason=why,
        subject=user.id,
    )
    await play.carry_over(tx, user_id=user.id, now=now)
    for one, is_linked in ((row.user_id, False), (user.id, True)):
        await identities.tell(tx, user_id=one, provider="telegram", is_linked=is_linked)
    await outbox.send(tx, TelegramUnlinked(row.user_id, telegram_id), TelegramLinked(user.id, telegram_id))


async def offer_link(tx: Tx, *, user_id: UserId, now: datetime) -> tuple[str, datetime]:
    """The secret by which the bot knows who opens it from the site, and until when; the one before is void."""
    secret, expires_at = personal.new_secret(), now + credentials.life_of(tx, purpose="telegram_link")
    await sql.credentials.lock_user(tx, user_id)
    await sql.credentials.update_revoked(tx, user_id, "telegram_link", now=now)
    row = TokenRow(new_id(), user_id, "telegram_link", b"", expires_at, None, None)
    await sql.credentials.insert_token(tx, row, personal.hash_of(secret), now=now)
    return secret, expires_at


async def link_by_secret(tx: Tx, *, secret: str, user: TelegramUser, now: datetime) -> UserId:
    """Link the Telegram account that opened the bot with such a secret and pressed its button. Good once.

    Refuses with TokenInvalid, TelegramAlreadyLinked.
    """
    token = await credentials.open_link(tx, secret=secret, purpose="telegram_link", now=now)
    await sql.credentials.lock_user(tx, token.user_id)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    await link(tx, user_id=token.user_id, user=user, now=now)
    return token.user_id


async def offer_code(tx: Tx, *, code: str, code_hash: str, user: TelegramUser, now: datetime) -> None:
    """Keep a code that the bot gave to a Telegram user, to be typed on the signed-in site within ten minutes.

    `code_hash` is that of its last five signs.
    """
    row = await touch_telegram(tx, user=user, now=now)
    index = personal.naming_index(tx, code[: rules.telegram.NAMING_CHARACTERS])
    expires_at = now + rules.telegram.CODE_LIFE
    waits = Challenge(new_id(), None, "telegram_link", None, index, row.telegram_id, code_hash, now, expires_at)
    await sql.phones.insert_challenge(tx, waits)


async def take_try(tx: Tx, *, naming: str, now: datetime) -> Challenge | None:
    """The code that begins so, once a try is counted; None without one, or after five of them."""
    index = personal.naming_index(tx, naming)
    return await sql.phones.take_try(tx, index, "telegram_link", None, tries_max=rules.phones.TRIES_MAX, now=now)


async def link_by_code(tx: Tx, *, user_id: UserId, challenge: Challenge, now: datetime) -> bool:
    """Link the Telegram account whose code was typed right; False if somebody was quicker.

    Refuses with TelegramAlreadyLinked.
    """
    if not await sql.phones.update_code_used(tx, challenge.id, now=now) or challenge.telegram_id is None:
        return False
    row = await sql.telegram.lock_account(tx, challenge.telegram_id)
    if row is None:
        return False
    await link(tx, user_id=user_id, user=TelegramUser(row.telegram_id, row.telegram_username), now=now)
    return True


async def _link(tx: Tx, user_id: UserId, telegram_id: int, now: datetime) -> None:
    if not await sql.telegram.update_linked(tx, telegram_id, user_id, now=now):
        raise TelegramAlreadyLinked
    await _note(tx, telegram_id, user_id, "linked", now)
    await outbox.send(tx, TelegramLinked(user_id, telegram_id))
