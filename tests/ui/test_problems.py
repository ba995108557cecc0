"""Refusals on the wire, exactly; and input that is refused before a module sees it."""

import httpx2
import pytest

from palio.kernel.errors import NotFound
from palio.ui import problems
from tests.ui import preview
from tests.ui.conftest import talk_to
from tests.ui.shop import ID, SoldOut, shop

MINE = {"x-request-id": ID}


BAD = [("/amount", "missing"), ("/note", "string_type")]


@pytest.fixture
async def client():
    async with talk_to(preview.app(shop)) as client:
        yield client


async def test_a_refusal_is_a_problem_document(client: httpx2.AsyncClient) -> None:
    """Facts keep their types; the sentence names them; what does not apply is empty or null."""
    answer = await client.get("/api/v1/sold", headers=MINE)

    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json() == {
        "type": "/problems/store.sold_out",
        "title": "Sold out",
        "status": 409,
        "code": "store.sold_out",
        "detail": "Of bottle there are only 2 left; `Retry-After` is no help.",
        "request_id": ID,
        "facts": {
            "item": "bottle",
            "left": 2,
            "item_id": ID,
            "until": "2026-03-18T00:00:00.000000Z",
            "sizes": ["s", "m"],
        },
        "errors": [],
        "retry_after_s": None,
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_a_passing_refusal_says_when_to_come_back(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/busy")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert (answer.json()["retry_after_s"], answer.json()["facts"]) == (7, {})


async def test_people_get_a_page_and_programs_a_document(client: httpx2.AsyncClient) -> None:
    """htmx gets the middle of the page alone; below /api it is always the document."""
    browser = {"accept": "text/html,application/xhtml+xml", **MINE}
    page = await client.get("/races/99", headers=browser)
    part = await client.get("/races/99", headers={**browser, "hx-request": "true"})
    call = await client.get("/api/v1/sold", headers={"accept": "text/html, */*"})

    assert page.status_code == part.status_code == 404
    assert "<!doctype html>" in page.text and "Not found" in page.text and ID in page.text
    assert "<!doctype html>" not in part.text and 'role="alert"' in part.text
    assert call.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/api/v1/nothing", {}, 404, "not_found"),
        ("GET", "/races/99999999999999999999999", {}, 404, "not_found"),
        ("DELETE", "/api/v1/sold", {}, 405, "method_not_allowed"),
        ("GET", "/api/v1/items", {"accept": "image/png"}, 406, "not_acceptable"),
        ("GET", "/api/v1/items", {"accept": "application/json;q=0"}, 406, "not_acceptable"),
        ("POST", "/api/v1/orders", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (
            "POST",
            "/api/v1/orders",
            {"content-type": "application/json; charset=latin-1"},
            415,
            "unsupported_media_type",
        ),
        ("POST", "/api/v1/orders", {}, 415, "unsupported_media_type"),
    ],
)
async def test_what_no_handler_sees_is_a_problem_too(
    client: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.request(method, path, headers=headers)

    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, application/json;q=0.9"])
async def test_json_is_what_most_callers_accept(client: httpx2.AsyncClient, accept: str) -> None:
    assert (await client.get("/api/v1/items", headers={"accept": accept})).json() == {"limit": 50}


async def post(client: httpx2.AsyncClient, body: bytes) -> httpx2.Response:
    return await client.post("/api/v1/orders", content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"amount": NaN}', "NaN is no number"),
        (b'{"amount": -Infinity}', "-Infinity is no number"),
        (b'{"amount": 1, "amount": 2}', "the key 'amount' stands twice"),
        (b'{"a\\u006dount": 1, "amount": 2}', "the key 'amount' stands twice"),
        (b"[" * 33 + b"]" * 33, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"amount": 1} x', "extra data"),
        (b'{"amount": ', "expecting value"),
        (b'{"note": "\xff"}', "not UTF-8"),
        (b'{"note": "\\ud800"}', "half a character"),
        (b'\xef\xbb\xbf{"amount": 1}', "unexpected utf-8 bom"),
    ],
)
async def test_json_that_could_mean_two_things_is_refused(client: httpx2.AsyncClient, body: bytes, words: str) -> None:
    answer = await post(client, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert words in answer.json()["detail"]


async def test_thirty_two_levels_are_read(client: httpx2.AsyncClient) -> None:
    assert (await post(client, b"[" * 32 + b"]" * 32)).status_code == 422


@pytest.mark.parametrize(
    ("body", "code", "places"),
    [
        (b'{"amount": 1e3}', "validation_failed", [("/amount", "int_type")]),
        (b'{"amount": 1.0}', "validation_failed", [("/amount", "int_type")]),
        (b'{"amount": "5"}', "validation_failed", [("/amount", "int_type")]),
        (b'{"amount": true}', "validation_failed", [("/amount", "int_type")]),
        (b'{"amount": 1, "more": 2}', "unknown_field", [("/more", "unknown_field")]),
        (b'{"amount": 1, "at": "2026-03-18T14:05:09"}', "time_zone_required", [("/at", "time_zone_required")]),
        (b'{"note": 5, "a/b": 1}', "validation_failed", [*BAD, ("/a~1b", "unknown_field")]),
    ],
)  # fmt: skip
async def test_one_problem_names_every_place(
    client: httpx2.AsyncClient, body: bytes, code: str, places: list[tuple[str, str]]
) -> None:
    problem = (await post(client, body)).json()

    assert (problem["status"], problem["code"]) == (422, code)
    assert [(place["pointer"], place["code"]) for place in problem["errors"]] == places


@pytest.mark.parametrize(
    ("query", "code", "places"),
    [
        ("limit=0", "validation_failed", ["/limit"]),
        ("limit=201", "validation_failed", ["/limit"]),
        ("limit=1_0", "validation_failed", ["/limit"]),
        ("limit=5&limit=6", "unknown_parameter", ["/limit"]),
        ("limt=5&page=2", "unknown_parameter", ["/limt", "/page"]),
    ],
)
async def test_parameters_are_judged_like_fields(
    client: httpx2.AsyncClient, query: str, code: str, places: list[str]
) -> None:
    problem = (await client.get(f"/api/v1/items?{query}")).json()

    assert (problem["status"], problem["code"]) == (422, code)
    assert [place["pointer"] for place in problem["errors"]] == places


async def test_a_place_is_told_in_our_words(client: httpx2.AsyncClient) -> None:
    problem = (await client.get("/api/v1/items?limit=1.0")).json()

    assert [place["detail"] for place in problem["errors"]] == ["A whole number is written in plain digits."]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_has_at_most_one_mebibyte(client: httpx2.AsyncClient, is_announced: bool) -> None:
    body = b'{"amount": 1, "note": "' + b"x" * (1 << 20) + b'"}'

    async def pieces():
        yield body

    headers = {"content-type": "application/json"}
    answer = await client.post("/api/v1/orders", content=body if is_announced else pieces(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["facts"] == {"limit_bytes": 1 << 20}


async def test_a_read_that_did_not_change_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    first = await client.get("/api/v1/items")
    again = await client.get("/api/v1/items", headers={"if-none-match": first.headers["etag"]})
    other = await client.get("/api/v1/items?limit=5", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["etag"].startswith('W/"') and first.headers["cache-control"] == "public, max-age=5"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert other.status_code == 200


def test_a_refusal_has_the_title_of_its_reason_and_the_status_of_its_kind() -> None:
    assert problems.title_of("races.no_such_race") == "No such race"
    assert problems.status_of(SoldOut) == 409 and problems.status_of(NotFound) == 404


async def test_the_type_of_a_problem_is_an_address_that_explains_it(client: httpx2.AsyncClient) -> None:
    whole = await client.get("/problems")
    one = await client.get("/problems/malformed_json")
    none = await client.get("/problems/nothing_like_it")

    assert [code for kind in problems.kinds() if (code := kind.code) not in whole.text] == []
    assert "Malformed JSON" in one.text and "HTTP 400" in one.text
    assert none.status_code == 404
