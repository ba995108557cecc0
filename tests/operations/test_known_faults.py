"""Known faults of the locked libraries: each is told, and one that is known for too long fails the night."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import ClassVar

import pytest

ROOT = Path(__file__).parents[2]
OF = {"aiohttp": ["GHSA-high", "GHSA-late"], "htmx.org": ["GHSA-low"], "jinja2": ["GHSA-gone"]}
TOLD = {
    "GHSA-high": {"published": "2026-03-01T00:00:00Z", "database_specific": {"severity": "HIGH"}},
    "GHSA-late": {"published": "2026-03-02T00:00:00.123456Z", "database_specific": {"severity": "MODERATE"}},
    "GHSA-low": {"published": "2026-03-02T00:00:00Z", "summary": "answers whoever asks"},
    "GHSA-gone": {"published": "2020-01-01T00:00:00Z", "withdrawn": "2020-01-02T00:00:00Z"},
}


class Osv(BaseHTTPRequestHandler):
    """The two calls of https://google.github.io/osv.dev/api that are made; every list has pages of one."""

    asked: ClassVar[list[dict]] = []

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        self.asked += queries
        self.answer({"results": [self.page(query) for query in queries]})

    @staticmethod
    def page(query: dict) -> dict:
        numbers, at = OF.get(query["package"]["name"], []), int(query.get("page_token", 0))
        shown = {"vulns": [{"id": numbers[at], "modified": "2026-03-01T00:00:00Z"}]} if numbers else {}
        return shown | ({"next_page_token": str(at + 1)} if at + 1 < len(numbers) else {})

    def do_GET(self) -> None:
        number = self.path.rpartition("/")[2]
        self.answer({"id": number, **TOLD[number]})

    def answer(self, body: dict) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        """Nothing: the tests read what was asked."""


@pytest.fixture
def osv() -> Iterator[str]:
    Osv.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def tool() -> Iterator[ModuleType]:
    spec = spec_from_file_location("known_faults", ROOT / "tools/known_faults.py")
    assert spec and spec.loader
    found = module_from_spec(spec)
    sys.modules["known_faults"] = found  # its dataclasses look there
    spec.loader.exec_module(found)
    yield found
    del sys.modules["known_faults"]


def test_everything_locked_is_asked_about_once_and_what_is_known_too_long_fails(
    tool: ModuleType, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tool.main(osv, datetime(2026, 3, 7, 23, 59, tzinfo=UTC))
    early = capsys.readouterr().out
    asked = [(*one["package"].values(), one["version"], one.get("page_token")) for one in Osv.asked]
    severe = tool.main(osv, datetime(2026, 3, 8, tzinfo=UTC))
    told = capsys.readouterr().out
    other = tool.main(osv, datetime(2026, 4, 1, 1, tzinfo=UTC))

    assert (first, severe, other) == (0, 1, 1)
    assert "aiohttp 3" in early and "GHSA-high (until 2026-03-08)" in early and "3 known faults, 0 of them" in early
    assert "GHSA-high (too late)" in told and "GHSA-late (until 2026-04-01)" in told and "GHSA-gone" not in told
    assert "3 known faults, 3 of them for too long" in capsys.readouterr().out
    assert len(asked) == len({*asked}) and ("PyPI", "aiohttp", "1") in {(one[0], one[1], one[3]) for one in asked}
    locked = tool.parts(ROOT)
    assert {one.ecosystem for one in locked} == {"PyPI", "npm"} and len(locked) > 100
    pinned = (ROOT / "requirements.lock").read_text().count("\n    --hash")  # at least one a library
    assert 50 < len([one for one in locked if one.ecosystem == "PyPI"]) <= pinned


def test_who_cannot_ask_says_so_and_proves_nothing(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main("http://127.0.0.1:9") == 2
    assert "could not be asked" in capsys.readouterr().out
