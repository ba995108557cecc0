"""Whence entrants are: what the users behind them say of themselves, for the boards of a country."""

from collections.abc import Collection

from palio import identity
from palio.competitions import sql
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def renew(tx: Tx, *, user_ids: Collection[UserId]) -> None:
    """Have the entrants of at most 10,000 users be where these say they live; of who says nothing, nothing is changed.

    Nor is it of those whom the caller may not see. Refuses with TooLarge.
    """
    if not user_ids:
        return
    countries = await identity.countries(tx, ids=user_ids)
    if countries:
        await sql.update_countries(tx, countries)
