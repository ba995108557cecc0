"""Use cases of identity, a file for each noun: `service.sessions.authenticate`."""

from palio.identity.service import (
    accounts,
    attempts,
    credentials,
    documents,
    factors,
    friends,
    looks,
    own_roles,
    people,
    play,
    policy,
    registration,
    roles,
    sessions,
    suspensions,
    tokens,
)

__all__ = [
    "accounts",
    "attempts",
    "credentials",
    "documents",
    "factors",
    "friends",
    "looks",
    "own_roles",
    "people",
    "play",
    "policy",
    "registration",
    "roles",
    "sessions",
    "suspensions",
    "tokens",
]
