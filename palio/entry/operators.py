"""The operator at the terminal: commands act as the system, in the name of the account that runs them."""

import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from palio.entry import terminal
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id

Answer = TypeVar("Answer")


def actor() -> Actor:
    """Who a command acts as: it sees and may do what the house itself may."""
    return Actor("system", None, RequestId(new_id()))


def reason(why: str = "") -> str:
    """What the audit log says about an act of the terminal: who sat there, and what he gave as his reason."""
    return f"{why or 'from the command line'} ({by()})"


def by() -> str:
    """Who sits at the terminal, as the audit log says it."""
    return f"by {getpass.getuser()}"


class _TrialOverError(Exception):
    """Undoes the transaction of a dry run."""


@asynccontextmanager
async def acting(database: Database, *, dry_run: bool = False, seconds_max: int | None = None) -> AsyncIterator[Tx]:
    """The transaction of a command, whose statements may take so long.

    A dry run does everything, and so meets the same refusals, but is undone.
    """
    with suppress(_TrialOverError):
        async with database.begin(actor(), seconds_max=seconds_max) as tx:
            yield tx
            if dry_run:
                raise _TrialOverError


def act(work: Callable[[Tx], Awaitable[Answer]], *, dry_run: bool = False, as_json: bool = False) -> Answer:
    """What comes of work in one transaction of a command, as of `acting`. A refusal is told and ends the program."""

    async def carry_out(place: terminal.Place) -> Answer:
        async with acting(place.database, dry_run=dry_run) as tx:
            return await work(tx)

    return terminal.run(carry_out, json=as_json)
