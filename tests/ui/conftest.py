"""Applications under test: in this process through ASGI, or on a socket of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest
from starlette.types import ASGIApp

from tests.ui import preview

Client = Callable[[ASGIApp], AbstractAsyncContextManager[httpx2.AsyncClient]]


@asynccontextmanager
async def talk_to(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://palio.test") as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(preview.app()) as client:
        yield client
