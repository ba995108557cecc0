"""API tokens: `palio_` + 8 characters that name it + `_` + 43 secret ones + 6 that betray a typing error."""

import re
import zlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from palio.identity.errors import LifetimeInvalid, ScopeUnknown, TokenNameInvalid, TooManyTokens

TOKEN = re.compile(r"(palio_[0-9A-Za-z]{8})_([0-9A-Za-z_-]{43})([0-9A-Za-z]{6})")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECK_CHARACTERS = 6
PREFIX_CHARACTERS = 14
TOKENS_MAX = 20
DAYS_MAX, DAYS_DEFAULT = 365, 90
NAME_CHARACTERS_MAX = 60
SCOPES = frozenset(
    f"{module}:{access}"
    for module in (
        *("identity", "ledger", "notifications", "payments", "competitions", "quests", "games", "steps", "store"),
        *("support", "affiliates", "bonuses", "races", "challenges", "achievements", "newsletter", "community"),
        *("insights", "admin", "mcp"),
    )
    for access in ("read", "write")
)


def api_token(public: str, secret: str) -> str:
    """The token that is shown once, from 8 and 43 characters."""
    head = f"palio_{public}_{secret}"
    return head + _check(head)


def is_api_token(text: str) -> bool:
    """Could this be one of ours? A wrong character shows without a look-up."""
    found = TOKEN.fullmatch(text)
    return found is not None and found[3] == _check(text[:-CHECK_CHARACTERS])


def require_token(*, name: str, scopes: Collection[str], days: int, live: int) -> None:
    """Let a token come to be. Refuses with TokenNameInvalid, ScopeUnknown, LifetimeInvalid, TooManyTokens."""
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise TokenNameInvalid(longest=NAME_CHARACTERS_MAX)
    if not scopes or (unknown := sorted(set(scopes) - SCOPES)):
        raise ScopeUnknown(scopes=unknown if scopes else [], known=sorted(SCOPES))
    if not 1 <= days <= DAYS_MAX:
        raise LifetimeInvalid(days=days, longest=DAYS_MAX)
    if live >= TOKENS_MAX:
        raise TooManyTokens(limit=TOKENS_MAX)


def expires_at(now: datetime, days: int) -> datetime:
    """When a token of so many days ends."""
    return now + timedelta(days=days)


def comes_from(allowed: Sequence[str], ip: str | None) -> bool:
    """Does a token that is bound to networks come from one of them? No list binds nothing."""
    if not allowed:
        return True
    try:
        return ip is not None and any(ip_address(ip) in ip_network(network) for network in allowed)
    except ValueError:
        return False


def _check(head: str) -> str:
    number, digits = zlib.crc32(head.encode()), []
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(digits)
