"""What other modules and staff ask of the feeds."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates import rules, sql
from palio.affiliates.types import (
    PLACEHOLDER_NAMES,
    STALE_AFTER_S,
    Anomaly,
    Link,
    Player,
    PlayerId,
    Programme,
    ProgrammeId,
    ProgrammeStatus,
    QuarantinedRow,
    Snapshot,
    SnapshotId,
    SnapshotView,
    WagerChange,
)
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def programme(tx: Tx, *, code: str) -> Programme:
    """The programme of a code. Refuses with NoSuchProgramme."""
    return await sql.get_programme(tx, code)


async def programme_status(tx: Tx, *, programme_id: ProgrammeId) -> ProgrammeStatus:
    """How far a programme has been read, and when its numbers count as stale. Refuses with NoSuchProgramme."""
    return await sql.get_status(tx, programme_id, settings.value(STALE_AFTER_S))


async def snapshot_before(tx: Tx, *, programme_id: ProgrammeId, at: datetime) -> SnapshotView | None:
    """The newest applied snapshot fetched at or before an instant."""
    return await sql.find_before(tx, programme_id, at)


async def snapshot_from(tx: Tx, *, programme_id: ProgrammeId, at: datetime) -> SnapshotView | None:
    """The first applied snapshot fetched at or after an instant."""
    return await sql.find_from(tx, programme_id, at)


async def applied_snapshot(tx: Tx, *, snapshot_id: SnapshotId) -> SnapshotView:
    """An applied snapshot by its id. Refuses with NoSuchSnapshot."""
    return await sql.get_applied(tx, snapshot_id)


async def fetched_at(tx: Tx, *, snapshot_id: SnapshotId) -> datetime:
    """When a snapshot was fetched, whatever became of it. Refuses with NoSuchSnapshot."""
    return (await sql.get_snapshot(tx, snapshot_id)).fetched_at


async def changes_since(
    tx: Tx, *, programme_id: ProgrammeId, seq: int, through_seq: int, limit: int
) -> list[WagerChange]:
    """Changes of all-time totals in the applied snapshots after `seq` and up to `through_seq`, in (seq, uid) order.

    Snapshots are told whole: as many as fit into `limit` rows, and at least the first that changed something. Whoever
    wants the rest asks again after the seq of the last row, until nothing comes.
    """
    return await sql.list_changes(tx, programme_id, seq, through_seq, limit)


async def listed_in(tx: Tx, *, snapshot_id: SnapshotId, uids: Sequence[str]) -> set[str]:
    """Which of these uids a snapshot shows; a snapshot that is not complete says nothing about who is missing."""
    return set(await sql.list_listed(tx, snapshot_id, uids))


async def doubted_in(tx: Tx, *, snapshot_id: SnapshotId, uids: Sequence[str]) -> set[str]:
    """Which of these uids a snapshot shows in a row that was not believed: they were there, with an unknown number."""
    return set(await sql.list_doubted(tx, snapshot_id, uids))


async def players_many(tx: Tx, player_ids: Sequence[PlayerId]) -> dict[PlayerId, Player]:
    """External players by their ids; who does not exist is left out."""
    return {player.id: player for player in await sql.list_players(tx, player_ids)}


async def public_labels(tx: Tx, *, player_ids: Sequence[PlayerId]) -> dict[PlayerId, str]:
    """How players are named in public as long as nobody has linked them, by `affiliates.placeholder_names`."""
    setting = settings.value(PLACEHOLDER_NAMES)
    return {
        player.id: rules.label(player.name, player.uid, shown=rules.shown(setting, is_hidden=player.name_hidden))
        for player in await sql.list_players(tx, player_ids)
    }


async def links_many(tx: Tx, *, player_ids: Sequence[PlayerId] = (), user_ids: Sequence[UserId] = ()) -> list[Link]:
    """The active links of these players and of these users, whoever asks: public boards follow the user's name rule."""
    return await sql.list_links(tx, player_ids, user_ids)


async def snapshots(tx: Tx, *, programme_id: ProgrammeId, limit: int = 50) -> list[Snapshot]:
    """The newest snapshots of a programme, whatever became of them, newest first."""
    return await sql.list_snapshots(tx, programme_id, limit)


async def anomalies(
    tx: Tx, *, programme_id: ProgrammeId, since: datetime | None = None, limit: int = 100
) -> list[Anomaly]:
    """What was believed but is odd, newest first."""
    return await sql.list_anomalies(tx, programme_id, since, limit)


async def held_rows(tx: Tx, *, programme_id: ProgrammeId, limit: int = 100) -> list[QuarantinedRow]:
    """The rows that are still held, newest first."""
    return await sql.list_held(tx, programme_id, limit)
