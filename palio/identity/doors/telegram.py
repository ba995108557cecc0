"""People whom Telegram vouches for: in its Mini App, by its Login Widget, or by a code of its bot."""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from palio.identity import rules, service
from palio.identity.doors import arrival
from palio.identity.doors.house import House, TelegramBot
from palio.identity.errors import CodeWrong, MethodClosed, TelegramProofInvalid
from palio.identity.rules.telegram import Proof
from palio.identity.types import (
    TELEGRAM_PROOF_MAX_AGE_S,
    Client,
    Consents,
    LinkOffer,
    SecondFactorDue,
    SessionKind,
    SignedIn,
    TelegramUser,
    Visitor,
)
from palio.infra import settings
from palio.infra.passwords import HashingBusy
from palio.kernel.ids import UserId

FIELDS_MAX = 50
ESCAPED = re.compile(r"%(..)")


async def enter_by_mini_app(
    house: House,
    *,
    init_data: str,
    client: Client,
    consents: Consents = (),
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue:
    """Begin the session of a Mini App by what Telegram told it as it opened it; the first time it makes an account.

    Good once.

    Refuses with MethodClosed, TelegramProofInvalid, RegistrationClosed, ConsentRequired, RegistrationRefused,
    ContactUnverified, TooManyAttempts.
    """
    attempt = await arrival.knock(house, method="telegram", visitor=visitor, now=now)
    age_s_max, token = settings.value(TELEGRAM_PROOF_MAX_AGE_S), _bot(house).token
    proof = rules.telegram.read_init_data(_fields(init_data), bot_token=token, now=now, age_s_max=age_s_max)
    async with arrival.beginning(house, attempt, "a mini app") as tx:
        user_id = await service.telegram.arrive(
            tx, proof=proof, consents=consents, locale=locale, visitor=visitor, now=now
        )
        entered = await arrival.enter(
            tx, attempt, user_id, method="telegram", kind="mini_app", client=client, visitor=visitor, now=now
        )
    return arrival.required(entered)


async def enter_by_widget(
    house: House,
    *,
    fields: Mapping[str, str | int],
    kind: SessionKind,
    consents: Consents = (),
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue:
    """Begin a session by what Telegram told a page of ours; the first time it makes an account. Good once.

    Refuses with MethodClosed, TelegramProofInvalid, RegistrationClosed, ConsentRequired, RegistrationRefused,
    ContactUnverified, TooManyAttempts.
    """
    attempt = await arrival.knock(house, method="telegram", visitor=visitor, now=now)
    proof = _read_widget(house, fields, now)
    async with arrival.beginning(house, attempt, "the log-in of Telegram") as tx:
        user_id = await service.telegram.arrive(
            tx, proof=proof, consents=consents, locale=locale, visitor=visitor, now=now
        )
        entered = await arrival.enter(tx, attempt, user_id, method="telegram", kind=kind, visitor=visitor, now=now)
    return arrival.required(entered)


async def link_by_widget(house: House, *, user_id: UserId, fields: Mapping[str, str | int], now: datetime) -> None:
    """Link the Telegram account that a page of ours was told of. Good once.

    Refuses with MethodClosed, TelegramProofInvalid, TelegramAlreadyLinked.
    """
    house.require_open("telegram")
    proof = _read_widget(house, fields, now)
    async with house.database.begin_system("a Telegram account") as tx:
        await service.telegram.use_proof(tx, proof=proof, now=now)
        await service.telegram.link(tx, user_id=user_id, user=proof.user, now=now)


async def offer_telegram_link(house: House, *, user_id: UserId, now: datetime) -> LinkOffer:
    """Where somebody opens the bot, which then knows whose account it is to link. Refuses with MethodClosed."""
    house.require_open("telegram")
    async with house.database.begin_system("a Telegram account") as tx:
        secret, expires_at = await service.telegram.offer_link(tx, user_id=user_id, now=now)
    return LinkOffer(f"https://t.me/{_bot(house).name}?start=link_{secret}", expires_at)


async def offer_telegram_code(house: House, *, user: TelegramUser, now: datetime) -> str:
    """The code that the bot tells a Telegram user, to be typed on the signed-in site. Refuses with HashingBusy."""
    drawn = (secrets.choice(rules.telegram.CODE_ALPHABET) for _ in range(rules.telegram.CODE_CHARACTERS))
    code = "".join(drawn)
    code_hash = await house.hasher.hash(code[rules.telegram.NAMING_CHARACTERS :])
    async with house.database.begin_system("a Telegram account") as tx:
        await service.telegram.offer_code(tx, code=code, code_hash=code_hash, user=user, now=now)
    return code


async def link_by_code(house: House, *, user_id: UserId, code: str, now: datetime) -> None:
    """Link the Telegram account whose bot gave this code; after five tries it is dead.

    Refuses with MethodClosed, CodeWrong, TelegramAlreadyLinked, HashingBusy.
    """
    house.require_open("telegram")
    naming, secret = rules.telegram.read_code(code) or ("", "")
    async with house.database.begin_system("a Telegram account") as tx:
        challenge = await service.telegram.take_try(tx, naming=naming, now=now)
    try:
        verdict = await house.hasher.verify(secret, challenge.code_hash if challenge else None)
    except HashingBusy:
        if challenge:
            async with house.database.begin_system("a code that was not judged") as tx:
                await service.phones.give_try_back(tx, challenge=challenge)
        raise
    if challenge is None or not verdict.matches:
        raise CodeWrong
    async with house.database.begin_system("a Telegram account") as tx:
        if not await service.telegram.link_by_code(tx, user_id=user_id, challenge=challenge, now=now):
            raise CodeWrong


def _fields(init_data: str) -> dict[str, str]:
    """The fields of an address's query, each once. Refuses with TelegramProofInvalid.

    An escape may be written in capitals or in small letters, but in one way throughout: no other text says the same.
    """
    escapes = "".join(ESCAPED.findall(init_data))
    try:
        pairs = parse_qsl(
            init_data, keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise TelegramProofInvalid from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or escapes not in {escapes.upper(), escapes.lower()}:
        raise TelegramProofInvalid
    return fields


def _read_widget(house: House, fields: Mapping[str, str | int], now: datetime) -> Proof:
    age_s_max = settings.value(TELEGRAM_PROOF_MAX_AGE_S)
    return rules.telegram.read_widget(fields, bot_token=_bot(house).token, now=now, age_s_max=age_s_max)


def _bot(house: House) -> TelegramBot:
    if house.bot is None:
        raise MethodClosed(method="telegram")
    return house.bot
