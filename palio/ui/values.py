"""Values of the API: how money, times and lists are written, the same in every answer."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, PlainSerializer, WithJsonSchema

from palio.kernel import clock


def instant(at: datetime) -> str:
    """A time as the API writes it: UTC, six decimals, `Z`."""
    return clock.text(at)


Instant = Annotated[
    datetime,
    PlainSerializer(instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-18T14:05:09.123456Z"]}),
]


def _plain_digits(value: object) -> object:
    """Python reads `1_000` and digits of every script as numbers; the API does not."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,19}", value):
        raise ValueError("A whole number is written in plain digits.")
    return value


def _nothing(value: object) -> object:
    """A field of a form that was left empty says nothing."""
    return None if value == "" else value


def _utc(value: object) -> object:
    """A field of a form holds a time without its zone: it is UTC, as the label says."""
    if isinstance(value, str) and value and not re.search(r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})$", value):
        return f"{value}Z"
    return value


Blank = BeforeValidator(_nothing)
Moment = Annotated[AwareDatetime, BeforeValidator(_utc)]  # a time in a form
Whole = Annotated[int, BeforeValidator(_plain_digits)]  # a whole number in an address


@dataclass(frozen=True, slots=True)
class Asset:
    """What an amount counts: its code and how many decimal places one unit has."""

    code: str
    scale: int


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit of its asset, and the same as decimal text."""

    asset: str
    amount: int
    text: str

    @classmethod
    def of(cls, amount: int, asset: Asset) -> "Money":
        return cls(asset.code, amount, format(decimal(amount, asset.scale), "f"))


def decimal(amount: int, scale: int) -> Decimal:
    """An integer of the smallest unit as an exact decimal."""
    return Decimal(amount).scaleb(-scale)
