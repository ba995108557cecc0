"""Decisions of identity, a file for each noun: `rules.names.require_username`."""

from palio.identity.rules import (
    emails,
    factors,
    friends,
    looks,
    names,
    passwords,
    play,
    privacy,
    roles,
    sessions,
    suspensions,
    throttles,
    tokens,
    zones,
)

__all__ = [
    "emails",
    "factors",
    "friends",
    "looks",
    "names",
    "passwords",
    "play",
    "privacy",
    "roles",
    "sessions",
    "suspensions",
    "throttles",
    "tokens",
    "zones",
]
