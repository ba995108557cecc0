"""Statements of identity, a file for each noun: `sql.sessions.find_by_cookie`."""

from palio.identity.sql import (
    attempts,
    contacts,
    credentials,
    external,
    factors,
    friends,
    methods,
    phones,
    play,
    roles,
    sessions,
    telegram,
    tokens,
    users,
)

__all__ = [
    "attempts",
    "contacts",
    "credentials",
    "external",
    "factors",
    "friends",
    "methods",
    "phones",
    "play",
    "roles",
    "sessions",
    "telegram",
    "tokens",
    "users",
]
