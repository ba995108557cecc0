"""What the ledger knows of somebody, and what of it holds back that he is forgotten. Entries stay, under his id."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import Obstacle, PersonalRow, PrivacySection
from palio.ledger.sql import privacy as sql


def _export(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    return sql.stream_known(tx, user_id)


async def _blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
    count = await sql.count_open_holds(tx, user_id, since)
    return [Obstacle("ledger", "hold", count)] if count else []


async def _files(tx: Tx, user_id: UserId) -> Sequence[str]:
    return ()


async def _erase(tx: Tx, user_id: UserId, now: datetime) -> None:
    """Nothing: a transfer has another side, and sums must stay what they were."""


PRIVACY = PrivacySection("ledger", _export, _blocks, _files, _erase)
