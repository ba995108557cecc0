"""Somebody who hears our webhooks: knows them by their signature, keeps what came, and answers as he was told to.

`/hooks/<name>` is a receiver. What it hears is verified by its own reading of Standard Webhooks, not by ours.
"""

import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from palio.sim.refusals import SimRefusal
from palio.sim.wire import Reply, Request, as_json

PATH = "/hooks/"
TOLERANCE_S = 300
HEARD_MAX = 10_000
SECRETS_MAX = 4
STATUS_MIN, STATUS_MAX = 200, 599
TAKEN, REFUSED = 204, 401


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came; `is_genuine` says whether its signature is by a secret that the receiver knows."""

    at: datetime
    receiver: str
    webhook_id: str
    timestamp: str
    signature: str
    is_genuine: bool
    body: str
    answered: int


class Hooks:
    """The receivers of a world. Without secrets a receiver takes every message, and calls none genuine."""

    def __init__(self) -> None:
        self.heard: deque[Heard] = deque(maxlen=HEARD_MAX)
        self._secrets: dict[str, list[str]] = {}
        self._answers: dict[str, list[int]] = {}

    def answer(self, request: Request, now: datetime) -> Reply:
        """Take a message: 204 if it is genuine or nobody checks, 401 if it is not, or the next status of the script."""
        receiver = request.path.removeprefix(PATH).partition("/")[0]
        known, script = self._secrets.get(receiver), self._answers.get(receiver, [])
        is_genuine = self.verifies(request, receiver, now)
        status = TAKEN if is_genuine or known is None else REFUSED
        if script:
            status = script.pop(0)
        self.heard.append(
            Heard(
                at=now,
                receiver=receiver,
                webhook_id=request.headers.get("webhook-id", ""),
                timestamp=request.headers.get("webhook-timestamp", ""),
                signature=request.headers.get("webhook-signature", ""),
                is_genuine=is_genuine,
                body=request.body.decode(errors="replace"),
                answered=status,
            )
        )
        return Reply(status, b"") if status == TAKEN else as_json({"status": status}, status)

    def control(self, act: str, members: Mapping[str, object]) -> None:
        """`secret` {name, secret}: one more that is known; `script` {name, statuses}: what it answers next.

        `forget` {name}: know and play nothing any more. Refuses what it does not know.
        """
        match act, members:
            case "secret", {"name": str(name), "secret": str(secret), **more} if not more:
                self._secrets[name] = [secret, *self._secrets.get(name, [])][:SECRETS_MAX]
            case "script", {"name": str(name), "statuses": list(statuses), **more} if not more:
                if not all(isinstance(one, int) and STATUS_MIN <= one <= STATUS_MAX for one in statuses):
                    raise SimRefusal(f"statuses are numbers from {STATUS_MIN} to {STATUS_MAX}")
                self._answers[name] = [int(one) for one in statuses]
            case "forget", {"name": str(name), **more} if not more:
                self._secrets.pop(name, None)
                self._answers.pop(name, None)
            case _:
                raise SimRefusal("known: secret {name, secret}, script {name, statuses}, forget {name}")

    def state(self) -> dict[str, Any]:
        """What was heard, and what is played."""
        return {
            "heard": [asdict(one) for one in self.heard],
            "answers": self._answers,
            "receivers": list(self._secrets),
        }

    def verifies(self, request: Request, receiver: str, now: datetime) -> bool:
        """Are the three parts signed together, by one of the receiver's secrets, and is the timestamp of now?"""
        headers, known = request.headers, self._secrets.get(receiver, [])
        try:
            sent = int(headers["webhook-timestamp"])
            signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), request.body])
            given = headers["webhook-signature"].split(" ")
            keys = [base64.b64decode(secret.split("_", 1)[1]) for secret in known]
        except (KeyError, ValueError, IndexError):
            return False
        if abs(now.timestamp() - sent) > TOLERANCE_S:
            return False
        wanted = {b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys}
        return any(hmac.compare_digest(one.encode(), other) for one in given for other in wanted)
