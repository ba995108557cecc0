"""Moving races along by the clock and by snapshots: each step in order, once, however often it is asked for."""

from collections.abc import Sequence
from datetime import datetime

from palio import affiliates, competitions
from palio.affiliates.types import ProgrammeId
from palio.competitions.types import Competition, CompetitionId
from palio.infra import outbox, realtime
from palio.infra.db import Tx
from palio.races import sql
from palio.races.errors import NoFinalPicture, NoSuchRace
from palio.races.messages import RACE_COMPLETED, RACE_STATUS_CHANGED, RaceCompleted
from palio.races.rules import pictures
from palio.races.service import closing, counting, opening
from palio.races.types import Progress, Race

STEPS_MAX = 25  # of one call


async def tick(tx: Tx, *, now: datetime) -> list[Progress]:
    """Do every due step of every open race; answers those in which something was done."""
    done = [await advance(tx, number=number, now=now) for number in await due(tx, now=now)]
    return [progress for progress in done if progress.steps]


async def due(tx: Tx, *, now: datetime) -> list[int]:
    """The numbers of races in which a step may be due."""
    races = await sql.list_open(tx, None)
    headers = await competitions.get_many(tx, [race.competition_id for race in races])
    seqs = {programme_id: await _seq(tx, programme_id) for programme_id in {race.programme_id for race in races}}
    return [
        race.number
        for race in races
        if pictures.is_due(race, headers[race.competition_id], seq=seqs[race.programme_id], now=now)
    ]


async def _seq(tx: Tx, programme_id: ProgrammeId) -> int:
    return (await affiliates.programme_status(tx, programme_id=programme_id)).seq


async def settle(tx: Tx, *, number: int, now: datetime) -> Progress:
    """Do the due steps of one race whose time is over. Refuses with NoSuchRace, NoFinalPicture."""
    progress = await advance(tx, number=number, now=now)
    if progress.waits_for == "final_picture":
        race, competition = await find(tx, number=number)
        due_at = pictures.final_due_at(competition.ends_at, competition.grace_s)
        raise NoFinalPicture(number=race.number, due_at=due_at)
    return progress


async def advance(tx: Tx, *, number: int, now: datetime, steps_max: int = STEPS_MAX) -> Progress:
    """Do the due steps of one race; the next call does what is left. Refuses with NoSuchRace."""
    race, _ = await find(tx, number=number)
    steps: list[str] = []
    while len(steps) < steps_max and (step := await _step(tx, race.competition_id, now)):
        steps.append(step)
    race, competition = await find(tx, number=number)
    waits_for = pictures.waits_for(race, competition)
    return Progress(number, competition.status, competition.phase, race.stage, tuple(steps), waits_for)


async def find(tx: Tx, *, number: int) -> tuple[Race, Competition]:
    """A race and its competition. Refuses with NoSuchRace."""
    race = await sql.find_race(tx, number)
    if race is None:
        raise NoSuchRace(number=number)
    return race, await competitions.get(tx, competition_id=race.competition_id)


async def on_snapshot_many(tx: Tx, competition_ids: Sequence[CompetitionId], *, now: datetime) -> int:
    """Bring running races up to the newest snapshot of their programmes; answers how many moved.

    Order and repetition do not matter: every change of a feed counts once, by the snapshot that brought it. The
    headers are held first, then the races in key order, so that a settlement and a snapshot wait for each other.
    """
    gates = await competitions.gate_many(tx, competition_ids)
    races = await sql.lock_races(tx, list(gates))
    headers = await competitions.get_many(tx, list(gates))
    moved = 0
    for race in races:
        if pictures.is_running(headers[race.competition_id]):
            moved += await counting.catch_up(tx, race=race, competition=headers[race.competition_id], now=now)
    return moved


async def open_of(tx: Tx, *, programme_id: ProgrammeId) -> list[CompetitionId]:
    """The races of a programme that are not done."""
    return [race.competition_id for race in await sql.list_open(tx, programme_id)]


async def _step(tx: Tx, competition_id: CompetitionId, now: datetime) -> str | None:
    """The next due step, named, or None. The header is locked first, then the race."""
    competition = await competitions.lock(tx, competition_id=competition_id)
    (race,) = await sql.lock_races(tx, [competition_id])
    if competition.status == "upcoming" and now >= competition.starts_at:
        moved = await competitions.start(tx, competition_id=competition_id, now=now)
        return await told(tx, race=race, competition=moved, step="started")
    if pictures.is_running(competition):
        return await _run(tx, race, competition, now)
    if competition.status == "settling" and await competitions.settle(tx, competition_id=competition_id, now=now):
        return "settled"
    if competition.status in ("completed", "archived", "cancelled") and race.stage != "done":
        return await _finish(tx, race, competition)
    return None


async def _run(tx: Tx, race: Race, competition: Competition, now: datetime) -> str | None:
    if race.start_state == "waiting" and await opening.choose(tx, race=race, competition=competition, now=now):
        return "start picture chosen"
    if await counting.catch_up(tx, race=race, competition=competition, now=now):
        return "wagers counted"
    if competition.status == "live" and now >= competition.ends_at:
        await sql.update_stage(tx, race.competition_id, "waiting_final", race.review_reasons)
        moved = await competitions.close(tx, competition_id=competition.id, now=now)
        return await told(tx, race=race, competition=moved, step="ended")
    if competition.status == "settling" and race.final_state == "waiting":
        chosen = await closing.choose(tx, race=race, competition=competition, now=now)
        return "final picture chosen" if chosen else None
    if competition.status == "settling" and await closing.freeze(tx, race=race, competition=competition, now=now):
        moved = await competitions.get(tx, competition_id=competition.id)
        return await told(tx, race=race, competition=moved, step="frozen")
    return None


async def told(tx: Tx, *, race: Race, competition: Competition, step: str) -> str:
    """Let pages know that a race has moved on; answers the step."""
    facts = _stage(race, competition) | {"phase": competition.phase}
    for topic in ("races", f"race:{race.competition_id}"):
        realtime.publish(tx, topic, RACE_STATUS_CHANGED, facts)
    return step


async def _finish(tx: Tx, race: Race, competition: Competition) -> str:
    await sql.update_stage(tx, race.competition_id, "done", race.review_reasons)
    if competition.status == "cancelled":
        await told(tx, race=race, competition=competition, step="done")
    else:
        await outbox.send(tx, RaceCompleted(race.competition_id, competition.period_key))
        for topic in ("races", f"race:{race.competition_id}"):
            realtime.publish(tx, topic, RACE_COMPLETED, _stage(race, competition))
    return "done"


def _stage(race: Race, competition: Competition) -> dict[str, str | int | None]:
    return {"race": str(race.competition_id), "number": race.number, "status": competition.status}
