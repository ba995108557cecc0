"""What staff read of competitions: months, prizes, money in and out, the pulse of a board, how a settlement goes on."""

from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Query

from palio import ledger
from palio.competitions.console.answers import (
    CALENDAR_EXAMPLE,
    CONTRIBUTIONS_EXAMPLE,
    INSTANCES_EXAMPLE,
    LIABILITIES_EXAMPLE,
    MONITOR_EXAMPLE,
    PARTICIPANTS_EXAMPLE,
    PRIZES_EXAMPLE,
    SETTLEMENT_EXAMPLE,
    TAKE_BACKS_EXAMPLE,
    WITHHELD_EXAMPLE,
    CalendarAnswer,
    ContributionAnswer,
    InstanceAnswer,
    LiabilityAnswer,
    MonitorAnswer,
    ParticipantAnswer,
    PrizesAnswer,
    SettlementAnswer,
    TakeBackAnswer,
    WithheldAnswer,
)
from palio.competitions.console.calls import HERE, OF_RULES, READ, Id, SeriesRef
from palio.competitions.console.forms import AsTrial, trial_of
from palio.competitions.errors import AmountInvalid, NoSuchCompetition, NoSuchSeries, PoolShort, Warming
from palio.competitions.rules import calendar
from palio.competitions.service import desk, reads, series, showing, withholding
from palio.competitions.types import (
    Competition,
    CompetitionId,
    EntrantId,
    Gone,
    JoinedState,
    Product,
    Put,
    SeriesId,
    WantedJoined,
    WithheldKey,
)
from palio.infra.db import Tx
from palio.kernel.parts import IDS
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, Paged, PagedById, Paging, Part, numbered, sorted_by
from palio.ui.ranges import of_words
from palio.ui.routes import Routes
from palio.ui.values import Asset

Month = Annotated[
    str | None, Query(pattern=r"^[2-8]\d{3}-(0[1-9]|1[0-2])$", description="A month like 2026-03; the present one")
]
routes = Routes("competitions")


@routes.get("/console/competitions/calendar", access=READ, example=CALENDAR_EXAMPLE)
async def list_month(ask: Ask, tx: InTx, month: Month = None, product: Product | None = None) -> CalendarAnswer:
    """List what runs in the weeks of a month, drafts too, without what was cancelled."""
    since, until = calendar.bounds(calendar.first_of(month, ask.now))
    return CalendarAnswer.of(await desk.running(tx, since=since, until=until, product=product))


@routes.get("/console/competitions/liability", access=READ, example=LIABILITIES_EXAMPLE)
async def list_liabilities(ask: Ask, tx: InTx) -> Listed[LiabilityAnswer]:
    """List what the house owes by competitions, and what series will promise within a month, by asset."""
    assets = {each.code: Asset(each.code, each.scale) for each in await ledger.assets(tx)}
    found = await desk.liabilities(tx, now=ask.now)
    return Listed(tuple(LiabilityAnswer.of(each, assets[each.asset]) for each in found), None, None)


@routes.get(
    f"{HERE}/prizes",
    access=READ,
    example=PRIZES_EXAMPLE,
    refuses=[NoSuchCompetition, *OF_RULES, AmountInvalid, PoolShort, Warming],
)
async def list_prizes(competition_id: Id, tx: InTx, page: Paged, asked: AsTrial) -> PrizesAnswer:
    """List what each place has won and why, or would win now, or with another pool and other prizes."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    trial = trial_of(asked, await asset_of(tx, competition))
    after, limit = page.span()
    found = await desk.prize_list(tx, competition_id=competition.id, trial=trial, limit=limit, after=after)
    return PrizesAnswer.of(found, after, page)


@routes.get(f"{HERE}/contributions", access=READ, example=CONTRIBUTIONS_EXAMPLE, refuses=[NoSuchCompetition])
async def list_contributions(competition_id: Id, tx: InTx, page: PagedById) -> Listed[ContributionAnswer]:
    """List what came into a pool, how each was split, and what of it has left again."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    asset = await asset_of(tx, competition)
    return (await put_part(tx, competition.id, page)).told(lambda put: ContributionAnswer.of(put, asset))


ByContribution: TypeAlias = Annotated[Paging, Depends(sorted_by("-contribution_id", end=(str(IDS[0]),)))]


@routes.get(f"{HERE}/take-backs", access=READ, example=TAKE_BACKS_EXAMPLE, refuses=[NoSuchCompetition])
async def list_take_backs(competition_id: Id, tx: InTx, page: ByContribution) -> Listed[TakeBackAnswer]:
    """List what left a pool again before prizes did: refunds of a cancellation, and what was undone."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    asset = await asset_of(tx, competition)
    return (await gone_part(tx, competition.id, page)).told(lambda gone: TakeBackAnswer.of(gone, asset))


ByCompetition: TypeAlias = Annotated[Paging, Depends(sorted_by("-competition_id", end=(str(IDS[0]), 0)))]


ByEntrant: TypeAlias = Annotated[Paging, Depends(sorted_by("-entrant_id", end=(0,)))]
States: TypeAlias = Annotated[list[JoinedState], Depends(of_words("state", get_args(JoinedState)))]
HasScore: TypeAlias = Annotated[bool | None, Query(description="With a score, or without one")]


@routes.get(f"{HERE}/participants", access=READ, example=PARTICIPANTS_EXAMPLE, refuses=[NoSuchCompetition])
async def list_participants(
    competition_id: Id, tx: InTx, page: ByEntrant, states: States, has_score: HasScore = None
) -> Listed[ParticipantAnswer]:
    """List who takes part, left, is invited or was taken out, with a score or without: the newest entrant first."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    return await joined_part(tx, competition, WantedJoined(states, has_score), page)


@routes.get("/console/competitions/withheld", access=READ, example=WITHHELD_EXAMPLE)
async def list_withheld(tx: InTx, page: ByCompetition, competition_id: UUID | None = None) -> Listed[WithheldAnswer]:
    """List prizes that wallets did not take and that wait for staff, of one competition or of all."""
    ours = CompetitionId(competition_id) if competition_id else None
    return await withheld_part(tx, ours, page)


@routes.get(f"{HERE}/monitor", access=READ, example=MONITOR_EXAMPLE, refuses=[NoSuchCompetition])
async def get_monitor(competition_id: Id, ask: Ask, tx: InTx) -> MonitorAnswer:
    """Read how scores came in within an hour, how late they were, and what is odd about them."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    return MonitorAnswer.of(await desk.watched(tx, competition=competition, now=ask.now))


@routes.get(f"{HERE}/settlement", access=READ, example=SETTLEMENT_EXAMPLE, refuses=[NoSuchCompetition])
async def get_settlement(competition_id: Id, tx: InTx) -> SettlementAnswer:
    """Read how far a settlement has come, and what it waits for."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    found = await desk.progress(tx, competition=competition)
    return SettlementAnswer.of(competition, found, await asset_of(tx, competition))


@routes.get(
    "/console/competitions/series/{series_id:uuid}/instances",
    access=READ,
    example=INSTANCES_EXAMPLE,
    refuses=[NoSuchSeries],
)
async def list_instances(series_id: SeriesRef, ask: Ask, tx: InTx) -> Listed[InstanceAnswer]:
    """List the period of a series that is on and the next ones, with the competitions that are made."""
    known = await series.get_series(tx, series_id=SeriesId(series_id))
    found = await desk.upcoming(tx, series=known, now=ask.now)
    return Listed(tuple(map(InstanceAnswer.of, found)), None, None)


async def asset_of(tx: Tx, competition: Competition) -> Asset:
    """What its prizes are counted in."""
    scale = next(each.scale for each in await ledger.assets(tx) if each.code == competition.prize_asset)
    return Asset(competition.prize_asset, scale)


async def put_part(tx: Tx, competition_id: CompetitionId, page: Paging) -> Part[Put]:
    """A page of contributions."""
    found = await desk.contributions(tx, competition_id=competition_id, part=page.wanted(numbered).and_one)
    return page.part(found, lambda put: (str(put.id),))


async def joined_part(
    tx: Tx, competition: Competition, wanted: WantedJoined, page: Paging
) -> Listed[ParticipantAnswer]:
    """A page of those who joined, with their names."""
    found = await desk.joined(tx, competition_id=competition.id, wanted=wanted, part=page.wanted(_entrant).and_one)
    part = page.part(found, lambda one: (one.entrant_id,))
    people = await reads.entrants_many(tx, [one.entrant_id for one in part.rows])
    names = await showing.names_of(tx, people=people)
    return part.told(lambda one: ParticipantAnswer.of(one, names[one.entrant_id], competition.score_scale))


def _entrant(entrant_id: object) -> EntrantId:
    return EntrantId(int(str(entrant_id)))


async def withheld_part(tx: Tx, competition_id: CompetitionId | None, page: Paging) -> Listed[WithheldAnswer]:
    """A page of prizes that wait for staff, with the names of their winners."""
    found = await withholding.list_withheld(tx, competition_id=competition_id, part=page.wanted(_withheld_key).and_one)
    part = page.part(found, lambda one: (str(one.competition_id), one.entrant_id))
    people = await reads.entrants_many(tx, [one.entrant_id for one in part.rows])
    names = await showing.names_of(tx, people=people)
    assets = {each.code: Asset(each.code, each.scale) for each in await ledger.assets(tx)}
    return part.told(lambda one: WithheldAnswer.of(one, names[one.entrant_id], assets[one.asset]))


def _withheld_key(competition_id: object, entrant_id: object) -> WithheldKey:
    return WithheldKey(UUID(str(competition_id)), int(str(entrant_id)))


async def gone_part(tx: Tx, competition_id: CompetitionId, page: Paging) -> Part[Gone]:
    """A page of what left again."""
    found = await desk.take_backs(tx, competition_id=competition_id, part=page.wanted(numbered).and_one)
    return page.part(found, lambda gone: (str(gone.contribution_id),))
