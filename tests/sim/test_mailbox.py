"""A mailbox for everybody: what is handed in can be looked at, and handing in goes wrong as it does in the world."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from palio.sim import HOST, Clock, Effect, Fault, SimRefusal, World
from palio.sim.faults import fault_of
from palio.sim.mailbox import LETTER_BYTES_MAX, Mailbox
from palio.sim.wire import Request

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(clock=Clock(NOON, is_frozen=True)).serving(smtp_port=0) as world:
        yield world


def letter(to: str = "anna@example.com", subject: str = "Hello", text: str = "Dear Anna") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "palio@example.com", to, subject
    message["Message-ID"] = "<one@example.com>"
    message.set_content(text)
    message.add_alternative("<p>Dear <script>alert(1)</script>Anna</p>", subtype="html")
    return message


async def hand_in(port: int, message: EmailMessage, login: tuple[str, str] | None = None) -> None:
    """As any program does it, beside the event loop."""

    def speak() -> None:
        with smtplib.SMTP(HOST, port, timeout=5) as server:
            if login:
                server.login(*login)
            server.send_message(message)

    await asyncio.to_thread(speak)


async def test_a_letter_is_taken_kept_and_shown(world: World) -> None:
    await hand_in(world.smtp_port, letter(subject="Prizes & more"))
    (one,) = world.mailbox.letters
    assert (one.number, one.at, one.to, one.subject) == (1, NOON, ["anna@example.com"], "Prizes & more")
    assert (one.message_id, one.text.strip()) == ("<one@example.com>", "Dear Anna")
    assert [(said.sim, said.path, said.status, said.is_known) for said in world.expected(1)] == [
        ("smtp", "/anna@example.com", 250, True)
    ]
    page = world.answer(Request("GET", "/mail", {}, {})).reply.body.decode()
    assert '<a href="/mail/1">Prizes &amp; more</a>' in page
    page = world.answer(Request("GET", "/mail/1", {}, {})).reply.body.decode()
    assert "<script" not in page and "iframe sandbox" in page and "Dear Anna" in page
    assert world.answer(Request("GET", "/mail/2", {}, {})).reply.status == 404
    assert b"one@example.com" in world.answer(Request("GET", "/__sim__/state/smtp", {}, {})).reply.body


@pytest.mark.parametrize(
    ("effect", "failure", "letters"),
    [
        (Effect("status", code=451), smtplib.SMTPDataError, 0),
        (Effect("status", code=550), smtplib.SMTPDataError, 0),
        (Effect("reset"), smtplib.SMTPServerDisconnected, 0),
        (Effect("reset_after"), smtplib.SMTPServerDisconnected, 1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_what_goes_wrong_is_heard_and_only_a_lost_answer_leaves_the_letter(
    world: World, effect: Effect, failure: type[Exception], letters: int
) -> None:
    world.faults.add(Fault("smtp", effect, times=1))
    with pytest.raises(failure):
        await hand_in(world.smtp_port, letter())
    assert len(world.mailbox.letters) == letters
    await hand_in(world.smtp_port, letter())
    assert {one.message_id for one in world.mailbox.letters} == {"<one@example.com>"}
    assert [one.fault for one in world.expected(2)] == [effect.name, None]


async def test_after_a_reset_the_same_server_has_empty_boxes(world: World) -> None:
    await hand_in(world.smtp_port, letter())
    world.reset()
    assert not world.mailbox.letters
    await hand_in(world.smtp_port, letter())
    assert [(one.number, one.to) for one in world.mailbox.letters] == [(1, ["anna@example.com"])]


async def test_a_letter_for_one_of_them_fails_alone(world: World) -> None:
    world.faults.add(fault_of({"sim": "smtp", "effect": {"name": "status", "code": 550}, "match": {"path": "/bert@"}}))
    await hand_in(world.smtp_port, letter())
    with pytest.raises(smtplib.SMTPDataError, match="No such user"):
        await hand_in(world.smtp_port, letter("bert@example.com"))
    assert [one.to for one in world.mailbox.letters] == [["anna@example.com"]]


async def test_a_letter_beyond_the_limit_is_not_taken(world: World) -> None:
    with pytest.raises(smtplib.SMTPException):
        await hand_in(world.smtp_port, letter(text="x" * (LETTER_BYTES_MAX + 1)))
    assert not world.mailbox.letters


async def test_a_server_that_asks_for_a_password_takes_the_right_one_alone(world: World) -> None:
    mailbox = Mailbox(world, login="palio:secret")
    async with mailbox.serving(HOST, 0) as port:
        for login in (None, ("palio", "wrong")):
            with pytest.raises(smtplib.SMTPException):
                await hand_in(port, letter(), login)
        assert not mailbox.letters
        await hand_in(port, letter(), ("palio", "secret"))
    assert len(mailbox.letters) == 1


def test_an_effect_that_letters_do_not_know_is_refused() -> None:
    order: Callable[[dict[str, object]], None] = lambda members: World()._call("POST", "faults", members)  # noqa: E731
    with pytest.raises(SimRefusal, match="letters know no effect huge: status, delay, reset, reset_after"):
        order({"sim": "smtp", "effect": {"name": "huge"}})
