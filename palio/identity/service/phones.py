"""Telephones: codes that are sent to a number, whoever has it, and what a right one opens."""

from datetime import datetime, timedelta
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import PhoneTaken, TooManyAttempts
from palio.identity.messages import ContactVerified, SendCode
from palio.identity.service import arrivals, identities, play
from palio.identity.types import REGISTRATION, Challenge, CodePurpose, Consents, Visitor
from palio.infra import crypto, outbox, settings
from palio.infra.db import Tx
from palio.infra.otp import Code
from palio.kernel.ids import UserId, new_id


async def code_for(tx: Tx, *, challenge_id: UUID) -> str:
    """The six digits of a code; they are stored nowhere."""
    return personal.code_for(tx, challenge_id)


async def ask_for_code(
    tx: Tx,
    *,
    challenge_id: UUID,
    number: str,
    purpose: CodePurpose,
    user_id: UserId | None,
    code_hash: str,
    locale: str,
    now: datetime,
) -> None:
    """Have a code sent to a number, whoever has it; the one before is good no more.

    Three an hour and five a day to one number, thirty a minute by the house. Refuses with TooManyAttempts.
    """
    index = personal.phone_index(tx, number)
    await sql.phones.lock_house(tx)
    day = max(rules.phones.OF_A_NUMBER, key=lambda one: one.window).window
    sent = await sql.phones.list_sent(tx, index.digest, since=now - day)
    if wait := _wait(sent, now):
        raise TooManyAttempts(retry_after_s=int(wait.total_seconds()) + 1)
    house = rules.phones.OF_THE_HOUSE
    if await sql.phones.count_sent_by_house(tx, since=now - house.window) >= house.count:
        raise TooManyAttempts(retry_after_s=int(house.window.total_seconds()))
    sealed = await crypto.seal(tx, number, personal.place_of_target(challenge_id, user_id))
    expires_at = now + rules.phones.CODE_LIFE
    waits = Challenge(challenge_id, user_id, purpose, sealed, index.digest, None, code_hash, now, expires_at)
    await sql.phones.insert_challenge(tx, waits)
    await outbox.send(tx, SendCode(challenge_id, locale))


async def letter_of_code(tx: Tx, *, challenge_id: UUID, locale: str, words: str, now: datetime) -> Code | None:
    """What is to be sent of a code, `words` with `{code}` in them; None where it is over, or would open nothing."""
    waits = await sql.phones.find_challenge(tx, challenge_id)
    if waits is None or waits.target is None or now >= waits.expires_at:
        return None
    is_closed = waits.purpose == "sign_in" and settings.value(REGISTRATION) != "open"
    number = await crypto.open_sealed(tx, waits.target, personal.place_of_target(waits.id, waits.user_id))
    if is_closed and await sql.phones.find_owner_of(tx, personal.phone_index(tx, number)) is None:
        return None
    code = personal.code_for(tx, challenge_id)
    return Code(challenge_id.hex, number, code, words.format(code=code), locale, waits.expires_at)


async def forget_target(tx: Tx, *, challenge_id: UUID) -> None:
    """Forget where a code went, once it has gone."""
    await sql.phones.update_sent(tx, challenge_id)


async def take_try(
    tx: Tx, *, number: str, purpose: CodePurpose, user_id: UserId | None, now: datetime
) -> Challenge | None:
    """The code that waits for a number, once a try is counted; None without one, or after five of them."""
    index = personal.phone_index(tx, number)
    return await sql.phones.take_try(tx, index.digest, purpose, user_id, tries_max=rules.phones.TRIES_MAX, now=now)


async def give_try_back(tx: Tx, *, challenge: Challenge) -> None:
    """Take back a try that was not judged."""
    await sql.phones.give_try_back(tx, challenge.id)


async def use_code(tx: Tx, *, challenge: Challenge, now: datetime) -> bool:
    """Use a right code up; False if somebody was quicker."""
    return await sql.phones.update_code_used(tx, challenge.id, now=now)


async def arrive(
    tx: Tx, *, number: str, consents: Consents = (), locale: str, visitor: Visitor, now: datetime
) -> UserId:
    """Whose account a proven number opens, else a new one. Refuses as `arrivals.begin_account` does."""
    index = personal.phone_index(tx, number)
    await sql.contacts.lock_address(tx, index.known)
    if owner := await sql.phones.find_owner_of(tx, index):
        return owner.user_id
    user_id = await arrivals.begin_account(
        tx, method="phone_otp", marks=index.known, consents=consents, locale=locale, visitor=visitor, now=now
    )
    await _insert(tx, user_id, number, now)
    await outbox.send(tx, ContactVerified(user_id, "phone", first=True))
    return user_id


async def link(tx: Tx, *, user_id: UserId, number: str, now: datetime) -> None:
    """Give a user a number that he has proven; his already, nothing changes. Audited. Refuses with PhoneTaken."""
    index = personal.phone_index(tx, number)
    await sql.contacts.lock_address(tx, index.known)
    await sql.credentials.lock_user(tx, user_id)
    owner = await sql.phones.find_owner_of(tx, index)
    if owner and owner.user_id == user_id:
        return
    if owner or not await _insert(tx, user_id, number, now):
        raise PhoneTaken
    await play.carry_over(tx, user_id=user_id, now=now)
    await outbox.send(tx, ContactVerified(user_id, "phone", first=False))
    await identities.tell(tx, user_id=user_id, provider="phone", is_linked=True)


async def _insert(tx: Tx, user_id: UserId, number: str, now: datetime) -> bool:
    phone_id, index = new_id(), personal.phone_index(tx, number)
    sealed = await crypto.seal(tx, number, personal.place_of_phone(phone_id, user_id))
    return await sql.phones.insert_phone(
        tx, phone_id, user_id, number=sealed, index=index, country=rules.phones.country_of(number), now=now
    )


def _wait(sent: list[datetime], now: datetime) -> timedelta | None:
    """How long until one more code may go to a number; None: now."""
    waits = [
        recent[one.count - 1] + one.window - now
        for one in rules.phones.OF_A_NUMBER
        if len(recent := [at for at in sent if at > now - one.window]) >= one.count
    ]
    return max(waits, default=None)
