"""A race between the two real captures, and what may change without changing it."""

import json

import pytest

from palio import competitions, ledger, races
from palio.infra import db
from palio.infra.db import Tx
from tests.factories.races import EXPECTED, T1, T2, at, feed, race, run, setup_r

RANKING = [(row["uid"], row["delta_all_time"]) for row in EXPECTED["ranking"]]
PRIZES = [25000, 7500, 5000, 2500, 2500, 1875, 1875, 1250, 1250, 1250]


def units(micro: int) -> str:
    return f"{micro // 10**6}.{micro % 10**6:06}"


async def test_the_standings_are_those_of_the_captures(tx: Tx) -> None:
    _, made = await setup_r(tx)
    await run(tx, at("20:30:00"))

    lines = await races.lines(tx, number=made.number)
    assert [(line.uid, units(line.total_micro)) for line in lines] == RANKING
    assert [line.rank for line in lines] == list(range(1, 14))
    assert units(sum(line.total_micro for line in lines)) == "450.299844"
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    assert (shown.status, shown.phase, shown.start_state, shown.final_state) == ("completed", None, "exact", "exact")
    assert (shown.entrants, shown.qualified, shown.undistributed, shown.is_provisional) == (13, 13, 0, False)
    assert shown.start and shown.start.sha256.startswith("02ba421e")
    assert shown.final and shown.final.sha256.startswith("943a4a90")
    assert shown.backdated_reason == "announced in the chat"
    assert [row.name for row in shown.rows][:3] == ["pla***", "pla***", "pla***"]


async def test_the_prizes_wait_for_their_winners(tx: Tx) -> None:
    _, made = await setup_r(tx)
    await run(tx, at("20:30:00"))

    rewards = await competitions.rewards(tx, competition_id=made.competition_id)
    assert [reward.amount for reward in rewards] == PRIZES
    assert {reward.status for reward in rewards} == {"unclaimed"}
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 50_000
    assert await ledger.total(tx) == 0


@pytest.mark.parametrize(
    ("minimum", "ranked", "undistributed"),
    [(10_000_000, 7, 3750), (12_506_378, 7, 3750), (12_506_379, 6, 5625)],
)
async def test_the_minimum_draws_the_line(tx: Tx, minimum: int, ranked: int, undistributed: int) -> None:
    house = await ledger.balance(tx, address="house:prizes", asset="USD")
    _, made = await setup_r(tx, min_wager_micro=minimum)
    await run(tx, at("20:30:00"))

    lines = await races.lines(tx, number=made.number)
    assert [line.rank for line in lines] == [*range(1, ranked + 1), *[None] * (13 - ranked)]
    assert [line.prize for line in lines] == [*PRIZES[:ranked], *[0] * (13 - ranked)]
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    assert (shown.qualified, shown.undistributed) == (ranked, undistributed)
    after = await ledger.balance(tx, address="house:prizes", asset="USD")
    assert after - house == undistributed - 50_000


async def test_columns_of_days_weeks_and_months_do_not_count(tx: Tx) -> None:
    body = json.loads(T2)
    for row in body["data"]:
        row["wagered"].update(today=0, this_week=0, this_month=0)
    source = await feed(tx)
    await source.take(tx, T1, at("08:21:15"))
    made = await race(tx, source, at("12:00:00"))
    await source.take(tx, json.dumps(body).encode(), at("20:28:00"))
    await run(tx, at("20:30:00"))

    lines = await races.lines(tx, number=made.number)
    assert [(line.uid, units(line.total_micro)) for line in lines] == RANKING


async def test_history_keeps_the_race_and_its_evidence(tx: Tx) -> None:
    _, made = await setup_r(tx)
    await run(tx, at("20:30:00"))

    row = """
        select (month, year, participant_count, total_score, prize_pool)::text
        from competitions.archives where competition_id = %s"""
    assert await db.value(tx, row, made.competition_id) == "(3,2025,13,450299844,50000)"
    metadata = await db.value(
        tx, "select metadata from competitions.archives where competition_id = %s", made.competition_id
    )
    assert metadata["start"]["sha256"].startswith("02ba421e")
    assert metadata["final"]["sha256"].startswith("943a4a90")
    assert metadata["review_reasons"] == []
    assert [decision["what"] for decision in metadata["decisions"]] == ["backdate"]


async def test_ticking_again_changes_nothing(tx: Tx) -> None:
    _, made = await setup_r(tx)
    await run(tx, at("20:30:00"))
    counted = """
        select (select count(*) from ledger.entries), (select count(*) from competitions.standings),
          (select count(*) from competitions.archives), (select count(*) from competitions.receipts)"""
    cursor = await tx.execute(counted)
    before = await cursor.fetchone()
    await run(tx, at("21:30:00"))
    await races.settle(tx, number=made.number, now=at("22:30:00"))
    cursor = await tx.execute(counted)
    assert await cursor.fetchone() == before
