"""Sealed transfers: every one in exactly one seal, and whatever is altered afterwards is named."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from palio import ledger
from palio.infra import db, embedded, seals
from palio.infra.anchors import Anchors
from palio.infra.db import Database
from palio.infra.keyring import Keyring
from palio.infra.seals import Checked
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.ledger import CHAIN, Post
from tests.factories.databases import own_database
from tests.factories.ledger import HOUSE, Superuser, new_wallet, pay, settled
from tests.factories.seals import RING, SYSTEM, equipment

MINUTE = timedelta(minutes=1)
KEYS = ("one", "two", "three", "four")
"""Four transfers, of which `two` and `three` share a block with a neighbour on either side."""


class Place:
    """A ledger of its own, in which what is broken is mended again by `mend`."""

    def __init__(self, database: Database, superuser: Superuser, folder: Path) -> None:
        self.database, self.superuser, self.folder = database, superuser, folder
        self.wallet, self.other = new_wallet(), new_wallet()

    async def post(self, *posts: Post, now: datetime) -> None:
        async with self.database.begin(SYSTEM) as tx:
            await ledger.post_many(tx, posts, now=now)

    async def seal(self, now: datetime) -> seals.Seal | None:
        await settled(self.database)
        async with self.database.begin(SYSTEM) as tx:
            return await ledger.seal(tx, now=now)

    async def die_after_sealing(self, now: datetime) -> None:
        async with self.database.begin(SYSTEM) as tx:
            assert await ledger.seal(tx, now=now)
            raise ZeroDivisionError

    async def check(self) -> Checked:
        async with self.database.begin(SYSTEM) as tx:
            return await ledger.check_seals(tx)

    async def flaws(self) -> list[tuple[str, int, str | None]]:
        """The first of them, with the key that the transfer had when it was sealed."""
        names = {str(number): key for key, number in self.ids.items()}
        return [(flaw.what, flaw.seal, names.get(flaw.row or "", flaw.row)) for flaw in (await self.check()).flaws[:1]]

    async def fill(self, now: datetime) -> None:
        """`one` and `two` are sealed together, but not of one transaction; so are `three` and `four`, which are."""
        legs = (self.wallet, "USD", -3), (self.other, "USD", 3)
        await self.post(pay("one", self.wallet, 100, metadata={"why": {"steps": 7}}), now=now)
        await self.post(pay("two", self.wallet, -30, description="ä text"), now=now)
        await self.seal(now)
        await self.post(pay("three", self.other, 5), pay("usd", self.wallet, 50, asset="USD"), now=now + MINUTE)
        await self.post(Post("four", "ledger.gift", legs), now=now + MINUTE)
        await self.seal(now + MINUTE)
        rows = self.superuser.ask("select key, id from ledger.transfers")
        self.ids = {str(key): UUID(str(number)) for key, number in rows}


@pytest.fixture(scope="module")
async def house(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[tuple[Database, Superuser]]:
    name = f"palio_sealed_{worker_id}"
    async with own_database(cluster, name, equipment=equipment()) as database:
        with psycopg.connect(cluster.dsn(database=name), autocommit=True) as conn:
            yield database, Superuser(conn)


@pytest.fixture
async def empty(house: tuple[Database, Superuser], tmp_path: Path) -> Place:
    """A ledger in which nothing was ever posted."""
    database, superuser = house
    for statement in WIPE:
        superuser.tamper(statement)  # type: ignore[arg-type]
    database.equipment = equipment(tmp_path)
    return Place(database, superuser, tmp_path)


@pytest.fixture
async def place(empty: Place, noon: datetime) -> Place:
    await empty.fill(noon)
    return empty


WIPE = [
    "delete from ledger.seal_leaves",
    "delete from ledger.seals",
    "delete from ledger.entries",
    "delete from ledger.transfers",
    "delete from ledger.keys",
    "update ledger.balances set balance = 0, held = 0, seq = 0, last_posted_at = 'epoch'",
    "update ledger.assets set code = 'COIN' where id = 3",
]


async def test_what_is_sealed_is_sound(place: Place, noon: datetime) -> None:
    found = await place.check()
    assert (found.seals, found.rows, found.unsealed, found.status, found.flaws) == (2, 5, 0, 0, ())
    async with place.database.begin(SYSTEM) as tx:
        second, first = await ledger.heads(tx)
    assert (first.rows, first.sums) == (2, '{"COIN":[260,0]}')
    assert (second.rows, second.sums, second.prev) == (3, '{"COIN":[10,0],"USD":[106,0]}', first.head)


async def test_a_leaf_covers_every_column_of_transfers_and_entries(place: Place) -> None:
    """A column that comes later is sealed too; the address and asset of an account are sealed with its number."""
    ((content,),) = place.superuser.ask("select content from ledger.leaves l where l.id = %s", place.ids["one"])
    leaf = json.loads(str(content))
    columns = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
    of_transfers = {name for (name,) in place.superuser.ask(columns, "ledger.transfers")}
    of_entries = {name for (name,) in place.superuser.ask(columns, "ledger.entries")}
    assert leaf.keys() == of_transfers | {"entries"}
    assert [entry.keys() for entry in leaf["entries"]] == [of_entries | {"address", "asset"}] * 2
    assert [(entry["leg"], entry["address"], entry["asset"]) for entry in leaf["entries"]] == [
        (0, place.wallet, "COIN"),
        (1, HOUSE, "COIN"),
    ]


OF_A_TRANSFER = [
    *("id = gen_random_uuid()", "id = 'ffffffff-ffff-7fff-bfff-ffffffffffff'"),
    *("posted_at = posted_at + interval '1 us'", "posted_at = posted_at - interval '2 months'"),
    *("tx_id = tx_id + 1", "tx_id = tx_id - 1", "tx_id = 1", "tx_id = tx_id + 10^6"),
    *("key = 'other'", "kind = 'ledger.gift'", "actor = 'staff'", "description = 'x'", "description = ''"),
    *("""metadata = '{"why": {"steps": 8}}'""", "metadata = '{}'", "reverses_id = gen_random_uuid()"),
    "hold_id = gen_random_uuid()",
]


@pytest.mark.parametrize("key", ["one", "two", "three"])
@pytest.mark.parametrize("change", OF_A_TRANSFER)
async def test_any_column_of_a_transfer_that_is_altered_is_found_and_named(place: Place, change: str, key: str) -> None:
    statement = "update ledger.transfers set {change} where key = %s"
    place.superuser.tamper(statement.replace("{change}", change), key)  # type: ignore[arg-type]
    is_in_the_second = key == "three" and change != "tx_id = 1"
    assert await place.flaws() == [("changed", 2 if is_in_the_second else 1, key)]


OF_AN_ENTRY = [
    *("transfer_id = gen_random_uuid()", "posted_at = posted_at + interval '1 us'", "account_id = account_id + 65536"),
    *("amount = amount + 1", "amount = -amount", "seq = seq + 1", "seq = null", "balance_after = balance_after + 1"),
    *("balance_after = null", "tx_id = tx_id + 1", "leg = leg + 7"),
]


@pytest.mark.parametrize("change", OF_AN_ENTRY)
async def test_any_column_of_an_entry_that_is_altered_is_found_and_named(place: Place, change: str) -> None:
    statement = "update ledger.entries set {change} where seq is not null and transfer_id = %s"
    place.superuser.tamper(statement.replace("{change}", change), place.ids["two"])  # type: ignore[arg-type]
    assert await place.flaws() == [("changed", 1, "two")]


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("update ledger.accounts set address = 'house:store' where address = 'issuance:gift' and asset_id = 3", "one"),
        ("update ledger.accounts set address = replace(address, 'main', 'debt') where address = '{other}'", "three"),
        ("update ledger.accounts set asset_id = 2 where address = '{wallet}' and asset_id = 3", "one"),
        ("update ledger.assets set code = 'GOLD' where code = 'COIN'", "one"),
        ("delete from ledger.accounts where address = '{wallet}' and asset_id = 3", "one"),
    ],
)
async def test_whose_an_account_is_cannot_be_altered_unseen(place: Place, statement: str, first: str) -> None:
    """Past the constraints too, as far as somebody with such rights goes."""
    place.superuser.run("alter table ledger.accounts drop constraint if exists number_says_asset_and_mode")
    statement = statement.replace("{wallet}", place.wallet).replace("{other}", place.other)
    place.superuser.tamper(statement)  # type: ignore[arg-type]
    assert await place.flaws() == [("changed", 1 if first == "one" else 2, first)]
    place.superuser.tamper("update ledger.accounts set address = 'issuance:gift' where address = 'house:store'")


@pytest.mark.parametrize(
    ("statements", "flaw"),
    [
        (["delete from ledger.transfers where key = 'two'"], ("missing", 1, "two")),
        (["delete from ledger.transfers where key = 'one'"], ("missing", 1, "one")),
        (["delete from ledger.entries where transfer_id = '{two}' and leg = 1"], ("changed", 1, "two")),
        (["delete from ledger.entries where transfer_id = '{two}'"], ("changed", 1, "two")),
        (
            [
                "delete from ledger.transfers where key = 'three'",
                "delete from ledger.entries where transfer_id = '{three}'",
            ],
            ("missing", 2, "three"),
        ),
        # with the key nothing remembers the name
        (
            ["delete from ledger.transfers where key = 'two'", "delete from ledger.keys where key = 'two'"],
            ("missing", 1, None),
        ),
        (
            [
                """insert into ledger.transfers select gen_random_uuid(), posted_at, tx_id, 'new', kind, actor
                from ledger.transfers where key = 'two'"""
            ],
            ("added", 1, "new"),
        ),
        (
            [
                """insert into ledger.entries
                select transfer_id, posted_at, account_id, amount, null, null, tx_id, leg + 1
                from ledger.entries where transfer_id = '{two}' and leg = 1"""
            ],
            ("changed", 1, "two"),
        ),
        (  # two transfers change places
            [
                """update ledger.transfers t set tx_id = o.tx_id from ledger.transfers o
                where (t.key, o.key) in (('one', 'two'), ('two', 'one'))"""
            ],
            ("changed", 1, "one"),
        ),
        (
            [
                """update ledger.entries set leg = 1 - leg + 2 where transfer_id = '{two}'""",
                """update ledger.entries set leg = leg - 2 where transfer_id = '{two}'""",
            ],
            ("changed", 1, "two"),
        ),
    ],
)
async def test_what_is_gone_or_new_or_out_of_order_is_named(
    place: Place, statements: list[str], flaw: tuple[str, int, str | None]
) -> None:
    numbers = {"{two}": str(place.ids["two"]), "{three}": str(place.ids["three"])}
    for statement in statements:
        place.superuser.tamper(re.sub("{.*?}", lambda found: numbers[found[0]], statement))  # type: ignore[arg-type]
    if flaw[2] == "new":
        ((number,),) = place.superuser.ask("select id from ledger.transfers where key = 'new'")
        place.ids["new"] = UUID(str(number))
    assert await place.flaws() == [flaw]


async def test_a_transfer_that_is_slipped_in_with_a_key_of_its_own_is_named_too(place: Place) -> None:
    number = new_id()
    place.superuser.tamper(
        """with k as (
          insert into ledger.keys select 'new', request_hash, %s, op, tx_id from ledger.keys where key = 'two')
        insert into ledger.transfers
          select %s, posted_at, tx_id, 'new', kind, actor from ledger.transfers where key = 'two'""",
        number,
        number,
    )
    assert await place.flaws() == [("added", 1, str(number))]


async def test_sums_are_sealed(place: Place) -> None:
    place.superuser.tamper("""update ledger.seals set sums = '{"COIN": [260, 1]}' where n = 1""")
    assert [(flaw.what, flaw.seal) for flaw in (await place.check()).flaws] == [("seal", 1), ("sums", 1)]


async def test_numbers_that_no_double_holds_are_sealed_to_the_last_digit(empty: Place, noon: datetime) -> None:
    """Metadata is whatever a module notes down."""
    facts = {"big": 2**70, "rate": 0.1, "text": "😀\ue000", "😀": 1, "\ue000": [None, True]}
    await empty.post(pay("facts", empty.wallet, 1, metadata=facts), now=noon)
    await empty.seal(noon)
    assert (await empty.check()).status == 0
    for name, value in (("big", 2**70 + 1), ("rate", "0.10000000000000000001")):
        statement = "update ledger.transfers set metadata = jsonb_set(metadata, %s::text[], %s::jsonb)"
        empty.superuser.tamper(statement, [name], str(value))
        assert (await empty.check()).status == 1
        empty.superuser.tamper(statement, [name], str(facts[name]))
        assert (await empty.check()).status == 0


# acceptance 16


async def test_what_stays_open_while_others_are_sealed_is_in_one_later_seal(empty: Place, noon: datetime) -> None:
    """It posts first, and its identities and times are older than all that is sealed meanwhile."""
    made = []
    async with empty.database.begin(SYSTEM) as slow:
        await ledger.post(slow, pay("slow", empty.wallet, 1), now=noon)
        opened = await db.value(slow, "select infra.tx_id()")
        for number in range(3):
            await empty.post(pay(f"quick {number}".replace(" ", "-"), empty.other, 1), now=noon)
            async with empty.database.begin(SYSTEM) as tx:
                made.append(await ledger.seal(tx, now=noon + number * 61 * MINUTE))
        naive = await db.value(slow, "select max(tx_id) + 1 from ledger.transfers where key <> 'slow'")
    assert all(seal and seal.to_tx <= opened for seal in made), "nothing is sealed above what is open"
    assert naive > opened, "up to the newest transfer that is there it would have been passed over"
    await empty.seal(noon + 300 * MINUTE)

    found = await empty.check()
    assert (found.status, found.rows, found.unsealed) == (0, 4, 0)
    async with empty.database.begin(SYSTEM) as tx:
        numbers = {
            key: await ledger.seal_of(tx, transfer_id=number)
            for key, number in await (await tx.execute("select key, id from ledger.transfers")).fetchall()
        }
    assert numbers == dict.fromkeys(["slow", "quick-0", "quick-1", "quick-2"], 4)


# keys, restarts, anchors


async def test_without_a_key_posting_goes_on_and_sealing_begins_again_with_it(empty: Place, noon: datetime) -> None:
    clock.use(lambda: noon + 10 * MINUTE)
    empty.database.equipment = equipment(empty.folder, keyring=Keyring(RING.wrapping, RING.index))
    await empty.post(pay("a", empty.wallet, 1), now=noon)
    await settled(empty.database)
    await seals.keep(empty.database, CHAIN)
    await empty.post(pay("b", empty.wallet, 1), now=noon)
    async with empty.database.begin(SYSTEM) as tx:
        assert await seals.is_late(tx, chain=CHAIN, now=noon + 10 * MINUTE)
        with pytest.raises(seals.SealingKeyMissing):
            await ledger.seal(tx, now=noon)

    empty.database.equipment = equipment(empty.folder)
    await settled(empty.database)
    await seals.keep(empty.database, CHAIN)
    found = await empty.check()
    assert (found.status, found.rows, found.unsealed, found.anchored) == (0, 2, 0, 1)
    async with empty.database.begin(SYSTEM) as tx:
        assert not await seals.is_late(tx, chain=CHAIN, now=noon + 10 * MINUTE)


async def test_a_transaction_that_dies_with_its_seal_leaves_none(place: Place, noon: datetime) -> None:
    """After a crash the next run makes it."""
    await place.post(pay("five", place.wallet, 1), now=noon)
    await settled(place.database)
    with pytest.raises(ZeroDivisionError):
        await place.die_after_sealing(noon + 2 * MINUTE)
    assert (await place.check()).unsealed == 1
    again = await place.seal(noon + 2 * MINUTE)
    assert again and (again.n, again.rows) == (3, 1)
    assert (await place.check()).status == 0


async def test_an_older_anchor_that_is_good_shows_where_a_chain_was_forked(place: Place, noon: datetime) -> None:
    clock.use(lambda: noon)
    async with place.database.begin(SYSTEM) as tx:
        await seals.anchor(tx, chain=CHAIN, now=noon)
    place.superuser.tamper("delete from ledger.seal_leaves where n = 2")
    place.superuser.tamper("delete from ledger.seals where n = 2")
    assert (await place.check()).status == 2
    with pytest.raises(seals.AnchorsAhead):
        await place.seal(noon + MINUTE)

    place.database.equipment = equipment(None)  # whoever seals anew keeps away from the anchors
    await place.seal(noon + 2 * MINUTE)
    place.database.equipment = equipment(None, anchors=Anchors(place.folder))
    found = await place.check()
    assert [(flaw.what, flaw.seal) for flaw in found.flaws] == [("forked", 2)]
