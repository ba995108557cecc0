"""The description of the API is made of what the routes declare."""

import json
import re

import httpx2
import pytest

from tests.ui.conftest import talk_to
from tests.ui.preview import app
from tests.ui.shop import shop


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
    example = call["responses"]["409"]["content"]["application/problem+json"]["examples"]["store.sold_out"]["value"]
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
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))

    assert named <= document["components"]["schemas"].keys()
    assert "itemSchema" not in text and "HTTPValidationError" not in text


async def test_the_viewer_is_ours(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/api/docs")).text

    assert 'data-document="/api/v1/openapi.json"' in page
    assert re.findall(r'(?:src|href)="(?!/)', page) == ['href="']
