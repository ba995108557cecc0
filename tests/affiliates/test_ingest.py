"""Real captures give exactly what was computed by hand; what is not believed changes nothing."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Tx
from palio.infra.storage import Storage
from palio.kernel.ids import new_id
from tests.affiliates.conftest import Send
from tests.factories.affiliates import QUARTER, T1, T2, body, fixture, ingest, row

CAPTURE_1, CAPTURE_2 = fixture("affiliate_snapshot_T1"), fixture("affiliate_snapshot_T2")


async def rows_of(tx: Tx, statement: str, *values: object) -> list[tuple[object, ...]]:
    return await (await tx.execute(statement, values)).fetchall()  # type: ignore[arg-type]  # tests write their own


async def readings(tx: Tx, programme: types.Programme) -> dict[str, int | None]:
    """The all-time totals of everybody now, in whole units."""
    found = await rows_of(
        tx, "select uid, all_time_micro from affiliates.players where programme_id = %s order by no", programme.id
    )
    return {str(uid): None if micro is None else int(str(micro)) // 1_000_000 for uid, micro in found}


async def anomalies(tx: Tx, programme: types.Programme) -> list[tuple[str | None, str]]:
    """Uid and code of each anomaly, oldest first."""
    return [(found.uid, found.code) for found in reversed(await affiliates.anomalies(tx, programme_id=programme.id))]


async def test_a_first_capture_is_read_to_the_last_digit(send: Send) -> None:
    """Acceptance 1."""
    first = await send(CAPTURE_1, T1)
    assert (first.status, first.shape, first.complete, first.seq) == ("applied", "flat", True, 1)
    assert (first.rows_total, first.accepted, first.quarantined, first.new_players) == (127, 127, 0, 127)
    sums = (first.sum_today_micro, first.sum_week_micro, first.sum_month_micro, first.sum_all_time_micro)
    assert sums == (1_034_096_947, 14_278_682_678, 535_161_854_344, 3_018_947_973_505)
    assert (first.anomaly_counts, first.delta_micro) == ({"column_lag": 7}, 0)
    assert (first.sha256.hex()[:8], first.sha256.hex()[-4:]) == ("02ba421e", "4202")


async def test_a_second_capture_stores_what_changed(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 2."""
    await send(CAPTURE_1, T1)
    months = "select uid, month_micro from affiliates.players where programme_id = %s order by no"
    months_before = await rows_of(tx, months, programme.id)
    second = await send(CAPTURE_2, T2)
    counts = (second.changed, second.all_time_changed, second.corrections, second.vanished, second.new_players)
    assert counts == (20, 13, 0, 0, 0)
    assert (second.delta_micro, second.sum_all_time_micro) == (450_299_844, 3_019_398_273_349)
    assert await rows_of(tx, months, programme.id) == months_before
    assert second.anomaly_counts == {"column_lag": 7}
    kinds = "select kind, count(*) from affiliates.stats where snapshot_id = %s group by kind order by kind"
    assert await rows_of(tx, kinds, second.id) == [("change", 13), ("columns_only", 7)]
    assert [found for _, found in await anomalies(tx, programme)] == ["column_lag"] * 8  # one of seven left, one came


async def test_the_same_bytes_again_move_only_the_time(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 3; and the short way says what the long one would."""
    await send(CAPTURE_1, T1)
    second = await send(CAPTURE_2, T2)
    third = await send(CAPTURE_2, T2 + QUARTER)
    assert (third.status, third.seq, third.changed, third.as_of) == ("applied", 3, 0, T2 + QUARTER)
    assert await rows_of(tx, "select count(*) from affiliates.stats where snapshot_id = %s", third.id) == [(0,)]
    payloads = "select count(*) from affiliates.payloads where feed_id = %s"
    assert await rows_of(tx, payloads, programme.upload_feed_id) == [(2,)]
    fourth = await send(CAPTURE_2 + b"\n", T2 + 2 * QUARTER)
    judged = ("anomaly_counts", "accepted", "rows_total", "sum_today_micro", "sum_all_time_micro", "complete", "shape")
    assert [getattr(third, name) for name in judged] == [getattr(fourth, name) for name in judged]
    assert (fourth.changed, fourth.delta_micro, second.sha256 == third.sha256 != fourth.sha256) == (0, 0, True)
    states = "select state from affiliates.cycles where feed_id = %s order by due_at"
    assert await rows_of(tx, states, programme.upload_feed_id) == [
        ("applied",),
        ("applied",),
        ("unchanged",),
        ("unchanged",),
    ]


async def test_the_differences_equal_those_computed_by_hand(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 4."""
    await send(CAPTURE_1, T1)
    await send(CAPTURE_2, T2)
    changes = await affiliates.changes_since(tx, programme_id=programme.id, seq=1, through_seq=2, limit=1_000)
    ours = {change.uid: change.after_micro - (change.before_micro or 0) for change in changes}
    expected = json.loads(fixture("expected_race_deltas_T1_T2"))["pairs"]["T1->T2"]["ranking"]
    assert ours == {line["uid"]: int(Decimal(line["delta_all_time"]).scaleb(6)) for line in expected}
    assert ours["5XLJobqamfk6lZCvYKGR"] == 70_628_429


async def test_a_part_of_the_network_is_applied_only_where_parts_are_expected(
    tx: Tx, code: str, send: Send, storage: Storage
) -> None:
    """Acceptance 7."""
    sample = fixture("internal_grouped_leaderboard_sample")
    doubted = await send(sample, T2)
    assert (doubted.status, doubted.reason, doubted.seq) == ("suspicious", "incomplete", None)
    assert (doubted.shape, doubted.rows_total, doubted.total_users) == ("grouped", 20, 127)
    partial = await affiliates.ensure_programme(tx, code=f"{code}-part", coverage="partial")
    believed = await ingest(tx, partial, sample, T2, storage)
    assert (believed.status, believed.new_players, believed.complete) == ("applied", 20, False)
    assert believed.as_of.isoformat() == "2025-03-26T08:21:15.578000+00:00"


async def test_a_list_that_shrinks_by_half_is_doubted(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 8."""
    data = json.loads(CAPTURE_1)["data"]
    await send(CAPTURE_1, T1)
    doubted = await send(body(*data[:63]), T1 + QUARTER)
    assert (doubted.status, doubted.reason) == ("suspicious", "shrink")
    believed = await send(body(*data[:64]), T1 + 2 * QUARTER)
    assert (believed.status, believed.seq, believed.vanished) == ("applied", 2, 63)
    assert believed.anomaly_counts["mass_vanish"] == 1
    stale = """
        select stale_since, count(*), count(all_time_micro) from affiliates.players
        where programme_id = %s and stale_since is not null group by stale_since"""
    assert await rows_of(tx, stale, programme.id) == [(T1 + 2 * QUARTER, 63, 63)]
    back = await send(CAPTURE_2, T2)
    assert (back.vanished, back.changed) == (0, 20)
    assert await rows_of(tx, stale, programme.id) == []


async def test_a_list_of_zeros_is_doubted(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 8, its last sentence."""
    await send(CAPTURE_1, T1)
    before = await readings(tx, programme)
    zeros = [row(line["uid"], 0, name=line["name"]) for line in json.loads(CAPTURE_1)["data"]]
    doubted = await send(body(*zeros), T1 + QUARTER)
    assert (doubted.status, doubted.reason, doubted.changed) == ("suspicious", "mass_correction", 0)
    assert await readings(tx, programme) == before


async def test_a_fall_is_stored_and_told(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Acceptance 9, as far as stored rows tell."""
    await send(body(row("a", 100)), T1)
    second = await send(body(row("a", 90)), T2)
    assert (second.corrections, second.delta_micro, second.anomaly_counts) == (1, -10_000_000, {"correction": 1})
    stored = "select kind, all_time_micro, delta_micro from affiliates.stats where snapshot_id = %s"
    assert await rows_of(tx, stored, second.id) == [("correction", 90_000_000, -10_000_000)]
    (change,) = await affiliates.changes_since(tx, programme_id=programme.id, seq=1, through_seq=2, limit=10)
    assert (change.before_micro, change.after_micro, change.kind) == (100_000_000, 90_000_000, "correction")
    assert await anomalies(tx, programme) == [("a", "correction")]


async def test_rows_without_a_believable_identity_make_no_player(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    """Acceptance 10."""
    snapshot = await send(
        body(row("a", all_time=True), row("unknown", 1), row("unknown", 2), {**row("x"), "uid": True}), T1
    )
    assert (snapshot.accepted, snapshot.quarantined, snapshot.new_players) == (0, 4, 0)
    held = await affiliates.held_rows(tx, programme_id=programme.id)
    assert sorted((line.row_no, line.reason, line.uid) for line in held) == [
        (1, "bad_number", "a"),
        (2, "missing_uid", None),
        (3, "missing_uid", None),
        (4, "bad_uid", None),
    ]
    assert json.loads(held[-1].row)["wagered"]["all_time"] is True
    assert await readings(tx, programme) == {}


@pytest.mark.parametrize("content", [CAPTURE_1, CAPTURE_2])
async def test_what_is_not_later_is_refused(tx: Tx, programme: types.Programme, send: Send, content: bytes) -> None:
    """Acceptance 15."""
    await send(CAPTURE_2, T2)
    before = await readings(tx, programme)
    for at in (T1, T2):
        with pytest.raises(affiliates.OutOfOrder):
            await send(content, at)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).seq == 1
    assert await readings(tx, programme) == before


async def test_whoever_chose_the_id_may_repeat(tx: Tx, programme: types.Programme, storage: Storage) -> None:
    payload = await affiliates.archive(storage, body=CAPTURE_1, received_at=T1)
    chosen = types.SnapshotId(new_id())
    first, again = [
        await affiliates.ingest(
            tx, feed_id=programme.upload_feed_id, payload=payload, fetched_at=T1, snapshot_id=chosen
        )
        for _ in range(2)
    ]
    assert (first, first.id) == (again, chosen)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).seq == 1


async def test_an_empty_list_is_doubted_once_there_are_players(send: Send) -> None:
    assert (await send(body(), T1)).status == "applied"
    await send(body(row("a", 1)), T1 + QUARTER)
    doubted = await send(body(), T2)
    assert (doubted.status, doubted.reason) == ("suspicious", "empty")


async def test_one_page_of_two_is_doubted(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Pitfall: 100 of 140 players are a part, and no settlement rests on it."""
    page = [row(f"p{number:03}", 1) for number in range(100)]
    doubted = await send(body(*page, metadata={"totalUsers": 100, "totalPages": 2}), T1)
    assert (doubted.status, doubted.reason) == ("suspicious", "incomplete")
    rest = [row(f"p{number:03}", 1) for number in range(100, 140)]
    assert (await send(body(*page, *rest, metadata={"totalUsers": 140, "totalPages": 1}), T2)).new_players == 140


async def test_a_feed_may_have_a_smaller_limit(tx: Tx, programme: types.Programme, send: Send) -> None:
    await tx.execute("update affiliates.feeds set max_bytes = 1024 where id = %s", [programme.upload_feed_id])
    with pytest.raises(affiliates.BodyTooLarge):
        await send(CAPTURE_1, T1)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).seq == 0


async def test_a_provider_whose_time_runs_back_is_doubted(send: Send) -> None:
    first = await send(body(row("a", 1), metadata={"lastUpdated": "2025-03-26T08:00:00Z"}), T1)
    doubted = await send(body(row("a", 2), metadata={"lastUpdated": "2025-03-26T07:59:59Z"}), T2)
    assert (first.as_of.hour, doubted.status, doubted.reason) == (8, "suspicious", "upstream_regress")


async def test_a_provider_whose_time_is_ahead_is_not_believed_about_it(send: Send) -> None:
    content = body(row("a", 1), metadata={"lastUpdated": "2025-03-26T08:30:00Z"})
    first = await send(content, T1)
    assert (first.upstream_at, first.as_of, first.anomaly_counts) == (None, T1, {"upstream_future": 1})
    later = await send(content, T2)
    assert (later.as_of.minute, later.anomaly_counts) == (30, {})


async def test_too_many_rows_that_cannot_be_read_are_doubted(send: Send) -> None:
    fine, bad = [row(f"p{number}", 1) for number in range(8)], [row(f"q{number}", "x") for number in range(3)]
    assert (await send(body(*fine, *bad[:2]), T1)).status == "applied"
    doubted = await send(body(*fine, *bad), T2)
    assert (doubted.status, doubted.reason, doubted.quarantined) == ("suspicious", "mostly_quarantined", 3)


async def test_unknown_numbers_keep_the_last_known_ones(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 5, today=1, week=2, month=3)), T1)
    second = await send(body({"uid": "a", "name": "name of a", "wagered": {"today": 4}}), T2)
    numbers = "select today_micro, week_micro, month_micro, all_time_micro from affiliates."
    assert await rows_of(tx, f"{numbers}players where programme_id = %s", programme.id) == [
        (4_000_000, 2_000_000, 3_000_000, 5_000_000)
    ]
    assert await rows_of(tx, f"{numbers}stats where snapshot_id = %s", second.id) == [(4_000_000, None, None, None)]
    assert second.anomaly_counts == {"all_time_missing": 1, "schema_drift": 1}


async def test_a_total_that_becomes_known_counts_nothing(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body({"uid": "a", "wagered": {"today": 1}}), T1)
    second = await send(body(row("a", 7_000)), T2)
    assert (second.delta_micro, second.new_players, second.changed) == (0, 0, 1)
    (change,) = await affiliates.changes_since(tx, programme_id=programme.id, seq=0, through_seq=2, limit=10)
    assert (change.seq, change.kind, change.before_micro, change.after_micro) == (2, "first", None, 7_000_000_000)


async def test_who_joins_a_complete_list_counts_from_nothing(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 1)), T1)
    second = await send(body(row("a", 1), row("b", 10_000), row("c", "10000.000001")), T2)
    assert (second.new_players, second.delta_micro) == (2, 10_000_000_000)
    deltas = """
        select p.uid, s.kind, s.delta_micro from affiliates.stats s join affiliates.players p on p.id = s.player_id
        where s.snapshot_id = %s order by p.no"""
    assert await rows_of(tx, deltas, second.id) == [("b", "first", 10_000_000_000), ("c", "first", 0)]
    assert second.anomaly_counts == {"first_seen_jump": 1}
    assert await anomalies(tx, programme) == [("c", "first_seen_jump")]
    third = await send(body(row("a", 1), row("b", 10_000), row("c", 10_001)), T2 + QUARTER)
    assert (third.anomaly_counts, third.delta_micro) == ({}, 999_999)
    (player,) = [p for p in (await _players(tx, programme)) if p.uid == "c"]
    assert player.flags & types.Flag.FIRST_SEEN_JUMP


async def _players(tx: Tx, programme: types.Programme) -> list[types.Player]:
    ids = await rows_of(tx, "select id from affiliates.players where programme_id = %s order by no", programme.id)
    found = await affiliates.players_many(tx, [types.PlayerId(line[0]) for line in ids])  # type: ignore[arg-type]
    return [found[line[0]] for line in ids]  # type: ignore[index]


async def test_new_players_are_numbered_by_uid(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("m", 1), row("c", 1)), T1)
    await send(body(row("z", 1), row("m", 1), row("c", 1), row("a", 1)), T2)
    assert [(player.no, player.uid) for player in await _players(tx, programme)] == [
        (0, "c"),
        (1, "m"),
        (2, "a"),
        (3, "z"),
    ]


async def test_a_jump_is_held_until_a_second_snapshot_confirms_it(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    await send(body(row("a", 1_000), row("b", 1)), T1)
    jumped = body(row("a", 251_001), row("b", 2))
    held = await send(jumped, T1 + QUARTER)
    assert (held.quarantined, held.accepted, held.changed, held.delta_micro) == (1, 1, 1, 1_000_000)
    assert held.sum_all_time_micro == 2_000_000
    assert await readings(tx, programme) == {"a": 1_000, "b": 2}
    (line,) = await affiliates.held_rows(tx, programme_id=programme.id)
    assert (line.uid, line.reason, line.held_all_time_micro) == ("a", "jump", 251_001_000_000)
    confirmed = await send(jumped, T1 + 2 * QUARTER)
    assert (confirmed.quarantined, confirmed.delta_micro) == (0, 250_001_000_000)
    assert confirmed.anomaly_counts == {"jump_confirmed": 1}
    assert await readings(tx, programme) == {"a": 251_001, "b": 2}
    assert await affiliates.held_rows(tx, programme_id=programme.id) == []


async def test_a_jump_of_exactly_the_limit_is_believed(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 1_000)), T1)
    assert (await send(body(row("a", 251_000)), T2)).delta_micro == 250_000_000_000


async def test_a_jump_that_is_taken_back_never_counted(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 1_000)), T1)
    await send(body(row("a", 900_000)), T1 + QUARTER)
    smaller = await send(body(row("a", 800_000)), T1 + 2 * QUARTER)
    assert (smaller.quarantined, await readings(tx, programme)) == (1, {"a": 1_000})
    usual = await send(body(row("a", 1_005)), T2)
    assert (usual.quarantined, usual.delta_micro) == (0, 5_000_000)
    states = "select state from affiliates.quarantine where feed_id = %s order by id"
    assert await rows_of(tx, states, programme.upload_feed_id) == [("dismissed",), ("dismissed",)]


async def test_who_is_not_believed_has_not_vanished(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 1), row("b", 1)), T1)
    second = await send(body(row("a", "x"), row("b", 1)), T2)
    assert (second.vanished, second.quarantined) == (0, 1)
    marks = """
        select p.uid, a.mark, a.until from affiliates.absences a join affiliates.players p on p.id = a.player_id
        where p.programme_id = %s order by a.since"""
    assert await rows_of(tx, marks, programme.id) == [("a", 2, None)]
    third = await send(body(row("b", 1)), T2 + QUARTER)
    assert third.vanished == 1
    await send(body(row("a", 1), row("b", 1)), T2 + 2 * QUARTER)
    assert await rows_of(tx, marks, programme.id) == [("a", 2, T2 + QUARTER), ("a", 1, T2 + 2 * QUARTER)]


async def test_a_new_name_is_remembered_and_a_name_of_somebody_else_is_odd(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    await send(body(row("a", 1, name="Anna"), row("b", 1, name="Bo")), T1)
    second = await send(body(row("a", 1, name="Annabel"), row("b", 1, name="Bo")), T1 + QUARTER)
    assert (second.changed, second.anomaly_counts) == (1, {"renamed": 1})
    third = await send(
        body(row("a", 1, name="Annabel"), row("b", 1, name="Bo"), row("c", 1, name="ANNA")), T1 + 2 * QUARTER
    )
    assert third.anomaly_counts == {"name_reused": 1}
    names = """
        select n.name from affiliates.player_names n join affiliates.players p on p.id = n.player_id
        where p.programme_id = %s and p.uid = 'a' order by n.seen_at"""
    assert await rows_of(tx, names, programme.id) == [("Anna",), ("Annabel",)]
    await send(body(row("b", 1, name="Bo"), {"uid": "a", "all_time": 1}, row("c", 1, name="ANNA")), T2)
    assert [player.name for player in await _players(tx, programme)] == ["Annabel", "Bo", "ANNA"]


async def test_an_anomaly_is_written_when_it_appears(tx: Tx, programme: types.Programme, send: Send) -> None:
    lagging, fine = body(row("a", 9, today=2, week=1, month=5)), body(row("a", 9, today=2, week=3, month=5))
    for place, content in enumerate([lagging, lagging + b" ", fine, lagging]):
        await send(content, T1 + place * QUARTER)
    assert await anomalies(tx, programme) == [("a", "column_lag")] * 2


async def test_totals_and_users_that_do_not_fit_are_odd_once(tx: Tx, programme: types.Programme, send: Send) -> None:
    fits = row("a", 1, today=1, week=1, month=1)
    first = await send(body(fits, metadata={"totalUsers": 1}, today=2), T1)
    assert first.anomaly_counts == {"totals_mismatch": 1}
    many = [row(f"p{number}", 1) for number in range(10)]
    second = await send(body(fits, *many, metadata={"totalUsers": 12}, today=2), T2)
    assert second.anomaly_counts == {"total_users_jump": 1, "total_users_mismatch": 1, "totals_mismatch": 1}
    assert await anomalies(tx, programme) == [
        (None, "totals_mismatch"),
        (None, "total_users_mismatch"),
        (None, "total_users_jump"),
    ]


async def test_garbage_between_good_lists_leaves_everything_as_it_was(
    tx: Tx, programme: types.Programme, send: Send
) -> None:
    """Pitfall: HTML, an empty list, an empty object, half a list, then good again."""
    await send(body(row("a", 1), row("b", 1)), T1)
    for place, (content, outcome) in enumerate(
        [
            (b"<html>", affiliates.BadJson),
            (b"{}", affiliates.ShapeUnknown),
            (b'{"data": [{"uid": "a"', affiliates.BadJson),
        ],
        start=1,
    ):
        with pytest.raises(outcome):
            await send(content, T1 + place * QUARTER)
    assert (await send(b"[]", T1 + 5 * QUARTER)).reason == "empty"
    status = await affiliates.programme_status(tx, programme_id=programme.id)
    assert (status.seq, status.as_of) == (1, T1)
    assert status.is_stale(T1 + timedelta(minutes=31))
    assert not status.is_stale(T1 + timedelta(minutes=29))
    assert (await send(body(row("a", 1), row("b", 2)), T2)).seq == 2
    assert await readings(tx, programme) == {"a": 1, "b": 2}


async def test_a_programme_without_a_snapshot_is_stale(tx: Tx, programme: types.Programme) -> None:
    status = await affiliates.programme_status(tx, programme_id=programme.id)
    assert (status.as_of, status.seq, status.is_stale(T1)) == (None, 0, True)
    with pytest.raises(affiliates.NoSuchProgramme):
        await affiliates.programme(tx, code="nobody-knows-it")


async def test_the_number_of_statements_does_not_grow_with_the_rows(
    tx: Tx, programme: types.Programme, send: Send, tmp_path: Path
) -> None:
    """Section 7: at most 40 for a snapshot in which everything happens."""
    names = [f"p{number:03}" for number in range(200)]
    await send(body(*(row(name, 10) for name in names)), T1)
    happening = [row(name, 5, today=9, name="new name") for name in names[20:29]]
    happening += [row(name, 10) for name in names[29:150]] + [row(f"q{number}", 20_000) for number in range(200)]
    happening += [row("p000", 900_000), row("p001", "x"), row("p002", 11)]
    with (tmp_path / "trace").open("w+") as trace:
        tx.pgconn.trace(trace.fileno())
        snapshot = await send(body(*happening), T1 + timedelta(days=1))
        tx.pgconn.untrace()
        trace.seek(0)
        statements = sum("\tCommandComplete\t" in line for line in trace)
    assert (snapshot.status, snapshot.new_players, snapshot.corrections) == ("applied", 200, 9)
    assert 10 < statements <= 40
