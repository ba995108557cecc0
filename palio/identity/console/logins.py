"""Attempts to sign in, everybody's, as a list and a page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Request
from pydantic import AwareDatetime
from starlette.responses import HTMLResponse

from palio.identity.errors import NoSuchUser, WindowTooWide
from palio.identity.rules.sessions import label_of
from palio.identity.schemas import EXAMPLE_ID, MOMENT
from palio.identity.service import entries
from palio.identity.sql.entries import Entry
from palio.identity.types import AuthMethod, Outcome
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ui import console, problems
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Paged, Paging, Part
from palio.ui.routes import Routes
from palio.ui.values import Blank, Instant

PATH, HERE, READ = "/console/identity/logins", "/console/identity/logins", "identity.user.read"
LATELY = timedelta(days=7)
routes = Routes("identity")
Text = Annotated[str | None, Query(max_length=80), Blank]
Ended = Annotated[Outcome | None, Query(), Blank]


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """An attempt to sign in; where it came from stays sealed. Without a user nobody has that name or address."""

    id: UUID
    at: Instant
    user_id: UUID | None
    username: str | None
    outcome: Outcome
    method: AuthMethod | None
    device: str
    is_known_device: bool

    @classmethod
    def of(cls, one: Entry) -> "EntryAnswer":
        return cls(
            *(one.id, one.at, one.user_id, one.username, one.outcome, one.method),
            *(label_of(one.user_agent), one.is_known_device),
        )


@dataclass(frozen=True, slots=True)
class EntriesAnswer:
    """Attempts to sign in, the newest first."""

    items: tuple[EntryAnswer, ...]
    next: str | None


AN_ENTRY = EntryAnswer(
    EXAMPLE_ID, MOMENT, EXAMPLE_ID, "pia_lund", "bad_credentials", "password", "Firefox on Linux", is_known_device=False
)


@routes.get(
    PATH, access=READ, scope=NO_TOKEN, example=EntriesAnswer((AN_ENTRY,), None), refuses=[NoSuchUser, WindowTooWide]
)
async def list_logins(
    tx: InTx,
    page: Paged,
    since: Annotated[AwareDatetime, Query()],
    until: Annotated[AwareDatetime, Query()],
    user: Text = None,
    ip: Text = None,
    outcome: Ended = None,
) -> EntriesAnswer:
    """List attempts to sign in within at most 92 days, of one account, from one address, or that ended so."""
    found = await _part(tx, page, since, until, user, ip, outcome)
    return EntriesAnswer(tuple(map(EntryAnswer.of, found.rows)), found.next)


async def _part(
    tx: Tx,
    page: Paging,
    since: datetime,
    until: datetime,
    user: str | None,
    ip: str | None,
    outcome: Outcome | None,
) -> Part[Entry]:
    key = page.position.key if page.position else None
    found = await entries.search(
        tx,
        since=since,
        until=until,
        user=user,
        ip=ip,
        outcome=outcome,
        behind=(datetime.fromisoformat(str(key[0])), UUID(str(key[1]))) if key else None,
        limit=page.limit + 1,
    )
    return page.part(found, lambda one: (one.at.isoformat(), str(one.id)))


@routes.page(HERE, access=READ)
async def logins_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    user: Text = None,
    ip: Text = None,
    outcome: Ended = None,
) -> HTMLResponse:
    """Attempts of the last seven days, narrowed as one likes."""
    problem, rows, older = None, tuple[EntryAnswer, ...](), None
    try:
        found = await _part(tx, page, ask.now - LATELY, ask.now + LATELY, user, ip, outcome)
        rows, older = tuple(map(EntryAnswer.of, found.rows)), found.next
    except Refusal as refusal:
        problem = problems.describe(request, refusal)
    asked = {"user": user or "", "ip": ip or "", "outcome": outcome or ""}
    values = {
        "rows": rows,
        "older": older,
        "asked": asked,
        "query": "".join(f"{urlencode({name: value})}&" for name, value in asked.items() if value),
        "outcomes": get_args(Outcome),
        "problem": problem,
    }
    status, name = problem.status if problem else 200, "identity/console/logins.html"
    return await console.render(request, ask, tx, name, values, present=HERE, status=status)
