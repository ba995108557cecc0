"""What a player reads of himself in a competition: his rank, who is around him, his friends, his receipts."""

from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Path, Query

from palio.competitions.errors import BoardHidden, NoSuchCompetition, NotTakingPart, Warming
from palio.competitions.schemas.competitions import STANDINGS_EXAMPLE, RankingAnswer
from palio.competitions.schemas.own import MY_RANK_EXAMPLE, RECEIPTS_EXAMPLE, MyRankAnswer, ReceiptAnswer, receipts_of
from palio.competitions.service import mine
from palio.competitions.types import CompetitionId
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paging, sorted_by
from palio.ui.routes import Routes
from palio.ui.values import Whole

RADIUS_MAX = 25
routes = Routes("competitions")
ByNumber: TypeAlias = Annotated[Paging, Depends(sorted_by("-number", end=(0,)))]

Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]
Radius = Annotated[Whole, Query(ge=0, le=RADIUS_MAX, description="How many lines on either side")]


@routes.get(
    "/competitions/{competition_id:uuid}/standings/me",
    access="player",
    example=MY_RANK_EXAMPLE,
    refuses=[NoSuchCompetition, BoardHidden, NotTakingPart],
)
async def get_my_standing(competition_id: Id, ask: Ask, tx: InTx) -> MyRankAnswer:
    """Read where you stand, and what you lack to the next rank and to a prize."""
    ours = CompetitionId(competition_id)
    try:
        return MyRankAnswer.of_rank(await mine.my_rank(tx, competition_id=ours, user_id=user_of(ask), now=ask.now))
    except Warming:
        return MyRankAnswer.of_warming()


@routes.get(
    "/competitions/{competition_id:uuid}/standings/around",
    access="player",
    example=STANDINGS_EXAMPLE,
    refuses=[NoSuchCompetition, BoardHidden, NotTakingPart],
)
async def list_standings_around(competition_id: Id, ask: Ask, tx: InTx, radius: Radius = 5) -> RankingAnswer:
    """List the lines around you."""
    shown = await mine.around(
        tx, competition_id=CompetitionId(competition_id), user_id=user_of(ask), radius=radius, now=ask.now
    )
    return RankingAnswer.of_shown(shown, None)


@routes.get(
    "/competitions/{competition_id:uuid}/receipts/me",
    access="player",
    example=RECEIPTS_EXAMPLE,
    refuses=[NoSuchCompetition, NotTakingPart],
)
async def list_my_receipts(competition_id: Id, ask: Ask, tx: InTx, page: ByNumber) -> Listed[ReceiptAnswer]:
    """List the changes that your score is the sum of, the newest first."""
    competition, found = await mine.receipts(
        tx, competition_id=CompetitionId(competition_id), user_id=user_of(ask), part=page.wanted(int).and_one
    )
    return receipts_of(found, competition.score_scale, page)


def user_of(ask: Asking) -> UserId:
    """Whoever asks. Refuses with Unauthenticated."""
    if ask.actor.user_id is None:
        raise Unauthenticated
    return UserId(ask.actor.user_id)
