"""Numbers and texts of a row, read exactly: no float anywhere."""

import re
import unicodedata
from collections.abc import Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Final

from palio.affiliates.types import MICRO_MAX, HeldReason, Micro

PLAIN_NUMBER: Final = re.compile(rb"(\d{1,9})(?:\.(\d{1,6})(\d*))?")  # of so few digits that it is never too large
PLAIN_DECIMAL: Final = re.compile(r"\d{1,15}(?:\.\d{1,30})?", re.ASCII)
EXACT: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)  # moves a point, never rounds
UNITS_MAX: Final = Decimal(MICRO_MAX).scaleb(-6)
NO_UID: Final = frozenset({"", "unknown", "undefined", "null"})
UID_CHARACTERS_MAX, NAME_CHARACTERS_MAX = 128, 64
INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})  # controls, zero-width and bidirectional marks, line breaks


class NotBelievedError(Exception):
    """Why a row is held."""

    def __init__(self, reason: HeldReason) -> None:
        super().__init__(reason)
        self.reason = reason


def exact(literal: str) -> Decimal:
    """A JSON number with a point or exponent, exactly. An exponent of more than 18 digits counts as infinite."""
    try:
        return Decimal(literal)
    except InvalidOperation:
        return Decimal("-Infinity" if literal.startswith("-") else "Infinity")


def micro_of(value: object, units: int = 0) -> Micro | None:
    """An amount in micro-units, rounded half to even; None and absent are unknown. Raises NotBelievedError."""
    if value is None:
        return None
    number = value if type(value) is Decimal else _decimal_of(value)
    if units and number.is_finite():
        number = number.scaleb(units, EXACT)
    if number < 0:
        raise NotBelievedError("negative")
    if number > UNITS_MAX:
        raise NotBelievedError("too_large")
    return round(number.scaleb(6, EXACT))


def plain_micro(literal: bytes) -> Micro | None:
    """A JSON number without sign and exponent as `micro_of` reads it; None for anything else."""
    found = PLAIN_NUMBER.fullmatch(literal)
    if found is None:
        return None
    whole, micros, rest = found.groups(b"")
    micro = int(whole + micros.ljust(6, b"0"))
    if rest < b"5":
        return micro
    is_tie = not rest[1:].strip(b"0") and rest.startswith(b"5")
    return micro + micro % 2 if is_tie else micro + 1


def _decimal_of(value: object) -> Decimal:
    """A whole number or a plain text; a boolean is neither."""
    if type(value) is int or (isinstance(value, str) and PLAIN_DECIMAL.fullmatch(value)):
        return Decimal(value)
    raise NotBelievedError("bad_number")


def uid_of(value: object) -> str:
    """The identity of a player at the programme; case matters. Raises NotBelievedError."""
    if type(value) is int:
        value = str(value) if abs(value) < 10**UID_CHARACTERS_MAX else " "
    if value is None or (isinstance(value, str) and value in NO_UID):
        raise NotBelievedError("missing_uid")
    if not isinstance(value, str) or len(value) > UID_CHARACTERS_MAX:
        raise NotBelievedError("bad_uid")
    if not value.isalnum() and (not value.isprintable() or value.split() != [value]):
        raise NotBelievedError("bad_uid")
    return value


def name_of(value: object) -> tuple[str | None, bool]:
    """A name without invisible characters, and whether some were taken out. Raises NotBelievedError."""
    if not isinstance(value, str):
        return None, False
    if value.isascii() and value.isprintable():
        return value[:NAME_CHARACTERS_MAX] or None, False
    if "\0" in value or any(unicodedata.category(letter) == "Cs" for letter in value):
        raise NotBelievedError("bad_name")
    kept = "".join(letter for letter in value if unicodedata.category(letter) not in INVISIBLE)
    return unicodedata.normalize("NFC", kept)[:NAME_CHARACTERS_MAX] or None, kept != value


def name_key(name: str | None) -> str | None:
    """The form under which names are looked up and compared."""
    return unicodedata.normalize("NFKC", name).lower() if name else None


def first_of(row: Mapping[str, object], aliases: tuple[str, ...]) -> object:
    """What the first present alias holds, or None."""
    for alias in aliases:
        if alias in row:
            return row[alias]
    return None
