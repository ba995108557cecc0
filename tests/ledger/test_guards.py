"""The database refuses what a correct program never sends."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from palio import ledger
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger.rules.items import judge
from palio.ledger.rules.plain import Plain, Side
from palio.ledger.rules.requests import Request, Vocabulary
from palio.ledger.sql import plain as plain_sql
from tests.factories.ledger import HOUSE, Superuser, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


async def refused_with(tx: Tx, statement: str, *values: object) -> str | None:
    """The SQLSTATE with which the server refuses it."""
    with pytest.raises(psycopg.Error) as caught:
        async with tx.transaction():
            await tx.execute(statement, values)  # type: ignore[arg-type]
    return caught.value.sqlstate


# --- nothing is written past the functions ---


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ledger.entries values (gen_random_uuid(), now(), 1, 1, 1, 1, 1, 0)",
        "insert into ledger.entries_default values (gen_random_uuid(), now(), 1, 1, 1, 1, 1, 0)",
        "insert into ledger.transfers values (gen_random_uuid(), now(), 1, 'k', 'k', 'k')",
        "insert into ledger.keys values ('x', '', gen_random_uuid(), 'transfer', 1)",
        "insert into ledger.accounts (id, address, asset_id, guarded) values (65538, 'house:x', 1, false)",
        "insert into ledger.balances (account_id) values (1)",
        "insert into ledger.reversals values (gen_random_uuid(), 0, 1)",
        "update ledger.reversals set reversed = 0",
        "select ledger.lock_originals('{}')",
        "insert into ledger.holds (id) values (gen_random_uuid())",
        "update ledger.holds set captured = 1",
        "insert into ledger.findings values (gen_random_uuid(), 'R1', 'x', null, '', '', now())",
        "update ledger.balances set balance = 5",
        "update ledger.accounts set status = 'active'",
        "update ledger.assets set active = false",
        "update ledger.kinds set label = ''",
        "delete from ledger.keys",
        "delete from ledger.entries",
        "truncate ledger.keys",
        "select * from ledger.entries_default",
        "select nextval('ledger.account_numbers')",
        "select ledger.move('{}', '{}', '{}')",
        "select ledger.move_held('{}', '{}', '{}', '{}', '{}')",
        "select ledger.claim('{}', '{}', '{}', '{}')",
        "select ledger.make_accounts('{}', '{}', 0)",
        "drop table ledger.findings",
    ],
)
async def test_the_application_has_no_right_to_write(tx: Tx, statement: str) -> None:
    assert await refused_with(tx, statement) == "42501"


async def test_the_application_has_no_right_on_any_partition(tx: Tx) -> None:
    await ledger.prepare_month(tx, month=NOON)
    found = await tx.execute(
        """select c.relname from pg_class c where c.relnamespace = 'ledger'::regnamespace and c.relispartition
          and c.relkind = 'r' and has_table_privilege('palio_app', c.oid, 'select, insert, update, delete, truncate')"""
    )
    assert await found.fetchall() == []


# --- what the functions refuse ---


@dataclass(frozen=True)
class Attempt:
    """Arguments of ledger.write: by default a sound transfer of 5 to a wallet of 100 with seq 1."""

    wallet: int
    house: int
    transfer: UUID = field(default_factory=new_id)
    key: str = "attempt"
    claimed: bool = True
    posted: tuple[datetime, ...] = (NOON, NOON)
    transfers: tuple[UUID, ...] = ()
    legs: tuple[int, ...] = (0, 1)
    accounts: tuple[int, ...] = ()
    amounts: tuple[int, ...] = (5, -5)
    seqs: tuple[int, ...] = (2, 0)
    balances: tuple[int, ...] = (105, 0)

    async def write(self, tx: Tx) -> None:
        if self.claimed:
            await tx.execute(
                """select * from ledger.open_batch(array[%s], array[%s::bytea], array[%s::uuid], '{}', '{}', '{}', '{}',
                  '{}', '{}', '{}', '{}', now(), 0)""",
                [self.key, b"\0" * 32, self.transfer],
            )
        n = len(self.amounts)
        await tx.execute(
            f"""select ledger.write('{{}}', array[%s::uuid], array[%s::timestamptz], array[%s],
              array['ledger.transfer'], {"'{}', " * 5}%s::uuid[], %s::smallint[], %s::timestamptz[], %s::bigint[],
              %s::bigint[], %s::bigint[], %s::bigint[]{", '{}'" * 14}, now())""",
            [
                self.transfer,
                NOON,
                self.key,
                list(self.transfers or [self.transfer] * n),
                list(self.legs[:n]),
                list(self.posted[:n]),
                list(self.accounts or (self.wallet, self.house)[:n]),
                list(self.amounts),
                list(self.seqs[:n]),
                list(self.balances[:n]),
            ],
        )


@pytest.fixture
async def attempt(tx: Tx, wallet: str) -> Attempt:
    await fund(tx, wallet, 100, now=NOON)
    numbers = await (
        await tx.execute(
            "select id from ledger.accounts where address in (%s, %s) and asset_id = 3 order by guarded desc",
            [wallet, HOUSE],
        )
    ).fetchall()
    return Attempt(numbers[0][0], numbers[1][0])


async def state_of(tx: Tx, attempt: "Attempt | Holding | Plainly") -> str | None:
    with pytest.raises(psycopg.Error) as caught:
        async with tx.transaction():
            await attempt.write(tx)
    return caught.value.sqlstate


async def test_a_sound_transfer_is_written(tx: Tx, attempt: Attempt, wallet: str) -> None:
    """Or else the refusals below would prove nothing."""
    await attempt.write(tx)
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 105


UNKNOWN = 65536 * 10**9
PL001 = {
    "one leg": {"amounts": (5,), "legs": (0,), "seqs": (2,), "balances": (105,)},
    "legs do not cancel": {"amounts": (5, -4)},
    "legs in two assets": {"accounts": "other asset"},
}
PL002 = {
    "balance off by one": {"balances": (106, 0)},
    "seq leaves a gap": {"seqs": (3, 0)},
    "seq stands still": {"seqs": (1, 0)},
    "seq starts again": {"seqs": (-1, 0)},
}
PL003 = {
    "guarded without seq": {"seqs": (0, 0)},
    "open with seq": {"seqs": (2, 1)},
}
PL006 = {
    "no key": {"claimed": False},
    "legs begin at one": {"legs": (1, 2)},
    "a leg is missing": {"legs": (0, 2)},
    "another transfer": {"transfers": (UUID(int=7), UUID(int=7))},
    "two instants": {"posted": (NOON, NOON + timedelta(seconds=1))},
    "another instant": {"posted": (NOON + timedelta(seconds=1),) * 2},
}
CASES = [
    pytest.param(state, change, id=f"{state} {name}")
    for state, cases in (("PL001", PL001), ("PL002", PL002), ("PL003", PL003), ("PL006", PL006))
    for name, change in cases.items()
]


@pytest.mark.parametrize(("state", "change"), CASES)
async def test_the_database_refuses_it(
    tx: Tx, attempt: Attempt, wallet: str, state: str, change: dict[str, object]
) -> None:
    if change.get("accounts") == "other asset":
        change = {"accounts": (attempt.wallet, attempt.house - 2)}
    assert await state_of(tx, replace(attempt, **change)) == state  # type: ignore[arg-type]
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 100


async def test_an_account_that_does_not_exist_gets_no_entry(tx: Tx, attempt: Attempt) -> None:
    assert await state_of(tx, replace(attempt, accounts=(attempt.wallet, attempt.house + UNKNOWN))) == "PL003"
    assert await state_of(tx, replace(attempt, accounts=(attempt.wallet + UNKNOWN, attempt.house))) == "PL002"


async def test_entries_of_one_account_follow_from_each_other(tx: Tx, attempt: Attempt) -> None:
    """Two credits in one transfer: running balances right, one of them wrong, both the same seq."""
    twice = replace(
        attempt,
        accounts=(attempt.wallet, attempt.wallet, attempt.house),
        amounts=(5, 5, -10),
        legs=(0, 1, 2),
        posted=(NOON,) * 3,
    )
    assert await state_of(tx, replace(twice, seqs=(2, 3, 0), balances=(105, 111, 0))) == "PL002"
    assert await state_of(tx, replace(twice, seqs=(2, 2, 0), balances=(105, 105, 0))) == "PL002"
    await replace(twice, seqs=(2, 3, 0), balances=(105, 110, 0)).write(tx)


async def test_no_balance_falls_below_its_floor(tx: Tx, attempt: Attempt) -> None:
    assert await state_of(tx, replace(attempt, amounts=(-101, 101), balances=(-1, 0))) == "23514"


@pytest.mark.parametrize("amount", [0, 2**53])
async def test_an_entry_has_an_exact_amount(tx: Tx, attempt: Attempt, amount: int) -> None:
    assert await state_of(tx, replace(attempt, amounts=(amount, -amount), balances=(100 + amount, 0))) == "23514"


async def test_a_key_serves_one_transfer(tx: Tx, attempt: Attempt) -> None:
    """A second transfer under a key that this transaction claimed for the first."""
    await attempt.write(tx)
    again = replace(attempt, transfer=new_id(), claimed=False, seqs=(3, 0), balances=(110, 0))
    assert await state_of(tx, again) == "PL006"


async def test_a_key_of_an_earlier_transaction_serves_no_other_transfer(database: Database, wallet: str) -> None:
    key = f"{wallet}:once"
    async with database.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay(key, wallet, 100), now=NOON)
        found = await (await tx.execute("select id from ledger.accounts where address = %s", [HOUSE])).fetchone()
        own = await (await tx.execute("select id from ledger.accounts where address = %s", [wallet])).fetchone()
    assert found is not None
    assert own is not None
    async with database.begin(SYSTEM) as tx:
        stolen = Attempt(own[0], found[0], transfer=posted.transfer_id, key=key, claimed=False)
        assert await state_of(tx, stolen) in {"PL006", "23505"}


@dataclass(frozen=True)
class Plainly:
    """Arguments of ledger.post_plain: by default a sound transfer of 5 to a wallet of 100."""

    wallet: int
    house: int
    guarded: tuple[Side, ...] = ()
    open: tuple[Side, ...] = ()
    transfer: UUID = field(default_factory=new_id)

    async def write(self, tx: Tx) -> plain_sql.Moved | None:
        item, known = pay(f"plain:{self.transfer}", new_wallet(), 5), Vocabulary({"ledger.transfer"}, {"COIN"}, {})
        [request] = judge([item], [self.transfer], known)
        assert isinstance(request, Request)
        id_ = self.transfer.bytes
        sides = self.guarded or ((id_, 0, self.wallet, 5),), self.open or ((id_, 1, self.house, -5),)
        return await plain_sql.post_plain(tx, Plain([request], *map(list, sides)), {}, now=NOON)


async def test_a_sound_transfer_is_written_plainly(tx: Tx, attempt: Attempt, wallet: str) -> None:
    assert await Plainly(attempt.wallet, attempt.house).write(tx)
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 105


@pytest.mark.parametrize(
    ("state", "transfer", "leg", "amount"),
    [("PL001", None, 1, -4), ("PL001", UUID(int=7), 1, -5), ("PL006", None, 2, -5)],
    ids=["legs do not cancel", "another transfer", "a leg is missing"],
)
async def test_the_database_refuses_it_of_a_plain_batch_too(
    tx: Tx, attempt: Attempt, wallet: str, state: str, transfer: UUID | None, leg: int, amount: int
) -> None:
    sound = Plainly(attempt.wallet, attempt.house)
    wrong = (transfer or sound.transfer).bytes, leg, attempt.house, amount
    assert await state_of(tx, replace(sound, open=(wrong,))) == state
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 100


async def test_an_account_of_a_plain_batch_is_what_it_is_taken_for(tx: Tx, attempt: Attempt, wallet: str) -> None:
    """A wallet is none of those without a number of its own entries, and a house pays in its asset."""
    other, sound = new_wallet(), Plainly(attempt.wallet, attempt.house)
    for address, asset in ((other, "COIN"), (new_wallet(), "QC")):
        await fund(tx, address, 100, now=NOON, asset=asset)
    for place, state in (((other, 3), "PL003"), ((HOUSE, 2), "PL001")):
        account = await db.value(tx, "select id from ledger.accounts where address = %s and asset_id = %s", *place)
        wrong = sound.transfer.bytes, 1, account, -5
        assert await state_of(tx, replace(sound, open=(wrong,))) == state
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 100


async def test_what_is_no_wallet_or_moves_twice_is_not_plain(tx: Tx, attempt: Attempt, wallet: str) -> None:
    """Nothing is done, and the ordinary way looks closer."""
    sound = Plainly(attempt.wallet, attempt.house)
    id_, house = sound.transfer.bytes, attempt.house
    for guarded in (((id_, 0, house, 5),), ((id_, 0, attempt.wallet, 2), (id_, 2, attempt.wallet, 3))):
        assert await replace(sound, guarded=guarded).write(tx) is None
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 100
    assert await db.value(tx, "select count(*) from ledger.keys where ref_id = %s", sound.transfer) == 0


GIVE_BACK = f"select ledger.write(array[%s]{', %s' * 30}, now())"


async def test_only_claims_of_this_transaction_are_given_back(database: Database, wallet: str) -> None:
    key = f"{wallet}:kept"
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(key, wallet, 100), now=NOON)
    async with database.begin(SYSTEM) as tx:
        await tx.execute(GIVE_BACK, [key, *["{}"] * 30])
        found = await (await tx.execute("select count(*) from ledger.keys where key = %s", [key])).fetchone()
    assert found == (1,)


# --- what is held ---


@dataclass(frozen=True)
class Holding:
    """Arguments of ledger.write that place a hold of 40 of a wallet of 100, or change one: by default a sound one.

    What is captured goes to the house by a transfer, `takes` if that is another amount.
    """

    account: int
    house: int
    id: UUID = field(default_factory=new_id)
    key: str = "holding"
    op: str = "hold"
    claimed: bool = True
    amount: int = 40
    capture: UUID | None = None  # of this hold, nothing is placed then
    captured: int = 0
    takes: int | None = None
    names: UUID | None = None  # the hold that the transfer names, if it is another one
    released: int = 0
    state: str = "open"

    async def claim(self, tx: Tx, key: str, number: UUID, op: str) -> None:
        await tx.execute(
            """select * from ledger.open_batch(array[%s], array[%s::bytea], array[%s::uuid], array[%s], '{}', '{}',
              '{}', '{}', '{}', '{}', '{}', now(), 0)""",
            [key, b"\0" * 32, number, op],
        )

    async def transfer(self, tx: Tx, takes: int) -> tuple[object, ...]:
        """Columns of one that takes so much from the wallet."""
        if not takes:
            return ([],) * 16
        number, key = new_id(), f"capture:{new_id()}"
        await self.claim(tx, key, number, "transfer")
        whose, pair = [self.names or self.capture], ([number] * 2, [0, 1], [NOON] * 2, [self.account, self.house])
        left = [[-takes, takes], [2, 0], [100 - takes, 0]]
        return ([number], [NOON], [key], ["ledger.transfer"], [], [], [], whose, [], *pair, *left)

    async def write(self, tx: Tx) -> None:
        if self.claimed and not self.capture:
            await self.claim(tx, self.key, self.id, self.op)
        placed = [self.id], [self.key], [self.account], [self.amount], ["s"], ["store.order"], [NOON]
        changed = [self.capture], [self.captured], [self.released], [self.state]
        columns = (*([[]] * 7), *changed) if self.capture else (*placed, *([[]] * 4))
        takes = self.captured if self.takes is None else self.takes
        await tx.execute(
            """select ledger.write('{}', %s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[],
              %s::jsonb[], %s::uuid[], %s::uuid[], %s::uuid[], %s::smallint[], %s::timestamptz[], %s::bigint[],
              %s::bigint[], %s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
              %s::text[], %s::timestamptz[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[],
              '{}', '{}', '{}', %s)""",
            [*await self.transfer(tx, takes if self.capture else 0), *columns, NOON],
        )


@pytest.fixture
async def holding(tx: Tx, attempt: Attempt) -> Holding:
    """Of the same wallet, which has 100."""
    return Holding(attempt.wallet, attempt.house)


async def held(tx: Tx, wallet: str) -> int:
    [found] = [one for one in await ledger.wallets(tx, owner_id=owner_of(wallet)) if one.asset == "COIN"]
    return found.held


async def test_a_sound_hold_is_written(tx: Tx, holding: Holding, wallet: str) -> None:
    """Placed, captured in part, released: or else the refusals below would prove nothing."""
    await holding.write(tx)
    assert await held(tx, wallet) == 40
    await replace(holding, capture=holding.id, captured=15).write(tx)
    assert await held(tx, wallet) == 25
    await replace(holding, capture=holding.id, released=25, state="voided").write(tx)
    assert await held(tx, wallet) == 0


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"amount": 101}, "23514"),  # more than there is
        ({"amount": 0}, "23514"),
        ({"claimed": False}, "PL006"),
        ({"op": "transfer"}, "PL006"),
    ],
)
async def test_the_database_refuses_a_hold(
    tx: Tx, holding: Holding, wallet: str, change: dict[str, object], state: str
) -> None:
    assert await state_of(tx, replace(holding, **change)) == state  # type: ignore[arg-type]
    assert await held(tx, wallet) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"captured": 41},
        {"captured": -1},
        {"captured": 40},  # nothing remains, and it is left open
        {"captured": 39, "state": "captured"},  # one remains, and it is closed
        {"released": 40, "state": "lost"},
    ],
)
async def test_the_database_refuses_a_wrong_capture(
    tx: Tx, holding: Holding, wallet: str, change: dict[str, object]
) -> None:
    await holding.write(tx)
    assert await state_of(tx, replace(holding, capture=holding.id, **change)) == "23514"  # type: ignore[arg-type]
    assert await held(tx, wallet) == 40


@pytest.mark.parametrize(
    "change",
    [
        {"takes": 0},  # captured without a transfer
        {"takes": 14},  # by one that takes less
        {"takes": 16},
        {"names": UUID(int=7)},  # by one that says it is of another hold
        {"captured": 0, "released": 15, "takes": 15},  # released, and taken all the same
    ],
)
async def test_a_capture_is_what_its_transfer_takes(
    tx: Tx, holding: Holding, wallet: str, change: dict[str, object]
) -> None:
    await holding.write(tx)
    wrong = replace(holding, capture=holding.id, captured=15)
    assert await state_of(tx, replace(wrong, **change)) == "PL005"  # type: ignore[arg-type]
    assert (await held(tx, wallet), await ledger.balance(tx, address=wallet, asset="COIN")) == (40, 100)


async def test_a_closed_hold_stays_as_it_is(tx: Tx, holding: Holding, wallet: str) -> None:
    """Whoever is late moves nothing."""
    await holding.write(tx)
    await replace(holding, capture=holding.id, released=40, state="voided").write(tx)
    await replace(holding, capture=holding.id, captured=40, takes=0, state="captured").write(tx)
    assert await held(tx, wallet) == 0
    found = await tx.execute("select state, captured from ledger.holds where id = %s", [holding.id])
    assert await found.fetchone() == ("voided", 0)


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.holds set captured = captured + 1",
        "update ledger.holds set released = amount, state = 'voided', closed_at = now()",
        """insert into ledger.holds (id, key, account_id, owner_id, amount, subject, kind, expires_at, created_at)
          select gen_random_uuid(), 'k', account_id, owner_id, 1, '', '', now(), now() from ledger.balances limit 1""",
    ],
)
async def test_what_is_held_follows_from_the_holds(
    database: Database, superuser: Superuser, statement: LiteralString
) -> None:
    """Also for the owner of the tables: G8."""
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100, now=NOON)
        item = ledger.Hold(f"{wallet}:h", wallet, "COIN", 40, "s", "store.order", NOON + timedelta(days=1))
        await ledger.hold_many(tx, [item], now=NOON)
    with pytest.raises(psycopg.Error) as caught:
        superuser.run(statement)
    assert caught.value.sqlstate == "PL005"


# --- what is written stays ---


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.entries set amount = amount + 1",
        "update ledger.entries_default set amount = amount + 1",
        "delete from ledger.entries",
        "update ledger.transfers set kind = 'x'",
        "delete from ledger.transfers_default",
        "update ledger.keys set op = 'void'",
        "delete from ledger.keys",
        "truncate ledger.entries",
        "truncate ledger.transfers",
        "truncate ledger.entries_default",
        "truncate ledger.transfers_default",
        "truncate ledger.keys",
        "truncate ledger.reversals",
        "delete from ledger.reversals",
        "update ledger.reversals set reversed = reversed - 1",
        "update ledger.reversals set original = original + 1",
        "truncate ledger.holds",
        "delete from ledger.holds",
        "update ledger.holds set amount = amount + 1",
        "update ledger.holds set expires_at = expires_at + interval '1 day'",
        "truncate ledger.accounts cascade",
        "delete from ledger.accounts",
        "update ledger.accounts set id = id + 65536",
        "update ledger.accounts set address = address || 'x'",
        "update ledger.accounts set owner_id = gen_random_uuid() where guarded",
        "update ledger.assets set scale = 3 where code = 'COIN'",
        "update ledger.assets set kind = 'money' where code = 'COIN'",
        "update ledger.assets set code = 'GOLD' where code = 'COIN'",
    ],
)
async def test_even_the_administrator_changes_nothing(database: Database, superuser: Superuser, statement: str) -> None:
    """In the default partition, in one of a month, and in the tables that give entries their meaning."""
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 5, now=NOON)
        item = ledger.Hold(f"{wallet}:h", wallet, "COIN", 5, "s", "store.order", NOON + timedelta(days=1))
        await ledger.hold_many(tx, [item], now=NOON)
        posted = await ledger.post(tx, pay(f"{wallet}:p", wallet, 5), now=NOON)
        await ledger.reverse(tx, ledger.Reverse(f"{wallet}:r", posted.transfer_id, "a test", 2), now=NOON)
    with pytest.raises(psycopg.Error) as caught:
        superuser.run(statement)  # type: ignore[arg-type]
    assert caught.value.sqlstate == "PL004"


async def test_rows_of_a_month_are_kept_as_well(tx: Tx, database: Database, superuser: Superuser) -> None:
    async with database.begin(SYSTEM) as other:
        await ledger.prepare_month(other, month=datetime(2031, 5, 2, tzinfo=UTC))
        await fund(other, new_wallet(), 5, now=datetime(2031, 5, 2, tzinfo=UTC))
    for statement in (
        "update ledger.entries_2031_05 set amount = amount + 1",
        "delete from ledger.transfers_2031_05",
        "truncate ledger.entries_2031_05",
        "truncate ledger.transfers_2031_05",
    ):
        with pytest.raises(psycopg.Error) as caught:
            superuser.run(statement)
        assert caught.value.sqlstate == "PL004"


async def test_an_asset_without_entries_may_still_change(superuser: Superuser) -> None:
    superuser.run("update ledger.assets set scale = 1 where code = 'INPUT'")
    superuser.run("update ledger.assets set scale = 0 where code = 'INPUT'")
    superuser.run("update ledger.assets set name = 'Coins' where code = 'COIN'")


@pytest.mark.parametrize(
    ("address", "asset", "guarded", "owner"),
    [
        ("house:x", 1, True, None),
        ("user:019acb1e-0000-7000-8000-000000000001:main", 1, False, "019acb1e-0000-7000-8000-000000000001"),
        ("user:019acb1e-0000-7000-8000-000000000001:main", 1, True, "019acb1e-0000-7000-8000-000000000002"),
        ("user:019acb1e-0000-7000-8000-000000000001:main", 1, True, None),
        ("vault:x", 1, False, None),
        ("house", 1, False, None),
        ("house:X", 1, False, None),
    ],
)
async def test_an_account_is_what_its_address_says(
    superuser: Superuser, address: str, asset: int, guarded: bool, owner: str | None
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        superuser.run(
            "insert into ledger.accounts (id, address, asset_id, guarded, owner_id) values (%s, %s, %s, %s, %s)",
            65536 * 10**8 + asset * 2 + guarded,
            address,
            asset,
            guarded,
            owner,
        )


SOMEBODY, SOMEBODY_ELSE = (f"019acb1e-0000-7000-8000-00000000000{n}" for n in (3, 4))
NUMBER = 65536 * 10**8 + 3 * 2 + 1
MAKE_ACCOUNT = "insert into ledger.accounts (id, address, asset_id, guarded, owner_id) values (%s, %s, %s, true, %s)"


def test_an_account_is_of_an_asset_that_exists(superuser: Superuser) -> None:
    for statement in (
        "delete from ledger.assets where code = 'COIN'",
        "update ledger.assets set id = 77 where code = 'COIN'",
        "truncate ledger.assets",
    ):
        with pytest.raises(psycopg.Error) as caught:
            superuser.run(statement)
        assert caught.value.sqlstate in {"23503", "0A000", "PL004"}
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        superuser.run(MAKE_ACCOUNT, 65536 * 10**8 + 78 * 2 + 1, f"user:{SOMEBODY}:main", 78, SOMEBODY)
    superuser.run("insert into ledger.assets (id, code, name, scale, kind) values (79, 'GONE', 'Unused', 0, 'play')")
    superuser.run("delete from ledger.assets where id = 79")


def test_an_asset_whose_first_account_is_being_made_is_kept(cluster, database_name, superuser: Superuser) -> None:
    """Whoever removes it has to wait, and sees the account then."""
    superuser.run("insert into ledger.assets (id, code, name, scale, kind) values (80, 'RACED', 'Raced', 0, 'play')")
    with (
        psycopg.connect(cluster.dsn("postgres", database_name)) as making,
        psycopg.connect(cluster.dsn("postgres", database_name)) as removing,
        ThreadPoolExecutor(1) as threads,
    ):
        making.execute(MAKE_ACCOUNT, [65536 * 10**8 + 80 * 2 + 1, f"user:{SOMEBODY}:main", 80, SOMEBODY])
        removal = threads.submit(removing.execute, "delete from ledger.assets where id = 80")
        wait_until_blocked(making, removing.info.backend_pid)
        making.commit()
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            removal.result()


def wait_until_blocked(watching: psycopg.Connection[tuple[object, ...]], pid: int) -> None:
    for _ in range(1_000):
        if watching.execute("select cardinality(pg_blocking_pids(%s))", [pid]).fetchone() != (0,):
            return
        watching.execute("select pg_sleep(0.01)")
    raise AssertionError("nobody was blocked")


def test_a_balance_is_of_a_wallet_and_of_its_owner(superuser: Superuser) -> None:
    add = "insert into ledger.balances (account_id, owner_id) values (%s, %s)"
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        superuser.run(add, NUMBER, SOMEBODY)
    superuser.run(MAKE_ACCOUNT, NUMBER, f"user:{SOMEBODY}:main", 3, SOMEBODY)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        superuser.run(add, NUMBER, SOMEBODY_ELSE)
    superuser.run(add, NUMBER, SOMEBODY)
    for change in (
        "update ledger.balances set account_id = account_id + 65536",
        "update ledger.balances set owner_id = null",
    ):
        with pytest.raises(psycopg.Error) as caught:
            superuser.run(change)
        assert caught.value.sqlstate == "PL004"


# --- who sees what ---

EVERYTHING = "select (select count(*) from ledger.entries), (select count(*) from ledger.transfers)"
SEEN = {
    "accounts": "select count(*) from ledger.accounts where owner_id = %(owner)s",
    "balances": "select count(*) from ledger.balances where owner_id = %(owner)s",
    "wallets": "select count(*) from ledger.wallets where owner_id = %(owner)s",
    "entries": "select count(*) from ledger.entries where transfer_id = %(transfer)s",
    "transfers": "select count(*) from ledger.transfers where id = %(transfer)s",
    "keys": "select count(*) from ledger.keys where ref_id = %(transfer)s",
}


@pytest.mark.parametrize(
    ("kind", "is_owner", "seen"),
    [
        ("player", True, {"accounts": 1, "balances": 1, "wallets": 1, "entries": 1, "transfers": 1, "keys": 0}),
        ("viewer", True, {"accounts": 1, "balances": 1, "wallets": 1, "entries": 1, "transfers": 1, "keys": 0}),
        ("player", False, dict.fromkeys(SEEN, 0)),
        ("viewer", False, dict.fromkeys(SEEN, 0)),
        ("none", False, dict.fromkeys(SEEN, 0)),
        ("staff", False, {"accounts": 1, "balances": 1, "wallets": 1, "entries": 2, "transfers": 1, "keys": 1}),
        ("system", False, {"accounts": 1, "balances": 1, "wallets": 1, "entries": 2, "transfers": 1, "keys": 1}),
    ],
)
async def test_an_owner_sees_his_own_and_a_stranger_nothing(
    database: Database, wallet: str, kind: str, is_owner: bool, seen: dict[str, int]
) -> None:
    async with database.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay(f"{wallet}:own", wallet, 10), now=NOON)
        await fund(tx, new_wallet(), 10, now=NOON)
    user = None if kind in {"none", "system"} else owner_of(wallet) if is_owner else UserId(new_id())
    async with database.begin(Actor(kind, user, RequestId(new_id()))) as tx:  # type: ignore[arg-type]
        names = {"owner": owner_of(wallet), "transfer": posted.transfer_id}
        found = {table: (await (await tx.execute(text, names)).fetchone())[0] for table, text in SEEN.items()}  # type: ignore[arg-type,index]
        assert found == seen
        if kind in {"player", "none"} and not is_owner:
            everything = await (await tx.execute(EVERYTHING)).fetchone()
            assert everything == (0, 0)


async def test_a_player_context_can_still_post(database: Database, wallet: str) -> None:
    """The functions work for whoever acts; he sees his own side of it."""
    async with database.begin(Actor("player", owner_of(wallet), RequestId(new_id()))) as tx:
        posted = await ledger.post(tx, pay(f"{wallet}:p", wallet, 10), now=NOON)
        assert posted.balances == {wallet: (10, 1)}
        assert await ledger.balance(tx, address=wallet, asset="COIN") == 10
        assert await ledger.balance(tx, address=HOUSE, asset="COIN") == 0


async def test_every_table_with_an_owner_forces_row_security(tx: Tx) -> None:
    found = await tx.execute(
        """select relname from pg_class where relnamespace = 'ledger'::regnamespace and relkind in ('r', 'p')
          and not relispartition and not (relrowsecurity and relforcerowsecurity) order by relname"""
    )
    assert await found.fetchall() == [("assets",), ("kinds",), ("seal_leaves",), ("seals",)]
