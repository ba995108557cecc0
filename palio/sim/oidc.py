"""Providers that vouch for invented people: discovery, keys that change, PKCE, claims as Google and Apple shape them.

`/oidc/<name>` is an issuer of its own; `google` and `apple` answer as those two do, Apple by a form that posts itself.
Its page asks who one is; nobody is asked for a password. A client is known by a secret, for Apple by one that it signs.
"""

import hmac
import json
import re
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from html import escape
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, RSAKey

from palio.sim.refusals import SimRefusal
from palio.sim.wire import Reply, Request, as_json

PATH = "/oidc/"
CLIENT, SECRET = "palio-sim", "simulated secret of a client that does not exist"
APPLE_TEAM, APPLE_KEY_ID = "SIMTEAM001", "SIMKEY0001"
LIFE_S, CODE_LIFE_S, APPLE_SECRET_LIFE_S = 3_600, 60, 15_777_000
GRANTS_MAX = 1_000
Flaw: TypeAlias = Literal[
    "wrong_aud", "alg_none", "hs256", "old_nonce", "expired", "other_iss", "unsigned_key", "no_nonce", "wrong_azp"
]
FLAWS: tuple[Flaw, ...] = (
    *("wrong_aud", "alg_none", "hs256", "old_nonce", "expired", "other_iss", "unsigned_key", "no_nonce"),
    "wrong_azp",
)
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
    "<p>Played by Palio on this machine. Who are you?</p><ul>{rows}</ul></html>"
)
POSTING = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Going back</title><form method="post" action="{to}">'
    '{fields}<button type="submit">Go on</button></form><script>document.forms[0].submit()</script></html>'
)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person whom a provider knows."""

    subject: str
    email: str | None
    is_verified: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """A code that was given to somebody, and what it is bound to."""

    issuer: str
    person: Somebody
    nonce: str | None
    challenge: str
    back: str
    at: datetime


@dataclass(slots=True)
class Issuer:
    """One provider: its keys, and what is wrong with its next token on purpose."""

    name: str
    key: RSAKey | ECKey
    flaw: Flaw | None = None
    old_nonce: str = "a nonce of yesterday"
    keys: list[RSAKey | ECKey] = field(default_factory=list)


class Oidc:
    """The providers of a world. `apple_key` is the one by which an Apple client is known."""

    def __init__(self, apple_key: ECKey) -> None:
        self.people: dict[str, Somebody] = {
            "ada": Somebody("1001", "ada@example.com"),
            "ben": Somebody("1002", "ben@example.com"),
            "cleo": Somebody("1003", "cleo@example.com", is_verified=False),
            "dora": Somebody("1004", None),
        }
        self.apple_key = apple_key
        self._issuers: dict[str, Issuer] = {}
        self._grants: dict[str, Grant] = {}

    def issuer(self, name: str) -> Issuer:
        """The provider of this name, made when it is first asked for."""
        if name not in self._issuers:
            made = Issuer(name, _first_key(name))
            made.keys.append(made.key)
            self._issuers[name] = made
        return self._issuers[name]

    def answer(self, request: Request, now: datetime) -> Reply:
        """What a provider answers, under its own address."""
        name, _, rest = request.path.removeprefix(PATH).partition("/")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", name):
            return as_json({"error": "not_found"}, 404)
        issuer, here = self.issuer(name), f"http://{request.headers.get('host', '')}{PATH}{name}"
        match request.method, rest:
            case "GET", ".well-known/openid-configuration":
                return as_json(_published(here))
            case "GET", "jwks":
                return as_json({"keys": [one.as_dict(private=False) for one in issuer.keys]})
            case "GET", "authorize":
                return self._authorize(issuer, request.query, now)
            case "POST", "token":
                return self._token(issuer, here, request, now)
            case _:
                return as_json({"error": "not_found"}, 404)

    def control(self, act: str, members: Mapping[str, object]) -> None:
        """`rotate` {name}: sign with a new key, and publish no other. `flaw` {name, flaw}: of its next token.

        `person` {name, subject, email, verified}: somebody more. Refuses what it does not know.
        """
        match act, members:
            case "rotate", {"name": str(name), **more} if not more:
                issuer = self.issuer(name)
                issuer.key = _new_key(name)
                issuer.keys = [issuer.key]
            case "flaw", {"name": str(name), "flaw": str(flaw), **more} if not more and flaw in FLAWS:
                self.issuer(name).flaw = next(one for one in FLAWS if one == flaw)
            case "person", {"name": str(name), "subject": str(subject), "email": str() | None as email, **more} if (
                not more.keys() - {"verified"}
            ):
                self.people[name] = Somebody(subject, email, is_verified=more.get("verified") is not False)
            case _:
                raise SimRefusal(
                    f"known: rotate {{name}}, flaw {{name, flaw: {'|'.join(FLAWS)}}}, person {{name, subject, email,"
                    " verified}"
                )

    def state(self) -> dict[str, Any]:
        """Who is known, and what is wrong on purpose."""
        return {
            "people": {name: {"subject": one.subject, "email": one.email} for name, one in self.people.items()},
            "issuers": {name: {"flaw": one.flaw, "key": one.key.kid} for name, one in self._issuers.items()},
        }

    def id_token(self, name: str, here: str, person: Somebody, *, nonce: str | None, now: datetime) -> str:
        """A token for somebody, as an app gets one; the flaw that was ordered is in it once."""
        issuer = self.issuer(name)
        flaw, issuer.flaw = issuer.flaw, None
        seconds = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": f"{here}/elsewhere" if flaw == "other_iss" else here,
            "aud": "another-client" if flaw == "wrong_aud" else CLIENT,
            "sub": person.subject,
            "iat": seconds - 2 * LIFE_S if flaw == "expired" else seconds,
            "exp": seconds - LIFE_S if flaw == "expired" else seconds + LIFE_S,
            "nonce": issuer.old_nonce if flaw == "old_nonce" else nonce,
        }
        if nonce is None or flaw == "no_nonce":
            claims.pop("nonce")
        if flaw == "wrong_azp":
            claims |= {"aud": [CLIENT, "another-client"], "azp": "another-client"}
        if name == "google":
            claims |= {"azp": claims.get("azp", CLIENT)}
        if person.email:
            is_verified: object = str(person.is_verified).lower() if name == "apple" else person.is_verified
            claims |= {"email": person.email, "email_verified": is_verified}
        if flaw == "alg_none":
            return f"{_packed({'alg': 'none', 'typ': 'JWT'})}.{_packed(claims)}."
        if flaw == "hs256":
            return _by_secret(claims, issuer.key)
        key = _new_key(name, kid=str(issuer.key.kid)) if flaw == "unsigned_key" else issuer.key
        return jwt.encode({"alg": _algorithm(key), "kid": issuer.key.kid}, claims, key)

    def _authorize(self, issuer: Issuer, asked: Mapping[str, str], now: datetime) -> Reply:
        """Show who is known, or, with `as`, send that one back with a code."""
        back, state = asked.get("redirect_uri", ""), asked.get("state", "")
        is_whole = asked.get("response_type") == "code" and asked.get("client_id") == CLIENT and back and state
        if not is_whole or asked.get("code_challenge_method") != "S256" or "openid" not in asked.get("scope", ""):
            return as_json({"error": "invalid_request"}, 400)
        if issuer.name == "apple" and asked.get("response_mode") != "form_post":
            return as_json({"error": "invalid_request", "error_description": "response_mode"}, 400)
        if (name := asked.get("as")) is None:
            links = [
                f'<li><a href="?{escape(urlencode({**asked, "as": one}))}">{escape(one)}</a></li>'
                for one in (*self.people, "nobody")
            ]
            page = PAGE.format(title=escape(f"Sign in with {issuer.name}"), rows="".join(links))
            return Reply(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
        if name not in self.people:
            return _sent_back(asked, {"error": "access_denied", "state": state})
        code = secrets.token_urlsafe(24)
        if len(self._grants) >= GRANTS_MAX:
            self._grants.clear()
        self._grants[code] = Grant(
            issuer.name, self.people[name], asked.get("nonce"), asked.get("code_challenge", ""), back, now
        )
        return _sent_back(asked, {"code": code, "state": state})

    def _token(self, issuer: Issuer, here: str, request: Request, now: datetime) -> Reply:
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        if not self._is_client(issuer, here, request, form, now):
            return as_json({"error": "invalid_client"}, 401)
        grant = self._grants.pop(form.get("code", ""), None)
        verifier = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        is_good = (
            grant is not None
            and form.get("grant_type") == "authorization_code"
            and grant.issuer == issuer.name
            and grant.back == form.get("redirect_uri")
            and hmac.compare_digest(grant.challenge, verifier)
            and (now - grant.at).total_seconds() <= CODE_LIFE_S
        )
        if grant is None or not is_good:
            return as_json({"error": "invalid_grant"}, 400)
        token = self.id_token(issuer.name, here, grant.person, nonce=grant.nonce, now=now)
        return as_json({"access_token": "of no use", "token_type": "Bearer", "expires_in": LIFE_S, "id_token": token})

    def _is_client(self, issuer: Issuer, here: str, request: Request, form: Mapping[str, str], now: datetime) -> bool:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if issuer.name == "apple":
            return client == CLIENT and self._is_signed_by_client(secret, here, now)
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            client, _, secret = map(unquote, b64decode(pair).decode().partition(":"))
        return hmac.compare_digest(client.encode(), CLIENT.encode()) and hmac.compare_digest(
            secret.encode(), SECRET.encode()
        )

    def _is_signed_by_client(self, secret: str, here: str, now: datetime) -> bool:
        """As Apple wants it: by our key, from our team, for itself, and for half a year at most."""
        try:
            token = jwt.decode(secret, self.apple_key, algorithms=["ES256"])
        except (JoseError, ValueError):
            return False
        claims, seconds = token.claims, now.timestamp()
        return (
            token.header.get("kid") == APPLE_KEY_ID
            and (claims["iss"], claims["sub"], claims["aud"]) == (APPLE_TEAM, CLIENT, here)
            and seconds < claims["exp"] <= seconds + APPLE_SECRET_LIFE_S
        )


def new_apple_key() -> ECKey:
    """The key that a client signs with for Apple."""
    return ECKey.generate_key("P-256", auto_kid=False)


def _published(here: str) -> dict[str, Any]:
    return {
        "issuer": here,
        "authorization_endpoint": f"{here}/authorize",
        "token_endpoint": f"{here}/token",
        "jwks_uri": f"{here}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        **(
            {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
            if here.endswith(("google", "apple"))
            else {}
        ),
    }


def _sent_back(asked: Mapping[str, str], answer: Mapping[str, str]) -> Reply:
    back = asked["redirect_uri"]
    if asked.get("response_mode") != "form_post":
        return Reply(302, b"", {"Location": f"{back}{'&' if '?' in back else '?'}{urlencode(answer)}"})
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in answer.items()
    )
    page = POSTING.format(to=escape(back), fields=fields)
    return Reply(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


@cache
def _first_key(name: str) -> RSAKey | ECKey:
    """The key that a provider begins with, in every world of a process: to find one takes a while."""
    return _new_key(name)


def _new_key(name: str, *, kid: str | None = None) -> RSAKey | ECKey:
    """Google and Apple sign by RSA; the others by an elliptic curve, so that both are met."""
    names: KeyParameters = {"kid": kid or secrets.token_hex(8), "use": "sig"}
    if name in {"google", "apple"}:
        return RSAKey.generate_key(2048, names, auto_kid=False)
    return ECKey.generate_key("P-256", names, auto_kid=False)


def _algorithm(key: RSAKey | ECKey) -> str:
    return "RS256" if isinstance(key, RSAKey) else "ES256"


def _by_secret(claims: Mapping[str, Any], key: RSAKey | ECKey) -> str:
    """Signed by HMAC with the public key as its secret: whoever lets the token choose its algorithm is fooled."""
    head = f"{_packed({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{_packed(claims)}"
    mac = hmac.digest(key.as_pem(private=False), head.encode(), "sha256")
    return f"{head}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _packed(members: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
