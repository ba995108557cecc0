"""The door for short codes: a gateway of the operator's that sends them on as text messages, or a list for tests."""

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from palio.infra.http import Answer, Client, Profile
from palio.kernel import clock
from palio.kernel.errors import Upstream
from palio.kernel.signatures import SignedMessage, signature

KEPT_MAX = 1_000
SECONDS_MAX = 20
TAKEN = range(200, 300)


@dataclass(frozen=True, slots=True)
class Code:
    """A code for one number (E.164), and the words it is sent in. `number` is what a second delivery is known by."""

    number: str
    to: str = field(repr=False)
    code: str = field(repr=False)
    text: str = field(repr=False)
    locale: str
    expires_at: datetime


class Sender(Protocol):
    """Where codes are handed in."""

    async def send(self, code: Code) -> None:
        """Hand it in. Refuses with Upstream when nobody takes it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The offline double: the newest codes, in memory, sent to nobody."""

    codes: deque[Code] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))

    async def send(self, code: Code) -> None:
        """Keep it."""
        self.codes.append(code)


class Nowhere:
    """Where no gateway is named: nothing can be sent."""

    async def send(self, code: Code) -> None:  # noqa: ARG002 - as every sender takes it
        """Refuses with Upstream."""
        raise Upstream(service="otp", reason="no gateway is set (PALIO_OTP_WEBHOOK_URL)")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A server that the operator points at any provider. Each call is signed as Standard Webhooks have it.

    `may_be_inside` takes one in the operator's own network, over plain http.
    """

    url: str
    secret: str = field(repr=False)
    client: Client = field(repr=False)
    may_be_inside: bool = False

    async def send(self, code: Code) -> None:
        """Hand it in within 20 seconds. Refuses with Upstream."""
        told = {
            "type": "otp.code",
            "to": code.to,
            "code": code.code,
            "text": code.text,
            "locale": code.locale,
            "expires_at": clock.text(code.expires_at),
        }
        message = SignedMessage(code.number, str(int(clock.now().timestamp())), json.dumps(told).encode())
        answer = await self.client.call(
            self.url,
            profile=Profile(
                door="otp", seconds_max=SECONDS_MAX, methods=frozenset({"POST"}), may_be_inside=self.may_be_inside
            ),
            headers={
                "content-type": "application/json",
                "webhook-id": message.webhook_id,
                "webhook-timestamp": message.timestamp,
                "webhook-signature": signature(self.secret, message),
            },
            method="POST",
            content=message.body,
        )
        if not isinstance(answer, Answer):
            raise Upstream(service="otp", reason=answer.kind)
        if answer.status not in TAKEN:
            raise Upstream(service="otp", reason=f"status {answer.status}")
