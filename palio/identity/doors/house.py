"""What the doors work with, and who stands at them."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1

from palio.identity import rules, service
from palio.identity.errors import BadCredentials, TooManyAttempts
from palio.identity.service.sessions import Recognised
from palio.identity.types import Attempt, Found, Presented
from palio.infra.db import Database
from palio.infra.passwords import Hasher, HashingBusy, Leaked, Verdict

SITE = "palio"


@dataclass(frozen=True, slots=True)
class House:
    """The database, and what hashes passwords; one for a process."""

    database: Database
    hasher: Hasher = field(default_factory=Hasher)
    leaked: Leaked = field(default_factory=lambda: Leaked(None))

    async def compare(self, attempt: Attempt, password: str) -> Verdict:
        """Judge a password that somebody tries. Unknown accounts cost the same work.

        Refuses with TooManyAttempts, and with HashingBusy, which counts as no attempt.
        """
        if attempt.wait_s:
            raise TooManyAttempts(retry_after_s=attempt.wait_s)
        try:
            return await self.hasher.verify(password, attempt.account.hash if attempt.account else None)
        except HashingBusy:
            async with self.database.begin_system("an attempt that was not judged") as tx:
                await service.attempts.take_back(tx, attempt=attempt)
            raise

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
        if presented.token.startswith("palio_") and not rules.tokens.is_api_token(presented.token):
            return None  # a typing error, or a guess: not worth a look-up
        found = self.database.remembered(Recognised).recall(presented)
        if found is None:
            async with self.database.begin_system("who asks") as tx:
                found = await service.sessions.authenticate(tx, presented=presented, now=now)
        if found is None or not rules.sessions.is_admitted(found, presented, now):
            return None
        return found

    def recall(self, presented: Presented, *, now: datetime) -> Found | None:
        """Who it is, if he was recognised within the last second and counts here."""
        found = self.database.remembered(Recognised).recall(presented)
        return found if found and rules.sessions.is_admitted(found, presented, now) else None


def require_match(verdict: Verdict, *, blames: str = "") -> None:
    """Refuse a wrong password: BadCredentials, which blames the member that held it where only that can be wrong."""
    if not verdict.matches:
        raise BadCredentials().blaming(blames)
