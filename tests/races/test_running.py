"""Pictures, baselines, corrections, holds and the recomputation, with figures small enough to check by hand."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from palio import affiliates, competitions, identity, ledger, races
from palio.affiliates.types import PlayerId, SnapshotId
from palio.competitions.types import Competition
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.storage import Storage
from palio.races.types import Picture, Race
from tests.factories.races import T1, T2, Feed, at, feed, race, run, setup_r

START, END, FINAL = at("08:30:00"), at("20:00:00"), at("20:20:00")
BEFORE = at("08:25:00")


async def scores(tx: Tx, made: Race) -> dict[str, int]:
    """Totals in units by uid, for whoever has one."""
    found = await competitions.scores(tx, competition_id=made.competition_id)
    players = await affiliates.players_many(tx, [PlayerId(UUID(score.ref)) for score in found])
    return {players[PlayerId(UUID(score.ref))].uid: score.score // 10**6 for score in found}


async def receipts(tx: Tx, made: Race) -> list[tuple[str, str, int]]:
    cursor = await tx.execute(
        """
        select r.key, r.kind, r.delta / 1000000 from competitions.receipts r
        join competitions.competitions c on c.list_id = r.list_id
        where c.id = %s order by r.entrant_id, r.happened_at, r.key""",
        [made.competition_id],
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def begun(tx: Tx, totals: dict[str, str | None], **more: object) -> tuple[Feed, Race]:
    """A race that went live over a picture with these totals."""
    source = await feed(tx)
    await source.show(tx, BEFORE, totals, **more)
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    return source, made


async def settled(tx: Tx, made: Race, now: datetime = FINAL) -> Competition:
    await run(tx, now)
    return await competitions.get(tx, competition_id=made.competition_id)


async def test_without_data_near_the_start_the_race_waits_and_then_counts_from_late(tx: Tx) -> None:
    """From 09:30 with only 08:21 and 20:28: everybody has 0, the page names the gap, and a person must release it."""
    source = await feed(tx)
    await source.take(tx, T1, at("08:21:15"))
    made = await race(tx, source, at("09:00:00"), starts_at=at("09:30:00"))
    await run(tx, at("10:00:00"))
    shown = await races.view(tx, number=made.number, now=at("10:00:00"))
    assert (shown.status, shown.start_state, shown.start) == ("live", "waiting", None)

    await source.take(tx, T2, at("20:28:00"))
    await run(tx, at("20:30:00"))
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    assert (shown.start_state, shown.gap_from, shown.gap_to) == ("late", at("08:21:15"), at("20:28:00"))
    assert (shown.status, shown.phase, shown.entrants) == ("settling", "review", 0)
    frozen = await competitions.get(tx, competition_id=made.competition_id)
    assert frozen.review_reasons == ["late_start"]
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 50_000


async def test_chained_races_count_everything_once(tx: Tx) -> None:
    """What B counts begins where A ended: both totals add up to the difference of the feed's own total."""
    source = await feed(tx)
    await source.show(tx, BEFORE, {"ann": "100", "bob": "50", "cid": "7"})
    first = await race(tx, source, BEFORE)
    second = await race(tx, source, BEFORE, starts_at=END, ends_at=END + timedelta(hours=5), previous=first.number)
    await source.show(tx, at("19:00:00"), {"ann": "130", "bob": "50", "cid": "9"})
    await run(tx, at("20:05:00"))
    waiting = await races.view(tx, number=second.number, now=at("20:05:00"))
    assert (waiting.status, waiting.start_state) == ("live", "waiting")

    await source.show(tx, FINAL, {"ann": "135", "bob": "60", "cid": "9", "new": "4"})
    await run(tx, FINAL)
    await source.show(tx, at("22:00:00"), {"ann": "141", "bob": "55", "cid": "9", "new": "10"})
    await source.show(tx, at("01:20:00", day=27), {"ann": "142", "bob": "66", "cid": "9", "new": "10"})
    await run(tx, at("01:30:00", day=27))

    a, b = await scores(tx, first), await scores(tx, second)
    chained = await races.view(tx, number=second.number, now=at("01:30:00", day=27))
    opened = await races.view(tx, number=first.number, now=at("01:30:00", day=27))
    assert (chained.start_state, chained.start, chained.status) == ("chained", opened.final, "completed")
    assert (a, b) == ({"ann": 35, "bob": 10, "cid": 2, "new": 4}, {"ann": 7, "bob": 6, "new": 6})


@pytest.mark.parametrize("shift", [timedelta(seconds=1), timedelta(seconds=-1)])
async def test_a_chain_has_no_gap(tx: Tx, shift: timedelta) -> None:
    source = await feed(tx)
    first = await race(tx, source, BEFORE)
    with pytest.raises(races.ChainGap):
        await race(tx, source, BEFORE, starts_at=END + shift, ends_at=END + timedelta(hours=5), previous=first.number)
    window = {"starts_at": END, "ends_at": END + timedelta(hours=5)}
    await race(tx, source, BEFORE, **window, previous=first.number)
    with pytest.raises(races.ChainGap):  # one race alone follows another
        await race(tx, source, BEFORE, **window, previous=first.number)


async def test_a_correction_lowers_the_total_at_once(tx: Tx) -> None:
    """Baseline 100, then 160, 150 and 90: +60, -10, -60; the total of -10 is shown as 0 and does not rank."""
    source, made = await begun(tx, {"ann": "100"})
    for clock, total in (("10:00:00", "160"), ("11:00:00", "150")):
        await source.show(tx, at(clock), {"ann": total})
        await run(tx, at(clock))
    shown = await races.view(tx, number=made.number, now=at("11:00:00"))
    assert [(row.total_micro, row.rank, row.is_qualified, row.flags) for row in shown.rows] == [
        (50_000_000, 1, True, ("corrected",))
    ]
    await source.show(tx, at("12:00:00"), {"ann": "90"})
    await run(tx, at("12:00:00"))

    assert await receipts(tx, made) == [
        ("snap:2", "score", 60),
        ("snap:3", "correction", -10),
        ("snap:4", "correction", -60),
    ]
    shown = await races.view(tx, number=made.number, now=at("12:00:00"))
    assert [(row.total_micro, row.is_qualified) for row in shown.rows] == [(0, False)]
    assert [line.total_micro for line in await races.lines(tx, number=made.number)] == [-10_000_000]


async def test_the_history_of_a_total_ends_at_the_total(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    for clock, total in (("10:00:00", "160"), ("11:00:00", "150"), ("12:00:00", "175")):
        await source.show(tx, at(clock), {"ann": total})
        await run(tx, at(clock))
    cursor = await tx.execute(
        """
        select happened_at, kind, delta / 1000000, total / 1000000, seq from races.wager_history
        where competition_id = %s order by happened_at""",
        [made.competition_id],
    )
    assert await cursor.fetchall() == [
        (at("10:00:00"), "score", 60, 60, 2),
        (at("11:00:00"), "correction", -10, 50, 3),
        (at("12:00:00"), "score", 25, 75, 4),
    ]


async def test_a_board_says_who_has_risen_within_the_hour(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "120", "bob": "110"})
    await run(tx, at("10:00:00"))
    await competitions.take_snapshots(tx, now=at("10:00:00"))
    await source.show(tx, at("11:00:00"), {"ann": "120", "bob": "130", "cid": "5"})
    await run(tx, at("11:00:00"))
    shown = await races.view(tx, number=made.number, now=at("11:00:00"))
    assert [(row.total_micro // 10**6, row.rank, row.trend) for row in shown.rows] == [
        (30, 1, 1),
        (20, 2, -1),
        (5, 3, None),
    ]


async def test_who_was_never_above_his_baseline_is_no_entrant(tx: Tx) -> None:
    """A fall before the first rise: the first submission is everything since the baseline, not the last change."""
    source, made = await begun(tx, {"ann": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "90"})
    await run(tx, at("10:00:00"))
    assert await scores(tx, made) == {}
    await source.show(tx, at("11:00:00"), {"ann": "103"})
    await run(tx, at("11:00:00"))
    assert await receipts(tx, made) == [("snap:3", "score", 3)]


async def test_a_newcomer_counts_whole_and_a_doubted_one_from_his_first_number(tx: Tx) -> None:
    """75 of a uid absent from a complete picture is 75; quarantined in it, it is 0 and his next 5 are 5."""
    source, made = await begun(tx, {"ann": "100", "odd": "-1"})
    await source.show(tx, at("10:00:00"), {"ann": "101", "new": "75", "odd": "75"})
    await run(tx, at("10:00:00"))
    assert await scores(tx, made) == {"ann": 1, "new": 75}
    await source.show(tx, at("11:00:00"), {"ann": "101", "new": "75", "odd": "80"})
    await run(tx, at("11:00:00"))
    assert await scores(tx, made) == {"ann": 1, "new": 75, "odd": 5}
    kinds = await db.value(
        tx, "select array_agg(kind order by kind) from races.baselines where competition_id = %s", made.competition_id
    )
    assert kinds == ["first_seen", "zero"]
    await source.show(tx, FINAL, {"ann": "101", "new": "75", "odd": "80"})
    assert (await settled(tx, made)).status == "completed"


async def test_a_partial_picture_says_nothing_about_who_is_missing(tx: Tx) -> None:
    source = await feed(tx, coverage="partial")
    await source.show(tx, BEFORE, {"ann": "100"})
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    await source.show(tx, at("10:00:00"), {"new": "75"})
    await source.show(tx, at("11:00:00"), {"new": "80"})
    await run(tx, at("11:00:00"))
    assert await scores(tx, made) == {"new": 5}


async def test_a_large_newcomer_in_a_paid_place_keeps_the_payment_waiting(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "101", "whale": "50000"})
    await run(tx, at("10:00:00"))
    shown = await races.view(tx, number=made.number, now=at("10:00:00"))
    assert [(row.total_micro, row.flags) for row in shown.rows] == [(50_000_000_000, ("held",)), (1_000_000, ())]
    await source.show(tx, FINAL, {"ann": "101", "whale": "50000"})
    frozen = await settled(tx, made)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["open_hold"])


async def test_a_vanished_player_in_a_paid_place_keeps_the_payment_waiting(tx: Tx) -> None:
    crowd: dict[str, str | None] = {f"u{n}": "5" for n in range(20)}
    source, made = await begun(tx, {**crowd, "ann": "100"})
    await source.show(tx, at("10:00:00"), {**crowd, "ann": "120"})
    await source.show(tx, FINAL, crowd)
    frozen = await settled(tx, made)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["stale_in_paid_place"])
    assert await scores(tx, made) == {"ann": 20}


async def test_a_big_correction_of_a_paid_total_keeps_the_payment_waiting(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "200", "bob": "200"})
    await source.show(tx, FINAL, {"ann": "189", "bob": "200"})  # 11 of 89, more than a tenth
    frozen = await settled(tx, made)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["big_correction"])


async def test_a_final_snapshot_of_the_next_day_is_late(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    assert (await settled(tx, made, at("21:00:00"))).phase == "collecting"
    late = at("22:15:01")
    await source.show(tx, late, {"ann": "110"})
    frozen = await settled(tx, made, late)
    assert (frozen.phase, frozen.review_reasons) == ("review", ["late_final"])


@pytest.mark.parametrize("looks", [(1, 1, 1), (0, 0, 1), (0, 2, 1), (1, 0, 3)])
async def test_order_and_repetition_of_looks_do_not_matter(tx: Tx, looks: tuple[int, ...]) -> None:
    """Looked at after each snapshot, after all of them, or several times: the same receipts and totals."""
    steps = [{"ann": "110", "bob": "50"}, {"ann": "105", "bob": "70"}, {"ann": "125", "bob": "70", "cid": "3"}]
    source, made = await begun(tx, {"ann": "100", "bob": "50"})
    for hour, (totals, times) in enumerate(zip(steps, looks, strict=True), 10):
        await source.show(tx, at(f"{hour}:00:00"), totals)
        for _ in range(times):
            await races.on_snapshot_many(tx, [made.competition_id], now=at(f"{hour}:00:00"))
    assert await races.on_snapshot_many(tx, [made.competition_id], now=at("13:00:00")) == 0
    assert await scores(tx, made) == {"ann": 25, "bob": 20, "cid": 3}
    assert sorted(await receipts(tx, made)) == [
        ("snap:2", "score", 10),
        ("snap:3", "correction", -5),
        ("snap:3", "score", 20),
        ("snap:4", "score", 3),
        ("snap:4", "score", 20),
    ]


async def test_a_snapshot_after_the_final_picture_is_not_in_the_race_but_in_the_next(tx: Tx) -> None:
    source, made = await begun(tx, {"ann": "100"})
    window = {"starts_at": END, "ends_at": END + timedelta(hours=5), "previous": made.number}
    following = await race(tx, source, START, **window)
    await source.show(tx, FINAL, {"ann": "110"})
    await source.show(tx, at("20:40:00"), {"ann": "999"})
    await races.on_snapshot_many(tx, [made.competition_id], now=at("20:41:00"))
    done = await settled(tx, made, at("20:45:00"))
    assert (done.status, await scores(tx, made)) == ("completed", {"ann": 10})
    assert await scores(tx, following) == {"ann": 889}
    shown = await races.view(tx, number=made.number, now=at("20:45:00"))
    assert shown.final and shown.final.fetched_at == FINAL


async def test_a_score_that_the_pictures_do_not_bear_out_is_never_frozen(tx: Tx) -> None:
    _, made = await setup_r(tx)
    await races.on_snapshot_many(tx, [made.competition_id], now=at("12:00:00"))
    await run_until_live(tx, made)
    await db.run(
        tx,
        """
        update competitions.scores s set score = score + 1 from competitions.competitions c
        where c.id = %s and s.list_id = c.list_id
          and s.entrant_id = (select min(entrant_id) from competitions.scores where list_id = c.list_id)""",
        made.competition_id,
    )
    stuck = await settled(tx, made, at("20:30:00"))
    assert (stuck.phase, stuck.standings_hash) == ("collecting", None)
    assert await db.value(
        tx, "select review_reasons from races.races where competition_id = %s", made.competition_id
    ) == ["recompute_mismatch"]
    assert (await races.settle(tx, number=made.number, now=at("21:00:00"))).waits_for == "recompute"
    assert await competitions.rewards(tx, competition_id=made.competition_id) == []
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 50_000


async def run_until_live(tx: Tx, made: Race) -> None:
    """Goes live and counts what both captures brought, without ending."""
    await run(tx, at("19:59:59"))
    assert len(await scores(tx, made)) == 13


async def test_there_are_no_standings_before_the_start(tx: Tx) -> None:
    source = await feed(tx)
    await source.show(tx, at("07:00:00"), {"ann": "100"})
    made = await race(tx, source, at("07:00:00"))
    assert made.number not in await races.due(tx, now=START - timedelta(microseconds=1))
    with pytest.raises(races.NotStarted):
        await races.standings(tx, number=made.number, now=at("08:00:00"))
    with pytest.raises(races.NotStarted):
        await races.lines(tx, number=made.number)
    assert made.number in await races.due(tx, now=START)
    assert (await races.advance(tx, number=made.number, now=START)).steps[0] == "started"
    assert (await races.standings(tx, number=made.number, now=START)).status == "live"


async def test_without_a_final_picture_nothing_is_settled(tx: Tx) -> None:
    _, made = await begun(tx, {"ann": "100"})
    with pytest.raises(races.NoFinalPicture) as refused:
        await races.settle(tx, number=made.number, now=FINAL)
    assert refused.value.facts == {"number": made.number, "due_at": at("20:15:00")}
    with pytest.raises(races.NoSuchRace):
        await races.settle(tx, number=10**9, now=FINAL)


async def test_feed_dead_in_the_middle_loses_nothing(tx: Tx) -> None:
    """Three hours of silence: stale after 30 minutes and unchanged; the next snapshot gives what a run without has."""
    steps = {f"{hour}:{minute}:00": hour * 60 + int(minute) for hour in range(9, 15) for minute in ("00", "15", "30")}
    runs = []
    for silent in (False, True):
        source, made = await begun(tx, {"ann": "1000", "bob": "1000"})
        for clock, played in steps.items():
            if silent and 10 <= int(clock.partition(":")[0]) < 13:
                continue
            await source.show(tx, at(clock.zfill(8)), {"ann": str(1000 + played), "bob": str(1000 + played % 7)})
            await run(tx, at(clock.zfill(8)))
            if silent and clock == "9:30:00":
                await require_silence(tx, made, at("09:30:00"))
        shown = await races.view(tx, number=made.number, now=at("14:30:00"))
        runs.append((await scores(tx, made), shown.is_stale, [row.total_micro for row in shown.rows]))
    assert runs[0] == runs[1] == ({"ann": 870, "bob": 2}, False, [870_000_000, 2_000_000])


async def require_silence(tx: Tx, made: Race, since: datetime) -> None:
    """The board of then, and the mark that it is old once 30 minutes have gone."""
    before = await races.view(tx, number=made.number, now=since)
    for minutes, is_stale in ((30, False), (31, True), (180, True)):
        now = since + timedelta(minutes=minutes)
        await run(tx, now)
        shown = await races.view(tx, number=made.number, now=now)
        assert (shown.is_stale, shown.as_of, shown.rows) == (is_stale, since, before.rows)


async def test_a_week_that_begins_again_in_the_middle_of_a_race_changes_nothing(tx: Tx) -> None:
    """From Saturday to Tuesday; the column of the week falls to 0 on Monday, as feeds do it, or never."""
    found = []
    for resets in (True, False):
        source = await feed(tx)
        made = None
        for day, hour, played in ((22, 0, 0), (23, 12, 40), (24, 1, 55), (24, 12, 61), (25, 0, 70)):
            moment = datetime(2025, 3, day, hour, 20 if day == 25 else 0, tzinfo=UTC)
            week = played - 40 if resets and day >= 24 else played
            wagered = {"today": 0, "this_week": week, "this_month": 300 + played, "all_time": 1000 + played}
            await source.take(tx, json.dumps({"data": [{"uid": "ann", "wagered": wagered}]}).encode(), moment)
            window = {"starts_at": at("00:00:00", day=22), "ends_at": at("00:00:00", day=25)}
            made = made or await race(tx, source, moment, **window)
            await run(tx, moment)
        assert made
        done = await competitions.get(tx, competition_id=made.competition_id)
        found.append((done.status, await scores(tx, made), await receipts(tx, made)))
    assert found[0] == found[1]
    assert found[0][:2] == ("completed", {"ann": 70})


async def test_equal_totals_share_a_rank_and_their_places(tx: Tx) -> None:
    """500.00: three tied on rank 2 get 50.00 each, ranks 1, 2, 2, 2, 5."""
    totals = {"a": 100, "b": 50, "c": 50, "d": 50, "e": 40}
    source, made = await begun(tx, dict.fromkeys(totals, "1000"))
    await source.show(tx, FINAL, {uid: str(1000 + total) for uid, total in totals.items()})
    await settled(tx, made)
    found = [(line.uid, line.rank, line.prize) for line in await races.lines(tx, number=made.number)]
    assert found == [("a", 1, 25000), ("b", 2, 5000), ("c", 2, 5000), ("d", 2, 5000), ("e", 5, 2500)]


async def test_the_odd_cent_goes_to_the_one_who_was_there_earlier(tx: Tx) -> None:
    """Two tied on rank 5: 21.88 to the earlier, 21.87 to the other; three on rank 10: 4.17, 4.17, 4.16."""
    totals = {"a": 90, "b": 80, "c": 70, "d": 60, "late": 50, "soon": 50, "g": 40, "h": 30, "i": 20}
    totals |= {"x": 9, "y": 9, "z": 9}
    source, made = await begun(tx, dict.fromkeys(totals, "1000"))
    reached = {uid: str(1000 + (0 if uid == "late" else total)) for uid, total in totals.items()}
    await source.show(tx, at("10:00:00"), reached)
    await source.show(tx, FINAL, {uid: str(1000 + total) for uid, total in totals.items()})
    await settled(tx, made)
    found = [(line.uid, line.rank, line.prize) for line in await races.lines(tx, number=made.number)]
    assert found[4:6] == [("soon", 5, 2188), ("late", 5, 2187)]
    assert found[9:] == [("x", 10, 417), ("y", 10, 417), ("z", 10, 416)]


async def test_standings_can_be_rebuilt_from_the_archived_payloads(tx: Tx, tmp_path: Path) -> None:
    """The two bodies that lie in the archive alone give the lines, and with them the hash, of the frozen standings."""
    storage = Storage(tmp_path)
    source = await feed(tx)
    for body, fetched_at in ((T1, at("08:21:15")), (T2, at("20:28:00"))):
        payload = await affiliates.archive(storage, body=body, received_at=fetched_at)
        await affiliates.ingest(tx, feed_id=source.upload_feed_id, payload=payload, fetched_at=fetched_at)  # type: ignore[arg-type]
        if body == T1:
            made = await race(tx, source, at("12:00:00"))
    await run(tx, at("20:30:00"))
    shown = await races.view(tx, number=made.number, now=at("20:30:00"))
    before, after = [
        {row["uid"]: row["wagered"]["all_time"] for row in parsed(await archived(tx, storage, picture))}
        for picture in (shown.start, shown.final)
    ]
    totals = {uid: micro(after[uid]) - micro(before.get(uid, 0)) for uid in after}
    ranked = sorted((uid for uid in totals if totals[uid] > 0), key=lambda uid: (-totals[uid], uid))
    ids = await player_ids(tx, source)
    reached = int(END.timestamp()) * 10**6 - 1  # T2 came after the end, so its wagers count as made just before it
    lines = [f"{place}|{place}|player:{ids[uid]}|{totals[uid]}|0|{reached}|true" for place, uid in enumerate(ranked, 1)]
    rebuilt = sha256("\n".join(lines).encode()).hexdigest()
    kept = "select metadata ->> 'standings_hash' from competitions.archives where competition_id = %s"
    assert shown.standings_sha256 == await db.value(tx, kept, made.competition_id) == rebuilt


async def archived(tx: Tx, storage: Storage, picture: Picture | None) -> bytes:
    """The bytes behind a picture, which are those that the page names."""
    assert picture
    payload = await affiliates.stored_payload(tx, snapshot_id=SnapshotId(picture.snapshot_id))
    body = await affiliates.restore(storage, payload=payload)
    assert sha256(body).hexdigest() == picture.sha256
    return body


def parsed(body: bytes) -> list[dict[str, dict[str, object]]]:
    found: list[dict[str, dict[str, object]]] = json.loads(body, parse_float=Decimal)["data"]
    return found


def micro(value: object) -> int:
    return int(Decimal(str(value)).quantize(Decimal("0.000001")) * 10**6)


async def player_ids(tx: Tx, source: Feed) -> dict[str, str]:
    statement = "select uid, id::text from affiliates.players where programme_id = %s"
    cursor = await tx.execute(statement, [source.programme_id])
    return dict(await cursor.fetchall())


@pytest.mark.parametrize("players", [10, 300])
async def test_the_number_of_statements_does_not_grow_with_the_players(
    tx: Tx, statements: list[str], players: int
) -> None:
    """A look costs at most 25 statements a race and two for each 10,000 submissions."""
    crowd: dict[str, str | None] = {f"u{n}": "5" for n in range(players)}
    source, made = await begun(tx, crowd)
    await source.show(tx, at("10:00:00"), dict.fromkeys(crowd, "6"))
    statements.clear()
    assert await races.on_snapshot_many(tx, [made.competition_id], now=at("10:00:00")) == 1
    entering = len(statements)
    await source.show(tx, at("11:00:00"), dict.fromkeys(crowd, "8"))
    statements.clear()
    assert await races.on_snapshot_many(tx, [made.competition_id], now=at("11:00:00")) == 1
    assert (entering, len(statements)) == (22, 12)
    assert len(await scores(tx, made)) == players


async def test_who_was_stale_at_the_start_begins_at_his_last_known_total(tx: Tx) -> None:
    crowd: dict[str, str | None] = {f"u{n}": "5" for n in range(12)}
    source = await feed(tx)
    await source.show(tx, at("07:00:00"), {**crowd, "gone": "100"})
    await source.show(tx, BEFORE, crowd)
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    await source.show(tx, at("10:00:00"), {**crowd, "gone": "130"})
    await source.show(tx, FINAL, {**crowd, "gone": "130"})
    assert ((await settled(tx, made)).status, await scores(tx, made)) == ("completed", {"gone": 30})
    kept = "select kind || ' ' || value_micro from races.baselines where competition_id = %s"
    assert await db.value(tx, kept, made.competition_id) == "last_known 100000000"


async def test_whose_row_was_not_believed_at_the_start_begins_at_his_first_number(tx: Tx) -> None:
    """Known as 100 before, quarantined when the race is opened: 150 is where he begins, 160 is 10."""
    source = await feed(tx)
    await source.show(tx, at("07:00:00"), {"ann": "7", "odd": "100"})
    await source.show(tx, BEFORE, {"ann": "7", "odd": "-1"})
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    kept = "select kind from races.baselines where competition_id = %s"
    assert await db.value(tx, kept, made.competition_id) == "unknown"
    await source.show(tx, at("10:00:00"), {"ann": "7", "odd": "150"})
    await run(tx, at("10:00:00"))
    assert (await scores(tx, made), await db.value(tx, kept, made.competition_id)) == ({}, "first_seen")
    await source.show(tx, FINAL, {"ann": "7", "odd": "160"})
    assert ((await settled(tx, made)).status, await scores(tx, made)) == ("completed", {"odd": 10})


async def test_a_linked_winner_is_named_as_he_chose_and_paid(tx: Tx) -> None:
    user = await identity.create(tx, username="speedy", display_name="Speedy", kind="person", now=BEFORE)
    source, made = await begun(tx, {"ann": "100", "bob": "100"})
    await source.show(tx, at("10:00:00"), {"ann": "120", "bob": "110"})
    await run(tx, at("10:00:00"))
    first = "select min(entrant_id) from competitions.participants where competition_id = %s"
    entrant_id = await db.value(tx, first, made.competition_id)
    await db.run(tx, "update competitions.entrants set user_id = %s where id = %s", user.id, entrant_id)
    await source.show(tx, FINAL, {"ann": "120", "bob": "110"})
    await settled(tx, made)
    shown = await races.view(tx, number=made.number, now=FINAL)
    assert [(row.name, row.prize, row.reward_status) for row in shown.rows] == [
        ("Speedy", 25_000, "paid"),
        ("nam***", 7_500, "unclaimed"),
    ]
    assert shown.rows[1].claim_by == FINAL + timedelta(days=30)
    assert await ledger.balances_many(tx, owner_ids=[user.id], asset="USD") == {user.id: 25_000}
    assert shown.undistributed == 50_000 - 32_500


async def test_a_race_is_paid_when_its_review_is_over(tx: Tx) -> None:
    source = await feed(tx)
    await source.show(tx, BEFORE, {"ann": "100"})
    made = await race(tx, source, BEFORE, review_h=24)
    await run(tx, START)
    await source.show(tx, FINAL, {"ann": "110"})
    assert (await settled(tx, made)).phase == "review"
    assert (await races.advance(tx, number=made.number, now=FINAL)).waits_for == "review"
    later = await races.advance(tx, number=made.number, now=FINAL + timedelta(hours=24))
    assert later.steps == ("settled", "settled", "settled", "done")
    assert (later.status, later.stage, later.waits_for) == ("completed", "done", None)
