"""Statements can be counted: a hot function runs the same number whatever the size of its batch."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from palio.infra.db import Tx


@pytest.fixture
async def statements(tx: Tx) -> AsyncIterator[list[str]]:
    """What this test's transaction runs, in order."""
    ran: list[str] = []

    class Listening(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, *values: Any, **options: Any) -> Any:
            ran.append(str(query))
            return await super().execute(query, *values, **options)

    before, tx.cursor_factory = tx.cursor_factory, Listening
    yield ran
    tx.cursor_factory = before
