"""Long polls: the same events for whoever can hold neither a socket nor an event stream open."""

import asyncio
import json
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from palio.infra import relay
from palio.infra.realtime import Listener, TooManyStreams
from palio.infra.relay import Resumed
from palio.infra.tickets import TicketInvalid
from palio.kernel.errors import TooLarge, TooMany, Unauthenticated
from palio.ui import problems
from palio.ui.actor import Ask, Asking
from palio.ui.problems import Problem
from palio.ui.streams import hearing, tickets
from palio.ui.streams.hearing import Chosen, OriginRejected, Visitor
from palio.ui.streams.offers import STAFF, routes
from palio.ui.streams.sse import Ticket, Topics, until_gone

WAIT_SECONDS_MAX = 25
POSITION_CHARACTERS_MAX = 40
REFUSES = (OriginRejected, TicketInvalid, TooLarge, TooMany, TooManyStreams)

After = Annotated[str | None, Query(max_length=POSITION_CHARACTERS_MAX, examples=["412"])]
Wait = Annotated[int, Query(ge=0, le=WAIT_SECONDS_MAX)]


class Event(BaseModel):
    """An event, the same on every transport."""

    id: str
    topic: str
    type: str
    at: str = Field(json_schema_extra={"format": "date-time"})
    data: dict[str, object]


class Polled(BaseModel):
    """What has come, in order. Ask again with `next` as `after`; of topics in `resync` read everything again first."""

    items: list[Event]
    next: str
    resync: list[str] = []
    problems: list[Problem] = []


EXAMPLE = Polled(
    items=[
        Event(
            id="412",
            topic="races",
            type="race.completed",
            at="2026-03-18T14:05:09.123456Z",
            data={"race": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", "number": 12, "status": "completed"},
        )
    ],
    next="412",
)


@routes.get("/stream/poll", access="public", example=EXAMPLE, refuses=REFUSES)
async def poll_topics(
    request: Request,
    response: Response,
    ask: Ask,
    topics: Topics,
    after: After = None,
    wait: Wait = 0,
    ticket: Ticket = None,
) -> Polled:
    """Read what has happened behind `after`, or wait up to `wait` seconds for it.

    Without `after` it says at once where to begin. Topics that cannot be heard are named in `problems`.
    """
    return await _poll(request, response, ask, topics, after, wait, ticket)


@routes.get("/console/stream/poll", access=STAFF, example=EXAMPLE, refuses=REFUSES)
async def poll_console_topics(
    request: Request,
    response: Response,
    ask: Ask,
    topics: Topics,
    after: After = None,
    wait: Wait = 0,
    ticket: Ticket = None,
) -> Polled:
    """Read what has happened, as staff hear it, behind `after`; or wait up to `wait` seconds for it."""
    return await _poll(request, response, ask, topics, after, wait, ticket)


async def _poll(
    request: Request, response: Response, ask: Asking, topics: str, after: str | None, wait: int, ticket: str | None
) -> Polled:
    streams = hearing.of(request)
    hearing.require_own_page(request)
    asked = hearing.listed(topics)
    visitor = await tickets.visitor_of(request, ask, ticket)
    hearing.require_place(streams, visitor.caller, visitor.streams_max)
    chosen = await hearing.choose(request, visitor.ask, asked)
    listener = streams.hub.join(
        [*chosen.states, *visitor.inner_topics],
        own_topics=chosen.logs,
        owner=visitor.user_id if chosen.logs else None,
    )
    with streams.hub.serving(listener, until_gone(request.receive)), hearing.counted(streams.open, visitor.caller):
        resumed = await _wait(request, visitor, listener, chosen, hearing.position_of(after), wait)
    response.headers["Cache-Control"] = "no-store"
    return Polled(
        items=[Event(**json.loads(frame.data)) for frame in resumed.frames],
        next=str(resumed.seq),
        resync=chosen.heard if resumed.is_lost else [],
        problems=[problems.describe(request, refusal) for refusal in chosen.refused],
    )


async def _wait(
    request: Request, visitor: Visitor, listener: Listener, chosen: Chosen, after: int | None, wait: int
) -> Resumed:
    """What is behind a position as soon as there is something; that there is nothing when the time is over.

    What comes by the hub only says that it is worth looking: events are read from where they are kept.
    """
    until = asyncio.get_running_loop().time() + wait
    while True:
        found = await _read(request, visitor.ask, listener, after)
        left = until - asyncio.get_running_loop().time()
        if found.frames or found.is_lost or after is None or left <= 0 or not chosen.heard:
            return found
        frames = await listener.take(left)
        if await visitor.must_go(frames):
            raise Unauthenticated
        if any(frame.event == "bye" for frame in frames):
            return found


async def _read(request: Request, ask: Asking, listener: Listener, after: int | None) -> Resumed:
    return await hearing.read(request, ask, listener, after, relay.page)
