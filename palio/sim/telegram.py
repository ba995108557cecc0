"""What Telegram signs with the token of a bot, by its own documents: data of a Mini App, and of the Login Widget."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from palio.sim.refusals import SimRefusal

BOT, TOKEN = "palio_sim_bot", "7000000001:AAsimulated-token-of-nobody"
FLAWS = ("", "tampered", "expired", "reused", "widget")
LATE = timedelta(seconds=301)
QUERY_ID = "AAHdF6IQAAAAAN0XohDhrOrc"


class Telegram:
    """Signs for people; the same data comes again where a flaw wants it used twice."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self._last: str | None = None

    def init_data(self, user: Mapping[str, Any], *, at: datetime, flaw: str = "") -> str:
        """The `initData` of a Mini App that a user opens; with a flaw it must not let him in."""
        if flaw not in FLAWS:
            raise SimRefusal(f"there is no flaw {flaw}: {', '.join(filter(None, FLAWS))}")
        if flaw == "reused" and self._last:
            return self._last
        signed_at = at - LATE if flaw == "expired" else at
        fields = {
            "query_id": QUERY_ID,
            "user": json.dumps(user, separators=(",", ":"), ensure_ascii=False),
            "auth_date": str(int(signed_at.timestamp())),
            "signature": "c2lnbmF0dXJlIG9mIGEgdGhpcmQgcGFydHk",
        }
        key = self._widget_key() if flaw == "widget" else hmac.digest(b"WebAppData", self.token.encode(), "sha256")
        fields["hash"] = _signed(fields, key)
        if flaw == "tampered":
            fields["user"] = fields["user"].replace(str(user["id"]), str(int(user["id"]) + 1))
        self._last = urlencode(fields)
        return self._last

    def widget(self, user: Mapping[str, Any], *, at: datetime) -> dict[str, str | int]:
        """What the Login Widget hands to a page once a user has agreed."""
        fields: dict[str, str | int] = {**user, "auth_date": int(at.timestamp())}
        return {**fields, "hash": _signed({name: str(value) for name, value in fields.items()}, self._widget_key())}

    def _widget_key(self) -> bytes:
        return hashlib.sha256(self.token.encode()).digest()


def _signed(fields: Mapping[str, str], key: bytes) -> str:
    check = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    return hmac.new(key, check.encode(), hashlib.sha256).hexdigest()
