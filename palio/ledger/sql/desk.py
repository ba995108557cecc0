"""Statements that look on behalf of staff: accounts with what they hold, chains of entries, transfers, holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import AccountId, Asset, AssetTerms, HoldId, HoldState, Status, TransferId

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# what an account holds: a wallet its row, an open one what is rolled up and every later entry
BALANCE = """
    coalesce(b.balance, coalesce(r.balance, o.balance, 0) + coalesce((
      select sum(e.amount) from ledger.entries e where e.account_id = a.id and e.seq is null
        and e.tx_id >= case when r.through_tx is null then 0 else r.through_tx end), 0))::numeric"""
JOINED = """
    from ledger.accounts a join ledger.assets s on s.id = a.asset_id
    left join ledger.balances b on b.account_id = a.id
    left join ledger.rollups r on r.account_id = a.id
    left join ledger.archived_sums o on o.account_id = a.id"""
ACCOUNT = (
    """
    select a.id, a.address, a.guarded as is_guarded, a.owner_id, a.status, a.created_at, s.code as asset, s.scale,
      coalesce(b.held, 0) as held, coalesce(b.seq, 0) as seq, b.last_posted_at, """
    + BALANCE
    + " as balance"
    + JOINED
)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with what it holds now. An open one has neither holds nor a number of entries."""

    id: AccountId
    address: str
    is_guarded: bool
    owner_id: UserId | None
    status: Status
    created_at: datetime
    asset: str
    scale: int
    held: int
    seq: int
    last_posted_at: datetime | None
    balance: Decimal


async def find_account(tx: Tx, account_id: AccountId) -> AccountRow | None:
    """An account by its number."""
    return await db.find(tx, AccountRow, ACCOUNT + " where a.id = %s", account_id)


SOME_ACCOUNTS = """
    where a.address like %s and (%s::text is null or s.code = %s) and (%s::text is null or a.status = %s)
      and (%s::uuid is null or a.owner_id = %s) """


async def list_accounts(
    tx: Tx,
    *,
    beginning: str,
    asset: str | None,
    status: Status | None,
    owner: UserId | None,
    after: tuple[str, int] | None,
    before: tuple[str, int] | None,
    limit: int,
) -> list[AccountRow]:
    """Accounts whose address begins so, in the order of address and number, behind one of them or in front of one."""
    values = _prefix(beginning), asset, asset, status, status, owner, owner
    if before:
        found = await db.rows(
            tx,
            AccountRow,
            ACCOUNT + SOME_ACCOUNTS + "and (a.address, a.id) < (%s, %s) order by a.address desc, a.id desc limit %s",
            *(*values, *before, limit),
        )
        return found[::-1]
    return await db.rows(
        tx,
        AccountRow,
        ACCOUNT + SOME_ACCOUNTS + "and (a.address, a.id) > (%s, %s) order by a.address, a.id limit %s",
        *(*values, *(after or ("", 0)), limit),
    )


async def find_lapsed(tx: Tx, account_id: AccountId, now: datetime) -> int:
    """What of a wallet has expired and was not moved away yet; 0 where nothing can."""
    return int(
        await db.value(
            tx,
            """
            select case when b.lots is null then 0 else ledger.lapsed(b.account_id, %s::timestamptz) end
            from ledger.balances b where b.account_id = %s""",
            *(now, account_id),
        )
        or 0
    )


def _prefix(beginning: str) -> str:
    return beginning.replace("\\", r"\\").replace("_", r"\_").replace("%", r"\%") + "%"


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A leg of a transfer as it stands in the chain of its account; an open account has no `seq`."""

    transfer_id: TransferId
    posted_at: datetime
    leg: int
    seq: int | None
    amount: int
    balance_after: int | None
    tx_id: int
    key: str
    kind: str
    label: str
    category: str
    description: str
    reverses_id: TransferId | None


ENTRY = """
    select e.transfer_id, e.posted_at, e.leg, e.seq, e.amount, e.balance_after, e.tx_id, t.key, t.kind, k.label,
      k.category, coalesce(t.description, '') as description, t.reverses_id
    from ledger.entries e
    join ledger.transfers t on t.id = e.transfer_id and t.posted_at = e.posted_at
    join ledger.kinds k on k.code = t.kind"""


async def list_chain(tx: Tx, account_id: AccountId, before: int, limit: int) -> list[EntryRow]:
    """Entries of a wallet older than one, the newest first."""
    return await db.rows(
        tx,
        EntryRow,
        ENTRY + " where e.account_id = %s and e.seq is not null and e.seq < %s order by e.seq desc limit %s",
        *(account_id, before, limit),
    )


async def list_chain_after(tx: Tx, account_id: AccountId, after: int, limit: int) -> list[EntryRow]:
    """The entries of a wallet next to one on its newer side, the newest first."""
    found = await db.rows(
        tx,
        EntryRow,
        ENTRY + " where e.account_id = %s and e.seq is not null and e.seq > %s order by e.seq limit %s",
        *(account_id, after, limit),
    )
    return found[::-1]


async def list_open_entries(
    tx: Tx, account_id: AccountId, before: tuple[int, UUID, int] | None, limit: int
) -> list[EntryRow]:
    """Entries of an open account older than one (transaction, transfer, leg), the newest first."""
    number, transfer_id, leg = before or (2**63 - 1, UUID(int=2**128 - 1), 0)
    return await db.rows(
        tx,
        EntryRow,
        ENTRY
        + """ where e.account_id = %s and e.seq is null and e.tx_id <= %s
            and (e.tx_id, e.transfer_id, e.leg) < (%s, %s, %s::smallint)
          order by e.tx_id desc, e.transfer_id desc, e.leg desc limit %s""",
        *(account_id, number, number, transfer_id, leg, limit),
    )


async def list_open_entries_after(
    tx: Tx, account_id: AccountId, after: tuple[int, UUID, int], limit: int
) -> list[EntryRow]:
    """The entries of an open account next to one on its newer side, the newest first."""
    found = await db.rows(
        tx,
        EntryRow,
        ENTRY
        + """ where e.account_id = %s and e.seq is null and e.tx_id >= %s
            and (e.tx_id, e.transfer_id, e.leg) > (%s, %s, %s::smallint)
          order by e.tx_id, e.transfer_id, e.leg limit %s""",
        *(account_id, after[0], *after, limit),
    )
    return found[::-1]


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer without its legs."""

    id: TransferId
    posted_at: datetime
    key: str
    kind: str
    label: str
    category: str
    final: bool
    actor: str
    description: str
    metadata: Mapping[str, object]
    reverses_id: TransferId | None
    hold_id: HoldId | None


async def find_transfer(tx: Tx, transfer_id: UUID) -> TransferRow | None:
    """A transfer by its id."""
    return await db.find(
        tx,
        TransferRow,
        """
        select t.id, t.posted_at, t.key, t.kind, k.label, k.category, k.final, t.actor,
          coalesce(t.description, '') as description, coalesce(t.metadata, '{}') as metadata, t.reverses_id, t.hold_id
        from ledger.transfers t join ledger.kinds k on k.code = t.kind where t.id = %s""",
        transfer_id,
    )


@dataclass(frozen=True, slots=True)
class LegRow:
    """A leg of a transfer, its account, how much of it was taken back since, and who left it out of a list
    (`player:<id>` or `staff:<id>`), if somebody did.
    """

    leg: int
    account_id: AccountId
    address: str
    owner_id: UserId | None
    asset: str
    scale: int
    amount: int
    seq: int | None
    balance_after: int | None
    reversed: int
    hidden_at: datetime | None
    hidden_by: str | None

    @property
    def is_line(self) -> bool:
        """Whether it stands in the list that a player has of a wallet, and so can be left out of it."""
        return self.seq is not None and self.address.endswith(":main")


async def list_legs(tx: Tx, transfer_id: UUID, posted_at: datetime) -> list[LegRow]:
    """The legs of a transfer, in their order."""
    return await db.rows(
        tx,
        LegRow,
        """
        select e.leg, e.account_id, a.address, a.owner_id, s.code as asset, s.scale, e.amount, e.seq, e.balance_after,
          coalesce(v.reversed, 0) as reversed, h.hidden_at, h.hidden_by
        from ledger.entries e join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
        left join ledger.reversals v on v.original_id = e.transfer_id and v.leg = e.leg
        left join ledger.hidden h on h.account_id = e.account_id and h.seq = e.seq
        where e.transfer_id = %s and e.posted_at = %s order by e.leg""",
        *(transfer_id, posted_at),
    )


@dataclass(frozen=True, slots=True)
class ReversalRow:
    """A transfer that takes another one back."""

    id: TransferId
    posted_at: datetime
    key: str


async def list_reversals_of(tx: Tx, transfer_id: UUID) -> list[ReversalRow]:
    """The transfers that took one back, whole or in part, the oldest first."""
    return await db.rows(
        tx,
        ReversalRow,
        "select id, posted_at, key from ledger.transfers where reverses_id = %s order by posted_at, id limit 100",
        transfer_id,
    )


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold with the wallet it is of."""

    id: HoldId
    key: str
    account_id: AccountId
    address: str
    owner_id: UserId
    asset: str
    scale: int
    amount: int
    captured: int
    released: int
    state: HoldState
    subject: str
    kind: str
    expires_at: datetime
    created_at: datetime
    closed_at: datetime | None

    @property
    def remaining(self) -> int:
        """What is still held."""
        return self.amount - self.captured - self.released


HOLD = """
    select h.id, h.key, h.account_id, a.address, h.owner_id, s.code as asset, s.scale, h.amount, h.captured, h.released,
      h.state, h.subject, h.kind, h.expires_at, h.created_at, h.closed_at
    from ledger.holds h join ledger.accounts a on a.id = h.account_id join ledger.assets s on s.id = a.asset_id"""


async def find_hold(tx: Tx, hold_id: UUID) -> HoldRow | None:
    """A hold by its id."""
    return await db.find(tx, HoldRow, HOLD + " where h.id = %s", hold_id)


SOME_HOLDS = """
    where (%s::text[] = '{}' or h.state = any (%s::text[])) and (%s::uuid is null or h.owner_id = %s) """


async def list_holds(
    tx: Tx,
    *,
    states: Sequence[HoldState],
    owner: UserId | None,
    older_than: UUID | None,
    newer_than: UUID | None,
    limit: int,
) -> list[HoldRow]:
    """Holds, the newest first, behind one or in front of one."""
    values = list(states), list(states), owner, owner
    if newer_than:
        found = await db.rows(
            tx, HoldRow, HOLD + SOME_HOLDS + "and h.id > %s order by h.id limit %s", *values, newer_than, limit
        )
        return found[::-1]
    return await db.rows(
        tx,
        HoldRow,
        HOLD + SOME_HOLDS + "and (%s::uuid is null or h.id < %s) order by h.id desc limit %s",
        *(*values, older_than, older_than, limit),
    )


@dataclass(frozen=True, slots=True)
class LotRow:
    """What came into a wallet at once: of `amount` so much is left, `held` of it under holds; `expired` was moved away.

    Without `expires_at` it never ends; without `transfer_id` it was there when its asset began to have lots.
    """

    id: UUID
    transfer_id: TransferId | None
    origin: str
    amount: int
    remaining: int
    held: int
    expired: int
    opened_at: datetime
    expires_at: datetime | None


LOT = """
    select l.id, l.transfer_id, l.origin, l.amount, l.remaining, l.held, l.expired, l.opened_at, l.expires_at
    from ledger.lots l where l.account_id = %s and l.remaining > 0 """


async def list_lots(
    tx: Tx,
    account_id: AccountId,
    *,
    after: tuple[datetime | None, UUID] | None,
    before: tuple[datetime | None, UUID] | None,
    limit: int,
) -> list[LotRow]:
    """Lots of which something is left, in the order in which they are spent, behind one or in front of one."""
    if before:
        found = await db.rows(
            tx,
            LotRow,
            LOT
            + """and (coalesce(l.expires_at, 'infinity'), l.id) < (coalesce(%s::timestamptz, 'infinity'), %s)
              order by coalesce(l.expires_at, 'infinity') desc, l.id desc limit %s""",
            *(account_id, *before, limit),
        )
        return found[::-1]
    end, number = after or (LONG_AGO, UUID(int=0))
    return await db.rows(
        tx,
        LotRow,
        LOT
        + """and (coalesce(l.expires_at, 'infinity'), l.id) > (coalesce(%s::timestamptz, 'infinity'), %s)
          order by coalesce(l.expires_at, 'infinity'), l.id limit %s""",
        *(account_id, end, number, limit),
    )


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What a key stands for."""

    key: str
    op: str
    ref_id: UUID


async def find_key(tx: Tx, key: str) -> KeyRow | None:
    """What a key was claimed for."""
    return await db.find(tx, KeyRow, "select key, op, ref_id from ledger.keys where key = %s", key)


@dataclass(frozen=True, slots=True)
class AssetRow(Asset):
    """An asset with all that is set about it."""

    kind: str
    withdrawable: bool
    giftable: bool
    lots: bool
    active: bool
    created_at: datetime

    @property
    def terms(self) -> AssetTerms:
        """What of it staff may change."""
        return AssetTerms(self.name, self.giftable, self.withdrawable, self.lots, self.active)


async def list_asset_rows(tx: Tx) -> list[AssetRow]:
    """Every asset: a handful."""
    return await db.rows(
        tx,
        AssetRow,
        """select id, code, name, scale, kind, withdrawable, giftable, lots, active, created_at
        from ledger.assets order by id""",
    )


@dataclass(frozen=True, slots=True)
class DaySum:
    """What moved in an account on a day (UTC), all in all."""

    day: date
    amount: Decimal


async def list_days(tx: Tx, account_id: AccountId, since: date, begins: datetime) -> list[DaySum]:
    """The days from one on, which begins then, on which something moved in an account, in order.

    Those of an open account are summed up already, but for what is not rolled up yet.
    """
    return await db.rows(
        tx,
        DaySum,
        """
        select x.day, sum(x.amount) as amount
        from (select a.id, a.guarded, r.through_tx from ledger.accounts a
            left join ledger.rollups r on r.account_id = a.id where a.id = %s) a
          cross join lateral (
            select (e.posted_at at time zone 'UTC')::date as day, e.amount from ledger.entries e
            where a.guarded and e.account_id = a.id and e.seq is not null and e.posted_at >= %s::timestamptz
            union all
            select d.day, d.amount from ledger.daily_sums d where d.account_id = a.id and d.day >= %s::date
            union all
            select (e.posted_at at time zone 'UTC')::date, e.amount from ledger.entries e
            where not a.guarded and e.account_id = a.id and e.seq is null and e.posted_at >= %s::timestamptz
              and e.tx_id >= case when a.through_tx is null then 0 else a.through_tx end) x
        group by 1 order by 1""",
        *(account_id, begins, since, begins),
    )


@dataclass(frozen=True, slots=True)
class FamilyDay:
    """What came into a family of accounts on a day (UTC); before the first of them it is what was there."""

    family: str
    day: date | None
    amount: Decimal


async def list_family_days(tx: Tx, asset: str, families: Sequence[str], since: date) -> list[FamilyDay]:
    """How what open accounts hold has moved, by family and day: first all that was before, as a day that is null."""
    return await db.rows(
        tx,
        FamilyDay,
        """
        select split_part(a.address, ':', 1) as family, case when d.day >= %s then d.day end as day,
          sum(d.amount) as amount
        from ledger.accounts a join ledger.assets s on s.id = a.asset_id
        join ledger.daily_sums d on d.account_id = a.id
        where s.code = %s and split_part(a.address, ':', 1) = any (%s) and not a.guarded
        group by 1, 2 order by 1, 2 nulls first""",
        *(since, asset, list(families)),
    )
