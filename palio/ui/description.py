"""The description of the API: OpenAPI 3.1, from what the routes declare."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

import palio
from palio.ui import counting, problems
from palio.ui.paging import COUNT
from palio.ui.problems import Problem
from palio.ui.routes import Call, Route, Routes

SCHEMAS = "#/components/schemas/{model}"
KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
SECURITY_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-palio_session",
        "description": "A signed-in browser sends it by itself; changes must come from our pages (`Sec-Fetch-Site`).",
    },
    "console": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-palio_console",
        "description": "A browser that is signed in to the console, with a second factor, sends it by itself.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token or the access token of an app; `X-API-Token` takes an API token too.",
    },
}


def describe(modules: Sequence[Routes]) -> bytes:
    """The document as JSON."""
    routes = [route for module in modules for route in module.all if route.include_in_schema]
    document = get_openapi(
        title="Palio",
        version=palio.__version__,
        openapi_version="3.1.0",
        summary="Quests, games, races and steps with rewards, over one ledger.",
        description="Refusals are problem documents (RFC 9457); `/problems` explains every code.",
        routes=routes,
    )
    for place, status, media_type, content in _examples(routes):  # with their nulls, which the framework leaves out
        path, method = place
        document["paths"][path][method]["responses"][status]["content"][media_type] |= content
    for name in _counted(routes, document["paths"]):
        document["components"]["schemas"][name]["properties"][COUNT] = counting.SCHEMA
    problem = TypeAdapter(Problem).json_schema(ref_template=SCHEMAS, mode="serialization")
    parts = problem.pop("$defs")
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(parts | {"Problem": problem})
    components["examples"] = _problems(routes)
    components["securitySchemes"] = SECURITY_SCHEMES
    return json.dumps(_of_version_3_1(document), ensure_ascii=False, sort_keys=True).encode()


def _examples(routes: Sequence[Route]) -> Iterator[tuple[tuple[str, str], str, str, dict[str, object]]]:
    for route in routes:
        for status, answer in route.responses.items():
            for media_type, content in answer["content"].items():
                method = next(iter(route.methods or ())).lower()
                yield (route.path_format, method), str(status), media_type, content


def _problems(routes: Sequence[Route]) -> dict[str, dict[str, object]]:
    """An example of each refusal: calls refuse the same so often that each with its own made most of the document."""
    refused = {kind for route in routes for kind in route.refuses}
    return {kind.code: {"value": problems.example_of(kind)} for kind in refused}


def _counted(routes: Sequence[Route], paths: dict[str, Any]) -> set[str]:
    """The schemas of lists that also say how many rows they have, where they are asked."""
    pages = [one.path_format for one in routes if isinstance(one, Call) and one.is_paged]
    answers = [paths[path]["get"]["responses"]["200"]["content"] for path in pages]
    return {answer["application/json"]["schema"]["$ref"].rpartition("/")[2] for answer in answers}


def _of_version_3_1(part: object) -> object:
    """The document in the keywords of its version.

    Without `itemSchema`, which is of OpenAPI 3.2 and the framework writes for streams; limits of numbers that are read
    from text, which the framework leaves in its own words, are named as JSON Schema has them.
    """
    if isinstance(part, dict):
        return {
            KEYWORDS.get(name, name) if isinstance(value, int | float) else name: _of_version_3_1(value)
            for name, value in part.items()
            if name != "itemSchema"
        }
    return [_of_version_3_1(value) for value in part] if isinstance(part, list) else part
