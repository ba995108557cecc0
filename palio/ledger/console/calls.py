"""The API of staff over the ledger. Every act leaves an audit row; a correction above its limit answers 202."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from palio.infra import audit
from palio.infra.approvals import Closed, Decision, Expired, OwnBenefit, OwnProposal, ReasonMissing
from palio.infra.db import Tx
from palio.infra.seals import Seal
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId
from palio.ledger.console.people import named_in, names_of, people_of
from palio.ledger.console.schemas import (
    ACCOUNT_EXAMPLE,
    ACCOUNTS_EXAMPLE,
    ADJUSTMENT_EXAMPLE,
    ADJUSTMENTS_EXAMPLE,
    ASSET_EXAMPLE,
    ASSETS_EXAMPLE,
    CHAINS_EXAMPLE,
    CONSERVATION_EXAMPLE,
    FINDING_EXAMPLE,
    FINDINGS_EXAMPLE,
    FORESEEN_EXAMPLE,
    HITS_EXAMPLE,
    HOLD_EXAMPLE,
    LEG_EXAMPLE,
    LOTS_EXAMPLE,
    REVERSED_EXAMPLE,
    SEALS_EXAMPLE,
    STAFF_HOLDS_EXAMPLE,
    TRANSFER_EXAMPLE,
    AccountAnswer,
    AccountNumber,
    AccountsAnswer,
    AdjustBody,
    AdjustedAs,
    AdjustmentAnswer,
    AdjustmentRowAnswer,
    AdjustmentsAnswer,
    AssetAnswer,
    AssetBody,
    AssetsAnswer,
    Beginning,
    ChainAnswer,
    ChainsAnswer,
    ConservationAnswer,
    ConservedAnswer,
    FindingAnswer,
    FindingsAnswer,
    ForeseenAnswer,
    HitAnswer,
    HitsAnswer,
    LegAnswer,
    LegNumber,
    LinesBody,
    Looked,
    LotAnswer,
    LotsAnswer,
    MaybeReasonBody,
    OfAsset,
    OfOwner,
    OfState,
    OfStatus,
    ReasonBody,
    ResolveBody,
    ReverseBody,
    ReversedAnswer,
    SealAnswer,
    SealsAnswer,
    StaffHoldAnswer,
    StaffHoldsAnswer,
    StatusBody,
    TransferAnswer,
)
from palio.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AdjustmentReasonMissing,
    AlreadyReversed,
    Archived,
    BalanceLimit,
    FindingResolved,
    HoldNotOpen,
    InsufficientFunds,
    InvalidPost,
    MakerLimit,
    NoSuchAccount,
    NoSuchAdjustment,
    NoSuchEntry,
    NoSuchFinding,
    NoSuchHold,
    NoSuchPlayer,
    NoSuchTransfer,
    NotEmpty,
    ResolutionInvalid,
    ReversalExceeds,
    ReversalOfReversal,
    SelfAdjustment,
    TransferFinal,
    UnknownAsset,
)
from palio.ledger.rules import desk as rules
from palio.ledger.schemas.proofs import beside, wanted
from palio.ledger.schemas.wallet import AssetCode
from palio.ledger.service import adjusting, checking, desk, sealing, totals
from palio.ledger.service.desk import Hit
from palio.ledger.service.sealing import Sealing
from palio.ledger.sql.desk import AccountRow, EntryRow, HoldRow, LotRow
from palio.ledger.types import (
    AccountId,
    Adjustment,
    AdjustmentId,
    AdjustmentStatus,
    FindingId,
    HoldState,
    KeptFinding,
    Status,
    TransferId,
)
from palio.ui import versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Key, Paged, Paging, Part
from palio.ui.routes import Routes
from palio.ui.values import Asset
from palio.ui.versions import Seen

READ, ADJUST, DECIDE = "ledger.wallet.read", "ledger.wallet.adjust", "ledger.adjust.decide"
REVERSE, FREEZE, EDIT = "ledger.transfer.reverse", "ledger.account.freeze", "ledger.asset.edit"
HIDE = "ledger.line.hide"
EXPORT_ROWS_NOTED = 1_000
OF_POSTS = (InvalidPost, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit)
OF_ACTS = (SelfAdjustment, AdjustmentReasonMissing)
OF_ADJUSTING = (*OF_POSTS, *OF_ACTS, MakerLimit, NoSuchPlayer)
OF_HIDING = (NoSuchTransfer, NoSuchEntry, *OF_ACTS)
OF_DECIDING = (NoSuchAdjustment, OwnProposal, OwnBenefit, Closed, Expired, ReasonMissing, MakerLimit)
OF_REVERSING = (
    *(NoSuchTransfer, AlreadyReversed, ReversalExceeds, ReversalOfReversal, TransferFinal, Archived),
    *(*OF_ACTS, *OF_POSTS),
)
routes = Routes("ledger")


def maker_of(ask: Asking) -> UserId:
    """Who acts. Refuses with Forbidden whoever is nobody."""
    if ask.actor.user_id is None:
        raise Forbidden
    return ask.actor.user_id


async def note_export(tx: Tx, ask: Asking, page: Paging, what: str, rows: int) -> None:
    """Write down that somebody took many rows away."""
    if page.limit > EXPORT_ROWS_NOTED and rows > EXPORT_ROWS_NOTED:
        changes = {"rows": (None, rows)}
        await audit.record(
            tx, actor=ask.actor, action="ledger.export", entity_type="ledger", entity_id=what, changes=changes
        )


# accounts


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
) -> AccountsAnswer:
    """List accounts in the order of their addresses, with what each holds now."""
    part = await accounts_part(tx, page, address, asset, status, owner)
    await note_export(tx, ask, page, "accounts", len(part.rows))
    return AccountsAnswer(tuple(map(AccountAnswer.of, part.rows)), part.next, part.prev)


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
async def list_entries(number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> ChainsAnswer:
    """List the entries of an account, the newest first; those of a wallet are numbered without a gap."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = page.part(await entries_beside(tx, page, account), place_of)
    asset = Asset(account.asset, account.scale)
    await note_export(tx, ask, page, f"accounts/{number}/entries", len(part.rows))
    return ChainsAnswer(tuple(ChainAnswer.of(row, asset) for row in part.rows), part.next, part.prev)


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
async def list_lots(number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> LotsAnswer:
    """List what is left of each credit of a wallet whose asset expires by lots, as they are spent."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = await lots_part(tx, page, account)
    asset = Asset(account.asset, account.scale)
    await note_export(tx, ask, page, f"accounts/{number}/lots", len(part.rows))
    return LotsAnswer(tuple(LotAnswer.of(row, asset) for row in part.rows), part.next, part.prev)


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


# transfers


@routes.get(
    "/console/ledger/transfers/{transfer_id:uuid}", access=READ, example=TRANSFER_EXAMPLE, refuses=[NoSuchTransfer]
)
async def get_transfer(transfer_id: UUID, tx: InTx) -> TransferAnswer:
    """Read a transfer with its legs, its cause, its hold, and what took it back."""
    found = await desk.sheet(tx, transfer_id=transfer_id)
    return TransferAnswer.of(found, seal=await sealing.seal_of(tx, transfer_id=TransferId(transfer_id)))


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/reverse",
    access=REVERSE,
    example=REVERSED_EXAMPLE,
    refuses=OF_REVERSING,
    step_up=True,
    status=201,
)
async def reverse_transfer(transfer_id: UUID, body: ReverseBody, ask: Ask, tx: InTx) -> ReversedAnswer:
    """Take a transfer back: all that is left of it, or so much of its two legs."""
    posted = await desk.reverse_by_staff(
        tx,
        transfer_id=transfer_id,
        amount=body.amount,
        reason=body.reason,
        to_debt=body.to_debt,
        actor_id=ask.actor.user_id,
        now=ask.now,
    )
    return ReversedAnswer(posted.transfer_id, transfer_id)


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/legs/{leg:int}/hide",
    access=HIDE,
    example=LEG_EXAMPLE,
    refuses=OF_HIDING,
)
async def hide_line_of_player(transfer_id: UUID, leg: LegNumber, body: ReasonBody, ask: Ask, tx: InTx) -> LegAnswer:
    """Leave a leg out of the list that its player has of his wallet; no balance and no sum knows of it."""
    return LegAnswer.of(
        await desk.hide_by_staff(
            tx, transfer_id=transfer_id, leg=leg, reason=body.reason, actor_id=ask.actor.user_id, now=ask.now
        )
    )


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/legs/{leg:int}/unhide",
    access=HIDE,
    example=LEG_EXAMPLE,
    refuses=OF_HIDING,
)
async def unhide_line_of_player(transfer_id: UUID, leg: LegNumber, body: ReasonBody, ask: Ask, tx: InTx) -> LegAnswer:
    """Put a leg into the list of its player again, whoever has hidden it."""
    return LegAnswer.of(
        await desk.unhide_by_staff(tx, transfer_id=transfer_id, leg=leg, reason=body.reason, actor_id=ask.actor.user_id)
    )


# corrections


async def adjustments_part(
    tx: Tx, page: Paging, status: AdjustmentStatus | None, maker: UUID | None, owner: UUID | None
) -> Part[Adjustment]:
    """A page of corrections."""
    older_than, newer_than = ids_beside(page)
    found = await adjusting.list_adjustments(
        tx,
        limit=page.limit + 1,
        statuses=(status,) if status else adjusting.STATUSES,
        maker=UserId(maker) if maker else None,
        owner=UserId(owner) if owner else None,
        older_than=older_than,
        newer_than=newer_than,
    )
    return page.part(found, id_of)


def ids_beside(page: Paging) -> tuple[UUID | None, UUID | None]:
    """The ids beside a page of a list in the order of ids: what is in it is older than one, or newer than the other."""
    behind, in_front = page.sides
    return UUID(str(behind[0])) if behind else None, UUID(str(in_front[0])) if in_front else None


def id_of(row: Adjustment | HoldRow | KeptFinding) -> Key:
    """Where a row stands in a list that is in the order of its ids."""
    return (str(row.id),)


@routes.get("/console/ledger/adjustments", access=READ, example=ADJUSTMENTS_EXAMPLE)
async def list_adjustments(
    ask: Ask,
    tx: InTx,
    page: Paged,
    status: AdjustedAs = None,
    maker: Annotated[UUID | None, Query(description="Made by one person")] = None,
    owner: OfOwner = None,
) -> AdjustmentsAnswer:
    """List corrections, the newest first."""
    part = await adjustments_part(tx, page, status, maker, owner)
    await note_export(tx, ask, page, "adjustments", len(part.rows))
    return AdjustmentsAnswer(tuple(map(AdjustmentRowAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/adjustments",
    access=ADJUST,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_ADJUSTING,
    step_up=True,
)
async def adjust_wallets(
    request: Request, body: AdjustBody, ask: Ask, tx: InTx, response: Response
) -> AdjustmentAnswer:
    """Correct wallets: at once within your limit (200), else it waits for somebody else (202)."""
    await named_in(request, tx, [str(line.owner) for line in body.lines])
    made = await adjusting.adjust(
        tx,
        lines=body.asked(),
        reason=body.reason,
        ticket=body.ticket,
        to_debt=body.to_debt,
        maker=maker_of(ask),
        now=ask.now,
    )
    response.status_code = 202 if made.status == "pending" else 200
    response.headers["Location"] = f"/api/v1/console/ledger/adjustments/{made.id}"
    return AdjustmentAnswer.of(made)


@routes.post(
    "/console/ledger/adjustments/foresee",
    access=ADJUST,
    example=FORESEEN_EXAMPLE,
    refuses=[InvalidPost, SelfAdjustment, NoSuchPlayer],
    idempotency="none",
    unaudited="it changes nothing",
)
async def foresee_adjustment(request: Request, body: LinesBody, ask: Ask, tx: InTx) -> ForeseenAnswer:
    """Work out what corrections would do now: every balance before and after; nothing is written."""
    await named_in(request, tx, [str(line.owner) for line in body.lines])
    found = await adjusting.foresee_adjustment(
        tx, lines=body.asked(), to_debt=body.to_debt, maker=maker_of(ask), now=ask.now
    )
    return ForeseenAnswer.of(found)


@routes.get(
    "/console/ledger/adjustments/{adjustment_id:uuid}",
    access=READ,
    example=ADJUSTMENT_EXAMPLE,
    refuses=[NoSuchAdjustment],
)
async def get_adjustment(adjustment_id: UUID, tx: InTx) -> AdjustmentAnswer:
    """Read a correction with what became of its lines."""
    return AdjustmentAnswer.of(await adjusting.get_adjustment(tx, adjustment_id=AdjustmentId(adjustment_id)))


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/approve",
    access=DECIDE,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_DECIDING,
    step_up=True,
)
async def approve_adjustment(
    request: Request, adjustment_id: UUID, body: MaybeReasonBody, ask: Ask, tx: InTx
) -> AdjustmentAnswer:
    """Approve what somebody else wants to correct; it is posted at once."""
    return AdjustmentAnswer.of(await decide(request, ask, tx, adjustment_id, "approve", body.reason))


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/reject",
    access=DECIDE,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_DECIDING,
    step_up=True,
)
async def reject_adjustment(
    request: Request, adjustment_id: UUID, body: ReasonBody, ask: Ask, tx: InTx
) -> AdjustmentAnswer:
    """Reject what somebody else wants to correct, with a reason."""
    return AdjustmentAnswer.of(await decide(request, ask, tx, adjustment_id, "reject", body.reason))


async def decide(
    request: Request, ask: Asking, tx: Tx, adjustment_id: UUID, decision: Decision, reason: str
) -> Adjustment:
    """Approve or reject. Refuses as `decide_adjustment` does, and names who was first."""
    number = AdjustmentId(adjustment_id)
    try:
        return await adjusting.decide_adjustment(
            tx, adjustment_id=number, decision=decision, checker=maker_of(ask), reason=reason, now=ask.now
        )
    except Closed as closed:
        found = await adjusting.get_adjustment(tx, adjustment_id=number)
        by = found.checker or found.maker
        name = (await names_of(request, tx, [by])).get(by, "")
        raise Closed(**closed.facts, name=name) from None


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/cancel",
    access=ADJUST,
    example=ADJUSTMENT_EXAMPLE,
    refuses=[NoSuchAdjustment, Closed, Expired],
)
async def cancel_adjustment(adjustment_id: UUID, ask: Ask, tx: InTx) -> AdjustmentAnswer:
    """Take back your own correction that waits."""
    number = AdjustmentId(adjustment_id)
    return AdjustmentAnswer.of(
        await adjusting.cancel_adjustment(tx, adjustment_id=number, maker=maker_of(ask), now=ask.now)
    )


# holds


async def holds_part(tx: Tx, page: Paging, state: HoldState | None, owner: UUID | None) -> Part[HoldRow]:
    """A page of holds."""
    older_than, newer_than = ids_beside(page)
    found = await desk.list_holds(
        tx,
        limit=page.limit + 1,
        state=state,
        owner=UserId(owner) if owner else None,
        older_than=older_than,
        newer_than=newer_than,
    )
    return page.part(found, id_of)


@routes.get("/console/ledger/holds", access=READ, example=STAFF_HOLDS_EXAMPLE)
async def list_staff_holds(
    ask: Ask, tx: InTx, page: Paged, state: OfState = None, owner: OfOwner = None
) -> StaffHoldsAnswer:
    """List holds, the newest first."""
    part = await holds_part(tx, page, state, owner)
    await note_export(tx, ask, page, "holds", len(part.rows))
    return StaffHoldsAnswer(tuple(map(StaffHoldAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/holds/{hold_id:uuid}/void",
    access=FREEZE,
    example=HOLD_EXAMPLE,
    refuses=[NoSuchHold, HoldNotOpen, *OF_ACTS],
    step_up=True,
)
async def void_hold(hold_id: UUID, body: ReasonBody, ask: Ask, tx: InTx) -> StaffHoldAnswer:
    """Let a hold go: what remains of it may be spent again."""
    return StaffHoldAnswer.of(
        await desk.void_by_staff(tx, hold_id=hold_id, reason=body.reason, actor_id=ask.actor.user_id, now=ask.now)
    )


# the rest


@routes.get("/console/ledger/assets", access=READ, example=ASSETS_EXAMPLE)
async def list_assets(tx: InTx) -> AssetsAnswer:
    """List assets with all that is set about them."""
    return AssetsAnswer(tuple(map(AssetAnswer.of, await desk.list_asset_rows(tx))), None, None)


@routes.get("/console/ledger/assets/{asset}", access=READ, example=ASSET_EXAMPLE, refuses=[UnknownAsset])
async def get_asset(asset: AssetCode, tx: InTx, response: Response) -> AssetAnswer:
    """Read an asset, with the version that a change of it names."""
    return await _asset(tx, asset, response)


async def _asset(tx: Tx, asset: str, response: Response) -> AssetAnswer:
    found = await desk.get_asset_row(tx, asset=asset)
    versions.tell(response, rules.version_of_terms(found.terms))
    return AssetAnswer.of(found)


@routes.patch(
    "/console/ledger/assets/{asset}",
    access=EDIT,
    example=ASSET_EXAMPLE,
    refuses=[UnknownAsset, AdjustmentReasonMissing, InvalidPost],
    step_up=True,
)
async def change_asset(
    asset: AssetCode, body: AssetBody, seen: Seen, ask: Ask, tx: InTx, response: Response
) -> AssetAnswer:
    """Change what an asset is called, and what may be done with it."""
    await desk.change_asset_by_staff(
        tx, asset=asset, changes=body.changes(), reason=body.reason, seen=seen, now=ask.now
    )
    return await _asset(tx, asset, response)


@routes.get("/console/ledger/conservation", access=READ, example=CONSERVATION_EXAMPLE)
async def list_conserved(ask: Ask, tx: InTx) -> ConservationAnswer:
    """List where the units of every asset are now; each adds up to nothing."""
    return ConservationAnswer(tuple(map(ConservedAnswer.of, await totals.conservation(tx, now=ask.now))), None, None)


async def findings_part(tx: Tx, page: Paging, *, open_only: bool) -> Part[KeptFinding]:
    """A page of findings."""
    older_than, newer_than = ids_beside(page)
    found = await checking.findings(
        tx,
        open_only=open_only,
        before=FindingId(older_than) if older_than else None,
        after=FindingId(newer_than) if newer_than else None,
        limit=page.limit + 1,
    )
    return page.part(found, id_of)


@routes.get("/console/ledger/findings", access=READ, example=FINDINGS_EXAMPLE)
async def list_findings(
    ask: Ask,
    tx: InTx,
    page: Paged,
    all: Annotated[bool, Query(description="Resolved ones too")] = False,  # noqa: A002 - the name of the parameter
) -> FindingsAnswer:
    """List what reconciliations have found, the newest first; open ones unless all are asked for."""
    part = await findings_part(tx, page, open_only=not all)
    await note_export(tx, ask, page, "findings", len(part.rows))
    return FindingsAnswer(tuple(map(FindingAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/findings/{finding_id:uuid}/resolve",
    access=FREEZE,
    example=FINDING_EXAMPLE,
    refuses=[NoSuchFinding, FindingResolved, ResolutionInvalid],
)
async def resolve_finding(finding_id: UUID, body: ResolveBody, ask: Ask, tx: InTx) -> FindingAnswer:
    """Close a finding with what was found out; the account it froze stays frozen until it is released."""
    return FindingAnswer.of(
        await checking.resolve_finding(tx, finding_id=FindingId(finding_id), resolution=body.resolution, now=ask.now)
    )


async def seals_part(tx: Tx, page: Paging, at: int | None = None) -> Sequence[Seal]:
    """A page of seals; without a cursor it begins with seal `at`, if one is named."""
    before, after = wanted(page, at)
    return await sealing.heads(tx, before=before, after=after, limit=page.limit)


def beside_seals(seals: Sequence[Seal], page: Paging, far: Sealing) -> tuple[str | None, str | None]:
    """The cursors `(older, newer)` beside a page of seals."""
    return beside(seals, page, newest=far.newest.n if far.newest else 0)


@routes.get("/console/ledger/seals", access=READ, example=SEALS_EXAMPLE)
async def list_ledger_seals(ask: Ask, tx: InTx, page: Paged) -> SealsAnswer:
    """List the seals of the ledger, the newest first, and whether they are anchored."""
    found, far = await seals_part(tx, page), await sealing.how_far(tx, now=ask.now)
    await note_export(tx, ask, page, "seals", len(found))
    older, newer = beside_seals(found, page, far)
    return SealsAnswer(tuple(SealAnswer.of(seal, far) for seal in found), older, newer, far.is_late)


@routes.get("/console/ledger/search", access=READ, example=HITS_EXAMPLE)
async def search_ledger(request: Request, tx: InTx, q: Looked) -> HitsAnswer:
    """Find what has this id, key, address or user name."""
    return HitsAnswer(tuple(map(HitAnswer.of, await looked_for(request, tx, q))), None, None)


async def looked_for(request: Request, tx: Tx, text: str) -> list[Hit]:
    """Whatever staff may have meant: the player whose name or id it is, too."""
    text = text.strip()
    if not text:
        return []
    found = await desk.search(tx, text=text)
    people = await people_of(request).find(tx, [text])
    names = await names_of(request, tx, people.values())
    return [*found, *(Hit("player", str(user_id), names.get(user_id, text)) for user_id in people.values())]
