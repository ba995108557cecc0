"""Statements of identity, a file for each noun: `sql.sessions.find_by_cookie`."""

from palio.identity.sql import (
    attempts,
    contacts,
    credentials,
    factors,
    friends,
    play,
    privacy,
    roles,
    sessions,
    tokens,
    users,
)

__all__ = [
    "attempts",
    "contacts",
    "credentials",
    "factors",
    "friends",
    "play",
    "privacy",
    "roles",
    "sessions",
    "tokens",
    "users",
]
