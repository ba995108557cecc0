"""Statements of identity, a file for each noun: `sql.sessions.find_by_cookie`."""

from palio.identity.sql import (
    attempts,
    contacts,
    credentials,
    entries,
    factors,
    friends,
    looks,
    own_roles,
    people,
    play,
    resets,
    roles,
    sessions,
    suspensions,
    tokens,
    users,
)

__all__ = [
    "attempts",
    "contacts",
    "credentials",
    "entries",
    "factors",
    "friends",
    "looks",
    "own_roles",
    "people",
    "play",
    "resets",
    "roles",
    "sessions",
    "suspensions",
    "tokens",
    "users",
]
