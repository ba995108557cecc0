"""What shows a race elsewhere: frames, overlays for streaming software, the picture of a link, and how to get them."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from palio.races.schemas import Board, Number, asset_of
from palio.races.web.sharing import card_of, frame_of
from palio.races.web.views import Seen, Views, Wish
from palio.ui import cards, pages
from palio.ui.actor import Ask, Asking
from palio.ui.embeds import ROWS_DEFAULT, Accent, Chosen, Lang, Rows, Theme
from palio.ui.pages import Look
from palio.ui.routes import Routes
from palio.ui.values import Blank

CARD_ROWS = 3
routes = Routes("races")


@routes.page("/embed/races/{number:int}", access="public")
async def embed_board(request: Request, number: Number, ask: Ask, views: Seen, options: Chosen) -> HTMLResponse:
    """The head of the board, in a frame or over a picture."""
    return await _embed(request, views, ask, number, options.look(), rows=options.shown_rows)


@routes.page("/embed/races/{number:int}/countdown", access="public")
async def embed_countdown(request: Request, number: Number, ask: Ask, views: Seen, options: Chosen) -> HTMLResponse:
    """The clock of the race alone."""
    return await _embed(request, views, ask, number, options.look(), rows=0)


async def _embed(request: Request, views: Views, ask: Asking, number: int, look: Look, *, rows: int) -> HTMLResponse:
    race = await views.see(Wish(number, max(rows, 1)))
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": ask.now, "only_clock": not rows}
    return pages.render_embed(request, "races/embed.html", values, look=look, block="embed")


@routes.page("/embed/races/{number:int}/card.png", access="public")
async def draw_card(request: Request, number: Number, views: Seen) -> Response:
    """The picture that goes with a link to the race."""
    race = await views.see(Wish(number, CARD_ROWS))
    card = card_of(race, pages.language_of(request))
    return await run_in_threadpool(cards.respond, request, card)


@routes.page("/races/{number:int}/share", access="public")
async def share_page(
    request: Request,
    number: Number,
    views: Seen,
    theme: Annotated[Theme | None, Blank] = None,
    accent: Annotated[Accent | None, Blank] = None,
    rows: Annotated[Rows | None, Blank] = None,
    lang: Annotated[Lang | None, Blank] = None,
) -> HTMLResponse:
    """The link, the embed code and what they look like."""
    race = await views.see(Wish(number, 1))
    chosen = {"theme": theme, "accent": accent, "rows": rows, "lang": lang}
    query = urlencode({name: value for name, value in chosen.items() if value})
    frame = frame_of(race, pages.absolute(request, ""), query=query, rows=rows or ROWS_DEFAULT)
    tags = pages.languages_of(request)
    return pages.render(request, "races/share.html", {"race": race, "chosen": chosen, "frame": frame, "tags": tags})
