"""What races do when others tell them something, and by the clock."""

from palio import affiliates, competitions, identity
from palio.affiliates.types import ProgrammeId
from palio.competitions.types import CompetitionId
from palio.infra import outbox
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from palio.races import service
from palio.races.messages import OnSnapshot, SettleRace, TickRaces

SCHEDULE = Schedule("races.tick", "every 1m", TickRaces(), at_start=True)


@handles(affiliates.SnapshotApplied)
async def queue_snapshot(tx: Tx, event: affiliates.SnapshotApplied) -> None:
    """One waiting job per programme is enough: it reads everything since the last look."""
    await outbox.send(tx, OnSnapshot(event.programme_id), key=f"programme:{event.programme_id}")


@handles(affiliates.AccountLinked)
async def claim(tx: Tx, event: affiliates.AccountLinked) -> None:
    """Give the user what waits for his player, and his place in the races that run."""
    await service.link(tx, player_id=event.player_id, user_id=event.user_id, now=clock.now())


@handles(affiliates.AccountUnlinked)
async def let_go(tx: Tx, event: affiliates.AccountUnlinked) -> None:
    """Take the user out of the races that run; the score stays with the player, and paid prizes stay."""
    await service.link(tx, player_id=event.player_id, user_id=None, now=clock.now())


@handles(identity.PlayerExcluded)
async def leave_out(tx: Tx, event: identity.PlayerExcluded) -> None:
    """Take whoever is not to compete out of the races that run."""
    if "compete" in event.activities:
        await service.leave_out(tx, user_id=event.user_id, now=clock.now())


@handles(identity.UserSuspended)
async def leave_out_suspended(tx: Tx, event: identity.UserSuspended) -> None:
    """Take whoever was suspended out of the races that run."""
    await service.leave_out(tx, user_id=event.user_id, now=clock.now())


@handles(competitions.CompetitionPublished)
async def attach(tx: Tx, event: competitions.CompetitionPublished) -> None:
    """Put the race beside a competition that a series of races has made."""
    await service.attach(tx, competition_id=CompetitionId(event.competition), now=clock.now())


@handles(OnSnapshot)
async def on_snapshot(tx: Tx, job: OnSnapshot) -> None:
    """Bring the races of the programme up to its newest snapshot."""
    competition_ids = await service.open_of(tx, programme_id=ProgrammeId(job.programme))
    await service.on_snapshot_many(tx, competition_ids, now=clock.now())


@handles(TickRaces)
async def tick(tx: Tx, job: TickRaces) -> None:
    """Give each race in which something is due a transaction of its own, and each series the race it lacks."""
    await service.repair(tx, now=clock.now())
    for number in await service.due(tx, now=clock.now()):
        await outbox.send(tx, SettleRace(number), key=f"race:{number}")


@handles(SettleRace, queue="critical")
async def settle(tx: Tx, job: SettleRace) -> None:
    """Do the due steps of one race."""
    await service.advance(tx, number=job.number, now=clock.now())
