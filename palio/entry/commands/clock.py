"""`palio sim clock`: the clock of a simulated deployment, read and turned while it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, Misuse, instant, span
from palio.entry.printing import Cell, moment, record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.entry.wiring import Wiring

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The clock of a simulated deployment.")


By = Annotated[timedelta, typer.Option(parser=span, metavar="SPAN", help="How far: 30s, 15m, 6h, 7d.")]
Tick = Annotated[timedelta, typer.Option(parser=span, metavar="SPAN", help="In steps of 1s to 1h.")]
At = Annotated[datetime, typer.Argument(parser=instant, metavar="TIME", help="Like 2026-03-20T12:00:00Z.")]
Times = Annotated[int, typer.Argument(metavar="TIMES", help="1-3600 times as fast as real time.")]


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Print what time it is there. Exit status 1: time is real."""
    _turn(_nothing, as_json=as_json)


@app.command()
def advance(*, by: By, tick: Tick = "15m", as_json: AsJson = False) -> None:  # type: ignore[assignment]  # parsed
    """Live through a span of time: feeds, races and schedules at their instants, in order; then go on as before.

    Exit status 1: time is real, or somebody else moves the clock.
    """
    from palio.entry import moving, terminal  # noqa: PLC0415 - heavy

    async def work(place: "Place") -> "moving.Moved":
        speaking = asyncio.create_task(place.hub.run())  # whoever looks on sees each instant
        try:
            return await moving.advance(place, by=by, tick=tick)
        finally:
            await place.hub.silence()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    if not (moving.TICK_MIN <= tick <= moving.TICK_MAX and timedelta() < by <= moving.BY_MAX):
        raise Misuse("span_invalid", "the clock goes forward by at most 366 days, in ticks of 1s to 1h")
    done = terminal.run(work, json=as_json)
    lines: dict[str, Cell] = {"from": moment(done.since), "to": moment(done.until), "instants": done.instants}
    tell(done, as_json=as_json, lines=record(lines))


@app.command("set")
def set_to(at: At, *, as_json: AsJson = False) -> None:
    """Let it be a later instant at once; what was due meanwhile is made up for, not lived through.

    Exit status 1: time is real, or it is later already.
    """
    from palio.entry import operators  # noqa: PLC0415 - heavy
    from palio.infra import clock as virtual  # noqa: PLC0415 - heavy

    async def turn(place: "Place") -> None:
        async with operators.acting(place.database) as tx:
            await virtual.set_to(tx, at=at)

    _turn(turn, as_json=as_json)


@app.command()
def speed(times: Times, *, as_json: AsJson = False) -> None:
    """Let it run so many times as fast as real time; one that stood goes on. Exit status 1: time is real."""
    from palio.entry import moving  # noqa: PLC0415 - heavy

    async def turn(place: "Place") -> None:
        await moving.run_at(place, times)

    _turn(turn, as_json=as_json)


@app.command()
def freeze(*, as_json: AsJson = False) -> None:
    """Let it stand. Exit status 1: time is real."""
    from palio.entry import operators  # noqa: PLC0415 - heavy
    from palio.infra import clock as virtual  # noqa: PLC0415 - heavy

    async def turn(place: "Place") -> None:
        async with operators.acting(place.database) as tx:
            await virtual.freeze(tx)

    _turn(turn, as_json=as_json)


async def _nothing(place: "Wiring") -> None:
    """Leaves the clock as it is."""


def _turn(turn: "Callable[[Place], Awaitable[None]]", *, as_json: bool) -> None:
    """Do something to the clock and print what it shows then."""
    from palio.entry import operators, terminal  # noqa: PLC0415 - heavy
    from palio.infra import clock as virtual  # noqa: PLC0415 - heavy
    from palio.kernel import clock  # noqa: PLC0415 - heavy

    async def work(place: "Place") -> virtual.Face:
        await turn(place)
        async with operators.acting(place.database) as tx:
            face = await virtual.find(tx)
        if face is None or not place.is_simulated:
            raise virtual.NoClock
        return face

    face = terminal.run(work, json=as_json)
    now = face.at(clock.real())
    facts = {"now": now, "speed": face.speed, "frozen": face.frozen, "heading_to": face.heading_to}
    lines: dict[str, Cell] = {"now": moment(now), "speed": face.speed, "runs": "no" if face.stands else "yes"}
    tell(facts, as_json=as_json, lines=record(lines))
