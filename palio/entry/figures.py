"""Figures of the modules for `/metrics`: looked up when somebody asks; what is not known has none."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from palio import affiliates, ledger
from palio.infra import seals
from palio.infra.db import Tx
from palio.infra.metrics import Line, Look

AGE = Look("palio_feed_age_seconds", "How old the numbers of a programme are", "programme")
SEALED = Look("palio_seal_age_seconds", "How old the newest seal of a chain is: an hour while nothing happens", "chain")
PLAYERS = Look("palio_affiliate_total_users", "How many players a programme says it has", "programme")


async def of_feeds(tx: Tx, now: datetime) -> Mapping[Look, Sequence[Line]]:
    """How fresh each programme is, and how large."""
    feeds = await affiliates.health(tx, now=now)
    return {
        AGE: [Line(one.programme, (now - one.as_of).total_seconds()) for one in feeds if one.as_of],
        PLAYERS: [Line(one.programme, one.players) for one in feeds if one.players is not None],
    }


async def of_seals(tx: Tx, now: datetime) -> Mapping[Look, Sequence[Line]]:
    """How long ago each chain was sealed."""
    newest = {chain.name: await seals.find_last(tx, chain=chain) for chain in (seals.AUDIT, ledger.CHAIN)}
    return {SEALED: [Line(name, (now - last.sealed_at).total_seconds()) for name, last in newest.items() if last]}
