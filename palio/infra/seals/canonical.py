"""Canonical JSON (RFC 8785): equal values have equal bytes, whoever writes them.

The RFC gives a number the precision of a double, so that the last digits of a longer one could be altered unseen. Ours
are exact: integers have all their digits, fractions the shortest decimal that is equal. Where a double holds the number
and JavaScript needs no exponent for it, that is what the RFC writes too.
"""

from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

import msgspec


def _fraction(text: str) -> msgspec.Raw:
    digits = f"{Decimal(text):f}"
    short = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return msgspec.Raw(b"0" if short == "-0" else short.encode())


DECODER, ENCODER = msgspec.json.Decoder(float_hook=_fraction), msgspec.json.Encoder(order="sorted")


def canonical(text: str) -> bytes:
    """The value that a JSON text holds, as its only bytes. Raises ValueError if it holds none."""
    return written(read(text))


def read(text: str) -> Any:
    """The value, for `written`: its fractions can be written, and nothing else. Raises ValueError."""
    return DECODER.decode(text)


def written(value: Any) -> bytes:
    """The only bytes of a value of objects, lists, texts, integers, true, false and null."""
    try:
        quickly = ENCODER.encode(value)
    except OverflowError:  # an integer of more than 64 bits
        return _slowly(value).encode()
    if quickly.isascii():
        return quickly
    return _slowly(value).encode()  # names may need another order than that of their code points


def _slowly(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict):
        names = sorted(value, key=_utf_16)
        return f"{{{','.join([f'{encode_basestring(name)}:{_slowly(value[name])}' for name in names])}}}"
    if isinstance(value, list):
        return f"[{','.join([_slowly(part) for part in value])}]"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ENCODER.encode(value).decode()


def _utf_16(name: str) -> bytes:
    """What the RFC orders names by."""
    return name.encode("utf-16-be")
