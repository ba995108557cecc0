"""A fresh programme with its upload feed, and a way to send it something."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Tx
from palio.infra.storage import Storage
from palio.kernel.ids import new_id
from tests.factories.affiliates import T1, ingest

Send: TypeAlias = Callable[[bytes, datetime], Awaitable[types.Snapshot]]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


@pytest.fixture
def code() -> str:
    return f"p{new_id().hex[-12:]}"


@pytest.fixture
async def programme(tx: Tx, code: str) -> types.Programme:
    return await affiliates.ensure_programme(tx, code=code)


@pytest.fixture
def send(tx: Tx, programme: types.Programme, storage: Storage) -> Send:
    """Apply a body as fetched at an instant."""

    async def send(content: bytes, at: datetime = T1) -> types.Snapshot:
        return await ingest(tx, programme, content, at, storage)

    return send
