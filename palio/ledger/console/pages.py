"""Pages of staff over the ledger: accounts with their chains, transfers, corrections, holds, assets, the treasury."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from palio.infra import db, seals
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ledger.console.calls import (
    ADJUST as MAY_ADJUST,
)
from palio.ledger.console.calls import (
    DECIDE,
    EDIT,
    FREEZE,
    HIDE,
    READ,
    REVERSE,
    accounts_part,
    adjustments_part,
    beside_seals,
    decide,
    entries_beside,
    findings_part,
    holds_part,
    looked_for,
    lots_part,
    maker_of,
    place_of,
    seals_part,
)
from palio.ledger.console.forms import (
    AdjustForm,
    AssetForm,
    DecideForm,
    NothingForm,
    ReasonForm,
    ResolveForm,
    ReverseForm,
    ReverseQuery,
    StatusForm,
    digest_of,
    lines_of,
)
from palio.ledger.console.people import names_of
from palio.ledger.console.schemas import (
    AccountNumber,
    AdjustedAs,
    Beginning,
    LegNumber,
    Looked,
    OfAsset,
    OfOwner,
    OfState,
    OfStatus,
    total_of,
)
from palio.ledger.errors import EffectUnseen, InvalidPost
from palio.ledger.rules import desk as rules
from palio.ledger.schemas.proofs import At
from palio.ledger.schemas.wallet import AssetCode
from palio.ledger.service import adjusting, checking, desk, reading, sealing, totals
from palio.ledger.service.desk import Sheet
from palio.ledger.sql.desk import EntryRow
from palio.ledger.types import (
    CHECKS,
    AccountId,
    Adjustment,
    AdjustmentId,
    AdjustmentLine,
    AssetTerms,
    BalanceChange,
    FindingId,
    TransferId,
)
from palio.ledger.types import Asset as AssetOf
from palio.ui import console, pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.charts import Chart, Series
from palio.ui.paging import Paged, Paging, Part
from palio.ui.problems import Problem
from palio.ui.problems import of as problem_of
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

HERE = "/console/ledger"
TRANSFERS, ACCOUNTS, ADJUST = f"{HERE}/transfers", f"{HERE}/accounts", f"{HERE}/adjust"
CONSERVATION, FINDINGS, SEALS = f"{HERE}/conservation", f"{HERE}/findings", f"{HERE}/seals"
ADJUSTMENTS, HOLDS, ASSETS, TREASURY = f"{HERE}/adjustments", f"{HERE}/holds", f"{HERE}/assets", f"{HERE}/treasury"
STATUSES = ("active", "no_debit", "frozen", "closed")
FLAGS = ("active", "withdrawable", "giftable", "lots")
HOLD_STATES = ("open", "captured", "voided", "expired")
FAMILIES = ("user", "pool", "treasury", "house", "fees", "suspense", "issuance", "external", "clearing", "breakage")
LISTED_AGAIN_MAX = 200  # findings beside a form that was refused: that one is among the newest
Whom = Annotated[str, Query(max_length=200)]
routes = Routes("ledger")


@dataclass(frozen=True, slots=True)
class Told:
    """A balance before and after, with whose it is."""

    name: str
    change: BalanceChange

    @property
    def asset(self) -> Asset:
        """What it counts."""
        return Asset(self.change.asset, self.change.scale)


async def _told(request: Request, tx: Tx, changes: Sequence[BalanceChange]) -> list[Told]:
    owners = rules.owners_of(change.address for change in changes)
    names = await names_of(request, tx, [UUID(owner) for owner in owners])
    return [Told(_name(change.address, names), change) for change in changes]


def _name(address: str, names: Mapping[UUID, str]) -> str:
    """Whose account it is, as staff read it; of nobody known it is the address."""
    parts = address.split(":")
    name = names.get(UUID(parts[1]), "") if parts[0] == "user" else ""
    return name or address


def _asset(code: str, scale: int) -> Asset:
    return Asset(code, scale)


def _query(**narrowed: object) -> str:
    return urlencode({name: str(value) for name, value in narrowed.items() if value})


# accounts


@routes.page(HERE, access=READ)
async def accounts_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    q: Looked = "",
    address: Beginning = "",
    asset: OfAsset = None,
    status: OfStatus = None,
    owner: OfOwner = None,
) -> HTMLResponse:
    """Whatever has this id, key, address or name; and every account."""
    part = await accounts_part(tx, page, address or (q if ":" in q else ""), asset, status, owner)
    narrowed = _query(address=address, asset=asset, status=status, owner=owner)
    values = {
        "q": q,
        "hits": await looked_for(request, tx, q),
        "accounts": part.rows,
        "names": await names_of(request, tx, [row.owner_id for row in part.rows] + [owner]),
        "name_of": _name,
        "asset_of": _asset,
        "chosen": {"address": address, "asset": asset, "status": status, "owner": owner},
        "assets": [each.code for each in await reading.assets(tx)],
        "statuses": STATUSES,
        "families": FAMILIES,
        "query": narrowed,
        "part": part,
        "is_later": page.position is not None,
        "may_adjust": MAY_ADJUST in ask.permissions,
    }
    return await console.render(request, ask, tx, "ledger/console/accounts.html", values, present=HERE)


@routes.page(ACCOUNTS + "/{number:int}", access=READ)
async def account_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """An account with the chain of its entries. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    found = await entries_beside(tx, page, account)
    part = page.part(found, place_of)
    course = await desk.course_of(tx, account=account, now=ask.now) if page.position is None and found else []
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "owner_name": (await names_of(request, tx, [account.owner_id])).get(account.owner_id)
        if account.owner_id
        else "",
        "available": await desk.available_in(tx, account=account, now=ask.now),
        "entries": part.rows,
        "broken": rules.breaks([_link(entry) for entry in found]) if account.is_guarded else set(),
        "part": part,
        "has_lots": bool(await desk.list_lots(tx, account_id=account.id, limit=1)),
        "is_later": page.position is not None,
        "course": course[::-1],
        "may_freeze": FREEZE in ask.permissions,
        "may_adjust": MAY_ADJUST in ask.permissions and account.owner_id is not None,
    }
    return await console.render(request, ask, tx, "ledger/console/account.html", values, present=HERE)


@routes.page(ACCOUNTS + "/{number:int}/lots", access=READ)
async def lots_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """What is left of each credit of a wallet, and when it ends. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = await lots_part(tx, page, account)
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "name": _name(account.address, await names_of(request, tx, [account.owner_id])),
        "lots": part.rows,
        "part": part,
        "is_later": page.position is not None,
        "now": ask.now,
    }
    return await console.render(request, ask, tx, "ledger/console/lots.html", values, present=HERE)


def _link(entry: EntryRow) -> tuple[int, int, int]:
    return entry.seq or 0, entry.amount, entry.balance_after or 0


@routes.page(ACCOUNTS + "/{number:int}/chart", access=READ)
async def account_chart(request: Request, number: AccountNumber, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of an account. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    course = await desk.course_of(tx, account=account, now=ask.now)
    return JSONResponse(asdict(_chart(request, [("", course)], account.scale)))


def _chart(request: Request, courses: Sequence[tuple[str, Sequence[tuple[date, int | Decimal]]]], scale: int) -> Chart:
    formats = pages.formats_of(request)
    days = tuple(formats.short_day(day) for day, _ in courses[0][1])
    series = [Series(name, "step", tuple(float(held) / 10**scale for _, held in course)) for name, course in courses]
    return Chart(days, tuple(series))


@routes.page(ACCOUNTS + "/{number:int}/status", access=FREEZE)
async def status_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx) -> HTMLResponse:
    """What an account may be used for. Refuses with NoSuchAccount."""
    return await _status(request, ask, tx, number, {})


async def _status(
    request: Request, ask: Asking, tx: Tx, number: int, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    account = await desk.get_account(tx, account_id=AccountId(number))
    names = await names_of(request, tx, [account.owner_id])
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "name": _name(account.address, names),
        "statuses": STATUSES,
        "typed": typed,
        "problem": problem,
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "ledger/console/status.html", values, present=HERE, status=status)


async def _status_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and why it was not done."""
    return await _status(request, ask, tx, request.path_params["number"], filled.values, filled.problem)


@routes.form(ACCOUNTS + "/{number:int}/status", access=FREEZE, step_up=True, asks_code=True, again=_status_again)
async def set_status_by_form(
    number: AccountNumber, ask: Ask, tx: InTx, form: Annotated[StatusForm, Form()]
) -> RedirectResponse:
    """Freeze an account, close it for good, or let it be used again."""
    await desk.set_status_by_staff(
        tx,
        account_id=AccountId(number),
        status=form.status,
        reason=form.reason,
        actor_id=ask.actor.user_id,
    )
    return RedirectResponse(f"{ACCOUNTS}/{number}", 303)


# transfers


@routes.page(TRANSFERS + "/{transfer_id:uuid}", access=READ)
async def transfer_page(request: Request, transfer_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A transfer: its legs, its cause, what took it back. Refuses with NoSuchTransfer."""
    return await _transfer(request, ask, tx, transfer_id)


async def _transfer(
    request: Request, ask: Asking, tx: Tx, transfer_id: UUID, filled: Filled | None = None
) -> HTMLResponse:
    found = await desk.sheet(tx, transfer_id=transfer_id)
    problem = filled.problem if filled else None
    actor_id = found.transfer.actor.partition(":")[2]
    people = [leg.owner_id for leg in found.legs] + [UUID(actor_id) if actor_id else None]
    names = await names_of(request, tx, people)
    values = {
        "sheet": found,
        "transfer": found.transfer,
        "actor": names.get(UUID(actor_id), actor_id) if actor_id else "",
        "names": names,
        "name_of": _name,
        "asset_of": _asset,
        "seal": await sealing.seal_of(tx, transfer_id=TransferId(transfer_id)),
        "may_reverse": REVERSE in ask.permissions and found.is_reversible,
        "may_hide": HIDE in ask.permissions,
        "reader": ask.actor.user_id,
        "problem": problem,
        "blamed": request.path_params.get("leg"),
        "typed": filled.values if filled else {},
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "ledger/console/transfer.html", values, present=HERE, status=status)


async def _transfer_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The transfer with what was typed, and why it was not done."""
    return await _transfer(request, ask, tx, request.path_params["transfer_id"], filled)


@routes.form(TRANSFERS + "/{transfer_id:uuid}/legs/{leg:int}/hide", access=HIDE, again=_transfer_again)
async def hide_line_by_form(
    transfer_id: UUID, leg: LegNumber, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Leave a leg out of the list that its player has of his wallet."""
    await desk.hide_by_staff(
        tx, transfer_id=transfer_id, leg=leg, reason=form.reason, actor_id=ask.actor.user_id, now=ask.now
    )
    return RedirectResponse(f"{TRANSFERS}/{transfer_id}", 303)


@routes.form(TRANSFERS + "/{transfer_id:uuid}/legs/{leg:int}/unhide", access=HIDE, again=_transfer_again)
async def unhide_line_by_form(
    transfer_id: UUID, leg: LegNumber, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Put a leg into the list of its player again."""
    await desk.unhide_by_staff(tx, transfer_id=transfer_id, leg=leg, reason=form.reason, actor_id=ask.actor.user_id)
    return RedirectResponse(f"{TRANSFERS}/{transfer_id}", 303)


@routes.page(TRANSFERS + "/{transfer_id:uuid}/reverse", access=REVERSE)
async def reverse_page(
    request: Request, transfer_id: UUID, ask: Ask, tx: InTx, asked: Annotated[ReverseQuery, Query()]
) -> HTMLResponse:
    """What taking it back would do, and the form. Refuses with NoSuchTransfer."""
    typed = {"amount": asked.amount, "to_debt": asked.to_debt or ""}
    return await _reversal(request, ask, tx, transfer_id, typed)


async def _reversal(
    request: Request, ask: Asking, tx: Tx, transfer_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    found = await desk.sheet(tx, transfer_id=transfer_id)
    told: list[Told] = []
    obstacle: Problem | None = None
    try:
        async with db.attempt(tx):
            amount = _part(found, typed.get("amount", ""))
            changes = await desk.foresee_reversal(
                tx, transfer_id=transfer_id, amount=amount, to_debt=bool(typed.get("to_debt")), now=ask.now
            )
        told = await _told(request, tx, changes)
    except Refusal as refusal:
        obstacle = problem_of(request, refusal)
    values = {
        "sheet": found,
        "transfer": found.transfer,
        "typed": typed,
        "told": told,
        "obstacle": obstacle,
        "problem": problem,
        "asset_of": _asset,
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "ledger/console/reverse.html", values, present=HERE, status=status)


def _part(found: Sheet, text: str) -> int | None:
    """How much is to be taken back, as it was typed; nothing is all of it. Refuses with InvalidPost."""
    if not text.strip():
        return None
    leg = found.legs[0]
    try:
        amount = rules.read_amount(text, AssetOf(0, leg.asset, "", leg.scale, lots=False))
    except ValueError:
        raise InvalidPost(field="amount") from None
    if amount < 0:
        raise InvalidPost(field="amount")
    return amount


async def _reversal_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and why it was not done."""
    return await _reversal(request, ask, tx, request.path_params["transfer_id"], filled.values, filled.problem)


@routes.form(
    TRANSFERS + "/{transfer_id:uuid}/reverse", access=REVERSE, step_up=True, asks_code=True, again=_reversal_again
)
async def reverse_by_form(
    transfer_id: UUID, ask: Ask, tx: InTx, form: Annotated[ReverseForm, Form()]
) -> RedirectResponse:
    """Take a transfer back."""
    found = await desk.sheet(tx, transfer_id=transfer_id)
    posted = await desk.reverse_by_staff(
        tx,
        transfer_id=TransferId(transfer_id),
        amount=_part(found, form.amount),
        reason=form.reason,
        to_debt=bool(form.to_debt),
        actor_id=ask.actor.user_id,
        now=ask.now,
    )
    return RedirectResponse(f"{TRANSFERS}/{posted.transfer_id}", 303)


# corrections


@routes.page(ADJUST, access=MAY_ADJUST)
async def adjust_page(request: Request, ask: Ask, tx: InTx, player: Whom = "", asset: Whom = "") -> HTMLResponse:
    """The desk: lines, why, and what they would do."""
    return await _desk(request, ask, tx, {"player": player, "asset": asset})


async def _desk(
    request: Request, ask: Asking, tx: Tx, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    foreseen, told, seen = None, [], ""
    if typed.get("amount") or typed.get("more"):
        try:
            form = AdjustForm(**{name: typed[name] for name in AdjustForm.model_fields if name in typed})
            async with db.attempt(tx):
                lines = await lines_of(request, tx, form)
                foreseen = await adjusting.foresee_adjustment(
                    tx, lines=lines, maker=maker_of(ask), to_debt=bool(form.to_debt), now=ask.now
                )
            told, seen = await _told(request, tx, foreseen.changes), digest_of(lines, to_debt=bool(form.to_debt))
        except ValueError:  # a field is too long: the problem of the form says so
            pass
        except Refusal as refusal:
            problem = problem or problem_of(request, refusal)
    values = {
        "typed": typed,
        "problem": problem,
        "foreseen": foreseen,
        "told": told,
        "seen": seen,
        "assets": [(each.code, each.code) for each in await reading.assets(tx)],
    }
    status = problem.status if problem else 200
    return await console.render(
        request, ask, tx, "ledger/console/adjust.html", values, present=ADJUSTMENTS, status=status
    )


async def _desk_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The desk with what was typed, what it would do now, and what is wrong."""
    return await _desk(request, ask, tx, filled.values, filled.problem)


@routes.form(
    ADJUST + "/effect", access=MAY_ADJUST, again=_desk_again, idempotency="none", unaudited="it changes nothing"
)
async def foresee_by_form(request: Request, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]) -> HTMLResponse:
    """What the lines would do now; nothing is written."""
    return await _desk(request, ask, tx, form.model_dump())


@routes.form(ADJUST, access=MAY_ADJUST, step_up=True, asks_code=True, again=_desk_again)
async def adjust_by_form(request: Request, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]) -> RedirectResponse:
    """Correct wallets whose effect was seen: at once, or when somebody else has agreed."""
    lines: list[AdjustmentLine] = await lines_of(request, tx, form)
    if form.seen != digest_of(lines, to_debt=bool(form.to_debt)):
        raise EffectUnseen
    made = await adjusting.adjust(
        tx,
        lines=lines,
        reason=form.reason,
        ticket=form.ticket,
        to_debt=bool(form.to_debt),
        maker=maker_of(ask),
        now=ask.now,
    )
    return RedirectResponse(f"{ADJUSTMENTS}/{made.id}", 303)


@routes.page(ADJUSTMENTS, access=READ)
async def adjustments_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, status: AdjustedAs = None, owner: OfOwner = None
) -> HTMLResponse:
    """Corrections, the newest first."""
    part = await adjustments_part(tx, page, status, None, owner)
    values = {
        "adjustments": [(one, total_of(one)) for one in part.rows],
        "names": await names_of(request, tx, [user for one in part.rows for user in (one.maker, one.checker)]),
        "status": status,
        "statuses": adjusting.STATUSES,
        "query": _query(status=status, owner=owner),
        "owner": owner,
        "part": part,
        "is_later": page.position is not None,
        "may_adjust": MAY_ADJUST in ask.permissions,
    }
    return await console.render(request, ask, tx, "ledger/console/adjustments.html", values, present=ADJUSTMENTS)


@routes.page(ADJUSTMENTS + "/{adjustment_id:uuid}", access=READ)
async def adjustment_page(request: Request, adjustment_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A correction: its lines, what it did or would do, and the decision. Refuses with NoSuchAdjustment."""
    return await _adjustment(request, ask, tx, adjustment_id, {})


async def _adjustment(
    request: Request, ask: Asking, tx: Tx, adjustment_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    number = AdjustmentId(adjustment_id)
    found = await adjusting.get_adjustment(tx, adjustment_id=number)
    is_open = found.status == "pending" and not (found.expires_at and ask.now >= found.expires_at)
    foreseen = await adjusting.foresee_decision(tx, adjustment_id=number, now=ask.now) if is_open else None
    people = [found.maker, found.checker, *(line.owner_id for line in found.lines)]
    values = {
        "adjustment": found,
        "names": await names_of(request, tx, people),
        "asset_of": _asset,
        "total": total_of(found),
        "foreseen": foreseen,
        "told": await _told(request, tx, foreseen.changes) if foreseen else [],
        "is_open": is_open,
        "why_not": _why_not(found, ask),
        "typed": typed,
        "problem": problem,
    }
    status = problem.status if problem else 200
    return await console.render(
        request, ask, tx, "ledger/console/adjustment.html", values, present=ADJUSTMENTS, status=status
    )


def _why_not(found: Adjustment, ask: Asking) -> str:
    """Why the reader may not decide about it; empty if he may."""
    if ask.actor.user_id == found.maker:
        return "own"
    if any(line.owner_id == ask.actor.user_id for line in found.lines):
        return "subject"
    return "" if DECIDE in ask.permissions else "permission"


async def _adjustment_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The correction with what was typed, and why it was not decided."""
    return await _adjustment(request, ask, tx, request.path_params["adjustment_id"], filled.values, filled.problem)


@routes.form(
    ADJUSTMENTS + "/{adjustment_id:uuid}/decide", access=DECIDE, step_up=True, asks_code=True, again=_adjustment_again
)
async def decide_by_form(
    request: Request, adjustment_id: UUID, ask: Ask, tx: InTx, form: Annotated[DecideForm, Form()]
) -> RedirectResponse:
    """Approve or reject what somebody else wants to correct."""
    await decide(request, ask, tx, adjustment_id, form.decision, form.reason)
    return RedirectResponse(f"{ADJUSTMENTS}/{adjustment_id}", 303)


@routes.form(ADJUSTMENTS + "/{adjustment_id:uuid}/cancel", access=MAY_ADJUST, again=_adjustment_again)
async def cancel_by_form(
    adjustment_id: UUID, ask: Ask, tx: InTx, form: Annotated[NothingForm, Form()]
) -> RedirectResponse:
    """Take back one's own correction that waits."""
    await adjusting.cancel_adjustment(tx, adjustment_id=AdjustmentId(adjustment_id), maker=maker_of(ask), now=ask.now)
    return RedirectResponse(f"{ADJUSTMENTS}/{adjustment_id}", 303)


# holds


@routes.page(HOLDS, access=READ)
async def holds_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, state: OfState = None, owner: OfOwner = None
) -> HTMLResponse:
    """What is set aside, and what became of it."""
    part = await holds_part(tx, page, state, owner)
    values = {
        "holds": part.rows,
        "names": await names_of(request, tx, [hold.owner_id for hold in part.rows]),
        "asset_of": _asset,
        "state": state,
        "states": HOLD_STATES,
        "query": _query(state=state, owner=owner),
        "owner": owner,
        "part": part,
        "is_later": page.position is not None,
    }
    return await console.render(request, ask, tx, "ledger/console/holds.html", values, present=HOLDS)


@routes.page(HOLDS + "/{hold_id:uuid}", access=READ)
async def hold_page(request: Request, hold_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A hold, and letting it go. Refuses with NoSuchHold."""
    return await _hold(request, ask, tx, hold_id, {})


async def _hold(
    request: Request, ask: Asking, tx: Tx, hold_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    hold = await desk.get_hold(tx, hold_id=hold_id)
    account = await desk.get_account(tx, account_id=hold.account_id)
    values = {
        "hold": hold,
        "asset": Asset(hold.asset, hold.scale),
        "name": _name(hold.address, await names_of(request, tx, [hold.owner_id])),
        "available": await desk.available_in(tx, account=account, now=ask.now),
        "may_void": FREEZE in ask.permissions and hold.state == "open" and hold.owner_id != ask.actor.user_id,
        "typed": typed,
        "problem": problem,
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "ledger/console/hold.html", values, present=HOLDS, status=status)


async def _hold_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The hold with what was typed, and why it was not let go."""
    return await _hold(request, ask, tx, request.path_params["hold_id"], filled.values, filled.problem)


@routes.form(HOLDS + "/{hold_id:uuid}/void", access=FREEZE, step_up=True, asks_code=True, again=_hold_again)
async def void_by_form(hold_id: UUID, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]) -> RedirectResponse:
    """Let a hold go."""
    await desk.void_by_staff(tx, hold_id=hold_id, reason=form.reason, actor_id=ask.actor.user_id, now=ask.now)
    return RedirectResponse(f"{HOLDS}/{hold_id}", 303)


# assets, and what the house keeps


@routes.page(ASSETS, access=READ)
async def assets_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is counted."""
    values = {"assets": await desk.list_asset_rows(tx), "may_edit": EDIT in ask.permissions}
    return await console.render(request, ask, tx, "ledger/console/assets.html", values, present=ASSETS)


@routes.page(ASSETS + "/{asset}", access=EDIT)
async def asset_page(request: Request, asset: AssetCode, ask: Ask, tx: InTx) -> HTMLResponse:
    """What may be done with an asset. Refuses with UnknownAsset."""
    return await _asset_form(request, ask, tx, asset, None)


async def _asset_form(
    request: Request, ask: Asking, tx: Tx, code: str, typed: Mapping[str, str] | None, problem: Problem | None = None
) -> HTMLResponse:
    found = await desk.get_asset_row(tx, asset=code)
    asked = found.terms
    if typed is not None:
        name = typed.get("name", "").strip()
        asked = AssetTerms(name, **{flag: bool(typed.get(flag)) for flag in FLAGS})
    conserved = await totals.conservation(tx, now=ask.now)
    values = {
        "one": found,
        "asset": Asset(found.code, found.scale),
        "in_wallets": next((each.wallets for each in conserved if each.asset == code), 0),
        "asked": asked,
        "changes": [flag for flag in FLAGS if getattr(asked, flag) != getattr(found, flag)],
        "is_looked_at": typed is not None,
        "seen": _seen(found.terms, asked),
        "reason": (typed or {}).get("reason", ""),
        "problem": problem,
    }
    status = problem.status if problem else 200
    return await console.render(request, ask, tx, "ledger/console/asset.html", values, present=ASSETS, status=status)


def _seen(before: AssetTerms, asked: AssetTerms) -> str:
    """The same text for the same change only."""
    return f"{rules.version_of_terms(before)}-{rules.version_of_terms(asked)}"


async def _asset_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, what it would change now, and what is wrong."""
    return await _asset_form(request, ask, tx, request.path_params["asset"], filled.values, filled.problem)


@routes.form(
    ASSETS + "/{asset}/effect", access=EDIT, again=_asset_again, idempotency="none", unaudited="it changes nothing"
)
async def foresee_asset_by_form(
    request: Request, asset: AssetCode, ask: Ask, tx: InTx, form: Annotated[AssetForm, Form()]
) -> HTMLResponse:
    """What would change; nothing is written."""
    return await _asset_form(request, ask, tx, asset, form.model_dump())


@routes.form(ASSETS + "/{asset}", access=EDIT, step_up=True, asks_code=True, again=_asset_again)
async def change_asset_by_form(
    asset: AssetCode, ask: Ask, tx: InTx, form: Annotated[AssetForm, Form()]
) -> RedirectResponse:
    """Change what an asset is called and what may be done with it, as its effect was seen."""
    before, asked = (await desk.get_asset_row(tx, asset=asset)).terms, form.terms()
    if form.seen != _seen(before, asked):
        raise EffectUnseen
    await desk.change_asset_by_staff(
        tx,
        asset=asset,
        changes=asdict(asked),
        reason=form.reason,
        seen=rules.version_of_terms(before),
        now=ask.now,
    )
    return RedirectResponse(ASSETS, 303)


@routes.page(TREASURY, access=READ)
async def treasury_page(request: Request, ask: Ask, tx: InTx, asset: OfAsset = None) -> HTMLResponse:
    """What treasury and pools have held. Refuses with UnknownAsset."""
    known = await reading.assets(tx)
    chosen = await reading.asset_of(tx, code=asset or known[0].code)
    kept = await desk.kept_over_time(tx, asset=chosen.code, now=ask.now)
    values = {
        "chosen": Asset(chosen.code, chosen.scale),
        "assets": known,
        "days": [
            (day, *(int(kept[family][n][1]) for family in desk.KEPT)) for n, (day, _) in enumerate(kept[desk.KEPT[0]])
        ][::-1],
        "is_empty": not any(held for course in kept.values() for _, held in course),
    }
    return await console.render(request, ask, tx, "ledger/console/treasury.html", values, present=TREASURY)


@routes.page(TREASURY + "/{asset}/chart", access=READ)
async def treasury_chart(request: Request, asset: AssetCode, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of treasury and pools. Refuses with UnknownAsset."""
    chosen = await reading.asset_of(tx, code=asset)
    kept = await desk.kept_over_time(tx, asset=chosen.code, now=ask.now)
    courses = [("Treasury", kept["treasury"]), ("Pools", kept["pool"])]
    return JSONResponse(asdict(_chart(request, courses, chosen.scale)))


# whether it adds up


@routes.page(CONSERVATION, access=READ)
async def conservation_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Where the units of every asset are, and when it was last seen that all adds up."""
    values = {
        "assets": [(one, Asset(one.asset, one.scale)) for one in await totals.conservation(tx, now=ask.now)],
        "rounds": [one for one in await checking.reconciliation(tx) if one.job != "rollup"],
        "open": await checking.open_findings(tx),
    }
    return await console.render(request, ask, tx, "ledger/console/conservation.html", values, present=CONSERVATION)


@routes.page(FINDINGS, access=READ)
async def findings_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    all: Annotated[bool, Query()] = False,  # noqa: A002 - the name of the parameter
) -> HTMLResponse:
    """What reconciliations have found, and what came of it."""
    return await _findings(request, ask, tx, page, is_all=all)


async def _findings(
    request: Request,
    ask: Asking,
    tx: Tx,
    page: Paging | None,
    *,
    is_all: bool,
    filled: Filled | None = None,
) -> HTMLResponse:
    if page:
        part = await findings_part(tx, page, open_only=not is_all)
    else:
        part = Part(await checking.findings(tx, open_only=not is_all, limit=LISTED_AGAIN_MAX), None, None)
    problem = filled.problem if filled else None
    values = {
        "findings": part.rows,
        "part": part,
        "checks": CHECKS,
        "all": is_all,
        "may_resolve": FREEZE in ask.permissions,
        "problem": problem,
        "blamed": request.path_params.get("finding_id"),
        "typed": filled.values if filled else {},
    }
    status = problem.status if problem else 200
    return await console.render(
        request, ask, tx, "ledger/console/findings.html", values, present=FINDINGS, status=status
    )


async def _findings_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The findings with what was typed, and why it was not taken."""
    return await _findings(request, ask, tx, None, is_all=False, filled=filled)


@routes.form(FINDINGS + "/{finding_id:uuid}/resolve", access=FREEZE, again=_findings_again)
async def resolve_by_form(
    finding_id: UUID, ask: Ask, tx: InTx, form: Annotated[ResolveForm, Form()]
) -> RedirectResponse:
    """Close a finding with what was found out."""
    await checking.resolve_finding(tx, finding_id=FindingId(finding_id), resolution=form.resolution, now=ask.now)
    return RedirectResponse(f"{FINDINGS}?all=true", 303)


@routes.page(SEALS, access=READ)
async def seals_page(request: Request, ask: Ask, tx: InTx, page: Paged, at: At = None) -> HTMLResponse:
    """The seals of the ledger, from seal `at` on if one is named, and how far sealing is."""
    found, far = await seals_part(tx, page, at), await sealing.how_far(tx, now=ask.now)
    older, newer = beside_seals(found, page, far)
    values = {
        "seals": found,
        "far": far,
        "keys": {number: key.hex() for number, key in sorted(seals.public_keys(tx.equipment.keyring).items())},
        "older": older,
        "newer": newer,
        "at": at,
        "now": ask.now,
    }
    return await console.render(request, ask, tx, "ledger/console/seals.html", values, present=SEALS)
