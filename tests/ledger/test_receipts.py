"""Why something moved: the rule, the hold it came from, what was taken back, and nobody's name."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx2
import pytest

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Capture, Held, Hold, Post, Reverse
from palio.ledger.rules import receipts
from palio.ledger.types import CapturedHold
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE, fund, new_wallet, owner_of, pay
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

REASON = "asked for it by letter"
STEPS = {"steps": 8432, "rate": "1/100", "cap": 100, "already": 60, "award": 24}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


async def page_of(client: httpx2.AsyncClient, owner: UserId, seq: int) -> str:
    answer = await client.get(f"/wallet/COIN/entries/{seq}", headers=caller("player", owner))
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (STEPS, [*STEPS.items()]),
        ("The 5th place takes 5 % of the pool.", [("", "The 5th place takes 5 % of the pool.")]),
        ({"odds": {"yes": 3, "no": "1/2"}, "of": [1, "b"]}, [("odds.yes", 3), ("odds.no", "1/2"), ("of", "1, b")]),
        ({"capped": True, "late": None}, [("capped", "True")]),
        (None, []),
        ({}, []),
        (7, [("", 7)]),
    ],
)
def test_a_rule_is_names_with_figures(why: object, told: list[tuple[str, int | str]]) -> None:
    assert receipts.why({"why": why}) == told
    assert receipts.why({}) == []


async def test_a_receipt_shows_the_rule_and_runs_none_of_it(
    client: httpx2.AsyncClient, database: Database, noon: datetime
) -> None:
    wallet = new_wallet()
    metadata = {"why": {**STEPS, "<b>odd</b>": "<script>"}, "title": "Steps of <19> March"}
    legs = ((wallet, "COIN", 24), (HOUSE, "COIN", -24))
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, Post(f"{wallet}:1", "steps.award", legs, metadata=metadata), now=noon)
    page = await page_of(client, owner_of(wallet), 1)
    for words in (
        "<dt>Steps</dt>",
        "<bdi>8,432</bdi>",
        "<bdi>1/100</bdi>",
        "Given before",
        "Steps of &lt;19&gt; March",
    ):
        assert words in page
    assert "<b>" not in page and "&lt;script&gt;" in page
    listed = (await client.get("/wallet/COIN", headers=caller("player", owner_of(wallet)))).text
    assert "Steps of &lt;19&gt; March" in listed


async def test_a_receipt_names_the_hold_and_what_of_it_remained(tx: Tx, wallet: str, noon: datetime) -> None:
    """After each part, and what came back after the last one."""
    await fund(tx, wallet, 1000, now=noon)
    hold = Hold(f"{wallet}:h", wallet, "COIN", 700, "order:17", "store.order", noon + timedelta(days=1))
    [held] = await ledger.hold_many(tx, [hold], now=noon)
    assert isinstance(held, Held)
    for n, (amount, is_final) in enumerate(((250, False), (200, True))):
        legs = ((wallet, "COIN", -amount), (HOUSE, "COIN", amount))
        await ledger.post(
            tx, Post(f"{wallet}:{n}", "store.order", legs, capture=Capture(held.hold_id, is_final)), now=noon
        )
    found = [await ledger.receipt(tx, owner_id=owner_of(wallet), asset="COIN", seq=seq) for seq in (1, 2, 3)]
    assert found[0].hold is None
    assert [one.hold for one in found[1:]] == [
        CapturedHold(held.hold_id, "order:17", "Order", 700, remained=450, released=0),
        CapturedHold(held.hold_id, "order:17", "Order", 700, remained=250, released=250),
    ]
    both = await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", wanted=ledger.Filter(subject="order:17"))
    assert [line.seq for line in both.lines] == [3, 2]


async def test_reversals_lead_to_each_other_with_their_amounts(tx: Tx, wallet: str, noon: datetime) -> None:
    """Also where nothing was left in the wallet, so that only what is owed grew."""
    owner = owner_of(wallet)
    won = await ledger.post(tx, pay("won", wallet, 100), now=noon)
    first = await ledger.reverse(tx, Reverse("a", won.transfer_id, REASON, amount=30), now=noon)
    await ledger.post(tx, pay("spent", wallet, -70), now=noon)
    last = await ledger.reverse(tx, Reverse("b", won.transfer_id, REASON, to_debt=True), now=noon)

    receipt = await ledger.receipt(tx, owner_id=owner, asset="COIN", seq=1)
    assert receipt.reverses is None
    assert [(one.transfer_id, one.seq, one.amount) for one in receipt.reversed_by] == [
        (first.transfer_id, 2, 30),
        (last.transfer_id, None, 70),
    ]
    back = await ledger.receipt(tx, owner_id=owner, asset="COIN", seq=2)
    assert back.reverses and (back.reverses.transfer_id, back.reverses.seq, back.reverses.amount) == (
        *(won.transfer_id, 1, 100),
    )
    assert back.line.description == REASON


async def test_a_receipt_gives_the_reason_of_staff_and_not_their_name(
    client: httpx2.AsyncClient, database: Database, noon: datetime
) -> None:
    wallet, staff = new_wallet(), UserId(new_id())
    async with database.begin(SYSTEM) as tx:
        won = await ledger.post(tx, pay(f"{wallet}:won", wallet, 100), now=noon)
    async with database.begin(Actor("staff", staff, RequestId(new_id()))) as tx:
        await ledger.reverse(tx, Reverse(f"{wallet}:back", won.transfer_id, REASON, amount=30), now=noon)
    page, original = [await page_of(client, owner_of(wallet), seq) for seq in (2, 1)]
    for words in ("The reason given", REASON, "The staff of this house", 'href="/wallet/COIN/entries/1"', "100 coins"):
        assert words in page
    assert str(staff) not in page + original
    assert 'href="/wallet/COIN/entries/2"' in original and "30 coins</bdi> of <bdi" in original


async def test_the_call_tells_the_same(client: httpx2.AsyncClient, database: Database, noon: datetime) -> None:
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        won = await ledger.post(tx, pay(f"{wallet}:won", wallet, 100), now=noon)
        back = await ledger.reverse(tx, Reverse(f"{wallet}:back", won.transfer_id, REASON, amount=30), now=noon)
    headers = caller("player", owner_of(wallet))
    found = (await client.get(f"/api/v1/wallet/transactions/{won.transfer_id}", headers=headers)).json()
    [entry] = found["entries"]
    assert [(one["id"], one["seq"], one["amount"]["amount"]) for one in entry["reversed_by"]] == [
        (str(back.transfer_id), 2, 30),
    ]
    assert (entry["hold"], entry["reverses"]) == (None, None)
