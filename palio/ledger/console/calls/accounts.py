"""Calls of staff over accounts, their entries and their lots."""

from datetime import datetime
from uuid import UUID

from fastapi import Response

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.console.calls.lists import note_export
from palio.ledger.console.calls.rights import FREEZE, OF_ACTS, READ
from palio.ledger.console.schemas.accounts import (
    ACCOUNT_EXAMPLE,
    ACCOUNTS_EXAMPLE,
    CHAINS_EXAMPLE,
    LOTS_EXAMPLE,
    AccountAnswer,
    AccountNumber,
    Beginning,
    ChainAnswer,
    LotAnswer,
    OfStatus,
    StatusBody,
)
from palio.ledger.console.schemas.asked import OfAsset, OfOwner
from palio.ledger.errors import AccountClosed, InvalidPost, NoSuchAccount, NotEmpty
from palio.ledger.rules import desk as rules
from palio.ledger.service import desk
from palio.ledger.sql.desk import AccountRow, EntryRow, LotRow
from palio.ledger.types import AccountId, Status
from palio.ui import versions
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Key, Listed, Paged, Paging, Part
from palio.ui.routes import Routes
from palio.ui.values import Asset
from palio.ui.versions import Seen

routes = Routes("ledger")


async def accounts_part(
    tx: Tx, page: Paging, beginning: str, asset: str | None, status: Status | None, owner: UUID | None
) -> Part[AccountRow]:
    """A page of accounts."""
    after, before = page.sides
    found = await desk.list_accounts(
        tx,
        beginning=beginning,
        asset=asset,
        status=status,
        owner=UserId(owner) if owner else None,
        after=(str(after[0]), int(after[1])) if after else None,
        before=(str(before[0]), int(before[1])) if before else None,
        limit=page.limit + 1,
    )
    return page.part(found, lambda row: (row.address, row.id))


@routes.get("/console/ledger/accounts", access=READ, example=ACCOUNTS_EXAMPLE)
async def list_accounts(
    ask: Ask,
    tx: InTx,
    page: Paged,
    address: Beginning = "",
    asset: OfAsset = None,
    status: OfStatus = None,
    owner: OfOwner = None,
) -> Listed[AccountAnswer]:
    """List accounts in the order of their addresses, with what each holds now."""
    part = await accounts_part(tx, page, address, asset, status, owner)
    await note_export(tx, ask, page, "accounts", len(part.rows))
    return Listed(tuple(map(AccountAnswer.of, part.rows)), part.next, part.prev)


@routes.get("/console/ledger/accounts/{number:int}", access=READ, example=ACCOUNT_EXAMPLE, refuses=[NoSuchAccount])
async def get_account(number: AccountNumber, tx: InTx, response: Response) -> AccountAnswer:
    """Read an account with what it holds now, with the version that a change of its status names."""
    return await _account(tx, number, response)


async def _account(tx: Tx, number: int, response: Response) -> AccountAnswer:
    found = await desk.get_account(tx, account_id=AccountId(number))
    versions.tell(response, rules.version_of(found.status))
    return AccountAnswer.of(found)


@routes.get(
    "/console/ledger/accounts/{number:int}/entries", access=READ, example=CHAINS_EXAMPLE, refuses=[NoSuchAccount]
)
async def list_entries(number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> Listed[ChainAnswer]:
    """List the entries of an account, the newest first; those of a wallet are numbered without a gap."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = page.part(await entries_beside(tx, page, account), place_of)
    asset = Asset(account.asset, account.scale)
    await note_export(tx, ask, page, f"accounts/{number}/entries", len(part.rows))
    return Listed(tuple(ChainAnswer.of(row, asset) for row in part.rows), part.next, part.prev)


def place_of(entry: EntryRow) -> tuple[int | str, ...]:
    """Where an entry stands among those of its account."""
    return (entry.seq,) if entry.seq is not None else (entry.tx_id, str(entry.transfer_id), entry.leg)


async def entries_beside(tx: Tx, page: Paging, account: AccountRow) -> list[EntryRow]:
    """A page of entries, and one more where there is one: whether the chain holds is seen over it."""
    before, after = page.sides
    return await desk.list_entries(tx, account=account, before=before, after=after, limit=page.limit + 1)


async def lots_part(tx: Tx, page: Paging, account: AccountRow) -> Part[LotRow]:
    """A page of lots."""
    after, before = page.sides
    found = await desk.list_lots(
        tx,
        account_id=account.id,
        after=_end_of(after) if after else None,
        before=_end_of(before) if before else None,
        limit=page.limit + 1,
    )
    return page.part(found, lambda lot: (lot.expires_at.isoformat() if lot.expires_at else "", str(lot.id)))


def _end_of(key: Key) -> tuple[datetime | None, UUID]:
    return datetime.fromisoformat(str(key[0])) if key[0] else None, UUID(str(key[1]))


@routes.get("/console/ledger/accounts/{number:int}/lots", access=READ, example=LOTS_EXAMPLE, refuses=[NoSuchAccount])
async def list_lots(number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> Listed[LotAnswer]:
    """List what is left of each credit of a wallet whose asset expires by lots, as they are spent."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = await lots_part(tx, page, account)
    asset = Asset(account.asset, account.scale)
    await note_export(tx, ask, page, f"accounts/{number}/lots", len(part.rows))
    return Listed(tuple(LotAnswer.of(row, asset) for row in part.rows), part.next, part.prev)


@routes.patch(
    "/console/ledger/accounts/{number:int}",
    access=FREEZE,
    example=ACCOUNT_EXAMPLE,
    refuses=[NoSuchAccount, AccountClosed, NotEmpty, InvalidPost, *OF_ACTS],
    step_up=True,
)
async def set_account_status(
    number: AccountNumber, body: StatusBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> AccountAnswer:
    """Freeze an account, close it for good, or let it be used again."""
    await desk.set_status_by_staff(
        tx,
        account_id=AccountId(number),
        status=body.status,
        reason=body.reason,
        actor_id=ask.actor.user_id,
        seen=seen,
    )
    return await _account(tx, number, response)
