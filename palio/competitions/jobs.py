"""What competitions do by the clock, whatever their product."""

import structlog

from palio import identity
from palio.competitions.messages import (
    AdvanceCompetition,
    ArchiveCompetitions,
    CloseLists,
    EnsureSeries,
    ExpireRewards,
    PoolChanged,
    ReturnContributions,
    TakeSnapshots,
    TellPool,
    TickCompetitions,
    WatchRanks,
)
from palio.competitions.service import barring, claims, countries, finals, lifecycle, refunds, series, ticking, trends
from palio.competitions.types import CompetitionId
from palio.infra import outbox
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

EXPIRY_SCHEDULE = Schedule("competitions.expiry", "every 1h", ExpireRewards(), at_start=True)
SERIES_SCHEDULE = Schedule("competitions.series", "every 10m", EnsureSeries(), at_start=True)
SNAPSHOT_SCHEDULE = Schedule("competitions.snapshots", "every 1h", TakeSnapshots(), at_start=True)
WATCH_SCHEDULE = Schedule("competitions.ranks", "every 1m", WatchRanks())
TICK_SCHEDULE = Schedule("competitions.tick", "every 30s", TickCompetitions(), at_start=True)
FINAL_SCHEDULE = Schedule("competitions.finals", "every 5m", CloseLists(), at_start=True)
ARCHIVE_SCHEDULE = Schedule("competitions.archive", "40 3 * * *", ArchiveCompetitions())
FINAL_SECONDS_MAX = 300  # of one list: a million entrants are sorted and written
STEPS_MAX = 100  # of one run; the next hour does what is left

log = structlog.get_logger()


@handles(ExpireRewards)
async def expire(tx: Tx, job: ExpireRewards) -> None:
    """Send back what nobody claimed in time, and try again what a wallet did not take back."""
    await outbox.send(tx, *[ReturnContributions(owing) for owing in await refunds.owing(tx)])
    for competition in await ticking.overdue(tx, now=clock.now()):
        log.error("overdue.settlement", competition=str(competition.id), product=competition.product)
    for _ in range(STEPS_MAX):
        if not await claims.expire(tx, now=clock.now()):
            return


@handles(EnsureSeries)
async def ensure_series(tx: Tx, job: EnsureSeries) -> None:
    """Let the next competition of each series exist before the current one ends."""
    await series.ensure_series(tx, now=clock.now())


@handles(TakeSnapshots)
async def take_snapshots(tx: Tx, job: TakeSnapshots) -> None:
    """Keep the first hundred of each live list."""
    await trends.take_snapshots(tx, now=clock.now())


@handles(WatchRanks)
async def watch_ranks(tx: Tx, job: WatchRanks) -> None:
    """Tell players of the ranks they have reached and lost."""
    await trends.watch(tx, now=clock.now())


@handles(TickCompetitions)
async def tick(tx: Tx, job: TickCompetitions) -> None:
    """Say what ends soon, and give each competition in which something is due a transaction of its own."""
    await ticking.tell_ending(tx, now=clock.now())
    for competition_id in await ticking.due(tx, now=clock.now()):
        await outbox.send(tx, AdvanceCompetition(competition_id), key=str(competition_id))


@handles(AdvanceCompetition, queue="critical")
async def advance(tx: Tx, job: AdvanceCompetition) -> None:
    """Do the due steps of one competition."""
    await ticking.advance(tx, competition_id=CompetitionId(job.competition), now=clock.now())


@handles(ReturnContributions)
async def return_contributions(tx: Tx, job: ReturnContributions) -> None:
    """Give back what is left in the pool of a cancelled competition."""
    competition = await lifecycle.lock(tx, competition_id=CompetitionId(job.competition))
    if competition.status == "cancelled":
        await refunds.give_back(tx, competition=competition, now=clock.now())


@handles(TellPool)
async def tell_pool(tx: Tx, job: TellPool) -> None:
    """Say that a pool has changed."""
    await outbox.send(tx, PoolChanged(job.competition))


@handles(identity.PlayerExcluded)
async def leave_out(tx: Tx, event: identity.PlayerExcluded) -> None:
    """Take whoever is not to compete out of what has not ended."""
    if "compete" in event.activities:
        await barring.leave_out(tx, user_id=event.user_id, now=clock.now())


@handles(identity.UserSuspended)
async def leave_out_suspended(tx: Tx, event: identity.UserSuspended) -> None:
    """Take whoever was suspended out of what has not ended."""
    await barring.leave_out(tx, user_id=event.user_id, now=clock.now())


@handles(identity.ProfileChanged)
async def renew_country(tx: Tx, event: identity.ProfileChanged) -> None:
    """Have entrants stand where their user says that he lives."""
    if "country" in event.fields:
        await countries.renew(tx, user_ids=[event.user_id])


@handles(ArchiveCompetitions)
async def archive(database: Database, job: ArchiveCompetitions) -> None:
    """Archive what has been over for long, a thousand in a transaction of their own."""
    for _ in range(STEPS_MAX):
        async with database.begin_system("competitions are archived by the clock") as tx:
            if not await ticking.archive(tx, now=clock.now()):
                return


@handles(CloseLists)
async def close_lists(database: Database, job: CloseLists) -> None:
    """Write down the standings of lists that take nothing more, each in a transaction of its own."""
    for _ in range(STEPS_MAX):
        async with database.begin_system("lists end by the clock", seconds_max=FINAL_SECONDS_MAX) as tx:
            if not await finals.close_next(tx, now=clock.now()):
                return
