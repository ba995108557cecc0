"""Series, and the competitions they have made."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from palio.competitions.types import (
    CompetitionId,
    NewSeries,
    Series,
    SeriesId,
)
from palio.infra import db
from palio.infra.db import Tx

SERIES = """
    select s.id, s.code, s.product, s.cadence, s.rrule, s.tz, s.create_lead_h, s.active, s.version, t.*
    from competitions.series s cross join jsonb_to_record(s.template) as t(
      title text, description text, rules_text text, prize_asset text, guaranteed_pool bigint, prize_rule jsonb,
      score_scale int, min_score bigint, tie_rule text, empty_rule text, leftover_to text, no_winner text, grace_s int,
      review_h int, op text, direction text, has_subscore boolean, allow_nonpositive boolean, treasury_bps int,
      results_visible text, collect_s int, blackout_s int, rank_events boolean, join_mode text, entry_fee bigint,
      min_participants int, max_participants int, eligibility jsonb) """


async def insert_series(
    tx: Tx, series_id: SeriesId, new: NewSeries, template: Mapping[str, object], now: datetime
) -> bool:
    """A series; False when its code is taken."""
    return bool(
        await db.run(
            tx,
            """
            insert into competitions.series (id, code, product, cadence, rrule, tz, template, create_lead_h, created_at)
            values (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s) on conflict (code) do nothing""",
            *(series_id, new.code, new.product, new.cadence, new.rrule, new.tz),
            *(json.dumps(template), new.create_lead_h, now),
        )
    )


async def lock_active_series(tx: Tx) -> list[Series]:
    """Series that make competitions, in key order, ours until the transaction ends; at most 1,000."""
    return await db.rows(tx, Series, SERIES + "where s.active order by s.id limit 1000 for update of s")


async def list_series(tx: Tx, series_ids: Sequence[SeriesId]) -> list[Series]:
    """These series by code."""
    return await db.rows(tx, Series, SERIES + "where s.id = any(%s) order by s.code", list(series_ids))


async def has_instance(tx: Tx, series_id: SeriesId, period_key: str) -> bool:
    """Whether the competition of a period has been made, whatever became of it."""
    return bool(
        await db.value(
            tx,
            "select exists (select from competitions.competitions where series_id = %s and period_key = %s)",
            *(series_id, period_key),
        )
    )


async def list_instances(tx: Tx, series_ids: Sequence[SeriesId]) -> list[CompetitionId]:
    """The competitions of series that are not over, oldest first."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select id from competitions.competitions
        where series_id = any(%s) and status in ('upcoming', 'live', 'settling') order by starts_at limit 10000""",
        list(series_ids),
    )
    return found


async def find_ending(tx: Tx, series_id: SeriesId, ends_at: datetime) -> CompetitionId | None:
    """The competition of a series that ends at an instant and was not cancelled."""
    found: CompetitionId | None = await db.value(
        tx,
        """
        select id from competitions.competitions
        where series_id = %s and ends_at = %s and status <> 'cancelled' limit 1""",
        *(series_id, ends_at),
    )
    return found


async def list_all_series(tx: Tx, limit: int) -> list[Series]:
    """Series by code, those that rest too."""
    return await db.rows(tx, Series, SERIES + "order by s.code limit %s", limit)


async def lock_series(tx: Tx, series_id: SeriesId) -> Series | None:
    """A series, ours until the transaction ends."""
    return await db.find(tx, Series, SERIES + "where s.id = %s for update of s", series_id)


async def update_series(
    tx: Tx, series_id: SeriesId, new: NewSeries, template: Mapping[str, object], *, is_active: bool
) -> None:
    """What its next competitions will be, how they repeat, how long ahead they are made, and whether any are."""
    await db.run(
        tx,
        """
        update competitions.series set rrule = %s, template = %s::jsonb, create_lead_h = %s, active = %s,
          version = version + 1
        where id = %s""",
        *(new.rrule, json.dumps(template), new.create_lead_h, is_active, series_id),
    )
