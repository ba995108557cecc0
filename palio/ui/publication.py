"""Documents that say the same to everybody for as long as a process lives."""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from palio.ui import strict


@dataclass(frozen=True, slots=True)
class _Edition:
    """A document as it is sent: as it is, compressed, and under which tag."""

    body: bytes
    compressed: bytes
    tag: str


class Publication:
    """A JSON document, made when somebody first asks for it: it may take a second or two, and few ask.

    It is made and compressed in a thread, once: whoever asks meanwhile waits for it, everybody else is served.
    """

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._edition: _Edition | None = None
        self._making = asyncio.Lock()

    async def respond(self, request: Request) -> Response:
        """The document, or that the caller has it already."""
        async with self._making:
            if self._edition is None:
                self._edition = await asyncio.to_thread(_edit, self._make)
            edition = self._edition
        headers = {"Cache-Control": "no-cache", "ETag": edition.tag, "Vary": "Accept-Encoding"}
        if edition.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(edition.compressed, headers=headers, media_type=strict.JSON_TYPE)
        return Response(edition.body, headers=headers, media_type=strict.JSON_TYPE)


def _edit(make: Callable[[], bytes]) -> _Edition:
    body = make()
    return _Edition(body, gzip.compress(body, mtime=0), f'W/"{hashlib.sha256(body).hexdigest()[:16]}"')
