"""`palio ledger …` and `palio verify ledger`: what somebody has, what moved, and whether it adds up."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from palio import identity, ledger
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id
from tests.entry.conftest import Command

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
SYSTEM = Actor("system", None, RequestId(new_id()))


@pytest.fixture(scope="module")
async def carol(commands_dsn: str) -> AsyncIterator[identity.User]:
    """Somebody who was paid 12.50 USD at noon and spent 2.25 an hour later."""
    database = Database(commands_dsn)
    await database.pool.open(wait=True)
    async with database.begin(SYSTEM) as tx:
        user = await identity.create(tx, username="Carol", now=NOON)
        wallet = f"user:{user.id}:main"
        for hours, units in ((0, 1250), (1, -225)):
            item = ledger.Post(
                key=f"test:{hours}",
                kind="ledger.transfer",
                legs=(("house:prizes", "USD", -units), (wallet, "USD", units)),
                description="a test",
            )
            assert isinstance(await ledger.post(tx, item, now=NOON + timedelta(hours=hours)), ledger.Posted)
    yield user
    await database.pool.close()


def test_a_balance_now_and_at_an_instant(command: Command, carol: identity.User) -> None:
    now = command("ledger", "balance", "carol", "USD", "--json")
    then = command("ledger", "balance", str(carol.id), "USD", "--at", "2026-03-20T13:30:00+01:00", "--json")
    before = command("ledger", "balance", "carol", "USD", "--at", "2026-03-20T11:59:59Z", "--json")

    assert (now.status, then.status, before.status) == (0, 0, 0)
    assert now.answer == {
        "user_id": str(carol.id),
        "username": "Carol",
        "at": None,
        "wallets": [{"asset": "USD", "scale": 2, "balance": 1025, "held": 0, "available": 1025}],
    }
    assert then.answer["at"] == "2026-03-20T12:30:00.000000Z"
    assert then.answer["wallets"] == [{"asset": "USD", "scale": 2, "balance": 1250, "held": None, "available": None}]
    assert before.answer["wallets"][0]["balance"] == 0


def test_every_wallet_as_a_table(command: Command, carol: identity.User) -> None:
    told = command("ledger", "balance", "carol")

    lines = told.out.splitlines()
    assert lines[0].split() == ["asset", "balance", "held", "available"]
    assert lines[1].split() == ["USD", "10.25", "0.00", "10.25"]
    assert "COIN         0     0          0" in told.out


def test_a_statement_shows_each_movement_and_what_it_left(command: Command, carol: identity.User) -> None:
    whole = command("ledger", "statement", "carol", "USD", "--json")
    first = command("ledger", "statement", "carol", "USD", "--until", "2026-03-20T13:00:00Z")
    newest = command("ledger", "statement", "carol", "USD", "--limit", "1", "--json")

    assert [(line["amount"], line["balance_after"]) for line in whole.answer["lines"]] == [(-225, 1025), (1250, 1250)]
    assert len(newest.answer["lines"]) == 1
    assert first.out.splitlines()[1].split() == [
        *("2026-03-20T12:00:00.000000Z", "ledger.transfer", "12.50", "12.50", "a", "test")
    ]
    assert command("ledger", "statement", "carol", "COIN").out == "Nothing moved.\n"


REFUSED = {
    "nobody": (["balance", "nobody"], 1, "identity.no_such_user"),
    "no such asset": (["balance", "carol", "EUR"], 1, "ledger.unknown_asset"),
    "no such asset in a statement": (["statement", "carol", "usd"], 1, "ledger.unknown_asset"),
    "a time without its offset": (["balance", "carol", "--at", "2026-03-20T12:00:00"], 64, "time_zone_required"),
    "no time": (["balance", "carol", "--at", "yesterday"], 64, "time_invalid"),
    "no rows": (["statement", "carol", "USD", "--limit", "0"], 64, "usage"),
    "rows that are no number": (["statement", "carol", "USD", "--limit", "NaN"], 64, "usage"),
}


@pytest.mark.parametrize(("words", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(command: Command, carol: identity.User, words: list[str], status: int, code: str) -> None:
    told, as_json = command("ledger", *words), command("ledger", *words, "--json")

    assert (told.status, told.out, as_json.status) == (status, "", status)
    assert "Traceback" not in told.err
    assert as_json.answer["code"] == code


def test_a_sound_ledger_is_verified(command: Command, carol: identity.User) -> None:
    told, as_json = command("verify", "ledger"), command("verify", "ledger", "--json")

    assert (told.status, as_json.status) == (0, 0)
    seals = "seals 0 over 0 rows, 2 not sealed yet, anchored up to 0"
    assert told.out == f"Sound: transfers 2, entries 4, accounts 2; {seals}.\n"
    assert (as_json.answer["sound"], as_json.answer["findings"]) == (True, [])
