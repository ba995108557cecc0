"""A gateway that sends short codes to nobody: it takes signed calls, and shows what would have come to a telephone."""

import json
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape

from palio.sim.hooks import Hooks
from palio.sim.wire import Reply, Request, as_json

PATH = "/otp"
CODES_MAX = 1_000
SECRET = "whsec_c2ltdWxhdGVkIGdhdGV3YXkgb2Ygc2hvcnQgY29kZXM="  # noqa: S105 - of a gateway that does not exist
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Telephones</title><h1>Telephones</h1>{rows}'
    "<p>Played by Palio on this machine. Nobody received any of this.</p></html>"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A code as it came; one of the same number may have come before."""

    at: datetime
    number: str
    to: str
    code: str
    text: str


class Otp:
    """The telephones of a world; what is not signed by the secret is not taken."""

    def __init__(self) -> None:
        self.sent: deque[Sent] = deque(maxlen=CODES_MAX)
        self._ears = Hooks()
        self._ears.control("secret", {"name": "otp", "secret": SECRET})

    def answer(self, request: Request, now: datetime) -> Reply:
        """Take a code (POST), or show what has come (GET)."""
        if request.method == "GET":
            return self.page()
        if not self._ears.verifies(request, "otp", now):
            return as_json({"message": "the signature is wrong"}, 401)
        try:
            told = json.loads(request.body)
            sent = Sent(now, request.headers["webhook-id"], str(told["to"]), str(told["code"]), str(told["text"]))
        except (ValueError, KeyError, TypeError):
            return as_json({"message": "no code"}, 422)
        if all(one.number != sent.number for one in self.sent):
            self.sent.append(sent)
        return as_json({"taken": True}, 202)

    def newest(self, to: str) -> Sent | None:
        """What came to a telephone last."""
        return next((one for one in reversed(self.sent) if one.to == to), None)

    def state(self) -> list[dict[str, object]]:
        """Every code, the oldest first."""
        return [asdict(one) for one in self.sent]

    def page(self) -> Reply:
        """What would have come to telephones, the newest first."""
        rows = [
            f"<tr><td>{one.at:%Y-%m-%d %H:%M:%S}</td><td>{escape(one.to)}</td><td>{escape(one.text)}</td></tr>"
            for one in reversed(self.sent)
        ]
        table = f"<table><tr><th>At</th><th>To</th><th>Message</th></tr>{''.join(rows)}</table>"
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}
        return Reply(200, PAGE.format(rows=table if rows else "<p>No message yet.</p>").encode(), headers)
