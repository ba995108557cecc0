"""The use case of players who give something to each other."""

from datetime import UTC, datetime

from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import gifts as rules
from palio.ledger.rules import months
from palio.ledger.service import reading
from palio.ledger.service.posting import lock_many, post
from palio.ledger.sql import gifts as sql
from palio.ledger.types import GIFTS_ENABLED, GIFTS_OF_A_DAY_MAX, GIVEN_ON_A_DAY_MAX, Gift, GiftRules, Posted, Wallet


async def giftable(tx: Tx) -> list[str]:
    """The codes of the assets that can be given away now; none while the house allows no gifts."""
    return await sql.list_giftable(tx) if settings.value(GIFTS_ENABLED) else []


async def gift(tx: Tx, *, gift: Gift, now: datetime) -> Posted:
    """Let a player give to another, within what the house allows on a day (UTC).

    His key is good for one gift, so that a repeat gives nothing more.

    Refuses with GiftsOff, UnknownAsset, NotGiftable, GiftToSelf, WalletInDebt, GiftLimit, and as `post` does.
    """
    if not await settings.exact(tx, GIFTS_ENABLED):
        raise errors.GiftsOff
    await reading.asset_of(tx, code=gift.asset)
    assets = await sql.list_giftable(tx)
    rules.require_sound(gift, assets)
    # all wallets that his other gifts could come from: what they add up to is counted by one at a time
    own = [(f"user:{gift.giver}:main", asset) for asset in assets]
    await lock_many(tx, [*own, (f"user:{gift.receiver}:main", gift.asset)], now=now)
    rules.require_free(await _wallet(tx, gift.giver, gift.asset), gift)
    today = months.midnight(now.astimezone(UTC).date())
    allowed = GiftRules(await settings.exact(tx, GIFTS_OF_A_DAY_MAX), await settings.exact(tx, GIVEN_ON_A_DAY_MAX))
    rules.require_room(gift, await sql.list_given(tx, gift.giver, today), allowed)
    return await post(tx, rules.post_of(gift), now=now)


async def _wallet(tx: Tx, owner_id: UserId, asset: str) -> Wallet | None:
    return next((one for one in await reading.wallets(tx, owner_id=owner_id) if one.asset == asset), None)
