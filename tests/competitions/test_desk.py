"""What staff look at over the API: months, prizes with their reasons, money in and out, the pulse, what is owed."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest

from palio import competitions
from palio.competitions.rules import calendar, stages, watching
from palio.competitions.types import Arrival, Contribution, EntrantId, TakeBack
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.ui.values import instant
from tests.competitions.test_console import WHY, Desk, reviewed, running, spec, staff
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, THREE, enter, new, players, score
from tests.factories.ledger import fund
from tests.ui.people import NOW

__all__ = ["staff"]  # a fixture
MINUTE = timedelta(minutes=1)


async def table(staff: Desk, path: str) -> list[dict[str, str]]:
    answer = await staff.ask("GET", path)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


# pure


def test_a_month_has_whole_weeks_and_bars_that_lie_across_them() -> None:
    first = calendar.first_of("2026-03", NOW)
    since, until = calendar.bounds(first)

    assert (since, until) == (datetime(2026, 2, 23, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC))
    assert calendar.neighbour(first, step=1) == date(2026, 4, 1)
    assert calendar.neighbour(calendar.first_of("2026-01", NOW), step=-1) == date(2025, 12, 1)
    assert calendar.neighbour(calendar.first_of("2026-12", NOW), step=1) == date(2027, 1, 1)


def test_the_pulse_counts_minutes_and_names_what_is_odd() -> None:
    now = datetime(2026, 3, 18, 14, 30, 20, tzinfo=UTC)
    plain = [
        Arrival(EntrantId(n), "score", 10, now - n * MINUTE, now - n * MINUTE + timedelta(seconds=2))
        for n in range(1, 31)
    ]
    large = Arrival(EntrantId(50), "score", 200, now - MINUTE, now - MINUTE)
    late = Arrival(EntrantId(51), "score", 10, now - 20 * MINUTE, now - 2 * MINUTE)
    corrected = Arrival(EntrantId(52), "correction", -5, now - MINUTE, now - MINUTE)
    burst = [Arrival(EntrantId(53), "score", 10, now - MINUTE, now - MINUTE) for _ in range(60)]
    old = Arrival(EntrantId(54), "score", 9_999, now - 90 * MINUTE, now - 61 * MINUTE)
    found = watching.watch([large, corrected, *burst, late, *plain, old], now, is_whole=False)
    quiet = watching.watch([], now, is_whole=True)

    assert (len(found.per_minute), found.per_minute[-1].at, found.in_hour) == (60, now.replace(second=0), 93)
    assert sum(each.changes for each in found.per_minute) == 93
    assert [(each.kind, each.entrant_id, each.value) for each in found.odd] == [
        *(("outsized", 50, 200), ("burst", 53, 60), ("correction", 52, -5), ("late", 51, 1_080)),
    ]
    assert (found.is_whole, found.lag_median_s) == (True, 0)
    assert (quiet.in_hour, quiet.lag_median_s, quiet.odd, quiet.newest_at) == (0, None, (), None)


# lists


async def test_prizes_are_listed_with_their_reasons_before_and_after_the_freeze(
    staff: Desk, database: Database
) -> None:
    competition_id = await running(database)
    async with database.begin(SYSTEM) as tx:
        entrants = await enter(tx, competition_id, 4, NOW)
        await score(tx, competition_id, entrants, [40, 30, 30, 10], NOW - HOUR)
    now = await staff.get(f"/{competition_id}/prizes?limit=2")
    rest = await staff.get(f"/{competition_id}/prizes?limit=2&cursor={now['next']}")
    tried = await staff.get(f"/{competition_id}/prizes?prizes=1:60+2-4:40&split=occupants&pool=50.00")
    fixed = await staff.get(f"/{competition_id}/prizes?prizes=60+25+15&kind=fixed")
    wrong = await staff.ask("GET", f"/{competition_id}/prizes?prizes=60+30")
    odd = await staff.ask("GET", f"/{competition_id}/prizes?pool=1.005")
    done, _ = await reviewed(database)
    won = await staff.get(f"/{done}/prizes")
    rows = await table(staff, f"/{done}/prizes.csv")

    assert [(one["place"], one["rank"], one["prize"]["amount"]) for one in (*now["items"], *rest["items"])] == [
        *((1, 1, 5_000), (2, 2, 2_500), (3, 2, 2_500)),
    ]
    assert (now["paid_places"], now["qualified"], now["provisional"], rest["next"]) == (3, 4, True, None)
    assert (rest["items"][0]["tied"], rest["items"][0]["exact"], rest["items"][0]["status"]) == (2, "3000", None)
    assert [one["prize"]["amount"] for one in tried["items"]] == [3_001, 667, 666, 666]
    assert [one["prize"]["amount"] for one in fixed["items"]] == [6_000, 2_000, 2_000]
    assert [(one.status_code, one.json()["code"]) for one in (wrong, odd)] == [
        (422, "competitions.prize_sum"),
        (422, "competitions.amount_invalid"),
    ]
    assert [one["status"] for one in won["items"]] == ["pending"] * 3
    assert [(row["place"], row["prize_amount"], row["status"], row["exact"]) for row in rows] == [
        *(("1", "5000", "pending", "5000"), ("2", "3000", "pending", "3000"), ("3", "2000", "pending", "2000")),
    ]


async def test_those_who_joined_are_listed_whether_they_have_a_score_or_not(staff: Desk, database: Database) -> None:
    """One has a score, one has left, one was taken out, and one only joined."""
    async with database.begin(SYSTEM) as tx:
        draft = await competitions.create(tx, new=new(NOW + HOUR, join_mode="open"), created_by=None, now=NOW - HOUR)
        await competitions.publish(tx, competition_id=draft, now=NOW - HOUR)
        users = await players(tx, 4, NOW)
        for user in users:
            await competitions.join(tx, competition_id=draft, user_id=user, now=NOW)
        await competitions.leave(tx, competition_id=draft, user_id=users[1], now=NOW)
        await competitions.start(tx, competition_id=draft, now=NOW + HOUR)
        joined = [await competitions.participation(tx, competition_id=draft, user_id=user) for user in users]
        first, gone, out, idle = [each.entrant_id for each in joined if each]
        await score(tx, draft, [first, out], [9, 7], NOW + HOUR)
        await competitions.disqualify(
            tx, competition_id=draft, entrant_id=out, actor=tx.actor, reason="two accounts", now=NOW + HOUR
        )

    async def those(query: str) -> list[int]:
        found = await staff.get(f"/{draft}/participants?{query}")
        return [one["entrant_id"] for one in found["items"]]  # type: ignore[attr-defined]

    whole = await staff.get(f"/{draft}/participants")
    told = [(one["entrant_id"], one["state"], one["score"], one["out"], one["reason"]) for one in whole["items"]]  # type: ignore[attr-defined]
    assert told == [
        (idle, "active", None, False, None),
        (out, "disqualified", 7, True, "two accounts"),
        (gone, "left", None, False, None),
        (first, "active", 9, False, None),
    ]
    assert await those("has_score=false") == [idle, gone]
    assert await those("has_score=false&state=active") == [idle]
    assert await those("has_score=true") == [out, first]
    assert await those("state=left,disqualified") == [out, gone]
    assert await those("state.ne=active&sort=entrant_id") == [gone, out]
    assert await those("state=invited") == []
    head = await staff.get(f"/{draft}/participants?limit=3")
    rest = await staff.get(f"/{draft}/participants?limit=3&cursor={head['next']}")
    back = await staff.get(f"/{draft}/participants?limit=3&cursor={rest['prev']}")
    assert [one["entrant_id"] for one in rest["items"]] == [first]  # type: ignore[attr-defined]
    assert back["items"] == head["items"]
    rows = await table(staff, f"/{draft}/participants.csv?has_score=false")
    assert [(row["entrant_id"], row["state"], row["score"]) for row in rows] == [
        *((str(idle), "active", ""), (str(gone), "left", "")),
    ]
    nowhere = await staff.ask("GET", f"/{new_id()}/participants")
    odd = await staff.ask("GET", f"/{draft}/participants?state=gone")
    assert (nowhere.status_code, odd.status_code) == (404, 422)


async def test_whoever_may_join_is_listed_as_invited(staff: Desk, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        draft = await competitions.create(tx, new=new(NOW + HOUR, join_mode="invite"), created_by=None, now=NOW - HOUR)
        await competitions.publish(tx, competition_id=draft, now=NOW - HOUR)
        users = await players(tx, 2, NOW)
        await competitions.invite_many(tx, competition_id=draft, user_ids=users, actor=tx.actor, now=NOW)
        await competitions.join(tx, competition_id=draft, user_id=users[0], now=NOW)
    found = await staff.get(f"/{draft}/participants")
    states = {one["user_id"]: one["state"] for one in found["items"]}  # type: ignore[attr-defined]
    assert states == {str(users[0]): "active", str(users[1]): "invited"}


async def test_a_simulation_is_told_in_parts(staff: Desk, database: Database) -> None:
    competition_id, _ = await reviewed(database)
    body = {"prize_rule": {**THREE, "bands": [{"from": 1, "to": 3, "value": 10_000}]}, "limit": 2}
    first = (await staff.ask("POST", f"/{competition_id}/simulate", body)).json()
    rest = (await staff.ask("POST", f"/{competition_id}/simulate", {**body, "after": first["next_after"]})).json()
    many = {"prize_rule": body["prize_rule"], "pool": 10_000, "entrants": 100_000, "limit": 1}
    preview = (await staff.ask("POST", "/preview-prizes", many)).json()

    assert [one["prize"]["amount"] for one in (*first["places"], *rest["places"])] == [3_334, 3_333, 3_333]
    assert (first["paid_places"], first["next_after"], rest["next_after"]) == (3, 2, None)
    assert (preview["paid_places"], len(preview["places"])) == (3, 1)


async def test_what_came_in_and_went_back_is_listed_by_source(staff: Desk, database: Database) -> None:
    competition_id = await running(database)
    payer = UserId(new_id())
    async with database.begin(SYSTEM) as tx:
        await fund(tx, f"user:{payer}:main", 1_000, now=NOW, asset="USD")
        for key in ("one", "two"):
            paid = Contribution(
                competition_id, "user_payment", 500, f"user:{payer}:main", f"{key}:{competition_id}", payer
            )
            await competitions.contribute_many(tx, [paid], now=NOW)
        part = TakeBack(f"one:{competition_id}", 100, f"user:{payer}:main", f"undo:{competition_id}")
        await competitions.take_back_many(tx, [part], now=NOW)
    listed = await staff.get(f"/{competition_id}/contributions?limit=2")
    rest = await staff.get(f"/{competition_id}/contributions?limit=2&cursor={listed['next']}")
    back = await staff.get(f"/{competition_id}/contributions?limit=2&cursor={rest['prev']}")
    gone = await staff.get(f"/{competition_id}/take-backs")
    async with database.begin(SYSTEM) as tx:
        await competitions.cancel(
            tx, competition_id=competition_id, actor=tx.actor, reason="no venue", now=NOW, approved_by=payer
        )
    all_gone = await table(staff, f"/{competition_id}/take-backs.csv")
    rows = await table(staff, f"/{competition_id}/contributions.csv")

    assert [one["source"] for one in (*listed["items"], *rest["items"])] == [
        "user_payment",
        "user_payment",
        "admin_fund",
    ]
    assert [one["id"] for one in back["items"]] == [one["id"] for one in listed["items"]]
    split = [
        (one["to_pool"]["amount"], one["to_treasury"]["amount"], one["taken_back"]["amount"]) for one in listed["items"]
    ]
    assert split == [(450, 50, 0), (450, 50, 100)]
    [one] = gone["items"]
    assert (one["amount"]["amount"], one["from_pool"]["amount"], one["from_treasury"]["amount"]) == (100, 90, 10)
    assert (one["whole"], one["payer_id"]) == (False, str(payer))
    assert sorted(int(row["amount_amount"]) for row in all_gone) == [500, 500, 10_000]
    assert {row["whole"] for row in all_gone} == {"true"} and len(rows) == 3


async def test_a_settlement_says_how_far_it_is_and_what_it_waits_for(staff: Desk, database: Database) -> None:
    competition_id, entrants = await reviewed(database)
    found = await staff.get(f"/{competition_id}/settlement")
    large, _ = await reviewed(database, guaranteed_pool=100_001)
    waits = await staff.get(f"/{large}/settlement")
    released = await staff.act(competition_id, "approve", WHY)
    async with database.begin(SYSTEM) as tx:
        while await competitions.settle(tx, competition_id=competition_id, now=NOW):
            pass
        header = (await competitions.get_many(tx, [competition_id]))[competition_id]
    done = await staff.get(f"/{competition_id}/settlement")

    assert (found["phase"], found["entrants"], found["qualified"], len(entrants)) == ("review", 3, 3, 3)
    assert found["rewards"] == [
        {"status": "pending", "prizes": 3, "amount": {"asset": "USD", "amount": 10_000, "text": "100.00"}}
    ]
    assert (found["pays_at"] is not None, found["needs_second"], found["appeals_open"]) == (True, False, 0)
    assert (waits["pays_at"], waits["needs_second"]) == (None, True)
    assert (released.status_code, done["status"]) == (200, "completed")
    assert {one["status"] for one in done["rewards"]} <= {"paid", "withheld"}
    assert [stage.state for stage in stages.stages(header)] == ["done"] * 5


async def test_a_month_and_what_is_owed_are_told(staff: Desk, database: Database) -> None:
    before = {one["asset"]: one for one in (await staff.get("/liability"))["items"]}
    made = (await staff.ask("POST", "", spec(title="Drafted"))).json()["id"]
    competition_id = await running(database, title="Running")
    month = await staff.get(f"/calendar?month={NOW:%Y-%m}&product=custom")
    other = await staff.get("/calendar?month=2031-02")
    after = {one["asset"]: one for one in (await staff.get("/liability"))["items"]}
    told = {one["id"]: one["status"] for one in month["items"]}

    assert (told[made], told[str(competition_id)], other["items"]) == ("draft", "live", [])
    usd = before.get("USD", {"total": {"amount": 0}, "drafts": {"amount": {"amount": 0}}})
    assert after["USD"]["total"]["amount"] - usd["total"]["amount"] == 10_000
    assert after["USD"]["drafts"]["amount"]["amount"] - usd["drafts"]["amount"]["amount"] == 10_000
    assert (await staff.ask("GET", "/calendar?month=1999-01")).status_code == 422


async def test_the_pulse_and_the_next_of_a_series_are_told(staff: Desk, database: Database) -> None:
    competition_id = await running(database)
    async with database.begin(SYSTEM) as tx:
        entrants = await enter(tx, competition_id, 3, NOW)
        await score(tx, competition_id, entrants, [30, 20, 10], NOW - 2 * MINUTE)
    pulse = await staff.get(f"/{competition_id}/monitor")
    body = {
        "code": f"daily-{new_id().hex[-8:]}",
        "cadence": "daily",
        "title": "Daily",
        "prize_asset": "USD",
        "guaranteed_pool": 100,
        "prize_rule": THREE,
    }
    series = (await staff.ask("POST", "/series", body)).json()["id"]
    ahead = (await staff.get(f"/series/{series}/instances"))["items"]
    unknown = await staff.ask("GET", f"/series/{new_id()}/instances")

    assert pulse["whole"] is True and len(pulse["per_minute"]) == 60
    assert [one["competition_id"] for one in ahead] == [None] * 5
    assert ahead[1]["starts_at"] == ahead[0]["ends_at"] > instant(NOW)
    assert unknown.status_code == 404


@pytest.mark.parametrize("path", ["prizes", "contributions", "take-backs", "monitor", "settlement"])
async def test_what_is_not_there_is_not_found_and_strangers_read_nothing(staff: Desk, path: str) -> None:
    missing = await staff.ask("GET", f"/{new_id()}/{path}")
    denied = await staff.ask("GET", f"/{new_id()}/{path}", permissions="competitions.competition.edit")

    assert (missing.status_code, denied.status_code, denied.json()["code"]) == (404, 403, "permission_missing")
