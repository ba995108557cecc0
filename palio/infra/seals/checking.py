"""Checking: every sealed row is read again and compared with what its seal says, every seal with the one before it and
with its signature, every anchor with the seal it is of. The first difference is named. Memory is bounded by a block.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Literal, TypeAlias

from palio.infra.db import Tx
from palio.infra.seals import anchoring, heads, sealing, trees
from palio.infra.seals.anchoring import Anchor
from palio.infra.seals.heads import BEFORE_THE_FIRST, Seal
from palio.infra.seals.sealing import Block, Chain, Row
from palio.infra.seals.trees import DIGEST_BYTES

What: TypeAlias = Literal["changed", "missing", "added", "seal", "leaves", "sums", "signature", "forked", "anchor"]
FLAWS_MAX = 100
SEALS_AT_A_TIME = 1_000
EVERYTHING = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is not as it was sealed: a row (`row` names the one that was found, if one was, and `partition` where), or a
    seal or its anchor.

    `seal` is the seal it belongs to, which takes the rows of the transactions from `from_tx` to below `to_tx`.
    """

    what: What
    seal: int
    detail: str
    row: str | None = None
    from_tx: int = 0
    to_tx: int = 0
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check saw of a chain: how many seals over how many rows, and how many rows are not sealed yet.

    `anchored` is the newest seal that an anchor vouches for; `ahead` the newest that only anchors know, `lost` the
    first of those with its head, and `voided` how many of them an operator has acknowledged as lost by a restore.
    Flaws come in the order of the chain.
    """

    chain: str
    seals: int
    rows: int
    unsealed: int
    last: int
    anchored: int
    ahead: int | None
    lost: tuple[int, str] | None
    voided: int
    flaws: tuple[Flaw, ...]

    @property
    def status(self) -> int:
        """0 sound, 1 broken, 2 nothing is broken, but the anchors know more than the database."""
        return 1 if self.flaws else 2 if self.ahead else 0


@dataclass(frozen=True, slots=True)
class Anchored:
    """What the anchors say of a chain."""

    anchored: int
    ahead: int | None
    lost: tuple[int, str] | None
    voided: int
    flaws: tuple[Flaw, ...]


async def check(
    tx: Tx,
    *,
    chain: Chain,
    since: datetime | None = None,
    until: datetime | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Checked:
    """Check a chain: its rows, leaves, seals and signatures, those sealed in [since, until), and all its anchors.

    At most 100 flaws are told. `tell` hears now and then how many rows were read.
    """
    keys = heads.public_keys(tx.equipment.keyring)
    flaws: list[Flaw] = []
    seals = rows = 0
    async for before, window in _windows(tx, chain, since, until):
        flaws += await _flaws_of(tx, chain, before, window, keys)
        seals, rows = seals + len(window), rows + sum(seal.rows for seal in window)
        tell(rows)
        if len(flaws) >= FLAWS_MAX:
            break
    last = await sealing.find_last(tx, chain=chain)
    anchors = await check_anchors(tx, chain=chain)
    return Checked(
        chain=chain.name,
        seals=seals,
        rows=rows,
        unsealed=await sealing.count_rows(tx, chain=chain, from_tx=last.to_tx if last else 0, to_tx=EVERYTHING),
        last=last.n if last else 0,
        anchored=anchors.anchored,
        ahead=anchors.ahead,
        lost=anchors.lost,
        voided=anchors.voided,
        flaws=(*[await _placed(tx, chain, flaw) for flaw in flaws[:FLAWS_MAX]], *anchors.flaws)[:FLAWS_MAX],
    )


async def _placed(tx: Tx, chain: Chain, flaw: Flaw) -> Flaw:
    """The flaw with the partition in which its row lies."""
    if flaw.row is None:
        return flaw
    found = await sealing.find_partition(tx, chain=chain, row=flaw.row, from_tx=flaw.from_tx, to_tx=flaw.to_tx)
    return replace(flaw, partition=found)


async def check_anchors(tx: Tx, *, chain: Chain) -> Anchored:
    """Compare every anchor of this machine with the seal it is of."""
    keys = heads.public_keys(tx.equipment.keyring)
    last = await sealing.find_last(tx, chain=chain)
    newest, end = last.n if last else 0, EVERYTHING
    anchored, voided = 0, 0
    ahead: dict[int, str] = {}
    flaws: list[Flaw] = []
    lines = tx.equipment.anchors.newest_first() if tx.equipment.anchors else iter(())
    anchors = anchoring.read_anchors(chain.name, lines)
    while batch := list(islice(anchors, SEALS_AT_A_TIME)):
        known = await sealing.heads_of(tx, chain=chain, numbers=[anchor.n for anchor in batch])
        for anchor in batch:
            if anchor.is_end and anchoring.is_end_signed(chain.name, anchor.line, keys):
                end = min(end, anchor.n)
            elif anchor.n > end:
                voided += 1
            elif known.get(anchor.n, b"").hex() == anchor.line.get("head"):
                anchored = max(anchored, anchor.n)
            elif not _is_genuine(chain, anchor, keys):
                flaws.append(Flaw("anchor", anchor.n, "nobody with a key of the keyring has signed this anchor"))
            elif anchor.n > newest:
                ahead[anchor.n] = str(anchor.line["head"])
            else:
                flaws.append(Flaw("forked", anchor.n, "its anchor is genuine, and holds another head"))
    flaws.sort(key=lambda flaw: flaw.seal)
    lost = min(ahead.items(), default=None)
    return Anchored(anchored, max(ahead, default=None), lost, voided, tuple(flaws[:FLAWS_MAX]))


def _is_genuine(chain: Chain, anchor: Anchor, keys: Mapping[int, bytes]) -> bool:
    try:
        seal = anchoring.seal_of(anchor.line)
    except (ValueError, TypeError, KeyError):
        return False
    return seal.digest == seal.head and _signature_flaw(chain, seal, keys) is None


async def _windows(
    tx: Tx, chain: Chain, since: datetime | None, until: datetime | None
) -> AsyncIterator[tuple[Seal | None, list[Seal]]]:
    """Seals that follow one another, of as many rows as are compared at a time, each time with the one before them."""
    before = await sealing.find_before(tx, chain=chain, at=since) if since else None
    while seals := await sealing.seals_after(tx, chain=chain, n=before.n if before else 0, limit=SEALS_AT_A_TIME):
        wanted = [seal for seal in seals if until is None or seal.sealed_at < until]
        for window in _parts(wanted):
            yield before, window
            before = window[-1]
        if len(wanted) < len(seals):
            return


def _parts(seals: Sequence[Seal]) -> Iterator[list[Seal]]:
    part: list[Seal] = []
    rows = 0
    for seal in seals:
        if part and rows + seal.rows > sealing.ROWS_OF_A_BLOCK_MAX:
            yield part
            part, rows = [], 0
        part.append(seal)
        rows += seal.rows
    if part:
        yield part


async def _flaws_of(
    tx: Tx, chain: Chain, before: Seal | None, window: Sequence[Seal], keys: Mapping[int, bytes]
) -> list[Flaw]:
    leaves = await sealing.leaves_of(tx, chain=chain, first=window[0].n, last=window[-1].n)
    flaws: list[Flaw] = []
    previous = before
    async for seal, block in _blocks(tx, chain, window):
        flaws += _flaws_of_a_seal(chain, previous, seal, keys)
        flaws += _flaws_of_rows(seal, block, leaves.get(seal.n, b""))
        previous = seal
    return flaws


async def _blocks(tx: Tx, chain: Chain, window: Sequence[Seal]) -> AsyncIterator[tuple[Seal, Block]]:
    """Each seal with the rows that are there for it."""
    left = iter(window)
    seal, block = next(left), Block(chain)
    async for rows in sealing.rows_of(tx, chain=chain, from_tx=window[0].from_tx, to_tx=window[-1].to_tx):
        end = 0
        while True:
            # what lies between two seals belonged to one that is missing
            start, end = _first(rows, seal.from_tx, end), _first(rows, seal.to_tx, end)
            block.take(rows[start:end])
            if end == len(rows):
                break
            yield seal, block
            following = next(left, None)
            if following is None:  # only where the bounds of seals were altered
                return
            seal, block = following, Block(chain)
    yield seal, block
    for rest in left:
        yield rest, Block(chain)


def _first(rows: Sequence[Row], tx_id: int, at_least: int) -> int:
    """The first row, from a place on, of this transaction or a later one."""
    return bisect_left(rows, tx_id, lo=at_least, key=lambda row: row[0])


def _flaws_of_a_seal(chain: Chain, previous: Seal | None, seal: Seal, keys: Mapping[int, bytes]) -> Iterator[Flaw]:
    n, to_tx, head = (previous.n, previous.to_tx, previous.head) if previous else (0, 0, BEFORE_THE_FIRST)
    if seal.n != n + 1:
        yield Flaw("seal", n + 1, "missing")
    elif (seal.from_tx, seal.prev) != (to_tx, head):
        yield Flaw("seal", seal.n, f"it does not continue seal {n}")
    if seal.digest != seal.head:
        yield Flaw("seal", seal.n, "its head is not that of what it says")
    elif flaw := _signature_flaw(chain, seal, keys):
        yield Flaw("signature", seal.n, flaw)


def _signature_flaw(chain: Chain, seal: Seal, keys: Mapping[int, bytes]) -> str | None:
    if seal.key_id not in keys:
        return f"the keyring lacks key {seal.key_id}"
    if not heads.is_signed(keys[seal.key_id], heads.label_of(chain.name), seal.head, seal.signature):
        return f"key {seal.key_id} has not signed it"
    return None


def _flaws_of_rows(seal: Seal, block: Block, kept: bytes) -> Iterator[Flaw]:
    stored = [kept[at : at + DIGEST_BYTES] for at in range(0, len(kept), DIGEST_BYTES)]
    if len(stored) != seal.rows or trees.root(stored) != seal.root:
        yield Flaw("leaves", seal.n, "they are not those of its root")
        if trees.root(block.leaves) != seal.root:
            yield _flaw(seal, "changed", "some row of this seal: without the leaves nobody can say which")
    elif stored != block.leaves:
        yield _first_difference(seal, stored, block)
    elif block.sums != seal.sums:
        yield Flaw("sums", seal.n, f"they are {block.sums}, and it says {seal.sums}")


def _first_difference(seal: Seal, stored: Sequence[bytes], block: Block) -> Flaw:
    pairs = zip(stored, block.leaves, strict=False)
    place = next((at for at, (was, is_now) in enumerate(pairs) if was != is_now), min(len(stored), len(block.leaves)))
    where = f"row {place + 1} of {seal.rows} of seal {seal.n}"
    is_lost = place < len(stored) and stored[place] not in set(block.leaves)
    is_new = place < len(block.leaves) and block.leaves[place] not in set(stored)
    if is_lost and not is_new:
        return _flaw(seal, "missing", where)
    found = block.ids[place] if place < len(block.ids) else None
    return _flaw(seal, "added" if is_new and not is_lost else "changed", where, found)


def _flaw(seal: Seal, what: What, detail: str, row: str | None = None) -> Flaw:
    return Flaw(what, seal.n, detail, row, seal.from_tx, seal.to_tx)
