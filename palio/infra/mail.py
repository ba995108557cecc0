"""The door for letters: a mail server, a folder where there is none, or a list for tests."""

import re
from collections import deque
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from palio.kernel import clock
from palio.kernel.errors import Upstream
from palio.kernel.ids import new_id

log = structlog.get_logger()

SECONDS_MAX = 20
KEPT_MAX = 1_000
PORTS = {"smtp": 587, "smtps": 465}
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one person, as text and as HTML. `number` is what a second delivery of it is known by."""

    to: str
    subject: str
    text: str
    html: str
    number: str = field(default_factory=lambda: new_id().hex)


class Mail(Protocol):
    """Where letters are handed in."""

    async def send(self, letter: Letter) -> None:
        """Hand it in. Refuses with Upstream when the server does not take it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The offline double: the newest letters, in memory, delivered to nobody."""

    letters: deque[Letter] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))

    async def send(self, letter: Letter) -> None:
        """Keep it."""
        self.letters.append(letter)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where no mail server is named: each letter becomes a file that the operator can open. Nobody receives it."""

    path: Path
    sender: str

    async def send(self, letter: Letter) -> None:
        """Write it down, readable for the operator alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.path / f"{letter.number}.eml"
        file.touch(mode=0o600)
        file.write_bytes(bytes(message_of(letter, self.sender)))
        log.warning("no mail server is set (PALIO_SMTP_URL): a letter was written to a file", file=str(file))


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server: `smtp://user:password@host:587` (STARTTLS where it is offered), `smtps://…` from the first byte.

    A server that asks for a password is only spoken to over TLS.
    """

    url: str = field(repr=False)
    sender: str

    async def send(self, letter: Letter) -> None:
        """Hand it in within 20 seconds. Refuses with Upstream."""
        found = urlsplit(self.url)
        user, password = (unquote(part) if part else None for part in (found.username, found.password))
        is_implicit = found.scheme == "smtps"
        try:
            await aiosmtplib.send(
                message_of(letter, self.sender),
                hostname=found.hostname,
                port=found.port or PORTS[found.scheme],
                username=user,
                password=password,
                use_tls=is_implicit,
                start_tls=None if is_implicit or user is None else True,
                timeout=SECONDS_MAX,
            )
        except (aiosmtplib.SMTPException, OSError) as failure:
            raise Upstream(service="mail", reason=type(failure).__name__) from failure


def message_of(letter: Letter, sender: str) -> EmailMessage:
    """The letter as the wire has it; nothing in it can add a header or a recipient."""
    message = EmailMessage()
    message["From"], message["To"] = sender, CONTROL.sub("", letter.to)
    message["Subject"] = CONTROL.sub(" ", letter.subject)
    message["Date"] = formatdate(clock.now().timestamp(), usegmt=True)
    host = sender.rpartition("@")[2].strip(" >") or "localhost"
    message["Message-ID"] = f"<{letter.number}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message
