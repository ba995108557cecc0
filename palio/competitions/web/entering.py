"""What a player does about a competition: joining, leaving, doubting its result."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request

from palio import identity, ledger
from palio.competitions.errors import (
    AppealsClosed,
    AppealTextInvalid,
    Full,
    NoSuchCompetition,
    NotEligible,
    NotOpen,
    TooManyAppeals,
)
from palio.competitions.schemas.entering import (
    APPEAL_EXAMPLE,
    APPEALS_EXAMPLE,
    JOINED_EXAMPLE,
    AppealAnswer,
    AppealBody,
    AppealsAnswer,
    JoinedAnswer,
)
from palio.competitions.service import appeals, entering
from palio.competitions.types import CompetitionId
from palio.infra.db import Tx
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId, new_id
from palio.kernel.providers import EntryCheck
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import HOUR_S, Limit
from palio.ui.routes import Routes

JOINS = Limit("joins", 30, HOUR_S, is_strict=True)
OF_PLAY = (
    *(identity.AccountSuspended, identity.ConsentRequired, identity.Underage, identity.RegionBlocked),
    *(identity.RegionUnknown, identity.SelfExcluded),
)
routes = Routes("competitions")

Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]


@routes.post(
    "/competitions/{competition_id:uuid}/join",
    access="owner",
    example=JOINED_EXAMPLE,
    refuses=[NoSuchCompetition, NotOpen, Full, NotEligible, ledger.InsufficientFunds, *OF_PLAY],
    rate=[JOINS],
)
async def join_competition(competition_id: Id, request: Request, ask: Ask, tx: InTx) -> JoinedAnswer:
    """Take part, and pay the fee from the wallet. Whoever takes part already is told the same again."""
    return JoinedAnswer.of(
        await entering.join(
            tx,
            competition_id=CompetitionId(competition_id),
            user_id=_player(ask),
            now=ask.now,
            checks=checks_of(request),
        )
    )


@routes.post(
    "/competitions/{competition_id:uuid}/leave",
    access="owner",
    example=JOINED_EXAMPLE,
    refuses=[NoSuchCompetition, NotOpen, NotEligible],
    rate=[JOINS],
)
async def leave_competition(competition_id: Id, ask: Ask, tx: InTx) -> JoinedAnswer:
    """Go before the start; the fee comes back. Whoever has left is told the same again."""
    return JoinedAnswer.of(
        await entering.leave(tx, competition_id=CompetitionId(competition_id), user_id=_player(ask), now=ask.now)
    )


@routes.post(
    "/competitions/{competition_id:uuid}/appeals",
    access="owner",
    example=APPEAL_EXAMPLE,
    refuses=[NoSuchCompetition, AppealsClosed, NotEligible, TooManyAppeals, AppealTextInvalid],
    status=201,
)
async def open_appeal(competition_id: Id, body: AppealBody, ask: Ask, tx: InTx) -> AppealAnswer:
    """Doubt the result during its review: nothing is paid by itself before there is an answer."""
    return AppealAnswer.of(
        await appeals.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=CompetitionId(competition_id),
            user_id=_player(ask),
            text=body.text,
            now=ask.now,
        )
    )


@routes.get("/competitions/{competition_id:uuid}/appeals", access="owner", example=APPEALS_EXAMPLE)
async def list_own_appeals(competition_id: Id, ask: Ask, tx: InTx) -> AppealsAnswer:
    """List one's own doubts about a result with their answers, the newest first."""
    return AppealsAnswer.of(
        await appeals.appeals_of(tx, competition_id=CompetitionId(competition_id), user_id=_player(ask))
    )


def _player(ask: Asking) -> UserId:
    """The player who asks: the route let nobody else in."""
    if ask.actor.user_id is None:
        raise Unauthenticated
    return ask.actor.user_id


def checks_of(request: Request) -> tuple[EntryCheck[Tx], ...]:
    checks: tuple[EntryCheck[Tx], ...] = request.app.state.entry_checks
    return checks
