"""API tokens: made once, shown once, limited to what they are for."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from ipaddress import ip_network
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import NetworkInvalid, NoSuchToken
from palio.identity.messages import ApiTokenCreated, ApiTokenRevoked
from palio.identity.service import sessions
from palio.identity.types import ApiToken, NewApiToken, ScopeUse, TokenId, TokenUse
from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

PUBLIC_CHARACTERS = 8
NETWORKS_MAX = 20


async def create_token(
    tx: Tx,
    *,
    user_id: UserId,
    name: str,
    scopes: Sequence[str],
    days: int = rules.tokens.DAYS_DEFAULT,
    ip_allow: Sequence[str] = (),
    now: datetime,
    reason: str = "",
    via: audit.Via | None = None,
) -> NewApiToken:
    """Make a token of a user, good for the scopes and, where networks are given, from them alone. Audited.

    Refuses with TokenNameInvalid, ScopeUnknown, LifetimeInvalid, TooManyTokens, NetworkInvalid.
    """
    await sql.credentials.lock_user(tx, user_id)
    live = len(await sql.tokens.list_tokens(tx, user_id, now=now))
    rules.tokens.require_token(name=name, scopes=scopes, days=days, live=live)
    public = "".join(secrets.choice(rules.tokens.DIGITS) for _ in range(PUBLIC_CHARACTERS))
    secret = rules.tokens.api_token(public, personal.new_secret())
    token = ApiToken(
        TokenId(new_id()),
        user_id,
        name,
        secret[: rules.tokens.PREFIX_CHARACTERS],
        secret[-4:],
        sorted(set(scopes)),
        _networks(ip_allow),
        now,
        rules.tokens.expires_at(now, days),
        last_used_at=None,
        revoked_at=None,
    )
    await sql.tokens.insert_token(tx, token, personal.hash_of(secret))
    await _record(tx, token, "api_token.create", {"scopes": (None, token.scopes)}, reason, via)
    await outbox.send(tx, ApiTokenCreated(user_id, token.id))
    return NewApiToken(token, secret)


async def tokens_of(tx: Tx, *, user_id: UserId, now: datetime) -> list[ApiToken]:
    """The live tokens of a user, the newest first."""
    return await sql.tokens.list_tokens(tx, user_id, now=now)


async def tokens_in_use(tx: Tx, *, limit: int, now: datetime) -> list[TokenUse]:
    """Live tokens of everybody, those used last first; for staff."""
    return await sql.tokens.list_live(tx, limit=limit, now=now)


async def scopes_in_use(tx: Tx, *, now: datetime) -> list[ScopeUse]:
    """How many live tokens have each scope; for staff."""
    return await sql.tokens.list_scopes(tx, now=now)


async def owners_of_tokens(tx: Tx, *, ids: Collection[UUID]) -> dict[UUID, UserId]:
    """Whose these tokens are, also those that ended; unknown ones are absent. For staff."""
    return {one.id: one.user_id for one in await sql.tokens.find_owners(tx, ids)} if ids else {}


async def revoke_token(
    tx: Tx,
    *,
    user_id: UserId,
    token_id: TokenId,
    now: datetime,
    reason: str = "revoked",
    via: audit.Via | None = None,
) -> None:
    """End a live token of a user. Audited. Refuses with NoSuchToken."""
    ended = await sql.tokens.update_revoked(
        tx, user_id=user_id, token_id=token_id, token_hash=None, reason=reason, now=now
    )
    if not ended:
        raise NoSuchToken(token_id=token_id)
    await _revoked(tx, ended, reason, via)


async def revoke_all(tx: Tx, *, user_id: UserId, reason: str, now: datetime) -> int:
    """End every token of a user and return how many. Audited."""
    ended = await sql.tokens.update_revoked(tx, user_id=user_id, token_id=None, token_hash=None, reason=reason, now=now)
    await _revoked(tx, ended, reason, None)
    return len(ended)


async def revoke_leaked(tx: Tx, *, secret: str, now: datetime) -> None:
    """End the token that somebody found lying about, if it is one. Audited."""
    if rules.tokens.is_api_token(secret):
        token_hash = personal.hash_of(secret)
        ended = await sql.tokens.update_revoked(
            tx, user_id=None, token_id=None, token_hash=token_hash, reason="leaked", now=now
        )
        await _revoked(tx, ended, "leaked", None)


async def _revoked(tx: Tx, ended: Sequence[ApiToken], reason: str, via: audit.Via | None) -> None:
    sessions.forget_after_commit(tx, *{token.user_id for token in ended})
    for token in ended:
        await _record(tx, token, "api_token.revoke", {"revoked_at": (None, token.revoked_at)}, reason, via)
        await outbox.send(tx, ApiTokenRevoked(token.user_id, token.id))


async def _record(
    tx: Tx,
    token: ApiToken,
    action: str,
    changes: dict[str, tuple[object, object]],
    reason: str,
    via: audit.Via | None,
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="api_token",
        entity_id=str(token.id),
        changes=changes,
        reason=reason,
        subject=token.user_id,
        via=via,
    )


def _networks(texts: Sequence[str]) -> list[str]:
    if len(texts) > NETWORKS_MAX:
        raise NetworkInvalid(network=f"{len(texts)} networks, at most {NETWORKS_MAX}")
    try:
        return [str(ip_network(text, strict=False)) for text in texts]
    except ValueError as failure:
        raise NetworkInvalid(network=str(failure)) from None
