"""`palio affiliates links import` and `requests`: a list from the terminal, whole or not at all."""

from pathlib import Path

from tests.entry.conftest import Command
from tests.factories.affiliates import FIXTURES

FIRST, SECOND = "jOY9iXNML6GmbhGX7zgO", "5XLJobqamfk6lZCvYKGR"  # player0001 and player0018
OF = ("--programme", "default", "--reason", "from the old site")


def test_a_list_is_tried_and_then_made(command: Command, tmp_path: Path) -> None:
    capture = str(FIXTURES / "affiliate_snapshot_T1.json")
    command("affiliates", "ingest", capture, "--at", "2025-03-26T08:21:15Z")  # another test may have read it already
    for name in ("linna", "lotte"):
        assert command("identity", "create", name).status == 0
    listed = tmp_path / "links.csv"
    listed.write_text(f"uid,user\n{FIRST},linna\n{SECOND},lotte\n")
    words = ("affiliates", "links", "import", str(listed), *OF)

    trial = command(*words, "--dry-run")
    assert (trial.status, trial.out.splitlines()[-1]) == (0, "This was a dry run; nothing was changed.")
    listed.write_text(listed.read_text() + "nobody,linna\n")
    refused = command(*words, "--json")
    assert (refused.status, refused.answer["is_written"]) == (1, False)
    assert [line["verdict"] for line in refused.answer["lines"]] == [
        "linked",
        "linked",
        "affiliates.player_unknown",
    ]
    assert "1 lines are in the way" in command(*words).out
    listed.write_text(f"uid,user\n{FIRST},linna\n{SECOND},lotte\n")
    assert command(*words).out.splitlines()[-1] == "2 links stand."
    again = command(*words, "--json").answer
    assert [line["verdict"] for line in again["lines"]] == ["present", "present"]
    for uid in (FIRST, SECOND):
        assert command("affiliates", "unlink", uid, *OF).status == 0


def test_a_list_that_is_none_is_refused(command: Command, tmp_path: Path) -> None:
    listed = tmp_path / "links.csv"
    for content, status, code in ((b"a,b\n1,2\n", 1, "affiliates.bad_link_list"), (b"\xff\xfe", 64, "bad_encoding")):
        listed.write_bytes(content)
        command("affiliates", "ingest", str(FIXTURES / "affiliate_snapshot_T1.json"), "--at", "2025-03-26T08:21:15Z")
        done = command("affiliates", "links", "import", str(listed), *OF, "--json")
        assert (done.status, done.answer["code"]) == (status, code)


def test_the_queue_is_listed(command: Command) -> None:
    done = command("affiliates", "requests")
    assert done.status == 0
    assert command("affiliates", "requests", "--json").answer == [] or "ref" in done.out
