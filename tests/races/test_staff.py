"""What staff decide about a race and its players, and that the recomputation knows of it."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from palio import competitions, ledger, races
from palio.affiliates.types import PlayerId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.races.types import Race
from tests.factories.races import SECOND, STAFF, T1, T2, Feed, at, feed, linked, player, race, run, setup_r

BEFORE, START, END, FINAL = at("08:25:00"), at("08:30:00"), at("20:00:00"), at("20:20:00")
WORDS = {"actor": STAFF, "reason": "ticket of the provider", "public_note": "booked twice by the provider"}
WHY = {"actor": STAFF, "reason": "ticket of the provider"}


async def board(tx: Tx, made: Race) -> list[tuple[str, int, int | None]]:
    """Uid, total in units and rank in ranking order."""
    return [(line.uid, line.total_micro // 10**6, line.rank) for line in await races.lines(tx, number=made.number)]


async def begun(tx: Tx, totals: dict[str, str | None], **changes: object) -> tuple[Feed, Race]:
    source = await feed(tx)
    await source.show(tx, BEFORE, totals)
    made = await race(tx, source, BEFORE, **changes)
    await run(tx, START)
    return source, made


async def finished(tx: Tx, source: Feed, made: Race, totals: dict[str, str | None]) -> competitions.CompetitionFrozen:
    """The header after the final picture with these totals."""
    await source.show(tx, FINAL, totals)
    await run(tx, FINAL)
    return await competitions.get(tx, competition_id=made.competition_id)  # type: ignore[return-value]


async def adjust(tx: Tx, made: Race, player_id: PlayerId, units: int, now: datetime, **more: object) -> UUID:
    given = new_id()
    await races.adjust(
        tx,
        adjustment_id=given,
        number=made.number,
        player_id=player_id,
        amount_micro=units * 10**6,
        now=now,
        **{**WORDS, **more},  # type: ignore[arg-type]
    )
    return given


async def test_an_adjustment_is_shown_with_its_note_and_its_opposite_restores_the_rank(tx: Tx) -> None:
    """+100 before the end makes 170.628429 and rank 1; -100 during the review makes it rank 3 again."""
    source = await feed(tx)
    await source.take(tx, T1, at("08:21:15"))
    made = await race(tx, source, at("12:00:00"), review_h=24)
    await run(tx, at("12:00:00"))
    player_id = await player(tx, source, "player0018")
    given = await adjust(tx, made, player_id, 100, at("19:00:00"))
    await source.take(tx, T2, at("20:28:00"))
    await run(tx, at("20:30:00"))
    (first, *_) = await races.lines(tx, number=made.number)
    assert (first.name, first.rank, first.total_micro) == ("player0018", 1, 170_628_429)
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    assert (shown.phase, shown.rows[0].flags) == ("review", ("adjusted",))
    note = "select note from races.wager_history where competition_id = %s and kind = 'adjust'"
    assert await db.value(tx, note, made.competition_id) == "booked twice by the provider"

    await adjust(tx, made, player_id, -100, at("21:00:00"), undoes=given)
    lines = {line.name: (line.rank, line.prize) for line in await races.lines(tx, number=made.number)}
    assert lines["player0018"] == (3, 5_000)
    await run(tx, at("20:30:00", day=27))
    done = await competitions.get(tx, competition_id=made.competition_id)
    assert (done.status, done.review_reasons) == ("completed", [])


async def test_what_one_person_adjusts_within_a_day_is_summed(tx: Tx) -> None:
    """600 twice makes 1,200: the second needs a second person, changes nothing, and passes with one or a day later."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"}, ends_at=at("20:00:00", day=30))
    ann, bob = await player(tx, source, "ann"), await player(tx, source, "bob")
    await adjust(tx, made, ann, 600, at("10:00:00"))
    with pytest.raises(competitions.ApprovalDue) as refusal:
        async with tx.transaction():
            await adjust(tx, made, bob, -600, at("11:00:00"))
    assert refusal.value.facts["summed_micro"] == 1_200_000_000
    assert await board(tx, made) == [("ann", 600, 1)]
    with pytest.raises(competitions.ApprovalDue):
        async with tx.transaction():
            await adjust(tx, made, bob, -600, at("11:00:00"), approved_by=STAFF.user_id)
    await adjust(tx, made, bob, 600, at("11:00:00"), approved_by=SECOND)
    await adjust(tx, made, bob, 900, at("11:00:01", day=27))
    assert await board(tx, made) == [("bob", 1500, 1), ("ann", 600, 2)]


async def test_who_enters_by_an_adjustment_is_recomputed_from_his_baseline(tx: Tx) -> None:
    """100, down to 90, +20 by staff, up to 103: a total of 3 + 20, and nothing differs at the freeze."""
    source, made = await begun(tx, {"ann": "100", "bob": "1"})
    await source.show(tx, at("10:00:00"), {"ann": "90", "bob": "1"})
    await adjust(tx, made, await player(tx, source, "ann"), 20, at("10:05:00"))
    assert await board(tx, made) == [("ann", 10, 1)]
    done = await finished(tx, source, made, {"ann": "103", "bob": "1"})
    assert await board(tx, made) == [("ann", 23, 1)]
    assert done.standings_hash  # type: ignore[attr-defined]


async def test_only_players_of_the_programme_are_adjusted_and_never_by_nothing(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    ann = await player(tx, source, "ann")
    other, _ = await begun(tx, {"eve": "100"})
    with pytest.raises(races.PlayerUnknown):
        await adjust(tx, made, await player(tx, other, "eve"), 5, at("09:00:00"))
    for amount in (0, 10**8 + 1):
        with pytest.raises(races.AdjustmentInvalid):
            await adjust(tx, made, ann, amount, at("09:00:00"))
    with pytest.raises(competitions.ReasonMissing):
        await adjust(tx, made, ann, 5, at("09:00:00"), reason="")
    assert await board(tx, made) == []


async def test_whoever_is_excluded_comes_back_with_what_he_wagered_meanwhile(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "130", "bob": "110"})
    ann = await player(tx, source, "ann")
    await races.exclude(tx, number=made.number, player_id=ann, now=at("10:01:00"), **WORDS)
    await source.show(tx, at("11:00:00"), {"ann": "150", "bob": "110"})
    await run(tx, at("11:00:00"))
    assert await board(tx, made) == [("bob", 10, 1)]
    await races.reinstate(tx, number=made.number, player_id=ann, now=at("11:01:00"), **WORDS)
    assert await board(tx, made) == [("ann", 50, 1), ("bob", 10, 2)]
    done = await finished(tx, source, made, {"ann": "155", "bob": "110"})
    assert await board(tx, made) == [("ann", 55, 1), ("bob", 10, 2)]
    assert done.evidence["decisions"][0]["note"] == "booked twice by the provider"  # type: ignore[attr-defined]


async def test_an_excluded_player_does_not_keep_the_race_from_being_frozen(tx: Tx) -> None:
    """His refused wagers are no mismatch. Let back in during the review, he has them as an adjustment."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"}, review_h=24)
    await source.show(tx, at("10:00:00"), {"ann": "130", "bob": "110"})
    ann = await player(tx, source, "ann")
    await races.exclude(tx, number=made.number, player_id=ann, now=at("10:01:00"), **WORDS)
    await finished(tx, source, made, {"ann": "150", "bob": "110"})
    assert await board(tx, made) == [("bob", 10, 1)]
    await races.reinstate(tx, number=made.number, player_id=ann, now=at("21:00:00"), **WORDS)
    assert await board(tx, made) == [("ann", 50, 1), ("bob", 10, 2)]
    await run(tx, at("21:00:00", day=27))
    done = await competitions.get(tx, competition_id=made.competition_id)
    assert done.status == "completed"


@pytest.mark.parametrize(
    ("decision", "value", "total"),
    [("kept", None, 50_000), ("from_zero", None, 50_000), ("from_value", 49_990_000_000, 10), ("excluded", None, None)],
)
async def test_a_held_player_is_decided(tx: Tx, decision: str, value: int | None, total: int | None) -> None:
    source, made = await begun(tx, {"ann": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "101", "whale": "50000"})
    await run(tx, at("10:00:00"))
    whale = await player(tx, source, "whale")
    act = {"number": made.number, "player_id": whale, "now": at("10:05:00"), **WORDS}
    await races.decide_hold(tx, **act, decision=decision, value_micro=value)  # type: ignore[arg-type]
    shown = {uid: units for uid, units, _ in await board(tx, made)}
    assert shown.get("whale") == total
    done = await finished(tx, source, made, {"ann": "101", "whale": "50000"})
    assert done.status == "completed"  # type: ignore[attr-defined]


async def test_a_hold_that_is_none_and_a_beginning_after_the_freeze_are_refused(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"}, review_h=24)
    await source.show(tx, at("10:00:00"), {"ann": "101", "whale": "50000"})
    act = {"number": made.number, "decision": "from_zero", **WORDS}
    with pytest.raises(races.NoSuchHold):
        await races.decide_hold(tx, **act, player_id=await player(tx, source, "ann"), now=at("10:05:00"))  # type: ignore[arg-type]
    await finished(tx, source, made, {"ann": "101", "whale": "50000"})
    whale = await player(tx, source, "whale")
    with pytest.raises(races.Frozen):
        await races.decide_hold(tx, **act, player_id=whale, now=at("21:00:00"))  # type: ignore[arg-type]


async def test_whose_own_player_holds_a_paid_place_neither_releases_nor_adjusts(tx: Tx) -> None:
    """Acceptance 27: linked to player0006, who leads R."""
    source, made = await setup_r(tx, review_h=24)
    await linked(tx, source, "player0006", STAFF.user_id)  # type: ignore[arg-type]
    await run(tx, at("20:30:00"))
    with pytest.raises(races.OwnAccount):
        await races.release(tx, number=made.number, now=at("20:31:00"), **WHY)
    with pytest.raises(races.OwnAccount):
        await adjust(tx, made, await player(tx, source, "player0018"), 5, at("20:31:00"))
    frozen = await competitions.get(tx, competition_id=made.competition_id)
    assert frozen.phase == "review"


async def test_a_release_ends_the_review(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "200", "bob": "200"})
    frozen = await finished(tx, source, made, {"ann": "189", "bob": "200"})
    assert frozen.review_reasons == ["big_correction"]  # type: ignore[attr-defined]
    await races.release(tx, number=made.number, now=at("20:30:00"), **WHY)
    await run(tx, at("20:30:00"))
    assert (await competitions.get(tx, competition_id=made.competition_id)).status == "completed"


async def test_another_start_picture_moves_ranks_once_and_with_two_people(tx: Tx) -> None:
    """Counted from 08:00 instead of 08:25, ann has her early 30; new wagers and newcomers still add up."""
    source = await feed(tx)
    early = await source.show(tx, at("08:00:00"), {"ann": "70", "bob": "100"})
    await source.show(tx, BEFORE, {"ann": "100", "bob": "100", "cid": "4"})
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    await source.show(tx, at("10:00:00"), {"ann": "101", "bob": "120", "cid": "5", "new": "2"})
    await run(tx, at("10:00:00"))
    assert await board(tx, made) == [("bob", 20, 1), ("new", 2, 2), ("ann", 1, 3), ("cid", 1, 3)]
    act = {"number": made.number, "snapshot_id": early.id, "now": at("10:05:00"), **WHY}
    with pytest.raises(competitions.ApprovalDue) as refusal:
        async with tx.transaction():
            await races.replace_start(tx, **act)
    assert len(refusal.value.facts["moves"]) == 3  # type: ignore[arg-type]
    assert await board(tx, made) == [("bob", 20, 1), ("new", 2, 2), ("ann", 1, 3), ("cid", 1, 3)]

    moves = await races.replace_start(tx, **act, approved_by=SECOND)
    assert moves == refusal.value.facts["moves"]
    assert await board(tx, made) == [("ann", 31, 1), ("bob", 20, 2), ("cid", 5, 3), ("new", 2, 4)]
    with pytest.raises(races.StartReplaced):
        await races.replace_start(tx, **act, approved_by=SECOND)
    frozen = await finished(tx, source, made, {"ann": "111", "bob": "120", "cid": "5", "new": "2"})
    assert await board(tx, made) == [("ann", 41, 1), ("bob", 20, 2), ("cid", 5, 3), ("new", 2, 4)]
    assert frozen.review_reasons == ["staff_start"]  # type: ignore[attr-defined]


async def test_a_start_picture_of_another_programme_or_after_the_end_is_unfit(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    other = await (await feed(tx)).show(tx, BEFORE, {"eve": "1"})
    with pytest.raises(races.PictureUnfit):
        await races.replace_start(
            tx, number=made.number, snapshot_id=other.id, now=at("09:00:00"), approved_by=SECOND, **WHY
        )
    late = await source.show(tx, at("20:05:00"), {"ann": "100"})
    with pytest.raises(races.PictureUnfit):
        await races.replace_start(
            tx, number=made.number, snapshot_id=late.id, now=at("20:06:00"), approved_by=SECOND, **WHY
        )


async def test_a_race_that_no_snapshot_closes_is_forced_by_two_people_after_six_hours(tx: Tx) -> None:
    """Acceptance 19: by the last snapshot before the end, and without what was counted after it."""
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    last = await source.show(tx, at("19:50:00"), {"ann": "110", "bob": "100"})
    await source.show(tx, at("20:10:00"), {"ann": "112", "bob": "103"})
    await run(tx, at("20:11:00"))
    act = {"number": made.number, "snapshot_id": last.id, **WHY}
    with pytest.raises(races.NotOverdue):
        await races.force_final(tx, **act, now=at("01:59:59", day=27), approved_by=SECOND)
    now = at("02:00:00", day=27)
    for nobody in (None, STAFF.user_id):
        with pytest.raises(competitions.ApprovalDue):
            await races.force_final(tx, **act, now=now, approved_by=nobody)
    assert (await races.view(tx, number=made.number, now=now)).final_state == "waiting"
    await races.force_final(tx, **act, now=now, approved_by=SECOND)
    await run(tx, now)
    frozen = await competitions.get(tx, competition_id=made.competition_id)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["late_final"])
    assert [(uid, units, rank) for uid, units, rank in await board(tx, made) if units] == [("ann", 10, 1)]


async def test_what_a_race_waits_for_is_written_down_once_and_overdue_after_six_hours(tx: Tx) -> None:
    source = await feed(tx)
    made = await race(tx, source, BEFORE)
    for now in (START, at("09:00:00")):
        await run(tx, now)
    await source.show(tx, at("09:10:00"), {"ann": "100"})
    for now in (at("20:05:00"), at("01:59:00", day=27), at("02:00:00", day=27), at("02:01:00", day=27)):
        await run(tx, now)
    cursor = await tx.execute(
        """
        select event, facts ->> 'picture', facts ->> 'alarm' from races.picture_log
        where competition_id = %s order by at""",
        [made.competition_id],
    )
    assert await cursor.fetchall() == [
        ("waiting", "start", None),
        ("late", "start", None),
        ("waiting", "final", None),
        ("waiting", "final", "overdue.settlement"),
    ]


async def test_a_valid_snapshot_that_comes_before_the_second_person_settles_normally(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    last = await source.show(tx, at("19:50:00"), {"ann": "110"})
    now = at("02:00:00", day=27)
    await run(tx, now)
    with pytest.raises(competitions.ApprovalDue):
        await races.force_final(tx, number=made.number, snapshot_id=last.id, now=now, **WHY)
    await source.show(tx, at("02:05:00", day=27), {"ann": "115"})
    await run(tx, at("02:06:00", day=27))
    with pytest.raises(races.NotOverdue):
        await races.force_final(
            tx, number=made.number, snapshot_id=last.id, now=at("02:07:00", day=27), approved_by=SECOND, **WHY
        )
    assert await board(tx, made) == [("ann", 15, 1)]


async def test_a_cancelled_race_gives_its_pool_back_and_the_next_takes_a_picture_of_its_own(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    window = {"starts_at": END, "ends_at": END + timedelta(hours=5)}
    following = await race(tx, source, START, **window, previous=made.number)
    with pytest.raises(races.ChainGap):
        await races.extend(tx, number=made.number, ends_at=END + timedelta(hours=1), now=at("09:00:00"), **WHY)
    await races.cancel(tx, number=made.number, now=at("10:00:00"), approved_by=SECOND, **WHY)
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 0
    assert made.number not in await races.due(tx, now=at("21:00:00"))
    await source.show(tx, at("19:55:00"), {"ann": "120"})
    await run(tx, at("20:01:00"))
    shown = await races.view(tx, number=following.number, now=at("20:01:00"))
    assert (shown.start_state, shown.start and shown.start.fetched_at) == ("exact", at("19:55:00"))


async def test_an_end_is_moved_as_long_as_nothing_follows(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    await races.extend(tx, number=made.number, ends_at=at("22:00:00"), now=at("09:00:00"), **WHY)
    await source.show(tx, at("20:20:00"), {"ann": "110"})
    await run(tx, at("20:20:00"))
    assert (await races.view(tx, number=made.number, now=at("20:20:00"))).status == "live"
    await source.take(tx, T1, at("21:00:00"))
