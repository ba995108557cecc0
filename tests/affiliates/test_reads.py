"""What other modules are told: readings as of any snapshot, changes in order, names, links."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palio import affiliates
from palio.affiliates import types
from palio.affiliates.rules import Columns
from palio.infra import db, packing
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from tests.affiliates.conftest import Send
from tests.factories.affiliates import QUARTER, T1, T2, body, row

MICRO = 1_000_000


async def shown(tx: Tx, programme: types.Programme, snapshot: types.Snapshot) -> dict[str, tuple[int | None, str]]:
    """All-time total in whole units and kind, by uid, as of a snapshot."""
    found = await affiliates.readings_at(tx, programme_id=programme.id, snapshot_id=snapshot.id)
    return {
        reading.uid: (None if reading.all_time_micro is None else reading.all_time_micro // MICRO, reading.kind)
        for reading in found.values()
    }


@pytest.fixture
async def week(tx: Tx, programme: types.Programme, send: Send) -> list[types.Snapshot]:
    """Four snapshots: b vanishes and comes back, c joins, d is not believed in the third."""
    nobody = {"uid": "e", "wagered": {"today": 1}}
    bodies = [
        body(row("a", 1), row("b", 1), row("d", 1), nobody),
        body(row("a", 2), row("c", 5), row("d", 2), nobody),
        body(row("a", 3), row("c", 6), row("d", "?"), nobody),
        body(row("a", 3), row("b", 4), row("c", 6), row("d", 9), nobody),
    ]
    return [await send(content, T1 + place * QUARTER) for place, content in enumerate(bodies)]


EXPECTED = [
    {"a": (1, "listed"), "b": (1, "listed"), "d": (1, "listed"), "e": (None, "unknown")},
    {"a": (2, "listed"), "b": (1, "stale"), "d": (2, "listed"), "e": (None, "unknown"), "c": (5, "listed")},
    {"a": (3, "listed"), "b": (1, "stale"), "d": (2, "quarantined"), "e": (None, "unknown"), "c": (6, "listed")},
    {"a": (3, "listed"), "b": (4, "listed"), "d": (9, "listed"), "e": (None, "unknown"), "c": (6, "listed")},
]


async def test_readings_are_those_of_the_snapshot_asked_for(
    tx: Tx, programme: types.Programme, week: list[types.Snapshot]
) -> None:
    assert [await shown(tx, programme, snapshot) for snapshot in week] == EXPECTED


async def test_pictures_say_the_same_as_the_rows_they_spare(
    tx: Tx, programme: types.Programme, week: list[types.Snapshot]
) -> None:
    """Whether a picture is kept of this snapshot, of an older one, or of none."""
    await affiliates.keep_pictures_many(tx, [(week[1].id, "race", T2)])
    assert [await shown(tx, programme, snapshot) for snapshot in week] == EXPECTED
    await affiliates.keep_pictures_many(tx, [(snapshot.id, "race", None) for snapshot in week])
    assert [await shown(tx, programme, snapshot) for snapshot in week] == EXPECTED


async def test_a_picture_is_kept_once_for_all_its_reasons(tx: Tx, week: list[types.Snapshot]) -> None:
    chosen = week[2].id
    later = T2 + timedelta(days=90)
    await affiliates.keep_pictures_many(tx, [(chosen, "race", later), (chosen, "race", T2), (chosen, "daily", T2)])
    statement = "select reasons, keep_until, players, data, sha256 from affiliates.pictures where snapshot_id = %s"
    ((reasons, keep_until, players, data, _),) = await (await tx.execute(statement, [chosen])).fetchall()
    assert (reasons, keep_until, players) == (["race", "daily"], later, 5)
    columns = Columns.from_bytes(packing.unpack(data, size_max=5 * 33))
    assert list(columns.all_time) == [3 * MICRO, MICRO, 2 * MICRO, types.UNKNOWN, 6 * MICRO]
    assert list(columns.marks) == [0, 1, 2, 0, 0]
    with pytest.raises(affiliates.NoSuchSnapshot):
        await affiliates.keep_pictures_many(tx, [(types.SnapshotId(new_id()), "race", None)])


async def test_some_players_can_be_asked_for(tx: Tx, programme: types.Programme, week: list[types.Snapshot]) -> None:
    everybody = await affiliates.readings_at(tx, programme_id=programme.id, snapshot_id=week[1].id)
    some = [player_id for player_id, reading in everybody.items() if reading.uid in {"a", "c"}]
    found = await affiliates.readings_at(tx, programme_id=programme.id, snapshot_id=week[1].id, player_ids=some)
    assert found == {player_id: everybody[player_id] for player_id in some}
    with pytest.raises(affiliates.NoSuchSnapshot):
        await affiliates.readings_at(tx, programme_id=types.ProgrammeId(new_id()), snapshot_id=week[1].id)


async def test_changes_come_in_order_and_by_whole_snapshots(
    tx: Tx, programme: types.Programme, week: list[types.Snapshot]
) -> None:
    async def told(seq: int, through: int, limit: int) -> list[tuple[int, str, int | None, int, str]]:
        changes = await affiliates.changes_since(
            tx, programme_id=programme.id, seq=seq, through_seq=through, limit=limit
        )
        return [(c.seq, c.uid, c.before_micro, c.after_micro // MICRO, c.kind) for c in changes]

    first = [(1, "a", None, 1, "first"), (1, "b", None, 1, "first"), (1, "d", None, 1, "first")]
    second = [(2, "a", MICRO, 2, "change"), (2, "c", None, 5, "first"), (2, "d", MICRO, 2, "change")]
    third = [(3, "a", 2 * MICRO, 3, "change"), (3, "c", 5 * MICRO, 6, "change")]
    fourth = [(4, "b", MICRO, 4, "change"), (4, "d", 2 * MICRO, 9, "change")]
    assert await told(0, 4, 1_000) == first + second + third + fourth
    assert await told(1, 3, 1_000) == second + third
    assert await told(0, 4, 1) == first
    assert await told(1, 4, 5) == second + third
    assert await told(4, 4, 5) == []


async def test_snapshots_are_found_by_time(tx: Tx, programme: types.Programme, week: list[types.Snapshot]) -> None:
    before = await affiliates.snapshot_before(tx, programme_id=programme.id, at=week[1].fetched_at)
    after = await affiliates.snapshot_from(tx, programme_id=programme.id, at=week[1].fetched_at)
    assert before == after
    assert before
    assert (before.id, before.seq, before.complete, before.sha256) == (week[1].id, 2, True, week[1].sha256)
    assert await affiliates.snapshot_before(tx, programme_id=programme.id, at=T1 - QUARTER) is None
    assert await affiliates.snapshot_from(tx, programme_id=programme.id, at=T2) is None
    listed = [
        await affiliates.listed_in(tx, snapshot_id=snapshot.id, uids=["a", "b", "c", "d", "x"]) for snapshot in week
    ]
    assert listed == [{"a", "b", "d"}, {"a", "c", "d"}, {"a", "c"}, {"a", "b", "c", "d"}]


async def test_the_last_picture_of_a_day_is_kept(tx: Tx, programme: types.Programme, send: Send) -> None:
    at = datetime(2025, 3, 30, 23, 30, tzinfo=UTC)
    for place, hours in enumerate([0, 0.25, 1, 24, 48]):
        await send(body(row("a", place)), at + timedelta(hours=hours))
    statement = """
        select s.seq, c.reasons, c.keep_until from affiliates.pictures c
          join affiliates.snapshots s on s.id = c.snapshot_id where c.programme_id = %s order by s.seq"""
    kept = await (await tx.execute(statement, [programme.id])).fetchall()
    assert kept == [(2, ["daily"], at + timedelta(hours=0.25, days=400)), (4, ["daily"], None)]  # April opens with it


@pytest.mark.parametrize(
    ("name", "label"),
    [("Annabel", "Ann***"), ("Bobby", "B***"), ("Li", "L***"), (None, "Player 2345")],
)
async def test_who_is_not_linked_is_masked(
    tx: Tx, programme: types.Programme, send: Send, name: str | None, label: str
) -> None:
    await send(body({"uid": "uid-12345", "name": name, "all_time": 1}), T1)
    (player_id,) = await db.column(tx, "select id from affiliates.players where programme_id = %s", programme.id)
    assert await affiliates.public_labels(tx, player_ids=[player_id]) == {player_id: label}


async def test_a_hidden_name_says_nothing(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", 1)), T1)
    hide = "update affiliates.players set name_hidden = true where programme_id = %s returning id"
    player_id = await db.value(tx, hide, programme.id)
    assert await affiliates.public_labels(tx, player_ids=[player_id]) == {player_id: "Hidden player"}


LINK = """
    insert into affiliates.links (id, programme_id, player_id, user_id, state, proof, linked_at)
    select %s, programme_id, id, %s, 'active', 'staff', %s from affiliates.players
    where programme_id = %s and uid = %s returning player_id"""


async def link(tx: Tx, programme: types.Programme, uid: str, user_id: UserId) -> types.PlayerId:
    """An active link, as staff will make it."""
    found: types.PlayerId = await db.value(tx, LINK, new_id(), user_id, T1, programme.id, uid)
    return found


@pytest.fixture
async def linked(tx: Tx, programme: types.Programme, send: Send) -> tuple[types.PlayerId, UserId]:
    """The player `a` of a programme, and the user behind him."""
    await send(body(row("a", 100), row("b", 100)), T1)
    user_id = UserId(new_id())
    return await link(tx, programme, "a", user_id), user_id


async def test_anybody_learns_who_is_behind_a_player_but_sees_no_row(
    tx: Tx, linked: tuple[types.PlayerId, UserId]
) -> None:
    """Acceptance 24, for links."""
    player_id, user_id = linked
    pair = [types.Link(player_id, user_id)]
    rows = "select count(*) from affiliates.links where player_id = %s"
    for kind, actor, seen in (("player", new_id(), 0), ("none", None, 0), ("player", user_id, 1), ("staff", None, 1)):
        await tx.execute(
            "select set_config('palio.kind', %s, true), set_config('palio.user_id', %s, true)",
            [kind, actor.hex if actor else ""],
        )
        assert await affiliates.links_many(tx, player_ids=[player_id]) == pair
        assert await affiliates.links_many(tx, user_ids=[user_id]) == pair
        assert await db.value(tx, rows, player_id) == seen


async def test_a_player_is_linked_once(
    tx: Tx, programme: types.Programme, linked: tuple[types.PlayerId, UserId]
) -> None:
    _, user_id = linked
    for uid, user in (("a", UserId(new_id())), ("b", user_id)):
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with tx.transaction():
                await link(tx, programme, uid, user)
