"""What staff decide about doubted snapshots and rows: once, with a reason, and only as long as nothing newer came."""

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Tx
from palio.infra.storage import Storage
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.affiliates.conftest import Send
from tests.factories.affiliates import QUARTER, T1, T2, body, row

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
REASON = "The provider confirmed it by mail."


async def apply_anyway(tx: Tx, storage: Storage, snapshot: types.Snapshot) -> types.Snapshot:
    payload = await affiliates.stored_payload(tx, snapshot_id=snapshot.id)
    content = await affiliates.restore(storage, payload=payload)
    return await affiliates.apply_anyway(
        tx, actor=STAFF, snapshot_id=snapshot.id, body=content, reason=REASON, now=T2 + QUARTER
    )


@pytest.fixture
async def doubted(send: Send) -> types.Snapshot:
    """A list of four players that shrinks to one."""
    await send(body(*(row(uid, 10) for uid in "abcd")), T1)
    return await send(body(row("a", 12)), T2)


async def test_a_doubted_snapshot_is_applied_by_staff(
    tx: Tx, programme: types.Programme, storage: Storage, doubted: types.Snapshot
) -> None:
    applied = await apply_anyway(tx, storage, doubted)
    assert (applied.id, applied.status, applied.seq, applied.reason) == (doubted.id, "applied", 2, "shrink")
    assert (applied.changed, applied.delta_micro, applied.vanished) == (1, 2_000_000, 3)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).as_of == T2
    for decide in (apply_anyway(tx, storage, doubted), discard(tx, doubted)):
        with pytest.raises(affiliates.AlreadyDecided):
            await decide


async def discard(tx: Tx, snapshot: types.Snapshot) -> types.Snapshot:
    return await affiliates.discard(tx, actor=STAFF, snapshot_id=snapshot.id, reason=REASON, now=T2 + QUARTER)


async def test_a_doubted_snapshot_is_discarded_by_staff(
    tx: Tx, programme: types.Programme, storage: Storage, doubted: types.Snapshot
) -> None:
    assert (await discard(tx, doubted)).status == "discarded"
    with pytest.raises(affiliates.AlreadyDecided):
        await apply_anyway(tx, storage, doubted)
    newest, *_ = await affiliates.snapshots(tx, programme_id=programme.id)
    assert (newest.id, newest.status, newest.seq) == (doubted.id, "discarded", None)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).seq == 1


async def test_a_doubted_snapshot_is_too_late_after_a_newer_one(
    tx: Tx, programme: types.Programme, storage: Storage, send: Send, doubted: types.Snapshot
) -> None:
    await send(body(*(row(uid, 11) for uid in "abcd")), T2 + QUARTER)
    with pytest.raises(affiliates.OutOfOrder):
        await apply_anyway(tx, storage, doubted)
    assert (await affiliates.programme_status(tx, programme_id=programme.id)).seq == 2


async def test_only_doubted_snapshots_are_decided(tx: Tx, storage: Storage, send: Send) -> None:
    applied = await send(body(row("a", 1)), T1)
    with pytest.raises(affiliates.AlreadyDecided):
        await discard(tx, applied)
    with pytest.raises(affiliates.NoSuchSnapshot):
        await affiliates.discard(tx, actor=STAFF, snapshot_id=types.SnapshotId(new_id()), reason=REASON, now=T2)


@pytest.fixture
async def jump(tx: Tx, programme: types.Programme, send: Send) -> types.QuarantinedRow:
    """The row of `a`, who rose by more than is believed at once."""
    await send(body(row("a", 10), row("b", 10)), T1)
    await send(body(row("a", 300_010, today=5, week=5, month=5), row("b", 11)), T2)
    (held,) = await affiliates.held_rows(tx, programme_id=programme.id)
    return held


async def release(tx: Tx, held: types.QuarantinedRow) -> types.Snapshot:
    return await affiliates.release_row(tx, actor=STAFF, row_id=held.id, reason=REASON, now=T2 + QUARTER)


async def dismiss(tx: Tx, held: types.QuarantinedRow) -> types.QuarantinedRow:
    return await affiliates.dismiss_row(tx, actor=STAFF, row_id=held.id, reason=REASON, now=T2 + QUARTER)


async def test_a_released_row_counts_at_once(
    tx: Tx, programme: types.Programme, send: Send, jump: types.QuarantinedRow
) -> None:
    before, *_ = await affiliates.snapshots(tx, programme_id=programme.id)
    released = await release(tx, jump)
    assert (released.status, released.reason, released.seq, released.as_of) == ("applied", "released", 3, T2)
    assert (released.accepted, released.quarantined, released.complete) == (2, 0, True)
    assert released.sum_all_time_micro - before.sum_all_time_micro == 300_010_000_000
    (change,) = await affiliates.changes_since(tx, programme_id=programme.id, seq=2, through_seq=3, limit=10)
    assert (change.uid, change.before_micro, change.after_micro) == ("a", 10_000_000, 300_010_000_000)
    again = await send(body(row("a", 300_010, today=5, week=5, month=5), row("b", 11)), T2 + QUARTER)
    assert (again.seq, again.changed, again.quarantined) == (4, 0, 0)
    for decide in (release(tx, jump), dismiss(tx, jump)):
        with pytest.raises(affiliates.AlreadyDecided):
            await decide


async def test_a_dismissed_row_does_not_confirm_the_next(
    tx: Tx, programme: types.Programme, send: Send, jump: types.QuarantinedRow
) -> None:
    assert (await dismiss(tx, jump)).state == "dismissed"
    again = await send(body(row("a", 300_010), row("b", 12)), T2 + QUARTER)
    assert (again.quarantined, again.delta_micro) == (1, 1_000_000)
    (held,) = await affiliates.held_rows(tx, programme_id=programme.id)
    assert held.id != jump.id


async def test_a_row_is_too_late_after_a_newer_snapshot(
    tx: Tx, programme: types.Programme, send: Send, jump: types.QuarantinedRow
) -> None:
    await send(body(row("b", 11)), T2 + QUARTER)  # `a` is missing, so his row stays open
    with pytest.raises(affiliates.OutOfOrder):
        await release(tx, jump)
    assert (await dismiss(tx, jump)).state == "dismissed"


async def test_a_row_that_cannot_be_read_is_not_released(tx: Tx, programme: types.Programme, send: Send) -> None:
    await send(body(row("a", "x"), row("b", 1)), T1)
    (held,) = await affiliates.held_rows(tx, programme_id=programme.id)
    with pytest.raises(affiliates.NotReleasable):
        await release(tx, held)
    with pytest.raises(affiliates.NoSuchRow):
        await affiliates.dismiss_row(tx, actor=STAFF, row_id=types.HeldRowId(new_id()), reason=REASON, now=T2)
