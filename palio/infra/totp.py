"""One-time codes of an authenticator (RFC 6238): SHA-1, six digits, a new one every 30 seconds."""

import hmac
from datetime import datetime

import pyotp

STEP_SECONDS = 30
STEPS_OFF_MAX = 1  # a clock may be that much ahead or behind


def new_secret() -> str:
    """A secret of 160 bits in base32, as authenticators take it."""
    return pyotp.random_base32()


def address_of(secret: str, *, name: str, issuer: str) -> str:
    """What the picture says that an authenticator reads: `otpauth://totp/…`."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def code_at(secret: str, step: int) -> str:
    """The code of one step."""
    return pyotp.TOTP(secret).generate_otp(step)


def step_of(at: datetime) -> int:
    """The number of the step an instant lies in."""
    return int(at.timestamp()) // STEP_SECONDS


def step_matching(secret: str, code: str, at: datetime) -> int | None:
    """The step whose code this is, at most one off from now, or None; every step is compared, whichever matches."""
    now = step_of(at)
    steps = range(now - STEPS_OFF_MAX, now + STEPS_OFF_MAX + 1)
    found = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), code.encode())]
    return found[-1] if found else None
