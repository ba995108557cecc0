"""Where an address is: country and city from a file that the operator brings (MaxMind DB format).

Without a file nothing is known, which is no failure. A file that cannot be read is one, at the start of the process.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import maxminddb

COUNTRY = re.compile(r"[A-Z]{2}")
CITY_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Spot:
    """A country as two capital letters and a city in English, as far as they are known."""

    country: str | None = None
    city: str | None = None


NOWHERE = Spot()


class Geo:
    """The operator's file, read where it lies; a look-up touches a few pages of memory."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises OSError if there is no such file, or it cannot be read."""
        self._reader = None
        if path is not None:
            try:
                self._reader = maxminddb.open_database(path)
            except maxminddb.InvalidDatabaseError as failure:
                raise OSError(f"{path} is no file of places: {failure}") from failure

    def spot_of(self, ip: str) -> Spot:
        """Where this address is; nowhere for what is unknown, private, or no address."""
        if self._reader is None:
            return NOWHERE
        try:
            found = self._reader.get(ip)
        except ValueError:
            return NOWHERE  # no address, or one of a kind that the file does not hold
        return _spot(found) if isinstance(found, Mapping) else NOWHERE


def _spot(found: Mapping[str, object]) -> Spot:
    """What a record says; a member that is missing, or of another shape than files of this kind have, says nothing."""
    code = _member(found, "country", "iso_code") or _member(found, "registered_country", "iso_code")
    city = _member(found, "city", "names", "en")
    known = code if code and COUNTRY.fullmatch(code) else None
    return Spot(known, city[:CITY_CHARACTERS_MAX] if known and city else None)


def _member(found: object, *path: str) -> str | None:
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found if isinstance(found, str) else None
