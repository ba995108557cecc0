"""Decisions of identity, a file for each noun: `rules.names.require_username`."""

from palio.identity.rules import (
    emails,
    factors,
    friends,
    methods,
    names,
    passwords,
    phones,
    play,
    roles,
    sessions,
    telegram,
    throttles,
    tokens,
)

__all__ = [
    "emails",
    "factors",
    "friends",
    "methods",
    "names",
    "passwords",
    "phones",
    "play",
    "roles",
    "sessions",
    "telegram",
    "throttles",
    "tokens",
]
