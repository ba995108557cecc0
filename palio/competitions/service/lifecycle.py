"""Making a competition and moving it along the clock until its scores are in."""

from dataclasses import replace
from datetime import datetime

from palio.competitions import sql
from palio.competitions.errors import NoSuchCompetition, NotLive, NotUpcoming
from palio.competitions.messages import CompetitionPublished, CompetitionWentLive, EnsureSeries
from palio.competitions.rules import editing, entering, lifecycle, prizes
from palio.competitions.rules.pools import promised_key
from palio.competitions.service import pools, refunds, telling
from palio.competitions.types import (
    GRACE_S,
    RACE_GRACE_S,
    RACE_REVIEW_H,
    REVIEW_H,
    TREASURY_BPS,
    Competition,
    CompetitionId,
    Contribution,
    NewCompetition,
    Product,
    Waits,
)
from palio.infra import audit, outbox, partitions, settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id


async def create(tx: Tx, *, new: NewCompetition, created_by: UserId | None, now: datetime) -> CompetitionId:
    """Make a draft with a board of its own. Refuses with WindowInvalid, EligibilityInvalid."""
    lifecycle.check_window(new)
    entering.check_terms(new)
    competition_id, usual = CompetitionId(new_id()), await waits(tx, product=new.product)
    new = replace(
        new,
        treasury_bps=settings.value(TREASURY_BPS) if new.treasury_bps is None else new.treasury_bps,
        grace_s=usual.grace_s if new.grace_s is None else new.grace_s,
        review_h=usual.review_h if new.review_h is None else new.review_h,
    )
    await sql.insert_competition(tx, competition_id, new, prizes.written(new.prize_rule), created_by, now)
    return competition_id


async def waits(tx: Tx, *, product: Product) -> Waits:
    """How long results of a product wait where their terms do not say."""
    grace, review = (RACE_GRACE_S, RACE_REVIEW_H) if product == "race" else (GRACE_S, REVIEW_H)
    return Waits(await settings.exact(tx, grace), await settings.exact(tx, review))


async def publish(
    tx: Tx, *, competition_id: CompetitionId, now: datetime, backdated_reason: str | None = None
) -> Competition:
    """Announce a draft: its terms are hashed and the promised pool moves into escrow.

    A start in the past needs a reason, and a product that has checked who may state one.
    Refuses with NoSuchCompetition, NotDraft, StartsInPast, NothingFollows, PrizeShape, PrizeSum, PrizeIncreasing.
    """
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_publishing(competition, now, backdated_reason)
    for month in lifecycle.months_of(competition, now):
        await partitions.ensure(tx, "competitions.receipts", month)
    rule = prizes.read(competition.prize_rule)
    prizes.check(rule, competition.guaranteed_pool)
    prizes.check_scores(rule, direction=competition.direction, allow_nonpositive=competition.allow_nonpositive)
    await sql.update_published(tx, competition_id, editing.terms_hash(competition), backdated_reason, now)
    await _fund(tx, competition, now)
    await outbox.send(tx, CompetitionPublished(*lifecycle.told(competition)))
    return await moved(tx, competition_id=competition_id)


async def _fund(tx: Tx, competition: Competition, now: datetime) -> None:
    if competition.guaranteed_pool:
        key, amount = promised_key(competition.id), competition.guaranteed_pool
        promised = Contribution(competition.id, "admin_fund", amount, "house:prizes", key)
        await pools.contribute(tx, item=promised, now=now)


async def start(tx: Tx, *, competition_id: CompetitionId, now: datetime) -> Competition:
    """Upcoming becomes live at its time, or is cancelled when too few have joined, and everything goes back.

    Refuses with NoSuchCompetition, NotUpcoming.
    """
    competition = await lock(tx, competition_id=competition_id)
    if competition.status != "upcoming" or now < competition.starts_at:
        raise NotUpcoming(status=competition.status, starts_at=competition.starts_at)
    if reason := entering.too_few(competition, await sql.count_active(tx, competition_id)):
        return await _call_off(tx, competition, reason, now)
    await sql.update_status(tx, competition_id, "live", None, now)
    await outbox.send(tx, CompetitionWentLive(*lifecycle.told(competition)))
    return await moved(tx, competition_id=competition_id)


async def _call_off(tx: Tx, competition: Competition, reason: str, now: datetime) -> Competition:
    await refunds.call_off(tx, competition=competition, reason=reason, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="competition.cancel",
        entity_type="competition",
        entity_id=str(competition.id),
        changes={"status": (competition.status, "cancelled")},
        reason=reason,
    )
    return await moved(tx, competition_id=competition.id)


async def close(tx: Tx, *, competition_id: CompetitionId, now: datetime) -> Competition:
    """Live becomes settling at its time: the product collects its last scores.

    Waits for submissions under way; none of them can pass this step. Refuses with NoSuchCompetition, NotLive, Paused.
    """
    competition = await lock(tx, competition_id=competition_id)
    lifecycle.check_not_paused(competition)
    if competition.status != "live" or now < competition.ends_at:
        raise NotLive(status=competition.status, ends_at=competition.ends_at)
    await sql.update_status(tx, competition_id, "settling", "collecting", now)
    if competition.series_id:
        await outbox.send(tx, EnsureSeries(), key="series")
    return await moved(tx, competition_id=competition_id)


async def moved(tx: Tx, *, competition_id: CompetitionId) -> Competition:
    """The header as it is after a step, of which whoever looks on is told. Refuses with NoSuchCompetition."""
    competition = await lock(tx, competition_id=competition_id)
    telling.moved(tx, competition=competition)
    return competition


async def lock(tx: Tx, *, competition_id: CompetitionId) -> Competition:
    """The header, ours until the transaction ends. Refuses with NoSuchCompetition."""
    competition = await sql.lock_competition(tx, competition_id)
    if competition is None:
        raise NoSuchCompetition(competition_id=str(competition_id))
    return competition
