"""Which ways in there are, which of them work for somebody, and that the last one stays."""

import re
from collections.abc import Collection, Iterable

from palio.identity.errors import LastLoginMethod
from palio.identity.types import AuthMethod

PROVIDER = re.compile(r"google|apple|oidc:[a-z][a-z0-9-]{0,19}")
NAME_CHARACTERS = 10
NAME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def method_of(provider: str) -> AuthMethod:
    """By which method somebody comes in through a provider."""
    if provider == "google":
        return "google"
    return "apple" if provider == "apple" else "oidc"


def require_another(ways: Iterable[AuthMethod], opened: Collection[str]) -> None:
    """Let a way go if another one that is open is left. Refuses with LastLoginMethod."""
    if not any(way in opened for way in ways):
        raise LastLoginMethod


def generated_name(draw: Iterable[int]) -> str:
    """A user name for somebody who has chosen none, out of random numbers."""
    return "player-" + "".join(NAME_ALPHABET[number % len(NAME_ALPHABET)] for number in draw)
