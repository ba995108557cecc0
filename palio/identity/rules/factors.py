"""Recovery codes as people write them: `3-abcd-efgh-jkm`, its number in the set in front."""

import re

CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is mistaken for something else
CHARACTERS = 11  # of 31: 54 bits
WRITTEN = re.compile(rf"(10|[1-9])([{ALPHABET}]{{{CHARACTERS}}})")
TOTP = re.compile(r"[0-9]{6}")


def written(number: int, secret: str) -> str:
    """The code as it is shown."""
    return f"{number}-{secret[:4]}-{secret[4:8]}-{secret[8:]}"


def read_code(text: str) -> tuple[int, str] | None:
    """Number and secret of a recovery code, however it is spaced; None if it is none."""
    found = WRITTEN.fullmatch(re.sub(r"[\s-]", "", text).lower()[:40])
    return (int(found[1]), found[2]) if found else None


def read_totp(text: str) -> str | None:
    """The six digits of an authenticator, however they are spaced; None if they are none."""
    digits = re.sub(r"\s", "", text)[:10]
    return digits if TOTP.fullmatch(digits) else None
