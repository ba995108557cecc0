"""Staff over the API: races from draft to release, each act once, written down, and refused with a code."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from palio.entry.approving import COMMANDS
from palio.infra import approvals, db
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ui.values import instant
from tests.factories.races import SYSTEM, linked, player, run
from tests.races.desk import ALL, HOUR, WHY, Desk, desk, live, prepared, under_review
from tests.ui.people import BOB, NOW, STELLA

REASON = {"reason": WHY["reason"]}
CHECKER = Actor("staff", BOB, RequestId(new_id()))


@pytest.fixture
async def staff(database: Database) -> AsyncIterator[Desk]:
    async with desk(database) as found:
        yield found


async def audited(database: Database, action: str) -> list[dict[str, object]]:
    """The changes of each audit row of an action by Stella, oldest first."""
    async with database.begin(SYSTEM) as tx:
        return await db.column(
            tx, "select changes from infra.audit_rows where action = %s and actor_id = %s order by id", action, STELLA
        )


def spec(programme: str, **more: object) -> dict[str, object]:
    plain = {
        "title": "Spring race",
        "programme": programme,
        "starts_at": instant(NOW + HOUR),
        "ends_at": instant(NOW + 5 * HOUR),
        "pool": "500.00",
        "prizes": [50, 30, 16.25, 3.75],
    }
    return {**plain, **more}


async def test_a_draft_is_seen_by_staff_only_until_it_is_announced(staff: Desk, database: Database) -> None:
    """Its pool moves into escrow with the announcement, which wants the version that was seen."""
    source = await prepared(database)
    made = await staff.post("", spec(source.code, draft=True))
    assert (made.status_code, made.json()["race"]["status"]) == (201, "draft")
    number, version = made.json()["race"]["number"], made.json()["race"]["version"]
    assert made.headers["location"] == f"/api/v1/console/races/{number}"
    listed = (await staff.get(f"?programme={source.code}")).json()["items"]
    assert [(line["number"], line["status"]) for line in listed] == [(number, "draft")]

    unseen = await staff.post(f"/{number}/publish", {})
    assert (unseen.status_code, unseen.json()["code"]) == (428, "if_match_required")
    stale = await staff.post(f"/{number}/publish", {}, seen=version + 1)
    assert (stale.status_code, stale.json()["code"], stale.headers["etag"]) == (412, "version_mismatch", f'"{version}"')
    told = await staff.post(f"/{number}/publish", {}, seen=version)
    assert (told.status_code, told.json()["race"]["status"]) == (200, "upcoming")
    again = await staff.post(f"/{number}/publish", {}, seen=told.json()["race"]["version"])
    assert (again.status_code, again.json()["code"]) == (409, "competitions.not_draft")
    assert (await audited(database, "race.publish"))[-1] == {"status": ["draft", "upcoming"], "pool": [0, "50000 USD"]}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"prizes": [50, 30]}, "competitions.prize_sum"),
        ({"prizes": [50, 30, 19.999, 0.001]}, "races.prize_precision"),
        ({"prizes": [30, 50, 20]}, "competitions.prize_increasing"),
        ({"pool": "0"}, "races.spec_invalid"),
        ({"ends_at": instant(NOW + HOUR + timedelta(minutes=9))}, "races.window"),
        ({"programme": "no-such-programme"}, "affiliates.programme_unknown"),
        ({"previous": 999_999_999}, "races.no_such_race"),
        ({"starts_at": "2026-03-20T13:00:00"}, "time_zone_required"),
        ({"winner": "me"}, "unknown_field"),
    ],
)
async def test_what_cannot_be_a_race_is_refused_and_nothing_is_made(
    staff: Desk, database: Database, more: dict[str, object], code: str
) -> None:
    source = await prepared(database)
    refused = await staff.post("", spec(source.code) | more)
    assert refused.json()["code"] == code
    assert (await staff.get(f"?programme={source.code}")).json()["items"] == []


async def test_a_start_in_the_past_takes_a_reason_and_a_permission(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    begun = {"starts_at": instant(NOW - 3.5 * HOUR)}
    silent = await staff.post("", spec(source.code, **begun))
    assert silent.json()["code"] == "races.reason_missing"
    told = spec(source.code, **begun, backdated_reason="announced in the chat")
    refused = await staff.post("", told, permissions="races.race.read races.race.edit")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
    assert (await staff.post("", told)).status_code == 201


async def test_an_adjustment_happens_once_and_beyond_the_limit_waits_for_somebody_else(
    staff: Desk, database: Database
) -> None:
    """600 units at once, 600 more are a proposal: the total stays, and the approval adds them."""
    source = await prepared(database)
    number = await live(database, source)
    body = {"player": "cid", "amount_micro": 600_000_000, **WHY}
    first = await staff.post(f"/{number}/adjust", body, key="adjust-once")
    again = await staff.post(f"/{number}/adjust", body, key="adjust-once")
    assert (first.status_code, first.json(), again.json()) == (200, again.json(), first.json())
    assert await totals(staff, number) == [("cid", 610), ("ann", 30), ("bob", 20)]

    waits = await staff.post(f"/{number}/adjust", body)
    assert (waits.status_code, waits.json()["outcome"], waits.json()["needed"]) == (202, "waiting", 1)
    assert await totals(staff, number) == [("cid", 610), ("ann", 30), ("bob", 20)]
    await approve(database, waits.json()["approval_id"])
    assert await totals(staff, number) == [("cid", 1210), ("ann", 30), ("bob", 20)]
    rows = await audited(database, "race.adjust")
    assert [row["adjusted_micro"] for row in rows[-2:]] == [[0, 600_000_000], [600_000_000, 1_200_000_000]]


async def totals(staff: Desk, number: int) -> list[tuple[str, int]]:
    found = (await staff.get(f"/{number}/standings")).json()["items"]
    return [(row["uid"], row["total_micro"] // 10**6) for row in found]


async def approve(database: Database, approval_id: str) -> None:
    """Somebody else approves, and it is carried out."""
    held = {"admin.approval.decide", "races.race.money"}
    async with database.begin(SYSTEM) as tx:
        given = {"decision": "approve", "reason": "", "held": held, "commands": COMMANDS, "now": NOW}
        await approvals.decide(tx, approval_id=approval_id, actor=CHECKER, **given)  # type: ignore[arg-type]
        done = await approvals.execute(tx, approval_id=approval_id, commands=COMMANDS, now=NOW)  # type: ignore[arg-type]
        assert (done.state, done.error_code) == ("executed", None)


async def test_the_preview_says_which_lines_would_move_and_writes_nothing(staff: Desk, database: Database) -> None:
    """15 more bring cid before bob: the prizes of both change places, and ann is not touched."""
    source = await prepared(database)
    number = await live(database, source)
    found = (await staff.get(f"/{number}/preview?player=cid&amount_micro=15000000")).json()["items"]
    assert [(each["uid"], each["rank_before"], each["rank_after"]) for each in found] == [("cid", 3, 2), ("bob", 2, 3)]
    assert [each["prize_after"]["text"] for each in found] == ["150.00", "100.00"]
    assert await totals(staff, number) == [("ann", 30), ("bob", 20), ("cid", 10)]
    out = (await staff.get(f"/{number}/preview?player=ann")).json()["items"]
    assert [(each["uid"], each["rank_after"], each["prize_after"]["amount"]) for each in out] == [
        ("bob", 1, 25_000),
        ("cid", 2, 15_000),
        ("ann", None, 0),
    ]


async def test_who_is_excluded_leaves_the_board_and_comes_back_with_everything(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    number = await live(database, source)
    done = await staff.post(f"/{number}/exclude", {"player": "ann", **WHY})
    assert done.json()["outcome"] == "done"
    assert await totals(staff, number) == [("bob", 20), ("cid", 10)]
    (held,) = (await staff.get(f"/{number}/holds")).json()["items"]
    assert (held["uid"], held["state"], held["note"]) == ("ann", "excluded", WHY["public_note"])
    await staff.post(f"/{number}/reinstate", {"player": held["player_id"], **WHY})
    assert await totals(staff, number) == [("ann", 30), ("bob", 20), ("cid", 10)]


async def test_a_held_player_begins_where_staff_say(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    number = await live(database, source)
    unheld = await staff.post(f"/{number}/holds/bob", {"decision": "kept", **WHY})
    assert (unheld.status_code, unheld.json()["code"]) == (404, "races.no_such_hold")
    await staff.post(f"/{number}/exclude", {"player": "bob", **WHY})
    await staff.post(f"/{number}/reinstate", {"player": "bob", **WHY})
    decided = await staff.post(f"/{number}/holds/bob", {"decision": "from_value", "value_micro": 115_000_000, **WHY})
    assert decided.json()["outcome"] == "done"
    assert await totals(staff, number) == [("ann", 30), ("cid", 10), ("bob", 5)]


async def test_the_end_moves_later_only_and_not_under_somebody_who_looked_before(
    staff: Desk, database: Database
) -> None:
    source = await prepared(database)
    number = await live(database, source)
    version = (await staff.get(f"/{number}")).json()["race"]["version"]
    later = {"ends_at": instant(NOW + 9 * HOUR), **REASON}
    told = await staff.post(f"/{number}/extend", later, seen=version)
    assert told.json()["race"]["ends_at"] == instant(NOW + 9 * HOUR)
    assert (await staff.post(f"/{number}/extend", later, seen=version)).status_code == 412
    earlier = {"ends_at": instant(NOW + 8 * HOUR), **REASON}
    refused = await staff.post(f"/{number}/extend", earlier, seen=told.json()["race"]["version"])
    assert refused.json()["code"] == "competitions.ends_earlier"


async def test_a_race_that_has_begun_is_cancelled_by_two_and_one_to_come_by_one(
    staff: Desk, database: Database
) -> None:
    source = await prepared(database)
    number = await live(database, source)
    version = (await staff.get(f"/{number}")).json()["race"]["version"]
    waits = await staff.post(f"/{number}/cancel", REASON, seen=version)
    assert (waits.status_code, (await staff.get(f"/{number}")).json()["race"]["status"]) == (202, "live")
    await approve(database, waits.json()["approval_id"])
    assert (await staff.get(f"/{number}")).json()["race"]["status"] == "cancelled"

    coming = (await staff.post("", spec(source.code))).json()["race"]
    done = await staff.post(f"/{coming['number']}/cancel", REASON, seen=coming["version"])
    assert (done.status_code, done.json()["outcome"]) == (200, "done")


async def test_a_review_is_released_with_a_reason_and_a_large_pool_by_two(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    number = await under_review(database, source)
    found = (await staff.get(f"/{number}")).json()
    assert (found["race"]["phase"], found["waits_for"], found["needs_second"]) == ("review", "review", False)
    short = await staff.post(f"/{number}/release", {"reason": "ok"}, seen=found["race"]["version"])
    assert (short.status_code, short.json()["code"]) == (422, "validation_failed")
    done = await staff.post(f"/{number}/release", REASON, seen=found["race"]["version"])
    assert (done.status_code, done.json()["outcome"]) == (200, "done")
    assert (await staff.get(f"/{number}")).json()["race"]["phase"] == "paying"


async def test_another_picture_is_proposed_to_somebody_else(staff: Desk, database: Database) -> None:
    """A race is to begin by another snapshot, and one that nothing has closed to end by the last one before its end."""
    source, long_ago = await prepared(database), NOW - timedelta(hours=20)
    number = await live(database, source)
    left = await prepared(database, long_ago)
    overdue = await live(database, left, long_ago)
    async with database.begin(SYSTEM) as tx:
        await run(tx, NOW - timedelta(hours=11))
        find = """select s.id from affiliates.snapshots s join affiliates.programmes g on g.id = s.programme_id
            where g.code = %s order by s.fetched_at desc limit 1"""
        pictures = [await db.value(tx, find, each.code) for each in (source, left)]
    begins = await staff.post(f"/{number}/start-picture", {**REASON, "snapshot_id": str(pictures[0])})
    ends = await staff.post(f"/{overdue}/final-picture", {**REASON, "snapshot_id": str(pictures[1])})
    assert [one.status_code for one in (begins, ends)] == [202] * 2, (begins.text, ends.text)
    assert [one.json()["outcome"] for one in (begins, ends)] == ["waiting"] * 2


async def test_a_large_pool_is_paid_when_somebody_else_agrees(staff: Desk, database: Database) -> None:
    """2,500.00 are more than the 1,000.00 that one person may pay."""
    source = await prepared(database)
    number = await under_review(database, source, pool=250_000)
    found = (await staff.get(f"/{number}")).json()
    waits = await staff.post(f"/{number}/release", REASON, seen=found["race"]["version"])
    assert (waits.status_code, waits.json()["needed"]) == (202, 1)
    assert waits.json()["summary"] == f"Pay race {number} from a pool of 2500.00 USD"
    await approve(database, waits.json()["approval_id"])
    assert (await staff.get(f"/{number}")).json()["race"]["phase"] == "paying"


async def test_nobody_decides_about_a_prize_of_his_own(staff: Desk, database: Database) -> None:
    """Stella's linked player is first: neither released nor adjusted by her, and nothing has moved."""
    source = await prepared(database)
    number = await under_review(database, source)
    async with database.begin(SYSTEM) as tx:
        await linked(tx, source, "ann", STELLA)
    found = (await staff.get(f"/{number}")).json()
    assert found["own_account"]
    released = await staff.post(f"/{number}/release", REASON, seen=found["race"]["version"])
    adjusted = await staff.post(f"/{number}/adjust", {"player": "cid", "amount_micro": 1, **WHY})
    assert [answer.json()["code"] for answer in (released, adjusted)] == ["races.own_account"] * 2
    assert (await staff.get(f"/{number}")).json()["race"]["phase"] == "review"
    async with database.begin(SYSTEM) as tx:
        ann = await player(tx, source, "ann")
        await db.run(
            tx, "update affiliates.links set state = 'unlinked', unlinked_at = now() where player_id = %s", ann
        )


async def test_totals_are_recomputed_and_races_rehearsed_without_writing(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    number = await under_review(database, source)
    found = (await staff.post(f"/{number}/recompute", None)).json()
    assert (found["players"], found["differences"]) == (3, [])
    window = {"starts_at": instant(NOW - 3.5 * HOUR), "ends_at": instant(NOW - 2 * HOUR), "prizes": [60, 40]}
    tried = (await staff.post("/rehearse", spec(source.code, **window))).json()
    assert [(line["uid"], line["prize"]["text"]) for line in tried["lines"]] == [
        ("ann", "300.00"),
        ("bob", "200.00"),
        ("cid", "0.00"),
    ]
    assert tried["undistributed"]["amount"] == 0


async def test_a_series_is_made_with_the_races_that_are_due(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    body = {"code": f"daily-{new_id().hex[-8:]}", "cadence": "daily", "title": "Day race", "programme": source.code}
    made = await staff.post("/series", {**body, "pool": "100.00", "prizes": [100]})
    assert (made.status_code, made.json()["pool"]["text"], len(made.json()["races"])) == (201, "100.00", 2)
    again = await staff.post("/series", {**body, "pool": "100.00", "prizes": [100]})
    assert again.json()["code"] == "competitions.series_exists"


async def test_the_board_is_a_table_for_whoever_asks(staff: Desk, database: Database) -> None:
    source = await prepared(database)
    number = await live(database, source)
    table = await staff.get(f"/{number}/standings.csv")
    head, first, *_ = table.text.splitlines()
    assert (table.headers["content-type"].partition(";")[0], len(table.text.splitlines())) == ("text/csv", 4)
    assert head.startswith("place,rank,player_id,entrant_id,uid,name,linked,total_micro")
    assert first.startswith("1,1,")


@pytest.mark.parametrize("act", ["cancel", "release", "adjust", "start-picture", "final-picture"])
async def test_money_takes_its_own_permission(staff: Desk, act: str) -> None:
    refused = await staff.post(f"/1/{act}", REASON, seen=1, permissions=ALL.replace("races.race.money", ""))
    assert (refused.status_code, refused.json()["facts"]) == (403, {"permission": "races.race.money"})
