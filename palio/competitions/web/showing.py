"""The page of a competition: how it stands, what it pays, who may join; and the receipt of whoever takes part."""

from dataclasses import asdict, replace
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

from fastapi import Query, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from palio import ledger
from palio.competitions.errors import Warming
from palio.competitions.rules import appeals as appealing
from palio.competitions.rules import entering as ways
from palio.competitions.rules import prizes
from palio.competitions.schemas.competitions import CompetitionAnswer, RankingAnswer
from palio.competitions.schemas.own import MyRankAnswer, chart_of, receipts_of
from palio.competitions.service import appeals, entering, mine, reads, showing
from palio.competitions.types import Competition, CompetitionId, Own, Participation, Shown
from palio.competitions.web import addresses
from palio.competitions.web.competitions import Id
from palio.competitions.web.own import user_of
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset, Blank

ROWS_MAX = 100
PODIUM_PLACES = 3
POINTS_MAX = 168  # a week by the hour
PLAYERS = ("player", "viewer")
routes = Routes("competitions")

Country: TypeAlias = Annotated[str | None, Query(pattern=r"^[A-Za-z]{2}$"), Blank]
Only: TypeAlias = Annotated[str | None, Query(pattern=r"^friends$"), Blank]


@routes.page("/competitions/{competition_id:uuid}", access="public")
async def competition_page(
    request: Request, competition_id: Id, ask: Ask, tx: InTx, page: Paged, only: Only = None, country: Country = None
) -> Response:
    """How it stands, what it pays, and who may join."""
    ours = await reads.public(tx, competition_id=CompetitionId(competition_id))
    if path := await addresses.elsewhere(request, tx, ours):
        return RedirectResponse(path, status_code=303)
    return await show(request, ask, tx, ours, page=page, only=only, country=country)


async def show(
    request: Request,
    ask: Asking,
    tx: Tx,
    competition: Competition,
    *,
    page: Paging,
    only: str | None = None,
    country: str | None = None,
    filled: Filled | None = None,
) -> HTMLResponse:
    """The page, also after something was refused. Refuses with Unauthenticated."""
    user_id = ask.actor.user_id if ask.actor.kind in PLAYERS else None
    query = urlencode({name: value for name, value in (("country", country), ("only", only)) if value})
    page = replace(page, limit=ROWS_MAX)
    own = None
    try:
        shown = await _board(tx, ask, competition, page, only=only, country=country)
        if user_id and not shown.board.is_warming:
            own = await mine.find_own(tx, competition=competition, user_id=user_id, now=ask.now)
    except Warming:  # behind a row nothing is known
        shown = await showing.outlined(tx, competition=competition, now=ask.now)
    known = await entering.participation(tx, competition_id=competition.id, user_id=user_id) if user_id else None
    ranking, after = RankingAnswer.of_shown(shown, page), shown.board.after
    is_narrowed = bool(only or country)
    first = 0 if after or is_narrowed or len(ranking.items) < PODIUM_PLACES else PODIUM_PLACES
    if any(line.rank is None for line in ranking.items[:first]):
        first = 0
    values = {
        **_of_everybody(shown),
        **await _of_way_in(tx, ask, competition, known, user_id),
        **_of_own(own),
        "shown": CompetitionAnswer.of(shown, known),
        "ranking": ranking,
        "podium_lines": ranking.items[:first],
        "lines": ranking.items[first:],
        "has_trends": any(line.trend is not None for line in ranking.items),
        "is_warming": shown.board.is_warming,
        "after": after,
        "only": only or "",
        "country": (country or "").upper(),
        "query": query,
        "is_player": user_id is not None,
        "problem": filled.problem if filled else None,
        "at": _address(request, page, filled),
        "now": ask.now,
    }
    return pages.render(request, "competitions/competition.html", values, block="competition")


async def _board(
    tx: Tx, ask: Asking, ours: Competition, page: Paging, *, only: str | None, country: str | None
) -> Shown:
    after, limit = page.cut(), page.limit
    if only:
        return await mine.of_friends(tx, competition=ours, user_id=user_of(ask), now=ask.now, limit=limit, after=after)
    if country:
        return await mine.of_country(
            tx, competition=ours, country=country.upper(), now=ask.now, limit=limit, after=after
        )
    return await showing.part_of(tx, competition=ours, now=ask.now, limit=limit, after=after)


def _of_everybody(shown: Shown) -> dict[str, object]:
    competition = shown.competition
    return {
        "competition": competition,
        "asset": Asset(competition.prize_asset, shown.asset_scale),
        "digit": competition.id.int % addresses.TEN,
        "paid_places": prizes.paid_places(shown.rule),
    }


def _of_own(own: Own | None) -> dict[str, object]:
    """My rank, and who is just above and below; of prizes only what everybody may know yet."""
    if own is None:
        return {"own": None, "beside": (), "own_id": None, "reward_status": ""}
    near = RankingAnswer.of_shown(own.around, None)
    own_id = own.rank.row.standing.entrant_id
    [row] = [row for row in own.around.board.rows if row.standing.entrant_id == own_id]
    return {
        "own": MyRankAnswer.of_rank(own.rank),
        "beside": near.items,
        "own_id": own_id,
        "own_prize": row.prize,
        "own_trend": row.trend,
        "reward_status": row.reward_status or "",
    }


async def _of_way_in(
    tx: Tx, ask: Asking, competition: Competition, known: Participation | None, user_id: UserId | None
) -> dict[str, object]:
    """Whether one may join, and what is left in the wallet after the fee."""
    counts = competition.join_mode != "auto"
    joined = await entering.active(tx, competition_id=competition.id) if counts else None
    way = ways.way_in(competition, known, ask.now, joined or 0)
    balance = None
    if user_id and competition.entry_fee and way in ("open", "invited"):
        wallets = await ledger.wallets(tx, owner_id=user_id)
        balance = next((each.available for each in wallets if each.asset == competition.prize_asset), 0)
    return {"way": way, "joined": joined, "balance": balance, "may_leave": ways.may_leave(competition, known, ask.now)}


@routes.page("/competitions/{competition_id:uuid}/me/receipt", access="owner")
async def receipt_page(request: Request, competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> Response:
    """How one's score, place and prize came about, and where to doubt it."""
    ours = await reads.public(tx, competition_id=CompetitionId(competition_id))
    if path := await addresses.elsewhere(request, tx, ours):
        return RedirectResponse(f"{path}/me/receipt", status_code=303)
    return await show_receipt(request, ask, tx, ours, page=page)


async def show_receipt(
    request: Request, ask: Asking, tx: Tx, competition: Competition, *, page: Paging, filled: Filled | None = None
) -> HTMLResponse:
    """That page, also after something was refused. Refuses with NotTakingPart, Unauthenticated."""
    user_id, ours = user_of(ask), competition.id
    _, found = await mine.receipts(tx, competition_id=ours, user_id=user_id, part=page.wanted(int).and_one)
    shown = await showing.outlined(tx, competition=competition, now=ask.now)
    try:
        own = await mine.find_own(tx, competition=competition, user_id=user_id, now=ask.now)
    except Warming:
        own = None
    doubts = await appeals.appeals_of(tx, competition_id=ours, user_id=user_id)
    history = await mine.rank_history(tx, competition_id=ours, user_id=user_id, limit=POINTS_MAX)
    values = {
        **_of_everybody(shown),
        **_of_own(own),
        "shown": CompetitionAnswer.of(shown),
        "receipts": receipts_of(found, competition.score_scale, page),
        "is_first": page.position is None,
        "won": await mine.won(tx, competition_id=ours, user_id=user_id),
        "points": history,
        "doubts": doubts,
        "may_appeal": appealing.may_open(competition, doubts),
        "typed": filled.values.get("text", "") if filled else "",
        "problem": filled.problem if filled else None,
        "at": _address(request, page, filled),
        "now": ask.now,
    }
    return pages.render(request, "competitions/receipt.html", values, block="receipt")


@routes.page("/competitions/{competition_id:uuid}/me/chart", access="owner")
async def rank_chart(competition_id: Id, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of one's own rank."""
    points = await mine.rank_history(
        tx, competition_id=CompetitionId(competition_id), user_id=user_of(ask), limit=POINTS_MAX
    )
    return JSONResponse(asdict(chart_of(points)))


def _address(request: Request, page: Paging, filled: Filled | None) -> str:
    """Where the page is had again: not where its form was sent to."""
    return page.listing.address if filled else f"{request.url.path}?{request.url.query}".rstrip("?")
