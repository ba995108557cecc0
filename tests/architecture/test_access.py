"""Every route and every kind of caller, over HTTP: who may gets on, who may not is told so, by what the route declares.

A route is in the matrix by being in the application. Those of `tests/ui/till.py` are in it too, so that every kind of
declaration is asked whatever the product offers at present.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx2
import psycopg
import pytest

from palio.admin import Desk
from palio.competitions.web import Scorer
from palio.entry import desk, recipients, web, wiring
from palio.entry.approving import COMMANDS
from palio.infra import embedded
from palio.infra.db import Database
from palio.infra.realtime import Hub
from palio.kernel.settings import Catalogue
from palio.ledger.web import Teller
from palio.races.web import Views
from palio.ui import actor
from palio.ui.access import NO_SCOPE, NO_TOKEN
from palio.ui.edge import SAFE_METHODS
from palio.ui.files import Files
from palio.ui.guard import Guard
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors
from palio.ui.routes import Call, Form, Hook, Page, Route, takes_version
from palio.ui.site import assemble
from palio.ui.streams import Streams
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import ALICE, BOB, NOW, OURS, STELLA, caller
from tests.ui.till import till

MODULES = [*web.MODULES, till]
ROUTES = [route for module in MODULES for route in module.all]
GUARD = Guard(bytes(32))
UNSEEN = re.compile(r"/stream$")  # goes on for ever once it has begun
EXAMPLES = {"uuid": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", "int": "1", "": "x", "path": "x"}
OF_PLAYERS = {"player", "owner"}
LET_IN = "let in"
EVERY_ROW = """select string_agg(format(
    'select %L, count(*), sum(hashtextextended(t::text, 0)::numeric) from %s t', c.oid::regclass, c.oid::regclass),
    ' union all ' order by c.oid)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema')"""


@dataclass(frozen=True)
class Kind:
    """A kind of caller: what it is, and whether it holds the permission or the scope that a route may want."""

    name: str
    kind: str | None = None
    has_permission: bool = False
    is_token: bool = False
    has_scope: bool = False
    has_second_factor: bool = True
    is_service: bool = False

    def headers(self, route: Route) -> dict[str, str]:
        if self.kind is None:
            return {}
        user = STELLA if self.kind == "staff" else BOB if self.name == "another player" else ALICE
        return caller(
            self.kind,  # type: ignore[arg-type]  # one of the kinds below
            user,
            permissions=route.access if self.has_permission else "",
            scopes=(route.rules.terms.scope if self.has_scope else "mcp:read") if self.is_token else None,
            mfa=self.has_second_factor,
            step_up=True,
            is_service=self.is_service,
        )

    def code(self, route: Route) -> str | None:
        """What this caller is refused with, read off the declaration as the specification has it."""
        access, scope, method = route.access, route.rules.terms.scope, method_of(route)
        if isinstance(route, Hook):
            return None
        if self.kind == "viewer" and method not in SAFE_METHODS and not route.rules.terms.for_viewers:
            return "impersonation_read_only"
        if access in OF_PLAYERS and self.kind not in {"player", "viewer"}:
            return "unauthenticated"
        if access not in {"public", *OF_PLAYERS}:
            if self.kind is None:
                return "unauthenticated"
            if self.kind != "staff" and not (self.is_service and route.rules.terms.for_services):
                return "permission_missing"
            if not self.has_second_factor and not self.is_token:
                return "mfa_required"
            if not self.has_permission:
                return "permission_missing"
        if self.is_token and scope != NO_SCOPE and (scope == NO_TOKEN or not self.has_scope):
            return "session_required" if scope == NO_TOKEN else "scope_missing"
        return None


KINDS = [
    Kind("a stranger"),
    Kind("a player", "player"),
    Kind("another player", "player"),
    Kind("a player's token with the scope", "player", is_token=True, has_scope=True),
    Kind("a player's token without", "player", is_token=True),
    Kind("staff looking as a player", "viewer"),
    Kind("staff without the permission", "staff"),
    Kind("staff with it", "staff", has_permission=True),
    Kind("staff with it and no second factor", "staff", has_permission=True, has_second_factor=False),
    Kind("a staff token with the scope", "staff", has_permission=True, is_token=True, has_scope=True),
    Kind("a staff token without", "staff", has_permission=True, is_token=True),
    Kind("a service with permission and scope", "player", True, is_token=True, has_scope=True, is_service=True),
    Kind("a service without the scope", "player", True, is_token=True, is_service=True),
    Kind("a service without the permission", "player", is_token=True, has_scope=True, is_service=True),
    Kind("a player's token with a permission", "player", True, is_token=True, has_scope=True),
]


def method_of(route: Route) -> str:
    return next(iter(route.methods or ()))


def name_of(route: Route) -> str:
    return f"{method_of(route)} {route.path}"


def address_of(route: Route) -> str:
    return re.sub(r"\{\w+(?::(\w+))?\}", lambda found: EXAMPLES[found[1] or ""], route.path)


@pytest.fixture(scope="module")
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    state = {
        "database": database,
        "pages": Pages(Languages()),
        "files": Files(DIST.parent),
        "streams": Streams(Hub(""), None),
        "cursors": Cursors(bytes(32)),
        "race_views": Views(database),
        "desk": Desk(Catalogue(wiring.SETTINGS), COMMANDS, desk.QUEUES, desk.PANELS),
        "frame": desk.frame(),
        "people": desk.Names(),
        "causes": web.CAUSES,
        "teller": Teller(database),
        "scorer": Scorer(database),
        "find_recipient": recipients.find,
    }
    app = assemble(MODULES, state=state, served=lambda served: None, identify=people.identify, key=bytes(32))
    async with talk_to(app) as client:
        yield client


def body_of(route: Route, headers: dict[str, str]) -> dict[str, object]:
    """A body that no handler takes: whoever is let in is told what is wrong with it."""
    if isinstance(route, Form):
        user = headers.get("test-user")
        session = people.SESSIONS[next(each for each in people.SESSIONS if str(each) == user)] if user else None
        token = GUARD.token(actor.Asking(people_actor(), NOW, session_id=session)) if session else ""
        return {"data": {"csrf_token": token, "no-such-field": "1"}}
    return {"json": {"no-such-field": 1}} if route.body_field is not None else {}


def people_actor() -> actor.Actor:
    return actor.Actor("player", ALICE, EXAMPLES["uuid"])  # type: ignore[arg-type]  # only the session matters


@dataclass(frozen=True)
class TurnedAway:
    """What everybody was told of each route who may not have it, and the tables that are not as they were before."""

    told: Mapping[str, Mapping[str, str]]
    changed: set[str]


@pytest.fixture(scope="module")
async def turned_away(client: httpx2.AsyncClient, cluster: embedded.Cluster, database_name: str) -> TurnedAway:
    """All of them before anybody is let in: to look at every row after each of them would take too long."""
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as server:
        [whole] = server.execute(EVERY_ROW).fetchone() or [""]
        before = {*server.execute(whole).fetchall()}
        told = {
            name_of(route): {kind.name: await ask(client, route, kind) for kind in KINDS if kind.code(route)}
            for route in ROUTES
        }
        after = {*server.execute(whole).fetchall()}
    return TurnedAway(told, {table for table, *_ in before ^ after})


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_whoever_may_gets_on_and_nobody_else(
    client: httpx2.AsyncClient, turned_away: TurnedAway, route: Route
) -> None:
    """Every kind of caller in one test: thousands of tests would cost more than what they ask."""
    allowed = [kind for kind in KINDS if not kind.code(route)]
    if isinstance(route, Hook) or UNSEEN.search(route.path):
        allowed = []
    answers = {**turned_away.told[name_of(route)]} | {kind.name: await ask(client, route, kind) for kind in allowed}
    assert answers == {kind.name: kind.code(route) or LET_IN for kind in KINDS if kind.code(route) or kind in allowed}


def test_who_is_turned_away_has_changed_nothing(turned_away: TurnedAway) -> None:
    assert sum(map(len, turned_away.told.values())) > 1_000
    assert turned_away.changed == set()


async def ask(client: httpx2.AsyncClient, route: Route, kind: Kind) -> str:
    """The code that this caller is refused with, or that it was let in."""
    headers = kind.headers(route)
    answer = await client.request(
        method_of(route), address_of(route), headers={**headers, **OURS}, **body_of(route, headers)
    )
    if answer.status_code not in {401, 403}:
        return LET_IN
    code = answer.json()["code"]
    is_sound = (answer.status_code == 401) == (code == "unauthenticated")
    return code if is_sound else f"{answer.status_code} {code}"


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_a_route_is_declared_through_routes(route: Route) -> None:
    """Only those judge who asks; what changes something is a call or a form."""
    assert isinstance(route, Call | Page | Form | Hook)
    assert method_of(route) in SAFE_METHODS or isinstance(route, Call | Form | Hook)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_the_console_is_for_staff_and_staff_are_there_only(route: Route) -> None:
    is_of_the_console = route.path.startswith(("/api/v1/console/", "/console/")) or route.path == "/console"
    is_for_staff = route.access not in {"public", *OF_PLAYERS}
    is_for_programs = route.rules.terms.for_services
    assert is_of_the_console == (is_for_staff and not is_for_programs) or route.path.startswith("/console/sign-in")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.must_be_audited], ids=name_of)
def test_what_staff_do_is_written_down_in_the_transaction_of_the_request(route: Route) -> None:
    """`Route.audited` looks at it before the commit: a handler that begins transactions of its own escapes it."""
    calls = {each.call for each in route.dependant.dependencies}
    assert actor.open_tx in calls, "take InTx, or say in `unaudited` why this leaves no audit row"


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.path.startswith("/api/v1/console/")],
    ids=name_of,
)
def test_staff_change_only_a_version_they_have_seen(route: Route) -> None:
    assert method_of(route) not in {"PUT", "PATCH", "DELETE"} or takes_version(route)
