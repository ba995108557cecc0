"""Real captures give exactly what was computed by hand; bad ones change nothing."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Tx
from palio.infra.storage import Storage
from palio.kernel.ids import new_id
from tests.factories.affiliates import T1, T2, fixture, ingest


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


@pytest.fixture
async def programme(tx: Tx) -> types.Programme:
    return await affiliates.ensure_programme(tx, code=f"p{new_id().hex[-12:]}")


@pytest.fixture
async def captures(tx: Tx, programme: types.Programme, storage: Storage) -> list[types.Snapshot]:
    """Both real captures, applied."""
    names = {"affiliate_snapshot_T1": T1, "affiliate_snapshot_T2": T2}
    return [await ingest(tx, programme, fixture(name), at, storage) for name, at in names.items()]


async def test_a_first_capture_is_read_to_the_last_digit(captures: list[types.Snapshot]) -> None:
    """Acceptance 1."""
    first, _ = captures
    assert (first.status, first.shape, first.complete, first.seq) == ("applied", "flat", True, 1)
    assert (first.rows_total, first.accepted, first.quarantined, first.new_players) == (127, 127, 0, 127)
    sums = (first.sum_today_micro, first.sum_week_micro, first.sum_month_micro, first.sum_all_time_micro)
    assert sums == (1_034_096_947, 14_278_682_678, 535_161_854_344, 3_018_947_973_505)
    assert first.anomaly_counts == {"column_lag": 7}
    assert first.sha256.hex().startswith("02ba421e")
    assert first.sha256.hex().endswith("4202")
    assert first.delta_micro == 0


async def test_a_second_capture_stores_what_changed(tx: Tx, captures: list[types.Snapshot]) -> None:
    """Acceptance 2."""
    first, second = captures
    counts = (second.changed, second.all_time_changed, second.corrections, second.vanished, second.new_players)
    assert counts == (20, 13, 0, 0, 0)
    assert (second.delta_micro, second.sum_all_time_micro) == (450_299_844, 3_019_398_273_349)
    assert second.sum_month_micro == first.sum_month_micro
    assert second.anomaly_counts == {"column_lag": 7}
    cursor = await tx.execute(
        "select kind, count(*) from affiliates.stats where snapshot_id = %s group by kind order by kind", [second.id]
    )
    assert await cursor.fetchall() == [("change", 13), ("columns_only", 7)]


async def test_the_differences_equal_those_computed_by_hand(
    tx: Tx, programme: types.Programme, captures: list[types.Snapshot]
) -> None:
    """Acceptance 4."""
    changes = await affiliates.changes_since(tx, programme_id=programme.id, seq=1, through_seq=2, limit=1_000)
    ours = {change.uid: change.after_micro - (change.before_micro or 0) for change in changes}
    expected = json.loads(fixture("expected_race_deltas_T1_T2"))["pairs"]["T1->T2"]["ranking"]
    assert ours == {line["uid"]: int(Decimal(line["delta_all_time"]).scaleb(6)) for line in expected}
    assert ours["5XLJobqamfk6lZCvYKGR"] == 70_628_429
