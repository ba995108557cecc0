"""Signed messages between machines, as Standard Webhooks have it: an id, an instant, a body, and a secret."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

AGE_SECONDS_MAX = 300
ID_CHARACTERS_MAX = 256
PREFIX, SCHEME = "whsec_", "v1"


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """What is signed: the headers `webhook-id` and `webhook-timestamp` (seconds) as they are written, and the body."""

    webhook_id: str
    timestamp: str
    body: bytes = field(repr=False)


def secret_of(key: bytes) -> str:
    """A secret as both sides write it down."""
    return PREFIX + b64encode(key).decode()


def signature(secret: str, message: SignedMessage) -> str:
    """What the header `webhook-signature` holds for one secret; several stand there with blanks between them."""
    signed = f"{message.webhook_id}.{message.timestamp}.".encode() + message.body
    return f"{SCHEME},{b64encode(hmac.new(_key_of(secret), signed, hashlib.sha256).digest()).decode()}"


def is_genuine(message: SignedMessage, signatures: str, secrets: Sequence[str], now: datetime) -> bool:
    """Is it signed with one of these secrets, and not more than five minutes away from now?"""
    timestamp, webhook_id = message.timestamp, message.webhook_id
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= len("9999999999")):
        return False
    if not 0 < len(webhook_id) <= ID_CHARACTERS_MAX or not webhook_id.isprintable():
        return False
    if abs(now.timestamp() - int(timestamp)) > AGE_SECONDS_MAX:
        return False
    return is_among(signatures, [signature(secret, message) for secret in secrets])


def is_among(signatures: str, known: Sequence[str]) -> bool:
    """Is one of the signatures, with blanks between them, one of those that are known? In constant time for each."""
    given = [one.encode() for one in signatures.split()]
    return any(hmac.compare_digest(one, other.encode()) for one in given for other in known)


def _key_of(secret: str) -> bytes:
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except Error:
        return secret.encode()
