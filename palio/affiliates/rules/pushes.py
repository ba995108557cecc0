"""Who speaks when a provider sends its list by itself: Standard Webhooks, by any of the secrets that are live."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.types import Push

AGE_SECONDS_MAX = 300
SECRETS_MAX = 2  # the new one, and the one before until the provider has changed over
PREFIX, SCHEME = "whsec_", "v1"
EVENT_ID_CHARACTERS_MAX = 256


def secret_of(key: bytes) -> str:
    """A secret as both sides write it down."""
    return PREFIX + b64encode(key).decode()


def live_secrets(sealed: str | None) -> list[str]:
    """The secrets of a feed, the newest first, as its column holds them."""
    return sealed.split() if sealed else []


def with_newest(sealed: str | None, secret: str) -> str:
    """The column with one more secret; the oldest of several is live no longer."""
    return " ".join([secret, *live_secrets(sealed)][:SECRETS_MAX])


def signature(secret: str, push: Push) -> str:
    """What the header of a push must hold."""
    signed = f"{push.event_id}.{push.timestamp}.".encode() + push.body
    return f"{SCHEME},{b64encode(hmac.new(_key_of(secret), signed, hashlib.sha256).digest()).decode()}"


def is_genuine(push: Push, secrets: Sequence[str], now: datetime) -> bool:
    """Is it signed with a live secret, and not five minutes old or more?"""
    if not (push.timestamp.isascii() and push.timestamp.isdecimal() and len(push.timestamp) <= len("9999999999")):
        return False
    if not 0 < len(push.event_id) <= EVENT_ID_CHARACTERS_MAX or not push.event_id.isprintable():
        return False
    if abs(now.timestamp() - int(push.timestamp)) > AGE_SECONDS_MAX:
        return False
    given = [one.encode() for one in push.signatures.split()]
    wanted = [signature(secret, push).encode() for secret in secrets]
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _key_of(secret: str) -> bytes:
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except Error:
        return secret.encode()
