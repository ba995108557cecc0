"""Manners that every command has: help that is true, misuse that is answered, statuses that mean something."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from palio.entry import cli
from palio.entry.options import AsJson, Misuse, instant
from tests.entry.conftest import Command, run

ROOT = Path(__file__).parents[2]
HEAVY = {"psycopg", "fastapi", "starlette", "numpy", "procrastinate", "uvicorn", "msgspec", "jinja2"}

Node = TyperCommand | TyperGroup


def tree(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    yield path, node
    for name, child in node.commands.items() if isinstance(node, TyperGroup) else ():
        yield from tree(child, (*path, name))  # type: ignore[arg-type]


TREE = dict(tree(typer.main.get_command(cli.app)))  # type: ignore[arg-type]
COMMANDS = {path: node for path, node in TREE.items() if not isinstance(node, TyperGroup)}


def named(paths: dict[tuple[str, ...], Node]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: " ".join(path) or "palio")


@named(TREE)
def test_help_says_what_it_does_and_lists_every_word_it_takes(path: tuple[str, ...]) -> None:
    node = TREE[path]

    told = run(*path, "--help")

    assert (told.status, told.err) == (0, "")
    assert told.out.startswith(f"Usage: {' '.join(('palio', *path))} ")
    assert (node.help or "").strip()
    flat = " ".join(told.out.split()).lower()  # an argument is written large in the usage
    for parameter in node.params:
        for word in parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name]:
            assert word.lower() in flat
        assert getattr(parameter, "help", None), f"{parameter.name} says nothing about itself"
    for child in node.commands if isinstance(node, TyperGroup) else ():
        assert child in flat


@named(COMMANDS)
def test_an_unknown_option_is_misuse_and_a_near_one_is_named(path: tuple[str, ...]) -> None:
    told = run(*path, "--halp")

    assert (told.status, told.out) == (64, "")
    assert "--halp" in told.err
    assert "--help" in told.err.splitlines()[0]
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["identiti"], "No such command 'identiti'. Did you mean 'identity'?"),
        (["identity", "createe", "x"], "No such command 'createe'. Did you mean 'create', 'reinstate'?"),
        (["identity", "create", "x", "--jsn"], "No such option: --jsn (Possible options: --json)"),
        (["identity", "create"], "Missing argument 'NAME'."),
        (["identity", "show", "a", "b"], "Got unexpected extra argument(s) (b)"),
        (["identity", "create", "a", "--display-name"], "Option '--display-name' requires an argument."),
        (["frobnicate"], "No such command 'frobnicate'."),
        (
            ["jobs", "list", "--state", "bogus"],
            "Invalid value for '--state': 'bogus' is not one of 'waiting', 'running', 'failed'.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_word_that_is_not_understood_ends_with_64_and_the_nearest_known_one(words: list[str], said: str) -> None:
    told = run(*words)

    assert (told.status, told.out) == (64, "")
    assert told.err.startswith(said + "\n")


def test_a_file_that_cannot_be_written_is_misuse(tmp_path: Path) -> None:
    told = run("openapi", "--out", str(tmp_path))

    assert (told.status, told.out) == (64, "")
    assert f"{tmp_path} cannot be written: Is a directory [file_unwritable]\n" in told.err


def test_misuse_is_a_problem_object_for_a_program() -> None:
    told = run("identity", "createe", "x", "--json")

    assert (told.status, told.err) == (64, "")
    assert told.answer == {
        "type": "/problems/usage",
        "code": "usage",
        "detail": "No such command 'createe'. Did you mean 'create', 'reinstate'?",
        "facts": {},
    }


@pytest.mark.parametrize("words", [[], ["identity"]])
def test_no_word_at_all_shows_the_help(words: list[str]) -> None:
    told = run(*words)

    assert told.status == 64
    assert told.err.startswith("Usage: palio")
    assert told.err.count("Usage:") == 1


def test_an_instant_is_rfc_3339_and_comes_back_in_utc() -> None:
    for text in ("2026-03-20T12:00:00Z", "2026-03-20T14:00+02:00", "2026-03-20 07:00:00.000000-05:00"):
        assert instant(text).isoformat() == "2026-03-20T12:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-03-20T12:00:00", "time_zone_required"),
        ("2026-03-20", "time_invalid"),
        ("tomorrow", "time_invalid"),
        ("1774008000", "time_invalid"),
        ("2026-02-30T12:00:00Z", "time_invalid"),
        ("2026-03-20T25:00:00Z", "time_invalid"),
        ("0001-01-01T00:00:00+14:00", "time_invalid"),
        ("9999-12-31T23:00:00Z", "time_invalid"),
        ("2026-W12-5T12:00:00Z", "time_invalid"),
        ("", "time_invalid"),
        ("٢٠٢٦-03-20T12:00:00Z", "time_invalid"),
    ],
)
def test_other_times_are_refused(text: str, code: str) -> None:
    with pytest.raises(Misuse) as refused:
        instant(text)
    assert refused.value.code == code


@pytest.mark.parametrize("words", [["--help"], ["version"], ["identity", "create", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\nfrom palio.entry.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


def test_the_program_itself(command: Command, commands_dsn: str) -> None:
    """As a process of its own: answers on stdout, refusals on stderr, exit status for the shell."""

    def palio(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "palio", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )

    made = palio("identity", "create", "process", "--json")
    again = palio("identity", "create", "Process")
    misspelt = palio("identity", "create", "process", "--jason")

    assert (made.returncode, json.loads(made.stdout)["username"], made.stderr) == (0, "process", "")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("Somebody has this name already, in upper or lower case; choose another.")
    assert (misspelt.returncode, misspelt.stdout) == (64, "")


def test_a_database_that_is_away_ends_with_69(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIO_DATABASE_URL", "postgresql://palio_app@127.0.0.1:1/palio")

    told, as_json = command("identity", "show", "alice"), command("identity", "show", "alice", "--json")

    assert (told.status, as_json.status) == (69, 69)
    assert "Traceback" not in told.err
    assert as_json.answer["code"] == "db.unavailable"


def test_a_defect_ends_with_70_and_is_called_one() -> None:
    @cli.app.command()
    def explode(*, as_json: AsJson = False) -> None:
        raise ZeroDivisionError

    told, as_json = run("explode"), run("explode", "--json")
    cli.app.registered_commands.pop()

    assert (told.status, told.out, as_json.status) == (70, "", 70)
    assert "ZeroDivisionError" in told.err
    assert "This is a defect of Palio" in told.err
    assert as_json.answer["code"] == "internal_error"


WRONG_SETTINGS = {
    "out of range": ("PALIO_POOL", "0", "2-200"),
    "no number": ("PALIO_POOL", "NaN", "2-200"),
    "no address": ("PALIO_DATABASE_URL", "palio", "postgresql://"),
    "no port": ("PALIO_BIND", "localhost", "127.0.0.1:8000"),
}


@pytest.mark.parametrize(("name", "value", "remedy"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS.keys())
def test_a_wrong_setting_of_the_environment_ends_with_78(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)

    told, as_json = command("identity", "show", "alice"), command("identity", "show", "alice", "--json")

    assert (told.status, as_json.status) == (78, 78)
    assert name in told.err
    assert remedy in told.err
    assert as_json.answer["code"] == "setting.invalid"


def test_a_row_that_somebody_holds_ends_with_75(command: Command, commands_dsn: str) -> None:
    command("settings", "list")  # the rows are there once a process has declared them
    with psycopg.connect(commands_dsn) as conn:
        conn.execute("select from infra.settings where key = 'identity.username_max' for update")
        told = command("settings", "set", "identity.username_max", "40", "--json")

    assert (told.status, told.answer["code"]) == (75, "db.busy")
