"""Every statement of the ledger. Rows are written by its definer functions alone; whole columns travel as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Literal, TypeAlias, TypedDict
from uuid import UUID

from palio.infra import arrays, db
from palio.infra.arrays import Hashes, Int2s, Int8s, Jsons, Moments, Texts, Uuids
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.ledger.rules import Bill, Decision, Paid, Purse, Request, Stored, wallet_of
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    AccountId,
    Asset,
    Cursor,
    Filter,
    Line,
    Place,
    Refused,
    Status,
    Wallet,
)

SEQ_MAX = 2**63 - 1
LONG_AGO, FAR = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
SIGNS = {None: [-1, 1], "credit": [1], "debit": [-1]}


# --- posting ---


@dataclass(frozen=True, slots=True)
class Kind:
    code: str


@dataclass(slots=True)
class Opened:
    """What a batch finds: accounts as purses, keys that were taken before, numbers of places sent by address."""

    purses: dict[Place, Purse] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    numbers: dict[Place, AccountId] = field(default_factory=dict)


async def list_assets(tx: Tx) -> list[Asset]:
    """Every asset: a handful."""
    return await db.rows(tx, Asset, "select id, code, name, scale from ledger.assets order by id")


async def list_kinds(tx: Tx) -> list[Kind]:
    """Every kind of transfer: some dozens."""
    return await db.rows(tx, Kind, "select code from ledger.kinds order by code")


async def open_batch(
    tx: Tx,
    claims: Mapping[str, Request],
    known: Mapping[Place, AccountId],
    unknown: Sequence[Place],
    assets: Mapping[str, Asset],
    *,
    now: datetime,
    debt_max: int,
) -> Opened:
    """Claim the keys, then lock the guarded accounts in the order of their numbers; make those that are unknown.

    One statement. A key that an open transaction has claimed is waited for. A place whose number does not exist gets
    no purse.
    """
    found = await arrays.columns(
        tx,
        "select accounts, balances, seqs, odd, taken from ledger.open_batch(%s, %s, %s, '{}', %s, %s, %s, %s, %s, %s)",
        Texts.of(list(claims)),
        Hashes.of([request.hash for request in claims.values()]),
        Uuids.of([request.id.bytes for request in claims.values()]),
        Int8s.of(sorted([number for number in known.values() if number & 1])),
        Int8s.of([number for number in known.values() if not number & 1]),
        Texts.of([address for address, _ in unknown]),
        Int2s.of([assets[asset].id for _, asset in unknown]),
        now,
        debt_max,
    )
    codes = {asset.id: asset.code for asset in assets.values()}
    return _opened(found, known, codes, now)


class _Odd(TypedDict, total=False):
    """More about an account than its balance and seq."""

    id: AccountId
    address: str
    asset: int
    status: Status | None
    held: int
    floor: int
    ceiling: int | None
    last_posted_at: str


class _Taken(TypedDict):
    key: str
    hash: str
    op: str
    ref: str
    result: list[tuple[str, int, int]] | None


_Found: TypeAlias = tuple[list[int] | None, list[int], list[int], list[_Odd] | None, _Taken | None]


def _opened(
    found: Iterable[_Found], known: Mapping[Place, AccountId], codes: Mapping[int, str], now: datetime
) -> Opened:
    opened = Opened()
    purses = {number: Purse(number, now) for number in known.values() if not number & 1}
    odd: list[_Odd] = []
    for numbers, balances, seqs, more, taken in found:
        for number, balance, seq in zip(numbers or (), balances or (), seqs or (), strict=True):
            purses[AccountId(number)] = Purse(AccountId(number), now, balance, seq, is_guarded=True)
        if taken is not None:
            opened.stored[taken["key"]] = _stored(taken)
        odd += more or ()
    for account in odd:
        number = account["id"]
        if "address" in account:
            opened.numbers[account["address"], codes[account["asset"]]] = number
            purses.setdefault(number, Purse(number, now))
        _apply(account, purses)
    places = {**known, **opened.numbers}
    opened.purses = {place: purses[number] for place, number in places.items() if number in purses}
    return opened


def _apply(account: _Odd, purses: dict[AccountId, Purse]) -> None:
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


def _stored(taken: _Taken) -> Stored:
    balances = {address: (balance, seq) for address, balance, seq in taken["result"] or ()}
    return Stored(bytes.fromhex(taken["hash"]), taken["op"], UUID(taken["ref"]), balances)


async def write(tx: Tx, decision: Decision) -> None:
    """Write transfers and entries, move the balances by them, and give back the keys of what was refused."""
    transfers = decision.transfers
    requests = [transfer.request for transfer in transfers]
    entries = sorted(decision.entries, key=attrgetter("account"))  # the seqs of an account already rise
    of = [transfers[entry.transfer] for entry in entries]
    await db.run(
        tx,
        "select ledger.write(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        Texts.of(decision.refused_keys),
        Uuids.of([request.id.bytes for request in requests]),
        Moments.of([transfer.posted_at for transfer in transfers]),
        Texts.of([request.key for request in requests]),
        Texts.of([request.post.kind for request in requests]),
        Texts.of(_sparse([_actor_text(request.post.actor) for request in requests])),
        Texts.of(_sparse([request.post.description or None for request in requests])),
        Jsons.of(_sparse([request.metadata for request in requests])),
        Uuids.of([transfer.request.id.bytes for transfer in of]),
        Int2s.of([entry.leg for entry in entries]),
        Moments.of([transfer.posted_at for transfer in of]),
        Int8s.of([entry.account for entry in entries]),
        Int8s.of([entry.amount for entry in entries]),
        Int8s.of([entry.seq for entry in entries]),
        Int8s.of([entry.balance for entry in entries]),
    )


def _actor_text(actor: Actor | None) -> str | None:
    if actor is None:
        return None
    return f"{actor.kind}:{actor.user_id}" if actor.user_id else actor.kind


def _sparse(values: list[str | None]) -> list[str | None]:
    """Nothing at all where nobody has one: missing elements are null."""
    return values if any(value is not None for value in values) else []


class _RefusedRow(TypedDict):
    n: int
    code: str
    of: Literal["source", "wallet"]


async def fan_out(
    tx: Tx, bills: Sequence[Bill], *, source: str, asset: Asset, kind: str, now: datetime
) -> tuple[dict[str, Paid], dict[str, Stored]]:
    """Claim, lock, move and write payments of different keys in one statement: what became of each, or was stored."""
    [(balances, seqs, refused, taken)] = await arrays.columns(
        tx,
        "select balances, seqs, refused, taken from ledger.fan_out(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        source,
        asset.id,
        kind,
        Texts.of([bill.key for bill in bills]),
        Hashes.of([bill.hash for bill in bills]),
        Uuids.of([bill.id.bytes for bill in bills]),
        Uuids.of([bill.payment.owner.bytes for bill in bills]),
        Int8s.of([bill.payment.amount for bill in bills]),
        Jsons.of(_sparse([bill.metadata for bill in bills])),
        now,
    )
    stored = {row["key"]: _stored(row) for row in taken or ()}
    paid = {bill.key: Paid(balance, seq, None) for bill, balance, seq in zip(bills, balances, seqs, strict=True) if seq}
    refusals: Sequence[_RefusedRow] = refused or ()
    for row in refusals:
        bill = bills[row["n"]]
        account = source if row["of"] == "source" else wallet_of(bill.payment.owner)
        paid[bill.key] = Paid(0, 0, Refused(row["code"], {"account": account}))
    return paid, stored


def rehearsal(tx: Tx) -> AbstractAsyncContextManager[object]:
    """A block of which nothing remains, while the transaction goes on."""
    return tx.transaction(force_rollback=True)


async def make_partition(tx: Tx, parent: str, since: datetime, until: datetime) -> None:
    """Have a place for rows of that time; repeating it changes nothing."""
    await db.run(tx, "select ledger.make_partition(%s, %s::timestamptz, %s::timestamptz)", parent, since, until)


# --- reading ---


async def find_balance(tx: Tx, address: str, asset: str) -> int:
    """The posted balance now: a guarded account's row, the sum of an open one's entries, 0 if there is none."""
    return int(
        await db.value(
            tx,
            """
            select coalesce(b.balance, (
              select sum(e.amount) from ledger.entries e where e.account_id = a.id and e.seq is null), 0)::bigint
            from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            left join ledger.balances b on b.account_id = a.id
            where a.address = %s and s.code = %s""",
            address,
            asset,
        )
        or 0
    )


async def find_balance_at(tx: Tx, address: str, asset: str, at: datetime) -> int:
    """The posted balance after everything that was posted until `at`, inclusive."""
    return int(
        await db.value(
            tx,
            """
            select coalesce(case when a.guarded
              then (select e.balance_after from ledger.entries e
                where e.account_id = a.id and e.seq is not null and e.posted_at <= %s order by e.seq desc limit 1)
              else (select sum(e.amount) from ledger.entries e
                where e.account_id = a.id and e.seq is null and e.posted_at <= %s) end, 0)::bigint
            from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = %s and s.code = %s""",
            at,
            at,
            address,
            asset,
        )
        or 0
    )


@dataclass(frozen=True, slots=True)
class OwnedBalance:
    owner_id: UserId
    balance: int


async def list_balances(tx: Tx, owners: Sequence[UserId], asset: str) -> list[OwnedBalance]:
    """The balance of the main wallet of each owner who has one."""
    return await db.rows(
        tx,
        OwnedBalance,
        """
        select w.owner_id, w.balance from unnest(%s::uuid[]) o(id)
        join ledger.wallets w on w.owner_id = o.id where w.asset = %s""",
        list(owners),
        asset,
    )


async def list_wallets(tx: Tx, owner: UserId) -> list[Wallet]:
    """One per active asset, zeros included, in the order of the assets."""
    return await db.rows(
        tx,
        Wallet,
        """
        select s.code as asset, s.scale, coalesce(w.balance, 0) as balance, coalesce(w.held, 0) as held,
          coalesce(d.balance, 0) as debt, w.last_posted_at
        from ledger.assets s
        left join (ledger.accounts a join ledger.balances w on w.account_id = a.id)
          on a.address = 'user:' || %s::uuid || ':main' and a.asset_id = s.id
        left join (ledger.accounts c join ledger.balances d on d.account_id = c.id)
          on c.address = 'user:' || %s::uuid || ':debt' and c.asset_id = s.id
        where s.active order by s.id""",
        owner,
        owner,
    )


async def list_lines(tx: Tx, owner: UserId, asset: str, wanted: Filter, after: Cursor | None, limit: int) -> list[Line]:
    """Lines of a main wallet after the cursor, newest first."""
    return await db.rows(
        tx,
        Line,
        """
        select e.transfer_id, e.posted_at, e.seq, t.kind, k.category, e.amount, e.balance_after,
          coalesce(t.description, '') as description, coalesce(t.metadata, '{}') as metadata, t.reverses_id
        from ledger.entries e
        join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
        join ledger.kinds k on k.code = t.kind
        where e.seq is not null
          and e.account_id = (select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = 'user:' || %s::uuid || ':main' and s.code = %s)
          and (e.seq < %s::bigint and e.posted_at <= %s::timestamptz)
          and e.posted_at >= %s::timestamptz and e.posted_at < %s::timestamptz
          and sign(e.amount) = any (%s::int[])
          and abs(e.amount) between %s::bigint and %s::bigint
          and (cardinality(%s::text[]) = 0 or k.category = any (%s::text[]))
          and (cardinality(%s::text[]) = 0 or t.kind = any (%s::text[]))
        order by e.seq desc limit %s::int""",
        owner,
        asset,
        after.seq if after else SEQ_MAX,
        after.posted_at if after else FAR,
        wanted.since or LONG_AGO,
        wanted.until or FAR,
        SIGNS[wanted.direction],
        wanted.amount_min or 0,
        AMOUNT_UNITS_MAX if wanted.amount_max is None else wanted.amount_max,
        list(wanted.categories),
        list(wanted.categories),
        list(wanted.kinds),
        list(wanted.kinds),
        limit,
    )


# --- checking ---


async def find_total(tx: Tx) -> int:
    """The sum of all entries of all assets."""
    return int(await db.value(tx, "select coalesce(sum(amount), 0) from ledger.entries"))
