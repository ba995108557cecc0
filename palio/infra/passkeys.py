"""Passkeys (WebAuthn): what a browser or an app is asked, and whether its answer proves anything.

A passkey belongs to one site, by the name of its host; user verification (a finger, a PIN) is always required, so
that a passkey alone is two factors.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

TIMEOUT_MS = 300_000
CREDENTIAL_BYTES_MAX = 1_023


class NotProvenError(Exception):
    """The answer is malformed, of another site or question, signed by another key, or its counter has fallen."""


@dataclass(frozen=True, slots=True)
class Site:
    """For whom passkeys are made: the name of a host, and the origin of its pages."""

    host: str
    origin: str
    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """A passkey that was just made: its id and public key, how often it has signed, and where it is kept."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """What a passkey has signed with, and whether it is kept in several places now."""

    sign_count: int
    is_backed_up: bool


def site_of(address: str, name: str) -> Site:
    """The site at this address. Browsers make no passkeys for numbers: on this machine it is called localhost."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if _is_loopback(host):
        port = f":{parts.port}" if parts.port else ""
        return Site("localhost", f"{parts.scheme}://localhost{port}", name)
    return Site(host, f"{parts.scheme}://{parts.netloc}", name)


def creation_options(
    site: Site, *, user_id: UUID, username: str, shown: str, challenge: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """What an authenticator is asked to make; those that hold one of the `known` ones make none."""
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_id=user_id.bytes,
        user_name=username,
        user_display_name=shown,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return _plain(webauthn.options_to_json(options))


def request_options(site: Site, *, challenge: bytes) -> dict[str, Any]:
    """What an authenticator is asked to sign, with whichever passkey of this site its owner chooses."""
    options = webauthn.generate_authentication_options(
        rp_id=site.host,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _plain(webauthn.options_to_json(options))


def challenge_in(credential: Mapping[str, Any]) -> bytes:
    """Which question an answer answers. Raises NotProvenError."""
    try:
        told = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return base64url_to_bytes(told["challenge"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotProvenError from None


def id_in(credential: Mapping[str, Any]) -> bytes:
    """Which passkey an answer names. Raises NotProvenError."""
    try:
        text = credential["id"]
        found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, KeyError, TypeError):
        raise NotProvenError from None
    if not 1 <= len(found) <= CREDENTIAL_BYTES_MAX:
        raise NotProvenError
    return found


def owner_in(credential: Mapping[str, Any]) -> bytes | None:
    """Whose passkey an answer says that it is, if it says so. Raises NotProvenError."""
    try:
        text = credential["response"].get("userHandle")
        return base64url_to_bytes(text) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotProvenError from None


def verify_made(site: Site, credential: Mapping[str, Any], *, challenge: bytes) -> Made:
    """The passkey that an authenticator has made. Raises NotProvenError."""
    try:
        found = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
        aaguid = UUID(found.aaguid)
    except (WebAuthnException, ValueError, KeyError, TypeError, IndexError) as failure:
        raise NotProvenError from failure
    return Made(found.credential_id, found.credential_public_key, found.sign_count, aaguid, found.credential_backed_up)


def verify_signed(
    site: Site, credential: Mapping[str, Any], *, challenge: bytes, public_key: bytes, sign_count: int
) -> Signed:
    """What a passkey has signed; its counter must have risen, unless it has none (0). Raises NotProvenError."""
    try:
        found = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, IndexError) as failure:
        raise NotProvenError from failure
    return Signed(found.new_sign_count, found.credential_backed_up)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
