"""Use cases that sum up: days of every asset, months of wallets, where everything is. They change nothing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import totals as rules
from palio.ledger.service.reading import assets, require_here
from palio.ledger.sql import lots
from palio.ledger.sql import totals as sql
from palio.ledger.types import (
    ACTIVE_OWNERS_MAX,
    STATEMENT_OWNERS_MAX,
    Activity,
    AssetDay,
    Conserved,
    PeriodStatement,
)


async def daily_totals(tx: Tx, *, day: date) -> list[AssetDay]:
    """A day (UTC) of every asset that has accounts: what families held before and after, what moved and why.

    Exact for a day that has ended and for the one that has not; instants come late now and then, so that yesterday may
    still change. Refuses with Archived.
    """
    begins, ends = await _span(tx, day)
    return rules.days_of_assets(await assets(tx), await sql.list_day(tx, day, begins, ends))


async def daily_activity(
    tx: Tx, *, day: date, after_user: UserId | None = None, limit: int = ACTIVE_OWNERS_MAX
) -> list[Activity]:
    """What a day (UTC) did to main wallets, by owner and asset, of at most `limit` owners (10,000) behind one.

    The last owner is `after_user` of the next call; nothing is left when one answers nothing. Refuses with Archived.
    """
    begins, ends = await _span(tx, day)
    return await sql.list_activity(tx, begins, ends, after_user, min(max(limit, 1), ACTIVE_OWNERS_MAX))


async def statement_many(
    tx: Tx, *, owner_ids: Sequence[UserId], period_key: str
) -> dict[UserId, list[PeriodStatement]]:
    """A month (UTC, `M:2026-03`) of the main wallets of owners: opening, sums by category, closing.

    An asset of which somebody had nothing and moved nothing is left out. At most 10,000 owners: BatchTooLarge. Refuses
    with PeriodInvalid, Archived.
    """
    if len(owner_ids) > STATEMENT_OWNERS_MAX:
        raise errors.BatchTooLarge(items=len(owner_ids), limit=STATEMENT_OWNERS_MAX)
    begins, ends = rules.span_of(period_key)
    await require_here(tx, begins=begins)
    return rules.statements(owner_ids, await sql.list_periods(tx, owner_ids, begins, ends))


async def conservation(tx: Tx, *, now: datetime) -> list[Conserved]:
    """Where the units of every asset are now, by families of accounts: they sum to zero, or something is wrong.

    Exact, in one moment, beside those who post. What has expired by `now` is told by origin.
    """
    return rules.conserved(await assets(tx), await sql.list_places(tx), await lots.list_origins(tx, now))


async def _span(tx: Tx, day: date) -> tuple[datetime, datetime]:
    begins = datetime.combine(day, time(), UTC)
    await require_here(tx, begins=begins)
    return begins, begins + timedelta(days=1)
