"""What a payload says: exact numbers, and never anything but an answer or a refusal."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palio import affiliates
from palio.affiliates import rules
from palio.affiliates.rules import CANONICAL, FeedMapping, Parsed
from palio.affiliates.types import MICRO_MAX, Flag, HeldRow, Reading
from palio.kernel.errors import Refusal
from tests.factories.affiliates import body, fixture, row

VARIANTS = {variant["id"]: variant for variant in json.loads(fixture("affiliate_payload_variants"))["variants"]}


def parse(content: bytes, mapping: FeedMapping = CANONICAL, content_type: str = "application/json") -> Parsed:
    return rules.parse(content, content_type, mapping)


def variant(name: str) -> bytes:
    found = VARIANTS[name]
    return found["raw"].encode() if "raw" in found else json.dumps(found["body"]).encode()


def only(content: bytes) -> Reading:
    (reading,) = parse(content).readings.values()
    return reading


@pytest.mark.parametrize(
    ("name", "shape", "accepted", "held", "anomalies"),
    [
        ("canonical", "flat", 2, [], {}),
        ("unsorted_zero_first", "flat", 2, [], {}),
        ("int_zero_float_nonzero", "flat", 1, [], {}),
        ("today_gt_week", "flat", 1, [], {"column_lag": 1}),
        ("bare_array", "array", 2, [], {}),
        ("wrapped_results", "results", 1, [], {}),
        ("single_object", "object", 1, [], {}),
        ("grouped_seed2", "grouped", 1, [], {}),
        ("string_numbers", "flat", 0, ["bad_number"], {}),
        ("missing_column", "flat", 1, [], {}),
        ("missing_uid", "flat", 0, ["missing_uid"], {}),
        ("missing_name", "flat", 1, [], {}),
        ("renamed_user", "flat", 1, [], {}),
        ("dup_uid_same", "flat", 1, [], {}),
        ("all_time_decrease", "flat", 1, [], {}),
        ("empty_data", "flat", 0, [], {}),
        ("root_totals_mismatch", "flat", 1, [], {"totals_mismatch": 1}),
    ],
)
def test_every_readable_variant_is_read_as_expected(
    name: str, shape: str, accepted: int, held: list[str], anomalies: dict[str, int]
) -> None:
    """Acceptance 6, as far as one payload tells."""
    parsed = parse(variant(name))
    assert (parsed.shape, len(parsed.readings), [line.reason for line in parsed.held]) == (shape, accepted, held)
    assert parsed.anomalies == anomalies


@pytest.mark.parametrize(
    ("name", "content_type", "refusal"),
    [
        ("nan_like", "application/json", affiliates.BadJson),
        ("success_false_200", "application/json", affiliates.UpstreamRefused),
        ("html_200", "text/html", affiliates.BadContentType),
        ("html_200", "application/json", affiliates.BadJson),
    ],
)
def test_every_unreadable_variant_is_refused(name: str, content_type: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        parse(variant(name), content_type=content_type)


def test_every_variant_is_among_these_tests() -> None:
    named = {mark.args[1][place][0] for test in TESTS for mark in test.pytestmark for place in range(len(mark.args[1]))}
    assert named == VARIANTS.keys()


TESTS = (test_every_readable_variant_is_read_as_expected, test_every_unreadable_variant_is_refused)


def test_variants_keep_their_digits() -> None:
    assert only(variant("int_zero_float_nonzero"))[2:6] == (0, 700, 17_482_080_000, 17_482_080_000)
    assert only(variant("missing_column"))[2:6] == (5_000_000, None, None, 50_000_000)
    assert only(variant("missing_name")).name is None
    assert parse(variant("grouped_seed2")).upstream_at == datetime(2024, 1, 26, 20, 11, 49, tzinfo=UTC)


def test_float_noise_is_no_anomaly() -> None:
    """Acceptance 5: a comparison of floats would flag three."""
    noisy = json.loads(fixture("affiliate_api_monday_float_noise_2025-03-03"))["entries"]
    lagging = json.loads(fixture("affiliate_api_inconsistent_columns"))["entries"]
    assert (len(noisy), parse(body(*noisy)).anomalies) == (21, {})
    assert (len(lagging), parse(body(*lagging)).anomalies) == (7, {"column_lag": 7})


@pytest.mark.parametrize("content_type", ["text/json", "application/vnd.feed+json", "Application/JSON; charset=utf-8"])
def test_kinds_of_json_are_taken(content_type: str) -> None:
    assert len(parse(body(row("a")), content_type=content_type).readings) == 1


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", affiliates.BadJson),
        (b'{"data": [{"uid": "a"', affiliates.BadJson),
        (b'{"data": []} and more', affiliates.BadJson),
        (b'{"data": [{"uid": "a", "wagered": {"all_time": Infinity}}]}', affiliates.BadJson),
        (b'{"data": ["\xff"]}', affiliates.BadEncoding),
        (b"{}", affiliates.ShapeUnknown),
        (b"5", affiliates.ShapeUnknown),
        (b"null", affiliates.ShapeUnknown),
        (b'{"data": {"a": 1}}', affiliates.ShapeUnknown),
        (b'{"data": [], "status": "error"}', affiliates.UpstreamRefused),
        (b'{"data": [], "success": 1}', affiliates.UpstreamRefused),
        (b'{"data": [], "success": null}', affiliates.UpstreamRefused),
        (b"[" * 100_000 + b"]" * 100_000, affiliates.BadJson),
    ],
)
def test_what_is_no_list_of_players_is_refused(content: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        parse(content)


@pytest.mark.parametrize(
    "wrap", [lambda x: {"data": [{"uid": "a", "all_time": 1, "x": x}]}, lambda x: {"data": [], "x": x}]
)
@pytest.mark.parametrize(("depth", "is_taken"), [(32, True), (33, False)])
def test_nesting_ends_at_thirty_two(wrap, depth: int, is_taken: bool) -> None:
    above = 3 if wrap("here")["data"] else 1
    nested: object = "deep"
    for _ in range(depth - above):
        nested = [nested]
    content = json.dumps(wrap(nested)).encode()
    if is_taken:
        parse(content)
    else:
        with pytest.raises(affiliates.BadJson):
            parse(content)


def test_a_text_around_the_body_and_a_byte_order_mark_are_taken_off() -> None:
    assert len(parse(b"\xef\xbb\xbf" + json.dumps(body(row("a")).decode()).encode()).readings) == 1


@pytest.mark.parametrize(
    ("literal", "micro"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.00000050000000000000000000000000000000000000000000000000000000000000001", 1),
        ("8.350000000000005", 8_350_000),
        ("1e2", 100_000_000),
        ("1E-400", 0),
        ('"1200.75"', 1_200_750_000),
        ("9007199254.740991", MICRO_MAX),
    ],
)
def test_numbers_are_read_exactly(literal: str, micro: int) -> None:
    assert only(f'[{{"uid": "a", "all_time": {literal}}}]'.encode()).all_time == micro


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ("true", "bad_number"),
        ("[1]", "bad_number"),
        ('""', "bad_number"),
        ('" 1"', "bad_number"),
        ('"1,5"', "bad_number"),
        ('"1e4"', "bad_number"),
        ('"$5"', "bad_number"),
        ('"1_000"', "bad_number"),
        ('"\\uff11"', "bad_number"),
        ('"NaN"', "bad_number"),
        ('"-1"', "bad_number"),
        ("1" * 5_000, "bad_number"),
        ("-0.000001", "negative"),
        ("-1e999999999999999999999", "negative"),
        ("1e308", "too_large"),
        ("1" + "0" * 400, "too_large"),
        ("1e999999999999999999999", "too_large"),
        ("9007199254.740992", "too_large"),
        ("null", "no_values"),
    ],
)
def test_other_numbers_hold_their_row(literal: str, reason: str) -> None:
    (held,) = parse(f'[{{"uid": "a", "all_time": {literal}}}]'.encode()).held
    assert (held.row_no, held.uid or "a", held.reason) == (1, "a", reason)


@pytest.mark.parametrize(
    ("uid", "reason"),
    [
        ('"unknown"', "missing_uid"),
        ('"undefined"', "missing_uid"),
        ('"null"', "missing_uid"),
        ('""', "missing_uid"),
        ("null", "missing_uid"),
        ("true", "bad_uid"),
        ("1.0", "bad_uid"),
        ('" "', "bad_uid"),
        ('"a b"', "bad_uid"),
        ('"a\\u0000"', "bad_uid"),
        ('"a\\ud800"', "bad_uid"),
        ('"a\\u200b"', "bad_uid"),
        (f'"{"a" * 129}"', "bad_uid"),
    ],
)
def test_nobody_is_known_by_what_is_no_identity(uid: str, reason: str) -> None:
    parsed = parse(f'[{{"uid": {uid}, "all_time": 1}}, {{"uid": {uid}, "all_time": 1}}]'.encode())
    assert parsed.readings == {}
    assert [(held.uid, held.reason) for held in parsed.held] == [(None, reason)] * 2


def test_a_whole_number_is_an_identity_and_case_matters() -> None:
    parsed = parse(b'[{"id": 12345678901234567890, "total": 1}, {"uid": "a", "total": 1}, {"uid": "A", "total": 1}]')
    assert set(parsed.readings) == {"12345678901234567890", "a", "A"}


@pytest.mark.parametrize(
    ("name", "kept", "is_cleaned"),
    [
        ("al\u200bice", "alice", True),
        ("\u202eecila", "ecila", True),
        ("line\nbreak", "linebreak", True),
        ("\u200b\u200b", None, True),
        ("e\u0301", "\u00e9", False),
        ("שלום", "שלום", False),
        ("x" * 70, "x" * 64, False),
    ],
)
def test_names_lose_what_nobody_sees(name: str, kept: str | None, is_cleaned: bool) -> None:
    parsed = parse(body(row("a", name=name)))
    assert parsed.readings["a"].name == kept
    assert ("name_cleaned" in parsed.anomalies) == is_cleaned


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00x", "\\ud83d\\ud83d"])
def test_one_row_of_two_hundred_with_a_broken_name_is_held(escape: str) -> None:
    """Pitfall: 199 rows count, one is quarantined, and nothing fails."""
    content = body(*(row(f"p{number}", number) for number in range(200))).replace(b"name of p77", escape.encode())
    parsed = parse(content)
    assert len(parsed.readings) == 199
    assert [(held.uid, held.reason) for held in parsed.held] == [("p77", "bad_name")]


def test_a_pair_of_surrogates_and_an_escaped_backslash_stay_what_they_are() -> None:
    parsed = parse(
        rb'[{"uid": "a", "name": "\ud83d\ude00", "total": 1}, {"uid": "b", "name": "\\ud800\ud800", "total": 1}]'
    )
    assert parsed.readings["a"].name == "\U0001f600"
    assert [held.uid for held in parsed.held] == ["b"]


def test_equal_rows_count_once_and_of_different_ones_the_larger() -> None:
    parsed = parse(body(row("a", 5), row("a", 5), row("b", 5), row("b", 7), row("b", 6)))
    assert {uid: reading.all_time for uid, reading in parsed.readings.items()} == {"a": 5_000_000, "b": 7_000_000}
    assert parsed.anomalies == {"dup_conflict": 1}
    assert parsed.totals.all_time == 12_000_000


def test_a_row_whose_wagers_are_no_object_is_held() -> None:
    parsed = parse(b'[{"uid": "a", "wagered": 5}, 7, {"uid": "b", "wagered": {"all_time": 1}, "today": 9}]')
    assert [(held.uid, held.reason) for held in parsed.held] == [("a", "missing_wagered"), (None, "not_object")]
    assert parsed.readings["b"][2:6] == (None, None, None, 1_000_000)


def test_a_new_key_in_most_rows_is_named() -> None:
    few = parse(body({**row("a"), "vip": 1}, row("b")))
    most = parse(body({**row("a"), "vip": 1}, {**row("b"), "vip": 2}, row("c")))
    assert (few.strange_keys, most.strange_keys) == ((), ("vip",))


def test_times_and_counts_come_from_the_metadata() -> None:
    at = datetime(2025, 3, 26, 8, 21, 15, tzinfo=UTC)
    for said in ("2025-03-26T08:21:15Z", "2025-03-26T10:21:15+02:00", 1_742_977_275, 1_742_977_275_000):
        assert parse(body(metadata={"lastUpdated": said})).upstream_at == at
    for said in ("yesterday", True, None, 10**30, []):
        assert parse(body(metadata={"lastUpdated": said, "totalUsers": "many"})).upstream_at is None
    assert parse(body(metadata={"totalUsers": 7, "totalPages": 2})).total_pages == 2


def test_a_mapping_says_where_everything_is() -> None:
    mapping = rules.mapping_of(
        {
            "rows": "payload.*.players",
            "uid": "who.id",
            "name": "who.nick",
            "all_time": "cents.ever",
            "today": "cents.day",
            "units": -2,
            "success": "state",
            "success_is": ["fine"],
        },
        version=3,
    )
    players = [{"who": {"id": "a", "nick": "Al"}, "cents": {"ever": 12345, "day": "7.5"}}]
    content = json.dumps({"state": "fine", "payload": {"eu": {"players": players}, "us": {"players": []}}}).encode()
    parsed = parse(content, mapping)
    assert parsed.readings["a"][:6] == ("a", "Al", 75_000, None, None, 123_450_000)
    with pytest.raises(affiliates.UpstreamRefused):
        parse(content.replace(b'"fine"', b'"bad"'), mapping)


@pytest.mark.parametrize(
    "document", [{"uid": ""}, {"uid": "a..b"}, {"uid": 5}, {"colour": "a"}, {"units": 99}, {"success_is": True}]
)
def test_a_mapping_that_cannot_be_used_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(affiliates.BadMapping):
        rules.mapping_of(document, version=1)


def test_a_mapping_that_swaps_week_and_month_changes_only_these() -> None:
    """Acceptance 28: the same bytes and the same mapping always give the same."""
    swapped = rules.mapping_of({"week": "wagered.this_month", "month": "wagered.this_week"}, version=1)
    plain, other = parse(fixture("affiliate_snapshot_T1")), parse(fixture("affiliate_snapshot_T1"), swapped)
    assert plain == parse(fixture("affiliate_snapshot_T1"))
    assert (other.totals.week, other.totals.month) == (plain.totals.month, plain.totals.week)
    assert (other.totals.today, other.totals.all_time) == (plain.totals.today, plain.totals.all_time)


def test_a_reading_is_written_as_a_row_that_reads_back() -> None:
    reading = Reading("a", 'A "quoted" é', None, 1, 2_500_000, MICRO_MAX)
    assert rules.read_row(1, rules.written(reading).encode(), CANONICAL) == reading


amounts = st.one_of(st.integers(0, 50), st.decimals(0, 50, places=8).map(str), st.sampled_from([None, "x", -1, True]))
uids = st.sampled_from(["a", "b", "c", "d", "", "unknown", 7])
players = st.builds(
    lambda uid, amount, today: {"uid": uid, "wagered": {"all_time": amount, "today": today}}, uids, amounts, amounts
)
lists = st.lists(
    st.one_of(players, st.sampled_from([5, None, {"uid": "deep", "total": 1, "x": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}])),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(before=lists, after=lists, wrapped=st.booleans())
def test_known_rows_change_nothing_about_the_answer(before: list[object], after: list[object], wrapped: bool) -> None:
    earlier, later = json.dumps({"data": before}).encode(), json.dumps({"data": after} if wrapped else after).encode()
    known = rules.parse(earlier, "application/json").known
    once = rules.parse(later, "application/json", CANONICAL, known)
    assert once == rules.parse(later, "application/json")
    again = rules.parse(later, "application/json", CANONICAL, once.known)
    assert (again, rules.parse(earlier, "application/json", CANONICAL, once.known)) == (
        once,
        rules.parse(earlier, "application/json"),
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.decimals(0, 9_000_000_000, places=12), min_size=1, max_size=6))
def test_sums_are_those_of_the_decimals(values: list[Decimal]) -> None:
    rows = ",".join(f'{{"uid": "p{number}", "total": {value:f}}}' for number, value in enumerate(values))
    exact = [int(value.quantize(Decimal("0.000001")).scaleb(6)) for value in values]  # half to even by default
    assert parse(f"[{rows}]".encode()).totals.all_time == sum(exact)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["data", "uid", "id", "name", "wagered", "all_time", "success", "x"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


def _is_free_of_floats(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_free_of_floats, value))
    return not isinstance(value, float)


@settings(max_examples=300, deadline=None)
@given(st.one_of(json_values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40)))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    try:
        parsed = parse(content)
    except Refusal:
        return
    assert _is_free_of_floats([*parsed.readings.values(), parsed.totals])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_capture_with_a_few_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(fixture("affiliate_api_inconsistent_columns"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(content).replace(b'"entries"', b'"data"'))
    except Refusal:
        return


NUMBERS = st.one_of(
    st.integers(-10, 10**12).map(str),
    st.decimals(min_value=0, max_value=10**10, places=9, allow_nan=False).map(lambda number: format(number, "f")),
    st.floats(0, 10**11, allow_nan=False).map(repr),
    st.sampled_from(
        ["null", "true", '"5.5"', "0.0000005", "0.0000015", "2.5000005000", "1E3", "-0.0", "0.00000050001"]
    ),
)


@given(st.lists(NUMBERS, min_size=4, max_size=4), st.sampled_from(["a", "unknown", "a b", "ü", "\u200bx"]))
def test_a_row_in_the_normal_form_reads_as_any_other(numbers: list[str], text: str) -> None:
    """A key that nobody reads sends the same row the long way."""
    wagered = ", ".join(f'"{name}": {number}' for name, number in zip(COLUMN_NAMES, numbers, strict=True))
    usual = f'{{"uid": {json.dumps(text)}, "name": {json.dumps(text)}, "wagered": {{{wagered}}}}}'
    longer = usual[:-1] + ', "more": 1}'
    one, other = (rules.read_row(1, row.encode(), CANONICAL) for row in (usual, longer))
    if isinstance(one, Reading):
        assert isinstance(other, Reading) and one == other._replace(flags=one.flags, strange_keys=())
        assert other.flags == one.flags | Flag.STRANGE_KEYS
    else:
        assert isinstance(other, HeldRow) and (one.uid, one.reason) == (other.uid, other.reason)


COLUMN_NAMES = ("today", "this_week", "this_month", "all_time")
