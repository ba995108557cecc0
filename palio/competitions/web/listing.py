"""Pages of competitions as lists: what is on, what comes, what was, and what somebody is invited to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse

from palio.competitions.schemas.cards import Card, Group
from palio.competitions.schemas.competitions import EndedAnswer, part_of, shown_of
from palio.competitions.service import entering, showing
from palio.competitions.types import Line, Product, Status, Wanted
from palio.competitions.web import addresses
from palio.competitions.web.competitions import Month, State, Year
from palio.infra.db import Tx
from palio.kernel.parts import Cut, Part
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Blank

GROUPS: tuple[Status, ...] = ("live", "upcoming", "settling")
SHOWN_OF_GROUP, SHOWN = 24, 48
PLAYERS = ("player", "viewer")
routes = Routes("competitions")

OfProduct: TypeAlias = Annotated[Product | None, Blank]
OfState: TypeAlias = Annotated[State | None, Blank]


@routes.page("/competitions", access="public")
async def competitions_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, product: OfProduct = None, status: OfState = None
) -> HTMLResponse:
    """What is on and what comes, or all that is in one state."""
    query = _query({"product": product, "status": status})
    page = replace(page, limit=SHOWN)
    states = (status,) if status else GROUPS
    found = {
        state: await showing.listed(
            tx,
            wanted=Wanted([state], [product] if product else ()),
            part=part_of(page) if status else Part(SHOWN_OF_GROUP),
        )
        for state in states
    }
    invitations = await _invitations(request, tx, ask) if not status else []
    groups = [await _group(request, tx, ask, state, lines, invitations) for state, lines in found.items()]
    shown = shown_of(found[states[0]], page) if status else None
    values = {
        "groups": [group for group in groups if group.cards],
        "invitations": invitations,
        "product": product,
        "status": status,
        "query": query,
        "older": shown and shown.next,
        "newer": shown and shown.prev,
        "now": ask.now,
    }
    return pages.render(request, "competitions/competitions.html", values, block="competitions")


@routes.page("/competitions/archive", access="public")
async def archive_page(
    request: Request,
    tx: InTx,
    page: Paged,
    year: Annotated[Year, Blank] = None,
    month: Annotated[Month, Blank] = None,
    product: OfProduct = None,
) -> HTMLResponse:
    """The competitions that are over, with those who were first."""
    wanted = Wanted(products=[product] if product else (), year=year, month=month, is_archived=True)
    found = await showing.listed(tx, wanted=wanted, part=part_of(page))
    shown = shown_of(found, page)
    query = _query({"year": year, "month": month, "product": product})
    cards = await _cards(request, tx, None, shown.rows)
    ended = [EndedAnswer.of(line, line.archived) for line in shown.rows if line.archived]
    values = {
        "rows": list(zip(cards, ended, strict=True)),
        "year": year,
        "month": month,
        "product": product,
        "query": query,
        "older": shown.next,
        "newer": shown.prev,
    }
    return pages.render(request, "competitions/archive.html", values, block="archive")


async def _group(
    request: Request, tx: Tx, ask: Asking, status: Status, found: Cut[Line], invitations: Sequence[Card]
) -> Group:
    """Of what runs, that which ends first stands first; of what comes, that which begins first.

    What somebody is invited to stands above, and not here again.
    """
    above = {card.competition.id for card in invitations}
    cards = await _cards(request, tx, ask, [line for line in found.rows if line.competition.id not in above])
    cards.sort(key=lambda card: card.competition.starts_at if status == "upcoming" else card.competition.ends_at)
    return Group(status, tuple(cards), found.has_older)


async def _cards(request: Request, tx: Tx, ask: Asking | None, lines: Sequence[Line]) -> list[Card]:
    competitions = [line.competition for line in lines]
    shown_at = await addresses.pages_of(request, tx, competitions)
    user_id = ask.actor.user_id if ask and ask.actor.kind in PLAYERS else None
    ids = [each.id for each in competitions]
    known = await entering.participations_many(tx, ids, user_id=user_id) if user_id else {}
    return [Card.of(line, shown_at[line.competition.id], known.get(line.competition.id)) for line in lines]


async def _invitations(request: Request, tx: Tx, ask: Asking) -> list[Card]:
    """What whoever reads is invited to and has not joined."""
    if ask.actor.user_id is None or ask.actor.kind not in PLAYERS:
        return []
    found = await entering.invitations(tx, user_id=ask.actor.user_id, now=ask.now)
    return await _cards(request, tx, ask, await showing.lines_many(tx, found)) if found else []


def _query(given: Mapping[str, object]) -> str:
    return urlencode(sorted((name, value) for name, value in given.items() if value))
