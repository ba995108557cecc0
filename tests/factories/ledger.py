"""Wallets with something in them, made by the public face."""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg

from palio import ledger
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.ledger import Outcome, Post

HOUSE = "issuance:gift"


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


class Superuser:
    """Changes what nobody may change: past row security, and past triggers where it says so."""

    def __init__(self, conn: psycopg.Connection[tuple[object, ...]]) -> None:
        self._conn = conn

    def run(self, statement: LiteralString, *values: object) -> None:
        """As the administrator of the server; every trigger fires."""
        self._conn.execute(statement, values)

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


def codes(outcomes: list[Outcome]) -> list[str]:
    """Each outcome in a word: posted, replayed, or the code of the refusal."""
    return [_word(outcome) for outcome in outcomes]


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, ledger.Refused):
        return outcome.code
    return "replayed" if outcome.replayed else "posted"
