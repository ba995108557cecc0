"""`palio settings …`: what may be changed, within which range, and the way back."""

import pytest

from tests.entry.conftest import Command

KEY = "identity.username_max"


@pytest.fixture
def default(command: Command) -> None:
    """The setting as nobody ever changed it; its history stays."""
    command("settings", "revert", KEY, "--to", "0")


def test_a_setting_is_changed_kept_in_its_history_and_brought_back(command: Command, default: None) -> None:
    before = command("settings", "get", KEY, "--json").answer
    assert (before["value"], before["default"], before["low"], before["high"]) == (32, 32, 8, 80)

    changed = command("settings", "set", KEY, "24", "--reason", "short names fit the board", "--json")
    assert (changed.status, changed.answer["value"], changed.answer["version"]) == (0, 24, before["version"] + 1)
    assert command("identity", "create", "a" * 25, "--json").answer["facts"]["longest"] == 24

    newest = command("settings", "history", KEY, "--json").answer[0]
    assert (newest["version"], newest["value"], newest["kind"]) == (before["version"] + 1, 24, "cli")
    assert newest["reason"].startswith("short names fit the board (by ")

    back = command("settings", "revert", KEY, "--to", "0", "--json")
    assert (back.answer["value"], back.answer["version"]) == (32, before["version"] + 2)


def test_an_equal_value_is_no_new_version_and_a_dry_run_none_at_all(command: Command, default: None) -> None:
    version = command("settings", "get", KEY, "--json").answer["version"]

    trial = command("settings", "set", KEY, "40", "--dry-run")

    assert trial.status == 0
    assert trial.out.startswith("This was a dry run; nothing was changed.\n")
    assert "value         40" in trial.out
    assert command("settings", "set", KEY, "default", "--json").answer["version"] == version
    assert command("settings", "get", KEY, "--json").answer["version"] == version


def test_every_declared_setting_is_listed_with_its_range(command: Command) -> None:
    listed = command("settings", "list")
    races = command("settings", "list", "--module", "races", "--json").answer

    assert listed.out.splitlines()[0].split() == ["setting", "value", "default", "range", "what", "it", "does"]
    assert "affiliates.placeholder_names" in listed.out
    assert {setting["key"].partition(".")[0] for setting in races} == {"races"}


REFUSED = {
    "too small": (["set", KEY, "7"], 1, "setting.out_of_range"),
    "too large": (["set", KEY, "81"], 1, "setting.out_of_range"),
    "negative": (["set", KEY, "--", "-1"], 1, "setting.out_of_range"),
    "no number": (["set", KEY, "many"], 1, "setting.wrong_type"),
    "NaN": (["set", KEY, "NaN"], 1, "setting.wrong_type"),
    "a fraction": (["set", KEY, "24.0"], 1, "setting.wrong_type"),
    "full-width digits": (["set", KEY, "２４"], 1, "setting.wrong_type"),  # noqa: RUF001 - they are no ASCII
    "no choice": (["set", "affiliates.placeholder_names", "half"], 1, "setting.not_allowed"),
    "an unknown name": (["set", "identity.username_maks", "24"], 1, "setting.unknown"),
    "an unknown name, looked up": (["get", "username_max"], 1, "setting.unknown"),
    "no such version": (["revert", KEY, "--to", "999"], 1, "setting.no_such_version"),
    "changed meanwhile": (["set", KEY, "24", "--if-version", "999"], 1, "version_mismatch"),
    "no value": (["set", KEY], 64, "usage"),
    "a version that is no number": (["revert", KEY, "--to", "first"], 64, "usage"),
}


@pytest.mark.parametrize(("words", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_and_changes_nothing(command: Command, words: list[str], status: int, code: str) -> None:
    before = command("settings", "list", "--json").answer
    flags = ["--json", *words[1:]]

    told, as_json = command("settings", *words), command("settings", words[0], *flags)

    assert (told.status, told.out, as_json.status, as_json.answer["code"]) == (status, "", status, code)
    assert "Traceback" not in told.err
    assert command("settings", "list", "--json").answer == before


def test_the_nearest_name_and_the_range_are_told(command: Command) -> None:
    assert command("settings", "get", "identity.username_maks", "--json").answer["facts"]["nearest"][0] == KEY
    assert command("settings", "set", KEY, "7", "--json").answer["facts"] == {
        "key": KEY,
        "low": 8,
        "high": 80,
        "unit": "characters",
    }
