"""An application over hand-made races: the pages without a database."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.types import ASGIApp

from palio.kernel.errors import NotFound
from palio.races.schemas import Board, asset_of
from palio.ui import assets, documents, pages
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.routes import Routes
from palio.ui.site import assemble
from tests.ui.race_views import BY_NUMBER, NOW, line_of

races = Routes("races")


@races.page("/", access="public")
async def home(request: Request) -> HTMLResponse:
    lines = [line_of(view) for view in BY_NUMBER.values()] if "empty" not in request.query_params else []
    return pages.render(request, "home.html", {"races": [(line, asset_of(line)) for line in lines]})


@races.page("/races/{number:int}", access="public")
async def race_page(request: Request, number: int) -> HTMLResponse:
    race = BY_NUMBER.get(number)
    if race is None:
        raise NotFound(number=number)
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": NOW}
    return pages.render(request, "races/race.html", values, block="race")


class News:
    """Stands for the hub: whoever streams hears what is told here."""

    def __init__(self) -> None:
        self._streams: set[asyncio.Queue[bytes]] = set()

    def tell(self, topic: str) -> None:
        for stream in self._streams:
            stream.put_nowait(f'event: changed\ndata: {{"topic": "{topic}"}}\n\n'.encode())

    async def lines(self) -> AsyncIterator[bytes]:
        stream: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams.add(stream)
        yield b"event: ready\ndata: {}\nretry: 100\n\n"
        while True:
            yield await stream.get()


@races.page("/api/v1/stream", access="public")
async def open_stream(request: Request) -> StreamingResponse:
    return StreamingResponse(request.app.state.news.lines(), media_type="text/event-stream")


def app(
    *more: Routes, languages: Languages | None = None, served=lambda served: None, news: News | None = None
) -> ASGIApp:
    state = {"pages": Pages(languages or Languages()), "files": Files(DIST.parent), "news": news or News()}
    return assemble([races, documents.routes, assets.routes, *more], state=state, served=served)
