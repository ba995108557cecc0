"""`palio sim`: the outside world on this machine, and acting in it."""

import asyncio
import json
import os
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from palio.entry.options import AsJson, Misuse, content, instant
from palio.entry.printing import columns, tell

if TYPE_CHECKING:
    from palio.sim import Rehearsal, World

SERVE = "serve"
EFFECTS = (  # as the simulators have them, which are only imported where one is needed
    "status, delay, slow, reset, reset_after, truncate, garbage, wrong_type, huge, redirect, bad_tls, clock_skew,"
    " expired_credentials"
)
LOOKS_EVERY_SECONDS = 0.2

Answer = TypeVar("Answer")
Members = Mapping[str, object]
Port = Annotated[int, typer.Option(min=1, max=65_535, help="Where the world is on 127.0.0.1.")]


class Serving(TyperGroup):
    """`palio sim [NAME]...` serves; the words of the other commands are not names of simulators."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer has its own
        if "--help" not in args[:1] and (not args or args[0] not in self.commands):
            args = [SERVE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Serving, help="Pretend to be the outside world, and act in it. Without a command: serve.", rich_markup_mode=None
)
faults = typer.Typer(no_args_is_help=True, help="Have exchanges go wrong on purpose.", rich_markup_mode=None)
app.add_typer(faults, name="faults")


@app.command(SERVE)
def serve(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which: feed, smtp, hooks, oidc, otp, telegram. Default: all."),
    ] = None,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where on 127.0.0.1; 0: any.")] = 8_900,
    smtp_port: Annotated[int, typer.Option(min=0, max=65_535, help="Where letters are taken; 0: any.")] = 8_925,
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
    players: Annotated[int, typer.Option(min=0, max=200_000, help="At least so many in the list.")] = 0,
    faults_file: Annotated[
        Path | None, typer.Option("--faults", metavar="FILE", help="A JSON list of faults, as `faults list` prints it.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(metavar="NAME", help="A rehearsal to begin with: feed-outage or feed-liar.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where journal and state are kept, to go on from when it was killed."),
    ] = None,
) -> None:
    """Pretend to be the outside world until told to stop, and say how Palio is pointed at it.

    A scenario tells what happens and what should then be seen of Palio, by the clock of the world: --speed 60 shows
    three hours in three minutes. Exit status 69: the port is taken.
    """
    from palio.sim import SIMS, Clock, SimRefusal, World, fault_of  # noqa: PLC0415 - only this command needs it

    if unknown := set(names or SIMS) - set(SIMS):
        raise Misuse("unknown_sim", f"there is no simulator {', '.join(sorted(unknown))}: {', '.join(SIMS)}")
    clock = Clock()
    clock.speed(speed)
    try:
        world = World(seed, start=start, token=token, clock=clock, players=players, folder=keep)
        for rule in _listed(faults_file):
            world.faults.add(fault_of({name: part for name, part in rule.items() if name not in {"seen", "met"}}))
        begun = world.rehearse(scenario) if scenario else None
    except SimRefusal as refusal:
        raise Misuse("sim_refused", str(refusal)) from None
    try:
        asyncio.run(_serve(world, names or SIMS, port, smtp_port if "smtp" in (names or SIMS) else None, begun))
    except OSError as failure:
        typer.echo(f"127.0.0.1:{port} cannot be had: {failure.strerror} [sim.port_taken]", err=True)
        raise typer.Exit(os.EX_UNAVAILABLE) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _listed(file: Path | None) -> list[dict[str, object]]:
    if file is None:
        return []
    try:
        found = json.loads(content(file))
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Misuse("faults_invalid", f"{file} holds no JSON list of objects")
    return found


async def _serve(
    world: "World", names: Collection[str], port: int, smtp_port: int | None, begun: "Rehearsal | None"
) -> None:
    from palio.entry.stopping import SIGNALS  # noqa: PLC0415 - only this command needs it

    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for signal in SIGNALS:
        loop.add_signal_handler(signal, stopping.set)
    async with world.serving(port, smtp_port=smtp_port):
        typer.echo(f"PALIO_SIM=on\nPALIO_FEED_URL={world.feed_url}")
        if world.token:
            typer.echo(f"PALIO_FEED_TOKEN={world.token}")
        if smtp_port is not None:
            typer.echo(f"PALIO_SMTP_URL={world.smtp_url}")
        for name, variables in world.ways_in().items():
            for line in variables if name in names else ():
                typer.echo(line)
        telling = asyncio.create_task(_narrate(world, begun)) if begun else None
        await stopping.wait()
        if telling:
            telling.cancel()


async def _narrate(world: "World", begun: "Rehearsal") -> None:
    """Say what happens, and what should be seen, when it comes by the world's clock."""
    from palio.sim import Step  # noqa: PLC0415 - only a rehearsal needs it

    typer.echo(f"{begun.scenario.title}.")
    told, end = begun.began_at, begun.began_at + begun.scenario.lasts
    lines = [*begun.said(told.min.replace(tzinfo=told.tzinfo), told)]
    while True:
        for at, line in lines:
            typer.echo(f"{at:%H:%M:%S}  {'The outside' if isinstance(line, Step) else 'To be seen'}: {line.says}.")
        if told >= end:
            return
        await asyncio.sleep(LOOKS_EVERY_SECONDS)
        world.catch_up()
        lines, told = [*begun.said(told, world.clock.now())], world.clock.now()


@app.command()
def rehearse(
    name: Annotated[str, typer.Argument(help="feed-outage or feed-liar.")],
    *,
    port: Port = 8_900,
    as_json: AsJson = False,
) -> None:
    """Begin a scenario in the world that is served, and say what will happen and what should be seen of Palio."""
    from palio.sim import scenario  # noqa: PLC0415 - only this command needs it

    answer = _order(port, "POST", "scenario", {"name": name}, as_json=as_json)
    found = scenario(name)
    rows = sorted(
        [*((one.after_s, one.says) for one in found.steps), *((one.after_s, one.says) for one in found.shows)]
    )
    lines = [f"{found.title}.", *(f"  after {after_s // 60:>3} min  {says}" for after_s, says in rows)]
    tell({"scenario": found, "began": answer}, as_json=as_json, lines=lines)


@app.command()
def play(
    uid: Annotated[str, typer.Argument(help="The player, as the feed names him.")],
    amount: Annotated[str, typer.Argument(help="Like 12.34, with at most six decimals.")],
    *,
    port: Port = 8_900,
    as_json: AsJson = False,
) -> None:
    """Have a player of the simulated feed wager exactly so much, now."""
    answer = _order(port, "POST", "feed/play", {"uid": uid, "amount": amount}, as_json=as_json)
    tell(answer, as_json=as_json, lines=[f"{uid} wagered {amount}."])


@app.command()
def journal(
    *,
    since: Annotated[int, typer.Option(min=0, help="Only exchanges with a greater number.")] = 0,
    name: Annotated[str | None, typer.Option("--sim", help="Of this simulator only.")] = None,
    port: Port = 8_900,
    as_json: AsJson = False,
) -> None:
    """What was asked of the world and what it answered, the newest last; credentials are masked."""
    from palio.sim import journal as said  # noqa: PLC0415 - only this command needs it

    found = _asking(port, lambda: said(port, since=since, sim=name), as_json=as_json)
    head = ("NUMBER", "AT", "SIM", "METHOD", "PATH", "KEY", "STATUS", "FAULT")
    rows = [
        (
            *(one.number, one.at, one.sim or "-", one.method, one.path),
            *("right" if one.is_known else "wrong", one.status, one.fault),
        )
        for one in found
    ]
    tell(found, as_json=as_json, lines=columns(head, rows, to_right={0, 6}))


@faults.command()
def add(
    effect: Annotated[str, typer.Argument(help=f"How: {EFFECTS}.")],
    *,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="More about the effect: code=503, ms=2000, at=50, s=-60 …"),
    ] = None,
    name: Annotated[str, typer.Option("--sim", help="Of which simulator.")] = "feed",
    path: Annotated[str, typer.Option(help="Only addresses that begin so.")] = "/",
    nth: Annotated[int | None, typer.Option(min=1, help="Only the n-th that fits.")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Only each n-th that fits.")] = None,
    share: Annotated[float | None, typer.Option(min=0, max=1, help="Only this share of them, by chance.")] = None,
    times: Annotated[int | None, typer.Option(min=1, help="At most so often. Default: until cleared.")] = None,
    port: Port = 8_900,
    as_json: AsJson = False,
) -> None:
    """Have exchanges go wrong from now on; the first fault that fits decides."""
    match = {"path": path, "nth": nth, "every": every, "share": share}
    rule = {"sim": name, "effect": {"name": effect, **_parts(more or [])}, "match": match, "times": times}
    answer = _order(port, "POST", "faults", rule, as_json=as_json)
    tell(answer, as_json=as_json, lines=[f"From now on: {effect}. `palio sim faults clear` ends it."])


@faults.command("list")
def list_(*, port: Port = 8_900, as_json: AsJson = False) -> None:
    """Every fault, with how often it was looked at and met."""
    from palio.sim import faults as rules  # noqa: PLC0415 - only this command needs it

    found = _asking(port, lambda: rules(port), as_json=as_json)
    rows = [(one.sim, one.effect.name, one.match.path, one.seen, one.met, one.times) for one in found]
    head = ("SIM", "EFFECT", "PATH", "SEEN", "MET", "TIMES")
    tell(found, as_json=as_json, lines=columns(head, rows, to_right={3, 4, 5}))


@faults.command()
def clear(*, port: Port = 8_900, as_json: AsJson = False) -> None:
    """Let everything go well again."""
    tell(_order(port, "DELETE", "faults", {}, as_json=as_json), as_json=as_json, lines=["No fault any more."])


def _parts(more: list[str]) -> dict[str, object]:
    """`code=503` as the member it means: numbers are numbers, all else is text."""
    parts: dict[str, object] = {}
    for pair in more:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Misuse("set_invalid", f"{pair!r} is not written as NAME=VALUE")
        try:
            parts[name] = json.loads(value)
        except ValueError:
            parts[name] = value
    return parts


def _order(port: int, method: str, path: str, members: Members, *, as_json: bool) -> object:
    from palio.sim import control  # noqa: PLC0415 - only these commands need it

    return _asking(port, lambda: control(port, method, path, members), as_json=as_json)


def _asking(port: int, ask: Callable[[], Answer], *, as_json: bool) -> Answer:
    """What the world answers; a refusal of it ends the program with 1, no world at all with 69."""
    from palio.sim import SimRefusal  # noqa: PLC0415 - only these commands need it

    try:
        return ask()
    except SimRefusal as refusal:
        _end("sim.refused", str(refusal), 1, as_json=as_json)
    except OSError:
        sentence = f"No world answers at 127.0.0.1:{port}: start `palio sim`, or name its --port"
        _end("sim.away", sentence, os.EX_UNAVAILABLE, as_json=as_json)


def _end(code: str, sentence: str, status: int, *, as_json: bool) -> NoReturn:
    problem = {"type": f"/problems/{code}", "code": code, "detail": sentence, "facts": {}}
    typer.echo(json.dumps(problem) if as_json else f"{sentence} [{code}]", err=not as_json)
    raise typer.Exit(status)
