"""Use cases of identity, a file for each noun: `service.sessions.authenticate`."""

from palio.identity.service import (
    accounts,
    attempts,
    contacts,
    credentials,
    devices,
    documents,
    factors,
    friends,
    passkeys,
    play,
    policy,
    registration,
    roles,
    sessions,
    tokens,
    zones,
)

__all__ = [
    "accounts",
    "attempts",
    "contacts",
    "credentials",
    "devices",
    "documents",
    "factors",
    "friends",
    "passkeys",
    "play",
    "policy",
    "registration",
    "roles",
    "sessions",
    "tokens",
    "zones",
]
