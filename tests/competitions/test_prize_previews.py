"""What a rule would pay, however many qualify."""

from time import process_time

from palio.competitions.rules import prizes


def test_a_preview_of_a_hundred_thousand_is_worked_out_in_a_moment() -> None:
    """The time grows with the number of entrants, not with its square: that took twenty seconds."""
    bands = [{"from": 1, "to": 10, "value": 5_000}, {"from": 11, "to": None, "value": 5_000}]
    rule = prizes.read({"kind": "bps", "split": "occupants", "bands": bands})
    ties = dict.fromkeys(range(1, 100000, 2), 2)
    begun = process_time()
    found = prizes.preview_prizes(rule, pool=10**9, entrants=100_000, ties=ties, empty_rule="redistribute")

    assert process_time() - begun < 5
    assert (len(found.shares), sum(share.amount for share in found.shares)) == (100_000, 10**9)
    amounts = [share.amount for share in found.shares]
    assert amounts == sorted(amounts, reverse=True)
