"""Attempts to sign in, everybody's, as a list and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
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
from palio.ui.paging import Listed, Paged, PagedByAt, Paging, Part, dated
from palio.ui.problems import Problem
from palio.ui.ranges import of_words
from palio.ui.routes import Routes
from palio.ui.values import Blank, Instant

PATH, HERE, READ = "/console/identity/logins", "/console/identity/logins", "identity.user.read"
LATELY = timedelta(days=7)
routes = Routes("identity")
Text = Annotated[str | None, Query(max_length=80), Blank]
Ended = Annotated[Outcome | None, Query(), Blank]
Outcomes: TypeAlias = Annotated[list[Outcome], Depends(of_words("outcome", get_args(Outcome)))]


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


AN_ENTRY = EntryAnswer(
    EXAMPLE_ID, MOMENT, EXAMPLE_ID, "pia_lund", "bad_credentials", "password", "Firefox on Linux", is_known_device=False
)


@routes.get(
    PATH, access=READ, scope=NO_TOKEN, example=Listed((AN_ENTRY,), None, None), refuses=[NoSuchUser, WindowTooWide]
)
async def list_logins(
    tx: InTx,
    page: PagedByAt,
    outcomes: Outcomes,
    since: Annotated[AwareDatetime, Query()],
    until: Annotated[AwareDatetime, Query()],
    user: Text = None,
    ip: Text = None,
) -> Listed[EntryAnswer]:
    """List attempts to sign in within at most 92 days, of one account, from one address, or that ended so."""
    return (await _part(tx, page, since, until, user, ip, outcomes)).told(EntryAnswer.of)


async def _part(
    tx: Tx,
    page: Paging,
    since: datetime,
    until: datetime,
    user: str | None,
    ip: str | None,
    outcomes: Sequence[Outcome],
) -> Part[Entry]:
    wanted = page.wanted(dated).and_one
    found = await entries.search(tx, since=since, until=until, user=user, ip=ip, outcomes=outcomes, part=wanted)
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
    problem: Problem | None = None
    shown: Part[Entry] = Part((), None, None)
    try:
        ended = [outcome] if outcome else []
        shown = await _part(tx, page, ask.now - LATELY, ask.now + LATELY, user, ip, ended)
    except Refusal as refusal:
        problem = problems.describe(request, refusal)
    asked = {"user": user or "", "ip": ip or "", "outcome": outcome or ""}
    values = {
        "rows": [EntryAnswer.of(one) for one in shown.rows],
        "older": shown.next,
        "newer": shown.prev,
        "asked": asked,
        "query": "".join(f"{urlencode({name: value})}&" for name, value in asked.items() if value),
        "outcomes": get_args(Outcome),
    }
    name = "identity/console/logins.html"
    return await console.render(request, ask, tx, name, values, present=HERE, problem=problem)
