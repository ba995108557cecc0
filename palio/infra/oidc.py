"""The door to those who vouch for people: OpenID providers, by the code flow with PKCE or by the ID token of an app.

What a provider says counts only under a signature of one of its own keys, made by RS256 or ES256 and nothing else.
"""

import binascii
import hmac
import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote, urlencode

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from palio.infra.http import Answer, Client, Profile
from palio.kernel.errors import Upstream

log = structlog.get_logger()

Members: TypeAlias = Mapping[str, Any]

ALGORITHMS: Final = ("RS256", "ES256")
KEPT = timedelta(hours=24)  # the documents and keys of a provider
ASKED_AGAIN = timedelta(seconds=10)  # at the earliest, where a token names a key that is not known
SKEW_S = 60
SECONDS_MAX, BYTES_MAX = 10, 256 * 1024
APPLE_SECRET_LIFE = timedelta(minutes=5)
SUBJECT_CHARACTERS_MAX = 255
TOKEN_CHARACTERS_MAX = 16_384
WELL_KNOWN = "/.well-known/openid-configuration"
BROKEN = 500
INSTANT_MAX = 2**40


class TokenRefusedError(Exception):
    """The provider did not say so: to us, now, and about whoever asks. The message is for the log of the operator."""


@dataclass(frozen=True, slots=True)
class AppleKey:
    """What Apple takes in the place of a secret: a key that signs one for five minutes."""

    team_id: str
    key_id: str
    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who vouches for people. `key` is google, apple or oidc:<name>; `apps` are client ids of its apps.

    `posts_back` is for those who answer by a form of their own page. `may_be_inside` takes one that runs in the
    operator's own network.
    """

    key: str
    title: str
    issuer: str
    client_id: str
    secret: str | AppleKey = field(repr=False)
    apps: frozenset[str] = frozenset()
    scope: str = "openid email"
    posts_back: bool = False
    may_be_inside: bool = False


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom a provider means: his `subject` there, for ever, and the address that it knows of him."""

    provider: str
    subject: str
    email: str | None
    is_email_verified: bool
    nonce: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Leaving:
    """What goes along with somebody to a provider, and comes back with him; `back` is where to."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    back: str


@dataclass(slots=True)
class _Known:
    """What a provider publishes, and when we asked."""

    document: Members
    at: datetime
    keys: KeySet | None = None
    keys_at: datetime | None = None


class Issuers:
    """Speaks with providers, and remembers for a day at most what they publish; one for a process."""

    def __init__(self, client: Client, *, is_simulated: bool = False) -> None:
        """`is_simulated` takes providers on this machine, over plain http."""
        self._client, self._is_simulated = client, is_simulated
        self._known: dict[str, _Known] = {}

    async def address(self, provider: Provider, leaving: Leaving, *, now: datetime) -> str:
        """Where somebody is sent to, to be vouched for. Refuses with Upstream."""
        document = (await self._published(provider, now)).document
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": leaving.back,
            "scope": provider.scope,
            "state": leaving.state,
            "nonce": leaving.nonce,
            "code_challenge": challenge_of(leaving.verifier),
            "code_challenge_method": "S256",
            **({"response_mode": "form_post"} if provider.posts_back else {}),
        }
        address = str(document["authorization_endpoint"])
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    async def exchange(self, provider: Provider, leaving: Leaving, *, code: str, now: datetime) -> Vouched:
        """Whom the provider means by a code that somebody brought back.

        Refuses with Upstream where it does not answer; raises TokenRefusedError.
        """
        document = (await self._published(provider, now)).document
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": leaving.back,
            "code_verifier": leaving.verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        secret = _secret_of(provider, now)
        if "client_secret_post" in document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
            form |= {"client_id": provider.client_id, "client_secret": secret}
        else:
            pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        answer = await self._call(provider, str(document["token_endpoint"]), "POST", headers, urlencode(form).encode())
        found = _members(answer.body)
        if found.get("error") == "invalid_grant":
            raise TokenRefusedError("the code is not good")
        if answer.status != 200 or not isinstance(token := found.get("id_token"), str):  # noqa: PLR2004 - done
            log.warning("a provider gives no token", provider=provider.key, status=answer.status)
            raise Upstream(service=provider.key, reason="no token")
        return await self._judge(provider, token, leaving.nonce, frozenset({provider.client_id}), now)

    async def vouched(self, provider: Provider, *, id_token: str, nonce: str, now: datetime) -> Vouched:
        """Whom the provider means by a token that an app of ours has got.

        Refuses with Upstream where it does not answer; raises TokenRefusedError.
        """
        return await self._judge(provider, id_token, nonce, provider.apps | {provider.client_id}, now)

    async def _judge(
        self, provider: Provider, id_token: str, nonce: str, accepted: frozenset[str], now: datetime
    ) -> Vouched:
        key_id = _key_id(id_token)
        keys = await self._keys(provider, now)
        if all(key.kid != key_id for key in keys.keys):
            keys = await self._keys(provider, now, is_unknown=True)
        try:
            claims = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError) as failure:
            raise TokenRefusedError(f"the signature: {type(failure).__name__}") from None
        return _vouched(provider, claims, nonce, accepted, now)

    async def _published(self, provider: Provider, now: datetime) -> _Known:
        known = self._known.get(provider.key)
        if known is None or not timedelta(0) <= now - known.at < KEPT:
            answer = await self._call(provider, provider.issuer.rstrip("/") + WELL_KNOWN, "GET", {}, None)
            document = _members(answer.body)
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            is_whole = all(isinstance(document.get(name), str) for name in wanted)
            if answer.status != 200 or document.get("issuer") != provider.issuer or not is_whole:  # noqa: PLR2004 - done
                log.warning("a provider publishes nothing that fits", provider=provider.key, status=answer.status)
                raise Upstream(service=provider.key, reason="its configuration")
            known = self._known[provider.key] = _Known(document, now)
        return known

    async def _keys(self, provider: Provider, now: datetime, *, is_unknown: bool = False) -> KeySet:
        """Its keys; once more where one is not known, as after a change of them, but not at every forged token."""
        known = await self._published(provider, now)
        fresh_for = ASKED_AGAIN if is_unknown else KEPT
        age = now - known.keys_at if known.keys_at else None
        if known.keys is None or age is None or not timedelta(0) <= age < fresh_for:
            answer = await self._call(provider, str(known.document["jwks_uri"]), "GET", {}, None)
            try:
                listed = [one for one in _members(answer.body)["keys"] if one.get("use", "sig") == "sig"]
                known.keys = KeySet.import_key_set({"keys": listed})
            except (JoseError, ValueError, KeyError, TypeError, AttributeError):
                raise Upstream(service=provider.key, reason="its keys") from None
            known.keys_at = now
        return known.keys

    async def _call(
        self,
        provider: Provider,
        url: str,
        method: Literal["GET", "POST"],
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Answer:
        profile = Profile(
            door="oidc",
            seconds_max=SECONDS_MAX,
            bytes_max=BYTES_MAX,
            methods=frozenset({"GET", "POST"}),
            may_be_inside=self._is_simulated or provider.may_be_inside,
        )
        answer = await self._client.call(url, profile=profile, headers=headers, method=method, content=content)
        if not isinstance(answer, Answer) or answer.status >= BROKEN:
            reason = f"status {answer.status}" if isinstance(answer, Answer) else answer.kind
            log.warning("a provider does not answer", provider=provider.key, reason=reason)
            raise Upstream(service=provider.key, reason=reason)
        return answer


def challenge_of(verifier: str) -> str:
    """What is shown first of a verifier that is shown later (RFC 7636, S256)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _secret_of(provider: Provider, now: datetime) -> str:
    if isinstance(provider.secret, str):
        return provider.secret
    claims = {
        "iss": provider.secret.team_id,
        "sub": provider.client_id,
        "aud": provider.issuer,
        "iat": int(now.timestamp()),
        "exp": int((now + APPLE_SECRET_LIFE).timestamp()),
    }
    try:
        key = ECKey.import_key(provider.secret.pem)
        return jwt.encode({"alg": "ES256", "kid": provider.secret.key_id}, claims, key)
    except (JoseError, ValueError) as failure:
        log.warning("the key for a provider cannot be read", provider=provider.key)
        raise Upstream(service=provider.key, reason="its key") from failure


def _vouched(provider: Provider, claims: Members, nonce: str, accepted: frozenset[str], now: datetime) -> Vouched:
    """Whom these claims mean, if they are the provider's, for us, of now, and about this nonce."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party, seconds = claims.get("azp"), now.timestamp()
    expires, issued, subject = _instant(claims, "exp"), _instant(claims, "iat"), claims.get("sub")
    given, email = claims.get("nonce"), claims.get("email")
    if claims.get("iss") != provider.issuer:
        raise TokenRefusedError("another issuer")
    if not any(isinstance(one, str) and one in accepted for one in audiences):
        raise TokenRefusedError("another audience")
    if (len(audiences) > 1 and party is None) or (party is not None and party not in accepted):
        raise TokenRefusedError("another authorised party")
    if seconds >= expires + SKEW_S:
        raise TokenRefusedError("it has expired")
    if issued > seconds + SKEW_S:
        raise TokenRefusedError("it comes from the future")
    if not isinstance(given, str) or not nonce or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenRefusedError("another nonce")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARACTERS_MAX:
        raise TokenRefusedError("no subject")
    return Vouched(
        provider.key,
        subject,
        email if isinstance(email, str) else None,
        claims.get("email_verified") in (True, "true"),  # Apple writes it as text
        nonce,
        datetime.fromtimestamp(min(expires, seconds + KEPT.total_seconds()), UTC),
    )


def _instant(claims: Members, name: str) -> float:
    """An instant in seconds, which both `exp` and `iat` must be. Raises TokenRefusedError."""
    found = claims.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool) or not 0 < found < INSTANT_MAX:
        raise TokenRefusedError(f"no {name}")
    return found


def _key_id(id_token: str) -> object:
    """The key that a token names. Raises TokenRefusedError for what is no token."""
    head, dot, _ = id_token.partition(".")
    if len(id_token) > TOKEN_CHARACTERS_MAX or not dot:
        raise TokenRefusedError("no token")
    try:
        return _members(urlsafe_b64decode(head.encode() + b"=" * (-len(head) % 4))).get("kid")
    except (binascii.Error, UnicodeEncodeError):
        raise TokenRefusedError("no token") from None


def _members(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
