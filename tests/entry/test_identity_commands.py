"""`palio identity …`: accounts are made, shown, and refused."""

import psycopg
import pytest

from tests.entry.conftest import Command


def users(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as conn, conn.transaction():
        conn.execute("set local palio.kind = 'system'")
        (number,) = conn.execute("select count(*) from identity.users").fetchone()  # type: ignore[misc]
        return number


def test_an_account_is_made_and_shown(command: Command) -> None:
    made = command("identity", "create", "Alice", "--display-name", "אליס", "--json")
    shown = command("identity", "show", "alice", "--json")

    assert (made.status, made.err, shown.status) == (0, "", 0)
    assert made.answer == shown.answer
    assert {name: made.answer[name] for name in ("username", "display_name", "kind", "status")} == {
        "username": "Alice",
        "display_name": "אליס",
        "kind": "person",
        "status": "active",
    }
    for_people = command("identity", "show", made.answer["id"])
    assert "user name  Alice" in for_people.out


def test_a_service_account(command: Command) -> None:
    assert command("identity", "create", "feed-bot", "--service", "--json").answer["kind"] == "service"


def test_a_dry_run_says_what_would_happen_and_changes_nothing(command: Command, commands_dsn: str) -> None:
    before = users(commands_dsn)

    trial = command("identity", "create", "tryout", "--dry-run")

    assert trial.status == 0
    assert trial.out.startswith("Would make the account tryout; nothing was changed.\n")
    assert users(commands_dsn) == before
    assert command("identity", "show", "tryout").status == 1


REFUSED = {
    "a taken name": (["create", "BOB"], "identity.username_taken"),
    "a taken name in a dry run": (["create", "bob", "--dry-run"], "identity.username_taken"),
    "a name of the house": (["create", "admin"], "identity.username_reserved"),
    "a short name": (["create", "ab"], "identity.username_invalid"),
    "a Cyrillic letter": (["create", "аlice"], "identity.username_invalid"),  # noqa: RUF001 - the attack
    "text turned round": (["create", "carl", "--display-name", "\u202elrac"], "identity.character_not_allowed"),
    "a joiner": (["create", "carl", "--display-name", "bob\u200d"], "identity.character_not_allowed"),
    "zero-width only": (["create", "carl", "--display-name", "\u200b" * 15], "identity.character_not_allowed"),
    "mixed letters": (["create", "carl", "--display-name", "bоb"], "identity.mixed_scripts"),  # noqa: RUF001 - the attack
    "an empty name": (["create", "carl", "--display-name", ""], "identity.display_name_invalid"),
    "nobody": (["show", "carl"], "identity.no_such_user"),
}


@pytest.mark.parametrize(("words", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_has_a_sentence_a_code_and_changes_nothing(
    command: Command, commands_dsn: str, words: list[str], code: str
) -> None:
    command("identity", "create", "bob")
    before = users(commands_dsn)

    told = command("identity", *words)
    as_json = command("identity", *words, "--json")

    assert (told.status, as_json.status) == (1, 1)
    assert told.out == ""
    assert told.err.splitlines()[0].endswith(f"[{code}]")
    assert "Traceback" not in told.err
    problem = as_json.answer
    assert (problem["type"], problem["code"]) == (f"/problems/{code}", code)
    assert problem["detail"] in told.err
    assert users(commands_dsn) == before
