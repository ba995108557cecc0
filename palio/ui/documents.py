"""Documents about the API: its description, a viewer for it, live topics, and what each refusal means."""

import json
from dataclasses import dataclass
from itertools import groupby

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from palio.kernel.errors import NotFound, Refusal
from palio.kernel.topics import LiveType, Topic
from palio.ui import asyncapi, pages, problems
from palio.ui.publication import Publication
from palio.ui.routes import Routes
from palio.ui.streams import hearing

routes = Routes("api")


@dataclass(frozen=True, slots=True)
class Entry:
    """One code, explained."""

    code: str
    title: str
    status: int
    explanation: str

    @property
    def module(self) -> str:
        """Whose it is; empty for what the whole product shares."""
        return self.code.rpartition(".")[0]


def entries() -> list[Entry]:
    """Every code of the product that can reach the wire: the general ones first, then by module."""
    found = {kind.code: _entry(kind) for kind in problems.kinds()}
    return sorted(found.values(), key=_order)


def _order(entry: Entry) -> tuple[str, int, str]:
    return entry.module, entry.status, entry.code


def _entry(kind: type[Refusal]) -> Entry:
    return Entry(kind.code, problems.title_of(kind.code), problems.status_of(kind), kind().detail)


@routes.page("/problems", access="public")
async def list_problems(request: Request) -> HTMLResponse:
    """Everything that can be refused."""
    found = groupby(entries(), key=lambda entry: entry.module)
    return pages.render(request, "problems.html", {"groups": [(module, list(group)) for module, group in found]})


@routes.page("/problems/{code}", access="public")
async def get_problem(request: Request, code: str) -> HTMLResponse:
    """One code, where the `type` of a problem leads. Refuses with NotFound."""
    entry = next((entry for entry in entries() if entry.code == code), None)
    if entry is None:
        raise NotFound
    return pages.render(request, "problem_kind.html", {"entry": entry})


@routes.page("/api/v1/openapi.json", access="public")
async def get_description(request: Request) -> Response:
    """The description of the API."""
    description: Publication = request.app.state.description
    return await description.respond(request)


@routes.page("/api/v1/asyncapi.json", access="public")
async def get_topics(request: Request) -> Response:
    """The description of live topics."""
    topics: Publication = request.app.state.topics
    return await topics.respond(request)


@routes.page("/api/docs/topics", access="public")
async def show_topics(request: Request) -> HTMLResponse:
    """Every topic, who may hear it, and what is told there."""

    def example(kind: LiveType, topic: Topic) -> str:
        return json.dumps(asyncapi.event_of(kind, topic), indent=2)

    values = {"topics": hearing.of(request).topics, "example": example}
    return pages.render(request, "live_topics.html", values)


@routes.page("/api/docs", access="public")
async def show_viewer(request: Request) -> HTMLResponse:
    """The viewer, from our own static files."""
    return pages.render(request, "api_docs.html", {})
