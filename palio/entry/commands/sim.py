"""`palio sim`: the outside world on this machine."""

import asyncio
import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import Misuse, instant

if TYPE_CHECKING:
    from palio.sim import World

SIMS = ("feed",)


def sim(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which: feed. Default: all.")] = None,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where on 127.0.0.1; 0: any.")] = 8_900,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 1,
    speed: Annotated[float, typer.Option(min=0, max=3_600, help="So many times as fast as real time.")] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="When the feed began with its first capture; after 12 h 22 min its players go on. Default: now.",
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(help="The key that the feed asks for. Default: none.")] = None,
) -> None:
    """Pretend to be the outside world until told to stop, and say how Palio is pointed at it.

    Exit status 69: the port is taken.
    """
    from palio.sim import Clock, World  # noqa: PLC0415 - only this command needs it

    if unknown := set(names or SIMS) - set(SIMS):
        raise Misuse("unknown_sim", f"there is no simulator {', '.join(sorted(unknown))}: {', '.join(SIMS)}")
    clock = Clock()
    clock.speed(speed)
    try:
        asyncio.run(_serve(World(seed, start=start, token=token, clock=clock), port))
    except OSError as failure:
        typer.echo(f"127.0.0.1:{port} cannot be had: {failure.strerror} [sim.port_taken]", err=True)
        raise typer.Exit(os.EX_UNAVAILABLE) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _serve(world: "World", port: int) -> None:
    from palio.entry.stopping import SIGNALS  # noqa: PLC0415 - only this command needs it

    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for signal in SIGNALS:
        loop.add_signal_handler(signal, stopping.set)
    async with world.serving(port):
        typer.echo(f"PALIO_SIM=on\nPALIO_FEED_URL={world.feed_url}")
        if world.token:
            typer.echo(f"PALIO_FEED_TOKEN={world.token}")
        await stopping.wait()
