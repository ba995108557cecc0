"""Codes that are sent to a telephone, and what a right one opens or adds."""

from datetime import datetime

from palio.identity import rules, service
from palio.identity.doors import arrival
from palio.identity.doors.house import House
from palio.identity.errors import CodeWrong
from palio.identity.types import (
    PHONE_COUNTRIES,
    Challenge,
    CodePurpose,
    Consents,
    SecondFactorDue,
    SessionKind,
    SignedIn,
    Visitor,
)
from palio.infra import settings
from palio.infra.passwords import HashingBusy
from palio.kernel.ids import UserId, new_id


async def ask_for_code(house: House, *, number: str, user_id: UserId | None = None, locale: str, now: datetime) -> None:
    """Have a code sent to a number; whether anybody has it makes no difference, neither in the answer nor in the work.

    With `user_id` the code is to add the number to his account. Refuses with MethodClosed, PhoneInvalid,
    PhoneCountryBlocked, TooManyAttempts, HashingBusy.
    """
    house.require_open("phone_otp")
    to, challenge_id = _number(number), new_id()
    async with house.database.begin_system("a code is asked for") as tx:
        code = await service.phones.code_for(tx, challenge_id=challenge_id)
    code_hash = await house.hasher.hash(code)
    async with house.database.begin_system("a code is asked for") as tx:
        await service.phones.ask_for_code(
            tx,
            challenge_id=challenge_id,
            number=to,
            purpose="phone_link" if user_id else "sign_in",
            user_id=user_id,
            code_hash=code_hash,
            locale=locale,
            now=now,
        )


async def enter_by_phone(
    house: House,
    *,
    number: str,
    code: str,
    kind: SessionKind,
    consents: Consents = (),
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue:
    """Begin a session by the code that came to a number; the first time it makes an account.

    Refuses with MethodClosed, PhoneInvalid, PhoneCountryBlocked, CodeWrong, TooManyAttempts, HashingBusy,
    RegistrationClosed, ConsentRequired, RegistrationRefused, ContactUnverified.
    """
    to = _number(number)
    attempt = await arrival.knock(house, method="phone_otp", visitor=visitor, now=now)
    try:
        challenge = await _judge(house, to, code, "sign_in", None, now)
    except HashingBusy:
        await arrival.take_back(house, attempt)
        raise
    async with arrival.beginning(house, attempt, "a code") as tx:
        if not await service.phones.use_code(tx, challenge=challenge, now=now):
            raise CodeWrong
        user_id = await service.phones.arrive(tx, number=to, consents=consents, locale=locale, visitor=visitor, now=now)
        entered = await arrival.enter(tx, attempt, user_id, method="phone_otp", kind=kind, visitor=visitor, now=now)
    return arrival.required(entered)


async def link_phone(house: House, *, user_id: UserId, number: str, code: str, now: datetime) -> None:
    """Add a number to an account by the code that came to it.

    Refuses with MethodClosed, PhoneInvalid, PhoneCountryBlocked, CodeWrong, HashingBusy, PhoneTaken.
    """
    house.require_open("phone_otp")
    to = _number(number)
    challenge = await _judge(house, to, code, "phone_link", user_id, now)
    async with house.database.begin_system("a telephone") as tx:
        if not await service.phones.use_code(tx, challenge=challenge, now=now):
            raise CodeWrong
        await service.phones.link(tx, user_id=user_id, number=to, now=now)


async def _judge(
    house: House, number: str, code: str, purpose: CodePurpose, user_id: UserId | None, now: datetime
) -> Challenge:
    """The code that was typed right. Where none waits, the work is the same. Refuses with CodeWrong, HashingBusy."""
    async with house.database.begin_system("a code") as tx:
        challenge = await service.phones.take_try(tx, number=number, purpose=purpose, user_id=user_id, now=now)
    try:
        verdict = await house.hasher.verify(
            rules.phones.read_code(code) or "", challenge.code_hash if challenge else None
        )
    except HashingBusy:
        if challenge:
            async with house.database.begin_system("a code that was not judged") as tx:
                await service.phones.give_try_back(tx, challenge=challenge)
        raise
    if challenge is None or not verdict.matches:
        raise CodeWrong
    return challenge


def _number(text: str) -> str:
    countries: tuple[str, ...] = settings.value(PHONE_COUNTRIES)
    return rules.phones.require_number(text, countries=countries)
