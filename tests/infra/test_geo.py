"""Where an address is: what the operator's file says, and nothing else."""

from pathlib import Path

import pytest

from palio.infra.geo import Geo, Spot
from tests.factories.geo import write_geo


@pytest.fixture
def geo(tmp_path: Path) -> Geo:
    places = {"198.51.100.0/24": ("DE", "Berlin"), "203.0.113.0/25": ("JP", None), "10.0.0.0/8": ("xx", "Nowhere")}
    return Geo(write_geo(tmp_path / "places.mmdb", places))


@pytest.mark.parametrize(
    ("ip", "spot"),
    [
        ("198.51.100.7", Spot("DE", "Berlin")),
        ("203.0.113.9", Spot("JP")),
        ("203.0.113.200", Spot()),
        ("10.1.2.3", Spot()),  # no country is called xx
        ("2001:db8::1", Spot()),  # the file knows none of this kind
        ("no address", Spot()),
        ("", Spot()),
    ],
)
def test_the_file_says_where_an_address_is(geo: Geo, ip: str, spot: Spot) -> None:
    assert geo.spot_of(ip) == spot


def test_without_a_file_nothing_is_known() -> None:
    assert Geo().spot_of("198.51.100.7") == Spot()


def test_a_file_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"no places at all")
    with pytest.raises(OSError, match="no file of places"):
        Geo(broken)
    with pytest.raises(FileNotFoundError):
        Geo(tmp_path / "missing.mmdb")
