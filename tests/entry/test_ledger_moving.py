"""`palio ledger post|reverse|import|reconcile|export`: what moves is moved once, and written down."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString, TypeAlias
from uuid import UUID

import psycopg
import pytest

from palio import identity, ledger
from palio.entry import operators
from palio.infra import embedded
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id
from tests.entry.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
SYSTEM = Actor("system", None, RequestId(new_id()))
MANY = 1_000
Books: TypeAlias = psycopg.Connection[tuple[Any, ...]]
WAITS: LiteralString = """select 1 from pg_locks l join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'transactionid' and not l.granted and a.datname = current_database()"""


@pytest.fixture(scope="module")
async def database(commands_dsn: str) -> AsyncIterator[Database]:
    database = Database(commands_dsn)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@pytest.fixture(scope="module")
def books(cluster: embedded.Cluster, database_name: str) -> Iterator[Books]:
    """A look at everything: a command runs a loop of its own, so that its tests have none."""
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        yield conn


@pytest.fixture
def owner_dsn(cluster: embedded.Cluster, database_name: str) -> str:
    return cluster.dsn(database=database_name)


@pytest.fixture(scope="module")
async def carol(database: Database) -> identity.User:
    async with database.begin(SYSTEM) as tx:
        return await identity.create(tx, username="Carol", now=NOON)


@pytest.fixture(scope="module")
async def crowd(database: Database, carol: identity.User) -> Sequence[identity.User]:
    """A thousand players, the last of whom has a wallet."""
    async with database.begin(SYSTEM, seconds_max=60) as tx:
        found = [await identity.create(tx, username=f"player{n}", now=NOON) for n in range(MANY)]
        legs = ("house:prizes", "COIN", -1), (f"user:{found[599].id}:main", "COIN", 1)
        await ledger.post(tx, ledger.Post("first", "ledger.transfer", legs), now=NOON)
    return found


def ask(books: Books, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    return books.execute(statement, values or None).fetchall()


def held(books: Books, address: str) -> int:
    """Coins, as the sum of entries."""
    statement: LiteralString = """select coalesce(sum(e.amount), 0)::bigint from ledger.entries e
      join ledger.accounts a on a.id = e.account_id where a.address = %s and a.asset_id = 3"""
    return int(ask(books, statement, address)[0][0])


def transfers(books: Books) -> int:
    return int(ask(books, "select count(*) from ledger.transfers")[0][0])


def acts(books: Books, action: str) -> list[tuple[Any, ...]]:
    return ask(
        books, "select entity_id, changes, reason, via from infra.audit_rows where action = %s order by id", action
    )


def wallet(user: identity.User) -> str:
    return f"user:{user.id}:main"


def test_a_transfer_is_posted_once_and_written_down(command: Command, books: Books, carol: identity.User) -> None:
    words = ["post", "prize-7", "house:prizes,COIN,-40", "carol,COIN,40", "--reason", "a lost prize"]
    trial = command("ledger", *words, "--dry-run", "--json")
    assert (trial.status, trial.answer["transfer_id"], held(books, wallet(carol))) == (0, None, 0)
    assert acts(books, "transfer.post") == []

    first, again = command("ledger", *words, "--json"), command("ledger", *words, "--json")
    assert (first.status, again.status) == (0, 0)
    assert (first.answer["replayed"], again.answer["replayed"]) == (False, True)
    assert first.answer["transfer_id"] == again.answer["transfer_id"]
    assert first.answer["balances"] == {wallet(carol): {"balance": 40, "seq": 1}}
    assert held(books, wallet(carol)) == 40
    [(entity, changes, reason, via)] = acts(books, "transfer.post")
    assert (entity, via) == (first.answer["transfer_id"], "cli")
    assert changes == {"legs": [None, ["house:prizes COIN -40", f"{wallet(carol)} COIN 40"]]}
    assert str(reason).startswith("a lost prize (by ")
    assert ask(books, "select op from ledger.keys where key = 'cli:prize-7'") == [("transfer",)]


def test_a_transfer_is_taken_back_and_no_more_of_it(command: Command, books: Books, carol: identity.User) -> None:
    posted = command("ledger", "post", "r1", "house:prizes,COIN,-100", "carol,COIN,100", "--reason", "x", "--json")
    number, before = posted.answer["transfer_id"], held(books, wallet(carol))
    part = ["reverse", number, "--amount", "60", "--reason", "too much"]
    assert command("ledger", *part, "--dry-run").status == 0
    assert held(books, wallet(carol)) == before
    assert [command("ledger", *part, "--json").answer["replayed"] for _ in range(2)] == [False, True]
    assert held(books, wallet(carol)) == before - 60
    more = command("ledger", *part, "--key", "once-more", "--json")
    assert (more.status, more.answer["code"], more.answer["facts"]["left"]) == (1, "ledger.reversal_exceeds", 40)
    assert command("ledger", "reverse", number, "--reason", "all of it").status == 0
    assert held(books, wallet(carol)) == before - 100
    assert [changes for _, changes, _, _ in acts(books, "transfer.reverse")] == [
        {"original": [None, number], "amount": [None, 60]},
        {"original": [None, number], "amount": [None, None]},
    ]


INVALID = "ledger.invalid"
REFUSED = {
    "no reason": (["post", "k", "house:a,COIN,-1", "carol,COIN,1"], 64, "usage"),
    "an amount with places": (["post", "k", "house:a,USD,-1.5", "carol,USD,1.5", "--reason", "x"], 64, "leg_invalid"),
    "an exponent": (["post", "k", "house:a,USD,-1e3", "carol,USD,1e3", "--reason", "x"], 64, "leg_invalid"),
    "full-width digits": (["post", "k", "house:a,USD,-\uff11", "carol,USD,1", "--reason", "x"], 64, "leg_invalid"),
    "a leg of two parts": (["post", "k", "house:a,USD", "carol,USD,1", "--reason", "x"], 64, "leg_invalid"),
    "an unbalanced one": (["post", "k", "house:a,COIN,-2", "carol,COIN,1", "--reason", "x"], 64, "legs_unbalanced"),
    "nothing": (["post", "k", "house:a,COIN,0", "carol,COIN,0", "--reason", "x"], 1, "ledger.invalid"),
    "2^53": (
        ["post", "k", "house:a,COIN,-9007199254740992", "carol,COIN,9007199254740992", "--reason", "x"],
        1,
        "ledger.invalid",
    ),
    "a strange address": (
        ["post", "k", "user:../x:main,COIN,-1", "carol,COIN,1", "--reason", "x"],
        1,
        "ledger.invalid",
    ),
    "nobody": (["post", "k", "house:a,COIN,-1", "mallory,COIN,1", "--reason", "x"], 1, "identity.no_such_user"),
    "an unknown kind": (
        ["post", "k", "house:a,COIN,-1", "carol,COIN,1", "--kind", "a.b", "--reason", "x"],
        1,
        "ledger.invalid",
    ),
    "a key with a space": (["post", "k k", "house:a,COIN,-1", "carol,COIN,1", "--reason", "x"], 1, "ledger.invalid"),
    "more than there is": (
        ["post", "k", "house:a,COIN,999", "carol,COIN,-999", "--reason", "x"],
        1,
        "ledger.insufficient_funds",
    ),
    "no transfer": (
        ["reverse", "01a21aee-4018-74a4-9cfc-6c27873b2372", "--reason", "x"],
        1,
        "ledger.no_such_transfer",
    ),
    "no id": (["reverse", "x", "--reason", "x"], 64, "usage"),
    "a negative part": (
        ["reverse", "01a21aee-4018-74a4-9cfc-6c27873b2372", "--amount", "-1", "--reason", "x"],
        64,
        "usage",
    ),
    "no run": (["import", "{file}"], 64, "usage"),
    "a run with a colon": (["import", "{file}", "--run", "a:b"], 64, "run_invalid"),
    "a strange source": (["import", "{file}", "--run", "r", "--from", "House"], 64, "address_invalid"),
    "no such export": (["export", "secrets"], 64, "usage"),
    "an export of no asset": (["export", "entries", "--asset", "EUR"], 1, "ledger.unknown_asset"),
    "no address": (["balance", "House:x"], 64, "address_invalid"),
    "no asset of an address": (["balance", "house:x", "EUR"], 1, "ledger.unknown_asset"),
}


@pytest.mark.parametrize(("words", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_moves_nothing(
    command: Command,
    books: Books,
    carol: identity.User,
    tmp_path: Path,
    words: list[str],
    status: int,
    code: str,
) -> None:
    file = written(tmp_path, "player,asset,amount\ncarol,COIN,1\n")
    before = transfers(books)
    told = command("ledger", *[word.replace("{file}", str(file)) for word in words])
    assert (told.status, told.out) == (status, "")
    assert f"[{code}]" in told.err or code == "usage"
    assert "Traceback" not in told.err
    assert transfers(books) == before


def written(folder: Path, text: str, name: str = "awards.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_rows_of_a_file_are_paid_once(
    command: Command, books: Books, carol: identity.User, crowd: Sequence[identity.User], tmp_path: Path
) -> None:
    """Of both forms; a row that was changed since is refused while its neighbours are paid."""
    text = f"amount,player,asset,why\n25,player0,COIN,a draw\n7,{crowd[1].id},COIN,=1+1\n"
    words = ["import", str(written(tmp_path, text)), "--run", "spring", "--json"]
    trial = command("ledger", *words, "--dry-run")
    assert (trial.status, trial.answer["paid"], held(books, wallet(crowd[0]))) == (0, 2, 0)

    first, again = command("ledger", *words), command("ledger", *words)
    assert [(one.answer["paid"], one.answer["paid_before"]) for one in (first, again)] == [(2, 0), (0, 2)]
    assert [held(books, wallet(crowd[n])) for n in (0, 1)] == [25, 7]
    assert ask(
        books,
        "select key, kind, description, metadata from ledger.transfers where key like 'bulk:spring:%' order by 1",
    ) == [
        ("bulk:spring:1", "ledger.adjustment", "a draw", {"run": "spring"}),
        ("bulk:spring:2", "ledger.adjustment", "=1+1", {"run": "spring"}),
    ]
    [(entity, changes, reason, _)] = acts(books, "ledger.import")
    assert (entity, changes) == ("spring", {"rows": [None, [1, 2]], "paid": [None, 2]})
    assert str(reason).startswith("run spring (by ")

    lines = [
        {"player": "player0", "asset": "COIN", "amount": 26},
        {"player": str(crowd[1].id), "asset": "COIN", "amount": 7, "why": "other words change nothing"},
        {"player": "player2", "asset": "COIN", "amount": 3, "kind": "bonuses.gift"},
    ]
    other = written(tmp_path, "\n".join(map(json.dumps, lines)), "awards.jsonl")
    third = command("ledger", "import", str(other), "--run", "spring", "--from", "house:adjustments", "--json")
    assert (third.status, third.answer["paid"], third.answer["paid_before"]) == (1, 1, 1)
    assert third.answer["refused"] == [
        {"line": 1, "player": "player0", "code": "ledger.key_mismatch", "facts": third.answer["refused"][0]["facts"]}
    ]
    assert [held(books, wallet(crowd[n])) for n in range(3)] == [25, 7, 3]


NO_UNITS = "NaN", "1e3", "1_000", "\uff11", "0", "007"
FAULTY = {
    "empty": ("", ["it is empty"]),
    "a head alone": ("player,asset,amount\n", ["it is empty"]),
    "no amount": ("player,asset\ncarol,COIN\n", ["columns are"]),
    "a column twice": ("player,asset,amount,player\ncarol,COIN,1,carol\n", ["columns are"]),
    "a column nobody knows": ("player,asset,amount,bonus\ncarol,COIN,1,2\n", ["columns are"]),
    "a field too many": ("player,asset,amount\ncarol,COIN,1,2\n", ["line 2: 4 fields instead of 3"]),
    "places": ("player,asset,amount\ncarol,USD,14.28444999\n", ["line 2: amount '14.28444999'"]),
    "words for a number": (
        "player,asset,amount\n" + "".join(f"carol,COIN,{word}\n" for word in NO_UNITS),
        [f"line {n}: amount" for n in range(2, 8)],
    ),
    "2^53": ("player,asset,amount\ncarol,COIN,9007199254740992\n", ["line 2: amount"]),
    "nobody": ("player,asset,amount\ncarol,COIN,1\nmallory,COIN,1\n", ["line 3: nobody is called mallory"]),
    "no asset": ("player,asset,amount\ncarol,EUR,1\n", ["line 2: there is no asset EUR"]),
    "a zero byte": ("player,asset,amount,why\ncarol,COIN,1,a\0b\n", ["line 2: why is no text"]),
    "long words": (f"player,asset,amount,why\ncarol,COIN,1,{'x' * 256}\n", ["line 2: why has more than 255"]),
    "an open quote": ('player,asset,amount\ncarol,COIN,"1\n', ["unexpected end"]),
}
FAULTY_LINES = {
    "a text for a number": ('{"player": "carol", "asset": "COIN", "amount": "1"}', ["line 1: amount '1'"]),
    "a float": ('{"player": "carol", "asset": "COIN", "amount": 1.0}', ["line 1: amount 1.0"]),
    "true": ('{"player": "carol", "asset": "COIN", "amount": true}', ["line 1: amount True"]),
    "NaN": ('{"player": "carol", "asset": "COIN", "amount": NaN}', ["line 1: NaN is no number"]),
    "a key twice": ('{"player": "carol", "asset": "COIN", "amount": 1, "amount": 2}', ["line 1: the key 'amount'"]),
    "half a line": ('{"player": "carol", "asset": "COIN", "amount": 1}\n{"player": ', ["line 2: "]),
    "a list": ("[]", ["line 1: it is no object"]),
    "half a character": (
        '{"player": "carol", "asset": "COIN", "amount": 1, "why": "\\ud800"}',
        ["line 1: "],
    ),
    "a number for a name": ('{"player": 7, "asset": "COIN", "amount": 1}', ["line 1: player is no text"]),
    "a member nobody knows": (
        '{"player": "carol", "asset": "COIN", "amount": 1, "key": "x"}',
        ["line 1: nobody knows key"],
    ),
}


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [("f.csv", *case) for case in FAULTY.values()] + [("f.jsonl", *case) for case in FAULTY_LINES.values()],
    ids=[*FAULTY, *FAULTY_LINES],
)
def test_a_file_with_a_fault_pays_nobody(
    command: Command,
    books: Books,
    carol: identity.User,
    tmp_path: Path,
    name: str,
    text: str,
    problems: list[str],
) -> None:
    before = transfers(books)
    told = command("ledger", "import", str(written(tmp_path, text, name)), "--run", "faulty", "--json")
    assert (told.status, told.answer["code"]) == (1, "entry.import_invalid")
    found = told.answer["facts"]["problems"]
    read = command("ledger", "import", str(tmp_path / name), "--run", "faulty").err.splitlines()
    assert read[1:] == ["  problems:", *[f"    {problem}" for problem in found]]
    assert len(found) == len(problems)
    assert all(begins in one for one, begins in zip(found, problems, strict=True))
    assert transfers(books) == before


def test_an_award_to_a_thousand_that_is_killed_halfway_is_paid_once(
    command: Command,
    books: Books,
    crowd: Sequence[identity.User],
    commands_dsn: str,
    owner_dsn: str,
    tmp_path: Path,
) -> None:
    """Somebody holds the wallet of the 600th, so that the process stands still in the third part, and is killed."""
    rows = "".join(f"{user.username},COIN,10\n" for user in crowd)
    words = ["ledger", "import", str(written(tmp_path, f"player,asset,amount\n{rows}")), "--run", "thousand"]
    environment = {**os.environ, "PALIO_DATABASE_URL": commands_dsn, "PALIO_DATA": str(tmp_path)}
    paid = "select count(*) from ledger.transfers where key like 'bulk:thousand:%'"
    with psycopg.connect(owner_dsn) as somebody:  # who is in the middle of a payment
        somebody.execute("select 1 from ledger.balances where owner_id = %s for update", [crowd[599].id])
        with subprocess.Popen(
            [sys.executable, "-m", "palio", *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while not ask(books, WAITS):
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert ask(books, paid) == [(500,)]

    done = command(*words, "--json")
    assert (done.status, done.answer["paid"], done.answer["paid_before"]) == (0, 500, 500)
    again = command(*words)
    assert again.out == "0 paid, 1000 were paid before, 0 refused, of 1000 rows.\n"
    assert ask(books, paid) == [(1_000,)]
    assert ask(
        books,
        """select count(*), sum(e.amount) from ledger.entries e join ledger.transfers t on t.id = e.transfer_id
        where t.key like 'bulk:thousand:%' and e.seq is not null""",
    ) == [(1_000, 10_000)]


def test_long_work_says_how_far_it_is(command: Command, crowd: Sequence[identity.User], tmp_path: Path) -> None:
    rows = "player7,COIN,1\n" * 2_600
    told = command("ledger", "import", str(written(tmp_path, f"player,asset,amount\n{rows}")), "--run", "long")
    assert told.status == 0
    assert "2,500 of 2,600 rows" in told.err


def test_what_a_pool_has_now_and_had(command: Command, carol: identity.User) -> None:
    words = ["post", "pool-1", "house:prizes,USD,-2000", "pool:cup,USD,2000", "--reason", "a pool"]
    assert command("ledger", *words).status == 0
    now = command("ledger", "balance", "pool:cup", "USD", "--json")
    then = command("ledger", "balance", "pool:cup", "USD", "--at", "2026-03-20T11:59:59Z", "--json")
    assert now.answer == {
        "address": "pool:cup",
        "at": None,
        "balances": [{"asset": "USD", "scale": 2, "balance": 2000}],
    }
    assert then.answer["balances"][0]["balance"] == 0
    assert command("ledger", "balance", "pool:cup").out.splitlines()[1].split() == ["USD", "20.00"]
    assert command("ledger", "balance", "pool:nobody", "COIN", "--json").answer["balances"][0]["balance"] == 0


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_books_are_handed_out_and_run_nothing(
    command: Command, books: Books, carol: identity.User, tmp_path: Path
) -> None:
    words = ["post", "formula", "house:prizes,COIN,-5", "carol,COIN,5", "--reason", "x", "--description", "=1+1"]
    assert command("ledger", *words).status == 0
    told = command("ledger", "export", "entries", "--of", "carol", "--asset", "COIN")
    rows = rows_of(told.out)
    assert rows[-1]["description"] == "'=1+1"
    assert (rows[-1]["amount"], rows[-1]["kind"], rows[-1]["category"]) == ("5", "ledger.transfer", "transfer")
    assert sum(int(row["amount"]) for row in rows) == held(books, wallet(carol))
    assert [int(row["balance_after"]) for row in rows][-1] == held(books, wallet(carol))
    assert UUID(rows[0]["transfer"])

    whole = tmp_path / "all.csv"
    assert command("ledger", "export", "entries", "--output", str(whole)).status == 0
    rows = rows_of(whole.read_text())
    assert len(rows) == (ask(books, "select count(*) from ledger.entries"))[0][0]
    assert sum(int(row["amount"]) for row in rows) == 0
    assert [row["posted_at"] for row in rows] == sorted(row["posted_at"] for row in rows)
    assert [file.name for file in tmp_path.glob("*.part")] == []
    past = command("ledger", "export", "entries", "--until", "2026-03-20T12:00:00Z")
    assert rows_of(past.out) == []

    wallets = rows_of(command("ledger", "export", "wallets", "--of", "carol").out)
    assert [(row["asset"], row["balance"], row["held"]) for row in wallets] == [
        ("COIN", str(held(books, wallet(carol))), "0")
    ]


def test_a_large_export_is_written_down(
    command: Command, books: Books, crowd: Sequence[identity.User], tmp_path: Path
) -> None:
    before = len(acts(books, "ledger.export"))
    rows = "player9,COIN,1\n" * 600
    assert command("ledger", "import", str(written(tmp_path, f"player,asset,amount\n{rows}")), "--run", "e").status == 0
    assert command("ledger", "export", "entries", "--of", "player9").status == 0  # some hundred rows: nobody asks
    assert len(acts(books, "ledger.export")) == before
    assert command("ledger", "export", "entries", "--output", str(tmp_path / "x"), "--reason", "taxes").status == 0
    (entity, changes, reason, _) = (acts(books, "ledger.export"))[-1]
    assert entity == "entries"
    assert changes["rows"][1] > 1_000  # type: ignore[index]
    assert str(reason).startswith("taxes (by ")


def test_an_export_to_nowhere_is_refused(command: Command, carol: identity.User, tmp_path: Path) -> None:
    told = command("ledger", "export", "entries", "--output", str(tmp_path / "no" / "x.csv"))
    assert (told.status, "[file_unwritable]" in told.err) == (64, True)


def test_a_reconciliation_says_what_it_found_and_freezes(command: Command, books: Books, carol: identity.User) -> None:
    """And with --dry-run it only says so."""
    whole = command("ledger", "reconcile", "--json")
    assert (whole.status, whole.answer["sound"], whole.answer["scope"]) == (0, True, "all")
    touched = command("ledger", "reconcile", "--touched")
    assert (touched.status, touched.out.startswith("All adds up: transfers ")) == (0, True)

    units = held(books, wallet(carol))
    books.execute("update ledger.balances set balance = balance + 1 where owner_id = %s", [carol.id])
    told = command("ledger", "reconcile", "--dry-run")
    assert told.status == 1
    assert f"R1  {wallet(carol)} COIN: expected {units} after " in told.out
    assert ask(books, "select count(*) from ledger.findings") == [(0,)]

    assert command("ledger", "reconcile").status == 1
    assert ask(books, "select check_code from ledger.findings") == [("R1",)]
    spent = command("ledger", "post", "spent", "carol,COIN,-1", "house:prizes,COIN,1", "--reason", "x", "--json")
    assert (spent.status, spent.answer["code"]) == (1, "ledger.account_frozen")


FOUND: LiteralString = """select finding from ledger.report(
  array[gen_random_uuid()], array['R3'], array[%s], array[null]::bigint[], array['0'], array['7'], now())"""


def test_a_finding_is_told_and_resolved_once_with_what_was_found_out(command: Command, books: Books) -> None:
    """And who sat at the terminal."""
    subject, words = f"asset {new_id()}", "a test wrote it"
    [(number,)] = ask(books, FOUND, subject)
    finding = str(number)
    told = command("ledger", "findings")
    trial = command("ledger", "resolve", finding, "--resolution", words, "--dry-run")
    short = command("ledger", "resolve", finding, "--resolution", "    too short    ", "--json")
    still = command("ledger", "findings", "--json").answer["findings"]
    done = command("ledger", "resolve", finding, "--resolution", words, "--json")
    again = command("ledger", "resolve", finding, "--resolution", words, "--json")
    nobody = command("ledger", "resolve", str(new_id()), "--resolution", words, "--json")
    left = command("ledger", "findings", "--json").answer["findings"]
    every = command("ledger", "findings", "--all", "--json").answer["findings"]

    [line] = [line for line in told.out.splitlines() if line.startswith(finding)]
    assert (told.status, line.endswith(f"R3  {subject}: expected 0, found 7")) == (0, True)
    assert (trial.status, trial.out.splitlines()[0]) == (0, "Nothing was changed; this would be resolved:")
    assert [one["resolved_at"] for one in still if one["id"] == finding] == [None]
    assert (done.status, done.answer["finding"]["resolution"]) == (0, words)
    assert [(one.status, one.answer["code"]) for one in (short, again, nobody)] == [
        (1, "ledger.resolution_invalid"),
        (1, "ledger.finding_resolved"),
        (1, "ledger.no_such_finding"),
    ]
    assert [finding in [one["id"] for one in found] for found in (left, every)] == [False, True]
    rows: LiteralString = "select reason, via from infra.audit_rows where action = 'finding.resolve' and entity_id = %s"
    assert ask(books, rows, finding) == [(f"{words} ({operators.by()})", "cli")]


def test_where_nothing_was_found_that_is_said(command: Command, books: Books) -> None:
    books.execute("update ledger.findings set resolved_at = now(), resolution = 'a test' where resolved_at is null")
    assert command("ledger", "findings").out == "Nothing is open.\n"
