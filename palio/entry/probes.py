"""What machines ask an instance: does it live, is it ready."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from palio.entry.wiring import Wiring


def router(wiring: Wiring) -> APIRouter:
    """`/healthz` answers without the database; `/readyz` says 503 and what is missing while nobody should come here."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        failing = await wiring.health.failing()
        answer = {"status": "down" if failing else "ok", "failing": failing}
        return JSONResponse(answer, 503 if failing else 200, headers={"Retry-After": "2"} if failing else None)

    return routes
