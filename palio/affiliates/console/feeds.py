"""Pages of staff over feeds: how all of them are, one with its cycles and mappings, and what can be done to it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from palio.affiliates import doors, rules, service
from palio.affiliates.console.calls import FEEDS, READ
from palio.affiliates.console.forms import (
    MAPPING_MAX,
    FeedForm,
    MappingForm,
    NewFeedForm,
    VersionForm,
    WhyForm,
    document_of,
    lines_between,
    text_of,
)
from palio.affiliates.console.schemas import Version
from palio.affiliates.errors import BadMapping, NoSuchMapping
from palio.affiliates.types import CycleMark, CycleRow, FeedCard, FeedId, Trial, UsersPoint
from palio.infra.db import Database, Tx
from palio.ui import console, problems
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.charts import Chart, Series
from palio.ui.problems import Problem, wrong_of
from palio.ui.routes import Filled, Routes

HERE = "/console/affiliates/feeds"
routes = Routes("affiliates")


async def _show(
    request: Request,
    ask: Asking,
    tx: Tx,
    name: str,
    values: Mapping[str, object],
    problem: Problem | None = None,
    block: str | None = None,
) -> HTMLResponse:
    """A page of feeds; with a problem it says what is wrong with what was typed."""
    around = {
        "programmes": {card.code: card for card in await service.programme_cards(tx)},
        "may_edit": FEEDS in ask.permissions,
    }
    template = f"affiliates/console/{name}.html"
    return await console.render(
        request, ask, tx, template, {**around, **values}, present=HERE, block=block, problem=problem
    )


@routes.page(HERE, access=READ)
async def feeds_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Every feed: whether it is read, how old its numbers are, and how its last cycles ended."""
    lines = await service.feed_lines(tx, now=ask.now)
    values = {
        "lines": [line for line in lines if not line.state.is_retired],
        "retired": [line.state for line in lines if line.state.is_retired],
    }
    return await _show(request, ask, tx, "feeds", values, block="feeds")


@routes.page(f"{HERE}/new", access=FEEDS)
async def new_feed_page(
    request: Request, ask: Ask, tx: InTx, programme: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse:
    """A feed to be connected."""
    return await _new(request, ask, tx, {"programme": programme})


async def _new(
    request: Request, ask: Asking, tx: Tx, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    return await _show(request, ask, tx, "feed_new", {"typed": typed}, problem)


async def _new_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong; the key is typed again."""
    return await _new(request, ask, tx, filled.values, filled.problem)


@routes.form(f"{HERE}/new", access=FEEDS, again=_new_again)
async def add_feed_by_form(ask: Ask, tx: InTx, form: Annotated[NewFeedForm, Form()]) -> RedirectResponse:
    """Have a programme read from an address from now on; its key is stored sealed."""
    await service.programme(tx, code=form.programme)
    feed_id = await service.add_feed(
        tx, code=form.programme, new=form.new(), now=ask.now, reason=form.reason, via="web"
    )
    return _to(feed_id)


def _to(feed_id: UUID) -> RedirectResponse:
    return RedirectResponse(f"{HERE}/{feed_id}", 303)


@routes.page(f"{HERE}/{{feed_id:uuid}}", access=READ)
async def feed_page(
    request: Request, feed_id: UUID, ask: Ask, tx: InTx, asked: Annotated[str | None, Query(max_length=10)] = None
) -> HTMLResponse:
    """One feed: how it is read, its last cycles, and how many players its programme has."""
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    cycles = await service.cycles(tx, feed_id=card.id)
    values = {
        "card": card,
        "cycles": cycles,
        "marks": _marks(card, cycles),
        "curve": await service.users_curve(tx, programme=card.programme, now=ask.now),
        "health": {one.programme: one for one in await service.health(tx, now=ask.now)}.get(card.programme),
        "asked": asked,
    }
    return await _show(request, ask, tx, "feed", values)


def _marks(card: FeedCard, cycles: list[CycleRow]) -> list[CycleMark]:
    """The cycles for the row of marks, the oldest first."""
    return [CycleMark(card.id, one.due_at, one.state, one.error_code) for one in reversed(cycles)]


@routes.page(f"{HERE}/{{feed_id:uuid}}/chart", access=READ)
async def feed_chart(feed_id: UUID, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of players."""
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    return JSONResponse(asdict(_chart(await service.users_curve(tx, programme=card.programme, now=ask.now))))


def _chart(points: list[UsersPoint]) -> Chart:
    values = tuple(float(point.users) for point in points)
    return Chart(tuple(f"{point.at:%d.%m. %H:%M}" for point in points), (Series("", "step", values),))


# one act, one page: what it does, why, and the button


def _declare_act(act: str) -> None:
    @routes.page(f"{HERE}/{{feed_id:uuid}}/{act}", access=FEEDS)
    async def act_page(request: Request, feed_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
        """What it does, and the form for it."""
        return await _act(request, ask, tx, feed_id, act)


for _name in ("fetch", "reset", "remove", "edit", "test"):
    _declare_act(_name)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    feed_id: UUID,
    act: str,
    *,
    filled: Filled | None = None,
    trial: Trial | None = None,
) -> HTMLResponse:
    values = {
        "card": await service.feed_card(tx, feed_id=FeedId(feed_id)),
        "act": act,
        "typed": filled.values if filled else None,
        "trial": trial,
    }
    name = {"edit": "feed_edit", "test": "feed_test"}.get(act, "feed_act")
    return await _show(request, ask, tx, name, values, filled.problem if filled else None)


async def _act_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    return await _act(request, ask, tx, request.path_params["feed_id"], act, filled=filled)


@routes.form(f"{HERE}/{{feed_id:uuid}}/fetch", access=FEEDS, again=_act_again)
async def fetch_by_form(feed_id: UUID, ask: Ask, tx: InTx, form: Annotated[WhyForm, Form()]) -> RedirectResponse:
    """Have it read by a job at once."""
    trigger = await service.fetch_now(tx, feed_id=FeedId(feed_id), reason=form.reason, now=ask.now)
    return RedirectResponse(f"{HERE}/{feed_id}?asked={trigger}", 303)


@routes.form(f"{HERE}/{{feed_id:uuid}}/reset", access=FEEDS, again=_act_again)
async def reset_by_form(feed_id: UUID, ask: Ask, tx: InTx, form: Annotated[WhyForm, Form()]) -> RedirectResponse:
    """Forget what is held against it."""
    await service.reset_breaker(tx, feed_id=FeedId(feed_id), reason=form.reason)
    return _to(feed_id)


@routes.form(f"{HERE}/{{feed_id:uuid}}/remove", access=FEEDS, again=_act_again)
async def remove_by_form(feed_id: UUID, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]) -> RedirectResponse:
    """Read it no more, for good."""
    await service.remove_feed(tx, feed_id=FeedId(feed_id), version=form.version, reason=form.reason)
    return RedirectResponse(HERE, 303)


@routes.form(f"{HERE}/{{feed_id:uuid}}/edit", access=FEEDS, again=_act_again)
async def change_by_form(feed_id: UUID, ask: Ask, tx: InTx, form: Annotated[FeedForm, Form()]) -> RedirectResponse:
    """Change how it is read."""
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    await service.change_feed(tx, feed_id=card.id, change=form.change(card), version=form.version, reason=form.reason)
    return _to(feed_id)


@routes.form(
    f"{HERE}/{{feed_id:uuid}}/test",
    access=FEEDS,
    again=_act_again,
    idempotency="none",
    unaudited="it changes nothing",
)
async def try_by_form(request: Request, feed_id: UUID, ask: Ask) -> HTMLResponse:
    """Ask it once, and show what would come of it."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:  # given back before anybody is asked
        card = await service.pulled_card(tx, feed_id=FeedId(feed_id))
    trial = await doors.try_feed(database, code=card.programme)
    async with database.begin(ask.actor) as tx:
        return await _act(request, ask, tx, feed_id, "test", trial=trial)


# how it is read


@routes.page(f"{HERE}/{{feed_id:uuid}}/mapping", access=READ)
async def mapping_page(
    request: Request,
    feed_id: UUID,
    ask: Ask,
    tx: InTx,
    mapping: Annotated[str | None, Query(max_length=MAPPING_MAX)] = None,
    version: Annotated[int | None, Query(ge=0)] = None,
) -> HTMLResponse:
    """Every version of how it is read; and what it would change to read it by what is typed, or as at a version."""
    return await _mapping(request, ask, tx, feed_id, mapping, version)


async def _mapping(
    request: Request,
    ask: Asking,
    tx: Tx,
    feed_id: UUID,
    typed: str | None,
    version: int | None,
    *,
    filled: Filled | None = None,
) -> HTMLResponse:
    card = await service.feed_card(tx, feed_id=FeedId(feed_id))
    versions = await service.mappings(tx, feed_id=card.id)
    known = {0: text_of({}), **{row.version: text_of(row.document) for row in versions}}
    if version is not None and version not in known:
        raise NoSuchMapping(feed_id=feed_id, version=version)
    after, problem = (known[version], None) if version is not None else _judged(request, typed)
    problem = filled.problem if filled else problem
    steps = [(row, lines_between(known.get(row.version - 1, known[0]), known[row.version])) for row in versions]
    values = {
        "card": card,
        "steps": steps,
        "typed": known[card.mapping_version] if typed is None else typed,
        "after": after,
        "lines": lines_between(known[card.mapping_version], after) if after else [],
        "version": version,
        "reason": filled.values.get("reason", "") if filled else "",
        "wrong": {"mapping": problem.detail} if problem and problem.code == BadMapping.code else wrong_of(problem),
    }
    return await _show(request, ask, tx, "mapping", values, problem)


def _judged(request: Request, typed: str | None) -> tuple[str | None, Problem | None]:
    """What was typed as it would be kept, or why it cannot be."""
    if typed is None:
        return None, None
    try:
        document = document_of(typed)
        rules.mapping_of(document, version=1)
    except BadMapping as refusal:
        return None, problems.describe(request, refusal)
    return text_of(document), None


async def _mapping_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The mapping with what was typed, and why it does not hold."""
    given = request.path_params
    return await _mapping(
        request, ask, tx, given["feed_id"], filled.values.get("mapping"), given.get("version"), filled=filled
    )


@routes.form(f"{HERE}/{{feed_id:uuid}}/mapping", access=FEEDS, again=_mapping_again)
async def map_by_form(feed_id: UUID, ask: Ask, tx: InTx, form: Annotated[MappingForm, Form()]) -> RedirectResponse:
    """Have it read by what was shown, if no other mapping holds by now."""
    document = document_of(form.mapping)
    await service.map_feed(tx, feed_id=FeedId(feed_id), document=document, reason=form.reason, seen=form.version)
    return RedirectResponse(f"{HERE}/{feed_id}/mapping", 303)


@routes.form(f"{HERE}/{{feed_id:uuid}}/mapping/{{version:int}}", access=FEEDS, again=_mapping_again)
async def revert_by_form(
    feed_id: UUID, version: Version, ask: Ask, tx: InTx, form: Annotated[VersionForm, Form()]
) -> RedirectResponse:
    """Have it read as it was at a version, if no other mapping holds by now."""
    await service.revert_mapping(tx, feed_id=FeedId(feed_id), version=version, reason=form.reason, seen=form.version)
    return RedirectResponse(f"{HERE}/{feed_id}/mapping", 303)
