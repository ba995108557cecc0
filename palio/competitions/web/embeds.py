"""What shows a list elsewhere: the head of the board of a competition, or of a period of a board of everybody."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from palio.competitions.schemas.boards import BoardAnswer
from palio.competitions.schemas.competitions import CompetitionAnswer, RankingAnswer
from palio.competitions.service import reads, showing
from palio.competitions.service.boards import EVERYBODY, place_of_list
from palio.competitions.types import Competition, ListId
from palio.competitions.web import addresses
from palio.infra.db import Tx
from palio.kernel.errors import NotFound
from palio.kernel.providers import BoardAsk
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.embeds import Chosen, Options
from palio.ui.routes import Routes
from palio.ui.values import Asset

routes = Routes("competitions")

ListNumber = Annotated[int, Path(ge=1, le=2**63 - 1)]


@routes.page("/embed/list/{list_id:int}", access="public")
async def embed_list(request: Request, list_id: ListNumber, ask: Ask, tx: InTx, options: Chosen) -> Response:
    """The first places of a list, in a frame or over a picture. Refuses with NotFound."""
    place = await place_of_list(tx, list_id=ListId(list_id))
    if place is None:
        raise NotFound(list=list_id)
    if place.competition_id is None:
        return await _board(request, tx, ask, place.code, place.period_key, options)
    found = await reads.get(tx, competition_id=place.competition_id)
    if found.status == "draft":
        raise NotFound(list=list_id)
    if path := await addresses.elsewhere(request, tx, found):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/embed{path}{query}", status_code=303)
    return await _competition(request, tx, ask, found, options)


async def _competition(
    request: Request, tx: Tx, ask: Asking, competition: Competition, options: Options
) -> HTMLResponse:
    shown = await showing.part_of(tx, competition=competition, now=ask.now, limit=options.shown_rows)
    values = {
        "competition": competition,
        "shown": CompetitionAnswer.of(shown),
        "ranking": RankingAnswer.of_shown(shown, None),
        "asset": Asset(competition.prize_asset, shown.asset_scale),
        "digit": competition.id.int % addresses.TEN,
        "is_warming": shown.board.is_warming,
        "now": ask.now,
    }
    return pages.render_embed(request, "competitions/embed.html", values, look=options.look(), block="embed")


async def _board(request: Request, tx: Tx, ask: Asking, code: str, key: str, options: Options) -> HTMLResponse:
    view = await EVERYBODY.top(tx, BoardAsk(code, key, ask.now), 0, options.shown_rows)
    if view is None:
        raise NotFound(code=code, period=key)
    values = {"view": BoardAnswer.of_view(view, None, None), "period": view.period, "kind": key.partition(":")[0]}
    return pages.render_embed(request, "competitions/embed_board.html", values, look=options.look(), block="embed")
