"""Canonical JSON: the vectors of RFC 8785, and numbers that it would round."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.infra.seals.canonical import canonical


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # RFC 8785, 3.2.2 to 3.2.4; numbers that JavaScript would write with exponents are left out
        ("[4.50, 2e-3, 333333333.3333333, null, true, false]", "[4.5,0.002,333333333.3333333,null,true,false]"),
        (r'"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/"', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        # 3.2.3: names are ordered by their UTF-16 code units
        (
            r'{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7}',
            '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
        ),
        ('"\\u0000\\u001f\\u007f\\b\\t\\n\\f\\r"', '"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r"'),
        ("[ ] ", "[]"),
        ('{"b":{ },"a":[{"d":1,"c":-2}]}', '{"a":[{"c":-2,"d":1}],"b":{}}'),
        ("[1.0, -0.0, 100.00, 0.10]", "[1,0,100,0.1]"),
    ],
)
def test_a_value_has_one_text(text: str, wanted: str) -> None:
    assert canonical(text).decode() == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[9007199254740992]", "[9007199254740993]"),
        ("[123456789012345678901234567890]", "[123456789012345678901234567891]"),
        ("[0.1]", "[0.10000000000000000001]"),
        ('[1.5, "ä"]', '["1.5", "ä"]'),
        ("[1]", '["1"]'),
        ("[true]", "[1]"),
    ],
)
def test_what_differs_has_different_texts(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=4), part, max_size=4),
    max_leaves=12,
)


@given(value=VALUES)
def test_it_is_read_back_as_it_was_whatever_the_order_it_came_in(value: object) -> None:
    written = canonical(json.dumps(value))
    assert json.loads(written) == value
    assert canonical(json.dumps(value, indent=2, ensure_ascii=False)) == written
    assert canonical(written.decode()) == written


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="truncated"):
        canonical("{")
