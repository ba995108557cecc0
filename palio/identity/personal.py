"""What is personal on its way into the tables and out of them, and the secrets that only the keyring can make."""

import hmac
import ipaddress
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from palio.identity import rules
from palio.identity.errors import EmailInvalid
from palio.identity.types import EmailRow, Network
from palio.infra import audit, crypto
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex, Keyring, KeyringError
from palio.kernel.ids import UserId
from palio.kernel.providers import SealedColumn

SECRET_BYTES = 32
CHALLENGE_BYTES, INSTANT_BYTES = 16, 8
NETWORK_BITS = {4: 24, 6: 64}
NOBODY = "sign-in"  # the purpose under which addresses of attempts are sealed that belong to no user

SEALED_COLUMNS = (
    SealedColumn("identity.user_pii", "full_name", "user_id"),
    SealedColumn("identity.user_pii", "birth_date", "user_id"),
    SealedColumn("identity.emails", "address"),
    SealedColumn("identity.sessions", "ip", purpose=NOBODY),
    SealedColumn("identity.login_events", "ip", purpose=NOBODY),
    SealedColumn("identity.ip_addresses", "ip", purpose=NOBODY),
    SealedColumn("identity.totp_secrets", "secret", "user_id"),
    SealedColumn("identity.play_exclusions", "reason"),
    SealedColumn("identity.privacy_requests", "file_secret"),
    SealedColumn("identity.phones", "number"),
    SealedColumn("identity.external_identities", "subject"),
    SealedColumn("identity.otp_challenges", "target", purpose=NOBODY),
    SealedColumn("identity.auth_flows", "pkce_verifier", user_id=None, purpose=NOBODY),
)


def keyring_of(tx: Tx) -> Keyring:
    """The keyring of this process. Raises KeyringError if there is none."""
    if tx.equipment.keyring is None:
        raise KeyringError("this process has no keyring")
    return tx.equipment.keyring


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """What is stored of a secret of 256 bits."""
    return sha256(secret.encode(errors="surrogatepass")).digest()


def digest_of(proof: bytes) -> bytes:
    """What is stored of a proof that was used."""
    return sha256(proof).digest()


def derived(tx: Tx, purpose: str, *parts: object) -> str:
    """256 bits that only the keyring can make, and makes again from the same parts."""
    text = "|".join(map(str, parts)).encode(errors="surrogatepass")
    digest = hmac.digest(keyring_of(tx).key_for(f"identity.{purpose}"), text, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_derived(tx: Tx, given: str, purpose: str, *parts: object) -> bool:
    """Is this what `derived` makes of the parts?"""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), derived(tx, purpose, *parts).encode())


def new_challenge(tx: Tx, who: str, now: datetime) -> bytes:
    """A question for an authenticator that only we can have asked, of nobody or of `who`, at this instant."""
    asked = secrets.token_bytes(CHALLENGE_BYTES) + int(now.timestamp()).to_bytes(INSTANT_BYTES)
    return asked + _sealed_challenge(tx, who, asked)


def challenge_of(tx: Tx, challenge: bytes, who: str) -> datetime | None:
    """When we asked this question of nobody or of `who`; None if we did not."""
    asked, seal = challenge[: CHALLENGE_BYTES + INSTANT_BYTES], challenge[CHALLENGE_BYTES + INSTANT_BYTES :]
    if not hmac.compare_digest(seal, _sealed_challenge(tx, who, asked)):
        return None
    return datetime.fromtimestamp(int.from_bytes(asked[CHALLENGE_BYTES:]), UTC)


def _sealed_challenge(tx: Tx, who: str, asked: bytes) -> bytes:
    return hmac.digest(keyring_of(tx).key_for("identity.passkeys"), who.encode() + b"|" + asked, "sha256")


def canonical_email(text: str) -> str:
    """Any address in the form in which it is stored and compared. Refuses with EmailInvalid."""
    local, domain = rules.emails.split_email(text)
    try:
        found = validate_email(
            f"{local}@{domain}", check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except EmailNotValidError:
        raise EmailInvalid from None
    return rules.emails.canonical(local, found.ascii_domain)


def email_index(tx: Tx, address: str) -> BlindIndex:
    """What a canonical address is found by."""
    return keyring_of(tx).blind_index("identity.emails.address", address)


def normal_index(tx: Tx, address: str) -> BlindIndex:
    """What the accounts of one mailbox are found by, however its owner writes it."""
    return keyring_of(tx).blind_index("identity.emails.normal", rules.emails.normal_form(address))


def account_index(tx: Tx, identifier: str) -> bytes:
    """What attempts for a name or address are counted by, whether anybody has it or not."""
    folded = identifier.strip().casefold()[:300]
    return hmac.digest(keyring_of(tx).key_for("identity.accounts"), folded.encode(errors="surrogatepass"), "sha256")


def network_of(tx: Tx, ip: str) -> Network:
    """What an address and its network are found by, and where it is; what is no address is a network of its own."""
    try:
        found = ipaddress.ip_address(ip)
        bits = NETWORK_BITS[found.version]
        text, net = str(found), str(ipaddress.ip_network(f"{found}/{bits}", strict=False))
    except ValueError:
        text, net = ip, ip
    ring = keyring_of(tx)
    spot = tx.equipment.geo.spot_of(text)
    by_ip, by_net = ring.blind_index("identity.ip", text), ring.blind_index("identity.net", net)
    return Network(by_ip.digest, by_net.digest, spot.country, spot.city)


def place_of_email(row_id: UUID, user_id: UserId) -> Place:
    """Where an address lies."""
    return Place("identity.emails", "address", row_id, user_id)


def place_of_ip(table: str, row_id: UUID, user_id: UserId | None) -> Place:
    """Where the address somebody came from lies; those of nobody are sealed together."""
    return Place(f"identity.{table}", "ip", row_id, user_id, purpose=NOBODY)


def place_of_totp(user_id: UserId) -> Place:
    """Where the secret of an authenticator lies."""
    return Place("identity.totp_secrets", "secret", user_id, user_id)


def place_of_full_name(user_id: UserId) -> Place:
    """Where a legal name lies."""
    return Place("identity.user_pii", "full_name", user_id, user_id)


def place_of_birth_date(user_id: UserId) -> Place:
    """Where the day somebody was born on lies."""
    return Place("identity.user_pii", "birth_date", user_id, user_id)


def place_of_reason(row_id: UUID, user_id: UserId) -> Place:
    """Where the reason of the house for a break lies."""
    return Place("identity.play_exclusions", "reason", row_id, user_id)


def place_of_file_secret(row_id: UUID, user_id: UserId) -> Place:
    """Where the secret lies that the copy of somebody's data is encrypted with."""
    return Place("identity.privacy_requests", "file_secret", row_id, user_id)


def phone_index(tx: Tx, number: str) -> BlindIndex:
    """What a number in E.164 is found by."""
    return keyring_of(tx).blind_index("identity.phones.number", number)


def subject_index(tx: Tx, provider: str, subject: str) -> BlindIndex:
    """What an account at a provider is found by."""
    return keyring_of(tx).blind_index("identity.external_identities.subject", f"{provider}|{subject}")


def telegram_mark(tx: Tx, telegram_id: int) -> BlindIndex:
    """What a Telegram account is known by once its row is gone."""
    return keyring_of(tx).blind_index("identity.telegram_accounts.telegram_id", str(telegram_id))


def naming_index(tx: Tx, naming: str) -> bytes:
    """What a code of the bot is found by: its first signs, which prove nothing."""
    return keyring_of(tx).blind_index("identity.otp_challenges.code", naming).digest


def code_for(tx: Tx, challenge_id: UUID) -> str:
    """The six digits of a code: only the keyring can make them, and makes them again for whoever sends them."""
    digest = hmac.digest(keyring_of(tx).key_for("identity.otp"), challenge_id.bytes, "sha256")
    return rules.phones.code_of(digest)


def place_of_phone(row_id: UUID, user_id: UserId) -> Place:
    """Where a number lies."""
    return Place("identity.phones", "number", row_id, user_id)


def place_of_target(row_id: UUID, user_id: UserId | None) -> Place:
    """Where the number lies that a code goes to; those of nobody are sealed together."""
    return Place("identity.otp_challenges", "target", row_id, user_id, purpose=NOBODY)


def place_of_subject(row_id: UUID, user_id: UserId) -> Place:
    """Where what a provider calls somebody lies."""
    return Place("identity.external_identities", "subject", row_id, user_id)


def place_of_verifier(row_id: UUID) -> Place:
    """Where the secret of somebody lies who is away at a provider."""
    return Place("identity.auth_flows", "pkce_verifier", row_id, purpose=NOBODY)


async def shown(tx: Tx, items: Sequence[tuple[bytes, Place]]) -> list[str]:
    """Sealed values as their owner reads them, in clear; to staff who look as him they stay sealed."""
    if tx.actor.impersonator:
        return [audit.SEALED] * len(items)
    return await crypto.open_many(tx, items) if items else []


async def address_of(tx: Tx, row: EmailRow) -> str:
    """The address in clear."""
    return await crypto.open_sealed(tx, row.address, place_of_email(row.id, row.user_id))
