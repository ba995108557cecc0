"""`palio demo`: an empty database filled with a past of races between invented players, and who can sign in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, Misuse, instant, span
from palio.entry.printing import Cell, columns, record, tell

if TYPE_CHECKING:
    from palio.entry.demo import Filled
    from palio.entry.terminal import Place

EVERY_MIN, EVERY_MAX = timedelta(minutes=15), timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Code:
    """What an authenticator of the cast shows now."""

    username: str
    code: str


def demo(
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31, help="The same seed gives the same players. Default: 1.")
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="When its past ends, like 2026-03-20T12:00:00Z; its clock goes on from there. Default: now.",
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=18, max=90, help="How far its past goes back; fewer show less. Default: 30.")
    ] = None,
    players: Annotated[
        int | None,
        typer.Option(min=127, max=10_000, help="How many players its feed has at first; some join. Default: 127."),
    ] = None,
    every: Annotated[
        timedelta | None,
        typer.Option(
            parser=span,
            metavar="SPAN",
            help="How often its past was read, 15m to 6h; its last day is read every 15m. Default: 2h.",
        ),
    ] = None,
    reset: Annotated[
        bool,
        typer.Option("--reset", help="Throw away the demo that is there and begin anew; nobody may be using it."),
    ] = False,
    digest: Annotated[
        bool,
        typer.Option("--digest", help="Print its digest alone: the same for the same seed, end, days, players, every."),
    ] = False,
    plants: Annotated[
        bool, typer.Option("--plants", help="Print what is odd in it on purpose, and where to see it.")
    ] = False,
    code: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Print what the authenticator of its owner or staff shows now, by its clock."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with a demo, or finish one that was interrupted; `palio up` then plays it on.

    Whoever fills it is told once who can sign in, and with what; it is kept in `demo.json` beside the data.
    Exit status 78: the database is not empty, players come to it from outside, or --reset finds no demo, or one that is
    in use. 1: another process fills it.
    """
    from palio.entry import cast, first_start, resetting, terminal  # noqa: PLC0415 - heavy
    from palio.entry import demo as demos  # noqa: PLC0415 - heavy
    from palio.kernel import clock  # noqa: PLC0415 - heavy

    if every is not None and not EVERY_MIN <= every <= EVERY_MAX:
        raise Misuse("span_invalid", "the past of a demo is read every 15m at the most and every 6h at the least")

    async def work(place: "Place") -> "Filled":
        at = end.replace(microsecond=0) if end else None
        wish = first_start.Wish(seed, at, days, players, every)
        if not await first_start.begin_demo(place, asked=True, wish=wish):
            return await demos.filled(place)
        terminal.say("Preparing the demo …")
        async with demos.playing(place) as world:
            return await demos.fill(place, world)

    async def look(place: "Place") -> Code:
        return Code(code or "", cast.code_of(place.environment.data, code or "", clock.now()))

    if code:
        shown = terminal.run(look, json=as_json)
        tell(shown, as_json=as_json, lines=[shown.code])
        return
    if reset:
        with terminal.refusing(json=as_json):
            resetting.give_up(terminal.read_environment())
    done = terminal.run(work, json=as_json)
    lines = [done.digest] if digest else _odd(done) if plants else _all(done)
    tell(done, as_json=as_json, lines=lines)


def _all(done: "Filled") -> list[str]:
    from palio.entry import cast  # noqa: PLC0415 - heavy

    facts: dict[str, Cell] = {
        "seed": done.seed,
        "created_at": done.created_at,
        "pictures": done.snapshots,
        "races": done.races,
        "accounts": done.users,
        "ledger sum": done.ledger_sum,
        "digest": done.digest,
        "who can sign in": str(done.sign_in_file),
    }
    told = ["", *cast.lines(done.people)] if done.people else []
    return [*record(facts), *told]


def _odd(done: "Filled") -> list[str]:
    return columns(["plant", "at", "where"], [[one.name, one.at, one.shows] for one in done.plants])
