"""What the doors work with, and who stands at them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from typing import NamedTuple

from palio.identity import rules, service
from palio.identity.errors import BadCredentials, MethodClosed, NoSuchProvider, TooManyAttempts
from palio.identity.service.sessions import Recognised
from palio.identity.types import (
    HASH_MEMORY_KIB,
    HASH_PASSES,
    METHODS,
    Account,
    Attempt,
    AuthMethod,
    Found,
    PasswordHash,
    Presented,
)
from palio.infra import settings
from palio.infra.db import Database
from palio.infra.keyring import Keyring, KeyringError
from palio.infra.oidc import Issuers, Provider
from palio.infra.passwords import MEMORY_KIB, PASSES, Hasher, HashingBusy, Leaked, Verdict, peppered
from palio.kernel.errors import Unauthenticated

SITE = "palio"


@dataclass(frozen=True, slots=True)
class TelegramBot:
    """The bot that Telegram signs for: its name, and the token that only Telegram and we know."""

    name: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class House:
    """The database, what hashes passwords, and what else lets people in as far as it is configured; one for a process.

    `has_otp` says that short codes can be sent.
    """

    database: Database
    hasher: Hasher = field(default_factory=Hasher)
    leaked: Leaked = field(default_factory=lambda: Leaked(None))
    providers: Mapping[str, Provider] = field(default_factory=dict)
    issuers: Issuers | None = None
    bot: TelegramBot | None = None
    has_otp: bool = False

    def opened(self) -> frozenset[AuthMethod]:
        """By which ways people come in: those that the house has opened, as far as they are configured."""
        wanted: tuple[str, ...] = settings.value(METHODS)
        has: dict[AuthMethod, bool] = {
            "password": True,
            "email_link": True,
            "passkey": True,
            "phone_otp": self.has_otp,
            "telegram": self.bot is not None,
            "google": "google" in self.providers,
            "apple": "apple" in self.providers,
            "oidc": any(rules.methods.method_of(key) == "oidc" for key in self.providers),
        }
        return frozenset(method for method, is_there in has.items() if is_there and method in wanted)

    def require_open(self, method: AuthMethod) -> None:
        """Let somebody try a way in that is open. Refuses with MethodClosed."""
        if method not in self.opened():
            raise MethodClosed(method=method)

    def provider(self, key: str) -> Provider:
        """Whoever vouches for people under this key. Refuses with NoSuchProvider, MethodClosed."""
        if key not in self.providers or self.issuers is None:
            raise NoSuchProvider
        self.require_open(rules.methods.method_of(key))
        return self.providers[key]

    async def compare(self, attempt: Attempt, password: str) -> Verdict:
        """Judge a password that somebody tries. Unknown accounts cost the same work.

        Refuses with TooManyAttempts, and with HashingBusy, which counts as no attempt.
        """
        if attempt.wait_s:
            raise TooManyAttempts(retry_after_s=attempt.wait_s)
        self._harden()
        account, ring = attempt.account, self._keyring()
        key = ring.pepper_key(account.pepper_id if account else ring.pepper_id)
        try:
            return await self.hasher.verify(peppered(password, key), account.hash if account else None)
        except HashingBusy:
            async with self.database.begin_system("an attempt that was not judged") as tx:
                await service.attempts.take_back(tx, attempt=attempt)
            raise

    async def hashed(self, password: str) -> PasswordHash:
        """What is to be stored of a password. Refuses with HashingBusy. Raises KeyringError."""
        self._harden()
        ring = self._keyring()
        pepper_id = ring.pepper_id
        return PasswordHash(await self.hasher.hash(peppered(password, ring.pepper_key(pepper_id))), pepper_id)

    async def renewed(self, account: Account, verdict: Verdict, password: str) -> PasswordHash | None:
        """What is to be stored of a right password from now on: parameters have risen, or it lacks today's pepper."""
        pepper_id = self._keyring().pepper_id
        if account.pepper_id != pepper_id:
            return await self.hashed(password)
        return PasswordHash(verdict.renewed, pepper_id) if verdict.renewed else None

    def _harden(self) -> None:
        """Hash as hard as the house says, where that is harder than the program does by itself."""
        memory_kib, passes = settings.value(HASH_MEMORY_KIB), settings.value(HASH_PASSES)
        if memory_kib > MEMORY_KIB or passes > PASSES:
            self.hasher.raise_to(memory_kib=memory_kib, passes=passes)

    def _keyring(self) -> Keyring:
        if self.database.equipment.keyring is None:
            raise KeyringError("this process has no keyring")
        return self.database.equipment.keyring

    def require_password(self, word: str, own_words: list[str]) -> None:
        """Let a new password pass. Refuses with PasswordTooWeak."""
        digest = sha1(word.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
        rules.passwords.require_password(word, own_words=[*own_words, SITE], is_leaked=self.leaked.has(digest))


@dataclass(frozen=True, slots=True)
class Doorman:
    """Says who shows a cookie or a token; whom it recognised within the last second costs no transaction."""

    database: Database

    def forget(self) -> None:
        """Look everybody up again: another process has ended something, or may have."""
        self.database.remembered(Recognised).forget()

    async def recognise(self, presented: Presented, *, now: datetime) -> Found | None:
        """Who it is, or None: what is shown is unknown, has ended, or does not count here."""
        found = await self._known(presented, now)
        return None if rules.sessions.refusal_of(found, presented, now) else found

    async def admit(self, presented: Presented, *, now: datetime) -> Found:
        """Who it is. Refuses with Unauthenticated what is unknown, and with TokenRevoked, TokenExpired, TokenElsewhere
        what is known and does not count here and now.
        """
        found = await self._known(presented, now)
        refusal = rules.sessions.refusal_of(found, presented, now)
        if found is None or refusal:
            raise refusal or Unauthenticated
        return found

    async def _known(self, presented: Presented, now: datetime) -> Found | None:
        """Whose this is, whether it counts or not."""
        if presented.token.startswith("palio_") and not rules.tokens.is_api_token(presented.token):
            return None  # a typing error, or a guess: not worth a look-up
        found = self.database.remembered(Recognised).recall(presented)
        if found is None:
            async with self.database.begin_system("who asks") as tx:
                found = await service.sessions.authenticate(tx, presented=presented, now=now)
        return found

    def remembered_of(self, presented: Presented, found: Found) -> "Remembered | None":
        """For how long this answer stands, if it is what is remembered of what was shown."""
        memory = self.database.remembered(Recognised)
        known, until = memory.look(presented)
        return Remembered(until, memory.endings) if known is found else None

    def still_remembers(self, remembered: "Remembered") -> bool:
        """Is it still within its second, and has nothing ended since?"""
        return self.database.remembered(Recognised).stands(*remembered)


class Remembered(NamedTuple):
    """How long an answer stands: until an instant of the event loop, and while no more has ended than this."""

    until: float
    endings: int


def require_match(verdict: Verdict, *, blames: str = "") -> None:
    """Refuse a wrong password: BadCredentials, which blames the member that held it where only that can be wrong."""
    if not verdict.matches:
        raise BadCredentials().blaming(blames)
