"""A mail server that delivers to nobody: whoever is written to has a mailbox here, to be looked into."""

import asyncio
import hmac
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from typing import Protocol

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from palio.sim.faults import Effect
from palio.sim.refusals import SimRefusal
from palio.sim.wire import Reply, Request

LETTERS_MAX = 10_000
LETTER_BYTES_MAX = 10_000_000
REPLIES = {421: "4.3.2 Try again later", 451: "4.7.1 Greylisted", 452: "4.2.2 Mailbox full", 550: "5.1.1 No such user"}
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mailbox</title><h1>{title}</h1>{body}'
    "<p>Played by Palio on this machine. Nobody received any of this.</p></html>"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What was handed in, as it came; one with the same Message-ID may have come before."""

    number: int
    at: datetime
    sender: str
    to: list[str]
    subject: str
    message_id: str
    text: str
    html: str
    size: int
    raw: bytes = field(repr=False)


class Host(Protocol):
    """What a mailbox needs of its world."""

    def now(self) -> datetime:
        """The instant of the world."""

    def met(self, request: Request) -> Effect | None:
        """What goes wrong with a letter on purpose."""

    def noted(self, request: Request, *, status: int, fault: str | None) -> None:
        """Write the exchange down."""


class Mailbox:
    """All letters of one world. `login` is `user:password` if the server asks for one."""

    def __init__(self, host: Host, *, login: str | None = None) -> None:
        self._host, self._login = host, login
        self.letters: deque[Letter] = deque(maxlen=LETTERS_MAX)
        self._taken = 0

    @asynccontextmanager
    async def serving(self, address: str, port: int) -> AsyncIterator[int]:
        """Listen for the length of the block; gives the port. Raises OSError for one that is taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._conversation(loop), address, port)
        async with server:
            yield server.sockets[0].getsockname()[1]

    def _conversation(self, loop: asyncio.AbstractEventLoop) -> Callable[[], SMTP]:
        def begin() -> SMTP:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a password without TLS: it listens on loopback only
                return SMTP(
                    self,
                    hostname="mail.palio.test",
                    ident="Palio mail simulator",
                    data_size_limit=LETTER_BYTES_MAX,
                    enable_SMTPUTF8=True,
                    auth_required=self._login is not None,
                    auth_require_tls=False,
                    authenticator=self._authenticated,
                    loop=loop,
                )

        return begin

    def _authenticated(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        said = given.login + b":" + given.password if isinstance(given, LoginPassword) else b""
        is_known = self._login is not None and hmac.compare_digest(said, self._login.encode())
        return AuthResult(success=is_known, handled=False)

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as aiosmtpd calls it
        """Take a letter, or do what goes wrong; with `reset_after` it is here and the sender never hears of it."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        request = Request("DATA", "/" + ",".join(envelope.rcpt_tos), {}, {}, content)
        effect = self._host.met(request)
        name = effect.name if effect else None
        code = effect.code if effect and name == "status" else 250
        if name != "reset" and code == 250:  # noqa: PLR2004 - taken
            self._take(envelope, content)
        self._host.noted(request, status=code, fault=name)
        if effect and name == "delay":
            await asyncio.sleep(effect.ms / 1_000)
        if name in {"reset", "reset_after"} and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return f"{code} {REPLIES.get(code, 'OK')}"

    def _take(self, envelope: Envelope, content: bytes) -> None:
        message = message_from_bytes(content, policy=policy.default)
        self._taken += 1
        self.letters.append(
            Letter(
                number=self._taken,
                at=self._host.now(),
                sender=envelope.mail_from or "",
                to=list(envelope.rcpt_tos),
                subject=str(message["subject"] or ""),
                message_id=str(message["message-id"] or ""),
                text=_part(message, "plain"),
                html=_part(message, "html"),
                size=len(content),
                raw=content,
            )
        )

    def clear(self) -> None:
        """Nobody has ever written."""
        self.letters.clear()
        self._taken = 0

    def state(self) -> list[dict[str, object]]:
        """Every letter, the oldest first."""
        return [
            {
                **{name: getattr(one, name) for name in ("number", "at", "sender", "to", "subject", "message_id")},
                **{name: getattr(one, name) for name in ("text", "html", "size")},
            }
            for one in self.letters
        ]

    def page(self, path: str) -> Reply:
        """`/mail` lists the letters, `/mail/3` shows one: headers, text, and HTML in a frame that may do nothing."""
        _, _, number = path.strip("/").partition("/")
        if not number:
            rows = [
                f"<tr><td>{one.at:%Y-%m-%d %H:%M:%S}</td><td>{escape(', '.join(one.to))}</td>"
                f'<td><a href="/mail/{one.number}">{escape(one.subject) or "(no subject)"}</a></td></tr>'
                for one in reversed(self.letters)
            ]
            table = f"<table><tr><th>At</th><th>To</th><th>Subject</th></tr>{''.join(rows)}</table>"
            return _shown("Mailbox", table if rows else "<p>No letter yet.</p>")
        letter = next((one for one in self.letters if str(one.number) == number), None)
        if letter is None:
            return Reply(404, b"no such letter", {"Content-Type": "text/plain"})
        head, _, _ = letter.raw.partition(b"\r\n\r\n")
        frame = f'<iframe sandbox title="HTML part" width="700" height="600" srcdoc="{escape(letter.html)}"></iframe>'
        parts = (
            f'<p><a href="/mail">All letters</a></p><pre>{escape(head.decode(errors="replace"))}</pre>'
            f"<h2>Text</h2><pre>{escape(letter.text)}</pre>{'<h2>HTML</h2>' + frame if letter.html else ''}"
        )
        return _shown(letter.subject or "(no subject)", parts)


def require_mail_effect(effect: Effect) -> None:
    """Refuses an effect that makes no sense for letters."""
    known = ("status", "delay", "reset", "reset_after")
    if effect.name not in known:
        raise SimRefusal(f"letters know no effect {effect.name}: {', '.join(known)}")


def _part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    return str(found.get_content()) if found else ""


def _shown(title: str, body: str) -> Reply:
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}
    return Reply(200, PAGE.format(title=escape(title), body=body).encode(), headers)
