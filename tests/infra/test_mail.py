"""Letters: what arrives at a mail server, what lies in a folder, and what a refusal says."""

import email
import socket
import stat
from collections.abc import Iterator
from email import policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from palio.infra.mail import Folder, Letter, Smtp, message_of
from palio.kernel.errors import Upstream

LETTER = Letter("alice@example.com", "Grüße", "Guten Tag\nhttp://palio.test/x\n", "<p>Guten Tag</p>", "0123")
SENDER = "Palio <palio@play.example.com>"


class Box:
    """A mail server that keeps what it is given, or refuses whom it does not know."""

    def __init__(self) -> None:
        self.received: list[tuple[list[str], bytes]] = []

    async def handle_RCPT(  # noqa: N802 - named by the library
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if not address.endswith("@example.com"):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        content = envelope.content
        assert isinstance(content, bytes)
        self.received.append((list(envelope.rcpt_tos), content))
        return "250 OK"


@pytest.fixture
def box() -> Iterator[tuple[Box, str]]:
    box = Box()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"smtp://127.0.0.1:{port}"
    controller.stop()


async def test_a_letter_arrives_as_text_and_as_html(box: tuple[Box, str]) -> None:
    received, url = box[0].received, box[1]
    await Smtp(url, SENDER).send(LETTER)

    ((to, content),) = received
    message = email.message_from_bytes(content, policy=policy.default)
    assert to == ["alice@example.com"]
    assert (message["subject"], message["message-id"]) == ("Grüße", "<0123@play.example.com>")
    text, html = message.iter_parts()
    assert text.get_content().splitlines() == ["Guten Tag", "http://palio.test/x"]
    assert html.get_content().strip() == "<p>Guten Tag</p>"


async def test_what_the_server_refuses_is_told_without_the_address(box: tuple[Box, str]) -> None:
    with pytest.raises(Upstream) as refused:
        await Smtp(box[1], SENDER).send(Letter("bob@elsewhere.org", "x", "x", "x"))

    assert refused.value.facts == {"service": "mail", "reason": "SMTPRecipientsRefused"}


async def test_a_server_that_is_away_and_one_that_would_hear_the_password_are_refused(box: tuple[Box, str]) -> None:
    with pytest.raises(Upstream):
        await Smtp("smtp://127.0.0.1:1", SENDER).send(LETTER)
    with pytest.raises(Upstream):
        await Smtp(box[1].replace("//", "//user:secret@"), SENDER).send(LETTER)
    assert box[0].received == []


@pytest.mark.parametrize("bad", ["alice@example.com\r\nBcc: eve@example.com", "alice@example.com\nX: y"])
def test_nothing_in_a_letter_adds_a_header(bad: str) -> None:
    message = message_of(Letter(bad, f"hello\r\nBcc: {bad}", "x", "x"), SENDER)

    assert message["bcc"] is None
    assert [name for name in message if name.lower() in {"bcc", "x"}] == []


async def test_without_a_server_the_operator_finds_the_letter_in_a_folder(tmp_path: Path) -> None:
    await Folder(tmp_path / "mail", SENDER).send(LETTER)

    file = tmp_path / "mail/0123.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert email.message_from_bytes(file.read_bytes(), policy=policy.default)["to"] == "alice@example.com"
