"""The page `/sim`: the clock of a simulated deployment, to be read and turned by whoever sits at this machine."""

import asyncio
from datetime import timedelta
from typing import Annotated, ClassVar

from fastapi import Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from palio.entry import moving
from palio.entry.wiring import Wiring
from palio.infra import clock as virtual
from palio.infra import logging, marks
from palio.kernel import clock
from palio.kernel.errors import Invalid, NotFound
from palio.ui import pages
from palio.ui.bodies import Body
from palio.ui.pages import Ribbon
from palio.ui.routes import Routes

PATH = "/sim"
STEPS_S = (900, 3_600, 86_400)
SPEEDS = (1, 10, 60, 600, 3_600)

log = logging.get("clockwork")
routes = Routes("sim")


class TurnInvalid(Invalid):
    """The clock is turned by one of `steps` seconds."""

    code: ClassVar[str] = "entry.turn_invalid"


class Advance(Body):
    """By how many seconds the clock is moved on."""

    by: int


class Speed(Body):
    """How many times as fast as real time the clock runs."""

    speed: int


def ribbon_of(wired: Wiring) -> Ribbon | None:
    """What pages say of a demo; None where everything is real."""
    if not (wired.is_simulated and marks.demo()):
        return None
    face, interval_s = virtual.virtual.face, wired.stage.feed_interval_s
    speed = face.speed if face else 1
    return Ribbon(0 if face and face.stands else speed, interval_s and max(1, round(interval_s / speed)))


@routes.page(PATH, access="public")
async def show(request: Request) -> HTMLResponse:
    """The clock and its buttons."""
    _require_simulated(request)
    face = virtual.virtual.face
    values = {
        "now": clock.now(),
        "speed": face.speed if face else 1,
        "frozen": bool(face and face.frozen),
        "heading_to": face.heading_to if face else None,
        "speeds": SPEEDS,
    }
    return pages.render(request, "sim.html", values, block="clock", headers={"Cache-Control": "no-store"})


@routes.form(f"{PATH}/advance", access="public")
async def advance(request: Request, turn: Annotated[Advance, Form()]) -> Response:
    """Begin to live through a span of time, which goes on behind the answer. Refuses with clock.OnTheMove."""
    wired = _require_simulated(request)
    if turn.by not in STEPS_S:
        raise TurnInvalid(steps=list(STEPS_S))
    face = virtual.virtual.face
    if wired.stage.moving or (face and face.heading_to):
        raise virtual.OnTheMove
    wired.stage.moving = asyncio.create_task(_advance(wired, timedelta(seconds=turn.by)))
    return RedirectResponse(PATH, 303)


@routes.form(f"{PATH}/speed", access="public")
async def speed(request: Request, turn: Annotated[Speed, Form()]) -> Response:
    """Let the clock run so fast from now on; one that stood goes on. Refuses with clock.OnTheMove."""
    wired = _require_simulated(request)
    await moving.run_at(wired, turn.speed)
    return RedirectResponse(PATH, 303)


async def _advance(wired: Wiring, by: timedelta) -> None:
    try:
        await moving.advance(wired, by=by)
    except Exception:
        log.exception("the clock could not be moved on")  # nobody waits for it: the page shows where it stands
    finally:
        wired.stage.moving = None


def _require_simulated(request: Request) -> Wiring:
    """Refuses with NotFound where time is real."""
    wired: Wiring = request.app.state.wiring
    if not wired.is_simulated:
        raise NotFound
    return wired
