"""`palio demo`: an empty database filled with four weeks of races between invented players."""

from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson
from palio.entry.printing import Cell, moment, record, tell

if TYPE_CHECKING:
    from palio.entry.demo import Filled
    from palio.entry.terminal import Place


def demo(
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31, help="The same seed gives the same players. Default: 1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with a demo, or finish one that was interrupted; `palio up` then plays it on.

    Exit status 78: the database is not empty, or players come to it from outside. 1: another process fills it.
    """
    from palio.entry import demo as demos  # noqa: PLC0415 - heavy
    from palio.entry import first_start, terminal  # noqa: PLC0415 - heavy

    async def work(place: "Place") -> "Filled":
        if not await first_start.begin_demo(place, asked=True, seed=seed):
            return await demos.filled(place)
        terminal.say("Preparing the demo …")
        async with demos.playing(place) as world:
            return await demos.fill(place, world)

    done = terminal.run(work, json=as_json)
    facts: dict[str, Cell] = {
        "seed": done.seed,
        "created_at": moment(done.created_at),
        "pictures": done.snapshots,
        "races": done.races,
        "accounts": done.users,
    }
    tell(done, as_json=as_json, lines=record(facts))
