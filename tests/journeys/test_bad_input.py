"""What people get wrong, against the real command line and the real server: a refusal with a code and the way out.

After each of them every row of the business is what it was.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import conninfo

from palio.entry import web, wiring
from palio.infra import embedded, keyring
from palio.infra.addresses import Addresses
from palio.infra.settings import Environment
from palio.sim import World
from palio.sim.faults import Effect, Fault
from tests.chaos import books
from tests.conftest import PATIENCE_S
from tests.entry.conftest import address_of, run
from tests.factories.races import FIXTURES
from tests.factories.worlds import beside
from tests.journeys.browser.conftest import serve

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T1, T2 = FIXTURES / "affiliate_snapshot_T1.json", FIXTURES / "affiliate_snapshot_T2.json"
CAPTURE = json.loads(T2.read_bytes())
LATER = ("--at", "2025-04-01T00:00:00Z")
RACE = {
    "title": "Spring race",
    "starts_at": "2126-03-26T08:30:00Z",
    "ends_at": "2126-03-26T20:00:00Z",
    "pool": "500.00",
}
OVER = {
    "starts_at": "2025-03-26T21:10:00Z",
    "ends_at": "2025-03-26T23:00:00Z",
    "backdated_reason": "announced in the chat",
}
FIRST = "jOY9iXNML6GmbhGX7zgO"  # the uid of the first player of the feed
SECRET = "s3cr3t-XYZ"


@pytest.fixture(scope="module")
def dsn(cluster: embedded.Cluster, worker_id: str) -> Iterator[str]:
    """A database of its own."""
    name = f"palio_bad_input_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name} template palio")
        yield cluster.dsn("postgres", name)
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def address(cluster: embedded.Cluster, dsn: str) -> str:
    """How the product reaches it."""
    return address_of(cluster.dsn("palio_app", str(conninfo.conninfo_to_dict(dsn)["dbname"])))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A feed that goes wrong as it is told."""
    world = World(token=SECRET)
    world.clock.advance(timedelta(hours=13))  # past the captures that it begins with, which nobody can change
    with beside(world):
        yield world


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a house whose outside is played, with the key of its sealed columns."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keyring.load_or_make(keys)
    return {"PALIO_SIM": "on", "PALIO_KEYRING_FILE": str(keys)}


@pytest.fixture(scope="module")
def before(
    address: str,
    dsn: str,
    world: World,
    simulated: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> books.Books:
    """Every row, when there is a programme as of the second capture, a feed, a user and two races.

    The first race is to come; the second is over, and no snapshot closes it.
    """
    place = tmp_path_factory.mktemp("before")
    (place / "race.json").write_text(json.dumps(RACE))
    (place / "over.json").write_text(json.dumps({**RACE, **OVER}))
    (place / "key").write_text(SECRET)
    (place / "wrong").write_text("another")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PALIO_DATABASE_URL": address, "PALIO_DATA": str(place), **simulated}.items():
            patch.setenv(name, value)
        sim = ("affiliates", "feed", "add", world.feed_url, "--secret-file")
        for words in (
            ("identity", "create", "anna"),
            ("affiliates", "ingest", str(T2), "--at", "2025-03-26T21:00:00Z"),
            (*sim, str(place / "key"), "--programme", "sim"),
            (*sim, str(place / "wrong"), "--programme", "locked"),
            ("races", "create", "--spec", str(place / "race.json")),
            ("races", "create", "--spec", str(place / "over.json")),
            ("races", "tick"),
        ):
            assert run(*words).status == 0, words
    return believed(dsn)


@pytest.fixture(autouse=True)
def place(address: str, before: books.Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands go; the data directory."""
    monkeypatch.setenv("PALIO_DATABASE_URL", address)
    monkeypatch.setenv("PALIO_DATA", str(tmp_path))
    return tmp_path


def believed(dsn: str) -> books.Books:
    """Every row of the business, but for what the archive keeps of a payload that was refused."""
    found = dict(books.read(dsn, since=EPOCH))
    for table in ("payloads", "cycles"):
        del found[f"affiliates.{table}"]
    found["affiliates.snapshots"] = [row for row in found["affiliates.snapshots"] if " status=applied " in row]
    return found


def bytes_of(**changes: object) -> bytes:
    return json.dumps({**CAPTURE, **changes}).encode()


CAPTURES = {
    "HTML instead of JSON": (b"<!doctype html><title>502 Bad Gateway</title>", "affiliates.bad_json", "again"),
    "success: false": (b'{"success": false, "error": "bad key"}', "affiliates.upstream_refused", "check the key"),
    "success: false around a whole list": (bytes_of(success=False), "affiliates.upstream_refused", "check the key"),
    "NaN": (b'[{"uid": "a", "wagered": {"all_time": NaN}}]', "affiliates.bad_json", "NaN"),
    "Infinity": (b'[{"uid": "a", "wagered": {"all_time": -Infinity}}]', "affiliates.bad_json", "Infinity"),
    "half a list": (T2.read_bytes()[: T2.stat().st_size // 2], "affiliates.bad_json", "whole body again"),
    "nothing": (b"", "affiliates.bad_json", "again"),
    "blanks": (b" \n\t", "affiliates.bad_json", "again"),
    "no list": (b'{"players": 127}', "affiliates.shape_unknown", "mapping"),
    "null": (b"null", "affiliates.shape_unknown", "mapping"),
    "too deep": (b"[" * 100_000, "affiliates.bad_json", "again"),
    "UTF-16": (T2.read_text().encode("utf-16"), "affiliates.bad_encoding", "UTF-8"),
    "a picture": (bytes(range(256)), "affiliates.bad_encoding", "UTF-8"),
}


@pytest.mark.parametrize(("body", "code", "remedy"), CAPTURES.values(), ids=CAPTURES.keys())
def test_a_capture_that_cannot_be_read_is_refused(
    place: Path, dsn: str, before: books.Books, body: bytes, code: str, remedy: str
) -> None:
    (place / "capture").write_bytes(body)

    require_refusal(1, code, remedy, "affiliates", "ingest", str(place / "capture"), *LATER)

    assert believed(dsn) == before


DOUBTS = {
    "no players": (bytes_of(data=[]), "empty"),
    "a part of the list": (bytes_of(data=CAPTURE["data"][:40]), "shrink"),
    "zeros": (bytes_of(data=[{**row, "wagered": dict.fromkeys(row["wagered"], 0)} for row in CAPTURE["data"]]), "mass"),
}


@pytest.mark.parametrize(("body", "reason"), DOUBTS.values(), ids=DOUBTS.keys())
def test_a_capture_that_looks_wrong_waits_for_staff(
    place: Path, dsn: str, before: books.Books, body: bytes, reason: str
) -> None:
    (place / "capture").write_bytes(body)

    told = run("affiliates", "ingest", str(place / "capture"), *LATER)

    assert (told.status, told.err) == (1, "")
    assert told.out.startswith(f"Kept for staff to decide ({reason}")
    assert believed(dsn) == before


FEED_ADD = "affiliates feed add {} --programme other"
COMMANDS = {
    "an older snapshot": (1, "affiliates.out_of_order", "later", "affiliates ingest {T1} --at 2025-03-26T20:59:59Z"),
    "a body larger than the limit": (1, "affiliates.too_large", "67108865", "affiliates ingest {LARGE} {AT}"),
    "the same again": (1, "affiliates.out_of_order", "later", "affiliates ingest {T2} --at 2025-03-26T21:00:00Z"),
    "a programme nobody made": (1, "affiliates.programme_unknown", "nope", "affiliates ingest {T1} {AT} --feed nope"),
    "a file that is not there": (64, "usage", "does not exist", "affiliates ingest /nowhere {AT}"),
    "a folder": (64, "usage", "is a directory", "affiliates ingest / {AT}"),
    "a file that breaks off": (64, "file_unreadable", "cannot be read", "affiliates ingest /proc/self/mem {AT}"),
    "a race that breaks off": (64, "file_unreadable", "cannot be read", "races create --spec /proc/self/mem"),
    "a replay that breaks off": (
        *(64, "file_unreadable", "cannot be read"),
        "races replay --baseline /proc/self/mem --final {T2} --pool 1 --prizes 10000",
    ),
    "an unknown option": (64, "usage", "--dry-run", "affiliates ingest {T1} {AT} --dry-rum"),
    "an unknown command": (64, "usage", "Did you mean 'ingest'", "affiliates ingst {T1}"),
    "no time": (64, "usage", "--at", "affiliates ingest {T1}"),
    "a time without its offset": (64, "time_zone_required", "Z", "affiliates ingest {T1} --at 2025-04-01T00:00:00"),
    "a day that does not exist": (64, "time_invalid", "like", "affiliates ingest {T1} --at 2025-02-30T00:00:00Z"),
    "the end of time": (64, "time_invalid", "like", "affiliates ingest {T1} --at 9999-12-31T23:59:59Z"),
    "half a letter": (64, "not_utf_8", "UTF-8", "affiliates ingest {T1} {AT} --feed \udcff"),
    "half a letter for a name": (1, "identity.no_such_user", "no user", "ledger balance \udcff"),
    "a race nobody made": (1, "races.no_such_race", "99", "races settle 99"),
    "no number": (64, "usage", "integer", "races settle NaN"),
    "a settlement without a final snapshot": (1, "races.no_final_picture", "never settled", "races settle 2"),
    "a trial of it": (1, "races.no_final_picture", "never settled", "races settle 2 --dry-run"),
    "a board before the start": (1, "races.not_started", "2126-03-26T08:30:00", "races standings 1"),
    "a recomputation before the start": (1, "races.not_started", "2126-03-26T08:30:00", "races recompute 1"),
    "a feed on this machine": (1, "url_refused", "points inside", FEED_ADD.format("https://127.0.0.1/list")),
    "a feed in the house": (1, "url_refused", "points inside", FEED_ADD.format("https://10.0.0.5/list")),
    "a feed that is the cloud's": (1, "url_refused", "points inside", FEED_ADD.format("https://169.254.169.254/")),
    "a feed inside in IPv6": (1, "url_refused", "points inside", FEED_ADD.format("https://[::ffff:127.0.0.1]/list")),
    "a feed inside as a number": (1, "url_refused", "in disguise", FEED_ADD.format("https://2130706433/list")),
    "a feed inside in hex": (1, "url_refused", "in disguise", FEED_ADD.format("https://0x7f.1/list")),
    "a feed without a dot": (1, "url_refused", "without a dot", FEED_ADD.format("https://localhost/list")),
    "a feed in clear": (1, "url_refused", "https", FEED_ADD.format("http://feed.example.com/list")),
    "a feed whose address has a key": (
        1,
        "url_refused",
        "like https://",
        FEED_ADD.format("https://me:pw@feed.example.com/list"),
    ),
    "a user nobody made": (1, "identity.no_such_user", "no user", "ledger balance nobody"),
    "an asset nobody made": (1, "ledger.unknown_asset", "No asset", "ledger balance anna EUR"),
    "a name that is taken": (1, "identity.username_taken", "choose another", "identity create ANNA"),
    "a name that imitates": (1, "identity.username_invalid", "letters, digits", "identity create \u0430nna"),
    "a setting out of range": (1, "setting.out_of_range", "1024", "settings set affiliates.max_bytes 0"),
    "a setting that is no number": (1, "setting.wrong_type", "int", "settings set affiliates.max_bytes NaN"),
    "a setting nobody declared": (1, "setting.unknown", "affiliates.max_bytes", "settings set affiliates.maxbytes 5"),
}


@pytest.mark.parametrize(("status", "code", "remedy", "line"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_that_cannot_be_carried_out_is_refused(
    place: Path, dsn: str, before: books.Books, status: int, code: str, remedy: str, line: str
) -> None:
    large = place / "large"
    with large.open("wb") as file:
        file.truncate(67_108_865)  # a byte more than a feed may send, and no place on the disk
    words = line.format(T1=T1, T2=T2, AT=" ".join(LATER), LARGE=large).split(" ")

    require_refusal(status, code, remedy, *words)

    assert believed(dsn) == before


RACES: dict[str, tuple[object, str, str]] = {
    "103.5 %": (
        {"prizes": [42.5, 20, 15, 7.5, 6, 4, 2.75, 2.25, 1.75, 1.75]},
        *("competitions.prize_sum", "10350"),
    ),
    "103.5 % in bands": (
        {"prizes": {"kind": "bps", "bands": [{"from": 1, "to": 1, "value": 10_350}]}},
        *("competitions.prize_sum", "until the whole pool is given away"),
    ),
    "a third of a percent": ({"prizes": [33.333, 66.667]}, "races.prize_precision", "two decimal places"),
    "no bands": ({"prizes": {"kind": "bps"}}, "competitions.prize_shape", "bands"),
    "a pool that is none": ({"pool": "NaN"}, "races.spec_invalid", "a number"),
    "a pool of nothing": ({"pool": "0.00"}, "races.spec_invalid", "more than nothing"),
    "tenths of a cent": ({"pool": 500.001}, "races.spec_invalid", "2 decimal places"),
    "a pool of another asset": ({"pool": {"asset": "EUR", "amount": 5}}, "races.spec_invalid", "EUR"),
    "no length": ({"ends_at": RACE["starts_at"]}, "races.window", "10 minutes"),
    "an end before the start": ({"ends_at": "2126-03-25T20:00:00Z"}, "races.window", "2126-03-25T20:00:00"),
    "a chain with a gap": (
        {"previous": 1, "starts_at": "2126-03-26T20:00:01Z", "ends_at": "2126-03-27T20:00:00Z"},
        *("races.chain_gap", "2126-03-26T20:00:00"),
    ),
    "a chain to no race": ({"previous": 99}, "races.no_such_race", "99"),
    "prizes finer than a basis point": ({"prizes": [99.995, 0.005]}, "races.prize_precision", "99.995"),
    "bands finer than a basis point": (
        {"prizes": {"kind": "bps", "bands": [{"from": 1, "to": 1, "value": 9999.5}]}},
        *("competitions.prize_shape", "whole"),
    ),
    "a title of zero-width characters": ({"title": "\u200b\u200c\u200d\u2060\ufeff"}, "races.spec_invalid", "seen"),
    "a title of an empty letter": ({"title": "\u3164"}, "races.spec_invalid", "seen"),
    "a title that turns the text round": ({"title": "Spring \u202eecar"}, "races.spec_invalid", "direction"),
    "a start in the past": (
        {"starts_at": "2025-04-01T00:00:00Z", "ends_at": "2025-04-02T00:00:00Z"},
        *("races.reason_missing", "backdated_reason"),
    ),
    "the beginning of time": (
        {"starts_at": "0001-01-01T00:00:00+14:00", "ends_at": "0001-01-02T00:00:00Z", "backdated_reason": "we forgot"},
        *("races.spec_invalid", "years"),
    ),
    "a start without its offset": ({"starts_at": "2126-03-26T08:30:00"}, "races.spec_invalid", "offset"),
    "half a letter": ({"title": "\ud800"}, "races.spec_invalid", "title"),
    "a field nobody knows": ({"tittle": "x"}, "races.spec_invalid", "tittle"),
    "a programme nobody made": ({"programme": "nope"}, "affiliates.programme_unknown", "nope"),
    "a list": ([], "races.spec_invalid", "JSON object"),
    "HTML": ("<html>", "races.spec_invalid", "JSON object"),
    "half a specification": ('{"title": "x"', "races.spec_invalid", "JSON object"),
    "NaN": ('{"pool": NaN}', "races.spec_invalid", "NaN"),
    "a key twice": ('{"title": "x", "title": "y"}', "races.spec_invalid", "twice"),
}


@pytest.mark.parametrize(("wrong", "code", "remedy"), RACES.values(), ids=RACES.keys())
def test_a_race_that_cannot_be_made_is_refused(
    place: Path, dsn: str, before: books.Books, wrong: object, code: str, remedy: str
) -> None:
    spec = place / "race.json"
    spec.write_text(wrong if isinstance(wrong, str) else json.dumps({**RACE, **wrong} if wrong else wrong))  # type: ignore[dict-item]  # a mapping

    require_refusal(1, code, remedy, "races", "create", "--spec", str(spec))

    assert believed(dsn) == before


ENVIRONMENTS = {
    "a wrong setting": ("PALIO_POOL", "0", 78, "setting.invalid", "2-200"),
    "a setting that is no number": ("PALIO_POOL", "many", 78, "setting.invalid", "2-200"),
    "a server that is away": (
        "PALIO_DATABASE_URL",
        "postgresql://palio_app@127.0.0.1:1/palio",
        69,
        "db.unavailable",
        "",
    ),
    "an address that is none": ("PALIO_DATABASE_URL", "mysql://u@h/p", 78, "setting.invalid", "postgresql://"),
    "a file of secrets that is not there": ("PALIO_METRICS_TOKEN_FILE", "/nowhere", 78, "setting.invalid", "/nowhere"),
    "a secret that everybody guesses": ("PALIO_SECRET", "changeme", 78, "setting.invalid", "PALIO_SECRET"),
    "a keyring that is not there": ("PALIO_KEYRING_FILE", "/nowhere", 78, "keyring.unusable", "/nowhere"),
}


@pytest.mark.parametrize(("name", "value", "status", "code", "remedy"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_an_environment_that_cannot_be_used_is_refused(
    dsn: str,
    before: books.Books,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    status: int,
    code: str,
    remedy: str,
) -> None:
    monkeypatch.setenv(name, value)

    require_refusal(status, code, remedy, "affiliates", "ingest", str(T2), *LATER)

    assert believed(dsn) == before


def test_a_data_directory_that_the_account_of_the_server_may_not_enter_is_refused(
    dsn: str, before: books.Books, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the server is another account; as anybody else it is ours."""
    mode, remedy = (0o700, "chmod o+x") if os.geteuid() == 0 else (0, "Permission denied")
    closed = place / "closed"
    closed.mkdir(mode=mode)
    monkeypatch.delenv("PALIO_DATABASE_URL")
    monkeypatch.setenv("PALIO_DATA", str(closed / "data"))

    require_refusal(78, "db.cannot_start", remedy, "affiliates", "ingest", str(T2), *LATER)

    closed.chmod(0o700)
    assert not (closed / "data/pg").exists()
    assert believed(dsn) == before


FEEDS = {
    "a wrong token": ("locked", None, "auth_failed", "401"),
    "a redirect": ("sim", Effect("redirect", url="http://127.0.0.1:1/"), "redirected", "302"),
    "a body larger than the limit": ("sim", Effect("huge", mb=68), "too_large", "67108864"),
    "a page": ("sim", Effect("garbage"), "affiliates.bad_json", "again"),
}


@pytest.mark.parametrize(("programme", "effect", "code", "said"), FEEDS.values(), ids=FEEDS.keys())
def test_a_feed_that_answers_wrongly_is_told(
    dsn: str,
    before: books.Books,
    world: World,
    simulated: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    programme: str,
    effect: Effect | None,
    code: str,
    said: str,
) -> None:
    """The trial says what came; of a redirect nobody follows it, of a large body no more is read than is allowed."""
    for name, value in simulated.items():
        monkeypatch.setenv(name, value)
    if effect:
        world.faults.add(Fault("feed", effect, times=1))

    told = run("affiliates", "feed", "test", "--programme", programme, "--json")

    assert (told.status, told.answer.get("error_code") or told.answer["code"]) == (1, code)
    assert said in str(told.answer)
    assert SECRET not in told.out + told.err
    assert believed(dsn) == before


def test_a_name_of_zero_width_characters_in_a_feed_is_cleaned(
    dsn: str,
    before: books.Books,
    world: World,
    simulated: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its player is there without a name, or with what is left of it; nobody is refused for it."""
    for name, value in simulated.items():
        monkeypatch.setenv(name, value)
    found = []
    for name in ("\u200b" * 15, "alice\u200d", "\u202ebob"):
        world.feed.rename(FIRST, name)
        told = run("affiliates", "feed", "test", "--programme", "sim", "--json")
        assert (told.status, told.answer["held"]) == (0, [])
        assert told.answer["accepted"] >= 127  # meanwhile somebody may join
        found += [row[1] for row in told.answer["rows"] if row[0] == FIRST]

    assert found == [None, "alice", "bob"]
    assert believed(dsn) == before


def test_a_refusal_is_told_to_people_with_its_code_and_its_facts() -> None:
    told = run("affiliates", "ingest", str(T1), "--at", "2025-03-26T20:59:59Z")

    assert (told.status, told.out) == (1, "")
    sentence, *facts = told.err.splitlines()
    assert sentence.startswith("The programme has a snapshot of 2025-03-26T21:00:00.000000Z already: only a later one")
    assert sentence.endswith(" [affiliates.out_of_order]")
    assert facts == [
        "  fetched_at: 2025-03-26T20:59:59.000000Z",
        "  last: 2025-03-26T21:00:00.000000Z",
    ]


def require_refusal(status: int, code: str, remedy: str, *words: str) -> None:
    """The command says what is wrong and what to do, and is able to print it."""
    told = run(*words, "--json")

    assert (told.status, told.answer["code"]) == (status, code), told.err
    assert remedy in json.dumps(told.answer, ensure_ascii=False)
    assert told.answer["detail"]
    assert "Traceback" not in told.err
    told.out.encode()


REQUESTS = {
    "a race nobody made": ("/api/v1/races/99", 404, "races.no_such_race"),
    "race zero": ("/api/v1/races/0", 404, "not_found"),
    "a zero in front": ("/api/v1/races/01", 404, "not_found"),
    "a page with a zero in front": ("/races/01", 404, "not_found"),
    "a number of 5,000 digits": ("/races/" + 5_000 * "1", 404, "not_found"),
    "a number too large": ("/api/v1/races/9223372036854775808", 404, "not_found"),
    "a number with a point": ("/api/v1/races/1.5", 404, "not_found"),
    "digits of another script": ("/api/v1/races/%D9%A1", 404, "not_found"),
    "a board before the start": ("/api/v1/races/1/standings", 409, "races.not_started"),
    "no number of lines": ("/api/v1/races/1/standings?limit=NaN", 422, "validation_failed"),
    "too many lines": ("/api/v1/races/1/standings?limit=201", 422, "validation_failed"),
    "a parameter nobody knows": ("/api/v1/races/1?limits=5", 422, "unknown_parameter"),
    "a parameter twice": ("/api/v1/races/1/standings?limit=5&limit=6", 422, "unknown_parameter"),
    "no topics": ("/api/v1/stream?topics=", 422, "validation_failed"),
    "an address nobody has": ("/api/v1/nope", 404, "not_found"),
    "a way out of the files": ("/static/..%2f..%2fetc/passwd", 404, "not_found"),
    "bytes that are no text": ("/api/v1/races/%FF", 404, "not_found"),
    "a byte that no database holds": ("/api/v1/races/1%00", 400, "malformed_request"),
}


@pytest.fixture(scope="module")
async def client(
    address: str, before: books.Books, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks the server, which runs on the same database."""
    environment, found = Environment(data=tmp_path_factory.mktemp("data")), Addresses(address, address, address)
    async with (
        wiring.opened(environment, found) as wired,
        serve(web.make(wired)) as base,
        httpx2.AsyncClient(base_url=base, timeout=PATIENCE_S) as client,
    ):
        yield client


@pytest.mark.parametrize(("path", "status", "code"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_that_cannot_be_answered_is_refused(
    client: httpx2.AsyncClient, path: str, status: int, code: str
) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


async def test_writing_is_not_understood_and_changes_nothing(
    client: httpx2.AsyncClient, dsn: str, before: books.Books
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await client.request(method, "/api/v1/races/1", json={"pool": "1.00"})
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert believed(dsn) == before
