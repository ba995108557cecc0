"""`palio identity …`: accounts are made, shown, and refused."""

import re
import zipfile
from pathlib import Path

import psycopg
import pytest
import typer
from typer.core import TyperGroup

from palio.entry.commands import identity as identity_commands
from palio.infra import keyring
from palio.kernel.ids import new_id
from tests.entry.conftest import Command

SERVING = """insert into infra.instances (id, role, host, pid, version, schema_version, started_at, seen_at, site)
    values (%s, 'up', 'here', 1, '', 1, now(), now() - %s::interval, %s)"""


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


@pytest.fixture
def with_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keyring.json"
    keyring.load_or_make(file)
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(file))


def test_a_service_gets_a_token_that_is_printed_once(command: Command) -> None:
    command("identity", "create", "score-bot", "--service")
    made = command("identity", "token", "create", "score-bot", "--scopes", "games:read, games:write", "--json").answer
    listed = command("identity", "token", "list", "score-bot", "--json")

    assert made["secret"].startswith("palio_")
    assert made["token"]["scopes"] == ["games:read", "games:write"]
    assert [one["id"] for one in listed.answer] == [made["token"]["id"]]
    assert made["secret"] not in listed.out
    assert command("identity", "token", "revoke", "score-bot", made["token"]["id"]).status == 0
    assert command("identity", "token", "revoke", "score-bot", made["token"]["id"]).status == 1
    assert command("identity", "token", "list", "score-bot").out == "There is no token.\n"


def test_a_role_is_given_and_taken(command: Command) -> None:
    command("identity", "create", "stella")
    trial = command("identity", "grant", "stella", "support", "--reason", "helps players", "--dry-run")
    given = command("identity", "grant", "stella", "support", "--reason", "helps players", "--days", "30", "--json")

    assert trial.status == 0
    assert (given.answer["role"], given.answer["granted_by"]) == ("support", None)
    assert given.answer["expires_at"]
    taken = command("identity", "revoke", "stella", "support", "--reason", "left the house", "--json")
    assert (taken.status, taken.answer) == (0, [])
    one = ("--of", "competition:019cffd0-4c00-7000-8000-0000000000c1", "--reason", "runs the cup")
    assert command("identity", "grant", "stella", "races", *one, "--json").answer["object_kind"] == "competition"
    assert command("identity", "revoke", "stella", "races", "--reason", "not everywhere").status == 1
    assert command("identity", "grant", "stella", "races", "--of", "race:7", "--reason", "none").status == 64
    assert command("identity", "revoke", "stella", "races", *one, "--json").answer == []
    assert "[identity.no_such_role]" in command("identity", "grant", "stella", "emperor", "--reason", "vanity").err
    assert "Owner" in command("identity", "roles").out
    assert command("identity", "sessions", "stella").out == "0 open\n"


@pytest.mark.usefixtures("with_keyring")
def test_the_first_owner_gets_a_link(command: Command, commands_dsn: str) -> None:
    made = command("identity", "first-owner", "chief@example.com", "--json")

    assert made.status == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/first-owner/[\w-]{43}", made.answer["link"])
    assert command("identity", "show", "chief", "--json").answer["status"] == "pending"
    with psycopg.connect(commands_dsn, autocommit=True) as server:
        server.execute("delete from infra.instances")
        server.execute(SERVING, [new_id(), "0 s", "http://127.0.0.1:9123"])
        server.execute(SERVING, [new_id(), "31 s", "http://127.0.0.1:9124"])
    again = command("identity", "first-owner", "chief@example.com", "--json")
    assert again.answer["link"].startswith("http://127.0.0.1:9123/first-owner/"), "where it is served at this moment"
    assert "[identity.email_invalid]" in command("identity", "first-owner", "chief").err


def test_without_a_keyring_nothing_personal_is_written(command: Command) -> None:
    refused = command("identity", "first-owner", "other@example.com")

    assert refused.status == 78
    assert "[keyring.unusable]" in refused.err


def test_the_policy_is_read_tried_and_changed(command: Command, deployment: Path) -> None:
    added = command("identity", "email-rule", "add", "deny", "domain", ".example.com", "--note", "tests", "--json")
    assert [(rule["position"], rule["pattern"]) for rule in added.answer] == [(1, ".example.com")]
    unsafe = command("identity", "email-rule", "add", "allow", "regex", "(a+)+")
    assert (unsafe.status, "[identity.pattern_unsafe]" in unsafe.err) == (1, True)

    command("identity", "email-rule", "preset", "iitm")
    tried = command(
        "identity", "email-rule", "test", "21F1006194@ds.study.iitm.ac.in", "a@example.com", "nothing", "--json"
    ).answer
    assert [one["verdict"] for one in tried] == ["allowed", "identity.email_not_allowed", "identity.email_invalid"]
    throwaway = deployment / "throwaway.txt"
    throwaway.write_text("# ten minutes\nmailinator.com\n.trash.example\n")
    load = ("identity", "email-rule", "load", "throwaway", str(throwaway))
    assert command("identity", "email-rule", "add", "deny", "domain_file", "throwaway").status == 1
    trial = command(*load, "--dry-run", "--json")
    assert (trial.status, trial.answer) == (0, {"list": "throwaway", "domains": 2, "before": None})
    assert command("identity", "email-rule", "lists").out == "There is no list.\n"
    assert command(*load).status == 0
    assert command(*load, "--json").answer["before"] == 2
    assert command("identity", "email-rule", "lists", "--json").answer[0]["domains"] == 2
    named = ("identity", "email-rule", "add", "deny", "domain_file", "throwaway", "--position", "1")
    assert command(*named, "--json").answer[0]["kind"] == "domain_file"
    tried = command("identity", "email-rule", "test", "a@x.trash.example", "--json")
    assert [each["verdict"] for each in tried.answer] == ["identity.email_not_allowed"]
    throwaway.write_text("nonsense\n")
    assert (command(*load, "--json").status, command(*load, "--json").answer["code"]) == (1, "identity.pattern_invalid")
    assert command("identity", "email-rule", "load", "x", str(deployment / "absent")).status == 64
    assert command("identity", "email-rule", "remove", "1").status == 0
    assert command("identity", "email-rule", "remove", "1").status == 0
    assert command("identity", "email-rule", "remove", "1").status == 1
    assert command("identity", "email-rule", "list").out == "There is no rule.\n"


def test_an_account_is_suspended_and_let_in_again(command: Command) -> None:
    name = command("identity", "create", "sven", "--json").answer["username"]
    because = ("--reason", "several accounts of one person")
    trial = command("identity", "suspend", name, *because, "--dry-run")
    before = command("identity", "show", name, "--json").answer["status"]
    made = command("identity", "suspend", name, *because, "--days", "3", "--json")
    back = command("identity", "reinstate", name, *because, "--json")
    again = command("identity", "reinstate", name, *because, "--json")

    assert (trial.status, "nothing was changed" in trial.out, before) == (0, True, "active")
    assert (made.answer["status"], made.answer["reason"]) == ("suspended", because[1])
    assert made.answer["until"] is not None
    assert (back.answer["status"], again.status, again.answer["code"]) == ("active", 1, "identity.not_suspendable")


def test_sessions_and_factors_that_are_not_there_are_refused(command: Command) -> None:
    name = command("identity", "create", "frida", "--json").answer["username"]
    because = ("--reason", "the phone was lost", "--json")
    ended = command("identity", "end-sessions", name, *because)
    reset = command("identity", "reset-mfa", name, *because)

    assert (ended.status, ended.answer["code"]) == (1, "identity.no_such_session")
    assert (reset.status, reset.answer["code"]) == (1, "identity.factor_missing")


def test_an_operator_writes_a_copy_of_what_is_known_and_has_somebody_erased(
    command: Command, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = deployment / "ring.json"
    keyring.load_or_make(ring)
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(ring))
    command("identity", "create", "wanda")
    target = deployment / "wanda.zip"
    ordering = ("identity", "export", "wanda", "--output", str(target), "--reason", "asked by letter")
    trial = command(*ordering, "--dry-run", "--json")
    assert (trial.status, trial.err, target.exists()) == (0, "", False)
    assert trial.answer["file"] == str(target)
    assert command(*ordering, "--dry-run").out.startswith(f"Would write {sum(trial.answer['rows'].values())} lines")
    stranger = command(
        "identity", "export", "nobody", "--output", str(target), "--reason", "asked", "--dry-run", "--json"
    )
    assert (stranger.status, stranger.answer["code"]) == (1, "identity.no_such_user")
    nowhere = str(deployment / "no-folder" / "wanda.zip")
    assert command("identity", "export", "wanda", "--output", nowhere, "--reason", "asked by letter").status == 64
    told = command(*ordering, "--json")
    assert (told.status, told.err) == (0, "")
    assert target.stat().st_mode & 0o077 == 0 and target.stat().st_size == told.answer["bytes"]
    with zipfile.ZipFile(target) as archive:
        assert '"username": "wanda"' in archive.read("identity.jsonl").decode()
        lines = {name.removesuffix(".jsonl"): archive.read(name).count(b"\n") for name in archive.namelist()}
    lines.pop("README.txt")
    assert trial.answer["rows"] == lines

    trial = command("identity", "erase", "wanda", "--reason", "asked by letter", "--dry-run")
    assert trial.status == 0 and "nothing was changed" in trial.out
    assert command("identity", "show", "wanda", "--json").answer["status"] == "active"
    ordered = command("identity", "erase", "wanda", "--reason", "asked by letter", "--json")
    assert (ordered.status, ordered.answer["state"]) == (0, "confirmed")
    assert command("identity", "show", "wanda", "--json").answer["status"] == "closing"
    assert command("identity", "erase", "--reason", "which one").status == 64
    (deployment / "anchors").mkdir(exist_ok=True)
    gone = command("identity", "show", "wanda", "--json").answer["id"]
    (deployment / "anchors/shredded.ids").write_text(f"{gone}\n")
    replayed = command("identity", "erase", "--replay", "--reason", "restored", "--json")
    assert (replayed.status, replayed.answer) == (0, {"begun": 1})


READS = {"show", "roles", "token list", "email-rule list", "email-rule lists", "email-rule test"}


def test_every_command_answers_in_json_and_what_changes_anything_can_be_tried() -> None:
    """5: all with `--json`, `--dry-run`; what only reads has nothing to try."""

    def options_of(found: TyperGroup, prefix: str = "") -> dict[str, set[str]]:
        told = {}
        for name, one in found.commands.items():
            if isinstance(one, TyperGroup):
                told |= options_of(one, f"{prefix}{name} ")
            else:
                told[prefix + name] = {option for parameter in one.params for option in parameter.opts}
        return told

    group = typer.main.get_group(identity_commands.app)
    known = options_of(group)
    assert {*known} >= READS | {
        "first-owner",
        "create",
        "export",
        "erase",
        "suspend",
        "email-rule preset",
        "token revoke",
    }
    assert {name for name, options in known.items() if "--json" not in options} == set()
    assert {name for name, options in known.items() if "--dry-run" not in options} == READS
