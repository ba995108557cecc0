"""Who speaks when a provider sends its list by itself: Standard Webhooks, by any of the secrets that are live."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.types import Push
from palio.kernel import signatures
from palio.kernel.signatures import SignedMessage, secret_of

__all__ = ["is_genuine", "live_secrets", "secret_of", "signature", "with_newest"]

SECRETS_MAX = 2  # the new one, and the one before until the provider has changed over


def live_secrets(sealed: str | None) -> list[str]:
    """The secrets of a feed, the newest first, as its column holds them."""
    return sealed.split() if sealed else []


def with_newest(sealed: str | None, secret: str) -> str:
    """The column with one more secret; the oldest of several is live no longer."""
    return " ".join([secret, *live_secrets(sealed)][:SECRETS_MAX])


def signature(secret: str, push: Push) -> str:
    """What the header of a push must hold."""
    return signatures.signature(secret, _signed(push))


def is_genuine(push: Push, secrets: Sequence[str], now: datetime) -> bool:
    """Is it signed with a live secret, and not five minutes old or more?"""
    return signatures.is_genuine(_signed(push), push.signatures, secrets, now)


def _signed(push: Push) -> SignedMessage:
    return SignedMessage(push.event_id, push.timestamp, push.body)
