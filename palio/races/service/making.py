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
from palio.races.rules import pictures, terms
from palio.races.types import DEFAULT_MIN_WAGER, PICTURE_TOLERANCE_S, NewRace, Race

SCORE_SCALE = 6


async def create_race(tx: Tx, *, new: NewRace, actor: Actor, now: datetime) -> Race:
    """Make and publish a race; the promised pool is really there from now on.

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
        await _require_picture(tx, new, programme)
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
    await competitions.publish(tx, competition_id=competition_id, now=now, backdated_reason=reason)
    (race,) = await sql.lock_races(tx, [competition_id])
    await _record(tx, race, new, reason, actor, now)
    realtime.publish(tx, "races", "race.status_changed", {"race": race.number, "status": "upcoming"})
    return race


async def _programme(tx: Tx, new: NewRace) -> Programme:
    programme = await affiliates.programme(tx, code=new.programme)
    if programme.status != "active":
        raise ProgrammeClosed(programme=programme.code, status=programme.status)
    if len(await sql.list_open(tx, programme.id)) >= terms.RACES_OPEN_MAX:
        raise TooManyRaces(programme=programme.code, limit=terms.RACES_OPEN_MAX)
    return programme


async def _previous(tx: Tx, new: NewRace, programme_id: ProgrammeId) -> CompetitionId:
    previous = await sql.find_race(tx, new.previous or 0)
    if previous is None:
        raise NoSuchRace(number=new.previous)
    before = await competitions.get(tx, competition_id=previous.competition_id)
    terms.check_chain(new, previous, before, programme_id)
    return previous.competition_id


async def _require_picture(tx: Tx, new: NewRace, programme: Programme) -> None:
    before = await affiliates.snapshot_before(tx, programme_id=programme.id, at=new.starts_at)
    after = await affiliates.snapshot_from(tx, programme_id=programme.id, at=new.starts_at)
    tolerance_s = settings.value(PICTURE_TOLERANCE_S)
    if pictures.choose_start(new.starts_at, before=before, after=after, tolerance_s=tolerance_s) is None:
        raise NoPicture(programme=programme.code, starts_at=new.starts_at)


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


async def _record(tx: Tx, race: Race, new: NewRace, reason: str | None, actor: Actor, now: datetime) -> None:
    if reason:
        await sql.insert_decision(
            tx,
            new_id(),
            race.competition_id,
            what="backdate",
            after={"starts_at": new.starts_at.isoformat(), "announced_at": now.isoformat()},
            reason=reason,
            by=actor.user_id,
            now=now,
            public_note=reason,
        )
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
