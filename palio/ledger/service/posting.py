"""Use cases that move value. Every coin moves through `post_many` or `fan_out`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar, overload
from uuid import UUID

from palio.infra import db, outbox, partitions, relay, settings
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ledger import errors
from palio.ledger.messages import DebtCreated, TransfersPosted
from palio.ledger.rules import archive, decisions, plain, requests
from palio.ledger.rules import payments as rules
from palio.ledger.rules.items import AnyRequest, Needs, judge, needs_of
from palio.ledger.service.memory import Book, read_again
from palio.ledger.sql import plain as plain_sql
from palio.ledger.sql import posting as sql
from palio.ledger.sql.reconciling import find_archive_end
from palio.ledger.types import (
    BATCH_ITEMS_MAX,
    DEBT_MAX,
    HOLD_DAYS_MAX,
    HOLD_USUAL_HOURS,
    LEGS_MAX,
    LOCK_WAIT_MS,
    PAYMENTS_MAX,
    AnyOutcome,
    Handle,
    Held,
    Hold,
    Item,
    Lot,
    Mode,
    Outcome,
    Paid,
    Payments,
    Place,
    Post,
    Posted,
    Refused,
    Reverse,
    Void,
    Voided,
)

ITEMS_BETWEEN_PAUSES = 250
PARTITIONED = "ledger.transfers", "ledger.entries"

Prepared = TypeVar("Prepared")
Done = TypeVar("Done", Posted, Held, Voided)


@overload
async def post_many(
    tx: Tx, items: Sequence[Post], *, now: datetime, mode: Mode = ..., dry_run: bool = ...
) -> list[Outcome]:
    """Transfers become transfers, or are refused."""


@overload
async def post_many(
    tx: Tx, items: Sequence[Item], *, now: datetime, mode: Mode = ..., dry_run: bool = ...
) -> list[AnyOutcome]:
    """Each kind of item has its outcome."""


async def post_many(
    tx: Tx, items: Sequence[Item], *, now: datetime, mode: Mode = "each", dry_run: bool = False
) -> Sequence[AnyOutcome]:
    """Carry out items of every kind and answer each in the order given, in two round trips whatever their number.

    Plain transfers, where nothing is in their way, take one. A refused item changes nothing and keeps its key free; a
    key that was used before with the same request answers as the first time (`replayed`), with another one it is
    refused. With mode `all` any refusal raises BatchRefused, and the caller rolls back. A dry run answers the same and
    keeps nothing. At most 10,000 items of 50,000 legs: BatchTooLarge. A use case calls it once per transaction, or
    `lock_many` before.
    """
    _require_room(items)
    async with sql.rehearsal(tx) if dry_run else nullcontext():
        await _limit_waiting(tx)
        book, prepared = await _prepared(tx, items, await _ids(len(items)))
        done = await _post_plain(tx, book, prepared, now=now, remember=not dry_run)
        return done or await _decide(tx, items, book, prepared, now=now, mode=mode, remember=not dry_run)


async def post_alone_many(tx: Tx, posts: Sequence[Post], *, now: datetime) -> Sequence[Outcome] | None:
    """Post a plain batch in one statement that is a transaction by itself, on a connection without one.

    None, and nothing is done, where it is not plain or something is in its way, where this process has not read yet
    what there is, or where somebody hears of every transfer: then `post_many` does it.
    """
    book = db.memory(tx, Book)
    is_patient = settings.value(LOCK_WAIT_MS) == LOCK_WAIT_MS.default
    if not (book.kinds and is_patient) or len(posts) > settings.value(BATCH_ITEMS_MAX):
        return None
    if outbox.is_heard(tx, TransfersPosted):
        return None
    prepared = _judged(posts, await _ids(len(posts)), book)
    return await _post_plain(tx, book, prepared, now=now, remember=True, is_alone=True)


async def post(tx: Tx, item: Post, *, now: datetime) -> Posted:
    """Carry out one transfer. Raises what `post_many` would have answered as a refusal:

    InvalidPost, KeyMismatch, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit, and for a capture
    NoSuchHold, HoldNotOpen, HoldLapsed, HoldMismatch, HoldExceeded.
    """
    [outcome] = await post_many(tx, [item], now=now)
    if isinstance(outcome, Posted):
        return outcome
    refusal = errors.as_refusal(outcome)
    raise refusal


async def hold_many(tx: Tx, items: Sequence[Hold], *, now: datetime) -> list[Held | Refused]:
    """Set units aside, as `post_many` does it. Refuses with BatchTooLarge."""
    return _of_kind(Held, await post_many(tx, items, now=now))


async def capture_many(tx: Tx, items: Sequence[Post], *, now: datetime) -> list[Outcome]:
    """Carry out transfers, each out of the hold that its `capture` names. Refuses with BatchTooLarge, InvalidPost."""
    if not all(item.capture for item in items):
        raise errors.InvalidPost(field="capture")
    return await post_many(tx, items, now=now)


async def void_many(tx: Tx, items: Sequence[Void], *, now: datetime) -> list[Voided | Refused]:
    """Release what remains of holds. Refuses with BatchTooLarge."""
    return _of_kind(Voided, await post_many(tx, items, now=now))


async def clawback_many(tx: Tx, items: Sequence[Post], *, now: datetime) -> list[Outcome]:
    """Take back what wallets have, and let their owners owe the rest. Refuses with BatchTooLarge."""
    return await post_many(tx, [replace(item, to_debt=True) for item in items], now=now)


async def reverse(tx: Tx, item: Reverse, *, now: datetime) -> Posted:
    """Take one transfer back. Raises what `reverse_many` would have answered as a refusal:

    InvalidPost, KeyMismatch, NoSuchTransfer, AlreadyReversed, ReversalExceeds, ReversalOfReversal, TransferFinal,
    InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit.
    """
    [outcome] = await reverse_many(tx, [item], now=now)
    if isinstance(outcome, Posted):
        return outcome
    refusal = errors.as_refusal(outcome)
    raise refusal


async def reverse_many(tx: Tx, items: Sequence[Reverse], *, now: datetime) -> list[Outcome]:
    """Take transfers back, whole or in parts, as `post_many` does it. Refuses with BatchTooLarge."""
    return _of_kind(Posted, await post_many(tx, items, now=now))


def _of_kind(kind: type[Done], outcomes: Sequence[AnyOutcome]) -> list[Done | Refused]:
    """The same outcomes: items of one kind have no others."""
    return [outcome for outcome in outcomes if isinstance(outcome, (kind, Refused))]


async def fan_out(
    tx: Tx,
    *,
    source: str,
    asset: str,
    kind: str,
    payments: Payments,
    now: datetime,
    lot: Lot | None = None,
) -> Paid:
    """Pay many main wallets from one open account, in one round trip; answers by the places of the payments.

    The same keys, guards and outcomes as `post_many`, for at most 100,000 payments: BatchTooLarge. A wallet that would
    rise above the range of exact amounts refuses that payment and those behind it. `lot` says for all until when it can
    be spent. A source that is not an open account, an unknown asset, or a kind that is unknown or counts as a deposit
    (whose limits are each owner's) is InvalidPost.
    """
    if len(payments.keys) > PAYMENTS_MAX:
        raise errors.BatchTooLarge(items=len(payments.keys), limit=PAYMENTS_MAX)
    book = db.memory(tx, Book)
    if kind not in book.kinds or asset not in book.assets:
        book = await read_again(tx, book=book)
    if lot and not requests.is_lot(lot):
        raise errors.InvalidPost(field="lot")
    if book.groups.get(kind) == "deposit":
        raise errors.InvalidPost(field="kind")
    if fault := requests.fault_of_fan_out(source, asset, kind, book.assets, book.kinds):
        raise errors.InvalidPost(field=fault)
    bills = rules.judge(payments)
    hashes_of = partial(rules.hashes, bills.payments, source=source, asset=asset, kind=kind)
    hashes = await _in_slices(len(bills.places), hashes_of)
    carried = await sql.fan_out(tx, bills, hashes, source=source, asset=book.assets[asset], kind=kind, lot=lot, now=now)
    if outbox.is_heard(tx, TransfersPosted) and (posted := tuple(map(_as_id, filter(None, carried.transfer_ids)))):
        await outbox.send(tx, TransfersPosted(posted))
    relay.wake(tx)
    return rules.answer(payments, bills, hashes, carried)


def _as_id(number: bytes) -> UUID:
    return UUID(bytes=number)


async def lock_many(tx: Tx, places: Sequence[Place], *, now: datetime) -> None:
    """Lock guarded accounts in the order of their numbers, for a use case that calls `post_many` more than once.

    Accounts that do not exist are made. Refuses with InvalidPost.
    """
    book = db.memory(tx, Book)
    if not book.assets.keys() >= {asset for _, asset in places}:
        book = await read_again(tx, book=book)
    for address, asset in places:
        if asset not in book.assets or not requests.is_address(address):
            raise errors.InvalidPost(field="address" if asset in book.assets else "asset")
    await _limit_waiting(tx)
    accounts: set[Handle] = {book.places.get(place, place) for place in places}
    if await _lock(tx, book, {}, Needs(accounts), now=now, remember=True) is None:
        await lock_many(tx, places, now=now)


async def prepare_month(tx: Tx, *, month: datetime) -> None:
    """Have partitions for what is posted in that month (UTC): called before posting with a past instant."""
    for parent in PARTITIONED:
        await partitions.ensure(tx, parent, month)


async def _name_archived(tx: Tx, items: Sequence[Item], outcomes: list[AnyOutcome]) -> None:
    if places := archive.missed(items, outcomes):
        until = await find_archive_end(tx)
        for place in places:
            outcomes[place] = archive.named(items[place], outcomes[place], until)


def _require_room(items: Sequence[Item]) -> None:
    items_max = settings.value(BATCH_ITEMS_MAX)
    if len(items) > items_max:
        raise errors.BatchTooLarge(items=len(items), limit=items_max)
    _require_room_for_legs(sum([len(item.legs) for item in items if isinstance(item, Post)]))


def _require_room_for_legs(legs: int) -> None:
    if legs > LEGS_MAX:
        raise errors.BatchTooLarge(legs=legs, limit=LEGS_MAX)


async def _ids(count: int) -> list[UUID]:
    return await _in_slices(count, lambda part: [new_id() for _ in range(count)[part]])


async def _in_slices(count: int, prepare: Callable[[slice], list[Prepared]]) -> list[Prepared]:
    """Prepare everything, letting others run now and then: somebody who holds locks may be waiting for us."""
    prepared: list[Prepared] = []
    for start in range(0, count, ITEMS_BETWEEN_PAUSES):
        if start:
            await asyncio.sleep(0)
        prepared += prepare(slice(start, start + ITEMS_BETWEEN_PAUSES))
    return prepared


async def _post_plain(
    tx: Tx, book: Book, prepared: Sequence[AnyRequest], *, now: datetime, remember: bool, is_alone: bool = False
) -> list[Outcome] | None:
    """Write a plain batch at once; None, and nothing is done, where it is none or something is in its way."""
    batch = plain.read(prepared, counting=book.groups.keys(), lotted=book.lotted) if prepared else None
    moved = await plain_sql.post_plain(tx, batch, book.assets, now=now, is_alone=is_alone) if batch else None
    if not batch or not moved:
        return None
    if remember and moved.numbers:
        db.after_commit(tx, partial(book.learn, moved.numbers))
    if outbox.is_heard(tx, TransfersPosted):
        await outbox.send(tx, TransfersPosted(tuple([request.id for request in batch.requests])))
    relay.wake(tx)
    return plain.outcomes(batch, moved.wallets, moved.numbers, posted_at=moved.posted_at)


async def _decide(
    tx: Tx,
    items: Sequence[Item],
    book: Book,
    prepared: list[AnyRequest],
    *,
    now: datetime,
    mode: Mode,
    remember: bool,
) -> list[AnyOutcome]:
    """Look at everything that a batch touches, decide item by item, and write what was accepted."""
    prepared, opened = await _open(tx, items, book, prepared, now=now, remember=remember)
    _require_room_for_legs(sum([len(original.legs) for original in opened.originals.values()]))
    decision = decisions.decide(prepared, opened)
    await _name_archived(tx, items, decision.outcomes)
    if mode == "all" and (outcomes := decisions.aborted(decision.outcomes)):
        raise errors.BatchRefused(outcomes=outcomes)
    if not decision.is_empty:
        await sql.write(tx, decision, now=now)
    if decision.transfers and outbox.is_heard(tx, TransfersPosted):
        await outbox.send(tx, TransfersPosted(tuple([_as_id(row[0]) for row in decision.transfers])))
    if decision.debts:
        await outbox.send(tx, *[DebtCreated(debt.owner, debt.asset, debt.amount) for debt in decision.debts])
    relay.wake(tx)
    return decision.outcomes


async def _open(
    tx: Tx, items: Sequence[Item], book: Book, prepared: list[AnyRequest], *, now: datetime, remember: bool
) -> tuple[list[AnyRequest], sql.Opened]:
    """Claim the keys, lock the accounts."""
    claims = requests.first_claims(prepared)
    needs = needs_of(claims.values(), book.groups.keys())
    opened = await _lock(tx, book, claims, needs, now=now, remember=remember)
    if opened is None:  # the same ids, so that our own claims are not taken for somebody else's
        book, prepared = await _prepared(tx, items, [request.id for request in prepared])
        return await _open(tx, items, book, prepared, now=now, remember=remember)
    opened.hold_longest = timedelta(days=settings.value(HOLD_DAYS_MAX))
    opened.hold_usual = timedelta(hours=settings.value(HOLD_USUAL_HOURS))
    if needs.limited or needs.holds or needs.originals:
        opened.groups, opened.final = book.groups, book.final
    return prepared, opened


async def _prepared(tx: Tx, items: Sequence[Item], ids: Sequence[UUID]) -> tuple[Book, list[AnyRequest]]:
    async def with_words_of(book: Book) -> list[AnyRequest]:
        return await _in_slices(len(items), lambda part: _judged(items[part], ids[part], book))

    book = db.memory(tx, Book)
    prepared = await with_words_of(book)
    if requests.lack_words(prepared) or not book.kinds:  # which items without a kind need too: what they undo has one
        book = await read_again(tx, book=book)
        prepared = await with_words_of(book)
    return book, prepared


async def _limit_waiting(tx: Tx) -> None:
    if (patience_ms := settings.value(LOCK_WAIT_MS)) != LOCK_WAIT_MS.default:  # which every transaction begins with
        await sql.limit_waiting(tx, patience_ms)


def _judged(items: Sequence[Item], ids: Sequence[UUID], book: Book) -> list[AnyRequest]:
    return judge(items, ids, requests.Vocabulary(book.kinds, book.assets.keys(), book.places))


async def _lock(
    tx: Tx, book: Book, claims: Mapping[str, AnyRequest], needs: Needs, *, now: datetime, remember: bool
) -> sql.Opened | None:
    """None where remembered numbers do not exist, because a part of a transaction was undone: they are forgotten."""
    opened = await sql.open_batch(tx, claims, needs, book.assets, now=now, debt_max=settings.value(DEBT_MAX))
    if lost := needs.accounts - opened.purses.keys():
        book.forget(lost)
        return None
    if remember and opened.numbers:
        db.after_commit(tx, partial(book.learn, opened.numbers))
    return opened
