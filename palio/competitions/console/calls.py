"""The calls of staff over competitions. Each leaves an audit row; what takes two people answers 202 and an approval."""

import asyncio
from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Path, Request, Response

from palio import ledger
from palio.competitions.console.schemas import (
    ACT_EXAMPLE,
    DESK_EXAMPLE,
    FUNDED_EXAMPLE,
    FUNDED_LATER_EXAMPLE,
    INVITED_EXAMPLE,
    PREVIEW_EXAMPLE,
    SERIES_EXAMPLE,
    WAITING_EXAMPLE,
    ActAnswer,
    AdjustBody,
    AppealBody,
    CompetitionBody,
    CompetitionPatch,
    DeskAnswer,
    EntrantBody,
    ExtendBody,
    FundBody,
    FundedAnswer,
    InviteBody,
    InvitedAnswer,
    PreviewAnswer,
    PreviewBody,
    ReasonBody,
    SeriesAnswer,
    SeriesBody,
    SeriesPatch,
    SimulateBody,
)
from palio.competitions.errors import (
    AdjustmentInvalid,
    AdjustmentUndone,
    AppealDecidedBefore,
    AppealsClosed,
    AppealsOpen,
    AppealTextInvalid,
    Cancelled,
    ContributionRefused,
    EligibilityInvalid,
    EndsEarlier,
    NoSuchAdjustment,
    NoSuchAppeal,
    NoSuchCompetition,
    NoSuchEntrant,
    NoSuchPrize,
    NoSuchSeries,
    NotCollecting,
    NotDraft,
    NotExtendable,
    NothingFollows,
    NotInReview,
    NotLive,
    NotOverdue,
    NotPaused,
    NotReleased,
    NotRunning,
    NotUpcoming,
    NotWithheld,
    OfProduct,
    Paused,
    Paying,
    PoolShort,
    PrizeIncreasing,
    PrizeShape,
    PrizeSum,
    ReasonMissing,
    RecurrenceInvalid,
    SeriesExists,
    StartsInPast,
    TermsFrozen,
    Warming,
    WindowInvalid,
    ZoneUnknown,
)
from palio.competitions.rules import entering as entering_rules
from palio.competitions.rules import prizes
from palio.competitions.schemas.competitions import (
    COMPETITIONS_EXAMPLE,
    STANDINGS_EXAMPLE,
    ListedAnswer,
    RankingAnswer,
    part_of,
    shown_of,
)
from palio.competitions.schemas.entering import ANSWERED_EXAMPLE, APPEALS_EXAMPLE, AppealAnswer, AppealsAnswer
from palio.competitions.service import (
    appeals,
    desk,
    entering,
    proposing,
    series,
    showing,
    staff,
    steering,
)
from palio.competitions.types import (
    PERMISSION_ADJUST,
    PERMISSION_DISQUALIFY,
    PERMISSION_EDIT,
    PERMISSION_FUND,
    PERMISSION_READ,
    PERMISSION_SETTLE,
    CompetitionId,
    EntrantId,
    Product,
    SeriesId,
    Status,
    Wanted,
)
from palio.infra.approvals import Approval, OwnBenefit
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.providers import EntryCheck
from palio.ui import versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged, PagedById
from palio.ui.ranges import of_words
from palio.ui.routes import Routes
from palio.ui.values import Asset
from palio.ui.versions import Seen

READ, EDIT, SETTLE = PERMISSION_READ.name, PERMISSION_EDIT.name, PERMISSION_SETTLE.name
FUND, ADJUST, DISQUALIFY = PERMISSION_FUND.name, PERMISSION_ADJUST.name, PERMISSION_DISQUALIFY.name
REPEATS = "the act leaves its row; what changes nothing leaves none"
OF_RULES = (PrizeShape, PrizeSum, PrizeIncreasing)
OF_ACTS = (NoSuchCompetition, OfProduct, ReasonMissing)
OF_WITHHELD = (NoSuchCompetition, NoSuchPrize, NotWithheld, ReasonMissing, OwnBenefit)
routes = Routes("competitions")

Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]
AppealRef = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000a1"])]
SeriesRef = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000e1"])]
Statuses: TypeAlias = Annotated[list[Status], Depends(of_words("status", get_args(Status)))]
Products: TypeAlias = Annotated[list[Product], Depends(of_words("product", get_args(Product)))]
HERE = "/console/competitions/{competition_id:uuid}"


@routes.get("/console/competitions", access=READ, example=COMPETITIONS_EXAMPLE)
async def list_all_competitions(
    tx: InTx, page: PagedById, statuses: Statuses, products: Products
) -> Listed[ListedAnswer]:
    """List competitions of every product, drafts too, the newest first."""
    wanted = Wanted(statuses, products, has_drafts=True)
    return shown_of(await showing.listed(tx, wanted=wanted, part=part_of(page)), page).told(ListedAnswer.of)


@routes.post(
    "/console/competitions",
    access=EDIT,
    example=DESK_EXAMPLE,
    refuses=[PrizeShape, WindowInvalid, EligibilityInvalid, ZoneUnknown, ledger.UnknownAsset],
    status=201,
)
async def draft_competition(
    body: CompetitionBody, request: Request, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Draft a competition, which nobody sees before it is published."""
    entering_rules.check_known(body.eligibility, checks_of(request))
    made = await steering.draft(tx, new=body.new(), actor=ask.actor, now=ask.now)
    response.headers["Location"] = f"/api/v1/console/competitions/{made}"
    return await _desk(tx, ask, made, response)


@routes.post(
    "/console/competitions/preview-prizes",
    access=READ,
    example=PREVIEW_EXAMPLE,
    refuses=[*OF_RULES, ledger.UnknownAsset],
    idempotency="none",
    unaudited="it changes nothing",
)
async def preview_prizes(body: PreviewBody, tx: InTx) -> PreviewAnswer:
    """Work out what a rule pays; nothing is written."""
    found = await asyncio.to_thread(
        prizes.preview_prizes,
        prizes.read(body.prize_rule),
        pool=body.pool,
        entrants=body.entrants,
        ties={int(rank): people for rank, people in body.ties.items()},
        tie_rule=body.tie_rule,
        empty_rule=body.empty_rule,
        scores=body.scores,
    )
    scale = next((asset.scale for asset in await ledger.assets(tx) if asset.code == body.prize_asset), None)
    if scale is None:
        raise ledger.UnknownAsset(asset=body.prize_asset)
    return PreviewAnswer.of(found, Asset(body.prize_asset, scale), body)


@routes.get("/console/competitions/series", access=READ, example=SERIES_EXAMPLE)
async def list_series(tx: InTx) -> Listed[SeriesAnswer]:
    """List series of every product by code, those that rest too."""
    return Listed(tuple(map(SeriesAnswer.of, await series.all_series(tx))), None, None)


@routes.post(
    "/console/competitions/series",
    access=EDIT,
    example=SERIES_EXAMPLE.items[0],
    refuses=[*OF_RULES, EligibilityInvalid, RecurrenceInvalid, SeriesExists, ZoneUnknown, ledger.UnknownAsset],
    status=201,
)
async def create_series(body: SeriesBody, request: Request, ask: Ask, tx: InTx, response: Response) -> SeriesAnswer:
    """Make a series; its competitions are made ahead of time, by the clock."""
    entering_rules.check_known(body.eligibility, checks_of(request))
    made = await series.create_series(tx, new=body.new(), actor=ask.actor, now=ask.now)
    return await _series(tx, made, response)


@routes.put(
    "/console/competitions/series/{series_id:uuid}",
    access=EDIT,
    example=SERIES_EXAMPLE.items[0],
    refuses=[*OF_RULES, EligibilityInvalid, RecurrenceInvalid, NoSuchSeries, ZoneUnknown, ledger.UnknownAsset],
)
async def change_series(
    series_id: SeriesRef, body: SeriesPatch, seen: Seen, request: Request, ask: Ask, tx: InTx, response: Response
) -> SeriesAnswer:
    """Change what the next competitions of a series will be, or make no more of them."""
    entering_rules.check_known(body.eligibility, checks_of(request))
    known = await series.get_series(tx, series_id=SeriesId(series_id))
    await series.change_series(
        tx, series_id=known.id, new=body.over(known), is_active=body.active, version=seen, actor=ask.actor
    )
    return await _series(tx, known.id, response)


@routes.get("/console/competitions/appeals", access=READ, example=APPEALS_EXAMPLE)
async def list_open_appeals(tx: InTx) -> AppealsAnswer:
    """List the doubts that wait for an answer, the oldest first."""
    return AppealsAnswer.of(await appeals.list_appeals(tx, states=["open"]))


@routes.post(
    "/console/competitions/appeals/{appeal_id:uuid}",
    access=SETTLE,
    example=ANSWERED_EXAMPLE,
    refuses=[NoSuchAppeal, AppealDecidedBefore, AppealsClosed, AppealTextInvalid, OwnBenefit],
)
async def decide_appeal(appeal_id: AppealRef, body: AppealBody, ask: Ask, tx: InTx) -> AppealAnswer:
    """Answer a doubt. What is upheld works standings and prizes out anew, with what staff have put right."""
    return AppealAnswer.of(
        await appeals.decide_appeal(
            tx, appeal_id=appeal_id, decision=body.decision, answer=body.answer, actor=ask.actor, now=ask.now
        )
    )


@routes.get(HERE, access=READ, example=DESK_EXAMPLE, refuses=[NoSuchCompetition])
async def get_competition_desk(competition_id: Id, ask: Ask, tx: InTx, response: Response) -> DeskAnswer:
    """Read a competition as it lies before staff, with the version that acts on it name."""
    return await _desk(tx, ask, CompetitionId(competition_id), response)


@routes.patch(
    HERE,
    access=EDIT,
    example=DESK_EXAMPLE,
    refuses=[
        *(NoSuchCompetition, OfProduct, TermsFrozen, EndsEarlier, WindowInvalid, EligibilityInvalid, NothingFollows),
        *(*OF_RULES, ZoneUnknown, ledger.UnknownAsset),
    ],
    unaudited=REPEATS,
)
async def change_competition(
    competition_id: Id, body: CompetitionPatch, seen: Seen, request: Request, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Change a draft, or what can still be changed of what is announced."""
    ours = await _seen(tx, competition_id, seen)
    changes = body.changes()
    if body.eligibility:
        entering_rules.check_known(body.eligibility, checks_of(request))
    await steering.update(tx, competition_id=ours, changes=changes, actor=ask.actor, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(
    f"{HERE}/publish",
    access=EDIT,
    example=DESK_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[NoSuchCompetition, OfProduct, NotDraft, StartsInPast, NothingFollows, *OF_RULES],
)
async def publish_competition(
    competition_id: Id, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer | ActAnswer:
    """Announce a draft; its promised pool moves into escrow. Above the limit of a day it waits for a second person."""
    ours = await _seen(tx, competition_id, seen)
    found = await proposing.announce_or_propose(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    if isinstance(found, Approval):
        return _told(response, ours, found)
    return await _desk(tx, ask, ours, response)


@routes.post(f"{HERE}/start", access=EDIT, example=DESK_EXAMPLE, refuses=[*OF_ACTS, NotUpcoming])
async def start_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Let what is announced begin at once."""
    ours = await _seen(tx, competition_id, seen)
    await steering.start_now(tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(f"{HERE}/end", access=EDIT, example=DESK_EXAMPLE, refuses=[*OF_ACTS, NotLive, Paused])
async def end_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Let what runs end at once; its last scores are collected."""
    ours = await _seen(tx, competition_id, seen)
    await steering.end_now(tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(f"{HERE}/pause", access=EDIT, example=DESK_EXAMPLE, refuses=[*OF_ACTS, NotLive, Paused])
async def pause_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Let what runs rest: nobody scores."""
    ours = await _seen(tx, competition_id, seen)
    await steering.pause(tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(f"{HERE}/resume", access=EDIT, example=DESK_EXAMPLE, refuses=[*OF_ACTS, NotPaused])
async def resume_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Let what rests go on; it ends as much later as it rested."""
    ours = await _seen(tx, competition_id, seen)
    await steering.resume(tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(f"{HERE}/extend", access=EDIT, example=DESK_EXAMPLE, refuses=[*OF_ACTS, NotExtendable, EndsEarlier])
async def extend_competition(
    competition_id: Id, body: ExtendBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Move the end to a later time."""
    ours = await _seen(tx, competition_id, seen)
    await staff.extend(tx, competition_id=ours, ends_at=body.ends_at, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, ours, response)


@routes.post(
    f"{HERE}/cancel",
    access=SETTLE,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, Cancelled, Paying],
)
async def cancel_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Call it off; everybody gets back what he put in. What has begun and has a pool waits for a second person."""
    ours = await _seen(tx, competition_id, seen)
    waiting = await proposing.cancel_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now
    )
    return _told(response, ours, waiting)


@routes.post(
    f"{HERE}/fund",
    access=FUND,
    example=FUNDED_EXAMPLE,
    also={202: FUNDED_LATER_EXAMPLE},
    refuses=[*OF_ACTS, ContributionRefused],
    idempotency="required",
    step_up=True,
)
async def fund_pool(competition_id: Id, body: FundBody, ask: Ask, tx: InTx, response: Response) -> FundedAnswer:
    """Put money of the house or of a sponsor into the pool. Above the limit of a day it waits for a second person."""
    ours = await _ours(tx, competition_id)
    fund_id = new_id()
    found = await proposing.fund_or_propose(
        tx,
        fund_id=fund_id,
        competition_id=ours,
        source=body.source,
        amount=body.amount,
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    if isinstance(found, Approval):
        response.status_code = 202
    return FundedAnswer.of(fund_id, found)


@routes.post(f"{HERE}/invite", access=EDIT, example=INVITED_EXAMPLE, refuses=[NoSuchCompetition, OfProduct])
async def invite_players(competition_id: Id, body: InviteBody, ask: Ask, tx: InTx) -> InvitedAnswer:
    """Let users join a competition for invited ones."""
    ours = await _ours(tx, competition_id)
    users = [UserId(user_id) for user_id in body.user_ids]
    return InvitedAnswer(
        await entering.invite_many(tx, competition_id=ours, user_ids=users, actor=ask.actor, now=ask.now)
    )


@routes.post(
    f"{HERE}/disqualify",
    access=DISQUALIFY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, NoSuchEntrant, NotRunning, Cancelled, Paying],
    unaudited=REPEATS,
)
async def disqualify_entrant(
    competition_id: Id, body: EntrantBody, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Take an entrant out. Whoever holds a prize after the end waits for a second person."""
    ours = await _ours(tx, competition_id)
    waiting = await proposing.disqualify_or_propose(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(body.entrant_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, ours, waiting)


@routes.post(
    f"{HERE}/reinstate",
    access=DISQUALIFY,
    example=ACT_EXAMPLE,
    refuses=[*OF_ACTS, NoSuchEntrant, NotRunning, Cancelled, Paying],
    unaudited=REPEATS,
)
async def reinstate_entrant(competition_id: Id, body: EntrantBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Let an entrant in again with the score he had."""
    ours = await _ours(tx, competition_id)
    await staff.reinstate(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(body.entrant_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, ours, None)


@routes.post(
    f"{HERE}/adjust",
    access=ADJUST,
    example=ACT_EXAMPLE,
    refuses=[
        *(*OF_ACTS, NoSuchEntrant, AdjustmentInvalid, NoSuchAdjustment, AdjustmentUndone, NotRunning, Cancelled),
        *(Paying, OwnBenefit),
    ],
    idempotency="required",
)
async def adjust_score(competition_id: Id, body: AdjustBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Add to a score or take from it; the reason is public."""
    ours = await _ours(tx, competition_id)
    await staff.adjust_score(
        tx,
        adjustment_id=new_id(),
        competition_id=ours,
        entrant_id=EntrantId(body.entrant_id),
        delta=body.delta,
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
        undoes=body.undoes,
    )
    return _told(response, ours, None)


@routes.post(
    f"{HERE}/freeze",
    access=SETTLE,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, NotCollecting, NotOverdue],
)
async def freeze_competition(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Propose to freeze what its product has left lying: it always takes a second person."""
    ours = await _seen(tx, competition_id, seen)
    waiting = await proposing.force_freeze_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now
    )
    return _told(response, ours, waiting)


@routes.post(
    f"{HERE}/approve",
    access=SETTLE,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, NotInReview, AppealsOpen, OwnBenefit],
)
async def approve_payment(
    competition_id: Id, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """End the review: it is paid at the next step. A pool above the limit waits for a second person."""
    ours = await _seen(tx, competition_id, seen)
    waiting = await proposing.release_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=body.reason, now=ask.now
    )
    return _told(response, ours, waiting)


@routes.post(f"{HERE}/pay", access=SETTLE, example=ACT_EXAMPLE, refuses=[NoSuchCompetition, OfProduct, NotReleased])
async def pay_prizes(competition_id: Id, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Pay the next prizes of what is released, without waiting for the clock."""
    ours = await _ours(tx, competition_id)
    await steering.pay(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    return _told(response, ours, None)


@routes.post(
    f"{HERE}/pay-withheld",
    access=SETTLE,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_WITHHELD, ledger.AccountFrozen, ledger.AccountClosed, ledger.BalanceLimit],
    unaudited=REPEATS,
)
async def pay_withheld_prize(
    competition_id: Id, body: EntrantBody, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Pay a prize that its winner's wallet had refused. A large one waits for a second person."""
    ours = CompetitionId(competition_id)
    waiting = await proposing.pay_withheld_or_propose(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(body.entrant_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, ours, waiting)


@routes.post(
    f"{HERE}/forfeit",
    access=SETTLE,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=OF_WITHHELD,
    unaudited=REPEATS,
)
async def forfeit_prize(competition_id: Id, body: EntrantBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Propose to send a prize back that its winner's wallet had refused: it always takes a second person."""
    ours = CompetitionId(competition_id)
    waiting = await proposing.forfeit_or_propose(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(body.entrant_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, ours, waiting)


@routes.get(f"{HERE}/appeals", access=READ, example=APPEALS_EXAMPLE, refuses=[NoSuchCompetition])
async def list_appeals(competition_id: Id, tx: InTx) -> AppealsAnswer:
    """List the doubts about a competition with their answers, the oldest first."""
    return AppealsAnswer.of(
        await appeals.list_appeals(
            tx, states=["open", "upheld", "rejected"], competition_id=CompetitionId(competition_id)
        )
    )


@routes.get(f"{HERE}/standings", access=READ, example=STANDINGS_EXAMPLE, refuses=[NoSuchCompetition])
async def list_staff_standings(competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> RankingAnswer:
    """List the board by place with its prizes, before they are shown to players too."""
    ours, after = CompetitionId(competition_id), page.cut()
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, limit=page.limit, after=after, is_staff=True)
    return RankingAnswer.of_shown(shown, page)


@routes.post(
    f"{HERE}/simulate",
    access=READ,
    example=PREVIEW_EXAMPLE,
    refuses=[NoSuchCompetition, *OF_RULES, PoolShort, Warming],
    idempotency="none",
    unaudited="it changes nothing",
)
async def simulate_prizes(competition_id: Id, body: SimulateBody, tx: InTx) -> PreviewAnswer:
    """Work out what the ranking as it is would be paid by other prizes; nothing is written."""
    rule = None if body.prize_rule is None else prizes.read(body.prize_rule)
    found = await desk.prize_list(
        tx,
        competition_id=CompetitionId(competition_id),
        trial=desk.Trial(rule, body.pool, body.empty_rule),
        limit=body.limit,
        after=body.after,
    )
    return PreviewAnswer.of_list(found, body)


async def _series(tx: Tx, series_id: SeriesId, response: Response) -> SeriesAnswer:
    found = await series.get_series(tx, series_id=series_id)
    versions.tell(response, found.version)
    return SeriesAnswer.of(found)


def checks_of(request: Request) -> tuple[EntryCheck[Tx], ...]:
    """The rules of entering that other modules have registered."""
    checks: tuple[EntryCheck[Tx], ...] = request.app.state.entry_checks
    return checks


async def _ours(tx: Tx, competition_id: UUID) -> CompetitionId:
    await steering.require_ours(tx, competition_id=CompetitionId(competition_id))
    return CompetitionId(competition_id)


async def _seen(tx: Tx, competition_id: UUID, seen: int) -> CompetitionId:
    ours = await _ours(tx, competition_id)
    await steering.require_seen(tx, competition_id=ours, version=seen)
    return ours


async def _desk(tx: Tx, ask: Asking, competition_id: CompetitionId, response: Response) -> DeskAnswer:
    shown = await showing.shown(tx, competition_id=competition_id, now=ask.now, is_staff=True)
    versions.tell(response, shown.competition.version)
    waiting = await appeals.list_appeals(tx, states=["open"], competition_id=competition_id)
    return DeskAnswer.of(shown, len(waiting))


def _told(response: Response, competition_id: CompetitionId, waiting: Approval | None) -> ActAnswer:
    if waiting:
        response.status_code = 202
    return ActAnswer.of(competition_id, waiting)
