"""What examples of answers have in common: one player, one thing and one instant, wherever they are shown."""

from datetime import UTC, datetime
from uuid import UUID

from palio.ui.values import Asset, Money

AT = datetime(2026, 3, 18, 14, 5, 9, 123456, UTC)
THING = UUID("0195b0a2-6c1e-7d44-9a31-52f0c8e7b916")
PLAYER = UUID("0195b0a2-1f3c-7a10-8d52-0c4e5f6a7b81")
STELLA = UUID("0195b0a2-1f3c-7a10-8d52-0c4e5f6a7b82")
USD = Asset("USD", 2)


def money(amount: int, asset: Asset = USD) -> Money:
    """An amount of an example."""
    return Money.of(amount, asset)
