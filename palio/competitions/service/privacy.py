"""What competitions know of somebody, what of it holds back that he is forgotten, and how they forget him."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from palio.competitions.sql import privacy as sql
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import Obstacle, PersonalRow, PrivacySection


def _export(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    return sql.stream_known(tx, user_id)


async def _blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
    count = await sql.count_unsettled(tx, user_id, since)
    return [Obstacle("competitions", "unsettled competition", count)] if count else []


async def _files(tx: Tx, user_id: UserId) -> Sequence[str]:
    return ()


async def _erase(tx: Tx, user_id: UserId, now: datetime) -> None:
    await sql.update_forgotten(tx, user_id)


PRIVACY = PrivacySection("competitions", _export, _blocks, _files, _erase)
