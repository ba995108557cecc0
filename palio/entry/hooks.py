"""What providers send by themselves: known by its signature, kept, and answered before anybody works on it."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from palio import affiliates
from palio.affiliates.types import FeedId, Push
from palio.infra.db import Database
from palio.ui.actor import Ask
from palio.ui.routes import Routes

TAKEN = 202
routes = Routes("hooks")


@routes.hook("/hooks/feeds/{feed_id:uuid}", refuses=[affiliates.PushRefused, affiliates.BodyTooLarge])
async def take_list(request: Request, feed_id: UUID, ask: Ask) -> Response:
    """A list of players, signed as Standard Webhooks say; the same again is answered alike and has no effect."""
    database: Database = request.app.state.database
    given = request.headers
    push = Push(
        given.get("webhook-id", ""),
        given.get("webhook-timestamp", ""),
        given.get("webhook-signature", ""),
        await request.body(),
    )
    content_type = given.get("content-type", "")
    await affiliates.receive(database, feed_id=FeedId(feed_id), push=push, content_type=content_type, now=ask.now)
    return Response(status_code=TAKEN)
