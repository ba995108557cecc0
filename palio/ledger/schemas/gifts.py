"""How a gift looks from outside."""

from dataclasses import dataclass
from uuid import UUID

from palio.ledger.types import Gift, Posted, Recipient
from palio.ui.values import Asset, Money


@dataclass(frozen=True, slots=True)
class GiftAnswer:
    """A gift that was made: `to` is the user name of who has it now, `balance_after` is what it left you."""

    id: UUID
    seq: int
    to: str
    amount: Money
    balance_after: Money

    @classmethod
    def of(cls, posted: Posted, gift: Gift, recipient: Recipient, asset: Asset) -> "GiftAnswer":
        balance, seq = posted.balances[f"user:{gift.giver}:main"]
        return cls(
            id=posted.transfer_id,
            seq=seq,
            to=recipient.username,
            amount=Money.of(gift.amount, asset),
            balance_after=Money.of(balance, asset),
        )


GIFT_EXAMPLE = GiftAnswer(
    id=UUID("0195b0a2-6c1e-7d44-9a31-52f0c8e7b919"),
    seq=18,
    to="alice",
    amount=Money("COIN", 25, "25"),
    balance_after=Money("COIN", 442, "442"),
)
