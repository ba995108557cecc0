"""Pages of staff over competitions: lists, and one competition from draft to payment."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import identity, ledger
from palio.competitions.console.calls import (
    ADJUST,
    DISQUALIFY,
    EDIT,
    FUND,
    READ,
    REPEATS,
    SETTLE,
    AppealRef,
    Id,
)
from palio.competitions.console.forms import (
    AdjustForm,
    AppealForm,
    EntrantForm,
    ExtendForm,
    FundForm,
    InviteForm,
    ReasonForm,
    VersionForm,
    typed,
    units_of,
    wrong_in,
)
from palio.competitions.console.lists import withheld_part
from palio.competitions.errors import AmountInvalid
from palio.competitions.rules import lifecycle, stages
from palio.competitions.schemas.competitions import part_of, shown_of
from palio.competitions.service import appeals, desk, entering, proposing, reads, showing, staff, steering
from palio.competitions.types import (
    ENTRANT_DIGITS_MAX,
    Adjustment,
    BoardRow,
    Competition,
    CompetitionId,
    EntrantId,
    Product,
    Shown,
    Status,
    Wanted,
)
from palio.infra import audit
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.ui import console
from palio.ui.access import Access
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, Blank, decimal

HERE = "/console/competitions"
OF_ONE = f"{HERE}/{{competition_id:uuid}}"
APPEALS = f"{HERE}/appeals"
WITHHELD = f"{HERE}/withheld"
ROWS_MAX = 100
OUT_MAX, HISTORY_MAX = 50, 20
AUDIT = "admin.audit.read"
SETTLED = ("settling", "completed", "archived")
ADJUSTMENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DELTA = re.compile(r"-?\d{1,16}", re.ASCII)
ACTS: Mapping[str, Access] = {
    "publish": EDIT,
    "start": EDIT,
    "pause": EDIT,
    "resume": EDIT,
    "invite": EDIT,
    "extend": EDIT,
    "end": EDIT,
    "fund": FUND,
    "adjust": ADJUST,
    "disqualify": DISQUALIFY,
    "reinstate": DISQUALIFY,
    "freeze": SETTLE,
    "approve": SETTLE,
    "pay": SETTLE,
    "cancel": SETTLE,
    "pay-withheld": SETTLE,
    "forfeit": SETTLE,
}
OF_WITHHELD = ("pay-withheld", "forfeit")  # about a prize, whoever steers the rest
routes = Routes("competitions")


@routes.page(HERE, access=READ)
async def staff_competitions_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    status: Annotated[Status | None, Blank] = None,
    product: Annotated[Product | None, Blank] = None,
) -> HTMLResponse:
    """Every competition, drafts too."""
    wanted = Wanted([status] if status else (), [product] if product else (), has_drafts=True)
    found = await showing.listed(tx, wanted=wanted, part=part_of(page))
    shown = shown_of(found, page)
    values = {
        "lines": [(line, Asset(line.competition.prize_asset, line.asset_scale)) for line in shown.rows],
        "status": status,
        "product": product,
        "query": urlencode({name: value for name, value in (("status", status), ("product", product)) if value}),
        "older": shown.next,
        "newer": shown.prev,
        "waiting": len(await appeals.list_appeals(tx, states=["open"])),
    }
    return await console.render(request, ask, tx, "competitions/console/competitions.html", values, present=HERE)


@routes.page(APPEALS, access=READ)
async def staff_appeals_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """The doubts of every competition that wait for an answer, the oldest first."""
    found = await appeals.list_appeals(tx, states=["open"])
    values = {
        "appeals": found,
        "competitions": await reads.get_many(tx, list({each.competition_id for each in found})),
        "people": await _people(tx, [each.user_id for each in found]),
        "now": ask.now,
    }
    return await console.render(request, ask, tx, "competitions/console/appeals.html", values, present=APPEALS)


@routes.page(WITHHELD, access=READ)
async def withheld_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, competition_id: Annotated[UUID | None, Blank] = None
) -> HTMLResponse:
    """The prizes that wallets did not take, of one competition or of all, and what staff may do about them."""
    ours = CompetitionId(competition_id) if competition_id else None
    assets = {asset.code: Asset(asset.code, asset.scale) for asset in await ledger.assets(tx)}
    values = {
        "part": await withheld_part(tx, ours, page),
        "assets": assets,
        "competition": await reads.get(tx, competition_id=ours) if ours else None,
        "query": urlencode({"competition_id": ours}) if ours else "",
        "acts": OF_WITHHELD if SETTLE in ask.permissions else (),
    }
    return await console.render(request, ask, tx, "competitions/console/withheld.html", values, present=WITHHELD)


@routes.page(OF_ONE, access=READ)
async def staff_competition_page(
    request: Request,
    competition_id: Id,
    ask: Ask,
    tx: InTx,
    waiting: Annotated[str | None, Query(max_length=40)] = None,
) -> HTMLResponse:
    """A competition as it lies before staff: terms, pool, board, doubts, and how far its settlement has come."""
    return await _overview(request, ask, tx, CompetitionId(competition_id), waiting)


async def _overview(
    request: Request,
    ask: Asking,
    tx: Tx,
    ours: CompetitionId,
    waiting: str | None = None,
    filled: Filled | None = None,
    blamed: UUID | None = None,
) -> HTMLResponse:
    """The page; with `filled` the answer to a doubt was refused, which stands there with what was typed."""
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, limit=ROWS_MAX, is_staff=True)
    competition = shown.competition
    doubts = await appeals.list_appeals(tx, states=["open", "upheld", "rejected"], competition_id=ours)
    out = await reads.entrants_many(tx, sorted(await reads.disqualified(tx, competition_id=ours))[:OUT_MAX])
    history = await _history(tx, competition, ask)
    values = {
        "shown": shown,
        "competition": competition,
        "part_name": "overview",
        "asset": Asset(competition.prize_asset, shown.asset_scale),
        "appeals": doubts,
        "score": lambda value: _score(value, shown),
        "least": _score(competition.least_score, shown),
        "out": await showing.names_of(tx, people=out),
        "stages": stages.stages(competition),
        "progress": await desk.progress(tx, competition=competition) if competition.status in SETTLED else None,
        "forced_from": lifecycle.overdue_at(competition) if competition.phase == "collecting" else None,
        "history": history,
        "undone": {row.changes["undoes"][1] for row in history if "undoes" in row.changes},
        "people": await _people(tx, [*(row.actor_id for row in history), *(each.user_id for each in doubts)]),
        "waiting": waiting,
        "can_settle": SETTLE in ask.permissions,
        "acts": [act for act in _acts(competition) if act not in OF_WITHHELD and ACTS[act] in ask.permissions],
        "can_edit": EDIT in ask.permissions and _is_open(competition),
        "answer": filled.values.get("answer", "") if filled else "",
        "blamed": blamed,
    }
    name = "competitions/console/competition.html"
    problem = filled.problem if filled else None
    return await console.render(request, ask, tx, name, values, present=HERE, block="competition", problem=problem)


async def _history(tx: Tx, competition: Competition, ask: Asking) -> list[audit.Row]:
    """The last acts of staff on it, for whoever may read the audit."""
    if AUDIT not in ask.permissions:
        return []
    wanted = audit.Wanted(competition.created_at, ask.now + timedelta(minutes=1), entity_id=str(competition.id))
    return await audit.search(tx, wanted=wanted, part=audit.Part(HISTORY_MAX))


async def _people(tx: Tx, ids: Sequence[UserId | None]) -> Mapping[UserId, str]:
    wanted = list({user_id for user_id in ids if user_id})
    return await identity.names(tx, ids=wanted) if wanted else {}


def _is_open(competition: Competition) -> bool:
    """Can anything of it still be changed?"""
    return competition.product not in lifecycle.STEERED and competition.status in ("draft", "upcoming", "live")


def _score(score: int, shown: Shown) -> str:
    return format(decimal(score, shown.competition.score_scale), "f")


def _acts(competition: Competition) -> Sequence[str]:
    """What can be done in its state; a product that steers its own has pages for it."""
    if competition.status in ("completed", "archived"):
        return OF_WITHHELD
    if competition.product in lifecycle.STEERED:
        return OF_WITHHELD if competition.phase == "paying" else ()
    guests = ("invite",) if competition.join_mode == "invite" else ()
    if competition.status == "live":
        rest = ("resume",) if competition.paused_at else ("pause", "extend", "end")
        return (*rest, *guests, "fund", "adjust", "disqualify", "reinstate", "cancel")
    return {
        "draft": ("publish", "fund", "cancel"),
        "upcoming": ("start", *guests, "extend", "fund", "cancel"),
        "collecting": ("freeze", "adjust", "disqualify", "cancel"),
        "review": ("approve", "adjust", "disqualify", "reinstate", "cancel"),
        "paying": ("pay", *OF_WITHHELD),
    }.get(competition.phase or competition.status, ())


# one act, one page: what it would do, why, and the button


def _declare_act(act: str, access: Access) -> None:
    @routes.page(f"{OF_ONE}/{act}", access=access)
    async def act_page(
        request: Request,
        competition_id: Id,
        ask: Ask,
        tx: InTx,
        entrant_id: Annotated[str, Query(max_length=ENTRANT_DIGITS_MAX)] = "",
        undoes: Annotated[UUID | None, Blank] = None,
    ) -> HTMLResponse:
        """What it would do, and the form for it."""
        given = {"entrant_id": entrant_id, "undoes": str(undoes or "")}
        return await _act(request, ask, tx, competition_id, act, given)


for _name, _access in ACTS.items():
    _declare_act(_name, _access)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    competition_id: UUID,
    act: str,
    given: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    ours = CompetitionId(competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, is_staff=True)
    competition = shown.competition
    is_open = act in _acts(competition)
    number = _number(given.get("entrant_id", ""))
    rows = await _rows_of(tx, competition, number)
    undone = await _undone(tx, competition, number, given.get("undoes", ""))
    given = {**given, "delta": str(-undone.delta)} if undone else given
    values = {
        "shown": shown,
        "competition": competition,
        "asset": Asset(competition.prize_asset, shown.asset_scale),
        "act": act,
        "is_open": is_open,
        "typed": given,
        "wrong": wrong_in(problem, given),
        "ends_at": given.get("ends_at") or typed(competition.ends_at),
        "fund_limit": await proposing.fund_limit(tx, asset=competition.prize_asset),
        "leftover": lifecycle.house_of(competition.leftover_to),
        "house": await ledger.balance(tx, address=desk.FUNDING, asset=competition.prize_asset),
        "progress": await desk.progress(tx, competition=competition) if competition.status in SETTLED else None,
        "entrant": rows[0] if rows else None,
        "undone": undone,
        "people": await _people(tx, [undone.by]) if undone else {},
        "delta": int(given["delta"]) if act == "adjust" and DELTA.fullmatch(given.get("delta", "")) else 0,
        "names": await showing.names_of(tx, people={row.standing.entrant_id: row.standing for row in rows}),
        "score": lambda value: _score(value, shown),
    }
    name = "competitions/console/act.html"
    return await console.render(request, ask, tx, name, values, present=HERE, problem=problem)


def _number(text: str) -> EntrantId | None:
    """The number of an entrant as it was typed, if it can be one."""
    if text.isascii() and text.isdigit() and len(text) <= ENTRANT_DIGITS_MAX:
        return EntrantId(int(text))
    return None


async def _rows_of(tx: Tx, competition: Competition, number: EntrantId | None) -> Sequence[BoardRow]:
    """The row of the entrant who was named by his number, if he stands on the board."""
    if number is None:
        return ()
    return (await reads.rows_of(tx, competition=competition, some=[number], limit=1)).rows


async def _undone(tx: Tx, competition: Competition, number: EntrantId | None, adjustment_id: str) -> Adjustment | None:
    """The adjustment that is to be taken back, if there is one."""
    if number is None or not ADJUSTMENT.fullmatch(adjustment_id):
        return None
    return await staff.adjustment(tx, competition=competition, entrant_id=number, adjustment_id=UUID(adjustment_id))


async def _act_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    return await _act(request, ask, tx, request.path_params["competition_id"], act, filled.values, filled.problem)


def _done(competition_id: UUID, waiting: Approval | None = None) -> RedirectResponse:
    asked = f"?waiting={waiting.id}" if waiting else ""
    return RedirectResponse(f"{HERE}/{competition_id}{asked}", 303)


async def _seen(tx: Tx, competition_id: UUID, version: int) -> CompetitionId:
    ours = await _ours(tx, competition_id)
    await steering.require_seen(tx, competition_id=ours, version=version)
    return ours


async def _ours(tx: Tx, competition_id: UUID) -> CompetitionId:
    await steering.require_ours(tx, competition_id=CompetitionId(competition_id))
    return CompetitionId(competition_id)


async def _asset(tx: Tx, code: str) -> Asset:
    found = next((asset for asset in await ledger.assets(tx) if asset.code == code), None)
    if found is None:
        raise ledger.UnknownAsset(asset=code)
    return Asset(found.code, found.scale)


@routes.form(f"{OF_ONE}/publish", access=EDIT, again=_act_again)
async def publish_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]
) -> RedirectResponse:
    """Announce a draft, or propose it."""
    ours = await _seen(tx, competition_id, form.version)
    found = await proposing.announce_or_propose(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    return _done(ours, found if isinstance(found, Approval) else None)


@routes.form(f"{OF_ONE}/start", access=EDIT, again=_act_again)
async def start_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it begin at once."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.start_now(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/pause", access=EDIT, again=_act_again)
async def pause_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it rest."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.pause(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/resume", access=EDIT, again=_act_again)
async def resume_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Let it go on."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.resume(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/extend", access=EDIT, again=_act_again)
async def extend_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ExtendForm, Form()]
) -> RedirectResponse:
    """Move the end."""
    ours = await _seen(tx, competition_id, form.version)
    await staff.extend(tx, competition_id=ours, ends_at=form.ends_at, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/end", access=EDIT, again=_act_again)
async def end_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]) -> RedirectResponse:
    """Let it end at once."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.end_now(tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/invite", access=EDIT, again=_act_again)
async def invite_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[InviteForm, Form()]
) -> RedirectResponse:
    """Let players join who are named."""
    ours = await _ours(tx, competition_id)
    await entering.invite_named(tx, competition_id=ours, names=form.named, actor=ask.actor, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/fund", access=FUND, again=_act_again, idempotency="required", step_up=True, asks_code=True)
async def fund_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[FundForm, Form()]) -> RedirectResponse:
    """Put money into the pool, or propose it."""
    ours = await _ours(tx, competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now, is_staff=True)
    asset = Asset(shown.competition.prize_asset, shown.asset_scale)
    amount = units_of(form.amount, asset)
    if not amount:
        raise AmountInvalid(amount=form.amount, asset=asset.code, places=asset.scale)
    found = await proposing.fund_or_propose(
        tx,
        fund_id=new_id(),
        competition_id=ours,
        source=form.source,
        amount=amount,
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours, found if isinstance(found, Approval) else None)


@routes.form(f"{OF_ONE}/adjust", access=ADJUST, again=_act_again, idempotency="required")
async def adjust_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]
) -> RedirectResponse:
    """Add to a score."""
    ours = await _ours(tx, competition_id)
    await staff.adjust_score(
        tx,
        adjustment_id=new_id(),
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        delta=form.delta,
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
        undoes=form.undoes,
    )
    return _done(ours)


@routes.form(f"{OF_ONE}/disqualify", access=DISQUALIFY, again=_act_again, unaudited=REPEATS)
async def disqualify_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Take an entrant out, or propose it."""
    ours = await _ours(tx, competition_id)
    waiting = await proposing.disqualify_or_propose(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/reinstate", access=DISQUALIFY, again=_act_again, unaudited=REPEATS)
async def reinstate_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Let an entrant in again."""
    ours = await _ours(tx, competition_id)
    await staff.reinstate(
        tx,
        competition_id=ours,
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(ours)


@routes.form(f"{OF_ONE}/freeze", access=SETTLE, again=_act_again)
async def freeze_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Propose a forced freeze."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.force_freeze_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/approve", access=SETTLE, again=_act_again)
async def approve_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """End the review, or propose it."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.release_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


@routes.form(f"{OF_ONE}/pay", access=SETTLE, again=_act_again)
async def pay_by_form(competition_id: Id, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]) -> RedirectResponse:
    """Pay the next prizes."""
    ours = await _seen(tx, competition_id, form.version)
    await steering.pay(tx, competition_id=ours, actor=ask.actor, now=ask.now)
    return _done(ours)


@routes.form(f"{OF_ONE}/pay-withheld", access=SETTLE, again=_act_again, unaudited=REPEATS)
async def pay_withheld_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Pay a prize after all, or propose it."""
    waiting = await proposing.pay_withheld_or_propose(
        tx,
        competition_id=CompetitionId(competition_id),
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(competition_id, waiting)


@routes.form(f"{OF_ONE}/forfeit", access=SETTLE, again=_act_again, unaudited=REPEATS)
async def forfeit_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[EntrantForm, Form()]
) -> RedirectResponse:
    """Propose to send a prize back."""
    waiting = await proposing.forfeit_or_propose(
        tx,
        competition_id=CompetitionId(competition_id),
        entrant_id=EntrantId(form.entrant_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(competition_id, waiting)


@routes.form(f"{OF_ONE}/cancel", access=SETTLE, again=_act_again)
async def cancel_by_form(
    competition_id: Id, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]
) -> RedirectResponse:
    """Call it off, or propose it."""
    ours = await _seen(tx, competition_id, form.version)
    waiting = await proposing.cancel_or_propose(
        tx, competition_id=ours, actor=ask.actor, reason=form.reason, now=ask.now
    )
    return _done(ours, waiting)


async def _appeal_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the competition with the answer as it was typed."""
    appeal = await appeals.get_appeal(tx, appeal_id=request.path_params["appeal_id"])
    return await _overview(request, ask, tx, appeal.competition_id, filled=filled, blamed=appeal.id)


@routes.form(f"{APPEALS}/{{appeal_id:uuid}}", access=SETTLE, again=_appeal_again)
async def answer_by_form(
    appeal_id: AppealRef, ask: Ask, tx: InTx, form: Annotated[AppealForm, Form()]
) -> RedirectResponse:
    """Answer a doubt."""
    decided = await appeals.decide_appeal(
        tx, appeal_id=appeal_id, decision=form.decision, answer=form.answer, actor=ask.actor, now=ask.now
    )
    return _done(decided.competition_id)
