"""Pages for who builds on the API: tokens in use, limits, what can be heard, what goes away, and what streams tell."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import HTMLResponse

from palio import identity
from palio.admin import service
from palio.admin.schemas import desk_of
from palio.identity.types import TokenUse
from palio.infra import deprecations, relay, webhooks
from palio.infra.db import Tx
from palio.infra.ratelimit import Left
from palio.infra.realtime import Frame
from palio.kernel.ids import Actor
from palio.ui import console, limits
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.going import Deprecation
from palio.ui.routes import Call, Routes
from palio.ui.streams import hearing
from palio.ui.values import Instant

HERE, INSPECTOR = "/console/developers", "/console/developers/stream"
READ = "admin.developer.read"
TOKENS_MAX, FRAMES_MAX = 50, 50
DAYS_SHOWN = 30
USUAL = "races,feed,system,console:home,me:operations"
Topics = Annotated[str, Query(max_length=hearing.TOPICS_TEXT_MAX)]
routes = Routes("admin")


@dataclass(frozen=True, slots=True)
class GoingAnswer:
    """A call that goes away: since when it is said, from which day on it may be gone, and who still uses it."""

    call: str
    path: str
    since: date
    sunset: date
    link: str
    uses: tuple["UseAnswer", ...]


@dataclass(frozen=True, slots=True)
class UseAnswer:
    """Uses in the last thirty days with one API token; without a token they are those of pages and strangers."""

    key_id: UUID | None
    owner: str
    count: int
    last_at: Instant


@dataclass(frozen=True, slots=True)
class GoingCalls:
    """Every call that goes away."""

    calls: tuple[GoingAnswer, ...]


GOING = GoingCalls(
    (
        GoingAnswer(
            "races_list_standings",
            "/api/v1/races/{number}/standings",
            date(2026, 3, 1),
            date(2026, 9, 1),
            "/api/docs",
            (UseAnswer(None, "", 12, datetime.fromisoformat("2026-03-20T12:00:00Z")),),
        ),
    )
)


@routes.page(HERE, access=READ)
async def developers_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Who uses the API by what, how much of it, and what goes away."""
    tokens = await identity.tokens_in_use(tx, limit=TOKENS_MAX, now=ask.now)
    owners = [_as_its_owner(ask, one) for one in tokens]
    left = await limits.left_of(request, tx, [ask, *owners])
    values = {
        "scopes": await identity.scopes_in_use(tx, now=ask.now),
        "tokens": tokens,
        "names": await service.names_of(tx, ids={one.user_id for one in tokens}),
        "left": {one.id: _tightest(each) for one, each in zip(tokens, left[1:], strict=True)},
        "mine": left[0],
        "going": await _going(request, tx, ask),
        "types": webhooks.describe(desk_of(request).published),
        "last_sent": await webhooks.last_sent(tx),
    }
    return await console.render(request, ask, tx, "admin/developers.html", values, present=HERE)


@routes.get("/console/deprecated-calls", access=READ, example=GOING, tier="expected")
async def list_deprecated_calls(request: Request, ask: Ask, tx: InTx) -> GoingCalls:
    """List the calls that go away, and who still used them in the last thirty days."""
    return GoingCalls(tuple(await _going(request, tx, ask)))


async def _going(request: Request, tx: Tx, ask: Asking) -> list[GoingAnswer]:
    used = await deprecations.list_used(tx, since=(ask.now - timedelta(days=DAYS_SHOWN)).date())
    owners = await identity.owners_of_tokens(tx, ids={one.token_id for one in used})
    names = await service.names_of(tx, ids=set(owners.values()))
    uses: dict[str, list[UseAnswer]] = {}
    for one in used:
        is_token = one.token_id != deprecations.NO_TOKEN
        owner = names.get(owners[one.token_id], "") if one.token_id in owners else ""
        told = UseAnswer(one.token_id if is_token else None, owner, one.count, one.last_at)
        uses.setdefault(one.call, []).append(told)
    return [
        GoingAnswer(
            call.unique_id, call.path_format, said.since, said.sunset, said.link, tuple(uses.get(call.unique_id, ()))
        )
        for call, said in _declared(request)
    ]


def _declared(request: Request) -> list[tuple[Call, Deprecation]]:
    calls: list[Call] = request.app.state.calls
    found = [(one, one.rules.deprecation) for one in calls]
    return [(one, said) for one, said in found if said and one.include_in_schema]


def _as_its_owner(ask: Asking, token: TokenUse) -> Asking:
    """Who somebody is when he calls by his token, as far as limits go."""
    return replace(ask, actor=Actor("player", token.user_id, ask.actor.request_id), is_service=token.is_service)


def _tightest(left: list[Left]) -> Left | None:
    return min(left, key=lambda one: one.remaining / one.policy.quota, default=None)


@routes.page(INSPECTOR, access=READ)
async def stream_page(request: Request, ask: Ask, tx: InTx, topics: Topics = USUAL) -> HTMLResponse:
    """What was told last on some topics, and what is told while one looks."""
    asked = hearing.listed(topics.replace(" ", ""))
    chosen = await hearing.choose(request, ask, asked)
    found = await relay.latest(tx, states=chosen.states, logs=chosen.logs, owner=ask.actor.user_id, limit=FRAMES_MAX)
    values = {
        "topics": ",".join(asked),
        "heard": chosen.heard,
        "refused": [(one.facts.get("topic", ""), one.code) for one in chosen.refused],
        "frames": [_shown(one) for one in found],
        "all_topics": hearing.of(request).topics,
    }
    return await console.render(request, ask, tx, "admin/stream.html", values, present=HERE, block="frames")


def _shown(frame: Frame) -> dict[str, object]:
    return {"seq": frame.seq, "topic": frame.topic, "text": frame.data, "is_log": frame.is_log}
