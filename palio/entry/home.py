"""The first page: what is here, composed of what the modules offer. Who is signed in first sees what is his."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from starlette.responses import HTMLResponse

from palio import affiliates, competitions, identity, ledger, races
from palio.infra import db, logging
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.routes import Routes
from palio.ui.values import Asset

RACES_MAX, LEADERS, MINE_MAX = 8, 3, 5
PANEL_SECONDS_MAX = 0.5  # whatever takes longer is left out: the rest of the page is there
AHEAD = ("pending", "approved", "withheld", "unclaimed")  # prizes that are won and not in the wallet yet
routes = Routes("home")
log = logging.get("home")

Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Panel(Generic[Shown]):
    """A part of the page; None when it failed, which costs nothing but itself."""

    shown: Shown | None


@dataclass(frozen=True, slots=True)
class Linking:
    """How far somebody has come with his account at a programme; `request` is his last one, decided or not."""

    is_linked: bool
    request: affiliates.LinkRequest | None


@routes.page("/", access="public")
async def home(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is mine, what is on, then what comes and what was."""
    lines = await races.recent(tx, limit=RACES_MAX)
    on = next((line for line in lines if line.status == "live"), None)
    featured = await races.view(tx, number=on.number, now=ask.now, rows_max=LEADERS) if on else None
    others = [(line, Asset(line.asset, line.asset_scale)) for line in lines if line is not on]
    values = {"races": others, **_shown(featured), "now": ask.now, **await _mine(tx, ask)}
    return pages.render(request, "home.html", values, block="races")


def _shown(race: races.RaceView | None) -> dict[str, object]:
    """The race that is on, with its podium."""
    if race is None:
        return {"featured": None}
    return {
        "featured": race,
        "featured_asset": Asset(race.asset, race.asset_scale),
        "leaders": [row for row in race.rows if row.is_qualified],
        "has_trends": any(row.trend is not None for row in race.rows),
    }


async def _mine(tx: Tx, ask: Asking) -> dict[str, object]:
    """The panels of whoever is signed in; nothing for a guest."""
    user_id = ask.actor.user_id
    if user_id is None or ask.actor.kind not in {"player", "viewer"}:
        return {"is_player": False}

    async def places() -> list[tuple[races.RaceLine, races.Mine, Asset]]:
        found = await races.mine_many(tx, user_id=user_id, limit=MINE_MAX, now=ask.now)
        return [(line, own, Asset(line.asset, line.asset_scale)) for line, own in found]

    standing = await panel(tx, "places", places)
    waiting = [each for each in standing.shown or () if each[1].row.reward_status in AHEAD]
    return {
        "is_player": True,
        "places": standing,
        "waiting": waiting,
        "wallet": await panel(tx, "wallet", lambda: _wallet(tx, user_id)),
        "friend_requests": await panel(tx, "friends", lambda: identity.friend_requests(tx, user_id=user_id)),
        "linking": await panel(tx, "links", lambda: _linking(tx, user_id)),
        "invitations": await panel(
            tx, "invitations", lambda: competitions.invitations(tx, user_id=user_id, now=ask.now)
        ),
    }


async def _linking(tx: Tx, user_id: UserId) -> Linking:
    """Whether somebody is linked, and what has become of his last request."""
    links = await affiliates.links_many(tx, user_ids=[user_id])
    requests = await affiliates.requests_of(tx, user_id=user_id, limit=1)
    return Linking(bool(links), requests[0] if requests else None)


async def _wallet(tx: Tx, user_id: UserId) -> list[tuple[ledger.Wallet, Asset]]:
    """What there is of each asset that ever was in it."""
    wallets = await ledger.wallets(tx, owner_id=user_id)
    return [(wallet, Asset(wallet.asset, wallet.scale)) for wallet in wallets if wallet.last_posted_at]


async def panel(tx: Tx, name: str, work: Callable[[], Awaitable[Shown]]) -> Panel[Shown]:
    """What a part of the page shows; whatever it had begun is undone when it fails."""
    try:
        async with asyncio.timeout(PANEL_SECONDS_MAX), db.attempt(tx):
            return Panel(await work())
    except Exception:
        log.warning("a panel of the first page failed", panel=name, exc_info=True)
        return Panel(None)
