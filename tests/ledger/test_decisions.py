"""What goes through, decided without a database."""

from datetime import UTC, datetime, timedelta

from palio.kernel.ids import new_id
from palio.ledger.rules import decisions, items
from palio.ledger.rules.ground import Decision, Ground, Purse, Stored
from palio.ledger.rules.items import AnyRequest
from palio.ledger.rules.requests import Vocabulary
from palio.ledger.types import AccountId, Handle, Post, Posted, Refused, TransferId

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
PLAYER, HOUSE = ("user:019acb1e-0000-7000-8000-000000000001:main", "COIN"), ("house:games", "COIN")
WALLET, OPEN = AccountId(65536 + 7), AccountId(2 * 65536 + 6)
KNOWN = Vocabulary({"games.bet"}, {"COIN"}, {PLAYER: WALLET, HOUSE: OPEN})


def bet(key: str, amount: int) -> AnyRequest:
    post = Post(key, "games.bet", ((*PLAYER, -amount), (*HOUSE, amount)), "a bet", {"n": 1})
    return items.judge([post], [new_id()], KNOWN)[0]


def purses(balance: int, **more: object) -> dict[Handle, Purse]:
    wallet = Purse(WALLET, NOON, balance, seq=4, is_guarded=True, **more)  # type: ignore[arg-type]
    return {WALLET: wallet, OPEN: Purse(OPEN, NOON)}


def decide(
    requests: list[AnyRequest], purses: dict[Handle, Purse], stored: dict[str, Stored] | None = None
) -> Decision:
    return decisions.decide(requests, Ground(NOON, purses=purses, stored=stored or {}))


def test_rows_are_written_for_what_goes_through() -> None:
    """In the order of the columns: a transfer, then its legs; an open account has neither seq nor balance."""
    request, refused = bet("a", 30), bet("b", 71)
    later = NOON + timedelta(seconds=5)
    late = {WALLET: Purse(WALLET, later, 100, 4, is_guarded=True)}
    decision = decide([request, refused], purses(100) | late)
    number = request.id.bytes
    assert decision.outcomes == [
        Posted(TransferId(request.id), {PLAYER[0]: (70, 5)}),
        Refused("ledger.insufficient_funds", {"available": 70, "needed": 71}),
    ]
    assert decision.transfers == [(number, later, "a", "games.bet", None, "a bet", '{"n":1}', None)]
    assert decision.entries == [(WALLET, number, 0, later, -30, 5, 70), (OPEN, number, 1, later, 30, 0, 0)]
    assert decision.refused_keys == ["b"]


def test_what_is_held_cannot_be_spent() -> None:
    outcomes = decide([bet("a", 301), bet("b", 300)], purses(1000, held=700)).outcomes
    assert outcomes[0] == Refused("ledger.insufficient_funds", {"available": 300, "needed": 301})
    assert isinstance(outcomes[1], Posted)


def test_a_key_of_a_hold_is_no_transfer() -> None:
    """Keys are shared by all operations."""
    request = bet("a", 5)
    stored = {"a": Stored(request.hash, "hold", new_id(), {})}
    assert decide([request], purses(100), stored).outcomes == [Refused("ledger.key_mismatch")]


def test_a_key_that_was_taken_gives_its_result_and_claims_nothing() -> None:
    request, ref = bet("a", 5), new_id()
    decision = decide([request], purses(100), {"a": Stored(request.hash, "transfer", ref, {PLAYER[0]: (95, 1)})})
    assert decision.outcomes == [Posted(TransferId(ref), {PLAYER[0]: (95, 1)}, replayed=True)]
    assert (decision.transfers, decision.entries, decision.refused_keys) == ([], [], [])


def test_a_batch_without_refusals_is_not_aborted() -> None:
    posted = Posted(TransferId(new_id()), {})
    assert decisions.aborted([posted, posted]) is None
    assert decisions.aborted([posted, Refused("ledger.invalid")]) == [
        Refused("ledger.batch_aborted"),
        Refused("ledger.invalid"),
    ]
