"""Static files are served as they were built."""

import json
from pathlib import Path

import httpx2
import pytest

from palio.ui.pages import DIST
from tests.ui import preview
from tests.ui.conftest import talk_to

MANIFEST = json.loads((DIST / "manifest.json").read_text())
SCRIPT = f"/static/dist/{MANIFEST['src/app.ts']['file']}"


@pytest.mark.parametrize(
    ("accepted", "encoding", "copy"), [("gzip, br", "br", ".br"), ("gzip", "gzip", ".gz"), ("", None, "")]
)
async def test_a_stored_copy_is_sent_in_the_encoding_the_caller_takes(
    client: httpx2.AsyncClient, accepted: str, encoding: str | None, copy: str
) -> None:
    async with client.stream("GET", SCRIPT, headers={"accept-encoding": accepted}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])

    assert answer.headers.get("content-encoding") == encoding
    assert raw == (DIST / (MANIFEST["src/app.ts"]["file"] + copy)).read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_what_is_never_compressed_is_the_same_for_everybody(client: httpx2.AsyncClient) -> None:
    font = next(name for name in MANIFEST if name.endswith("latin-wght-normal.woff2"))
    answer = await client.get(f"/static/dist/{MANIFEST[font]['file']}", headers={"accept-encoding": "gzip"})

    assert (answer.headers["content-type"], answer.headers.get("vary")) == ("font/woff2", None)


async def test_a_hashed_name_holds_for_ever_and_another_is_asked_for_again(client: httpx2.AsyncClient) -> None:
    hashed = await client.get(SCRIPT)
    named = await client.get("/static/dist/manifest.json")
    known = await client.get("/static/dist/manifest.json", headers={"if-none-match": named.headers["etag"]})

    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert named.headers["cache-control"] == "no-cache"
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize("name", ["dist/.stamp", "dist/.vite/license.md", "../pages.py", "dist/../../pages.py", "dist"])
async def test_nothing_else_is_there(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(httpx2.URL("http://palio.test", raw_path=f"/static/{name}".encode()))

    assert answer.status_code == 404


async def test_what_has_vanished_since_is_not_there(tmp_path: Path) -> None:
    """A page that is still open asks for a file that a new build has taken away."""
    old = tmp_path / "old.js"
    old.write_text("1")
    async with talk_to(preview.app(files=tmp_path)) as client:
        before = await client.get("/static/old.js")
        old.unlink()
        after = await client.get("/static/old.js")

    assert (before.status_code, before.text) == (200, "1")
    assert (after.status_code, after.json()["code"]) == (404, "not_found")
