"""What is won besides money, and pools that are shared by scores: through the ledger, to the unit."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from palio import competitions
from palio.competitions.types import Claim, CompetitionId
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import UserId, new_id
from tests.factories.competitions import HOUR, THREE, balances, enter, live, players, score, settle
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.product import product

DAY = timedelta(days=1)
BADGE = {"from": 1, "to": 1, "kind": "badge", "ref": "champion", "title": "Champion"}
CODES = {"from": 3, "to": 5, "kind": "code", "ref": "spring-10", "title": "Ten coins in the store"}
WON = {name: BADGE[name] for name in ("kind", "ref", "title")}
CODE = {name: CODES[name] for name in ("kind", "ref", "title")}


def with_items(*items: Mapping[str, object]) -> dict[str, object]:
    return {"prize_rule": competitions.read_prize_rule({**THREE, "items": list(items)})}


async def won(tx: Tx, competition_id: CompetitionId) -> list[tuple[int, int, str, list[object]]]:
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    return [(reward.place, reward.amount, reward.status, list(reward.items)) for reward in rewards]


@pytest.mark.parametrize("review_h", [0, 1], ids=["at once", "after a review"])
async def test_items_are_won_on_top_of_money_and_where_there_is_none(tx: Tx, noon: datetime, review_h: int) -> None:
    competition_id = await live(tx, noon, review_h=review_h, **with_items(BADGE, CODES))
    people = await enter(tx, competition_id, 4, noon)
    await score(tx, competition_id, people, [9, 8, 7, 6], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    await settle(tx, competition_id, noon + 6 * HOUR)
    await settle(tx, competition_id, noon + 6 * HOUR)

    assert await won(tx, competition_id) == [
        (1, 5_000, "paid", [WON]),
        (2, 3_000, "paid", []),
        (3, 2_000, "paid", [CODE]),
        (4, 0, "paid", [CODE]),
    ]
    assert await balances(tx, f"pool:{competition_id}") == [0]
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"
    assert not (await competitions.verify(tx, competition_id=competition_id)).differences
    moved = "select count(*) from competitions.rewards where competition_id = %s and transfer_id is not null"
    assert await db.value(tx, moved, competition_id) == 3


async def test_a_pool_of_nothing_with_items_pays_items(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, guaranteed_pool=0, **with_items(BADGE))
    people = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, people, [9, 8], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    assert await won(tx, competition_id) == [(1, 0, "paid", [WON])]


async def test_an_item_waits_for_its_winner_and_is_his_with_the_claim(tx: Tx, noon: datetime) -> None:
    """Another one that nobody claims expires, and moves nothing."""
    competition_id = await live(tx, noon, guaranteed_pool=0, **with_items({**BADGE, "to": 2}))
    strangers = await enter(tx, competition_id, 2, noon, linked=False)
    await score(tx, competition_id, strangers, [9, 8], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    assert await won(tx, competition_id) == [(1, 0, "unclaimed", [WON]), (2, 0, "unclaimed", [WON])]

    known = await competitions.entrants_many(tx, strangers)
    claim = Claim("player", known[strangers[0]].ref, UserId(new_id()))
    for expected in (1, 0):
        claimed = await competitions.claim_many(tx, [claim], now=noon + DAY)
        assert [each.refusal for each in claimed] == [None] * expected
    assert await competitions.expire(tx, now=noon + 40 * DAY) == 1
    assert await won(tx, competition_id) == [(1, 0, "paid", [WON]), (2, 0, "expired", [WON])]
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"


async def test_who_is_taken_out_in_the_review_leaves_his_item_to_the_next(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, review_h=24, guaranteed_pool=0, **with_items(BADGE))
    first, second = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, [first, second], [9, 8], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    await competitions.disqualify(
        tx,
        competition_id=competition_id,
        entrant_id=first,
        actor=SYSTEM,
        reason="two accounts",
        now=noon + 6 * HOUR,
        approved_by=UserId(new_id()),
    )
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.entrant_id, reward.items) for reward in rewards] == [(second, [WON])]


async def test_an_item_that_was_changed_afterwards_is_found(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, **with_items(BADGE))
    (entrant,) = await enter(tx, competition_id, 1, noon)
    await score(tx, competition_id, [entrant], [9], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    forged = json.dumps([{**WON, "ref": "gold"}])
    await db.run(
        tx, "update competitions.rewards set items = %s::jsonb where competition_id = %s", forged, competition_id
    )
    [found] = (await competitions.verify(tx, competition_id=competition_id)).differences
    assert (found.check, found.entrant_id, found.expected, found.actual) == (
        "prize",
        entrant,
        "5000 + badge champion",
        "5000 + badge gold",
    )


async def test_a_pool_is_shared_by_scores_live_and_at_the_end_alike(tx: Tx, noon: datetime) -> None:
    """By what each has done: 7,500 of 10,000 for three quarters of the points, and the unit that is left."""
    rule = {"kind": "proportional", "split": "occupants", "bands": [{"from": 1, "to": None, "value": 10_000}]}
    competition_id = await live(tx, noon, prize_rule=competitions.read_prize_rule(rule))
    people = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, people, [900, 299, 1], noon)
    before = await competitions.top(tx, competition_id=competition_id, limit=10)
    await settle(tx, competition_id, noon + 5 * HOUR)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [row.prize for row in before.rows] == [reward.amount for reward in rewards] == [7_501, 2_491, 8]
    assert rewards[1].why == {"band": {"from": 1, "to": 3}, "head": "299", "exact": "7475/3", "unit": 0}
    assert await balances(tx, f"pool:{competition_id}") == [0]
    assert not (await competitions.verify(tx, competition_id=competition_id)).differences


async def test_shares_of_scores_are_not_announced_where_less_wins(tx: Tx, noon: datetime) -> None:
    rule = {"kind": "proportional", "split": "occupants", "bands": [{"from": 1, "to": 3, "value": 10_000}]}
    with pytest.raises(competitions.PrizeShape):
        await live(tx, noon, direction="asc", prize_rule=competitions.read_prize_rule(rule))


async def test_terms_and_prizes_name_items_over_http(database: Database, noon: datetime) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon, **with_items(BADGE, CODES))
        people = await enter(tx, competition_id, 5, noon, linked=False)
        await score(tx, competition_id, people, [9, 8, 7, 6, 5], noon)
        await settle(tx, competition_id, noon + 5 * HOUR)
        await players(tx, 1, noon)
    path = f"/api/v1/competitions/{competition_id}"
    async with talk_to(product(database)) as client:
        terms = (await client.get(path)).json()
        first = (await client.get(f"{path}/rewards?limit=2")).json()
        rest = (await client.get(f"{path}/rewards?limit=2&cursor={first['next']}")).json()
    assert (terms["prize_kind"], terms["prize_items"]) == (
        "bps",
        [{"first": 1, "last": 1, **WON}, {"first": 3, "last": 5, **CODE}],
    )
    assert [(line["place"], line["items"]) for line in first["items"]] == [(1, [WON]), (2, [])]
    assert [(line["place"], line["items"], line["prize"]["amount"]) for line in rest["items"]] == [
        (3, [CODE], 2_000),
        (4, [CODE], 0),
    ]
    assert rest["next"] is not None
