"""`palio affiliates feed …`, `feeds`, `link`, `unlink`: from the terminal to a world and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from palio.infra import keyring
from palio.sim import World
from tests.entry.conftest import Command
from tests.factories.worlds import beside

FIRST = "jOY9iXNML6GmbhGX7zgO"  # player0001
SECRET = "s3cr3t-XYZ"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world beside the commands."""
    keyring.load_or_make(tmp_path / "keys.json")
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("PALIO_SIM", "on")
    with beside(World(token=SECRET)) as world:
        yield world


def test_a_feed_is_added_tried_read_and_its_player_linked(command: Command, world: World, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET + "\n")
    words = ("affiliates", "feed", "add", world.feed_url, "--programme", "sim", "--secret-file", str(key), "--json")
    trial = command(*words[:-1], "--dry-run")
    assert (trial.status, trial.out[:24]) == (0, "Would read programme sim")
    assert command("affiliates", "feed", "test", "--programme", "sim").status == 1
    assert command(*words).status == 0
    again = command(*words)
    assert (again.status, again.answer["code"]) == (1, "affiliates.feed_exists")
    assert command(*words, "--replace").status == 0

    tried = command("affiliates", "feed", "test", "--programme", "sim")
    assert (tried.status, "127 players, 0 rows held back" in tried.out) == (0, True)
    fetched = command("affiliates", "feed", "fetch", "--programme", "sim", "--json")
    assert (fetched.status, fetched.answer["state"], fetched.answer["trigger"]) == (0, "applied", "manual")
    (listed,) = [one for one in command("affiliates", "feeds", "--json").answer if one["kind"] == "pull"]
    assert (listed["programme"], listed["breaker"], listed["last_state"]) == ("sim", "closed", "applied")
    assert (listed["secret_hint"], SECRET in str(listed)) == ("-XYZ", False)
    assert "…-XYZ" in command("affiliates", "feeds").out

    pushed = ("affiliates", "feed", "push", "--programme", "sim", "--reason", "they asked")
    secrets = [command(*pushed, "--json").answer for _ in range(2)]
    assert secrets[0]["path"] == secrets[1]["path"] and secrets[0]["secret"] != secrets[1]["secret"]
    assert secrets[0]["secret"].startswith("whsec_")
    assert command(*pushed, "--dry-run").out == "Would take lists of programme sim.\n"

    (tmp_path / "mapping.json").write_text('{"page": "page"}')
    mapped = (
        "affiliates",
        "feed",
        "mapping",
        str(tmp_path / "mapping.json"),
        "--programme",
        "sim",
        "--reason",
        "pages",
    )
    assert command(*mapped, "--dry-run").out == "Would read programme sim by version 1.\n"
    assert (command(*mapped).status, command(*mapped, "--json").answer) == (0, {"version": 2})
    (tmp_path / "mapping.json").write_text('{"page": 1}')
    assert command(*mapped, "--json").answer["code"] == "affiliates.bad_mapping"
    (tmp_path / "mapping.json").write_text("[]")
    assert command(*mapped).status == 64
    assert command("affiliates", "anomalies", "--programme", "sim", "--since", "2026-01-01T00:00:00Z").status == 0

    assert command("identity", "create", "chen").status == 0
    of = ("--programme", "sim", "--reason", "his ticket")
    linked = command("affiliates", "link", FIRST, "--user", "chen", *of, "--json")
    assert (linked.status, linked.answer["state"]) == (0, "active")
    taken = command("affiliates", "link", FIRST, "--user", "nobody", *of, "--json")
    assert taken.status == 1
    unknown = command("affiliates", "link", "nobody", "--user", "chen", *of, "--json")
    assert unknown.answer["code"] == "affiliates.player_unknown"
    assert "unlinked" in command("affiliates", "unlink", FIRST, *of).out
    assert command("affiliates", "unlink", FIRST, *of, "--json").answer["code"] == "affiliates.not_linked"

    world.feed.outage("2999-01-01T00:00:00Z")
    world.token = None
    assert command("affiliates", "feed", "test", "--programme", "sim").status == 1


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("https://127.0.0.1/list",), 1, "url_refused"),
        (("http://feed.example.com/list",), 1, "url_refused"),
        (("https://feed.invalid/list",), 1, "url_refused"),
        (("https://8.8.8.8/list", "--auth", "bearer"), 1, "affiliates.secret_invalid"),
        (("https://8.8.8.8/list", "--auth", "magic"), 64, "unknown_auth"),
        (("https://8.8.8.8/list", "--secret-file", "/nowhere"), 64, "file_unreadable"),
    ],
)
def test_a_feed_that_cannot_be_read_is_refused(
    command: Command, words: tuple[str, ...], status: int, code: str
) -> None:
    done = command("affiliates", "feed", "add", *words, "--json")
    assert (done.status, done.answer["code"]) == (status, code)


def test_a_simulated_outside_is_refused_where_players_come_from_outside(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 19 of the simulators."""
    monkeypatch.setenv("PALIO_SIM", "on")
    monkeypatch.setenv("PALIO_PUBLIC_URL", "https://example.org")
    done = command("affiliates", "feeds", "--json")
    assert (done.status, done.answer["code"]) == (78, "setting.invalid")
    assert "PALIO_SIM is on: it must be off where players come from outside" in done.answer["detail"]
    monkeypatch.setenv("PALIO_PUBLIC_URL", "https://palio.test")
    assert command("affiliates", "feeds").status == 0
