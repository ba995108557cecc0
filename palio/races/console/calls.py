"""The API of staff over races. Every act leaves an audit row; what takes two people answers 202 and an approval."""

from typing import Annotated, TypeAlias, get_args

from fastapi import Depends, Query, Response

from palio import competitions, ledger
from palio.affiliates import NoSuchProgramme, NoSuchSnapshot
from palio.affiliates.types import SnapshotId
from palio.competitions import (
    Cancelled,
    EndsEarlier,
    NotDraft,
    NotExtendable,
    NotInReview,
    NotRunning,
    Paying,
    PrizeIncreasing,
    PrizeShape,
    PrizeSum,
    SeriesExists,
    ZoneUnknown,
)
from palio.competitions import ReasonMissing as ReasonTooShort
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden
from palio.kernel.ids import new_id
from palio.races import service
from palio.races.console.schemas import (
    ACT_EXAMPLE,
    DESK_EXAMPLE,
    HOLDS_EXAMPLE,
    PREVIEW_EXAMPLE,
    RECOMPUTED_EXAMPLE,
    REHEARSAL_EXAMPLE,
    SERIES_EXAMPLE,
    STAFF_BOARD_EXAMPLE,
    WAITING_EXAMPLE,
    ActAnswer,
    AdjustBody,
    DeskAnswer,
    ExtendBody,
    ForeseenAnswer,
    HoldAnswer,
    HoldBody,
    HoldsAnswer,
    NotedBody,
    PictureBody,
    Player,
    PreviewAnswer,
    PublishBody,
    RaceBody,
    ReasonBody,
    RecomputedAnswer,
    RehearsalAnswer,
    RehearseBody,
    SeriesAnswer,
    SeriesBody,
    SeriesListAnswer,
    StaffBoardAnswer,
    State,
)
from palio.races.errors import (
    AdjustmentInvalid,
    BaselineUnknown,
    ChainGap,
    Frozen,
    NoPicture,
    NoSuchHold,
    NoSuchRace,
    NotOverdue,
    NotStarted,
    OwnAccount,
    PictureUnfit,
    PlayerUnknown,
    PrizePrecision,
    ProgrammeClosed,
    ReasonMissing,
    SpecInvalid,
    StartReplaced,
    TooManyRaces,
    WindowInvalid,
)
from palio.races.rules import terms
from palio.races.schemas import RACES_EXAMPLE, ByEnd, LineAnswer, Number, asset_of, part_of, shown_of
from palio.races.types import NewRace, Wanted
from palio.ui import versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged
from palio.ui.ranges import of_words
from palio.ui.routes import Routes
from palio.ui.values import Asset
from palio.ui.versions import Seen

READ, EDIT, MONEY, BACKDATE = "races.race.read", "races.race.edit", "races.race.money", "races.race.backdate"
OF_TERMS = (SpecInvalid, WindowInvalid, PrizePrecision, PrizeShape, PrizeSum, PrizeIncreasing, NoSuchProgramme)
OF_ACTS = (NoSuchRace, NotRunning, Cancelled, Paying, ReasonTooShort)
routes = Routes("races")

States: TypeAlias = Annotated[list[State], Depends(of_words("state", get_args(State)))]
Programme = Annotated[str | None, Query(max_length=64, description="Code of a programme")]


@routes.get("/console/races", access=READ, example=RACES_EXAMPLE, refuses=[NoSuchProgramme])
async def list_all_races(tx: InTx, page: ByEnd, states: States, programme: Programme = None) -> Listed[LineAnswer]:
    """List races, drafts too, the newest first."""
    wanted = Wanted(states=states, programme=programme, has_drafts=True)
    return shown_of(await service.listed(tx, wanted=wanted, part=part_of(page)), page).told(LineAnswer.of)


@routes.post(
    "/console/races",
    access=EDIT,
    example=DESK_EXAMPLE,
    refuses=[*OF_TERMS, ReasonMissing, NoPicture, ProgrammeClosed, TooManyRaces, ChainGap, NoSuchRace],
    status=201,
)
async def create_race(body: RaceBody, ask: Ask, tx: InTx, response: Response) -> DeskAnswer:
    """Make a race and announce it, its pool in escrow; or make a draft, which nobody sees."""
    usual = await competitions.waits(tx, product="race")
    new = terms.read(body.spec(), read_rule=competitions.read_prize_rule, waits=usual)
    require_backdating(ask, new)
    made = await service.create_race(tx, new=new, actor=ask.actor, now=ask.now, is_draft=body.draft)
    response.headers["Location"] = f"/api/v1/console/races/{made.number}"
    return await _desk(tx, ask, made.number, response)


@routes.get("/console/races/series", access=READ, example=SERIES_EXAMPLE)
async def list_series(tx: InTx) -> SeriesListAnswer:
    """List the series of races, by code."""
    return SeriesListAnswer(tuple(map(SeriesAnswer.of, await service.list_series(tx))))


@routes.post(
    "/console/races/series",
    access=EDIT,
    example=SERIES_EXAMPLE.items[0],
    refuses=[*OF_TERMS, ProgrammeClosed, SeriesExists, ZoneUnknown],
    status=201,
)
async def create_series(body: SeriesBody, ask: Ask, tx: InTx) -> SeriesAnswer:
    """Make a series, and the races of it that are due."""
    usual = await competitions.waits(tx, product="race")
    new = terms.read_series(
        body.spec(),
        read_rule=competitions.read_prize_rule,
        waits=usual,
        now=ask.now,
    )
    await service.create_series(tx, new=new, actor=ask.actor, now=ask.now)
    (made,) = [line for line in await service.list_series(tx) if line.code == new.code]
    return SeriesAnswer.of(made)


@routes.post(
    "/console/races/rehearse",
    access=READ,
    example=REHEARSAL_EXAMPLE,
    refuses=[*OF_TERMS, NoPicture],
    idempotency="none",
    unaudited="it changes nothing",
)
async def rehearse_race(body: RehearseBody, tx: InTx) -> RehearsalAnswer:
    """Work out how a race between stored snapshots would have ended; nothing is written."""
    spec = body.spec()
    spec.pop("chained", None)
    usual = await competitions.waits(tx, product="race")
    new = terms.read(spec, read_rule=competitions.read_prize_rule, waits=usual)
    found = await service.rehearse(tx, new=new, chained=body.chained)
    scale = next((asset.scale for asset in await ledger.assets(tx) if asset.code == new.pool_asset), 0)
    return RehearsalAnswer.of(found, Asset(new.pool_asset, scale))


@routes.get("/console/races/{number:int}", access=READ, example=DESK_EXAMPLE, refuses=[NoSuchRace])
async def get_race_desk(number: Number, ask: Ask, tx: InTx, response: Response) -> DeskAnswer:
    """Read a race as it lies before staff, with the version that acts on it name."""
    return await _desk(tx, ask, number, response)


@routes.get(
    "/console/races/{number:int}/standings",
    access=READ,
    example=STAFF_BOARD_EXAMPLE,
    refuses=[NoSuchRace, NotStarted],
)
async def list_staff_standings(number: Number, ask: Ask, tx: InTx, page: Paged) -> StaffBoardAnswer:
    """List the board with uids and full names."""
    rows, board = await service.staff_board(tx, number=number, now=ask.now, after=page.cut(), limit=page.limit)
    race = await service.view(tx, number=number, now=ask.now, rows_max=0)
    return StaffBoardAnswer.of(rows, board, asset_of(race), page)


@routes.get("/console/races/{number:int}/holds", access=READ, example=HOLDS_EXAMPLE, refuses=[NoSuchRace])
async def list_holds(number: Number, ask: Ask, tx: InTx) -> HoldsAnswer:
    """List the players whose number was doubted, the open ones first."""
    return HoldsAnswer(tuple(map(HoldAnswer.of, await service.holds(tx, number=number, now=ask.now))))


@routes.get(
    "/console/races/{number:int}/preview",
    access=READ,
    example=PREVIEW_EXAMPLE,
    refuses=[NoSuchRace, NotStarted, PlayerUnknown],
)
async def list_moves(
    number: Number,
    ask: Ask,
    tx: InTx,
    player: Annotated[str, Query(max_length=200, description="The uid at the programme, or the id")],
    amount_micro: Annotated[int | None, Query(description="Added to the total; left out: the player is out")] = None,
) -> PreviewAnswer:
    """List the lines that an adjustment or an exclusion would move; nothing is written."""
    player_id = await service.player_named(tx, number=number, text=player)
    moves = await service.foresee(tx, number=number, player_id=player_id, amount_micro=amount_micro, now=ask.now)
    race = await service.view(tx, number=number, now=ask.now, rows_max=0)
    return PreviewAnswer(tuple(ForeseenAnswer.of(move, asset_of(race)) for move in moves))


@routes.post(
    "/console/races/{number:int}/publish",
    access=EDIT,
    example=DESK_EXAMPLE,
    refuses=[NoSuchRace, NotDraft, ReasonMissing, NoPicture, ProgrammeClosed, PrizeSum, PrizeIncreasing],
)
async def publish_race(
    number: Number, body: PublishBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Announce a draft; its pool moves into escrow."""
    if body.backdated_reason:
        require_permission(ask, BACKDATE)
    await service.require_seen(tx, number=number, version=seen)
    await service.publish(tx, number=number, actor=ask.actor, now=ask.now, backdated_reason=body.backdated_reason)
    return await _desk(tx, ask, number, response)


@routes.post(
    "/console/races/{number:int}/cancel",
    access=MONEY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[NoSuchRace, Cancelled, Paying, ReasonTooShort],
)
async def cancel_race(
    number: Number, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Call a race off; the reason is public, and the pool goes back. What has begun waits for a second person."""
    await service.require_seen(tx, number=number, version=seen)
    waiting = await service.cancel_or_propose(tx, number=number, actor=ask.actor, reason=body.reason, now=ask.now)
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/extend",
    access=EDIT,
    example=DESK_EXAMPLE,
    refuses=[NoSuchRace, ChainGap, NotExtendable, EndsEarlier, ReasonTooShort],
)
async def extend_race(
    number: Number, body: ExtendBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> DeskAnswer:
    """Move the end of a race to a later time."""
    await service.require_seen(tx, number=number, version=seen)
    await service.extend(tx, number=number, ends_at=body.ends_at, actor=ask.actor, reason=body.reason, now=ask.now)
    return await _desk(tx, ask, number, response)


@routes.post(
    "/console/races/{number:int}/adjust",
    access=MONEY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[
        *(*OF_ACTS, PlayerUnknown, AdjustmentInvalid, BaselineUnknown, OwnAccount),
        *(competitions.NoSuchAdjustment, competitions.AdjustmentUndone),
    ],
    idempotency="required",
)
async def adjust_total(number: Number, body: AdjustBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Add to a total or take from it. Above the limit of a day it waits for a second person."""
    waiting = await service.adjust_or_propose(
        tx,
        adjustment_id=new_id(),
        number=number,
        player_id=await service.player_named(tx, number=number, text=body.player),
        amount_micro=body.amount_micro,
        actor=ask.actor,
        reason=body.reason,
        public_note=body.public_note,
        now=ask.now,
        undoes=body.undoes,
    )
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/exclude",
    access=EDIT,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, PlayerUnknown, OwnAccount],
)
async def exclude_player(number: Number, body: NotedBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Take a player out. Whoever holds a prize after the end waits for a second person."""
    waiting = await service.exclude_or_propose(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=body.player),
        actor=ask.actor,
        reason=body.reason,
        public_note=body.public_note,
        now=ask.now,
    )
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/reinstate",
    access=EDIT,
    example=ACT_EXAMPLE,
    refuses=[*OF_ACTS, PlayerUnknown, OwnAccount],
)
async def reinstate_player(number: Number, body: NotedBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Let an excluded player back in, with what he wagered meanwhile."""
    await service.reinstate(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=body.player),
        actor=ask.actor,
        reason=body.reason,
        public_note=body.public_note,
        now=ask.now,
    )
    return _told(response, number, None)


@routes.post(
    "/console/races/{number:int}/holds/{player}",
    access=EDIT,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[*OF_ACTS, NoSuchHold, PlayerUnknown, OwnAccount, Frozen, AdjustmentInvalid],
)
async def decide_hold(
    number: Number, player: Player, body: HoldBody, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """Decide about a player who is being checked: keep his number, say where it begins, or take him out."""
    waiting = await service.decide_hold_or_propose(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=player),
        decision=body.decision,
        actor=ask.actor,
        reason=body.reason,
        public_note=body.public_note,
        now=ask.now,
        value_micro=body.value_micro,
    )
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/start-picture",
    access=MONEY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[NoSuchRace, OwnAccount, Frozen, StartReplaced, PictureUnfit, NoSuchSnapshot, ReasonTooShort],
)
async def replace_start_picture(number: Number, body: PictureBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Propose to open a race by another stored snapshot; the summary says how many ranks move."""
    waiting = await service.replace_start_or_propose(
        tx,
        number=number,
        snapshot_id=SnapshotId(body.snapshot_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/final-picture",
    access=MONEY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[NoSuchRace, OwnAccount, NotOverdue, PictureUnfit, NoSuchSnapshot, ReasonTooShort],
)
async def force_final_picture(number: Number, body: PictureBody, ask: Ask, tx: InTx, response: Response) -> ActAnswer:
    """Propose to close an overdue race by a stored snapshot."""
    waiting = await service.force_final_or_propose(
        tx,
        number=number,
        snapshot_id=SnapshotId(body.snapshot_id),
        actor=ask.actor,
        reason=body.reason,
        now=ask.now,
    )
    return _told(response, number, waiting)


@routes.post(
    "/console/races/{number:int}/recompute",
    access=READ,
    example=RECOMPUTED_EXAMPLE,
    refuses=[NoSuchRace, NotStarted, NoPicture],
    idempotency="none",
    unaudited="it changes nothing",
)
async def recompute_race(number: Number, tx: InTx) -> RecomputedAnswer:
    """Work out every total anew from the stored pictures, and say whose score differs."""
    return RecomputedAnswer.of(await service.recompute(tx, number=number))


@routes.post(
    "/console/races/{number:int}/release",
    access=MONEY,
    example=ACT_EXAMPLE,
    also={202: WAITING_EXAMPLE},
    refuses=[NoSuchRace, OwnAccount, NotInReview, ReasonTooShort],
)
async def release_race(
    number: Number, body: ReasonBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> ActAnswer:
    """End the review: the race is paid at the next step. A pool above the limit waits for a second person."""
    await service.require_seen(tx, number=number, version=seen)
    waiting = await service.release_or_propose(tx, number=number, actor=ask.actor, reason=body.reason, now=ask.now)
    return _told(response, number, waiting)


def require_permission(ask: Asking, permission: str) -> None:
    """Accept who holds a permission that only some of a call needs. Refuses with Forbidden."""
    if permission not in ask.permissions:
        raise Forbidden(permission=permission)


def require_backdating(ask: Asking, new: NewRace) -> None:
    """Accept a start to come, and of the others only what somebody may. Refuses with Forbidden."""
    if new.starts_at <= ask.now:
        require_permission(ask, BACKDATE)


async def _desk(tx: Tx, ask: Asking, number: int, response: Response) -> DeskAnswer:
    race = await service.view(tx, number=number, now=ask.now, rows_max=0, has_drafts=True)
    versions.tell(response, race.version)
    return DeskAnswer.of(race, await service.desk(tx, number=number, actor=ask.actor, now=ask.now))


def _told(response: Response, number: int, waiting: Approval | None) -> ActAnswer:
    if waiting:
        response.status_code = 202
    return ActAnswer.of(number, waiting)
