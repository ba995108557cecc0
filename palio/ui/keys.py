"""Idempotency keys of requests: an answer is stored with its effect, and told again to whoever repeats the request."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from palio.infra import idempotency, settings
from palio.infra.db import Database
from palio.infra.idempotency import Asked, Kept
from palio.ui.actor import TX, Asking
from palio.ui.refusals import IdempotencyKeyInvalid

HEADER = "idempotency-key"
KEY = re.compile(r'"([!-~]{1,255})"|([!-~]{1,255})')
HEADERS_KEPT = ("content-type", "location", "etag", "hx-redirect", "hx-location", "hx-trigger")
REPLAYED = {"Idempotency-Replayed": "true"}
DONE = range(200, 400)  # a form that has had its effect sends the browser on (303)


class _UndoneError(Exception):
    """Rolls back what an answer that is no success has done."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def read_key(text: str | None) -> str | None:
    """The key a request carries, if any. Refuses with IdempotencyKeyInvalid."""
    if text is None:
        return None
    found = KEY.fullmatch(text.strip())
    if found is None:
        raise IdempotencyKeyInvalid
    return found[1] or found[2]


def key_of(request: Request) -> str | None:
    """The key in the header of a request, if any. Refuses with IdempotencyKeyInvalid."""
    return read_key(request.headers.get(HEADER))


def digest(request: Request, said: bytes) -> bytes:
    """What the request says, as one number: method, address and body."""
    parts = (request.method.encode(), request.url.path.encode(), request.url.query.encode(), said)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def canonical(said: object) -> bytes:
    """A JSON value as bytes that do not depend on the order of its keys, or on spaces."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def once(
    request: Request,
    ask: Asking,
    asked: Asked,
    answer: Callable[[], Awaitable[Response]],
    *,
    secrets: frozenset[str] = frozenset(),
) -> Response:
    """Answer a request under its key: carried out in one transaction with the row of the key, or told again.

    Refuses with idempotency.KeyReused and idempotency.InProgress, and as the answer does.
    """
    database: Database = request.app.state.database
    try:
        async with database.begin(ask.actor) as tx:
            if kept := await idempotency.claim(tx, asked, now=ask.now):
                return _again(kept)
            request.scope[TX] = tx
            response = await answer()
            if response.status_code not in DONE:
                raise _UndoneError(response)  # noqa: TRY301 - leaving the block by it is what rolls back
            await idempotency.keep(
                tx,
                asked,
                idempotency.without(_kept(response), secrets),
                keep_until=ask.now + timedelta(days=settings.value(idempotency.BODY_DAYS)),
            )
    except _UndoneError as undone:
        return undone.response
    finally:
        request.scope.pop(TX, None)
    return response


def _kept(response: Response) -> Kept:
    body = bytes(response.body)
    headers = {name: response.headers[name] for name in HEADERS_KEPT if name in response.headers}
    return Kept(response.status_code, headers, body, idempotency.id_in(body))


def _again(kept: Kept) -> Response:
    """The stored answer; when its body is gone, what it was about."""
    if kept.body is not None:
        return Response(kept.body, kept.status, headers=kept.headers | REPLAYED)
    body = json.dumps({"replayed": True, "id": kept.id}).encode()
    headers = {name: value for name, value in kept.headers.items() if name != "content-type"}
    return Response(body, 200, headers=headers | REPLAYED, media_type="application/json")
