"""Staff over the API: competitions of every kind from draft to payment, each act once, written down, and refused with a
code."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import httpx2
import pytest

from palio import competitions
from palio.competitions import console
from palio.competitions.rules import prizes
from palio.competitions.types import CompetitionId, Counted, PrizeRule, Submission
from palio.entry.wiring import ENTRY_CHECKS
from palio.infra import db, partitions
from palio.infra.db import Database
from palio.kernel.ids import new_id
from palio.kernel.permissions import MODULES, OBJECTS, ObjectKind
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from palio.ui.values import instant
from tests.competitions.test_prizes import FIXED, OPEN, QUEST, R10
from tests.competitions.test_prizes import THREE as PODIUM
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, THREE, enter, live, score, set_wallet, withheld
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import NOW, OURS, STELLA, caller
from tests.ui.repeats import sent

ALL = " ".join(permission.name for permission in competitions.types.PERMISSIONS)
WHY = {"reason": "ticket 4711"}


@dataclass
class Desk:
    """Staff before the calls of competitions."""

    client: httpx2.AsyncClient

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        seen: int | None = None,
        permissions: str = ALL,
        lent: str = "",
    ) -> httpx2.Response:
        """Under a new key, and with the version that was seen if the act wants one."""
        headers = {**caller("staff", STELLA, permissions=permissions, lent=lent, step_up=True), **OURS}
        headers |= {"idempotency-key": str(new_id())} if method != "GET" else {}
        headers |= {"if-match": f'"{seen}"'} if seen is not None else {}
        address = f"/api/v1/console/competitions{path}"
        return await sent(self.client, method, address, json=body, headers=headers)

    async def get(self, path: str) -> dict[str, object]:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    async def act(self, competition_id: object, act: str, body: object = None) -> httpx2.Response:
        """An act on what lies before staff now."""
        seen = (await self.get(f"/{competition_id}"))["version"]
        assert isinstance(seen, int)
        return await self.ask("POST", f"/{competition_id}/{act}", body, seen=seen)


@pytest.fixture
async def staff(database: Database) -> AsyncIterator[Desk]:
    state = {
        "database": database,
        "pages": Pages(Languages()),
        "cursors": Cursors(bytes(32)),
        "entry_checks": ENTRY_CHECKS,
    }
    async with database.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "competitions.receipts", NOW)
    app = assemble([console.routes], state=state, served=lambda served: None, identify=people.identify, key=bytes(32))
    async with talk_to(app) as client:
        yield Desk(client)


def spec(**more: object) -> dict[str, object]:
    plain = {
        "title": "Spring league",
        "starts_at": instant(NOW + HOUR),
        "ends_at": instant(NOW + 5 * HOUR),
        "prize_asset": "USD",
        "guaranteed_pool": 10_000,
        "prize_rule": THREE,
    }
    return {**plain, **more}


async def running(database: Database, **changes: object) -> CompetitionId:
    async with database.begin(SYSTEM) as tx:
        return await live(tx, NOW - HOUR, **changes)


async def reviewed(database: Database, **changes: object) -> tuple[CompetitionId, list[int]]:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOW - 6 * HOUR, review_h=24, **changes)
        entrants = await enter(tx, competition_id, 3, NOW)
        await score(tx, competition_id, entrants, [30, 20, 10], NOW - 6 * HOUR)
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=NOW - HOUR)
    return competition_id, [int(entrant) for entrant in entrants]


async def test_a_competition_goes_from_draft_to_its_end(staff: Desk, database: Database) -> None:
    made = await staff.ask("POST", "", spec(join_mode="open", entry_fee=5, eligibility={"linked_account": False}))
    assert made.status_code == 201, made.text
    found = made.json()
    assert (found["competition"]["status"], found["competition"]["entry_fee"]["amount"]) == ("draft", 5)
    assert made.headers["location"] == f"/api/v1/console/competitions/{found['id']}"
    here = f"/{found['id']}"

    unseen = await staff.ask("PATCH", here, {"title": "Summer"})
    assert (unseen.status_code, unseen.json()["code"]) == (428, "if_match_required")
    stale = await staff.ask("PATCH", here, {"title": "Summer"}, seen=99)
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    changed = await staff.ask("PATCH", here, {"title": "Summer", "max_participants": 9}, seen=1)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["competition"]["max_participants"] == 9
    same = await staff.ask("PATCH", here, {"title": "Summer"}, seen=2)
    assert (same.status_code, same.json()["version"]) == (200, 2)

    for act, body, state in (
        ("publish", None, "upcoming"),
        ("start", WHY, "live"),
        ("pause", WHY, "live"),
        ("resume", WHY, "live"),
        ("extend", {**WHY, "ends_at": instant(NOW + 9 * HOUR)}, "live"),
    ):
        answer = await staff.act(found["id"], act, body)
        assert (answer.status_code, answer.json()["competition"]["status"]) == (200, state), act
    funded = await staff.ask("POST", f"{here}/fund", {**WHY, "amount": 500})
    assert (funded.status_code, funded.json()["outcome"], funded.json()["to_pool"]) == (200, "done", 500)
    much = await staff.ask("POST", f"{here}/fund", {**WHY, "amount": 10**14})
    assert (much.status_code, much.json()["outcome"], much.json()["needed"]) == (202, "waiting", 2)
    assert (await staff.get(here))["competition"]["pool"]["amount"] == 10_500
    async with database.begin(SYSTEM) as tx:
        told = await db.column(tx, "select action from infra.audit_rows where entity_id = %s order by id", found["id"])
    assert told == [
        *("competition.draft", "competition.update", "competition.publish", "competition.start"),
        *("competition.pause", "competition.resume", "competition.extend", "competition.fund"),
    ]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"product": "race"}, "validation_failed"),
        ({"ends_at": instant(NOW)}, "competitions.window"),
        ({"prize_rule": {"kind": "bps"}}, "competitions.prize_shape"),
        ({"prize_asset": "XYZ"}, "ledger.unknown_asset"),
        ({"tz": "Mars/Olympus"}, "competitions.zone_unknown"),
        ({"entry_fee": 5}, "competitions.eligibility_invalid"),
        ({"eligibility": {"no_such_rule": True}}, "competitions.eligibility_invalid"),
        ({"eligibility": {"linked_account": "yes"}}, "competitions.eligibility_invalid"),
        ({"starts_at": "2026-03-20T13:00:00"}, "time_zone_required"),
        ({"guaranteed_pool": 1.5}, "validation_failed"),
        ({"winner": "me"}, "unknown_field"),
    ],
)
async def test_what_cannot_be_a_competition_is_refused(staff: Desk, more: Mapping[str, object], code: str) -> None:
    before = await staff.get("?limit=1")
    refused = await staff.ask("POST", "", spec(**more))
    assert refused.json()["code"] == code, refused.text
    assert await staff.get("?limit=1") == before


async def test_a_large_pool_waits_with_its_announcement(staff: Desk) -> None:
    made = (await staff.ask("POST", "", spec(guaranteed_pool=100_001))).json()
    waiting = await staff.act(made["id"], "publish", None)
    assert (waiting.status_code, waiting.json()["outcome"], waiting.json()["needed"]) == (202, "waiting", 1)
    found = await staff.get(f"/{made['id']}")
    assert (found["version"], found["competition"]["status"]) == (made["version"], "draft")


async def test_the_best_of_the_fewest_wins_where_the_terms_say_so(staff: Desk, database: Database) -> None:
    """Of every operator, by the call: a game in which the lowest of one's values counts, a second figure beside it."""
    terms = {"product": "game", "op": "best", "direction": "asc", "has_subscore": True, "rank_events": False}
    made = (await staff.ask("POST", "", spec(**terms))).json()
    assert (made["competition"]["op"], made["competition"]["has_subscore"]) == ("best", True)
    for act, body in (("publish", None), ("start", WHY)):
        assert (await staff.act(made["id"], act, body)).status_code == 200
    competition_id = CompetitionId(UUID(made["id"]))
    async with database.begin(SYSTEM) as tx:
        first, second = await enter(tx, competition_id, 2, NOW)
        values = [(first, 9, 0), (first, 7, 1), (second, 7, 0)]
        items = [
            Submission(competition_id, who, None, f"k{n}", NOW, value=value, sub=sub)
            for n, (who, value, sub) in enumerate(values)
        ]
        outcomes = await competitions.submit_many(tx, items, now=NOW)
        board = await competitions.top(tx, competition_id=competition_id, limit=5)
        heard = "select rank_events from competitions.competitions where id = %s"
        assert await db.value(tx, heard, competition_id) is False
    assert all(isinstance(outcome, Counted) for outcome in outcomes)
    ranked = [(row.standing.entrant_id, row.standing.score, row.standing.subscore) for row in board.rows]
    assert ranked == [(second, 7, 0), (first, 7, 1)]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"tz": "Mars/Olympus"}, "competitions.zone_unknown"), ({"prize_asset": "XYZ"}, "ledger.unknown_asset")],
)
async def test_a_draft_keeps_a_zone_and_an_asset_that_exist(
    staff: Desk, change: Mapping[str, object], code: str
) -> None:
    """With others it could be announced, and never be paid or shown."""
    made = (await staff.ask("POST", "", spec())).json()
    refused = await staff.ask("PATCH", f"/{made['id']}", change, seen=1)
    assert refused.json()["code"] == code
    assert (await staff.get(f"/{made['id']}"))["version"] == 1


async def test_a_series_of_an_asset_that_is_none_is_not_made_and_keeps_no_other_from_being_made(
    staff: Desk, database: Database
) -> None:
    terms = {"title": "Daily", "prize_asset": "XYZ", "guaranteed_pool": 1_000, "prize_rule": THREE}
    body = {**terms, "code": f"daily-{new_id().hex[-8:]}", "cadence": "daily"}
    refused = await staff.ask("POST", "/series", body)
    assert (refused.status_code, refused.json()["code"]) == (404, "ledger.unknown_asset")
    made = await staff.ask("POST", "/series", {**body, "prize_asset": "USD", "op": "best"})
    assert (made.status_code, made.json()["op"]) == (201, "best")
    here = f"/series/{made.json()['id']}"
    refused = await staff.ask("PUT", here, terms, seen=1)
    assert (refused.status_code, refused.json()["code"]) == (404, "ledger.unknown_asset")
    changed = await staff.ask("PUT", here, {**terms, "prize_asset": "USD", "min_score": 7, "active": False}, seen=1)
    assert changed.status_code == 200
    async with database.begin(SYSTEM) as tx:
        told = "select changes from infra.audit_rows where action = 'series.change' and entity_id = %s"
        changes = await db.value(tx, told, made.json()["id"])
    assert changes == {"active": [True, False], "min_score": [0, 7], "op": ["best", "add"]}


async def test_prizes_are_listed_where_not_every_place_has_one(staff: Desk, database: Database) -> None:
    """One cent for the first, a code for the sixth: on pages of one, before the freeze and after it."""
    code = {"from": 6, "to": 6, "kind": "code", "ref": "six", "title": "Lucky six"}
    rule = competitions.read_prize_rule({**THREE, "items": [code]})
    competition_id = await running(database, prize_rule=rule, guaranteed_pool=1, review_h=24)
    async with database.begin(SYSTEM) as tx:
        entrants = await enter(tx, competition_id, 7, NOW)
        await score(tx, competition_id, entrants, range(70, 0, -10), NOW - HOUR)

    async def listed() -> list[tuple[int, int, list[str]]]:
        found, cursor = [], ""
        while True:
            part = await staff.get(f"/{competition_id}/prizes?limit=1{cursor}")
            items: Any = part["items"]
            found += [(one["place"], one["prize"]["amount"], [each["title"] for each in one["items"]]) for one in items]
            if part["next"] is None:
                return found
            cursor = f"&cursor={part['next']}"

    expected = [(1, 1, []), (6, 0, ["Lucky six"])]
    assert await listed() == expected
    async with database.begin(SYSTEM) as tx:
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=NOW + 5 * HOUR)
    assert await listed() == expected


async def test_terms_of_what_runs_are_frozen(staff: Desk, database: Database) -> None:
    here = f"/{await running(database)}"
    version = (await staff.get(here))["version"]
    assert isinstance(version, int)
    for body, code in (
        ({"prize_rule": {**THREE, "split": "occupants"}}, "competitions.terms_frozen"),
        ({"ends_at": instant(NOW + HOUR)}, "competitions.ends_earlier"),
    ):
        refused = await staff.ask("PATCH", here, body, seen=version)
        assert (refused.status_code, refused.json()["code"]) in ((409, code), (422, code))
    later = await staff.ask("PATCH", here, {"ends_at": instant(NOW + 9 * HOUR)}, seen=version)
    assert later.json()["competition"]["ends_at"] == instant(NOW + 9 * HOUR)


async def test_races_are_steered_on_their_own_pages(staff: Desk, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        race = await live(tx, NOW - HOUR, product="race")
    for act, body in (("end", WHY), ("cancel", WHY), ("pause", WHY), ("pay", None)):
        refused = await staff.act(race, act, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "competitions.of_product"), act


async def test_a_large_payment_waits_for_a_second_person(staff: Desk, database: Database) -> None:
    competition_id, _ = await reviewed(database, guaranteed_pool=100_001)
    waiting = await staff.act(competition_id, "approve", WHY)
    assert (waiting.status_code, waiting.json()["outcome"], waiting.json()["needed"]) == (202, "waiting", 1)
    assert (await staff.get(f"/{competition_id}"))["competition"]["phase"] == "review"
    early = await staff.act(competition_id, "pay")
    assert (early.status_code, early.json()["code"]) == (409, "competitions.not_released")


async def test_a_released_one_is_paid_at_once(staff: Desk, database: Database) -> None:
    competition_id, entrants = await reviewed(database)
    done = await staff.act(competition_id, "approve", WHY)
    assert (done.status_code, done.json()["outcome"]) == (200, "done")
    paid = await staff.act(competition_id, "pay")
    assert paid.status_code == 200
    found = await staff.get(f"/{competition_id}")
    assert found["competition"]["status"] == "completed"
    late = await staff.ask("POST", f"/{competition_id}/disqualify", {**WHY, "entrant_id": entrants[0]})
    assert (late.status_code, late.json()["code"]) == (409, "competitions.paying")


async def test_entrants_are_taken_out_and_scores_adjusted(staff: Desk, database: Database) -> None:
    competition_id, (first, _, third) = await reviewed(database)
    here = f"/{competition_id}"
    waiting = await staff.ask("POST", f"{here}/disqualify", {**WHY, "entrant_id": first})
    assert (waiting.status_code, waiting.json()["outcome"]) == (202, "waiting")
    adjusted = await staff.ask("POST", f"{here}/adjust", {**WHY, "entrant_id": third, "delta": 100})
    assert adjusted.status_code == 200
    board = await staff.get(f"{here}/standings")
    first_row = board["items"][0]
    assert (first_row["entrant_id"], first_row["prize"]["amount"]) == (third, 5_000)
    table = await staff.ask("GET", f"{here}/standings.csv")
    assert table.headers["content-type"].startswith("text/csv") and len(table.text.splitlines()) == 4
    nobody = await staff.ask("POST", f"{here}/disqualify", {**WHY, "entrant_id": 2**40})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "competitions.no_such_entrant")
    again = await staff.ask("POST", f"{here}/reinstate", {**WHY, "entrant_id": third})
    assert again.status_code == 200


async def test_what_its_product_has_left_lying_is_frozen_by_two_people(staff: Desk, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOW - 48 * HOUR, review_h=24)
        await competitions.settle(tx, competition_id=competition_id, now=NOW - 43 * HOUR)
    waiting = await staff.act(competition_id, "freeze", WHY)
    assert (waiting.status_code, waiting.json()["summary"]) == (202, "Freeze Spring with the scores it has")


async def test_what_has_begun_is_cancelled_by_two_people(staff: Desk, database: Database) -> None:
    competition_id = await running(database)
    waiting = await staff.act(competition_id, "cancel", WHY)
    assert (waiting.status_code, waiting.json()["summary"]) == (
        202,
        "Cancel Spring and give back its pool of 100.00 USD",
    )
    frozen = await staff.act(competition_id, "freeze", WHY)
    assert (frozen.status_code, frozen.json()["code"]) == (409, "competitions.not_collecting")
    ended = await staff.act(competition_id, "end", WHY)
    assert ended.json()["competition"]["phase"] == "collecting"
    overdue = await staff.act(competition_id, "freeze", WHY)
    assert (overdue.status_code, overdue.json()["code"]) == (409, "competitions.not_overdue")


async def test_doubts_are_listed_and_answered(staff: Desk, database: Database) -> None:
    competition_id, (first, *_) = await reviewed(database)
    async with database.begin(SYSTEM) as tx:
        who = (await competitions.entrants_many(tx, [competitions.types.EntrantId(first)])).popitem()[1]
        assert who.user_id
        await competitions.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=competition_id,
            user_id=who.user_id,
            text="My last game is missing.",
            now=NOW,
        )
    held = await staff.act(competition_id, "approve", WHY)
    assert (held.status_code, held.json()["code"]) == (409, "competitions.appeals_open")
    waiting = await staff.get("/appeals")
    mine = [one for one in waiting["items"] if one["competition_id"] == str(competition_id)]
    body = {"decision": "rejected", "answer": "It was played after the end."}
    answered = await staff.ask("POST", f"/appeals/{mine[0]['id']}", body)
    assert (answered.status_code, answered.json()["state"]) == (200, "rejected")
    again = await staff.ask("POST", f"/appeals/{mine[0]['id']}", body)
    assert (again.status_code, again.json()["code"]) == (409, "competitions.appeal_decided")
    (kept,) = (await staff.get(f"/{competition_id}/appeals"))["items"]
    assert kept["answer"] == body["answer"]


async def test_prizes_are_previewed_to_the_unit(staff: Desk) -> None:
    body = {"prize_rule": THREE, "pool": 1_003, "entrants": 3, "ties": {"1": 2}}
    answer = await staff.ask("POST", "/preview-prizes", body)
    assert [(each["rank"], each["prize"]["amount"]) for each in answer.json()["places"]] == [
        (1, 402),
        (1, 401),
        (3, 200),
    ]
    assert answer.json()["undistributed"]["amount"] == 0
    refused = await staff.ask("POST", "/preview-prizes", {**body, "prize_rule": {**THREE, "bands": THREE["bands"][:2]}})
    assert (refused.status_code, refused.json()["code"]) == (422, "competitions.prize_sum")


LAST_OF_R10 = [25_000, 7_500, 5_000, 2_500, 2_500, 1_875, 1_875, 1_250, 1_250]
LAST_FIXED = [500_000, 250_000, 100_000, 50_000, 35_000, 25_000, 15_000, 12_500]


@pytest.mark.parametrize(
    ("rule", "pool", "entrants", "ties", "empty_rule", "paid", "left"),
    [
        pytest.param(
            *(R10, 50_000, 11, {"2": 3}, "keep"),
            [25_000, 5_000, 5_000, 5_000, 2_500, 1_875, 1_875, 1_250, 1_250, 1_250],
            0,
            id="W1",
        ),
        pytest.param(QUEST, 131_500, 6, {}, "redistribute", [73_056, *[11_689] * 4, 11_688], 0, id="W2"),
        pytest.param(QUEST, 131_500, 6, {}, "keep", [65_750, *[10_520] * 5], 13_150, id="W3"),
        pytest.param(R10, 50_000, 13, {"10": 4}, "keep", [*LAST_OF_R10, 313, 313, 312, 312], 0, id="W4"),
        pytest.param(R10, 50_000, 4, {}, "keep", [25_000, 7_500, 5_000, 2_500], 10_000, id="W5 keep"),
        pytest.param(R10, 50_000, 4, {}, "redistribute", [31_250, 9_375, 6_250, 3_125], 0, id="W5 redistribute"),
        pytest.param(PODIUM, 1_003, 3, {"1": 2}, "keep", [402, 401, 200], 0, id="W6"),
        pytest.param(PODIUM, 100, 3, {"1": 3}, "keep", [34, 33, 33], 0, id="W7 tied"),
        pytest.param(PODIUM, 7, 3, {}, "keep", [4, 2, 1], 0, id="W7 seven"),
        pytest.param(R10, 1, 4, {}, "redistribute", [1], 0, id="W7 one"),
        pytest.param(QUEST, 25_001, 15, {}, "redistribute", [12_501, *[893] * 12, 892, 892], 0, id="W8"),
        pytest.param(FIXED, 1_000_000, 11, {"9": 3}, "keep", [*LAST_FIXED, 4_167, 4_167, 4_166], 0, id="W9"),
        pytest.param(FIXED, 1_000_000, 6, {}, "keep", LAST_FIXED[:6], 40_000, id="W10"),
        pytest.param(
            *(OPEN, 99_999, 14, {}, "redistribute"),
            [40_000, 20_000, 15_000, *[2_273] * 7, *[2_272] * 4],
            0,
            id="W11",
        ),
    ],
)
async def test_the_worked_examples_are_previewed(
    staff: Desk,
    rule: PrizeRule,
    pool: int,
    entrants: int,
    ties: Mapping[str, int],
    empty_rule: str,
    paid: list[int],
    left: int,
) -> None:
    body = {
        "prize_rule": prizes.written(rule),
        "pool": pool,
        "entrants": entrants,
        "ties": ties,
        "empty_rule": empty_rule,
        "tie_rule": "share" if ties else "earliest",
    }
    answer = await staff.ask("POST", "/preview-prizes", body)
    assert answer.status_code == 200, answer.text
    assert [each["prize"]["amount"] for each in answer.json()["places"]] == paid
    assert answer.json()["undistributed"]["amount"] == left


async def test_other_prizes_are_tried_on_the_ranking_as_it_is(staff: Desk, database: Database) -> None:
    """A tie on the second place shares by the other rule too; nothing moves."""
    competition_id = await running(database)
    async with database.begin(SYSTEM) as tx:
        entrants = await enter(tx, competition_id, 3, NOW)
        await score(tx, competition_id, entrants, [9, 7, 7], NOW - HOUR)
    bands = [{"from": 1, "to": 1, "value": 8_000}, {"from": 2, "to": 2, "value": 2_000}]
    tried = await staff.ask("POST", f"/{competition_id}/simulate", {"prize_rule": {**THREE, "bands": bands}})
    assert [each["prize"]["amount"] for each in tried.json()["places"]] == [8_000, 1_000, 1_000]
    plain = await staff.ask("POST", f"/{competition_id}/simulate", {"pool": 1_000})
    assert [each["prize"]["amount"] for each in plain.json()["places"]] == [500, 250, 250]


async def test_a_series_is_made_changed_and_rests(staff: Desk, database: Database) -> None:
    terms = {"title": "Daily", "prize_asset": "USD", "guaranteed_pool": 1_000, "prize_rule": THREE}
    code = f"daily-{new_id().hex[-8:]}"
    made = await staff.ask("POST", "/series", {**terms, "code": code, "cadence": "daily"})
    assert (made.status_code, made.json()["active"]) == (201, True)
    twice = await staff.ask("POST", "/series", {**terms, "code": code, "cadence": "daily"})
    assert (twice.status_code, twice.json()["code"]) == (409, "competitions.series_exists")
    here = f"/series/{made.json()['id']}"
    changed = await staff.ask("PUT", here, {**terms, "guaranteed_pool": 2_000, "active": False}, seen=1)
    assert (changed.json()["guaranteed_pool"], changed.json()["active"], changed.json()["version"]) == (2_000, False, 2)
    stale = await staff.ask("PUT", here, terms, seen=1)
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_series(tx, now=NOW + timedelta(days=1))
        statement = "select count(*) from competitions.competitions where series_id = %s"
        assert await db.value(tx, statement, made.json()["id"]) == 0
    nowhere = await staff.ask("PUT", f"/series/{new_id()}", terms, seen=1)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "competitions.no_such_series")


async def test_drafts_are_listed_for_staff(staff: Desk) -> None:
    made = await staff.ask("POST", "", spec())
    drafts = await staff.get("?status=draft&limit=1")
    assert [each["id"] for each in drafts["items"]] == [made.json()["id"]]


async def test_each_act_wants_its_own_permission(staff: Desk, database: Database) -> None:
    competition_id = await running(database)
    for act, wanted in (("fund", "competitions.pool.fund"), ("adjust", "competitions.score.adjust")):
        others = ALL.replace(wanted, "")
        refused = await staff.ask("POST", f"/{competition_id}/{act}", {}, permissions=others)
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


async def test_a_prize_that_a_wallet_refused_is_decided_over_http(staff: Desk, database: Database) -> None:
    """Paid by one person, sent back by two; a repeat is done already, and what is not there is refused."""
    async with database.begin(SYSTEM) as tx:
        competition_id, entrants, users = await withheld(tx, NOW - 7 * HOUR, (9, 7))
        await set_wallet(tx, users[0], "active")
    listed = await staff.get(f"/withheld?competition_id={competition_id}&limit=1")
    [newest] = listed["items"]  # type: ignore[misc]
    assert (newest["entrant_id"], newest["refusal"]) == (entrants[1], "ledger.account_frozen")
    assert newest["prize"] == {"asset": "USD", "amount": 3_000, "text": "30.00"}
    table = await staff.ask("GET", f"/withheld.csv?competition_id={competition_id}")
    assert len(table.text.strip().splitlines()) == 3

    def of(number: int) -> dict[str, object]:
        return {"entrant_id": entrants[number], **WHY}

    frozen = await staff.ask("POST", f"/{competition_id}/pay-withheld", of(1))
    assert (frozen.status_code, frozen.json()["code"]) == (409, "ledger.account_frozen")
    for _ in range(2):
        paid = await staff.ask("POST", f"/{competition_id}/pay-withheld", of(0))
        assert (paid.status_code, paid.json()["outcome"]) == (200, "done")
    late = await staff.ask("POST", f"/{competition_id}/forfeit", of(0))
    assert (late.status_code, late.json()["code"]) == (409, "competitions.not_withheld")
    nobody = await staff.ask("POST", f"/{competition_id}/forfeit", {"entrant_id": 1, **WHY})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "competitions.no_such_prize")
    waiting = await staff.ask("POST", f"/{competition_id}/forfeit", of(1))
    assert (waiting.status_code, waiting.json()["outcome"]) == (202, "waiting")
    others = ALL.replace("competitions.settlement.run", "")
    unable = await staff.ask("POST", f"/{competition_id}/forfeit", of(1), permissions=others)
    assert (unable.status_code, unable.json()["code"]) == (403, "permission_missing")


async def test_a_role_of_one_competition_counts_there_alone(staff: Desk, database: Database) -> None:
    """Before that one he may what the role says; before others, in lists, and with what is another's he may nothing."""
    ours, other = await running(database), await running(database)
    async with database.begin(SYSTEM) as tx:
        (entrant,), (foreign,) = await enter(tx, ours, 1, NOW), await enter(tx, other, 1, NOW)
    lent = ",".join(f"competition:{ours} {name}" for name in (console.READ, "competitions.score.adjust"))
    more = f"{lent},competition:{ours} identity.user.read"
    body = {"entrant_id": int(entrant), "delta": 5, **WHY}

    async def ask(method: str, path: str, said: object = None) -> tuple[int, str]:
        answer = await staff.ask(method, path, said, permissions="", lent=more)
        return answer.status_code, answer.json().get("code", "")

    missing = (403, "permission_missing")
    assert await ask("GET", f"/{ours}") == (200, "")
    assert await ask("POST", f"/{ours}/adjust", body) == (200, "")
    assert await ask("POST", f"/{ours}/adjust", {**body, "entrant_id": int(foreign)}) == (
        *(404, "competitions.no_such_entrant"),
    )
    assert await ask("POST", f"/{ours}/cancel", WHY) == missing, "the role does not say so"
    assert await ask("GET", f"/{other}") == missing
    assert await ask("POST", f"/{other}/adjust", {**body, "entrant_id": int(foreign)}) == missing
    assert await ask("GET", "") == missing
    assert await ask("GET", f"/{other}?competition_id={ours}") == missing
    async with database.begin(SYSTEM) as tx:
        assert await db.column(tx, "select score from competitions.scores where entrant_id = %s", foreign) == []


def test_what_a_role_is_held_of_has_an_address_that_names_it() -> None:
    """Else nothing could ever be done by it; and each parameter that names one is of the kind it says."""
    named = {name: [route for route in console.routes.all if f"{{{name}:uuid}}" in route.path] for name in OBJECTS}
    assert {*OBJECTS.values()} == {*MODULES} == {*get_args(ObjectKind)}
    assert all(len(routes) > 10 for routes in named.values())
    assert {MODULES[OBJECTS[name]] for name, routes in named.items() for route in routes} == {"competitions"}
