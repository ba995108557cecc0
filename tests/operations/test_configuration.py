"""What Palio is told before it asks the database: where a value comes from, and what is wrong with it."""

import json
from pathlib import Path

import pytest

from palio.infra.settings import environment
from palio.infra.settings.environment import WrongSettingError
from tests.entry.conftest import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, without our variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PALIO_DATABASE_URL", raising=False)
    return tmp_path


def source_of(name: str, **command_line: object) -> tuple[str, str]:
    shown = environment.show(environment.load(**command_line))
    return next((setting.value, setting.source) for setting in shown if setting.name == name)


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source_of("PALIO_POOL") == ("20", "default")
    (folder / "palio.toml").write_text("pool = 30\n")
    assert source_of("PALIO_POOL") == ("30", "palio.toml")
    monkeypatch.setenv("PALIO_POOL", "40")
    assert source_of("PALIO_POOL") == ("40", "environment")
    assert environment.load(pool=50).pool == 50


def test_a_secret_may_lie_in_a_file_and_is_never_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").write_text("postgresql://palio_app:hush@db/palio\n")
    monkeypatch.setenv("PALIO_DATABASE_URL_FILE", str(folder / "secret"))

    assert environment.load().database_url == "postgresql://palio_app:hush@db/palio"
    assert source_of("PALIO_DATABASE_URL") == ("***", "file named in the environment")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PALIO_POOL", "0", "PALIO_POOL is 0: it must be a whole number in the range 2-200"),
        ("PALIO_POOL", "many", "PALIO_POOL is many: it must be a whole number in the range 2-200"),
        ("PALIO_BIND", "8000", "PALIO_BIND is 8000: it must be an address and a port, like 127.0.0.1:8000"),
        ("PALIO_LOG", "xml", "PALIO_LOG is xml: it must be 'json' or 'console'"),
        ("PALIO_DATABASE_URL", "mysql://u:hush@h", "PALIO_DATABASE_URL is ***: it must be an address like postgresql:"),
        ("PALIO_PUBLIC_URL", "play.example.com", "PALIO_PUBLIC_URL is play.example.com: it must be the address"),
        ("PALIO_METRICS_TOKEN_FILE", "/nowhere", "/nowhere cannot be read: No such file or directory"),
        ("PALIO_SECRET", "changeme", "PALIO_SECRET is ***: it must be at least 20 characters that nobody guesses"),
        ("PALIO_SECRET", "x" * 40, "PALIO_SECRET is ***: it must be at least 20 characters that nobody guesses"),
        ("PALIO_METRICS_TOKEN", "metrics", "PALIO_METRICS_TOKEN is ***: it must be at least 20 characters"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_may_be(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(WrongSettingError) as refused:
        environment.load()

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"), [("pol = 3\n", "there is no setting pol"), ("pool = \n", "palio.toml cannot be read: ")]
)
def test_a_file_that_says_something_else_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "palio.toml").write_text(text)

    with pytest.raises(WrongSettingError, match=said):
        environment.load()


def test_the_nearest_known_name_is_suggested() -> None:
    given = {"PALIO_BINDD": "1", "PALIO_POOL": "5", "PALIO_DATABASE_URL_FILE": "x", "PALIO_QQQQQQQQ": "", "PATH": ""}

    assert dict(environment.unknown(given)) == {"PALIO_BINDD": "PALIO_BIND", "PALIO_QQQQQQQQ": None}


def test_a_command_warns_of_the_unknown_and_ends_with_78_at_the_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIO_BINDD", "1")

    warned = run("config", "check")
    assert warned.status == 1
    line = json.loads(warned.err)
    assert (line["event"], line["name"], line["nearest"]) == ("unknown setting", "PALIO_BINDD", "PALIO_BIND")

    monkeypatch.setenv("PALIO_POOL", "0")
    refused = run("config", "check")
    assert refused.status == 78
    assert refused.err == "PALIO_POOL is 0: it must be a whole number in the range 2-200 [setting.invalid]\n"
