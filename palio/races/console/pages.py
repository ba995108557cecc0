"""Pages of staff over races: lists, the wizard, the rehearsal, and one race from draft to archive."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import InvalidOperation
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import affiliates, competitions
from palio.affiliates.types import SnapshotId
from palio.infra.approvals import Approval
from palio.infra.db import Tx, attempt
from palio.kernel.errors import Refusal
from palio.kernel.ids import new_id
from palio.races import service
from palio.races.console.calls import BACKDATE, EDIT, MONEY, READ, require_backdating, require_permission
from palio.races.console.forms import (
    AdjustForm,
    AsRehearsal,
    AsWizard,
    ExtendForm,
    HoldForm,
    PictureForm,
    PlayerForm,
    PublishForm,
    SeriesForm,
    VersionForm,
    WizardForm,
    meter_of,
    micro_of,
    rule_of,
    typed,
)
from palio.races.console.schemas import Player, State
from palio.races.errors import AdjustmentInvalid, NoPicture, NotStarted, SpecInvalid
from palio.races.rules import terms
from palio.races.schemas import Number, asset_of, lines_with_assets, part_of, shown_of
from palio.races.types import Foreseen, NewRace, PeriodTried, RaceView, Recomputed, Wanted
from palio.ui import console
from palio.ui.access import Access
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.problems import of as problem_of
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, Blank

HERE = "/console/races"
ROWS_MAX, SNAPSHOTS_MAX, MOVES_MAX = 100, 50, 50
ACTS: Mapping[str, Access] = {
    "publish": EDIT,
    "extend": EDIT,
    "cancel": MONEY,
    "release": MONEY,
    "adjust": MONEY,
    "exclude": EDIT,
    "reinstate": EDIT,
    "start-picture": MONEY,
    "final-picture": MONEY,
}
Whom = Annotated[str, Query(max_length=200)]
HowMuch = Annotated[str, Query(max_length=20)]
DOLLARS = Asset("USD", 2)
routes = Routes("races")


@routes.page(HERE, access=READ)
async def staff_races_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    state: Annotated[State | None, Blank] = None,
    programme: Annotated[str | None, Query(max_length=64), Blank] = None,
) -> HTMLResponse:
    """Every race, drafts too."""
    wanted = Wanted(states=(state,) if state else (), programme=programme, has_drafts=True)
    found = await service.listed(tx, wanted=wanted, part=part_of(page))
    shown = shown_of(found, page)
    values = {
        "races": lines_with_assets(shown.rows),
        "state": state,
        "programme": programme,
        "programmes": await affiliates.programmes(tx),
        "query": urlencode({name: value for name, value in (("state", state), ("programme", programme)) if value}),
        "older": shown.next,
        "newer": shown.prev,
    }
    return await console.render(request, ask, tx, "races/console/races.html", values, present=HERE)


@routes.page(f"{HERE}/new", access=EDIT)
async def wizard_page(request: Request, ask: Ask, tx: InTx, form: AsWizard) -> HTMLResponse:
    """A race to be made: what it pays is worked out while it is typed."""
    return await _wizard(request, ask, tx, form.model_dump(mode="json") | _times(form, ask))


def _times(form: WizardForm, ask: Asking) -> dict[str, str]:
    begin = form.starts_at or (ask.now + timedelta(days=1)).replace(minute=0)
    return {"starts_at": typed(begin), "ends_at": typed(form.ends_at or begin + timedelta(days=7))}


async def _wizard(
    request: Request, ask: Asking, tx: Tx, typed_in: Mapping[str, object], problem: Problem | None = None
) -> HTMLResponse:
    meter = meter_of(str(typed_in["pool"]), str(typed_in["prizes"]), str(typed_in["kind"]))
    values = {
        "typed": typed_in,
        "meter": meter,
        "programmes": await affiliates.programmes(tx),
        "may_backdate": BACKDATE in ask.permissions,
        "rehearsal": urlencode(
            {"programme": typed_in["programme"], "pool": typed_in["pool"], "first": typed_in["prizes"]}
        ),
        "is_complete": bool(meter.is_whole and typed_in["title"] and typed_in["programme"]),
    }
    return await console.render(
        request, ask, tx, "races/console/new.html", values, present=HERE, block="meter", problem=problem
    )


async def _wizard_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The wizard with what was typed, and what is wrong."""
    blank = WizardForm().model_dump(mode="json") | _times(WizardForm(), ask)
    return await _wizard(request, ask, tx, blank | dict(filled.values), filled.problem)


@routes.form(f"{HERE}/new", access=EDIT, again=_wizard_again)
async def make_race(ask: Ask, tx: InTx, form: Annotated[WizardForm, Form()]) -> RedirectResponse:
    """Make the race, as a draft or announced."""
    usual = await competitions.waits(tx, product="race")
    new = terms.read(form.spec(), read_rule=competitions.read_prize_rule, waits=usual)
    require_backdating(ask, new)
    made = await service.create_race(tx, new=new, actor=ask.actor, now=ask.now, is_draft=form.draft == "1")
    return RedirectResponse(f"{HERE}/{made.number}", 303)


@routes.form(f"{HERE}/new/meter", access=EDIT, again=_wizard_again, idempotency="none", unaudited="it changes nothing")
async def work_out(request: Request, ask: Ask, tx: InTx, form: Annotated[WizardForm, Form()]) -> HTMLResponse:
    """What the race would pay as it is typed now; nothing is made."""
    return await _wizard(request, ask, tx, form.model_dump(mode="json") | _times(form, ask))


@routes.page(f"{HERE}/rehearsal", access=READ)
async def rehearsal_page(request: Request, ask: Ask, tx: InTx, asked: AsRehearsal) -> HTMLResponse:
    """How past periods would have ended under several rules, side by side."""
    programmes = await affiliates.programmes(tx)
    tried: list[PeriodTried] = []
    problem: Problem | None = None
    if asked.programme:
        try:
            tried = await _rehearsed(tx, ask, asked)
        except Refusal as refusal:
            problem = problem_of(request, refusal)
    values = {
        "asked": asked,
        "tried": tried,
        "asset": DOLLARS,
        "programmes": programmes,
        "currency": next((one.currency for one in programmes if one.code == asked.programme), "USD"),
    }
    return await console.render(request, ask, tx, "races/console/rehearsal.html", values, present=HERE, problem=problem)


async def _rehearsed(tx: Tx, ask: Asking, asked: AsRehearsal) -> list[PeriodTried]:
    try:
        texts = [text for text in (asked.first, asked.second, asked.third) if text.strip()]
        rules = [(text, rule_of(text, "bps")) for text in texts]
        least = micro_of(asked.min_wager)
        pool = micro_of(asked.pool) // 10_000
    except (ValueError, InvalidOperation):
        raise SpecInvalid(field="prizes", expected="percentages like 50 30 20") from None
    if not rules:
        raise SpecInvalid(field="prizes", expected="percentages like 50 30 20")
    new = NewRace(
        title="rehearsal",
        programme=asked.programme,
        starts_at=ask.now - timedelta(days=1),
        ends_at=ask.now,
        pool_asset=DOLLARS.code,
        pool=pool,
        prize_rule=rules[0][1],
        cadence=asked.cadence,
        min_wager_micro=least,
    )
    return await service.rehearse_past(
        tx, new=new, rules=rules, tz="UTC", chained=asked.chained, count=asked.count, now=ask.now
    )


@routes.page(f"{HERE}/series", access=READ)
async def series_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Series of races, and a form for another."""
    return await _series(request, ask, tx, {})


async def _series(
    request: Request, ask: Asking, tx: Tx, typed_in: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    lines = [(line, Asset(line.asset, line.asset_scale)) for line in await service.list_series(tx)]
    values = {
        "series": lines,
        "typed": typed_in,
        "programmes": await affiliates.programmes(tx),
        "may_edit": EDIT in ask.permissions,
    }
    return await console.render(request, ask, tx, "races/console/series.html", values, present=HERE, problem=problem)


async def _series_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The series with what was typed, and what is wrong."""
    return await _series(request, ask, tx, filled.values, filled.problem)


@routes.form(f"{HERE}/series", access=EDIT, again=_series_again)
async def make_series(ask: Ask, tx: InTx, form: Annotated[SeriesForm, Form()]) -> RedirectResponse:
    """Make a series, and its races that are due."""
    usual = await competitions.waits(tx, product="race")
    new = terms.read_series(
        form.spec(),
        read_rule=competitions.read_prize_rule,
        waits=usual,
        now=ask.now,
    )
    await service.create_series(tx, new=new, actor=ask.actor, now=ask.now)
    return RedirectResponse(f"{HERE}/series", 303)


@routes.page(f"{HERE}/{{number:int}}", access=READ)
async def staff_race_page(
    request: Request, number: Number, ask: Ask, tx: InTx, waiting: Annotated[str | None, Query(max_length=40)] = None
) -> HTMLResponse:
    """A race as it lies before staff: board, movers, corrections, held players, settlement."""
    race = await service.view(tx, number=number, now=ask.now, rows_max=0, has_drafts=True)
    found = await service.desk(tx, number=number, actor=ask.actor, now=ask.now, rows_max=ROWS_MAX)
    movers = sorted((row for row in found.board if row.trend), key=lambda row: -abs(row.trend or 0))[:10]
    values = {
        "race": race,
        "desk": found,
        "asset": asset_of(race),
        "movers": movers,
        "corrected": [row for row in found.board if row.lowered_micro or row.adjusted_micro],
        "open_holds": [held for held in found.held if held.state == "open"],
        "decided": [held for held in found.held if held.state != "open"],
        "recomputed": await _recomputed(tx, race),
        "waiting": waiting,
        "can_edit": EDIT in ask.permissions,
        "acts": [act for act in _acts(race) if ACTS[act] in ask.permissions],
    }
    return await console.render(request, ask, tx, "races/console/race.html", values, present=HERE, block="race")


def _acts(race: RaceView) -> Sequence[str]:
    """What can be done to a race in its state."""
    if race.status == "draft":
        return ("publish", "cancel")
    if race.status == "upcoming":
        return ("extend", "cancel")
    if race.status == "live":
        return ("extend", "adjust", "exclude", "start-picture", "cancel")
    if race.phase == "collecting":
        return ("adjust", "exclude", "start-picture", "final-picture", "cancel")
    if race.phase == "review":
        return ("release", "adjust", "exclude", "cancel")
    return ()


async def _recomputed(tx: Tx, race: RaceView) -> Recomputed | None:
    """Totals anew, where there is something to compare."""
    if race.start is None or race.status not in ("settling", "completed", "archived"):
        return None
    try:
        return await service.recompute(tx, number=race.number)
    except (NoPicture, NotStarted):
        return None


# one act, one page: what it would do, why, and the button


def _declare_act(act: str, access: Access) -> None:
    @routes.page(f"{HERE}/{{number:int}}/{act}", access=access)
    async def act_page(
        request: Request, number: Number, ask: Ask, tx: InTx, player: Whom = "", amount: HowMuch = ""
    ) -> HTMLResponse:
        """What it would do; whom it would move, where it is about a player."""
        return await _act(request, ask, tx, number, act, {"player": player, "amount": amount})


for _name, _access in ACTS.items():
    _declare_act(_name, _access)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    number: int,
    act: str,
    typed_in: Mapping[str, str] | None = None,
    problem: Problem | None = None,
) -> HTMLResponse:
    race = await service.view(tx, number=number, now=ask.now, rows_max=0, has_drafts=True)
    found = await service.desk(tx, number=number, actor=ask.actor, now=ask.now, rows_max=ROWS_MAX)
    given = dict(typed_in or {})
    values = {
        "race": race,
        "desk": found,
        "asset": asset_of(race),
        "act": act,
        "typed": given,
        "moves": await _moves(tx, ask, race, act, given) if act in ("adjust", "exclude") else None,
        "snapshots": await _snapshots(tx, found.programme_code) if act.endswith("picture") else [],
        "ends_at": given.get("ends_at") or typed(race.ends_at),
    }
    return await console.render(request, ask, tx, "races/console/act.html", values, present=HERE, problem=problem)


async def _moves(tx: Tx, ask: Asking, race: RaceView, act: str, given: Mapping[str, str]) -> list[Foreseen] | None:
    """Whom the act would move, once it is known whom and by how much; None before, or when it cannot be said."""
    try:
        amount = micro_of(given["amount"]) if act == "adjust" else None
        async with attempt(tx):
            player_id = await service.player_named(tx, number=race.number, text=given["player"])
            found = await service.foresee(tx, number=race.number, player_id=player_id, amount_micro=amount, now=ask.now)
    except (KeyError, ValueError, Refusal):
        return None
    return found[:MOVES_MAX]


async def _snapshots(tx: Tx, programme: str) -> list[affiliates.Snapshot]:
    found = await affiliates.programme(tx, code=programme)
    listed = await affiliates.snapshots(tx, programme_id=found.id, limit=SNAPSHOTS_MAX)
    return [snapshot for snapshot in listed if snapshot.status == "applied"]


async def _act_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    return await _act(request, ask, tx, request.path_params["number"], act, dict(filled.values), filled.problem)


def _done(number: int, waiting: Approval | None = None) -> RedirectResponse:
    asked = f"?waiting={waiting.id}" if waiting else ""
    return RedirectResponse(f"{HERE}/{number}{asked}", 303)


@routes.form(f"{HERE}/{{number:int}}/publish", access=EDIT, again=_act_again)
async def publish_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[PublishForm, Form()]) -> RedirectResponse:
    """Announce a draft."""
    if form.backdated_reason:
        require_permission(ask, BACKDATE)
    await service.require_seen(tx, number=number, version=form.version)
    reason = form.backdated_reason or None
    await service.publish(tx, number=number, actor=ask.actor, now=ask.now, backdated_reason=reason)
    return _done(number)


@routes.form(f"{HERE}/{{number:int}}/extend", access=EDIT, again=_act_again)
async def extend_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[ExtendForm, Form()]) -> RedirectResponse:
    """Move the end."""
    await service.require_seen(tx, number=number, version=form.version)
    await service.extend(tx, number=number, ends_at=form.ends_at, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(number)


@routes.form(f"{HERE}/{{number:int}}/cancel", access=MONEY, again=_act_again)
async def cancel_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]) -> RedirectResponse:
    """Call it off, or propose it."""
    await service.require_seen(tx, number=number, version=form.version)
    waiting = await service.cancel_or_propose(tx, number=number, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(number, waiting)


@routes.form(f"{HERE}/{{number:int}}/release", access=MONEY, again=_act_again)
async def release_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]) -> RedirectResponse:
    """End the review, or propose it."""
    await service.require_seen(tx, number=number, version=form.version)
    waiting = await service.release_or_propose(tx, number=number, actor=ask.actor, reason=form.reason, now=ask.now)
    return _done(number, waiting)


@routes.form(f"{HERE}/{{number:int}}/adjust", access=MONEY, again=_act_again, idempotency="required")
async def adjust_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[AdjustForm, Form()]) -> RedirectResponse:
    """Adjust a total, or propose it."""
    try:
        amount_micro = micro_of(form.amount)
    except ValueError:
        raise AdjustmentInvalid(amount_micro=form.amount, limit_micro=10**14) from None
    waiting = await service.adjust_or_propose(
        tx,
        adjustment_id=new_id(),
        number=number,
        player_id=await service.player_named(tx, number=number, text=form.player),
        amount_micro=amount_micro,
        actor=ask.actor,
        reason=form.reason,
        public_note=form.public_note,
        now=ask.now,
    )
    return _done(number, waiting)


@routes.form(f"{HERE}/{{number:int}}/exclude", access=EDIT, again=_act_again)
async def exclude_by_form(number: Number, ask: Ask, tx: InTx, form: Annotated[PlayerForm, Form()]) -> RedirectResponse:
    """Take a player out, or propose it."""
    waiting = await service.exclude_or_propose(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=form.player),
        actor=ask.actor,
        reason=form.reason,
        public_note=form.public_note,
        now=ask.now,
    )
    return _done(number, waiting)


@routes.form(f"{HERE}/{{number:int}}/reinstate", access=EDIT, again=_act_again)
async def reinstate_by_form(
    number: Number, ask: Ask, tx: InTx, form: Annotated[PlayerForm, Form()]
) -> RedirectResponse:
    """Let a player back in."""
    await service.reinstate(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=form.player),
        actor=ask.actor,
        reason=form.reason,
        public_note=form.public_note,
        now=ask.now,
    )
    return _done(number)


@routes.form(f"{HERE}/{{number:int}}/start-picture", access=MONEY, again=_act_again)
async def start_picture_by_form(
    number: Number, ask: Ask, tx: InTx, form: Annotated[PictureForm, Form()]
) -> RedirectResponse:
    """Propose another start picture."""
    waiting = await service.replace_start_or_propose(
        tx,
        number=number,
        snapshot_id=SnapshotId(form.snapshot_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(number, waiting)


@routes.form(f"{HERE}/{{number:int}}/final-picture", access=MONEY, again=_act_again)
async def final_picture_by_form(
    number: Number, ask: Ask, tx: InTx, form: Annotated[PictureForm, Form()]
) -> RedirectResponse:
    """Propose a forced end."""
    waiting = await service.force_final_or_propose(
        tx,
        number=number,
        snapshot_id=SnapshotId(form.snapshot_id),
        actor=ask.actor,
        reason=form.reason,
        now=ask.now,
    )
    return _done(number, waiting)


@routes.page(f"{HERE}/{{number:int}}/holds/{{player}}", access=EDIT)
async def hold_page(request: Request, number: Number, player: Player, ask: Ask, tx: InTx) -> HTMLResponse:
    """A player who is being checked, and the decision."""
    return await _hold(request, ask, tx, number, player, {})


async def _hold(
    request: Request,
    ask: Asking,
    tx: Tx,
    number: int,
    player: str,
    typed_in: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    race = await service.view(tx, number=number, now=ask.now, rows_max=0)
    player_id = await service.player_named(tx, number=number, text=player)
    held = next(
        (one for one in await service.holds(tx, number=number, now=ask.now) if one.player_id == player_id), None
    )
    values = {"race": race, "held": held, "asset": asset_of(race), "typed": typed_in}
    name, status = "races/console/hold.html", 200 if held else 404
    return await console.render(request, ask, tx, name, values, present=HERE, status=status, problem=problem)


async def _hold_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The held player with what was typed, and why it was not taken."""
    given = request.path_params
    return await _hold(request, ask, tx, given["number"], given["player"], filled.values, filled.problem)


@routes.form(f"{HERE}/{{number:int}}/holds/{{player}}", access=EDIT, again=_hold_again)
async def decide_hold_by_form(
    number: Number, player: Player, ask: Ask, tx: InTx, form: Annotated[HoldForm, Form()]
) -> RedirectResponse:
    """Decide about a held player."""
    try:
        value = micro_of(form.value) if form.decision == "from_value" else None
    except ValueError:
        raise AdjustmentInvalid(amount_micro=form.value, limit_micro=10**14) from None
    waiting = await service.decide_hold_or_propose(
        tx,
        number=number,
        player_id=await service.player_named(tx, number=number, text=player),
        decision=form.decision,
        actor=ask.actor,
        reason=form.reason,
        public_note=form.public_note,
        now=ask.now,
        value_micro=value,
    )
    return _done(number, waiting)
