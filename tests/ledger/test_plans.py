"""What the hot functions read: a few index entries per item, whatever the size of the tables or of the batch."""

import re
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import AnyOutcome, Capture, Held, Hold, Post, Void
from palio.ledger.service import posting
from tests.factories.ledger import HOUSE, Payment, codes, payments

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
WALLETS = 3_000
NEW = 300
READ = """
  select coalesce(sum(seq_scan), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int from pg_stat_xact_all_tables
  where schemaname = 'ledger' and relname ~ '^(keys|accounts|balances|holds|transfers|entries)'"""
# Of the time when the house alone had accounts.
MORNING = """
  select pg_restore_relation_stats('schemaname', 'ledger', 'relname', 'accounts', 'relpages', 1, 'reltuples', 3::real),
    pg_restore_attribute_stats('schemaname', 'ledger', 'relname', 'accounts', 'attname', 'guarded', 'inherited', false,
      'null_frac', 0::real, 'n_distinct', 1::real, 'most_common_vals', '{f}', 'most_common_freqs', '{1}'::real[])"""
ROWS_OF_AN_ITEM_MAX = 20  # keys, accounts, balances (locked, moved, checked), transfers, new accounts and their guards


@pytest.fixture(scope="module")
async def owners(database: Database, cluster: embedded.Cluster, database_name: str) -> Sequence[UserId]:
    """Tables on which a sequential scan would show, and of which the planner knows how large they are."""
    owners = [UserId(new_id()) for _ in range(WALLETS)]
    async with database.begin(SYSTEM) as tx:
        rows = [Payment(f"plan:{owner}", owner, 100) for owner in owners]
        await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=payments(rows), now=NOON)
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as conn:
        conn.execute("analyze ledger.keys, ledger.accounts, ledger.balances")
    return owners


async def read(tx: Tx) -> tuple[int, int]:
    """Sequential scans, and rows fetched by index, of this transaction so far."""
    found = await (await tx.execute(READ)).fetchone()
    assert found is not None
    return found[0], found[1]


async def look_ups(tx: Tx) -> int:
    """How often this transaction has looked for an account by its number."""
    found = await (await tx.execute("select pg_stat_get_xact_numscans('ledger.accounts_pkey'::regclass)")).fetchone()
    assert found is not None
    return int(found[0])


def posts(owners: Sequence[UserId], count: int) -> list[Post]:
    run = new_id().hex
    legs = [((f"user:{owners[n % WALLETS]}:main", "COIN", -1), (HOUSE, "COIN", 1)) for n in range(count)]
    return [Post(f"{run}:{n}", "ledger.transfer", both) for n, both in enumerate(legs)]


@pytest.mark.parametrize("count", [1, 50, 5_000])
async def test_a_batch_reads_a_few_rows_per_item(database: Database, owners: Sequence[UserId], count: int) -> None:
    """Fresh, from known accounts, and as a replay; planned for one item or for thousands."""
    async with database.begin(SYSTEM) as tx:
        items = posts(owners, count)
        for _ in ("posted", "replayed"):
            before = await read(tx)
            await ledger.post_many(tx, items, now=NOON)
            scans, rows = (after - earlier for after, earlier in zip(await read(tx), before, strict=True))
            assert scans == 0
            assert count <= rows <= count * ROWS_OF_AN_ITEM_MAX


@pytest.mark.parametrize("count", [1, 2_000])
async def test_holds_read_a_few_rows_each(database: Database, owners: Sequence[UserId], count: int) -> None:
    """Placed, captured in part, and released, beside as many that stay open."""
    run, until = new_id().hex, NOON + timedelta(days=1)
    wallets = [f"user:{owners[n % WALLETS]}:main" for n in range(count)]
    async with database.begin(SYSTEM) as tx:

        async def few(work: Awaitable[Sequence[AnyOutcome]], word: str) -> Sequence[AnyOutcome]:
            before = await read(tx)
            outcomes = await work
            scans, rows = (after - earlier for after, earlier in zip(await read(tx), before, strict=True))
            assert set(codes(outcomes)) == {word}
            assert (scans, rows <= count * ROWS_OF_AN_ITEM_MAX) == (0, True)
            return outcomes

        def holds(part: str) -> list[Hold]:
            return [
                Hold(f"{run}:{part}:{n}", wallet, "COIN", 2, "s", "games.bet", until)
                for n, wallet in enumerate(wallets)
            ]

        await few(ledger.hold_many(tx, holds("stays"), now=NOON), "held")
        held = await few(ledger.hold_many(tx, holds("goes"), now=NOON), "held")
        ids = [outcome.hold_id for outcome in held if isinstance(outcome, Held)]
        legs = [((wallet, "COIN", -1), (HOUSE, "COIN", 1)) for wallet in wallets]
        captures = [
            Post(f"{run}:c:{n}", "games.bet", both, capture=Capture(hold_id))
            for n, (both, hold_id) in enumerate(zip(legs, ids, strict=True))
        ]
        await few(ledger.capture_many(tx, captures, now=NOON), "posted")
        voids = [Void(f"{run}:v:{n}", hold_id) for n, hold_id in enumerate(ids)]
        await few(ledger.void_many(tx, voids, now=NOON), "voided")
        await few(ledger.void_many(tx, voids, now=NOON), "replayed")


@pytest.mark.parametrize("count", [1, 2_000])
async def test_a_fan_out_reads_a_few_rows_per_payment(database: Database, owners: Sequence[UserId], count: int) -> None:
    """To wallets that exist and to new ones, and as a replay."""
    run = new_id().hex
    new = [UserId(new_id()) for _ in range(count)]
    async with database.begin(SYSTEM) as tx:
        for people in (owners[:count], new, new):
            rows = [Payment(f"{run}:{owner}", owner, 1) for owner in people]
            before = await read(tx)
            await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=payments(rows), now=NOON)
            scans, fetched = (after - earlier for after, earlier in zip(await read(tx), before, strict=True))
            assert scans == 0
            assert count <= fetched <= count * ROWS_OF_AN_ITEM_MAX


@pytest.mark.usefixtures("owners")
async def test_new_wallets_are_looked_up_whatever_statistics_say(
    database: Database, cluster: embedded.Cluster, database_name: str
) -> None:
    """A plan that reads all accounts for each of them, because there were few, grows with the square of a payment."""
    by_number = []
    with psycopg.connect(cluster.dsn("postgres", database_name), autocommit=True) as conn:
        for statistics in ("analyze ledger.accounts", MORNING):
            conn.execute(statistics)
            rows = [Payment(f"first:{new_id()}", UserId(new_id()), 1) for _ in range(NEW)]
            about = {"source": HOUSE, "asset": "COIN", "kind": "bonuses.gift"}
            async with database.begin(SYSTEM) as tx:
                before = await look_ups(tx)
                await ledger.fan_out(tx, payments=payments(rows), now=NOON, **about)
                by_number.append(await look_ups(tx) - before)
        conn.execute("analyze ledger.accounts")
    assert by_number[0] == by_number[1] >= NEW


OF_A_PLAIN_BATCH = {  # by which index each function finds what it needs, whatever the number of items
    "post_plain": {"accounts_address_asset_id_key", "accounts_pkey", "balances_pkey", "assets_pkey"},
    "transfers_check": {"keys_pkey"},
    "entries_check": {"transfers_pkey", "accounts_pkey", "balances_pkey"},
}
NODE, INDEX, FUNCTION = (
    re.compile(r"\{(\w*SCAN|\w*JOIN)\b"),
    re.compile(r":indexid (\d+)"),
    re.compile(r"function ledger\.(\w+)\("),
)
OUR_OWN = {
    "FUNCTIONSCAN",
    "NAMEDTUPLESTORESCAN",
    "SUBQUERYSCAN",
    "VALUESSCAN",
    "CTESCAN",
}  # of what came with the batch
BY_INDEX = {"INDEXSCAN", "INDEXONLYSCAN"}
INDEXES = """select i.oid, coalesce(p.relname, i.relname) from pg_class i left join pg_inherits h on h.inhrelid = i.oid
  left join pg_class p on p.oid = h.inhparent where i.relkind = 'i'"""


async def test_a_plain_batch_is_written_by_a_generic_plan_that_finds_everything_by_its_index(
    cluster: embedded.Cluster, database_name: str, owners: Sequence[UserId]
) -> None:
    """As the server tells it of every statement in the function and its guards: no plan is made for one batch, and
    none walks through a table, not even of a plan that was made when there was one item.
    """
    told: list[tuple[str, str]] = []  # each plan, and where it is
    own = Database(cluster.dsn("palio_app", database_name), connections_max=1)
    await own.pool.open(wait=True)
    async with own.alone("a test") as tx:
        tx.add_notice_handler(lambda said: told.append((said.message_detail or "", said.context or "")))
        await tx.execute("set debug_print_plan = on; set client_min_messages = log")
    async with own.begin(SYSTEM) as tx:
        await ledger.post_many(tx, posts(owners, 1), now=NOON)
    for count in (1, WALLETS):
        async with own.alone("a test") as tx:
            assert await posting.post_alone_many(tx, posts(owners, count), now=NOON)
    async with own.begin(SYSTEM) as tx:
        names = dict(await (await tx.execute(INDEXES)).fetchall())
    await own.pool.close()

    found: dict[str, set[str]] = {}
    for text, place in told:
        function, *_ = *FUNCTION.findall(place), ""
        nodes = set(NODE.findall(text)) - OUR_OWN
        if function not in OF_A_PLAIN_BATCH or not nodes:
            continue
        assert nodes <= BY_INDEX, (function, nodes)
        assert function != "post_plain" or ":paramkind 0" in text, "made for the numbers of one batch"
        found.setdefault(function, set()).update(names[int(oid)] for oid in INDEX.findall(text))
    assert found == OF_A_PLAIN_BATCH


async def test_reads_of_one_player_touch_his_rows_alone(database: Database, owners: Sequence[UserId]) -> None:
    """As himself, with row security planned in."""
    owner = owners[7]
    async with database.begin(Actor("player", owner, RequestId(new_id()))) as tx:
        before = await read(tx)
        await ledger.wallets(tx, owner_id=owner)
        await ledger.balance(tx, address=f"user:{owner}:main", asset="COIN")
        await ledger.balance(tx, address=f"user:{owner}:main", asset="COIN", at=NOON)
        await ledger.statement(tx, owner_id=owner, asset="COIN")
        scans, rows = (after - earlier for after, earlier in zip(await read(tx), before, strict=True))
        assert scans == 0
        assert 0 < rows < 200
