"""`/metrics`: figures for this machine, or for whoever has the token; for all others the page does not exist."""

import hmac

from starlette.requests import Request
from starlette.responses import Response

from palio.entry.wiring import Wiring
from palio.infra.metrics import CONTENT_TYPE

LOOPBACK = ("127.", "::1")
FORWARDED = ("forwarded", "x-forwarded-for")


async def figures(wiring: Wiring, request: Request) -> Response:
    """Every figure of this process as Prometheus reads it, or 404."""
    if not (_is_local(request) or _has_token(request, wiring.environment.metrics_token)):
        return Response(status_code=404)
    return Response(await wiring.metrics.text(), media_type=CONTENT_TYPE)


def _is_local(request: Request) -> bool:
    """A proxy on this machine speaks for others, and says so."""
    is_loopback = request.client is not None and request.client.host.startswith(LOOPBACK)
    return is_loopback and not any(name in request.headers for name in FORWARDED)


def _has_token(request: Request, token: str | None) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return token is not None and hmac.compare_digest(given.encode(), token.encode())
