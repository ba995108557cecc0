"""Use cases of staff at the ledger: they look at everything, and act with a reason that stays written down."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.ids import UserId, new_id
from palio.ledger import errors
from palio.ledger.rules import adjusting as adjusting_rules
from palio.ledger.rules import desk as rules
from palio.ledger.service import accounts, hiding, reading
from palio.ledger.service.posting import reverse, void_many
from palio.ledger.sql import adjusting as adjusting_sql
from palio.ledger.sql import desk as sql
from palio.ledger.sql.desk import AccountRow, AssetRow, EntryRow, HoldRow, LegRow, LotRow, ReversalRow, TransferRow
from palio.ledger.types import (
    COURSE_DAYS,
    Account,
    AccountId,
    AdjustmentId,
    BalanceChange,
    HoldId,
    HoldState,
    Posted,
    Refused,
    Reverse,
    Status,
    TransferId,
    Void,
)

ACCOUNT_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
KEPT = ("treasury", "pool")
EntryPlace: TypeAlias = tuple[int | str, ...]  # where an entry stands: its number, or transaction, transfer and leg


@dataclass(frozen=True, slots=True)
class Sheet:
    """A transfer with everything about it."""

    transfer: TransferRow
    legs: Sequence[LegRow]
    reversed_by: Sequence[ReversalRow]
    hold: HoldRow | None

    @property
    def left(self) -> Sequence[tuple[LegRow, int]]:
        """What can still be taken back, leg by leg."""
        return [(leg, abs(leg.amount) - leg.reversed) for leg in self.legs]

    @property
    def is_reversible(self) -> bool:
        """Whether anything can still be taken back."""
        is_open = self.transfer.reverses_id is None and not self.transfer.final
        return is_open and any(left for _, left in self.left)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that staff looked for: what it is, its id, and words about it."""

    what: str
    id: str
    text: str


# looking


async def list_accounts(
    tx: Tx,
    *,
    limit: int,
    beginning: str = "",
    asset: str | None = None,
    status: Status | None = None,
    owner: UserId | None = None,
    after: tuple[str, int] | None = None,
    before: tuple[str, int] | None = None,
) -> list[AccountRow]:
    """Accounts whose address begins so, in the order of their addresses, behind one (address, number) or before one."""
    return await sql.list_accounts(
        tx, beginning=beginning, asset=asset, status=status, owner=owner, after=after, before=before, limit=limit
    )


async def get_account(tx: Tx, *, account_id: AccountId) -> AccountRow:
    """An account with what it holds. Refuses with NoSuchAccount."""
    found = await sql.find_account(tx, account_id)
    if found is None:
        raise errors.NoSuchAccount(account=account_id)
    return found


async def available_in(tx: Tx, *, account: AccountRow, now: datetime) -> int:
    """What its owner can spend of a wallet: neither what is held, nor what is over."""
    return int(account.balance) - account.held - await sql.find_lapsed(tx, account.id, now)


async def list_entries(
    tx: Tx,
    *,
    account: AccountRow,
    limit: int,
    before: EntryPlace | None = None,
    after: EntryPlace | None = None,
) -> list[EntryRow]:
    """Entries of an account, the newest first: those older than `before`, or the nearest newer than `after`."""
    if account.is_guarded and after:
        return await sql.list_chain_after(tx, account.id, int(after[0]), limit)
    if account.is_guarded:
        return await sql.list_chain(tx, account.id, int(before[0]) if before else 2**63 - 1, limit)
    if after:
        return await sql.list_open_entries_after(tx, account.id, _open_place(after), limit)
    return await sql.list_open_entries(tx, account.id, _open_place(before) if before else None, limit)


def _open_place(place: EntryPlace) -> tuple[int, UUID, int]:
    return int(place[0]), UUID(str(place[1])), int(place[2])


async def list_lots(
    tx: Tx,
    *,
    account_id: AccountId,
    limit: int,
    after: tuple[datetime | None, UUID] | None = None,
    before: tuple[datetime | None, UUID] | None = None,
) -> list[LotRow]:
    """Lots of a wallet of which something is left, in the order in which they are spent: the earliest end first.

    Behind one (its end and id) or in front of one. An account of an asset that has no lots has none.
    """
    return await sql.list_lots(tx, account_id, after=after, before=before, limit=limit)


async def course_of(tx: Tx, *, account: AccountRow, now: datetime) -> list[tuple[date, int]]:
    """What an account held at the end of each of the last thirty days (UTC), and holds today."""
    today = adjusting_rules.day_of(now)
    begins = today - timedelta(days=COURSE_DAYS)
    before = begins - timedelta(microseconds=1)
    opening = await reading.balance(tx, address=account.address, asset=account.asset, at=before)
    days = await sql.list_days(tx, account.id, begins.date(), begins)
    moved: dict[date | None, Decimal] = {row.day: row.amount for row in days}
    moved[None] = Decimal(opening)
    held = rules.course_of(moved, since=begins.date(), until=today.date())
    return [(day, int(amount)) for day, amount in held]


async def sheet(tx: Tx, *, transfer_id: UUID) -> Sheet:
    """A transfer with its legs, its hold and its reversals. Refuses with NoSuchTransfer."""
    found = await sql.find_transfer(tx, transfer_id)
    if found is None:
        raise errors.NoSuchTransfer(transfer=str(transfer_id))
    hold = await sql.find_hold(tx, found.hold_id) if found.hold_id else None
    legs = await sql.list_legs(tx, found.id, found.posted_at)
    return Sheet(found, legs, await sql.list_reversals_of(tx, found.id), hold)


async def list_holds(
    tx: Tx,
    *,
    limit: int,
    states: Sequence[HoldState] = (),
    owner: UserId | None = None,
    older_than: UUID | None = None,
    newer_than: UUID | None = None,
) -> list[HoldRow]:
    """Holds, the newest first, behind one or in front of one."""
    return await sql.list_holds(
        tx, states=states, owner=owner, older_than=older_than, newer_than=newer_than, limit=limit
    )


async def get_hold(tx: Tx, *, hold_id: UUID) -> HoldRow:
    """A hold. Refuses with NoSuchHold."""
    found = await sql.find_hold(tx, hold_id)
    if found is None:
        raise errors.NoSuchHold(hold=str(hold_id))
    return found


async def search(tx: Tx, *, text: str) -> list[Hit]:
    """What has this id or key: an account, a transfer, a hold, a correction."""
    text = text.strip()
    found: list[Hit] = []
    if ACCOUNT_NUMBER.fullmatch(text) and (account := await _account(tx, int(text))):
        found.append(account)
    if (number := _uuid(text)) is not None:
        found += await _by_id(tx, number)
    if known := await sql.find_key(tx, text):
        found += await _by_id(tx, known.ref_id)
    return list(dict.fromkeys(found))


async def _account(tx: Tx, number: int) -> Hit | None:
    row = await sql.find_account(tx, AccountId(number))
    return Hit("account", str(row.id), f"{row.address} {row.asset}") if row else None


async def _by_id(tx: Tx, number: UUID) -> list[Hit]:
    found = []
    if transfer := await sql.find_transfer(tx, number):
        found.append(Hit("transfer", str(number), f"{transfer.label}: {transfer.key}"))
    if hold := await sql.find_hold(tx, number):
        found.append(Hit("hold", str(number), f"{hold.subject} ({hold.state})"))
    if adjustment := await adjusting_sql.find_adjustment(tx, AdjustmentId(number)):
        found.append(Hit("adjustment", str(number), adjustment.reason))
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def list_asset_rows(tx: Tx) -> list[AssetRow]:
    """Every asset with all that is set about it."""
    return await sql.list_asset_rows(tx)


async def get_asset_row(tx: Tx, *, asset: str) -> AssetRow:
    """An asset with all that is set about it. Refuses with UnknownAsset."""
    found = next((row for row in await sql.list_asset_rows(tx) if row.code == asset), None)
    if found is None:
        raise errors.UnknownAsset(asset=asset)
    return found


async def kept_over_time(tx: Tx, *, asset: str, now: datetime) -> dict[str, list[tuple[date, Decimal]]]:
    """What treasury and pools held at the end of each of the last thirty days (UTC), at most a minute old.

    Refuses with UnknownAsset.
    """
    await reading.asset_of(tx, code=asset)
    until = adjusting_rules.day_of(now).date()
    since = until - timedelta(days=COURSE_DAYS)
    moved: dict[str, dict[date | None, Decimal]] = {family: {} for family in KEPT}
    for row in await sql.list_family_days(tx, asset, KEPT, since):
        moved[row.family][row.day] = row.amount
    return {family: rules.course_of(days, since=since, until=until) for family, days in moved.items()}


# acting


async def reverse_by_staff(
    tx: Tx, *, transfer_id: UUID, amount: int | None, reason: str, to_debt: bool, actor_id: UserId | None, now: datetime
) -> Posted:
    """Take a transfer back: all that is left of it, or so much of its two legs.

    Refuses with NoSuchTransfer, SelfAdjustment, AdjustmentReasonMissing, and as `reverse` does.
    """
    reason = adjusting_rules.checked_reason(reason)
    found = await sheet(tx, transfer_id=transfer_id)
    _require_others(found.legs, actor_id)
    posted = await reverse(tx, _reversal(found, amount, reason, to_debt), now=now)
    owners = {leg.owner_id for leg in found.legs if leg.owner_id}
    await audit.record(
        tx,
        actor=tx.actor,
        action="transfer.reverse",
        entity_type="ledger.transfer",
        entity_id=str(transfer_id),
        changes={"reversed_by": (None, posted.transfer_id), "amount": (None, amount)},
        reason=reason,
        subject=owners.pop() if len(owners) == 1 else None,
    )
    return posted


async def foresee_reversal(
    tx: Tx, *, transfer_id: UUID, amount: int | None, to_debt: bool, now: datetime
) -> list[BalanceChange]:
    """Every balance before and after a reversal: it is done, and taken back. Refuses as `reverse` does."""
    found = await sheet(tx, transfer_id=transfer_id)
    places = list(dict.fromkeys((leg.address, leg.asset) for leg in found.legs))
    if to_debt:
        places += [(f"user:{leg.owner_id}:debt", leg.asset) for leg in found.legs if leg.owner_id]
    addresses, assets = [place[0] for place in places], [place[1] for place in places]
    async with db.taken_back(tx):
        before = await adjusting_sql.list_standings(tx, addresses, assets)
        await reverse(tx, _reversal(found, amount, "seen before", to_debt), now=now)
        after = await adjusting_sql.list_standings(tx, addresses, assets)
    return [
        BalanceChange(one.address, one.asset, one.scale, one.balance, then.balance)
        for one, then in zip(before, after, strict=True)
        if one.balance != then.balance
    ]


def _reversal(found: Sheet, amount: int | None, reason: str, to_debt: bool) -> Reverse:
    key = f"staff:reverse:{found.transfer.id}:{new_id()}"
    return Reverse(key, TransferId(found.transfer.id), reason[:255], amount=amount, to_debt=to_debt)


def _require_others(legs: Sequence[LegRow], actor_id: UserId | None) -> None:
    """Accept who acts on wallets of others. Refuses with SelfAdjustment."""
    if actor_id and any(leg.owner_id == actor_id for leg in legs):
        raise errors.SelfAdjustment


async def hide_by_staff(
    tx: Tx, *, transfer_id: UUID, leg: int, reason: str, actor_id: UserId | None, now: datetime
) -> LegRow:
    """Leave a leg out of the list that its player has of his wallet; answers it as it is then.

    Only the list knows of it: balances, sums, files and receipts stay. Refuses with NoSuchTransfer, NoSuchEntry (it is
    of no main wallet), SelfAdjustment, AdjustmentReasonMissing.
    """
    owner_id, asset, seq = await _line_of_somebody(tx, transfer_id, leg, actor_id)
    reason = adjusting_rules.checked_reason(reason)
    await hiding.hide(tx, owner_id=owner_id, asset=asset, seq=seq, now=now, reason=reason)
    return await _leg_of(tx, transfer_id, leg)


async def unhide_by_staff(tx: Tx, *, transfer_id: UUID, leg: int, reason: str, actor_id: UserId | None) -> LegRow:
    """Put a leg into the list of its player again, whoever has hidden it; as `hide_by_staff`."""
    owner_id, asset, seq = await _line_of_somebody(tx, transfer_id, leg, actor_id)
    reason = adjusting_rules.checked_reason(reason)
    await hiding.unhide(tx, owner_id=owner_id, asset=asset, seq=seq, reason=reason)
    return await _leg_of(tx, transfer_id, leg)


async def _line_of_somebody(tx: Tx, transfer_id: UUID, leg: int, actor_id: UserId | None) -> tuple[UserId, str, int]:
    """Whose line a leg is, of which asset, and its number. Refuses with NoSuchEntry, SelfAdjustment."""
    found = await _leg_of(tx, transfer_id, leg)
    if found.owner_id is None or found.seq is None or not found.is_line:
        raise errors.NoSuchEntry(transfer_id=str(transfer_id), leg=leg)
    _require_others([found], actor_id)
    return found.owner_id, found.asset, found.seq


async def _leg_of(tx: Tx, transfer_id: UUID, leg: int) -> LegRow:
    legs = (await sheet(tx, transfer_id=transfer_id)).legs
    found = next((one for one in legs if one.leg == leg), None)
    if found is None:
        raise errors.NoSuchEntry(transfer_id=str(transfer_id), leg=leg)
    return found


async def void_by_staff(tx: Tx, *, hold_id: UUID, reason: str, actor_id: UserId | None, now: datetime) -> HoldRow:
    """Let a hold go: what remains of it may be spent again. Answers it as it is then.

    Refuses with NoSuchHold, HoldNotOpen, SelfAdjustment, AdjustmentReasonMissing.
    """
    reason = adjusting_rules.checked_reason(reason)
    found = await get_hold(tx, hold_id=hold_id)
    if found.owner_id == actor_id:
        raise errors.SelfAdjustment
    [outcome] = await void_many(tx, [Void(f"staff:hold:{hold_id}:{new_id()}", HoldId(hold_id))], now=now)
    if isinstance(outcome, Refused):
        refusal = errors.as_refusal(outcome)
        raise refusal
    await audit.record(
        tx,
        actor=tx.actor,
        action="hold.void",
        entity_type="ledger.hold",
        entity_id=str(hold_id),
        changes={"state": (found.state, "voided"), "released": (found.released, found.released + outcome.released)},
        reason=reason,
        subject=found.owner_id,
    )
    return await get_hold(tx, hold_id=hold_id)


async def set_status_by_staff(
    tx: Tx,
    *,
    account_id: AccountId,
    status: Status,
    reason: str,
    actor_id: UserId | None,
    seen: int | None = None,
) -> Account:
    """Freeze an account, let it be used again, or close it for good; answers it as it was.

    `seen` is the version (of its status) that somebody saw. Refuses with SelfAdjustment, AdjustmentReasonMissing,
    Stale, and as `set_status` does.
    """
    reason = adjusting_rules.checked_reason(reason)
    account = await get_account(tx, account_id=account_id)
    if actor_id and account.owner_id == actor_id:
        raise errors.SelfAdjustment
    if account.status == status:  # nothing changes, and that somebody wanted it is written down all the same
        await _note_status(tx, account, reason)
    before = await accounts.set_status(tx, account_id=account_id, status=status, reason=reason[:255])
    if seen is not None and seen != rules.version_of(before.status):
        raise Stale(version=rules.version_of(before.status))
    return before


async def _note_status(tx: Tx, account: AccountRow, reason: str) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action="account.status",
        entity_type="ledger.account",
        entity_id=str(account.id),
        changes={"status": (account.status, account.status)},
        reason=reason,
        subject=account.owner_id,
    )


async def change_asset_by_staff(
    tx: Tx, *, asset: str, changes: Mapping[str, Any], reason: str, seen: int, now: datetime
) -> None:
    """Change some of the terms of an asset, by the names of `AssetTerms`.

    `seen` is the version of the terms that somebody saw. Refuses with AdjustmentReasonMissing, Stale, and as
    `change_asset` does.
    """
    reason = adjusting_rules.checked_reason(reason)
    before = await accounts.locked_terms(tx, asset=asset)
    if seen != rules.version_of_terms(before):
        raise Stale(version=rules.version_of_terms(before))
    terms = replace(before, **changes)
    if terms == before:  # nothing changes, and that somebody wanted it is written down all the same
        await audit.record(
            tx,
            actor=tx.actor,
            action="asset.change",
            entity_type="ledger.asset",
            entity_id=asset,
            changes={"name": (before.name, before.name)},
            reason=reason,
        )
    await accounts.change_asset(tx, asset=asset, terms=terms, reason=reason[:255], now=now)
