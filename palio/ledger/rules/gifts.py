"""Who may give how much away."""

from collections.abc import Collection, Sequence

from palio.ledger.errors import GiftLimit, GiftToSelf, InvalidPost, NotGiftable, WalletInDebt
from palio.ledger.types import AMOUNT_UNITS_MAX, Gift, GiftRules, Given, Post, Wallet

KIND = "ledger.gift"


def require_sound(gift: Gift, giftable: Collection[str]) -> None:
    """Let an amount of what can be given go to somebody else. Refuses with InvalidPost, NotGiftable, GiftToSelf."""
    if not 1 <= gift.amount <= AMOUNT_UNITS_MAX:
        raise InvalidPost(field="amount").blaming("amount")
    if gift.asset not in giftable:
        raise NotGiftable(asset=gift.asset)
    if gift.giver == gift.receiver:
        raise GiftToSelf


def require_free(wallet: Wallet | None, gift: Gift) -> None:
    """Let only those give who owe nothing of it. Refuses with WalletInDebt."""
    if wallet and wallet.debt < 0:
        raise WalletInDebt(asset=gift.asset, owed=-wallet.debt)


def require_room(gift: Gift, given: Sequence[Given], allowed: GiftRules) -> None:
    """Let a gift be made beside those of the day. Refuses with GiftLimit."""
    gifts = sum(each.gifts for each in given)
    amount = sum(each.amount for each in given if each.asset == gift.asset)
    if gifts >= allowed.gifts_max or amount + gift.amount > allowed.amount_max:
        facts = {"gifts": gifts, "gifts_max": allowed.gifts_max, "given": amount, "given_max": allowed.amount_max}
        raise GiftLimit(**facts)


def post_of(gift: Gift) -> Post:
    """The transfer of a gift. Its key belongs to the giver, so that nobody can take another one's."""
    legs = (
        (f"user:{gift.giver}:main", gift.asset, -gift.amount),
        (f"user:{gift.receiver}:main", gift.asset, gift.amount),
    )
    return Post(f"gift:{gift.giver}:{gift.key}", KIND, legs)
