"""Statements that move value: the definer functions, and whole columns as arrays."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, TypeAlias, TypedDict
from uuid import UUID

from palio.infra import arrays, db
from palio.infra.arrays import Hashes, Int2s, Int8s, Jsons, Moments, Packed, Texts, Uuids
from palio.infra.db import Tx
from palio.kernel.ids import Actor, ActorKind, UserId, new_ids
from palio.ledger.rules import limits
from palio.ledger.rules import lots as lot_rules
from palio.ledger.rules.ground import (
    Decision,
    Ground,
    LottedPurse,
    Lotting,
    OpenLot,
    Original,
    OriginalLeg,
    Purse,
    Reserve,
    Stored,
    Use,
    Whose,
)
from palio.ledger.rules.items import AnyRequest, Needs
from palio.ledger.rules.payments import Bills, Carried
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    AccountId,
    Asset,
    Handle,
    HoldId,
    HoldState,
    LimitGroup,
    Lot,
    PendingLimit,
    Period,
    Place,
    Refused,
    Status,
    TransferId,
)


@dataclass(slots=True)
class Opened(Ground):
    """What a batch finds, and the numbers of places sent by address."""

    numbers: dict[Place, AccountId] = field(default_factory=dict)


async def limit_waiting(tx: Tx, milliseconds: int) -> None:
    """How long the rest of the transaction waits for a row that another one has locked."""
    await db.run(tx, "select set_config('lock_timeout', %s, true)", str(milliseconds))


async def open_batch(
    tx: Tx,
    claims: Mapping[str, AnyRequest],
    needs: Needs,
    assets: Mapping[str, Asset],
    *,
    now: datetime,
    debt_max: int,
) -> Opened:
    """Claim the keys, then lock the guarded accounts in the order of their numbers; make those that are unknown.

    One statement. A key that an open transaction has claimed is waited for. A number that does not exist gets no purse.
    The account of a hold is locked with the others, and then the hold is read. The legs of transfers that are to be
    taken back are locked before their accounts; the debt accounts of their owners are made where they may be needed.
    Of a wallet with more lots than are read at once a second statement reads on, if the batch may need them.
    """
    known = [account for account in needs.accounts if not isinstance(account, tuple)]
    unknown = sorted([account for account in needs.accounts if isinstance(account, tuple)])
    keys, hashes, ids = arrays.transposed(3, [(claim.key, claim.hash, claim.id.bytes) for claim in claims.values()])
    found = await arrays.columns(
        tx,
        OPEN_LIMITED if needs.limited else OPEN,
        Texts.of(keys),
        Hashes.of(hashes),
        Uuids.of(ids),
        Texts.of([] if needs.are_posts else [claim.op for claim in claims.values()]),
        Int8s.of(sorted([number for number in known if number & 1])),
        Int8s.of([number for number in known if not number & 1]),
        Texts.of([address for address, _ in unknown]),
        Int2s.of([assets[asset].id for _, asset in unknown]),
        *[Uuids.of([ref.bytes for ref in refs]) for refs in (needs.holds, needs.originals, needs.debtors)],
        now,
        debt_max,
        *_limited(needs.limited, assets),
    )
    opened = _opened(found, known, now)
    if opened.lots and (unread := lot_rules.unread(claims.values(), opened)):
        await _read_on(tx, opened, unread)
    return opened


async def _read_on(tx: Tx, opened: Opened, unread: lot_rules.Unread) -> None:
    """Read what of lots the batch may need besides."""
    statement = "select ledger.read_lots_on(%s::bigint[], %s::bigint[], %s::uuid[], %s::timestamptz)"
    accounts, needs = list(unread.needs), list(unread.needs.values())
    more: _Further = await db.value(tx, statement, accounts, needs, list(unread.lots), opened.now)
    purses = {purse.number: purse for purse in opened.purses.values() if isinstance(purse, LottedPurse)}
    known = {lot.id for purse in purses.values() for lot in purse.lots}
    for row in more["lots"] or ():
        lot = _lot(row, opened.now)
        if lot.id not in known:
            purses[row[1]].lots.append(lot)
    for purse in purses.values():
        purse.lots.sort(key=lot_rules.order)
    for account, lapsed in more["lapsed"] or ():
        purses[account].lapsed_unread = lapsed - purses[account].lapsed


def _limited(places: Collection[Place], assets: Mapping[str, Asset]) -> Sequence[Packed]:
    """The owners and assets whose limits are asked for."""
    if not places:
        return ()
    owners = [limits.owner_of(address).bytes for address, _ in places]
    return Uuids.of(owners), Int2s.of([assets[asset].id for _, asset in places])


OPEN = """select accounts, balances, seqs, odd, taken, holds, originals, more
    from ledger.open_batch(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
OPEN_LIMITED = """select accounts, balances, seqs, odd, taken, holds, originals, more
    from ledger.open_batch(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


class _Odd(TypedDict, total=False):
    """More about an account than its balance and seq."""

    id: AccountId
    address: str
    asset: str
    status: Status | None
    held: int
    floor: int
    ceiling: int | None
    last_posted_at: str
    lots: int | None


class _Taken(TypedDict):
    key: str
    hash: str
    op: str
    ref: str
    result: list[Any] | None  # (address, balance, seq) of each entry, or the amount and end of a hold
    at: str | None  # when the transfer was posted


_Lot: TypeAlias = tuple[str, AccountId, str | None, int, int, int, str | None]


class _Further(TypedDict):
    """More lots, and what has expired of wallets."""

    lots: list[_Lot] | None
    lapsed: list[tuple[AccountId, int]] | None


class _More(TypedDict, total=False):
    """Of wallets that keep lots: what is left of these, at most a page of each but for those of which are the holds,
    and what originals have spent. Of owners whose limits were asked for: these, and what is used."""

    page: int
    lots: list[_Lot] | None
    held: list[tuple[str, str, int]] | None
    uses: list[tuple[str, str, int]] | None
    limits: list[tuple[str, str, LimitGroup, Period, int | None, int | None, str | None]] | None
    usage: list[tuple[str, str, LimitGroup, str, int]] | None


_OriginalLeg: TypeAlias = tuple[
    *tuple[str, bool, int, AccountId, str, str, int, int, str, str],
    *tuple[str | None, str | None, AccountId | None],  # of the hold it captured
]
_Hold: TypeAlias = tuple[str, AccountId, int, int, int, HoldState, str, str, str, str, str]
_Found: TypeAlias = tuple[
    list[int] | None,
    list[int],
    list[int],
    list[_Odd] | None,
    _Taken | None,
    list[_Hold] | None,
    list[_OriginalLeg] | None,
    _More | None,
]


def _opened(found: Iterable[_Found], known: Iterable[AccountId], now: datetime) -> Opened:
    opened = Opened(now)
    purses: dict[Handle, Purse] = {number: Purse(number, now) for number in known if not number & 1}
    odd: list[_Odd] = []
    rest: list[_More] = []
    for numbers, balances, seqs, strange, taken, holds, originals, more in found:
        for number, balance, seq in zip(numbers or (), balances or (), seqs or (), strict=True):
            purses[AccountId(number)] = Purse(AccountId(number), now, balance, seq, is_guarded=True)
        if taken is not None:
            opened.stored[taken["key"]] = _stored(taken)
        odd += strange or ()
        rest += (more,) if more else ()
        opened.reserves.update({HoldId(UUID(hold[0])): _reserve(hold) for hold in holds or ()})
        for line in originals or ():
            leg = _add_leg(opened, line)
            purses.setdefault(leg.account, Purse(leg.account, now))
    for account in odd:
        number = account["id"]
        if "address" in account:
            opened.numbers[account["address"], account["asset"]] = number
            purses.setdefault(number, Purse(number, now))
        _apply(account, purses)
    for more in rest:
        _learn(more, opened, purses)
    purses.update({place: purses[number] for place, number in opened.numbers.items()})
    opened.purses = purses
    return opened


def _apply(account: _Odd, purses: dict[Handle, Purse]) -> None:
    purse = purses[account["id"]]
    status = account["status"]
    if status is None:
        del purses[account["id"]]  # remembered from something that was undone
        return
    purse.status = status
    if "held" not in account:
        return
    purse.held, purse.floor = account["held"], account["floor"]
    purse.ceiling = AMOUNT_UNITS_MAX if account["ceiling"] is None else account["ceiling"]
    purse.posted_at = max(purse.posted_at, datetime.fromisoformat(account["last_posted_at"]))
    if account["lots"] is not None:
        purses[account["id"]] = LottedPurse(
            purse.number,
            purse.posted_at,
            purse.balance,
            purse.seq,
            purse.status,
            purse.held,
            purse.floor,
            purse.ceiling,
            is_guarded=True,
        )


def _learn(more: _More, opened: Opened, purses: Mapping[Handle, Purse]) -> None:
    if "lots" in more:
        opened.lots = _lotting(more, opened.now, purses)
        return
    opened.limits = limits.allowances(
        [
            (_whose(owner, asset, group), period, amount, _pending(pending, starts_at))
            for owner, asset, group, period, amount, pending, starts_at in more["limits"] or ()
        ],
        opened.now,
    )
    opened.usage = {(_whose(owner, asset, group), key): used for owner, asset, group, key, used in more["usage"] or ()}


def _whose(owner: str, asset: str, group: LimitGroup) -> Whose:
    return UUID(owner), asset, group


def _pending(amount: int | None, starts_at: str | None) -> PendingLimit | None:
    return PendingLimit(amount, datetime.fromisoformat(starts_at)) if starts_at else None


def _lotting(more: _More, now: datetime, purses: Mapping[Handle, Purse]) -> Lotting:
    lotting, lots, accounts = Lotting(), dict[str, OpenLot](), dict[str, AccountId]()
    for row in more["lots"] or ():
        number, account = row[:2]
        lots[number], accounts[number] = _lot(row, now), account
        purse = purses.get(account)
        if isinstance(purse, LottedPurse):
            purse.lots.append(lots[number])
    for purse in purses.values():
        if isinstance(purse, LottedPurse):
            left = [lot for lot in purse.lots if lot.remaining]
            purse.read_to = left[more["page"] - 1] if len(left) >= more["page"] else None
    place = {number: n for n, number in enumerate(lots)}  # they come in the order in which they are spent
    for hold, number, amount in sorted(more["held"] or (), key=lambda row: place[row[1]]):
        lotting.of_holds.setdefault(HoldId(UUID(hold)), []).append((lots[number], amount))
    for spender, number, left_of_it in sorted(more["uses"] or (), key=lambda row: -place[row[1]]):
        lotting.uses.setdefault(UUID(spender), []).append(Use(lots[number], accounts[number], left_of_it))
    return lotting


def _lot(row: _Lot, now: datetime) -> OpenLot:
    number, _, transfer, remaining, held, expired, end = row
    expires_at = datetime.fromisoformat(end) if end else None
    is_over = expires_at is not None and expires_at <= now
    lot_of = UUID(transfer) if transfer else None
    return OpenLot(UUID(number), remaining, held, expired, expires_at, is_over, lot_of)


def _add_leg(opened: Opened, line: _OriginalLeg) -> OriginalLeg:
    ref, is_reversal, number, account, address, asset, amount, reversed_before, kind, posted = line[:-3]
    leg = OriginalLeg(number, account, address, asset, amount, reversed_before)
    transfer_id = TransferId(UUID(ref))
    if (original := opened.originals.get(transfer_id)) is None:
        original = Original(transfer_id, is_reversal, kind, datetime.fromisoformat(posted))
        hold_kind, placed, hold_account = line[-3:]
        if placed:
            original.hold_kind, original.hold_placed_at = hold_kind, datetime.fromisoformat(placed)
            original.hold_account = hold_account
        opened.originals[transfer_id] = original
    original.legs.append(leg)
    return leg


def _reserve(hold: _Hold) -> Reserve:
    hold_id, account, amount, captured, released, state, expires_at, kind, owner, asset, placed = hold
    number, end, placed_at = HoldId(UUID(hold_id)), datetime.fromisoformat(expires_at), datetime.fromisoformat(placed)
    return Reserve(number, account, amount, captured, released, state, end, kind, UUID(owner), asset, placed_at)


def _stored(taken: _Taken) -> Stored:
    claimed, op, ref, result = bytes.fromhex(taken["hash"]), taken["op"], UUID(taken["ref"]), taken["result"] or []
    if op == "hold":
        amount, expires_at = result
        return Stored(claimed, op, ref, {}, (amount, datetime.fromisoformat(expires_at)))
    balances = {address: (balance, seq) for address, balance, seq in result}
    if taken["at"] is None:
        return Stored(claimed, op, ref, balances)
    return Stored(claimed, op, ref, balances, posted_at=datetime.fromisoformat(taken["at"]).astimezone(UTC))


async def write(tx: Tx, decision: Decision, *, now: datetime) -> None:
    """Write transfers, entries and holds, move the balances by them, and give back the keys of what was refused."""
    transposed = arrays.transposed(9, decision.transfers)
    ids, posted, keys, kinds, actors, descriptions, metadata, captured, reversed_ids = transposed
    entries = sorted(decision.entries, key=itemgetter(0))  # by account; its seqs already rise
    accounts, transfers, legs, moments, amounts, seqs, balances = arrays.transposed(7, entries)
    columns = (
        Texts.of(decision.refused_keys),
        Uuids.of(ids),
        Moments.of(posted),
        Texts.of(keys),
        Texts.of(kinds),
        Texts.of([actor_text(actor) for actor in actors] if any(actors) else []),
        Texts.of([text or None for text in descriptions] if any(descriptions) else []),
        Jsons.of(metadata if any(metadata) else []),
        Uuids.of(captured if any(captured) else []),
        Uuids.of(reversed_ids if any(reversed_ids) else []),
        Uuids.of(transfers),
        Int2s.of(legs),
        Moments.of(moments),
        Int8s.of(accounts),
        Int8s.of(amounts),
        Int8s.of(seqs),
        Int8s.of(balances),
        *_holds(decision),
        *_taken_back(decision),
    )
    if more := _more(decision):
        await db.run(tx, WRITE + ", %s, %s::text::jsonb)", *columns, now, more)
    else:
        await db.run(tx, WRITE + ", %s)", *columns, now)


WRITE = """select ledger.write(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
    %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s"""


def _more(decision: Decision) -> str | None:
    """What becomes of lots, and what counts for limits, as JSON; None for most batches."""
    parts: dict[str, object] = {}
    if decision.lots and not decision.lots.is_untouched:
        parts["lots"] = _changes(decision.lots)
    if decision.usage:
        parts["usage"] = [[*whose, key, amount] for (whose, key), amount in decision.usage.items() if amount]
    return json.dumps(parts, default=str) if parts else None


def _changes(lots: Lotting) -> dict[str, object]:
    fresh = {new.lot.id for new in lots.opened}
    return {
        "opened": [
            [lot.id, account, lot.transfer, origin, amount, lot.remaining, lot.held, lot.expires_at]
            for lot, account, origin, amount in lots.opened
        ],
        "changed": [
            [lot.id, lot.newly_remaining, lot.newly_held, lot.newly_expired]
            for lot in lots.changed.values()
            if lot.id not in fresh
        ],
        "set_aside": lots.set_aside,
        "freed": [[*pair, part] for pair, part in lots.freed.items()],
        "spent": lots.spent,
        "returned": [[*pair, part] for pair, part in lots.returned.items()],
    }


def _holds(decision: Decision) -> Sequence[Packed]:
    """The columns of holds that are placed, then those of what is captured and released of others."""
    ids, keys, accounts, amounts, subjects, kinds, ends = arrays.transposed(7, decision.holds)
    changed = decision.reserves.values()
    return (
        *(Uuids.of(ids), Texts.of(keys), Int8s.of(accounts), Int8s.of(amounts), Texts.of(subjects), Texts.of(kinds)),
        Moments.of(ends),
        Uuids.of([reserve.id.bytes for reserve in changed]),
        Int8s.of([reserve.newly_captured for reserve in changed]),
        Int8s.of([reserve.newly_released for reserve in changed]),
        Texts.of([reserve.state for reserve in changed]),
    )


def _taken_back(decision: Decision) -> Sequence[Packed]:
    """The columns of legs of which something was taken back."""
    legs = [(original.id.bytes, leg) for original in decision.originals.values() for leg in original.legs]
    return (
        Uuids.of([original_id for original_id, _ in legs]),
        Int2s.of([leg.number for _, leg in legs]),
        Int8s.of([leg.newly_reversed for _, leg in legs]),
    )


def actor_text(actor: Actor | None) -> str | None:
    """Who posted something, as transfers keep it."""
    if actor is None:
        return None
    return _named(actor.kind, actor.user_id) if actor.user_id else actor.kind


@lru_cache(maxsize=1_000)
def _named(kind: ActorKind, user_id: UserId) -> str:
    return f"{kind}:{user_id}"


class _RefusedRow(TypedDict):
    n: int
    code: str
    of: Literal["source", "wallet"]


async def fan_out(
    tx: Tx,
    bills: Bills,
    hashes: Sequence[bytes],
    *,
    source: str,
    asset: Asset,
    kind: str,
    now: datetime,
    lot: Lot | None = None,
) -> Carried:
    """Claim, move and write payments of different keys in one statement: what became of each, or was stored.

    Ids are handed out in the order of the wallets.
    """
    payments, ids = bills.payments, sorted(new_ids(len(bills.places)))
    [(places, refused, taken)] = await arrays.columns(
        tx,
        FAN_OUT_LOT if lot else FAN_OUT,
        source,
        asset.id,
        kind,
        Texts.of(payments.keys),
        Hashes.of(hashes),
        Uuids.of(ids),
        Uuids.of([owner.bytes for owner in payments.owners]),
        Int8s.of(payments.amounts),
        Jsons.of(bills.metadata),
        now,
        *(lot or ()),
    )
    carried = Carried([None] * len(ids), stored={row["key"]: _stored(row) for row in taken or ()})
    for place, transfer_id in zip(places or (), ids, strict=True):
        carried.transfer_ids[place - 1] = transfer_id
    refusals: Sequence[_RefusedRow] = refused or ()
    for row in refusals:
        number = row["n"]
        account = source if row["of"] == "source" else f"user:{payments.owners[number]}:main"
        carried.transfer_ids[number], carried.refused[number] = None, Refused(row["code"], {"account": account})
    return carried


FAN_OUT = "select places, refused, taken from ledger.fan_out(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
FAN_OUT_LOT = """select places, refused, taken
    from ledger.fan_out(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::timestamptz)"""


def rehearsal(tx: Tx) -> AbstractAsyncContextManager[object]:
    """A block of which nothing remains, while the transaction goes on."""
    return tx.transaction(force_rollback=True)
