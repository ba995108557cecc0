"""`palio up` with one slow request, one slow job and one live stream in place of the product."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from palio.entry import up
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.wiring import Wiring
from palio.infra import outbox
from palio.infra.db import Tx
from palio.infra.realtime import BYE, Frame, Hub
from palio.kernel.messages import Job, handles


@dataclass(frozen=True, slots=True)
class Wait(Job):
    seconds: int


@handles(Wait)
async def wait(tx: Tx, job: Wait) -> None:
    """Take that long."""
    await asyncio.sleep(job.seconds)


async def told(hub: Hub) -> AsyncIterator[bytes]:
    """What a listener hears, to the end."""
    listener = hub.join(["test"])
    frames: list[Frame] = []
    yield b"event: ready\n\n"
    while BYE not in frames:
        frames = await listener.take(60)
        yield b"".join(frame.sse for frame in frames)
    hub.leave(listener)


def make(wiring: Wiring) -> ASGIApp:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(request.path_params["seconds"])
        return PlainTextResponse("done")

    async def job(request: Request) -> Response:
        async with wiring.database.begin_system("test") as tx:
            await outbox.send(tx, Wait(request.path_params["seconds"]))
        return PlainTextResponse("sent")

    async def stream(request: Request) -> Response:
        return StreamingResponse(told(wiring.hub), media_type="text/event-stream")

    return Starlette(
        routes=[Route("/slow/{seconds:int}", slow), Route("/job/{seconds:int}", job), Route("/stream", stream)]
    )


if __name__ == "__main__":
    up.run(up.Parts("up", serves=True, works=True, demo=False, make_app=make, routes={**SUBSCRIPTIONS, Wait: (wait,)}))
