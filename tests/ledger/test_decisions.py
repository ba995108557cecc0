"""What goes through, decided without a database."""

from datetime import UTC, datetime, timedelta

import pytest

from palio.kernel.ids import new_id
from palio.ledger.rules import decisions, items
from palio.ledger.rules.ground import Decision, Ground, Original, OriginalLeg, Purse, Reserve, Stored
from palio.ledger.rules.items import AnyRequest
from palio.ledger.rules.requests import Vocabulary
from palio.ledger.types import AccountId, Capture, Handle, HoldId, Post, Posted, Refused, Reverse, TransferId

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
PLAYER, HOUSE = ("user:019acb1e-0000-7000-8000-000000000001:main", "COIN"), ("house:games", "COIN")
HOUR, HOLD = timedelta(hours=1), HoldId(new_id())
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
        Posted(TransferId(request.id), {PLAYER[0]: (70, 5)}, later),
        Refused("ledger.insufficient_funds", {"available": 70, "needed": 71}),
    ]
    assert decision.transfers == [(number, later, "a", "games.bet", None, "a bet", '{"n":1}', None, None)]
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
    decision = decide(
        [request], purses(100), {"a": Stored(request.hash, "transfer", ref, {PLAYER[0]: (95, 1)}, posted_at=NOON)}
    )
    assert decision.outcomes == [Posted(TransferId(ref), {PLAYER[0]: (95, 1)}, NOON, replayed=True)]
    assert (decision.transfers, decision.entries, decision.refused_keys) == ([], [], [])


def reserve(**more: object) -> Reserve:
    fields = {"amount": 60, "captured": 0, "released": 0, "state": "open", "expires_at": NOON + HOUR} | more
    return Reserve(HOLD, WALLET, **fields)  # type: ignore[arg-type]


def capture(key: str, amount: int, *, is_final: bool = False) -> AnyRequest:
    post = Post(key, "games.bet", ((*PLAYER, -amount), (*HOUSE, amount)), capture=Capture(HOLD, is_final))
    return items.judge([post], [new_id()], KNOWN)[0]


@pytest.mark.parametrize(
    ("amount", "is_final", "captured", "released", "state"),
    [
        (25, False, 25, 0, "open"),
        (25, True, 25, 35, "captured"),
        (60, False, 60, 0, "captured"),
        (60, True, 60, 0, "captured"),
    ],
)
def test_a_capture_takes_its_part_and_a_final_one_gives_back_the_rest(
    amount: int, is_final: bool, captured: int, released: int, state: str
) -> None:
    ground = Ground(NOON, purses=purses(100, held=60), reserves={HOLD: reserve()})
    decision = decisions.decide([capture("a", amount, is_final=is_final)], ground)
    [held] = decision.reserves.values()
    assert (held.newly_captured, held.newly_released, held.state) == (captured, released, state)
    assert ground.purses[WALLET].held == 60 - captured - released
    assert ground.purses[WALLET].balance == 100 - amount


def test_what_a_batch_captures_is_added_up() -> None:
    """Beside what was captured before."""
    ground = Ground(NOON, purses=purses(100, held=50), reserves={HOLD: reserve(captured=10)})
    decision = decisions.decide([capture("a", 20), capture("b", 20), capture("c", 20)], ground)
    assert decision.outcomes[2] == Refused("ledger.hold_exceeded", {"remaining": 10, "needed": 20})
    assert (ground.reserves[HOLD].captured, ground.reserves[HOLD].newly_captured) == (50, 40)
    assert decision.refused_keys == ["c"]


def test_what_a_batch_takes_back_is_added_up() -> None:
    legs = [OriginalLeg(0, WALLET, *PLAYER, 100, 30), OriginalLeg(1, OPEN, *HOUSE, -100, 30)]
    original = Original(TransferId(new_id()), is_reversal=False, legs=legs)
    asked = [Reverse(f"k{n}", original.id, "a test", amount) for n, amount in enumerate((40, 40, None))]
    ground = Ground(NOON, purses=purses(100), originals={original.id: original})
    decision = decisions.decide(items.judge(asked, [new_id() for _ in asked], KNOWN), ground)
    assert decision.outcomes[1] == Refused("ledger.reversal_exceeds", {"left": 30})
    assert [(leg.reversed, leg.newly_reversed) for leg in legs] == [(100, 70), (100, 70)]
    assert ground.purses[WALLET].balance == 30


def test_a_batch_without_refusals_is_not_aborted() -> None:
    posted = Posted(TransferId(new_id()), {}, NOON)
    assert decisions.aborted([posted, posted]) is None
    assert decisions.aborted([posted, Refused("ledger.invalid")]) == [
        Refused("ledger.batch_aborted"),
        Refused("ledger.invalid"),
    ]
