"""Anchoring: heads as lines outside the database, and what a restore of the database means for them.

    {"chain":"ledger","n":7,"rows":…,"root":…,"head":…,"signature":…}     a seal, all of it
    {"chain":"ledger","restored_to":5,"why":…,"at":…,"key_id":1,"signature":…}     heads above 5 written before are void

Whoever can write into the database and the files, but has no key, can write neither.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar

from palio.infra.db import Tx
from palio.infra.seals import heads, sealing
from palio.infra.seals.canonical import written
from palio.infra.seals.heads import Seal
from palio.infra.seals.sealing import Chain
from palio.kernel import clock
from palio.kernel.errors import Conflict, Unavailable

SEALS_AT_A_TIME = 10_000


class AnchorsAhead(Conflict):
    """The anchors know seal `n` of chain `chain`, and the database has no such seal: it was restored, or cut off.

    `palio verify anchors` says more, and acknowledges a restore.
    """

    code: ClassVar[str] = "seal.anchors_ahead"


class AnchorsUnwritable(Unavailable):
    """Heads of seals cannot be written down outside the database; `reason` says what is in the way."""

    code: ClassVar[str] = "seal.anchors_unwritable"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a line says of a seal: its number and head; `is_end` of a chain that was restored to it."""

    n: int
    line: Mapping[str, Any]
    is_end: bool


def read_anchors(chain: str, lines: Iterator[str]) -> Iterator[Anchor]:
    """What the lines say of a chain, in their order; those that cannot be read say nothing."""
    for line in lines:
        try:
            said = json.loads(line)
            if said["chain"] == chain:
                is_end = "restored_to" in said
                yield Anchor(int(said["restored_to" if is_end else "n"]), said, is_end)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def seal_of(line: Mapping[str, Any]) -> Seal:
    """The seal of a line. Raises ValueError, TypeError or KeyError if it is none."""
    return Seal(
        n=int(line["n"]),
        from_tx=int(line["from_tx"]),
        to_tx=int(line["to_tx"]),
        rows=int(line["rows"]),
        root=bytes.fromhex(line["root"]),
        sums=str(line["sums"]),
        prev=bytes.fromhex(line["prev"]),
        sealed_at=datetime.fromisoformat(line["sealed_at"]),
        head=bytes.fromhex(line["head"]),
        key_id=int(line["key_id"]),
        signature=bytes.fromhex(line["signature"]),
    )


async def require_reached(tx: Tx, *, chain: Chain) -> None:
    """Let nobody seal where the anchors know more than the database. Refuses with AnchorsAhead."""
    newest = await _newest(tx, chain)
    last = await sealing.find_last(tx, chain=chain)
    if newest and newest.n > (last.n if last else 0):
        raise AnchorsAhead(chain=chain.name, n=newest.n)


async def anchored_to(tx: Tx, *, chain: Chain) -> int | None:
    """Up to which seal the anchors of this machine go, as their newest line says; None where there are none.

    Whether they are genuine is for `check_anchors` to say.
    """
    newest = await _newest(tx, chain)
    return newest.n if newest else None


async def anchor(tx: Tx, *, chain: Chain, now: datetime) -> int:
    """Write down the committed seals that are not anchored on this machine yet, and answer how many.

    At most 10,000 in one go: a machine that is new begins with the first. Refuses with AnchorsUnwritable.
    """
    newest = await _newest(tx, chain)
    seals = await sealing.seals_after(tx, chain=chain, n=newest.n if newest else 0, limit=SEALS_AT_A_TIME)

    def choose(lines: Iterator[str]) -> Sequence[str]:
        known = next(read_anchors(chain.name, lines), None)
        return [line_of(chain.name, seal) for seal in seals if known is None or seal.n > known.n]

    return await _append(tx, now, choose) if seals else 0


async def acknowledge(tx: Tx, *, chain: Chain, why: str, now: datetime) -> int:
    """Say in the anchors that the database was restored: heads above its last seal, whose number it answers, are void.

    Refuses with SealingKeyMissing, AnchorsUnwritable.
    """
    last = await sealing.find_last(tx, chain=chain)
    key_id = heads.signing_key(tx.equipment.keyring)
    said = {
        "chain": chain.name,
        "restored_to": last.n if last else 0,
        "why": why,
        "at": clock.text(now),
        "key_id": key_id,
    }
    _, signature = heads.sign(tx.equipment.keyring, _restored(chain.name), sha256(written(said)).digest())
    line = written({**said, "signature": signature.hex()}).decode()
    await _append(tx, now, lambda _: [line])
    return last.n if last else 0


def is_end_signed(chain: str, line: Mapping[str, Any], keys: Mapping[int, bytes]) -> bool:
    """Has one of these keys signed that the chain was restored?"""
    said = {name: value for name, value in line.items() if name != "signature"}
    try:
        key, signature = keys[line["key_id"]], bytes.fromhex(line["signature"])
    except (KeyError, ValueError, TypeError):
        return False
    return heads.is_signed(key, _restored(chain), sha256(written(said)).digest(), signature)


def line_of(chain: str, seal: Seal) -> str:
    """A seal as the line that anchors it."""
    return written({"chain": chain, **heads.told(seal)}).decode()


def _restored(chain: str) -> str:
    return f"palio-restore-v1:{chain}:"


async def _append(tx: Tx, now: datetime, choose: Callable[[Iterator[str]], Sequence[str]]) -> int:
    try:
        return await asyncio.to_thread(tx.equipment.anchors.append, now, choose) if tx.equipment.anchors else 0
    except OSError as failure:
        raise AnchorsUnwritable(reason=str(failure)) from failure


async def _newest(tx: Tx, chain: Chain) -> Anchor | None:
    anchors = tx.equipment.anchors
    if anchors is None:
        return None
    return await asyncio.to_thread(lambda: next(read_anchors(chain.name, anchors.newest_first()), None))
