"""`palio affiliates …`: captures go in, and what is wrong with one is said."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.entry.conftest import Command, Done

FIXTURES = Path(__file__).parents[1] / "fixtures"
T1, T2 = FIXTURES / "affiliate_snapshot_T1.json", FIXTURES / "affiliate_snapshot_T2.json"


@pytest.fixture
def rows(commands_dsn: str):  # type: ignore[no-untyped-def]
    """Counts what an ingest could have changed."""

    def count() -> tuple[int, ...]:
        with psycopg.connect(commands_dsn, autocommit=True) as conn, conn.transaction():
            conn.execute("set local palio.kind = 'system'")
            found = conn.execute(
                "select (select count(*) from affiliates.players), (select count(*) from affiliates.stats),"
                " (select count(*) from affiliates.snapshots where status = 'applied')"
            )
            return found.fetchone()  # type: ignore[return-value]

    return count


def test_two_captures_and_what_they_left(command: Command, rows, deployment: Path) -> None:  # type: ignore[no-untyped-def]
    trial = command("affiliates", "ingest", str(T1), "--at", "2025-03-26T20:00:00Z", "--dry-run", "--json")
    assert (trial.status, trial.answer["status"], rows()) == (0, "applied", (0, 0, 0))
    assert [*deployment.rglob("payloads/*/*")] == []

    first = command("affiliates", "ingest", str(T1), "--at", "2025-03-26T20:00:00Z")
    second = command("affiliates", "ingest", str(T2), "--at", "2025-03-26T21:00:00+00:00", "--json")

    assert (first.status, second.status) == (0, 0)
    assert first.out.startswith("Applied as snapshot 1, as of 2025-03-26T20:00:00.000000Z.\n")
    assert (second.answer["seq"], second.answer["delta_micro"], second.answer["corrections"]) == (2, 450_299_844, 0)
    assert [*deployment.rglob("payloads/*/*")] != []

    listed = command("affiliates", "snapshots", "--json").answer
    assert [(one["seq"], one["status"]) for one in listed] == [(2, "applied"), (1, "applied")]
    assert listed[0]["sha256"] == second.answer["sha256"]
    top = command("affiliates", "players", "--limit", "3", "--json").answer
    assert [one["all_time_micro"] for one in top] == sorted((one["all_time_micro"] for one in top), reverse=True)
    assert command("affiliates", "anomalies").status == 0

    again = command("affiliates", "ingest", str(T1), "--at", "2025-03-26T20:30:00Z", "--json")
    assert (again.status, again.answer["code"]) == (1, "affiliates.out_of_order")
    assert again.answer["facts"]["last"] == "2025-03-26T21:00:00.000000Z"
    assert "of 2025-03-26T21:00:00.000000Z already" in again.answer["detail"]


BODIES = {
    "HTML": ("<!doctype html><title>502</title>", "affiliates.bad_json"),
    "a refusal": ('{"success": false, "error": "key"}', "affiliates.upstream_refused"),
    "NaN": ('{"success": true, "data": [{"uid": "a", "wagered": {"all_time": NaN}}]}', "affiliates.bad_json"),
    "Infinity": ('[{"uid": "a", "wagered": {"all_time": Infinity}}]', "affiliates.bad_json"),
    "half a list": (T1.read_text()[:5_000], "affiliates.bad_json"),
    "no list": ('{"players": 3}', "affiliates.shape_unknown"),
    "nothing": ("", "affiliates.bad_json"),
    "another encoding": ("Grüße".encode("latin-1"), "affiliates.bad_encoding"),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_cannot_be_read_is_refused_and_changes_no_player(
    command: Command,
    rows,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    body: str | bytes,
    code: str,
) -> None:
    file = tmp_path / "capture"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    before = rows()

    told = command("affiliates", "ingest", str(file), "--at", "2027-01-01T00:00:00Z")
    as_json = command("affiliates", "ingest", str(file), "--at", "2027-01-01T00:00:00Z", "--json")

    assert (told.status, told.out, as_json.status, as_json.answer["code"]) == (1, "", 1, code)
    assert f"[{code}]" in told.err
    assert "Traceback" not in told.err
    assert rows() == before


MISUSES = {
    "a missing file": (["no-such-file", "--at", "2027-01-01T00:00:00Z"], "usage"),
    "a folder": ([str(FIXTURES), "--at", "2027-01-01T00:00:00Z"], "usage"),
    "no time": ([str(T1)], "usage"),
    "a time without its offset": ([str(T1), "--at", "2027-01-01T00:00:00"], "time_zone_required"),
    "no such time": ([str(T1), "--at", "2027-13-01T00:00:00Z"], "time_invalid"),
}


@pytest.mark.parametrize(("words", "code"), MISUSES.values(), ids=MISUSES.keys())
def test_misuse_is_answered_before_anything_is_read(
    command: Command,
    rows,  # type: ignore[no-untyped-def]
    words: list[str],
    code: str,
) -> None:
    before = rows()

    told = command("affiliates", "ingest", *words, "--json")

    assert (told.status, told.answer["code"], rows()) == (64, code, before)


def test_an_unknown_programme_and_a_wrong_content_type_are_refused(command: Command) -> None:
    at = ("--at", "2027-01-01T00:00:00Z", "--json")

    assert command("affiliates", "ingest", str(T1), *at, "--feed", "defualt").answer["code"] == (
        "affiliates.programme_unknown"
    )
    assert command("affiliates", "ingest", str(T1), *at, "--content-type", "text/html").answer["code"] == (
        "affiliates.bad_content_type"
    )
    assert command("affiliates", "snapshots", "--programme", "x", "--json").answer["code"] == (
        "affiliates.programme_unknown"
    )


def test_a_capture_that_looks_wrong_waits_for_staff(command: Command, tmp_path: Path) -> None:
    rows = json.loads(T2.read_text())
    rows["data"] = rows["data"][:3]
    file = tmp_path / "short.json"
    file.write_text(json.dumps(rows))
    command("affiliates", "ingest", str(T2), "--at", "2025-03-26T21:00:00Z")

    told = command("affiliates", "ingest", str(file), "--at", "2026-01-01T00:00:00Z")

    assert told.status == 1
    assert told.out.startswith("Kept for staff to decide (shrink)")


def test_a_time_to_come_is_pointed_out(command: Command) -> None:
    """2126 for 2026 would shut the programme for a century."""
    tried = command("affiliates", "ingest", str(T2), "--at", "2126-03-26T21:00:00Z", "--dry-run")
    usual = command("affiliates", "ingest", str(T2), "--at", "2025-04-01T00:00:00Z", "--dry-run")

    assert tried.status == 0
    assert tried.out.endswith(
        "This lies ahead of the clock: no capture of before 2126-03-26T21:00:00.000000Z can be applied any more.\n"
    )
    assert "ahead of the clock" not in usual.out


def ingested(command: Command, code: str, *captures: tuple[Path, str]) -> list[Done]:
    """Captures of a programme of its own, which is made first."""
    command("affiliates", "feed", "add", "https://1.1.1.1/", "--programme", code)
    return [command("affiliates", "ingest", str(path), "--at", at, "--feed", code, "--json") for path, at in captures]


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A body with fewer than half of the players."""
    rows = json.loads(T1.read_text())["data"][:63]
    path = tmp_path / "half.json"
    path.write_text(json.dumps({"success": True, "data": rows}))
    return path


def test_archived_captures_are_read_again_without_a_difference_and_without_a_trace(
    command: Command,
    rows,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    half: Path,
) -> None:
    """Acceptance 28."""
    ingested(command, "again", (T1, "2025-03-26T08:21:15Z"), (T2, "2025-03-26T20:28:00Z"))
    before = rows()
    feed_id = command("affiliates", "feeds", "--json").answer
    upload = next(one["id"] for one in feed_id if one["programme"] == "again" and one["kind"] == "upload")
    swapped = tmp_path / "swapped.json"
    swapped.write_text('{"week": "wagered.this_month", "month": "wagered.this_week"}')

    same = command("affiliates", "replay", upload, "--json")
    other = command("affiliates", "replay", upload, "--mapping", str(swapped), "--json")
    none = command("affiliates", "replay", upload, "--from", "2025-03-27T00:00:00Z", "--json")

    assert (same.status, same.answer) == (0, {"payloads": 2, "differences": []})
    assert other.status == 1 and {one["what"] for one in other.answer["differences"]} == {"week", "month"}
    assert (none.status, none.answer["payloads"]) == (0, 0)
    assert rows() == before
    assert command("affiliates", "replay", "nothing", "--json").answer["code"] == "affiliates.feed_unknown"


def test_staff_decide_about_a_suspicious_capture_by_the_command_that_it_names(command: Command, half: Path) -> None:
    captures = ((T1, "2025-03-26T08:21:15Z"), (half, "2025-03-26T09:00:00Z"), (half, "2025-03-26T10:00:00Z"))
    _, first, second = ingested(command, "decided", *captures)
    assert [one.answer["status"] for one in (first, second)] == ["suspicious", "suspicious"]
    listed = command("affiliates", "snapshots", "--programme", "decided").out
    assert "palio affiliates apply ID --reason" in listed and first.answer["id"] in listed

    gone = command("affiliates", "discard", first.answer["id"], "--reason", "half of it is missing", "--json")
    believed = command("affiliates", "apply", second.answer["id"], "--reason", "they were closed", "--json")
    again = command("affiliates", "apply", first.answer["id"], "--reason", "second thoughts", "--json")

    assert (gone.status, gone.answer["status"]) == (0, "discarded")
    assert (believed.status, believed.answer["status"], believed.answer["seq"], believed.answer["vanished"]) == (
        0,
        "applied",
        2,
        64,
    )
    assert (again.status, again.answer["code"]) == (1, "affiliates.already_decided")
    programme = next(one for one in command("affiliates", "programmes", "--json").answer if one["code"] == "decided")
    assert programme["seq"] == 2
