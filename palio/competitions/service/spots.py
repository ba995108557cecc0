"""Where a reader has come to in a ranking whose rows move: how many places are on the near side of a row by now."""

from bisect import bisect_right
from collections.abc import Sequence

from palio.competitions import sql
from palio.competitions.types import RankTerms
from palio.infra.db import Tx
from palio.kernel.providers import After


async def frozen(tx: Tx, *, terms: RankTerms, after: After, limit: int) -> tuple[int, int]:
    """Behind which place of a frozen ranking a part lies, and how many places it has at most."""
    if isinstance(after, int):
        return after, limit
    return after.span(await sql.count_passed(tx, terms, after), limit)


async def frozen_among(tx: Tx, *, terms: RankTerms, places: Sequence[int], after: After, limit: int) -> tuple[int, int]:
    """Behind how many of some places in their order a part lies, and how many of them it has at most."""
    if isinstance(after, int):
        return after, limit
    return after.span(bisect_right(places, await sql.count_passed(tx, terms, after)), limit)
