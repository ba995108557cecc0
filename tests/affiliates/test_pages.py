"""A list in several pages: one payload, one reading of each player, and what is odd or missing about it is seen."""

import json

import pytest

from palio.affiliates import BadMapping, UpstreamRefused, rules
from palio.affiliates.types import Paging
from tests.factories.affiliates import row

MAPPING = rules.mapping_of({"page": "p.no", "total_pages": "meta.pages", "total_users": "meta.players"}, version=3)
PAGING = Paging("p.no", ("meta", "pages"))


def page(*rows: object, pages: object = 2, players: int = 3) -> bytes:
    return json.dumps({"success": True, "meta": {"pages": pages, "players": players}, "data": rows}).encode()


def read(*pages: bytes) -> rules.Parsed:
    return rules.parse(rules.bound(pages), "application/json", MAPPING)


def test_the_pages_are_one_list() -> None:
    found = read(page(row("a", 1), row("b", 2)), page(row("c", 3)))
    assert {uid: reading.all_time for uid, reading in found.readings.items()} == {
        "a": 1_000_000,
        "b": 2_000_000,
        "c": 3_000_000,
    }
    assert (found.total_pages, found.total_users, found.anomalies, found.held) == (None, 3, {}, ())
    assert found.shape == "flat"


def test_a_byte_order_mark_on_any_page_is_no_part_of_it() -> None:
    assert read(page(row("a", 1)), b"\xef\xbb\xbf" + page(row("b", 2))).readings.keys() == {"a", "b"}


def test_who_stands_on_two_pages_counts_once_and_the_larger_number_is_his() -> None:
    found = read(page(row("a", 1), row("b", 2)), page(row("b", 2.5), row("a", 1)))
    assert {uid: reading.all_time for uid, reading in found.readings.items()} == {"a": 1_000_000, "b": 2_500_000}
    assert found.anomalies == {"dup_conflict": 1}


def test_totals_that_change_between_the_pages_are_told() -> None:
    assert read(page(row("a", 1)), page(row("b", 2), players=4)).anomalies == {"page_skew": 1}


def test_a_page_that_is_missing_makes_the_list_incomplete() -> None:
    found = read(page(row("a", 1), pages=3), page(row("b", 2), pages=3))
    assert found.total_pages == 3 and rules.is_incomplete(found)


def test_one_refusal_among_the_pages_refuses_them_all() -> None:
    with pytest.raises(UpstreamRefused):
        read(page(row("a", 1)), b'{"success": false}')


def test_what_was_read_of_pages_need_not_be_read_again() -> None:
    body = rules.bound([page(row("a", 1), row("b", 2)), page(row("c", 3))])
    first = rules.parse(body, "application/json", MAPPING)
    assert rules.parse(body, "application/json", MAPPING, first.known) == first


@pytest.mark.parametrize(
    ("body", "pages"),
    [
        (page(pages=7), 7),
        (page(pages="7"), 1),
        (page(pages=0), 1),
        (page(pages=True), 1),
        (b"<html>", 1),
        (b"[]", 1),
        (b"\xef\xbb\xbf" + page(), 2),
    ],
)
def test_how_many_pages_there_are_is_a_number_or_one(body: bytes, pages: int) -> None:
    assert rules.pages_said(body, PAGING) == pages


def test_a_page_has_an_address_of_its_own() -> None:
    assert rules.paging_of(MAPPING) == PAGING
    assert rules.paging_of(rules.CANONICAL) is None
    assert rules.address_of("https://x.example/list", PAGING, 2) == "https://x.example/list?p.no=2"
    assert rules.address_of("https://x.example/list?k=v", PAGING, 2) == "https://x.example/list?k=v&p.no=2"


@pytest.mark.parametrize("name", ["", "a b", "x&y=1", 7, "p" * 65])
def test_a_parameter_is_a_plain_word(name: object) -> None:
    with pytest.raises(BadMapping):
        rules.mapping_of({"page": name}, version=1)
