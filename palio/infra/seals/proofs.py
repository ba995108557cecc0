"""Proofs: that a row is among those a published head stands for. Whoever checks one needs no database.

leaf = SHA-256(00 ‖ content)                    node = SHA-256(01 ‖ left ‖ right), as RFC 6962
head = SHA-256(prev ‖ root ‖ rows ‖ from_tx ‖ to_tx ‖ sums ‖ sealed_at), figures of 8 bytes, the last in µs
signature: Ed25519 over "palio-seal-v1:<chain>:" ‖ head
"""

import asyncio
from dataclasses import dataclass

from palio.infra.db import Tx
from palio.infra.seals import heads, sealing, trees
from palio.infra.seals.heads import Seal
from palio.infra.seals.sealing import Chain
from palio.infra.seals.trees import DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Proof:
    """A leaf, where it stands among those of its seal (from 0), and what leads from it to the root."""

    chain: str
    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    seal: Seal
    public_key: bytes | None


async def prove(tx: Tx, *, chain: Chain, n: int, index: int) -> Proof | None:
    """The proof of a row by its place in a seal; None where there is none: no such place, or leaves that were altered
    and do not lead to the root.
    """
    found = await sealing.seals_after(tx, chain=chain, n=n - 1, limit=1)
    kept = (await sealing.leaves_of(tx, chain=chain, first=n, last=n)).get(n, b"")
    leaves = [kept[at : at + DIGEST_BYTES] for at in range(0, len(kept), DIGEST_BYTES)]
    if not found or found[0].n != n or index >= len(leaves):
        return None
    seal, steps = found[0], await asyncio.to_thread(trees.path, leaves, index)  # 100,000 digests would hold others up
    if trees.climb(leaves[index], index, seal.rows, steps) != seal.root:
        return None
    key = heads.public_keys(tx.equipment.keyring).get(seal.key_id)
    return Proof(chain.name, leaves[index], index, tuple(steps), seal, key)
