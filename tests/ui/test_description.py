"""The description of the API is made of what the routes declare."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from fastapi import Request
from starlette.responses import Response

from palio.entry import web
from palio.ui import description
from palio.ui.publication import Publication
from palio.ui.routes import Routes
from tests.ui.conftest import talk_to
from tests.ui.preview import app
from tests.ui.shop import shop

WORDS = {  # of JSON Schema 2020-12, and `discriminator` of OpenAPI
    *("$ref", "type", "enum", "const", "format", "title", "description", "default", "examples", "discriminator"),
    *("anyOf", "oneOf", "allOf", "not", "properties", "patternProperties", "additionalProperties", "propertyNames"),
    *("required", "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern"),
    *("writeOnly", "readOnly", "deprecated", "contentMediaType", "contentEncoding"),
}


@pytest.fixture
async def document() -> dict[str, object]:
    async with talk_to(app(shop)) as client:
        return (await client.get("/api/v1/openapi.json")).json()


async def test_a_call_states_its_name_its_access_and_what_it_refuses(document) -> None:
    call = document["paths"]["/api/v1/items"]["get"]

    assert document["openapi"] == "3.1.0"
    assert (call["operationId"], call["summary"], call["x-access"]) == ("store_list_items", "List items.", "public")
    assert {name: call[name] for name in ("x-scope", "x-idempotency", "x-tier", "x-mcp")} == {
        "x-scope": "none",
        "x-idempotency": "none",
        "x-tier": "core",
        "x-mcp": "none",
    }
    assert "store.sold_out" in call["x-problems"]
    shown = call["responses"]["409"]["content"]["application/problem+json"]["examples"]["store.sold_out"]
    assert shown == {"$ref": "#/components/examples/store.sold_out"}
    example = document["components"]["examples"]["store.sold_out"]["value"]
    assert (example["code"], example["status"], example["type"]) == ("store.sold_out", 409, "/problems/store.sold_out")


async def test_a_call_that_changes_something_takes_a_key_and_a_body(document) -> None:
    call = document["paths"]["/api/v1/orders"]["post"]
    (key,) = call["parameters"]

    assert (call["x-idempotency"], key["name"], key["in"], key["required"]) == (
        "optional",
        "Idempotency-Key",
        "header",
        False,
    )
    assert call["requestBody"]["content"].keys() == {"application/json"}
    assert {"idempotency_key_reused", "csrf_rejected", "malformed_json", "rate_limited"} <= {*call["x-problems"]}


async def test_every_reference_leads_somewhere_and_no_keyword_is_of_a_later_version(document) -> None:
    text = json.dumps(document)
    named = set(re.findall(r'"#/components/(schemas|examples)/([^"]+)"', text))

    assert {kind for kind, _ in named} == {"schemas", "examples"}
    assert {name for kind, name in named if name not in document["components"][kind]} == set()
    assert "itemSchema" not in text and "HTTPValidationError" not in text


async def test_a_document_is_made_once_and_sent_again_only_to_whoever_lacks_it() -> None:
    """Twenty ask at once, and one more who has it by then."""
    made = []

    def make() -> bytes:
        made.append(1)
        return b'{"openapi": "3.1.0"}'

    publication = Publication(make)
    loose = Routes("loose")

    @loose.page("/document", access="public")
    async def show(request: Request) -> Response:
        """The document."""
        return await publication.respond(request)

    async with talk_to(app(loose)) as client:
        answers = await asyncio.gather(*(client.get("/document") for _ in range(20)))
        plain = await client.get("/document", headers={"Accept-Encoding": "identity"})
        again = await client.get("/document", headers={"If-None-Match": plain.headers["etag"]})

    assert len(made) == 1
    assert {(one.headers["content-encoding"], one.content) for one in answers} == {("gzip", plain.content)}
    assert "content-encoding" not in plain.headers and plain.json() == {"openapi": "3.1.0"}
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", plain.headers["etag"])


def test_what_is_not_described_is_not_read_for_it() -> None:
    """Pages, forms and tables are more than half of all routes, and reading one takes milliseconds."""
    some = Routes("some")

    @some.page("/things", access="public")
    async def show_things() -> Response:
        """A page."""
        return Response()

    @some.get("/things", access="public", example={"items": [{"id": 1}], "next": None, "prev": None})
    async def list_things() -> dict[str, list[dict[str, int]]]:
        """List things."""
        return {"items": []}

    document = json.loads(description.describe([some]))

    assert document["paths"].keys() == {"/api/v1/things"}
    assert {(type(one).__name__, one.path): "dependant" in vars(one) for one in some.all} == {
        ("Page", "/things"): False,
        ("Call", "/api/v1/things.csv"): False,
        ("Call", "/api/v1/things"): True,
    }


async def test_the_viewer_is_ours(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/api/docs")).text

    assert 'data-document="/api/v1/openapi.json"' in page
    assert re.findall(r'(?:src|href)="(?!/)', page) == ['href="']


async def test_a_call_says_how_to_prove_who_one_is(document) -> None:
    schemes = document["components"]["securitySchemes"]
    paths = document["paths"]

    assert paths["/api/v1/items"]["get"]["security"] == [{}, {"session": []}, {"bearer": []}]
    named = {name for path in paths.values() for call in path.values() for way in call["security"] for name in way}
    assert named <= schemes.keys()


def schemas_of(part: object) -> Iterator[dict[str, Any]]:
    """Every schema of the document: those that have a name, those of parameters, of bodies and of answers."""
    if isinstance(part, list):
        for one in part:
            yield from schemas_of(one)
    elif isinstance(part, dict):
        if isinstance(part.get("schema"), dict):
            yield part["schema"]
        for name, one in part.items():
            if name not in {"schema", "schemas", "example", "examples"}:
                yield from schemas_of(one)


def parts_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all those in it."""
    yield schema
    inner = [schema.get(name) for name in ("items", "additionalProperties", "propertyNames", "not")]
    inner += [one for name in ("anyOf", "oneOf", "allOf", "prefixItems") for one in schema.get(name, [])]
    inner += [one for name in ("properties", "patternProperties") for one in schema.get(name, {}).values()]
    for one in inner:
        if isinstance(one, dict):
            yield from parts_of(one)


def test_every_schema_of_the_product_is_written_in_the_words_of_its_dialect() -> None:
    """A word that it does not know is no mistake to a reader: what it was to say is lost."""
    document = json.loads(description.describe(web.MODULES))
    whole = [*document["components"]["schemas"].values(), *schemas_of(document["paths"])]

    for schema in whole:
        jsonschema_rs.meta.validate(schema)
    words = {word for schema in whole for part in parts_of(schema) for word in part}
    assert words <= WORDS


def test_every_answer_of_the_product_is_described() -> None:
    """What is done is described with its shape and an example, whatever the status, unless there is nothing to say."""
    document = json.loads(description.describe(web.MODULES))
    calls = [(f"{method} {path}", call) for path, one in document["paths"].items() for method, call in one.items()]
    silent, several = [], {}
    for name, call in calls:
        done = {int(status): answer for status, answer in call["responses"].items() if int(status) < 400}
        told = {status: answer["content"] for status, answer in done.items() if status not in {204, 303, 304}}
        silent += [f"{name} {status}" for status, content in told.items() if not content]
        for content in told.values():
            kinds = {media_type: part for media_type, part in content.items() if media_type.endswith("json")}
            silent += [f"{name} {kind}" for kind, part in kinds.items() if "schema" not in part]
        if {*told} > {200} or len(told) > 1:
            several[call["operationId"]] = {*told}
    assert silent == []
    assert several["identity_register_user"] == {201, 202}
    assert several["identity_reveal_value"] == {200, 202}
    assert several["identity_give_role"] == {201, 202}
    reads = [call["responses"] for name, call in calls if name.startswith("get ") and "/stream" not in name]
    assert [one for one in reads if "304" not in one and "application/json" in one["200"]["content"]] == []


def test_other_answers_of_a_call_have_its_shape_and_an_example() -> None:
    document = json.loads(description.describe(web.MODULES))
    register = document["paths"]["/api/v1/auth/register"]["post"]["responses"]
    taken, begun = [register[status]["content"]["application/json"] for status in ("202", "201")]
    assert taken["schema"] == begun["schema"] == {"$ref": "#/components/schemas/Registered"}
    assert (taken["example"]["session"], begun["example"]["session"]["kind"]) == (None, "browser")
    away = document["paths"]["/api/v1/auth/{provider}/callback"]["get"]["responses"]["303"]
    assert away == {"description": "The way goes on at the address in `Location`", "content": {}}


def test_bulk_comes_as_lines_too() -> None:
    """And nothing else does."""
    paths = json.loads(description.describe(web.MODULES))["paths"]
    calls = [call for path in paths.values() for call in path.values()]
    taken = {
        call["operationId"]
        for call in calls
        if "application/x-ndjson" in call.get("requestBody", {}).get("content", {})
    }

    assert taken == {"ledger_post_transfer_batch", "competitions_submit_board_scores", "competitions_submit_scores"}
