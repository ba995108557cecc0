"""What is well formed, and what makes two requests the same one."""

import hashlib
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.kernel.ids import new_id
from palio.ledger.rules import items, requests
from palio.ledger.rules.requests import Vocabulary
from palio.ledger.types import CHECKS, AccountId, Capture, Hold, HoldId, Post, Void

PLAYER = "user:019acb1e-0000-7000-8000-000000000001:main"
KNOWN = Vocabulary({"ledger.transfer"}, {"USD", "COIN"}, {(PLAYER, "USD"): AccountId(65536 + 3)})


def fault(**change: object) -> str | None:
    legs = ((PLAYER, "USD", 5), ("house:games", "USD", -5))
    fields = {"key": "k", "kind": "ledger.transfer", "legs": legs} | change
    return requests.prepare(Post(**fields), new_id(), KNOWN).fault  # type: ignore[arg-type]


def legs(*triples: tuple[object, ...]) -> dict[str, object]:
    return {"legs": triples}


def test_a_sound_post_has_no_fault() -> None:
    assert fault() is None


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "ä", "a/b", "a\n"])
def test_a_key_is_short_and_plain(key: str) -> None:
    assert fault(key=key) == "key"


def test_a_key_may_be_200_characters_long() -> None:
    assert fault(key="x" * 200) is None


def test_a_kind_must_exist() -> None:
    assert fault(kind="ledger.bribe") == "kind"


@pytest.mark.parametrize("amount", [1.5, "1", 1e2, float("nan"), True, 0, 2**53, -(2**53), None])
def test_an_amount_is_an_integer_that_json_keeps_exact(amount: object) -> None:
    assert fault(**legs((PLAYER, "USD", amount), ("house:games", "USD", -5))) == "amount"


def test_the_largest_amount_is_exact() -> None:
    most = 2**53 - 1
    assert fault(**legs((PLAYER, "USD", most), ("house:games", "USD", -most))) is None


@pytest.mark.parametrize(
    "address",
    [
        "user:../x:main",
        "user:019acb1e-0000-7000-8000-000000000001",
        "user:019acb1e-0000-7000-8000-000000000001:purse",
        "user:019ACB1E-0000-7000-8000-000000000001:main",
        "user:019acb1e000070008000000000000001:main",
        "user:me:main",
        "house",
        "house:",
        "house:Games",
        "house:" + "x" * 65,
        "house:a:b:c:d",
        "vault:main",
        "house:games\n",
        "",
    ],
)
def test_an_address_is_of_a_known_family(address: str) -> None:
    assert fault(**legs((PLAYER, "USD", 5), (address, "USD", -5))) == "address"


@pytest.mark.parametrize(
    "address", ["house:cause-a.b_c", "pool:" + "x" * 64, "a" * 64 + ":b", "external:opening:2026:q1"]
)
def test_addresses_have_two_to_four_segments(address: str) -> None:
    assert fault(**legs((PLAYER, "USD", 5), (address, "USD", -5))) == ("address" if address[0] == "a" else None)


def test_an_asset_must_exist() -> None:
    assert fault(**legs((PLAYER, "EUR", 5), ("house:games", "EUR", -5))) == "asset"


@pytest.mark.parametrize(
    "triples",
    [
        [(PLAYER, "USD", 5)],
        [(PLAYER, "USD", 5), ("house:games", "USD", -4)],
        [(PLAYER, "USD", 5), ("house:games", "COIN", -5)],
        [(PLAYER, "USD", 5), (PLAYER, "USD", 5), ("house:games", "USD", -10)],
        [(f"house:h{n}", "USD", 1) for n in range(100)] + [("house:games", "USD", -100)],
        [],
    ],
)
def test_legs_balance_and_name_an_account_once(triples: list[tuple[object, ...]]) -> None:
    assert fault(**legs(*triples)) == "legs"


def test_a_hundred_legs_in_two_assets_are_fine() -> None:
    triples = [(f"house:h{n}", "USD", 1) for n in range(97)] + [("house:games", "USD", -97)]
    exchange = [(PLAYER, "COIN", -3), ("house:exchange", "COIN", 3)]
    assert fault(**legs(*triples, *exchange)) is None


@pytest.mark.parametrize("description", ["x" * 256, "a\0b", "\ud800"])
def test_a_description_is_short_text(description: str) -> None:
    assert fault(description=description) == "description"


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x" * 4096},
        {"a": float("nan")},
        {"a": "\0"},
        {"a\0": 1},
        {"a": "\udc00"},
        {"a": object()},
        {"a": "\\\0"},
    ],
)
def test_metadata_is_a_small_json_object(metadata: dict[str, object]) -> None:
    assert fault(metadata=metadata) == "metadata"


def test_metadata_keeps_letters_and_backslashes() -> None:
    [request] = items.judge(
        [Post("k", "ledger.transfer", ((PLAYER, "USD", 5), ("house:games", "USD", -5)), metadata={"ü": "\\u0000"})],
        [new_id()],
        KNOWN,
    )
    assert request.fault is None
    assert request.metadata == '{"ü":"\\\\u0000"}'


def test_metadata_that_contains_itself_is_no_json() -> None:
    circle: dict[str, object] = {}
    circle["self"] = circle
    assert fault(metadata=circle) == "metadata"


def test_the_hash_is_that_of_canonical_json() -> None:
    """SHA-256 of RFC 8785: members sorted, legs sorted, no spaces; also as a literal, because it is stored for ever."""
    legs = [("house:games", "USD", -5), (PLAYER, "USD", 5)]
    request = {
        "v": 1,
        "op": "transfer",
        "kind": "ledger.transfer",
        "legs": sorted(legs),
        "hold": None,
        "final": None,
        "original": None,
        "amount": None,
    }
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    assert requests.request_hash("ledger.transfer", legs) == hashlib.sha256(text.encode()).digest()
    assert text == (
        '{"amount":null,"final":null,"hold":null,"kind":"ledger.transfer","legs":[["house:games","USD",-5],'
        '["user:019acb1e-0000-7000-8000-000000000001:main","USD",5]],"op":"transfer","original":null,"v":1}'
    )


@given(st.permutations([("house:a", "USD", 3), ("house:b", "USD", -1), ("house:b", "COIN", 2), ("house:c", "USD", -2)]))
def test_the_order_of_legs_does_not_make_another_request(legs: list[tuple[str, str, int]]) -> None:
    assert requests.request_hash("k", legs) == requests.request_hash("k", sorted(legs))


def test_the_hash_of_holds_is_that_of_canonical_json_too() -> None:
    """Literally, because it is stored for ever. Whether a release is one of the clock is part of it."""
    hold_id = HoldId(UUID("019acb1e-0000-7000-8000-000000000009"))
    post = Post("k", "ledger.transfer", ((PLAYER, "USD", -5), ("house:a", "USD", 5)), capture=Capture(hold_id, True))
    hold = Hold("k", PLAYER, "USD", 5, "order 7", "ledger.transfer", datetime(2026, 3, 20, tzinfo=UTC))
    texts = [
        (
            f'{{"amount":null,"final":true,"hold":"{hold_id}","kind":"ledger.transfer","legs":[["house:a","USD",5],'
            f'["{PLAYER}","USD",-5]],"op":"transfer","original":null,"v":1}}'
        ),
        (
            f'{{"amount":null,"final":null,"hold":null,"kind":"ledger.transfer","legs":[["{PLAYER}","USD",5]],"op":"hold",'
            '"original":null,"v":1}'
        ),
        (
            f'{{"amount":null,"expired":true,"final":null,"hold":"{hold_id}","kind":null,"legs":null,"op":"void",'
            '"original":null,"v":1}'
        ),
    ]
    judged = items.judge([post, hold, Void("k", hold_id, expired=True)], [new_id() for _ in texts], KNOWN)
    assert [request.hash for request in judged] == [hashlib.sha256(text.encode()).digest() for text in texts]


def test_texts_and_actor_do_not_make_another_request() -> None:
    legs = ((PLAYER, "USD", 5), ("house:games", "USD", -5))
    posts = [Post("k", "ledger.transfer", legs), Post("k", "ledger.transfer", legs, "again", {"try": 2})]
    first, second = items.judge(posts, [new_id(), new_id()], KNOWN)
    assert first.hash == second.hash


@given(
    st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.text(max_size=40), min_size=1)
)
def test_flat_facts_are_written_like_all_others(facts: dict[str, object]) -> None:
    """Beside a list, which takes the slower way; both refuse the same."""
    text, slower = requests.metadata_text(facts), requests.metadata_text({**facts, "deep": []})
    assert (text is None) == (slower is None)
    if text is not None and "deep" not in facts:
        assert text[:-1] + ',"deep":[]}' == slower


@pytest.mark.parametrize(
    ("source", "asset", "kind", "field"),
    [
        (PLAYER, "USD", "ledger.transfer", "source"),
        ("vault:main", "USD", "ledger.transfer", "source"),
        ("house:games", "EUR", "ledger.transfer", "asset"),
        ("house:games", "USD", "ledger.bribe", "kind"),
        ("house:games", "USD", "ledger.transfer", None),
    ],
)
def test_only_an_open_account_pays_many(source: str, asset: str, kind: str, field: str | None) -> None:
    assert requests.fault_of_fan_out(source, asset, kind, KNOWN.assets, KNOWN.kinds) == field


def test_the_first_sound_item_of_a_key_claims_it() -> None:
    good = Post("k", "ledger.transfer", ((PLAYER, "USD", 5), ("house:games", "USD", -5)))
    bad = Post("k", "ledger.bribe", good.legs)
    judged = items.judge([bad, good, good], [new_id(), new_id(), new_id()], KNOWN)
    assert requests.first_claims(judged) == {"k": judged[1]}


def test_every_check_has_a_sentence() -> None:
    assert set(CHECKS) == {"G1", "G2", "G3", "A1", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8"}
