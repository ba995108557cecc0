"""The parts of Palio that are killed: any command, and a worker that settles competitions of users.

No product of this release makes competitions of users, so the worker gets a handler that does what such a product does.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from palio import competitions, ledger
from palio.competitions.types import CompetitionId
from palio.entry import cli, up
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import audit
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.kernel.messages import Job, handles


@dataclass(frozen=True, slots=True)
class SettleGame(Job):
    """Do the due steps of one competition."""

    competition: UUID


@dataclass(frozen=True, slots=True)
class PayNaively(Job):
    """Pay one wallet as nobody should."""

    wallet: str
    amount: int


@dataclass(frozen=True, slots=True)
class PayOnce(Job):
    """Pay one wallet under a key that names the cause."""

    key: str
    wallet: str
    amount: int


@handles(PayOnce)
async def pay_once(tx: Tx, job: PayOnce) -> None:
    legs = (("issuance:gift", "COIN", -job.amount), (job.wallet, "COIN", job.amount))
    await ledger.post(tx, ledger.Post(job.key, "ledger.transfer", legs), now=clock.now())


@handles(SettleGame, queue="critical")
async def settle(tx: Tx, job: SettleGame) -> None:
    now = clock.now()
    while await competitions.settle(tx, competition_id=CompetitionId(job.competition), now=now):
        pass


@handles(PayNaively)
async def pay_naively(database: Database, job: PayNaively) -> None:
    """Pay under a key that names no cause, and note it in a second transaction."""
    async with database.begin_system("a naive payment") as tx:
        legs = (("house:prizes", "USD", -job.amount), (job.wallet, "USD", job.amount))
        await ledger.post(tx, ledger.Post(f"naive:{new_id()}", "competitions.prize", legs), now=clock.now())
    async with database.begin_system("a naive note") as tx:
        await audit.record(
            tx, actor=tx.actor, action="game.paid", entity_type="wallet", entity_id=job.wallet, changes={}, reason=""
        )


ROUTES = {**SUBSCRIPTIONS, SettleGame: (settle,), PayOnce: (pay_once,), PayNaively: (pay_naively,)}


def command(*words: str) -> None:
    """`palio WORDS`."""
    cli.main(words)


def keyed(keyring: str, *words: str) -> None:
    """`palio WORDS`, or without words a worker, with the keys of this file."""
    os.environ["PALIO_KEYRING_FILE"] = keyring
    command(*words) if words else worker()


def worker() -> None:
    """`palio worker`, which knows of games."""
    up.run(up.Parts("worker", serves=False, works=True, routes=ROUTES))
