"""Attempts to sign in as staff look through them: by account, by the address they came from, by how they ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from palio.identity import personal, sql
from palio.identity.errors import WindowTooWide
from palio.identity.service import accounts
from palio.identity.sql.entries import EntriesWanted, Entry
from palio.identity.types import Outcome
from palio.infra.db import Tx
from palio.kernel.parts import Dated, Part

WINDOW = timedelta(days=92)


async def search(
    tx: Tx,
    *,
    since: datetime,
    until: datetime,
    user: str | None = None,
    ip: str | None = None,
    outcomes: Sequence[Outcome] = (),
    part: Part[Dated],
) -> list[Entry]:
    """A part of the attempts within a window of at most 92 days, the newest first.

    `user` is a name or id, `ip` a whole address. Refuses with NoSuchUser, WindowTooWide.
    """
    if not timedelta() < until - since <= WINDOW:
        raise WindowTooWide(days_max=WINDOW.days)
    network = personal.network_of(tx, ip) if ip else None
    wanted = EntriesWanted(
        since,
        until,
        (await accounts.get(tx, name_or_id=user)).id if user else None,
        network.net if network else None,
        network.ip if network else None,
        outcomes,
    )
    return await sql.entries.list_entries(tx, wanted, part)
