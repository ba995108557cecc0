"""Decisions of identity, a file for each noun: `rules.names.require_username`."""

from palio.identity.rules import (
    emails,
    factors,
    friends,
    names,
    passwords,
    play,
    privacy,
    roles,
    sessions,
    throttles,
    tokens,
)

__all__ = [
    "emails",
    "factors",
    "friends",
    "names",
    "passwords",
    "play",
    "privacy",
    "roles",
    "sessions",
    "throttles",
    "tokens",
]
