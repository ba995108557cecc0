"""The picture that opens a race, and the baselines that are not simply in it."""

from datetime import datetime

from palio import affiliates, competitions
from palio.competitions.types import Competition
from palio.infra import outbox, settings
from palio.infra.db import Tx
from palio.races import sql
from palio.races.messages import RaceStartPictureChosen
from palio.races.rules import pictures, totals
from palio.races.types import PICTURE_TOLERANCE_S, Race, Start


async def choose(tx: Tx, *, race: Race, competition: Competition, now: datetime) -> bool:
    """Choose the picture that opens a race, if there is one; it is kept as long as the race can be recomputed."""
    start = await _chosen(tx, race, competition)
    if start is None:
        await sql.insert_waiting(tx, race.competition_id, {"picture": "start"}, now)
        return False
    snapshot = start.snapshot
    await sql.update_start(tx, race.competition_id, start)
    event = "late" if start.state == "late" else "chosen"
    await sql.insert_picture_event(tx, race.competition_id, event, snapshot, "start", now)
    keep_until = max(now, competition.ends_at) + pictures.KEPT
    await affiliates.keep_pictures_many(tx, [(snapshot.id, "race", keep_until)])
    readings = await affiliates.readings_at(tx, programme_id=race.programme_id, snapshot_id=snapshot.id)
    if exceptions := list(totals.exceptions_of(readings.values(), snapshot.id)):
        await sql.upsert_baselines(tx, race.competition_id, exceptions)
    await outbox.send(tx, RaceStartPictureChosen(race.competition_id, snapshot.seq))
    return True


async def _chosen(tx: Tx, race: Race, competition: Competition) -> Start | None:
    """A race whose predecessor was cancelled will never have its final picture, and takes one of its own."""
    if race.previous_id is None:
        return await _free(tx, race, competition)
    previous = await competitions.get(tx, competition_id=race.previous_id)
    return await (_free if previous.status == "cancelled" else _chained)(tx, race, competition)


async def _free(tx: Tx, race: Race, competition: Competition) -> Start | None:
    return pictures.choose_start(
        competition.starts_at,
        before=await affiliates.snapshot_before(tx, programme_id=race.programme_id, at=competition.starts_at),
        after=await affiliates.snapshot_from(tx, programme_id=race.programme_id, at=competition.starts_at),
        tolerance_s=settings.value(PICTURE_TOLERANCE_S),
    )


async def _chained(tx: Tx, race: Race, competition: Competition) -> Start | None:
    """The final picture of the race before, so that nothing counts in both and nothing in neither."""
    previous = await sql.list_races(tx, [race.previous_id] if race.previous_id else [])
    final = previous[0].final_snapshot_id if previous else None
    if final is None:
        return None
    return Start("chained", await affiliates.applied_snapshot(tx, snapshot_id=final))
