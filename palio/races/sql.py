"""Every statement of races."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio.affiliates.types import PlayerId, ProgrammeId, SnapshotId, SnapshotView
from palio.competitions.types import CompetitionId, EntrantId, SeriesId
from palio.infra import db
from palio.infra.db import Tx
from palio.races.types import (
    Baseline,
    Change,
    FinalState,
    Hold,
    HoldDecision,
    Listed,
    Made,
    Part,
    Race,
    RaceSeries,
    Stage,
    Start,
    StatedHold,
    Wanted,
)

RACE = """
    select competition_id, number, programme_id, linked_only, previous_id, start_state, start_snapshot_id, start_seq,
      final_state, final_snapshot_id, last_seq, stage, review_reasons, backdated_reason, gap_from, gap_to,
      leader_entrant, leader_told_at, created_at
    from races.races """
LISTED = """
    select competition_id, number, programme_id, title, status, starts_at, ends_at, asset, pool, year, month,
      participant_count, total_micro, standings_sha256, start_sha256, final_sha256, winners
    from races.listed
    where status = any(coalesce(%s::text[], array[status])) and programme_id = coalesce(%s::uuid, programme_id)
      and year is not distinct from coalesce(%s::int, year) and month is not distinct from coalesce(%s::int, month)
      and (year is not null or not %s) and (status <> 'draft' or %s) """
ENDED_BEFORE = """
    and (ends_at, number) < (coalesce(%s, 'infinity'::timestamptz), %s) order by ends_at desc, number desc limit %s"""
ENDED_AFTER = "and (ends_at, number) > (%s, %s) order by ends_at, number limit %s"
CURRENT_FIRST = """
    order by status in ('completed', 'archived', 'cancelled'),
      case when status in ('completed', 'archived', 'cancelled') then ends_at end desc, number desc """


async def insert_race(
    tx: Tx,
    competition_id: CompetitionId,
    programme_id: ProgrammeId,
    *,
    previous_id: CompetitionId | None,
    backdated_reason: str | None,
    now: datetime,
    series_id: SeriesId | None = None,
    linked_only: bool = False,
) -> bool:
    """The race beside its competition; False when another race follows the previous one already."""
    return bool(
        await db.run(
            tx,
            """
            insert into races.races (competition_id, programme_id, series_id, linked_only, chained, previous_id,
              backdated_reason, created_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (previous_id) do nothing""",
            *(competition_id, programme_id, series_id, linked_only, previous_id is not None, previous_id),
            *(backdated_reason, now),
        )
    )


async def find_race(tx: Tx, number: int) -> Race | None:
    """The race of that number."""
    return await db.find(tx, Race, RACE + "where number = %s", number)


async def lock_races(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Race]:
    """These races in key order, ours until the transaction ends; their headers are locked before."""
    return await db.rows(
        tx, Race, RACE + "where competition_id = any(%s) order by competition_id for update", list(competition_ids)
    )


async def list_races(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Race]:
    """These races, without order."""
    return await db.rows(tx, Race, RACE + "where competition_id = any(%s)", list(competition_ids))


async def list_open(tx: Tx, programme_id: ProgrammeId | None) -> list[Race]:
    """Races that are not done, of one programme or of all, oldest first; at most 1,000."""
    return await db.rows(
        tx,
        Race,
        RACE + "where stage <> 'done' and programme_id = coalesce(%s::uuid, programme_id) order by number limit 1000",
        programme_id,
    )


async def list_newest(tx: Tx, wanted: Wanted, programme_id: ProgrammeId | None, part: Part) -> list[Listed]:
    """A part of the races that are wanted, those that end last first."""
    narrowed = (list(wanted.states) or None, programme_id, wanted.year, wanted.month, wanted.is_over, wanted.has_drafts)
    if part.newer_than is None:
        return await db.rows(tx, Listed, LISTED + ENDED_BEFORE, *narrowed, *(part.older_than or (None, 0)), part.limit)
    found = await db.rows(tx, Listed, LISTED + ENDED_AFTER, *narrowed, *part.newer_than, part.limit)
    return found[::-1]


async def list_current_first(tx: Tx, limit: int) -> list[Listed]:
    """The newest races, those that are not over first; of the others those that ended last."""
    return await db.rows(
        tx,
        Listed,
        LISTED + CURRENT_FIRST + "limit %s",
        *(None, None, None, None, False, False, limit),
    )


async def list_changes(
    tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, *, after: int, limit: int
) -> list[Change]:
    """The changes of one total behind the one of that number, in order."""
    return await db.rows(
        tx,
        Change,
        """
        select n, happened_at, kind, delta, greatest(total, 0) as total, note, seq from races.wager_history
        where competition_id = %s and entrant_id = %s and n > %s order by n limit %s""",
        *(competition_id, entrant_id, after, limit),
    )


async def count_changes(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> int:
    """How many changes one total has had."""
    return int(
        await db.value(
            tx,
            "select count(*) from races.wager_history where competition_id = %s and entrant_id = %s",
            *(competition_id, entrant_id),
        )
    )


async def update_start(tx: Tx, competition_id: CompetitionId, start: Start) -> None:
    """The picture that opens the race; what was played before it does not count."""
    await db.run(
        tx,
        """
        update races.races set start_state = %s, start_snapshot_id = %s, start_seq = %s, last_seq = %s, gap_from = %s,
          gap_to = %s where competition_id = %s""",
        *(start.state, start.snapshot.id, start.snapshot.seq, start.snapshot.seq),
        *(start.gap_from, start.gap_to, competition_id),
    )


async def update_final(tx: Tx, competition_id: CompetitionId, state: FinalState, snapshot_id: SnapshotId) -> None:
    """The picture that closes the race."""
    await db.run(
        tx,
        "update races.races set final_state = %s, final_snapshot_id = %s where competition_id = %s",
        *(state, snapshot_id, competition_id),
    )


async def update_last_seq(
    tx: Tx, competition_id: CompetitionId, seq: int, leader: EntrantId | None, told_at: datetime | None
) -> None:
    """The last snapshot that was submitted, whom everybody knows to lead, and when a leader was told last."""
    await db.run(
        tx,
        "update races.races set last_seq = %s, leader_entrant = %s, leader_told_at = %s where competition_id = %s",
        *(seq, leader, told_at, competition_id),
    )


async def update_stage(tx: Tx, competition_id: CompetitionId, stage: Stage, review_reasons: Sequence[str]) -> None:
    """How far the settlement has come, and what a person must look at."""
    await db.run(
        tx,
        "update races.races set stage = %s, review_reasons = %s where competition_id = %s",
        *(stage, list(review_reasons), competition_id),
    )


async def update_backdated(tx: Tx, competition_id: CompetitionId, reason: str) -> None:
    """Why a race begins in the past."""
    await db.run(tx, "update races.races set backdated_reason = %s where competition_id = %s", reason, competition_id)


async def find_number(tx: Tx, competition_id: CompetitionId) -> int | None:
    """The number of a race."""
    found: int | None = await db.value(tx, "select number from races.races where competition_id = %s", competition_id)
    return found


async def find_successor(tx: Tx, competition_id: CompetitionId) -> int | None:
    """The number of the race that is chained to this one."""
    found: int | None = await db.value(tx, "select number from races.races where previous_id = %s", competition_id)
    return found


async def upsert_baselines(tx: Tx, competition_id: CompetitionId, baselines: Sequence[Baseline]) -> None:
    """Baselines that are not simply a value of the start picture; what was unknown may become known."""
    await db.run(
        tx,
        """
        insert into races.baselines (competition_id, player_id, value_micro, kind, snapshot_id)
        select %s, * from unnest(%s::uuid[], %s::bigint[], %s::text[], %s::uuid[])
        on conflict (competition_id, player_id) do update set value_micro = excluded.value_micro, kind = excluded.kind,
          snapshot_id = excluded.snapshot_id""",
        *(competition_id, [found.player_id for found in baselines], [found.value_micro for found in baselines]),
        *([found.kind for found in baselines], [found.snapshot_id for found in baselines]),
    )


async def list_baselines(
    tx: Tx, competition_id: CompetitionId, player_ids: Sequence[PlayerId] | None
) -> dict[PlayerId, Baseline]:
    """The exceptions among these players, or all of them."""
    found = await db.rows(
        tx,
        Baseline,
        """
        select player_id, value_micro, kind, snapshot_id from races.baselines
        where competition_id = %s and (%s::uuid[] is null or player_id = any(%s))""",
        *(competition_id, None if player_ids is None else list(player_ids), list(player_ids or ())),
    )
    return {baseline.player_id: baseline for baseline in found}


async def insert_holds(tx: Tx, competition_id: CompetitionId, holds: Sequence[Hold]) -> list[Hold]:
    """Players whose number needs a decision; answers those who were not held already."""
    return await db.rows(
        tx,
        Hold,
        """
        insert into races.holds (competition_id, player_id, reason, facts)
        select %s, u.player_id, u.reason, u.facts::jsonb
        from unnest(%s::uuid[], %s::text[], %s::text[]) u(player_id, reason, facts)
        order by u.player_id on conflict do nothing returning player_id, reason, facts""",
        *(competition_id, [hold.player_id for hold in holds], [hold.reason for hold in holds]),
        [json.dumps(hold.facts) for hold in holds],
    )


async def list_open_holds(tx: Tx, competition_id: CompetitionId) -> list[Hold]:
    """Players who are being checked."""
    return await db.rows(
        tx,
        Hold,
        """
        select player_id, reason, facts from races.holds
        where competition_id = %s and state = 'open' order by player_id limit 10000""",
        competition_id,
    )


async def list_holds(tx: Tx, competition_id: CompetitionId) -> list[StatedHold]:
    """Everybody whose number was doubted, the open ones first; at most 1,000."""
    return await db.rows(
        tx,
        StatedHold,
        """
        select h.player_id, h.reason, h.facts, h.state, d.public_note as note, d.at as decided_at
        from races.holds h left join races.decisions d on d.id = h.decision_id
        where h.competition_id = %s order by h.state <> 'open', d.at desc, h.player_id limit 1000""",
        competition_id,
    )


async def list_made(tx: Tx, competition_id: CompetitionId) -> list[Made]:
    """What persons decided about a race, newest first, with their reasons; at most 200."""
    return await db.rows(
        tx,
        Made,
        """
        select what, player_id, after, reason, public_note as note, by, at from races.decisions
        where competition_id = %s order by at desc, id desc limit 200""",
        competition_id,
    )


async def insert_decision(
    tx: Tx,
    decision_id: UUID,
    competition_id: CompetitionId,
    *,
    what: str,
    after: Mapping[str, object],
    reason: str,
    by: UUID | None,
    now: datetime,
    player_id: PlayerId | None = None,
    public_note: str | None = None,
) -> None:
    """What a person decided about a race or about one of its players; only the note is public."""
    await db.run(
        tx,
        """
        insert into races.decisions (id, competition_id, player_id, what, after, reason, public_note, by, at)
        values (%s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)""",
        *(decision_id, competition_id, player_id, what, json.dumps(after), reason, public_note, by, now),
    )


async def list_decisions(tx: Tx, competition_id: CompetitionId) -> list[Mapping[str, object]]:
    """What persons decided about a race, oldest first, as its evidence shows it."""
    found = await db.value(
        tx,
        """
        select coalesce(jsonb_agg(jsonb_build_object('what', what, 'player', player_id, 'note', public_note, 'at', at)
          order by at), '[]') from races.decisions where competition_id = %s""",
        competition_id,
    )
    return list(found)


async def insert_picture_event(
    tx: Tx, competition_id: CompetitionId, event: str, snapshot: SnapshotView, part: str, now: datetime
) -> None:
    """How a picture came to be chosen; of two events at one instant the second is a microsecond later."""
    await db.run(
        tx,
        """
        insert into races.picture_log (competition_id, at, event, snapshot_id, facts)
        select %s, coalesce(greatest(%s, max(at) + interval '1 microsecond'), %s), %s, %s,
          jsonb_build_object('picture', %s::text, 'seq', %s::bigint)
        from races.picture_log where competition_id = %s""",
        *(competition_id, now, now, event, snapshot.id, part, snapshot.seq, competition_id),
    )


async def find_hold(tx: Tx, competition_id: CompetitionId, player_id: PlayerId) -> Hold | None:
    """The hold of a player, decided or not."""
    return await db.find(
        tx,
        Hold,
        "select player_id, reason, facts from races.holds where competition_id = %s and player_id = %s",
        *(competition_id, player_id),
    )


async def upsert_hold(
    tx: Tx, competition_id: CompetitionId, player_id: PlayerId, state: HoldDecision, decision_id: UUID
) -> None:
    """What was decided about a player; whom nobody had doubted is disputed by the decision itself."""
    await db.run(
        tx,
        """
        insert into races.holds (competition_id, player_id, reason, facts, state, decision_id)
        values (%s, %s, 'dispute', '{}', %s, %s)
        on conflict (competition_id, player_id) do update set state = excluded.state,
          decision_id = excluded.decision_id""",
        *(competition_id, player_id, state, decision_id),
    )


async def delete_baselines(tx: Tx, competition_id: CompetitionId) -> None:
    """Forget the exceptions of a start picture that is replaced; what staff decided stays."""
    await db.run(tx, "delete from races.baselines where competition_id = %s and kind <> 'staff'", competition_id)


async def update_rebased(tx: Tx, competition_id: CompetitionId, snapshot: SnapshotView) -> None:
    """Another picture opens the race; what has been submitted stays submitted."""
    await db.run(
        tx,
        """
        update races.races set start_state = 'staff', start_snapshot_id = %s, start_seq = %s, gap_from = null,
          gap_to = null where competition_id = %s""",
        *(snapshot.id, snapshot.seq, competition_id),
    )


async def has_successor(tx: Tx, competition_id: CompetitionId) -> bool:
    """Whether another race is chained to this one."""
    return bool(await db.value(tx, "select exists (select from races.races where previous_id = %s)", competition_id))


async def insert_series(
    tx: Tx, series_id: SeriesId, programme_id: ProgrammeId, *, is_chained: bool, linked_only: bool, now: datetime
) -> None:
    """What is special about a series of races."""
    await db.run(
        tx,
        """
        insert into races.series (series_id, programme_id, chained, linked_only, created_at)
        values (%s, %s, %s, %s, %s)""",
        *(series_id, programme_id, is_chained, linked_only, now),
    )


async def list_series(tx: Tx) -> list[RaceSeries]:
    """Every series of races, at most 1,000."""
    return await db.rows(
        tx,
        RaceSeries,
        "select series_id, programme_id, chained, linked_only from races.series order by series_id limit 1000",
    )


async def insert_waiting(tx: Tx, competition_id: CompetitionId, facts: Mapping[str, object], now: datetime) -> bool:
    """That a picture is waited for; False when that is written already."""
    written = json.dumps(facts)
    return bool(
        await db.run(
            tx,
            """
            insert into races.picture_log (competition_id, at, event, facts)
            select %s, coalesce(greatest(%s, max(at) + interval '1 microsecond'), %s), 'waiting', %s::jsonb
            from races.picture_log where competition_id = %s
            having not coalesce(bool_or(event = 'waiting' and facts = %s::jsonb), false)""",
            *(competition_id, now, now, written, competition_id, written),
        )
    )
