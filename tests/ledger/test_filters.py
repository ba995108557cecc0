"""Amounts as people write them, in units of an asset."""

import pytest
from fastapi.exceptions import RequestValidationError

from palio.ledger.schemas.filters import units_of
from palio.ledger.types import Asset

COIN, USD = Asset(3, "COIN", "Coins", 0, lots=False), Asset(1, "USD", "US dollar", 2, lots=False)


@pytest.mark.parametrize(
    ("text", "asset", "units"),
    [
        (None, USD, None),
        ("0", COIN, 0),
        ("12", COIN, 12),
        ("12", USD, 1200),
        ("12.5", USD, 1250),
        ("12.50", USD, 1250),
        ("90071992547409.91", USD, 2**53 - 1),
    ],
)
def test_an_amount_is_read_exactly(text: str | None, asset: Asset, units: int | None) -> None:
    assert units_of(text, asset, "min") == units


@pytest.mark.parametrize("text", ["14.28444999", "-1", "1e3", "NaN", "Infinity", "1_000", "\uff11", "1,5", " 1", "."])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Also one with more places than the asset has: it is not rounded."""
    with pytest.raises(RequestValidationError):
        units_of(text, USD, "min")


@pytest.mark.parametrize("text", ["90071992547409.92", "9" * 16])
def test_more_than_can_be_counted_is_refused(text: str) -> None:
    with pytest.raises(RequestValidationError):
        units_of(text, USD, "max")
