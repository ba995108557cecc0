"""Use cases that hand out everything, a row at a time: books of any size for whoever looks at them elsewhere."""

from collections.abc import AsyncIterator
from datetime import datetime

from palio.infra.db import Tx
from palio.ledger.sql import exporting as sql
from palio.ledger.types import ExportedEntry, ExportedWallet


def export_entries(
    tx: Tx,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    address: str | None = None,
    asset: str | None = None,
) -> AsyncIterator[ExportedEntry]:
    """Every entry posted within `[since, until)` with its transfer, in the order of time; of one moment.

    Another statement of the transaction waits until all are taken.
    """
    return sql.entries(tx, since, until, address, asset)


def export_wallets(
    tx: Tx, *, now: datetime, address: str | None = None, asset: str | None = None
) -> AsyncIterator[ExportedWallet]:
    """What every account of a player holds, debts included, by address; of one moment. What is over counts as gone."""
    return sql.wallets(tx, address, asset, now)
