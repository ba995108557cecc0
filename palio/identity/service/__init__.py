"""Use cases of identity, a file for each noun: `service.sessions.authenticate`."""

from palio.identity.service import (
    accounts,
    attempts,
    credentials,
    documents,
    factors,
    friends,
    play,
    policy,
    privacy,
    registration,
    roles,
    sessions,
    tokens,
)

__all__ = [
    "accounts",
    "attempts",
    "credentials",
    "documents",
    "factors",
    "friends",
    "play",
    "policy",
    "privacy",
    "registration",
    "roles",
    "sessions",
    "tokens",
]
