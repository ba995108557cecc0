"""Whom a gift can go to: the ledger asks for somebody by his name, and knows nobody itself."""

from palio import identity
from palio.infra.db import Tx
from palio.ledger.types import Recipient


async def find(tx: Tx, name: str) -> Recipient | None:
    """Whoever bears this user name, unless his account is closed or suspended."""
    card = await identity.card_named(tx, name=name)
    if card is None or card.status != "active":
        return None
    shown = await identity.names(tx, ids=[card.id])
    return Recipient(card.id, card.username, shown[card.id])
