"""Use cases that move value. Every coin moves through `post_many` or `fan_out`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from palio.infra import db, partitions, settings
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ledger import errors
from palio.ledger.rules import decisions, requests
from palio.ledger.service.memory import Book, book_for
from palio.ledger.sql import posting as sql
from palio.ledger.types import (
    BATCH_ITEMS_MAX,
    DEBT_MAX,
    LEGS_MAX,
    PAYMENTS_MAX,
    Mode,
    Outcome,
    Payment,
    Place,
    Post,
    Posted,
)

ITEMS_BETWEEN_PAUSES = 250
PARTITIONED = "ledger.transfers", "ledger.entries"

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


async def post_many(
    tx: Tx, items: Sequence[Post], *, now: datetime, mode: Mode = "each", dry_run: bool = False
) -> list[Outcome]:
    """Carry out transfers and answer each in the order given, in two round trips whatever their number.

    A refused item changes nothing and keeps its key free; a key that was used before with the same request answers as
    the first time (`replayed`), with another one it is refused. With mode `all` any refusal raises BatchRefused, and
    the caller rolls back. A dry run answers the same and keeps nothing. At most 10,000 items of 50,000 legs:
    BatchTooLarge. A use case calls it once per transaction, or `lock_many` before.
    """
    _require_room(items)
    async with sql.rehearsal(tx) if dry_run else nullcontext():
        book = await book_for(tx, assets={leg[1] for item in items for leg in item.legs}, kinds={i.kind for i in items})
        known = requests.Vocabulary(book.kinds, book.assets.keys(), book.places.keys())
        prepared = await _in_slices(items, lambda part: requests.prepare(part, _ids(part), known))
        claims = requests.first_claims(prepared)
        places = requests.places_of(claims.values())
        opened = await _lock(tx, book, claims, places, now=now, remember=not dry_run)
        decision = decisions.decide(prepared, opened.purses, opened.stored)
        if mode == "all" and (outcomes := decisions.aborted(decision.outcomes)):
            raise errors.BatchRefused(outcomes=outcomes)
        if decision.transfers or decision.refused_keys:
            await sql.write(tx, decision)
    return decision.outcomes


async def post(tx: Tx, item: Post, *, now: datetime) -> Posted:
    """Carry out one transfer. Raises what `post_many` would have answered as a refusal:

    InvalidPost, KeyMismatch, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit.
    """
    [outcome] = await post_many(tx, [item], now=now)
    if isinstance(outcome, Posted):
        return outcome
    refusal = errors.as_refusal(outcome)
    raise refusal


async def fan_out(
    tx: Tx, *, source: str, asset: str, kind: str, rows: Sequence[Payment], now: datetime
) -> list[Outcome]:
    """Pay many main wallets from one open account, in one round trip; answers in the order given.

    The same keys, guards and outcomes as `post_many`, for at most 100,000 rows: BatchTooLarge. A wallet that would rise
    above the range of exact amounts refuses that payment and those behind it. A source that is not an open account, or
    an unknown asset or kind, is InvalidPost.
    """
    if len(rows) > PAYMENTS_MAX:
        raise errors.BatchTooLarge(items=len(rows), limit=PAYMENTS_MAX)
    book = await book_for(tx, assets={asset}, kinds={kind})
    if fault := requests.fault_of_fan_out(source, asset, kind, book.assets, book.kinds):
        raise errors.InvalidPost(field=fault)
    prepare = partial(requests.prepare_payments, source=source, asset=asset, kind=kind)
    bills = await _in_slices(rows, lambda part: prepare(part, _ids(part)))
    first = list(requests.first_claims(bills).values())
    paid, stored = await sql.fan_out(tx, first, source=source, asset=book.assets[asset], kind=kind, now=now)
    return decisions.decide_payments(bills, paid, stored)


async def lock_many(tx: Tx, places: Sequence[Place], *, now: datetime) -> None:
    """Lock guarded accounts in the order of their numbers, for a use case that calls `post_many` more than once.

    Accounts that do not exist are made. Refuses with InvalidPost.
    """
    book = await book_for(tx, assets={asset for _, asset in places}, kinds=())
    for address, asset in places:
        if asset not in book.assets or not requests.is_address(address):
            raise errors.InvalidPost(field="address" if asset in book.assets else "asset")
    await _lock(tx, book, {}, set(places), now=now, remember=True)


async def prepare_month(tx: Tx, *, month: datetime) -> None:
    """Have partitions for what is posted in that month (UTC): called before posting with a past instant."""
    for parent in PARTITIONED:
        await partitions.ensure(tx, parent, month)


def _require_room(items: Sequence[Post]) -> None:
    items_max = settings.value(BATCH_ITEMS_MAX)
    if len(items) > items_max:
        raise errors.BatchTooLarge(items=len(items), limit=items_max)
    legs = sum([len(item.legs) for item in items])
    if legs > LEGS_MAX:
        raise errors.BatchTooLarge(legs=legs, limit=LEGS_MAX)


def _ids(items: Sequence[object]) -> list[UUID]:
    return [new_id() for _ in items]


async def _in_slices(items: Sequence[Item], prepare: Callable[[Sequence[Item]], list[Prepared]]) -> list[Prepared]:
    """Prepare everything, letting others run now and then: somebody who holds locks may be waiting for us."""
    prepared: list[Prepared] = []
    for start in range(0, len(items), ITEMS_BETWEEN_PAUSES):
        if start:
            await asyncio.sleep(0)
        prepared += prepare(items[start : start + ITEMS_BETWEEN_PAUSES])
    return prepared


async def _lock(
    tx: Tx,
    book: Book,
    claims: Mapping[str, requests.Request],
    places: AbstractSet[Place],
    *,
    now: datetime,
    remember: bool,
) -> sql.Opened:
    known = {place: number for place in places if (number := book.places.get(place)) is not None}
    unknown = sorted(places - known.keys())
    opened = await sql.open_batch(tx, claims, known, unknown, book.assets, now=now, debt_max=settings.value(DEBT_MAX))
    if lost := places - opened.purses.keys():  # their numbers come from a part of a transaction that was undone
        book.forget(lost)
        return await _lock(tx, book, claims, places, now=now, remember=remember)
    if remember and opened.numbers:
        db.after_commit(tx, partial(book.learn, opened.numbers))
    return opened
