"""Wallets with something in them, made by the public face."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

import psycopg

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import UserId, new_id
from palio.ledger import AnyOutcome, Held, Outcome, Post, Posted, Voided
from palio.ledger.types import TransferId

HOUSE = "issuance:gift"
PATIENCE_SECONDS = 180
WRITERS = """
select datname, usename, application_name, state, backend_xid::text, now() - xact_start, left(query, 200)
from pg_stat_activity where backend_xid is not null or backend_xmin is not null order by xact_start
"""


def new_wallet() -> str:
    """The address of the wallet of somebody new."""
    return f"user:{new_id()}:main"


def owner_of(wallet: str) -> UserId:
    """Whose wallet it is."""
    return UserId(UUID(wallet.split(":")[1]))


def pay(key: str, wallet: str, amount: int, *, asset: str = "COIN", **more: object) -> Post:
    """Coins from the house to the wallet, or back when the amount is negative."""
    return Post(key, "ledger.transfer", ((wallet, asset, amount), (HOUSE, asset, -amount)), **more)  # type: ignore[arg-type]


async def fund(tx: Tx, wallet: str, amount: int, *, now: datetime, asset: str = "COIN") -> None:
    """Put something into a wallet."""
    await ledger.post(tx, pay(f"fund:{new_id()}", wallet, amount, asset=asset), now=now)


async def settled(database: Database) -> None:
    """Wait until everything that is committed by now lies below the horizon: whoever is writing to another database of
    this server holds it back as well.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async with database.begin_system("a test") as tx:
                [last] = await (await tx.execute("select infra.tx_id()")).fetchone() or [0]
            while not await _is_below(database, last):  # noqa: ASYNC110 - another database, which nobody tells of
                await asyncio.sleep(0.01)
    except TimeoutError as late:
        async with database.begin_system("a test") as tx:
            found = await (await tx.execute(WRITERS)).fetchall()
        raise AssertionError(f"after {PATIENCE_SECONDS} s these still hold the horizon back: {found}") from late


async def _is_below(database: Database, last: int) -> bool:
    async with database.begin_system("a test") as tx:
        found = await (await tx.execute("select infra.tx_horizon() > %s", [last])).fetchone()
        return bool(found and found[0])


class Payment(NamedTuple):
    """One row of a fan-out."""

    key: str
    owner: UserId
    amount: int
    metadata: Mapping[str, object] = {}


def payments(rows: Sequence[Payment]) -> ledger.Payments:
    """The columns of rows."""
    facts = [row.metadata for row in rows]
    keys, owners, amounts = ([row[column] for row in rows] for column in range(3))
    return ledger.Payments(keys, owners, amounts, facts if any(facts) else ())  # type: ignore[arg-type]


async def fan_out(
    tx: Tx,
    rows: Sequence[Payment],
    *,
    now: datetime,
    source: str = HOUSE,
    asset: str = "COIN",
    kind: str = "bonuses.gift",
) -> list[Outcome]:
    """Pay rows in one fan-out, and tell what became of them as `post_many` would."""
    paid = await ledger.fan_out(tx, source=source, asset=asset, kind=kind, payments=payments(rows), now=now)
    found = await tx.execute(
        """select e.transfer_id, e.posted_at, a.address, e.balance_after, e.seq
        from ledger.entries e join ledger.accounts a on a.id = e.account_id
        where e.transfer_id = any (%s) and e.seq is not null""",
        [[UUID(bytes=number) for number in paid.transfer_ids if number]],
    )
    left = {
        number.bytes: ({address: (balance, seq)}, at) for number, at, address, balance, seq in await found.fetchall()
    }
    return [
        paid.refused[place]
        if number is None
        else Posted(TransferId(UUID(bytes=number)), *left[number], replayed=place in paid.replayed)
        for place, number in enumerate(paid.transfer_ids)
    ]


class Superuser:
    """Changes what nobody may change: past row security, and past triggers where it says so."""

    def __init__(self, conn: psycopg.Connection[tuple[object, ...]]) -> None:
        self._conn = conn

    def run(self, statement: LiteralString, *values: object) -> None:
        """As the administrator of the server; every trigger fires."""
        self._conn.execute(statement, values)

    def run_text(self, statement: str) -> None:
        """The same for a text that the database has told."""
        self._conn.execute(statement.encode())

    def ask(self, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
        """What stands there, past row security."""
        return self._conn.execute(statement, values).fetchall()

    def set_status(self, address: str, status: str) -> None:
        """What the console will do."""
        self.run("update ledger.accounts set status = %s where address = %s", status, address)
        self.run(
            """update ledger.balances b set status = %s
            from ledger.accounts a where a.id = b.account_id and a.address = %s""",
            status,
            address,
        )

    def tamper(self, statement: LiteralString, *values: object) -> None:
        """The same with triggers off."""
        with self._conn.transaction():
            self._conn.execute("set local session_replication_role = replica")
            self._conn.execute(statement, values)


def codes(outcomes: Sequence[AnyOutcome]) -> list[str]:
    """Each outcome in a word: posted, held, voided, replayed, or the code of the refusal."""
    return [_word(outcome) for outcome in outcomes]


def _word(outcome: AnyOutcome) -> str:
    if isinstance(outcome, ledger.Refused):
        return outcome.code
    if outcome.replayed:
        return "replayed"
    return "held" if isinstance(outcome, Held) else "voided" if isinstance(outcome, Voided) else "posted"
