"""The browser edge: every kind of answer carries the same headers."""

import httpx2
import pytest

from palio.ui.routes import Routes
from tests.ui import preview
from tests.ui.conftest import talk_to

EDGE = {
    "content-security-policy": "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
broken = Routes("broken")


@broken.page("/broken", access="public")
async def get_broken() -> str:
    raise RuntimeError("secret of the house")


def edge_of(answer: httpx2.Response) -> dict[str, str]:
    return {name: answer.headers.get(name, "") for name in EDGE}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/races/38", 200),
        ("GET", "/races/99", 404),
        ("GET", "/nothing", 404),
        ("GET", "/problems/", 308),
        ("POST", "/problems", 403),
        ("POST", "/api/v1/openapi.json", 405),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/static/dist/manifest.json", 200),
        ("GET", "/static/dist/none.js", 404),
        ("HEAD", "/races/38", 200),
        ("GET", f"/{'x' * 9000}", 400),
    ],
)
async def test_every_answer_has_the_headers(client: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, edge_of(answer)) == (status, EDGE)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/races/38", "text/html; charset=utf-8"),
        ("/races/99", "text/html; charset=utf-8"),
        ("/api/v1/openapi.json", "application/json"),  # which is UTF-8, whatever is said
        ("/api/v1/nothing", "application/problem+json"),
    ],
)
async def test_what_is_text_says_how_it_is_written(client: httpx2.AsyncClient, path: str, kind: str) -> None:
    answer = await client.get(path, headers={"accept": "text/html" if "html" in kind else "*/*"})
    answer.content.decode("utf-8")
    assert answer.headers["content-type"] == kind


async def test_the_answer_to_a_defect_has_them_too_and_says_nothing_of_it() -> None:
    """What happened is told once, under the id that the caller is given."""
    told = []
    async with talk_to(preview.app(broken, served=told.append)) as client:
        answer = await client.get("/broken", headers={"accept": "text/html"})

    assert (answer.status_code, edge_of(answer)) == (500, EDGE)
    assert "secret" not in answer.text and answer.headers["x-request-id"] in answer.text
    assert [(str(one.request_id), one.route, one.status, str(one.defect)) for one in told] == [
        (answer.headers["x-request-id"], "/broken", 500, "secret of the house")
    ]


async def test_strict_transport_is_asked_for_over_tls_alone(client: httpx2.AsyncClient) -> None:
    plain = await client.get("/problems")
    secure = await client.get("https://palio.test/problems")

    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_caller_keeps_its_request_id_if_it_is_one(client: httpx2.AsyncClient) -> None:
    mine = "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"
    kept = await client.get("/nothing", headers={"x-request-id": mine})
    made = await client.get("/nothing", headers={"x-request-id": "<script>"})

    assert kept.headers["x-request-id"] == kept.json()["request_id"] == mine
    assert len(made.headers["x-request-id"]) == len(mine) and made.headers["x-request-id"] != mine


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/problems/", "/problems"),
        ("/races/38/?rows=1", "/races/38?rows=1"),
        ("//evil.example/", "/evil.example"),
        ("/%5Cevil.example/", "/%5Cevil.example"),
        ("/a%0D%0ASet-Cookie:%20x/", "/a%0D%0ASet-Cookie:%20x"),
    ],
)
async def test_a_slash_at_the_end_leads_to_the_address_without_it(path: str, location: str) -> None:
    """Never to another host, whatever the path looks like."""
    async with talk_to(preview.app()) as client:
        answer = await client.get(httpx2.URL("http://palio.test", raw_path=path.encode()))

    assert (answer.status_code, answer.headers["location"]) == (308, location)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"cookie": "a=1", "sec-fetch-site": "same-origin"}, 405),
        ({"cookie": "a=1", "origin": "http://palio.test"}, 405),
        ({"authorization": "Bearer x", "origin": "https://evil.example"}, 405),
        ({"cookie": "a=1", "sec-fetch-site": "cross-site", "origin": "http://palio.test"}, 403),
        ({"cookie": "a=1", "origin": "https://evil.example"}, 403),
        ({"cookie": "a=1", "origin": "null"}, 403),
        ({"cookie": "a=1"}, 403),
    ],
)
async def test_a_change_with_a_cookie_must_come_from_our_own_page(headers: dict[str, str], status: int) -> None:
    async with talk_to(preview.app()) as client:
        answer = await client.post("/problems", headers=headers)

    assert (answer.status_code, answer.json()["code"] == "csrf_rejected") == (status, status == 403)


async def test_a_method_is_what_it_says(client: httpx2.AsyncClient) -> None:
    """Headers that would turn it into another are ignored."""
    override = {"x-http-method-override": "DELETE", "x-method-override": "DELETE"}
    read, foreign = (await client.get("/problems", headers=override), await client.options("/problems"))

    assert read.status_code == 200
    assert (foreign.status_code, foreign.headers["allow"]) == (405, "GET, HEAD")
    assert "access-control-allow-origin" not in foreign.headers


async def test_pages_are_compressed_from_one_kibibyte_on(client: httpx2.AsyncClient) -> None:
    long = await client.get("/races/38", headers={"accept-encoding": "gzip"})
    short = await client.get("/nothing", headers={"accept-encoding": "gzip"})

    assert long.headers["content-encoding"] == "gzip" and "Accept-Encoding" in long.headers["vary"]
    assert "content-encoding" not in short.headers
