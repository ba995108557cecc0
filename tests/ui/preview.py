"""An application over hand-made races: the pages without a database."""

from dataclasses import replace
from pathlib import Path

from fastapi import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from palio.entry.topics import TOPICS
from palio.infra.realtime import Hub
from palio.kernel.errors import NotFound
from palio.races.schemas import Board, asset_of, beside
from palio.races.web.sharing import card_of, frame_of
from palio.ui import assets, cards, documents, pages, streams
from palio.ui.embeds import Chosen
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors, Paged
from palio.ui.routes import Routes
from palio.ui.site import assemble
from palio.ui.streams import Streams
from palio.ui.values import Asset
from tests.ui.race_views import BY_NUMBER, NOW, line_of

races = Routes("races")


@races.page("/", access="public")
async def home(request: Request) -> HTMLResponse:
    views = list(BY_NUMBER.values()) if "empty" not in request.query_params else []
    on, *others = [*views, None]
    lines = [line_of(view) for view in others if view]
    values = {"races": [(line, Asset(line.asset, line.asset_scale)) for line in lines], "now": NOW, "featured": on}
    if on:
        values |= {"featured_asset": asset_of(on), "leaders": on.rows[:3], "has_trends": True}
    return pages.render(request, "home.html", values, block="races")


@races.page("/races/{number:int}", access="public")
async def race_page(request: Request, number: int, page: Paged) -> HTMLResponse:
    race = BY_NUMBER.get(number)
    if race is None:
        raise NotFound(number=number)
    older, newer = beside(race, page)
    values = {
        "race": race,
        "board": Board.of(race),
        "asset": asset_of(race),
        "now": NOW,
        "newer": newer,
        "older": older,
    }
    return pages.render(request, "races/race.html", {**values, "newer": newer, "older": older}, block="race")


@races.page("/embed/races/{number:int}", access="public")
async def embed_board(request: Request, number: int, options: Chosen) -> HTMLResponse:
    return show_embed(request, number, options, only_clock=False)


@races.page("/embed/races/{number:int}/countdown", access="public")
async def embed_countdown(request: Request, number: int, options: Chosen) -> HTMLResponse:
    return show_embed(request, number, options, only_clock=True)


def show_embed(request: Request, number: int, options: Chosen, *, only_clock: bool) -> HTMLResponse:
    race = BY_NUMBER[number]
    race = replace(race, rows=race.rows[: options.rows or 10])
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": NOW, "only_clock": only_clock}
    return pages.render_embed(request, "races/embed.html", values, look=options.look(), block="embed")


@races.page("/embed/races/{number:int}/card.png", access="public")
async def draw_card(request: Request, number: int) -> Response:
    return cards.respond(request, card_of(BY_NUMBER[number], pages.language_of(request)))


@races.page("/races/{number:int}/share", access="public")
async def share_page(request: Request, number: int) -> HTMLResponse:
    race = BY_NUMBER[number]
    chosen = {"theme": None, "accent": None, "rows": None, "lang": None}
    frame = frame_of(race, pages.absolute(request, ""), query="", rows=10)
    return pages.render(request, "races/share.html", {"race": race, "chosen": chosen, "frame": frame, "tags": ["en"]})


def app(
    *more: Routes,
    languages: Languages | None = None,
    served=lambda served: None,
    hub: Hub | None = None,
    files: Path = DIST.parent,
) -> ASGIApp:
    state = {
        "pages": Pages(languages or Languages()),
        "files": Files(files),
        "streams": Streams(hub or Hub(""), None, topics=TOPICS),
        "cursors": Cursors(bytes(32)),
    }
    return assemble([races, streams.routes, documents.routes, assets.routes, *more], state=state, served=served)
