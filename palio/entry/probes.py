"""What machines ask an instance: does it live, is it ready, how is it doing."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from palio.entry import metering
from palio.entry.wiring import Wiring
from palio.ui.routes import Routes


def routes(wiring: Wiring) -> Routes:
    """`/healthz` answers without the database; `/readyz` says 503 and what is missing while nobody should come here."""
    probes = Routes("system")

    @probes.page("/healthz", access="public")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @probes.page("/readyz", access="public")
    async def readyz() -> JSONResponse:
        failing = await wiring.health.failing()
        answer = {"status": "down" if failing else "ok", "failing": failing}
        return JSONResponse(answer, 503 if failing else 200, headers={"Retry-After": "2"} if failing else None)

    @probes.page("/metrics", access="public")
    async def metrics(request: Request) -> Response:
        return await metering.figures(wiring, request)

    return probes
