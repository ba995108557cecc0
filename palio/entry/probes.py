"""What machines ask an instance: does it live, is it ready."""

from starlette.responses import JSONResponse

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

    return probes
