"""The one statement of a plain batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.infra import arrays
from palio.infra.arrays import Hashes, Int2s, Int8s, Jsons, Packed, Texts, Uuids
from palio.infra.db import Tx
from palio.ledger.rules.plain import Plain, Side
from palio.ledger.sql.posting import actor_text
from palio.ledger.types import AccountId, Asset, Place


@dataclass(frozen=True, slots=True)
class Moved:
    """Balance and seq of every wallet before the batch, the numbers of places that were unknown, and when all of it was
    posted: not before others who overtook it.
    """

    wallets: Mapping[int, tuple[int, int]]
    numbers: Mapping[Place, AccountId]
    posted_at: datetime


async def post_plain(
    tx: Tx, plain: Plain, assets: Mapping[str, Asset], *, now: datetime, is_alone: bool = False
) -> Moved | None:
    """Write all of it in one statement. `is_alone` is for a connection without a transaction.

    None, and nothing is done, where a key was used before, or an account is not there, is not active, keeps lots, or
    does not take its leg.
    """
    found = await arrays.columns(tx, POST_PLAIN, *_columns(plain, assets, now), is_alone)
    for accounts, balances, seqs, numbers, posted_at in found:
        states = zip(balances or (), seqs or (), strict=True)
        wallets = dict(zip(accounts or (), states, strict=True))
        return Moved(wallets, dict(zip(plain.unknown, numbers or (), strict=True)), posted_at)
    return None


def _columns(plain: Plain, assets: Mapping[str, Asset], now: datetime) -> Sequence[object]:
    requests = plain.requests
    posts = [request.post for request in requests]
    actors, metadata = [post.actor for post in posts], [request.metadata for request in requests]
    descriptions = [post.description or None for post in posts]
    return (
        Uuids.of([request.id.bytes for request in requests]),
        Texts.of([request.key for request in requests]),
        Hashes.of([request.hash for request in requests]),
        Texts.of([post.kind for post in posts]),
        Texts.of([actor_text(actor) for actor in actors] if any(actors) else []),
        Texts.of(descriptions if any(descriptions) else []),
        Jsons.of(metadata if any(metadata) else []),
        *_sides(plain.guarded),
        *_sides(plain.open),
        *[Int8s.of(column) for column in arrays.transposed(4, plain.steps)],
        Texts.of([address for address, _ in plain.unknown]),
        Int2s.of([assets[asset].id for _, asset in plain.unknown]),
        now,
    )


def _sides(sides: Sequence[Side]) -> Sequence[Packed]:
    transfers, legs, accounts, amounts = arrays.transposed(4, sides)
    return Uuids.of(transfers), Int2s.of(legs), Int8s.of(accounts), Int8s.of(amounts)


POST_PLAIN = """select accounts, balances, seqs, numbers, posted
    from ledger.post_plain(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
      %s, %s, %s, %s, %s, %s)"""
