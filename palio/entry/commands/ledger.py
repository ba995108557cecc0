"""`palio ledger …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, At, Limit, Since, Until
from palio.entry.printing import columns, decimal, tell

if TYPE_CHECKING:
    from datetime import datetime

    from palio.identity import User
    from palio.infra.db import Tx
    from palio.infra.seals import Seal
    from palio.ledger import Filter, Line

app = typer.Typer(no_args_is_help=True, help="Wallets, what moved in them, and its seals.")

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]
AssetCode = Annotated[str, typer.Argument(metavar="ASSET", help="The code of an asset, like USD.")]
AnyAsset = Annotated[str | None, typer.Argument(metavar="ASSET", help="The code of an asset. Default: all of them.")]


@dataclass(frozen=True, slots=True)
class Purse:
    """What somebody has of one asset; of the past only the balance is known."""

    asset: str
    scale: int
    balance: int
    held: int | None = None
    available: int | None = None


@app.command()
def balance(user: NameOrId, asset: AnyAsset = None, *, at: At = None, as_json: AsJson = False) -> None:
    """Print what somebody has, or with --at had after everything posted until TIME.

    JSON gives amounts in the smallest unit of the asset: 1250 with scale 2 is 12.50. Exit status 1: no such user or
    asset.
    """
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "tuple[User, list[Purse]]":
        async with operators.acting(place.database) as tx:
            owner = await identity.get(tx, name_or_id=user)
            return owner, await _purses(tx, owner, asset, at)

    owner, purses = terminal.run(work, json=as_json)
    answer = {"user_id": owner.id, "username": owner.username, "at": at, "wallets": purses}
    tell(answer, as_json=as_json, lines=_table(purses))


async def _purses(tx: "Tx", owner: "User", asset: str | None, at: "datetime | None") -> list[Purse]:
    from palio import ledger

    found = [wallet for wallet in await ledger.wallets(tx, owner_id=owner.id) if asset in {None, wallet.asset}]
    if not found:
        raise ledger.UnknownAsset(asset=asset)
    if at is None:
        return [Purse(one.asset, one.scale, one.balance, one.held, one.available) for one in found]
    address = f"user:{owner.id}:main"
    past = [await ledger.balance(tx, address=address, asset=one.asset, at=at) for one in found]
    return [Purse(one.asset, one.scale, units) for one, units in zip(found, past, strict=True)]


def _table(purses: Sequence[Purse]) -> list[str]:
    rows = [
        [one.asset, *(decimal(units, one.scale) for units in (one.balance, one.held, one.available))] for one in purses
    ]
    return columns(["asset", "balance", "held", "available"], rows, to_right=(1, 2, 3))


@app.command()
def statement(
    user: NameOrId,
    asset: AssetCode,
    *,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Print what moved in a wallet, newest first, with the balance each movement left.

    Exit status 1: no such user or asset.
    """
    from palio import identity, ledger
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "tuple[User, int, list[Line]]":
        async with operators.acting(place.database) as tx:
            owner = await identity.get(tx, name_or_id=user)
            lines = await _lines(tx, owner, asset, ledger.Filter(since=since, until=until), limit)
            (scale,) = [wallet.scale for wallet in await ledger.wallets(tx, owner_id=owner.id) if wallet.asset == asset]
            return owner, scale, lines

    owner, scale, lines = terminal.run(work, json=as_json)
    answer = {"user_id": owner.id, "username": owner.username, "asset": asset, "scale": scale, "lines": lines}
    rows = [
        [line.posted_at, line.kind, decimal(line.amount, scale), decimal(line.balance_after, scale), line.description]
        for line in lines
    ]
    table = columns(["posted at", "kind", "amount", "balance after", "what for"], rows, to_right=(2, 3))
    tell(answer, as_json=as_json, lines=table if rows else ["Nothing moved."])


async def _lines(tx: "Tx", owner: "User", asset: str, wanted: "Filter", limit: int) -> "list[Line]":
    from palio import ledger

    lines: list[Line] = []
    after = None
    while len(lines) < limit:
        rest = limit - len(lines)
        page = await ledger.statement(tx, owner_id=owner.id, asset=asset, wanted=wanted, after=after, limit=rest)
        lines += page.lines
        after = page.next
        if after is None:
            break
    return lines


@app.command()
def seal(*, as_json: AsJson = False) -> None:
    """Seal the transfers that are final now, and anchor the heads: what the job ledger.seal does by the clock."""
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.infra import seals
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "list[Seal]":
        made: list[Seal] = []
        while not made or made[-1].rows:
            async with operators.acting(place.database) as tx:
                sealed = await ledger.seal(tx, now=clock.now())
            if sealed is None:
                break
            made.append(sealed)
        async with operators.acting(place.database) as tx:
            await seals.anchor(tx, chain=ledger.CHAIN, now=clock.now())
        return made

    made = terminal.run(work, json=as_json)
    lines = [f"Seal {one.n}: {one.rows} transfers, head {one.head.hex()}" for one in made]
    tell({"seals": made}, as_json=as_json, lines=lines or ["Nothing was to be sealed."])
