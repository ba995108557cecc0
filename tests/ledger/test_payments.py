"""Payments are judged and answered by columns, and it is what judging and answering each of them would give."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.kernel.ids import UserId, new_id, new_ids
from palio.ledger import Paid, Payments, Refused
from palio.ledger.rules import payments as rules
from palio.ledger.rules import requests
from palio.ledger.rules.decisions import Stored
from palio.ledger.rules.payments import Carried
from tests.factories.ledger import Payment
from tests.factories.ledger import payments as columns

OWNERS = [UserId(new_id()) for _ in range(3)]
FACTS: Sequence[Mapping[str, object]] = [{}, {"rank": 1}, {"why": ["deep"]}, {"nul": "\0"}, {"long": 4096 * "x"}]
ROW = st.builds(
    Payment,
    st.sampled_from(["a", "b", "c", "a b", ""]),
    st.sampled_from(OWNERS),
    st.sampled_from([1, 2, 2**53 - 1, 2**53, 0, -1, True]),
    st.sampled_from(FACTS),
)
ABOUT = {"source": "house:games", "asset": "USD", "kind": "ledger.transfer"}


def fault_of(row: Payment) -> str | None:
    """What is wrong with one row, looked at by itself."""
    if not requests.KEY.fullmatch(row.key):
        return "key"
    if not requests.is_amount(row.amount) or row.amount < 0:
        return "amount"
    return "metadata" if row.metadata and requests.metadata_text(row.metadata) is None else None


@given(st.lists(ROW, max_size=8))
def test_columns_are_judged_like_rows(rows: list[Payment]) -> None:
    """The first sound row of a key claims it, with its own facts."""
    bills = rules.judge(columns(rows))
    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        if fault_of(row) is None:
            first.setdefault(row.key, place)
    assert dict(bills.faults) == {place: fault for place, row in enumerate(rows) if (fault := fault_of(row))}
    assert list(bills.places) == list(first.values())
    chosen = [rows[place] for place in first.values()]
    assert [list(column) for column in bills.payments[:3]] == [[row[n] for row in chosen] for n in range(3)]
    texts = [requests.metadata_text(row.metadata) if row.metadata else None for row in chosen]
    assert list(bills.metadata) == texts or (not any(texts) and not any(bills.metadata))


@pytest.mark.parametrize("source", ["house:games", "writeoff:games"])
def test_a_payment_has_the_hash_of_the_post_that_does_the_same(source: str) -> None:
    """Whichever of the two addresses sorts first."""
    owner = UserId(UUID("019acb1e-0000-7000-8000-000000000001"))
    legs = [(f"user:{owner}:main", "USD", 5), (source, "USD", -5)]
    payment = Payments(["k"], [owner], [5])
    [hashed] = rules.hashes(payment, slice(None), source=source, asset="USD", kind="ledger.transfer")
    assert hashed == requests.request_hash("ledger.transfer", legs)


def answered(rows: Sequence[Payment], carried: Carried) -> Paid:
    bills = rules.judge(columns(rows))
    return rules.answer(columns(rows), bills, rules.hashes(bills.payments, slice(None), **ABOUT), carried)


def test_one_key_is_one_decision() -> None:
    """The same again hears the same, another amount or owner is another request, and a bad row claims nothing."""
    alice, bob = OWNERS[:2]
    [made] = new_ids(1)
    rows = [Payment("a", alice, 0), Payment("a", alice, 5), Payment("a", alice, 5), Payment("a", bob, 5)]
    rows += [Payment("b", bob, 7), Payment("b", bob, 7)]
    frozen, mismatch = Refused("ledger.account_frozen", {"account": "x"}), Refused("ledger.key_mismatch")
    paid = answered(rows, Carried([made, None], {1: frozen}))
    assert paid == Paid(
        [None, made, made, None, None, None],
        {2},
        {0: Refused("ledger.invalid", {"field": "amount"}), 3: mismatch, 4: frozen, 5: frozen},
    )


@pytest.mark.parametrize(
    ("op", "amount", "is_same"), [("transfer", 5, True), ("transfer", 6, False), ("hold", 5, False)]
)
def test_a_key_that_was_taken_answers_as_the_first_time(op: str, amount: int, is_same: bool) -> None:
    """If it stands for the same request; the payment beside it is nobody's business."""
    alice, bob = OWNERS[:2]
    before, (unused, made) = new_id(), new_ids(2)
    [hashed] = rules.hashes(Payments(["a"], [alice], [amount]), slice(None), **ABOUT)
    stored = {"a": Stored(hashed, op, before, {})}
    paid = answered([Payment("a", alice, 5), Payment("b", bob, 7)], Carried([unused, made], stored=stored))
    if is_same:
        assert paid == Paid([before.bytes, made], {0}, {})
    else:
        assert paid == Paid([None, made], set(), {0: Refused("ledger.key_mismatch")})


def test_new_ids_rise_and_differ() -> None:
    ids = new_ids(1000)
    assert ids == sorted(set(ids))
    assert new_id().bytes > ids[-1]
