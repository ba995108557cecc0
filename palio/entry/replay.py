"""A race between two captures of a feed, from the upload to the last prize, in whatever database it is given."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from palio import affiliates, ledger, races
from palio.competitions.types import PrizeRule
from palio.entry import operators
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.races.types import Line, NewRace

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How the race ended; `ledger_sum` is the sum of all entries of the ledger."""

    lines: list[Line]
    ledger_sum: int


async def replay(
    database: Database,
    storage: Storage,
    *,
    baseline: bytes,
    final: bytes,
    pool: int,
    prize_rule: PrizeRule,
    now: datetime,
) -> Replayed:
    """Let the two captures open and close an hour, without grace and review.

    Refuses as the doors of the feed and the making of a race do, and with races.CaptureDoubted.
    """
    started = now - HOUR
    async with operators.acting(database) as tx:
        programme = await affiliates.ensure_programme(tx, code="replay")
    for name, body, fetched_at in (("baseline", baseline, started), ("final", final, now)):
        snapshot = await affiliates.take_in(
            database,
            storage,
            actor=operators.actor(),
            feed_id=programme.upload_feed_id,
            body=body,
            content_type="application/json",
            fetched_at=fetched_at,
            trigger="upload",
            now=now,
        )
        if snapshot.status != "applied":
            raise races.CaptureDoubted(capture=name, status=snapshot.status, reason=snapshot.reason)
    new = NewRace(
        title="Replay",
        programme=programme.code,
        starts_at=started,
        ends_at=now,
        pool_asset="USD",
        pool=pool,
        prize_rule=prize_rule,
        min_wager_micro=0,
        grace_s=0,
        review_h=0,
        backdated_reason="replay of two captures",
    )
    async with operators.acting(database) as tx:
        race = await races.create_race(tx, new=new, actor=operators.actor(), now=now)
    async with operators.acting(database) as tx:
        await races.settle(tx, number=race.number, now=now)
        lines = await races.lines(tx, number=race.number)
        return Replayed(lines, await ledger.total(tx))
