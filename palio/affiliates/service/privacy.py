"""What links to players tell of somebody, and how they are ended and forgotten."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from palio.affiliates.service import links, requests
from palio.affiliates.sql import privacy as sql
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import Obstacle, PersonalRow, PrivacySection

WHY = "the account was erased"


def _export(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    return sql.stream_known(tx, user_id)


async def _blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
    return ()


async def _files(tx: Tx, user_id: UserId) -> Sequence[str]:
    return await sql.list_own_objects(tx, user_id)


async def _erase(tx: Tx, user_id: UserId, now: datetime) -> None:
    for request_id in await sql.list_open_requests(tx, user_id):  # one for each programme
        await requests.cancel(tx, request_id=request_id, user_id=user_id, now=now)
    for link_id in await sql.list_active_links(tx, user_id):
        await links.unlink_one(tx, link_id=link_id, actor=tx.actor, reason=WHY, now=now)
    await sql.delete_known(tx, user_id, now=now)


PRIVACY = PrivacySection("affiliates", _export, _blocks, _files, _erase)
