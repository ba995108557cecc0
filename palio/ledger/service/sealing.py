"""Use cases about seals: transfers become blocks with public heads, and everybody can be shown that his is in one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio.infra import seals
from palio.infra.db import Tx
from palio.infra.seals import Chain, Checked, Flaw, Proof, Seal, What
from palio.kernel.ids import UserId
from palio.ledger.errors import NoSuchTransfer, NotSealed, SealBroken
from palio.ledger.rules import seals as rules
from palio.ledger.sql import sealing as sql
from palio.ledger.types import TransferId

CHAIN = Chain("ledger", "ledger", "transfers", rules.add)
OF_ROWS = frozenset({"changed", "missing", "added"})


@dataclass(frozen=True, slots=True)
class TransferProof:
    """That a transfer is among those a head stands for. Without `content`, which says something of others, it is the
    digest of it that is proved.
    """

    transfer_id: TransferId
    content: str | None
    proof: Proof


@dataclass(frozen=True, slots=True)
class Sealing:
    """How far sealing is: the newest seal, whether transfers wait for too long, and up to which seal anchors go (None:
    this machine has none).
    """

    newest: Seal | None
    is_late: bool
    anchored_to: int | None

    def is_anchored(self, n: int) -> bool | None:
        """Whether the anchors go up to a seal; None where there are none."""
        return None if self.anchored_to is None else n <= self.anchored_to


async def seal(tx: Tx, *, now: datetime) -> Seal | None:
    """Seal the transfers that are final, at most about 100,000, or an empty block after a quiet hour.

    None: nothing was due. Refuses with SealingKeyMissing, AnchorsAhead.
    """
    await seals.require_reached(tx, chain=CHAIN)
    return await seals.seal(tx, chain=CHAIN, now=now)


async def check_seals(
    tx: Tx,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Checked:
    """Compare every sealed transfer with its leaf, its seal and the anchors; those sealed in [since, until).

    `tell` hears now and then how many were compared. The first flaw of a transfer names it, also one that is not there
    any more.
    """
    found = await seals.check(tx, chain=CHAIN, since=since, until=until, tell=tell)
    first = next((place for place, flaw in enumerate(found.flaws) if flaw.what in OF_ROWS), None)
    if first is None:
        return found
    flaws = list(found.flaws)
    flaws[first] = await _named(tx, flaws[first])
    return replace(found, flaws=tuple(flaws))


async def _named(tx: Tx, flaw: Flaw) -> Flaw:
    """The flaw with the transfer it is about: keys remember the id and the transaction of each."""
    row = UUID(flaw.row) if flaw.row else None
    if row and flaw.what == "changed" and await sql.has_own_key(tx, row):
        return flaw
    if lost := await sql.find_lost(tx, flaw.from_tx, flaw.to_tx):
        what: What = "changed" if lost.is_elsewhere else "missing"
        return replace(flaw, what=what, row=str(lost.id), partition=None)
    if row and await sql.has_moved(tx, row):
        return replace(flaw, what="changed")
    return flaw


async def seal_of(tx: Tx, *, transfer_id: TransferId) -> int | None:
    """The number of the seal that a transfer is in; None while it waits. Refuses with NoSuchTransfer."""
    found = await sql.find_seal(tx, transfer_id)
    if found is None:
        raise NoSuchTransfer(transfer_id=str(transfer_id))
    return found.n


async def proof(tx: Tx, *, transfer_id: TransferId) -> TransferProof:
    """The proof of a transfer that the actor has a leg of; its content if nobody else is in it, and to the house.

    Refuses with NoSuchTransfer, NotSealed, SealBroken.
    """
    found = await sql.find_place(tx, transfer_id)
    if found is None:
        raise NoSuchTransfer(transfer_id=str(transfer_id))
    if found.n is None:
        raise NotSealed(transfer_id=str(transfer_id))
    proved = await seals.prove(tx, chain=CHAIN, n=found.n, index=found.place)
    content = seals.canonical(found.content)
    if proved is None or seals.leaf(content) != proved.leaf:
        raise SealBroken(transfer_id=str(transfer_id), seal=found.n)
    owner = tx.actor.user_id if tx.actor.kind in {"player", "viewer"} else None
    is_shown = owner is None or rules.may_be_shown(seals.read(found.content), UserId(owner))
    return TransferProof(transfer_id, content.decode() if is_shown else None, proved)


async def heads(tx: Tx, *, before: int | None = None, after: int | None = None, limit: int = 50) -> Sequence[Seal]:
    """The public heads, the newest first; those with smaller numbers than `before`, or the nearest above `after`."""
    if after is not None:
        return (await seals.seals_after(tx, chain=CHAIN, n=after, limit=limit))[::-1]
    return await seals.list_seals(tx, chain=CHAIN, before=before, limit=limit)


async def newest(tx: Tx) -> int:
    """The number of the newest seal; 0 before the first."""
    last = await seals.find_last(tx, chain=CHAIN)
    return last.n if last else 0


async def how_far(tx: Tx, *, now: datetime) -> Sealing:
    """How far sealing is. It is late when a transfer has waited for five minutes, or an empty seal is so long due."""
    return Sealing(
        newest=await seals.find_last(tx, chain=CHAIN),
        is_late=await seals.is_late(tx, chain=CHAIN, now=now),
        anchored_to=await seals.anchored_to(tx, chain=CHAIN),
    )
