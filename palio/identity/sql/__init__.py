"""Statements of identity, a file for each noun: `sql.sessions.find_by_cookie`."""

from palio.identity.sql import (
    attempts,
    contacts,
    credentials,
    devices,
    factors,
    friends,
    methods,
    passkeys,
    play,
    roles,
    sessions,
    tokens,
    users,
    zones,
)

__all__ = [
    "attempts",
    "contacts",
    "credentials",
    "devices",
    "factors",
    "friends",
    "methods",
    "passkeys",
    "play",
    "roles",
    "sessions",
    "tokens",
    "users",
    "zones",
]
