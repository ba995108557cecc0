"""Pages of staff that only show: the calendar, the prizes with their arithmetic, the pool, and the pulse of a board."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from palio import identity, ledger
from palio.competitions.console.answers import prizes_of
from palio.competitions.console.calls import READ, Id
from palio.competitions.console.editor import OF_ONE, assets_of
from palio.competitions.console.forms import AsTrial, TrialQuery, text_of, trial_of
from palio.competitions.console.lists import HasScore, Month, asset_of, gone_part, joined_part, put_part
from palio.competitions.rules import calendar, prizes
from palio.competitions.service import desk, pools, reads, showing
from palio.competitions.types import Competition, CompetitionId, JoinedState, PrizeList, Product, WantedJoined
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId
from palio.ui import console
from palio.ui.actor import Ask, InTx
from palio.ui.charts import Chart, Series
from palio.ui.paging import Paged, Paging
from palio.ui.problems import of as problem_of
from palio.ui.routes import Routes
from palio.ui.values import Asset, Blank, decimal

HERE = "/console/competitions"
CALENDAR = f"{HERE}/calendar"
TOLD = ("pool", "prizes", "kind", "split", "empty_rule")
routes = Routes("competitions")


@routes.page(CALENDAR, access=READ)
async def calendar_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    month: Annotated[Month, Blank] = None,
    product: Annotated[Product | None, Blank] = None,
) -> HTMLResponse:
    """A month with what runs in it, and what the house owes by it."""
    first = calendar.first_of(month, ask.now)
    weeks, has_more = await desk.month(tx, first=first, product=product)
    values = {
        "first": first,
        "before": calendar.neighbour(first, step=-1).strftime("%Y-%m"),
        "after": calendar.neighbour(first, step=1).strftime("%Y-%m"),
        "today": ask.now.date(),
        "weeks": weeks,
        "running": list({bar.competition.id: bar.competition for week in weeks for bar in week.bars}.values()),
        "has_more": has_more,
        "product": product,
        "liabilities": [(each, (await assets_of(tx))[each.asset]) for each in await desk.liabilities(tx, now=ask.now)],
    }
    return await console.render(request, ask, tx, "competitions/console/calendar.html", values, present=CALENDAR)


@routes.page(f"{OF_ONE}/prizes", access=READ)
async def prizes_page(
    request: Request, competition_id: Id, ask: Ask, tx: InTx, page: Paged, asked: AsTrial
) -> HTMLResponse:
    """What each place has won and why, or would win now, or with other prizes: nothing is written."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    asset = await asset_of(tx, competition)
    after, limit = page.span()
    found, problem = None, None
    try:
        trial = trial_of(asked, asset)
        found = await desk.prize_list(tx, competition_id=competition.id, trial=trial, limit=limit, after=after)
    except Refusal as refusal:
        problem = problem_of(request, refusal)
    values = {
        **_head(competition, asset, "prizes"),
        "found": found,
        "rows": prizes_of(found, asset) if found else [],
        "whys": [row.why for row in found.rows] if found else [],
        "typed": _typed(asked, competition, asset),
        "is_trial": any(getattr(asked, name) for name in ("pool", "prizes", "empty_rule")),
        "query": urlencode({name: value for name in TOLD if (value := getattr(asked, name))}),
        "ends": _ends(found, after, page),
    }
    name = "competitions/console/prizes.html"
    return await console.render(request, ask, tx, name, values, present=HERE, problem=problem)


def _ends(found: PrizeList | None, after: int, page: Paging) -> tuple[str | None, str | None]:
    if found is None:
        return None, None
    return page.around(after + 1, after + len(found.rows), of=found.paid)


def _typed(asked: TrialQuery, competition: Competition, asset: Asset) -> TrialQuery:
    """What is tried, or what there is to begin with."""
    rule = prizes.read(competition.prize_rule)
    if asked.prizes:
        return asked
    return replace(asked, prizes=text_of(rule, asset), kind=rule.kind, split=rule.split)


@routes.page(f"{OF_ONE}/pool", access=READ)
async def pool_page(request: Request, competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """What came into the pool, how it was split, and what of it left again."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    asset = await asset_of(tx, competition)
    part = await put_part(tx, competition.id, page)
    values = {
        **_head(competition, asset, "pool"),
        "part": part,
        "sums": (await pools.pool_sums(tx, competition_ids=[competition.id]))[competition.id],
        "holds": await ledger.balance(tx, address=competition.pool_address, asset=asset.code),
        "names": await _names(tx, (put.payer_id for put in part.rows)),
    }
    return await console.render(request, ask, tx, "competitions/console/pool.html", values, present=HERE)


@routes.page(f"{OF_ONE}/take-backs", access=READ)
async def take_backs_page(request: Request, competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """What left the pool again before prizes did."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    part = await gone_part(tx, competition.id, page)
    values = {
        **_head(competition, await asset_of(tx, competition), "pool"),
        "part": part,
        "names": await _names(tx, (gone.payer_id for gone in part.rows)),
    }
    return await console.render(request, ask, tx, "competitions/console/take_backs.html", values, present=HERE)


@routes.page(f"{OF_ONE}/participants", access=READ)
async def participants_page(
    request: Request,
    competition_id: Id,
    ask: Ask,
    tx: InTx,
    page: Paged,
    state: Annotated[JoinedState | None, Blank] = None,
    has_score: Annotated[HasScore, Blank] = None,
) -> HTMLResponse:
    """Who takes part, left, is invited or was taken out, with a score or without."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    part = await joined_part(tx, competition, WantedJoined([state] if state else (), has_score), page)
    said = {"state": state, "has_score": None if has_score is None else str(has_score).lower()}
    values = {
        **_head(competition, await asset_of(tx, competition), "participants"),
        "part": part,
        "asked": said,
        "query": urlencode({name: value for name, value in said.items() if value}),
        "staff": await _names(tx, (UserId(one.decided_by) for one in part.items if one.decided_by)),
    }
    return await console.render(request, ask, tx, "competitions/console/participants.html", values, present=HERE)


@routes.page(f"{OF_ONE}/monitor", access=READ)
async def monitor_page(request: Request, competition_id: Id, ask: Ask, tx: InTx) -> HTMLResponse:
    """How scores come in: by minute, how late, and what is odd about them."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    found = await desk.watched(tx, competition=competition, now=ask.now)
    odd = {each.entrant_id for each in found.odd}
    values = {
        **_head(competition, await asset_of(tx, competition), "monitor"),
        "watched": found,
        "names": await showing.names_of(tx, people=await reads.entrants_many(tx, list(odd))),
        "score": lambda value: format(decimal(value, competition.score_scale), "f"),
    }
    name = "competitions/console/monitor.html"
    return await console.render(request, ask, tx, name, values, present=HERE, block="monitor")


@routes.page(f"{OF_ONE}/monitor/chart", access=READ)
async def draw_monitor(competition_id: Id, ask: Ask, tx: InTx) -> JSONResponse:
    """The changes of the last hour by minute, to be drawn."""
    competition = await reads.get(tx, competition_id=CompetitionId(competition_id))
    found = await desk.watched(tx, competition=competition, now=ask.now)
    drawn = Chart(
        tuple(f"{each.at:%H:%M}" for each in found.per_minute),
        (Series("changes", "bar", tuple(float(each.changes) for each in found.per_minute)),),
    )
    return JSONResponse(asdict(drawn))


def _head(competition: Competition, asset: Asset, part: str) -> dict[str, object]:
    """What every page of one competition has on top."""
    return {"competition": competition, "asset": asset, "part_name": part}


async def _names(tx: Tx, ids: Iterable[UserId | None]) -> dict[UserId, str]:
    wanted = list({user_id for user_id in ids if user_id})
    return dict(await identity.names(tx, ids=wanted)) if wanted else {}
