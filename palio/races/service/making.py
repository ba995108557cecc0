"""Making a race: competition and race row together, published, its pool in escrow."""

from datetime import datetime

from palio import affiliates, competitions, ledger
from palio.affiliates.types import Programme, ProgrammeId
from palio.competitions.types import CompetitionId, NewCompetition
from palio.infra import audit, realtime, settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor, new_id
from palio.races import sql
from palio.races.errors import ChainGap, NoPicture, NoSuchRace, ProgrammeClosed, SpecInvalid, TooManyRaces
from palio.races.messages import RACE_STATUS_CHANGED
from palio.races.rules import pictures, terms
from palio.races.service.running import find
from palio.races.types import DEFAULT_MIN_WAGER, PICTURE_TOLERANCE_S, NewRace, Race

SCORE_SCALE = 6


async def create_race(tx: Tx, *, new: NewRace, actor: Actor, now: datetime, is_draft: bool = False) -> Race:
    """Make and publish a race; the promised pool is really there from now on. A draft waits for `publish`, unseen.

    Refuses with WindowInvalid, SpecInvalid, ReasonMissing, ProgrammeClosed, TooManyRaces, ChainGap, NoPicture,
    NoSuchRace, affiliates.NoSuchProgramme, competitions.PrizeSum, competitions.PrizeIncreasing.
    """
    terms.check(new)
    reason = terms.check_backdating(new, now)
    if new.pool_asset not in {asset.code for asset in await ledger.assets(tx)}:
        raise SpecInvalid(field="pool", expected=f"of an asset that exists, not {new.pool_asset}")
    programme = await _programme(tx, new)
    previous_id = await _previous(tx, new, programme.id) if new.previous else None
    if reason and previous_id is None:
        await _require_picture(tx, new.starts_at, programme.id, programme.code)
    competitions.preview_prizes(new.prize_rule, pool=new.pool, entrants=0)
    made = _competition(new, terms.minimum(new, settings.value(DEFAULT_MIN_WAGER)))
    competition_id = await competitions.create(tx, new=made, created_by=actor.user_id, now=now)
    if not await sql.insert_race(
        tx,
        competition_id,
        programme.id,
        previous_id=previous_id,
        backdated_reason=reason,
        now=now,
        linked_only=new.linked_only,
    ):
        raise ChainGap(previous=new.previous, ends_at=new.starts_at)
    if not is_draft:
        await competitions.publish(tx, competition_id=competition_id, now=now, backdated_reason=reason)
    (race,) = await sql.lock_races(tx, [competition_id])
    if reason:
        await _backdate(tx, race, new.starts_at, reason, actor, now)
    await _record(tx, race, new, reason, actor)
    if not is_draft:
        _tell(tx, race)
    return race


async def publish(tx: Tx, *, number: int, actor: Actor, now: datetime, backdated_reason: str | None = None) -> Race:
    """Announce a draft: its pool moves into escrow. Whose start has passed meanwhile needs a reason of its own.

    Refuses with NoSuchRace, ReasonMissing, NoPicture, ProgrammeClosed, TooManyRaces and as competitions.publish does.
    """
    race, competition = await find(tx, number=number)
    programme = await affiliates.programme_status(tx, programme_id=race.programme_id)
    _require_open(programme.code, programme.status)
    given = backdated_reason or race.backdated_reason
    reason = terms.check_start(competition.starts_at, given, now)
    if reason and race.previous_id is None:
        await _require_picture(tx, competition.starts_at, race.programme_id, programme.code)
    await competitions.publish(tx, competition_id=competition.id, now=now, backdated_reason=reason)
    if reason and race.backdated_reason is None:
        await sql.update_backdated(tx, competition.id, reason)
        await _backdate(tx, race, competition.starts_at, reason, actor, now)
    await audit.record(
        tx,
        actor=actor,
        action="race.publish",
        entity_type="race",
        entity_id=str(competition.id),
        changes={
            "status": (competition.status, "upcoming"),
            "pool": (0, f"{competition.guaranteed_pool} {competition.prize_asset}"),
        },
        reason=reason or "",
    )
    _tell(tx, race)
    return race


def _tell(tx: Tx, race: Race) -> None:
    facts = {"race": str(race.competition_id), "number": race.number, "status": "upcoming"}
    realtime.publish(tx, "races", RACE_STATUS_CHANGED, facts)


async def _programme(tx: Tx, new: NewRace) -> Programme:
    programme = await affiliates.programme(tx, code=new.programme)
    _require_open(programme.code, programme.status)
    if len(await sql.list_open(tx, programme.id)) >= terms.RACES_OPEN_MAX:
        raise TooManyRaces(programme=programme.code, limit=terms.RACES_OPEN_MAX)
    return programme


def _require_open(code: str, status: str) -> None:
    if status != "active":
        raise ProgrammeClosed(programme=code, status=status)


async def _previous(tx: Tx, new: NewRace, programme_id: ProgrammeId) -> CompetitionId:
    previous = await sql.find_race(tx, new.previous or 0)
    if previous is None:
        raise NoSuchRace(number=new.previous)
    before = await competitions.get(tx, competition_id=previous.competition_id)
    terms.check_chain(new, previous, before, programme_id)
    return previous.competition_id


async def _require_picture(tx: Tx, starts_at: datetime, programme_id: ProgrammeId, code: str) -> None:
    before = await affiliates.snapshot_before(tx, programme_id=programme_id, at=starts_at)
    after = await affiliates.snapshot_from(tx, programme_id=programme_id, at=starts_at)
    tolerance_s = settings.value(PICTURE_TOLERANCE_S)
    if pictures.choose_start(starts_at, before=before, after=after, tolerance_s=tolerance_s) is None:
        raise NoPicture(programme=code, starts_at=starts_at)


def _competition(new: NewRace, min_wager_micro: int) -> NewCompetition:
    return NewCompetition(
        product="race",
        title=new.title,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        prize_asset=new.pool_asset,
        guaranteed_pool=new.pool,
        prize_rule=new.prize_rule,
        cadence=new.cadence,
        description=new.description,
        rules_text=new.rules_text,
        score_scale=SCORE_SCALE,
        min_score=min_wager_micro,
        tie_rule="share",
        empty_rule="keep",
        leftover_to="house",
        no_winner="refund",
        grace_s=new.grace_s,
        review_h=new.review_h,
    )


async def _backdate(tx: Tx, race: Race, starts_at: datetime, reason: str, actor: Actor, now: datetime) -> None:
    await sql.insert_decision(
        tx,
        new_id(),
        race.competition_id,
        what="backdate",
        after={"starts_at": starts_at.isoformat(), "announced_at": now.isoformat()},
        reason=reason,
        by=actor.user_id,
        now=now,
        public_note=reason,
    )


async def _record(tx: Tx, race: Race, new: NewRace, reason: str | None, actor: Actor) -> None:
    await audit.record(
        tx,
        actor=actor,
        action="race.create",
        entity_type="race",
        entity_id=str(race.competition_id),
        changes={
            "title": (None, new.title),
            "starts_at": (None, new.starts_at.isoformat()),
            "ends_at": (None, new.ends_at.isoformat()),
            "pool": (None, f"{new.pool} {new.pool_asset}"),
        },
        reason=reason or "",
    )
