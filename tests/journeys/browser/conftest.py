"""A real browser against a real socket, with what no page may do written down while it looks."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from starlette.types import ASGIApp

from palio.entry.server import PROTOCOLS
from tests.conftest import CHROMIUM

PATIENCE_MS = 30_000  # nothing here measures speed, and a busy machine answers late
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "small": (320, 640)}
# what is wider than the box that hides the rest of it; what only screen readers get is skipped, and text that is typed
CUT = """() => [...document.querySelectorAll("body *")].filter((e) => e.scrollWidth > e.clientWidth + 1
  && e.clientWidth > 1 && /hidden|clip/.test(getComputedStyle(e).overflowX) && !e.closest("svg, .sr-only, input"))
  .map((e) => e.className || e.tagName)"""
# nothing is told of what is right, which is what most of its time went into
AXE_OPTIONS = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Seen:
    """What a page did that it must not: errors on the console, and requests to anywhere else."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._outside(request.url))

    def _outside(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"asked {url}")

    async def barriers(self) -> list[str]:
        """What keeps people out, as axe sees it once the page is there."""
        await self.page.wait_for_load_state()
        answer = await Axe().run(self.page, options=AXE_OPTIONS)
        found = answer.response["violations"]
        return [f"{one['id']}: {[node['html'][:100] for node in one['nodes'][:3]]}" for one in found]

    async def faults(self) -> list[str]:
        """Everything else that is wrong: sideways scroll, cut-off content, complaints."""
        sideways, cut = await self.page.evaluate(SIDEWAYS), await self.page.evaluate(CUT)
        wide = [f"scrolls sideways by {sideways} px"] if sideways > 0 else []
        return [*wide, *(f"cut off: {what}" for what in cut), *self.complaints]


@asynccontextmanager
async def serve(app: ASGIApp, *, sends_ahead_bytes: int = 0) -> AsyncIterator[str]:
    """The application on a free port of this machine; gives its address.

    With `sends_ahead_bytes` the system takes no more than about that for a client who does not read.
    """
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="error", **PROTOCOLS)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    if sends_ahead_bytes:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sends_ahead_bytes)
    serving = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = server.force_exit = True
    await serving


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    flags = ["--disable-background-networking"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    async with async_playwright() as play:
        expect.set_options(timeout=PATIENCE_MS)
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        await browser.close()


@asynccontextmanager
async def looking(
    browser: Browser, base: str, *, size: str = "desktop", theme: str = "day", locale: str = "en", script: bool = True
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of a person with this window, light and language, in Berlin."""
    width, height = SIZES[size]
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height},
        locale=locale,
        timezone_id="Europe/Berlin",
        java_script_enabled=script,
        has_touch=size != "desktop",
        is_mobile=size != "desktop",
    )
    await context.add_cookies([{"name": "theme", "value": theme, "url": base}])
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page, Seen(page, base)
    await context.close()
