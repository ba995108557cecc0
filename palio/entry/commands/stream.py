"""`palio stream …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palio.entry.options import AsJson, Misuse
from palio.entry.printing import columns, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.realtime import Hub

app = typer.Typer(no_args_is_help=True, help="What happens, as pages and programs hear it.")


@app.command()
def topics(*, as_json: AsJson = False) -> None:
    """List what can be listened to, who may hear it, and the types of its events. Needs no database."""
    from palio.entry.topics import TOPICS

    told: list[dict[str, Any]] = [
        {
            "topic": one.address,
            "kind": "log" if one.is_log else "state",
            "access": one.access,
            "types": [kind.name for kind in one.types],
            "summary": one.summary,
        }
        for one in TOPICS
    ]
    table = columns(
        ["topic", "kind", "who", "types"],
        [[one["topic"], one["kind"], one["access"], ", ".join(one["types"])] for one in told],
    )
    tell(told, as_json=as_json, lines=table)


@app.command()
def tail(
    topic: Annotated[list[str], typer.Argument(help="Topics as palio stream topics lists them, like race:<id>.")],
    *,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what happens on topics, a line for each event, until Ctrl-C.

    Of a topic of a state the newest event wins, at most four a second. Topics of one's own (`me:…`) are heard by their
    owner alone, with a session or a token. With --json each line is the event as clients get it.
    """
    from palio.entry import terminal
    from palio.entry.topics import TOPICS
    from palio.infra.realtime import TOPICS_OF_STREAM_MAX
    from palio.kernel.topics import OWNER

    known = {address: next((one for one in TOPICS if one.is_called(address)), None) for address in topic}
    if unknown := [address for address, one in known.items() if one is None]:
        raise Misuse("topic_unknown", f"there is no topic {', '.join(unknown)}: palio stream topics lists them")
    if private := [address for address, one in known.items() if one and one.access == OWNER]:
        raise Misuse("topic_private", f"{', '.join(private)} is heard by its owner alone")
    if len(known) > TOPICS_OF_STREAM_MAX:
        raise Misuse("too_many_topics", f"at most {TOPICS_OF_STREAM_MAX} topics")

    async def work(place: "Place") -> None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(place.hub.run())
            await _tail(place.hub, list(known), count, as_json=as_json)
            listening.cancel()

    with contextlib.suppress(KeyboardInterrupt):
        terminal.run(work, json=as_json)


async def _tail(hub: "Hub", addresses: list[str], count: int | None, *, as_json: bool) -> None:
    """What comes is printed as it comes; that nothing was missed is not sure after the connection was lost."""
    from palio.entry import terminal

    listener, told = hub.join(addresses), 0
    try:
        while count is None or told < count:
            for frame in await listener.take(None):
                if frame.event != "changed":
                    terminal.say("Listening …" if not told else "Listening again: something may have been missed.")
                elif count is None or told < count:
                    typer.echo(frame.data if as_json else _line(frame.data))
                    told += 1
    finally:
        hub.leave(listener)


def _line(event: str) -> str:
    told = json.loads(event)
    return f"{told['at']}  {told['topic']}  {told['type']}  {json.dumps(told['data'], ensure_ascii=False)}"
