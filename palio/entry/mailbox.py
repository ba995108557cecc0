"""The pages `/mail`: letters of a demo, which reach nobody else, for whoever sits at this machine."""

import re
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.entry.wiring import Wiring
from palio.kernel.errors import NotFound
from palio.ui import pages
from palio.ui.routes import Routes

if TYPE_CHECKING:
    from palio.sim import Mailbox

PATH = "/mail"
LETTERS_SHOWN = 100
ADDRESS = re.compile(r"(https?://\S+)")
UNKEPT = {"Cache-Control": "no-store"}

routes = Routes("mailbox")


def path_of(wired: Wiring) -> str | None:
    """Where the letters of this process are to be read; None where they go to people."""
    return PATH if wired.stage.mailbox is not None and wired.is_simulated else None


@routes.page(PATH, access="public")
async def letters(request: Request) -> HTMLResponse:
    """Every letter, the newest first."""
    found = list(reversed(_require(request).letters))[:LETTERS_SHOWN]
    return pages.render(request, "mail.html", {"letters": found}, headers=UNKEPT)


@routes.page(f"{PATH}/{{number:int}}", access="public")
async def letter(request: Request, number: int) -> HTMLResponse:
    """One letter, as it reads; its links to this house can be followed. Refuses with NotFound."""
    found = next((one for one in _require(request).letters if one.number == number), None)
    if found is None:
        raise NotFound
    wired: Wiring = request.app.state.wiring
    parts = [(part, part.removeprefix(wired.database.equipment.site)) for part in ADDRESS.split(found.text)]
    return pages.render(request, "letter.html", {"letter": found, "parts": parts}, headers=UNKEPT)


def _require(request: Request) -> "Mailbox":
    """Refuses with NotFound where letters go to people."""
    wired: Wiring = request.app.state.wiring
    if wired.stage.mailbox is None or not wired.is_simulated:
        raise NotFound
    return wired.stage.mailbox
