"""What staff type and see: amounts and lines of text, chains that continue, balances day by day."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from itertools import pairwise
from typing import get_args

from palio.ledger import errors
from palio.ledger.types import AMOUNT_UNITS_MAX, Asset, AssetTerms, Status

COLUMNS = 3
VERSION_BYTES = 7  # of a digest: as many as a version has digits for
AMOUNT = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,8})?", re.ASCII)


def read_amount(text: str, asset: Asset) -> int:
    """An amount as people write it, in units of the asset. Raises ValueError for what is none, or has more places."""
    plain = text.strip().replace("\N{MINUS SIGN}", "-")
    if not AMOUNT.fullmatch(plain):
        raise ValueError(text)
    try:
        units = Decimal(plain).scaleb(asset.scale)
    except InvalidOperation:
        raise ValueError(text) from None
    if units % 1 or abs(units) > AMOUNT_UNITS_MAX or not units:
        raise ValueError(text)
    return int(units)


def read_lines(text: str) -> list[tuple[str, str, str]]:
    """Lines of `player, asset, amount`, as a spreadsheet or a person writes them: commas, semicolons or tabs.

    Refuses with InvalidPost, naming the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        delimiter = next((sign for sign in "\t;," if sign in line), ",")
        [cells] = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        cells = [cell.strip() for cell in cells]
        if len(cells) != COLUMNS or not all(cells):
            raise errors.InvalidPost(field=f"line {number}", expected="player, asset, amount")
        found.append((cells[0], cells[1].upper(), cells[2]))
    return found


def version_of(status: Status) -> int:
    """What an account may be used for, as the version of it that somebody has seen."""
    return get_args(Status).index(status) + 1


def version_of_terms(terms: AssetTerms) -> int:
    """What may be done with an asset, as the version of it that somebody has seen."""
    return int.from_bytes(sha256(json.dumps(astuple(terms)).encode()).digest()[:VERSION_BYTES])


def breaks(chain: Sequence[tuple[int, int, int]]) -> set[int]:
    """Which entries (seq, amount, balance after; the newest first) do not continue from the one before, by seq."""
    pairs = pairwise(chain)
    return {newer[0] for newer, older in pairs if newer[0] != older[0] + 1 or newer[2] != older[2] + newer[1]}


def course_of(moved: Mapping[date | None, Decimal], *, since: date, until: date) -> list[tuple[date, Decimal]]:
    """What was there at the end of each day, from what came on each; None is all that came before."""
    there, days = moved.get(None, Decimal(0)), []
    for n in range((until - since).days + 1):
        day = since + timedelta(days=n)
        there += moved.get(day, Decimal(0))
        days.append((day, there))
    return days


def owners_of(addresses: Iterable[str]) -> list[str]:
    """The ids of those whose accounts are among them, each once."""
    found = [parts[1] for parts in (address.split(":") for address in addresses) if parts[0] == "user"]
    return list(dict.fromkeys(found))
