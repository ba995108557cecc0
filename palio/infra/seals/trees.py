"""Merkle trees of RFC 6962: one digest stands for a list of leaves, and a short path shows that a leaf is in it."""

from collections.abc import Sequence
from hashlib import sha256

LEAF, NODE = b"\0", b"\1"
DIGEST_BYTES = 32
EMPTY = sha256().digest()


def leaf(content: bytes) -> bytes:
    """The leaf of a row."""
    return sha256(LEAF + content).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """What stands for all leaves in their order."""
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else EMPTY


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What has to be hashed with a leaf, step by step, to arrive at the root."""
    steps, level = [], leaves
    while len(level) > 1:
        if (beside := index ^ 1) < len(level):
            steps.append(level[beside])
        level, index = _above(level), index // 2
    return steps


def climb(digest: bytes, index: int, count: int, steps: Sequence[bytes]) -> bytes | None:
    """The root that a leaf of so many and its path lead to (RFC 9162, 2.1.3.2); None if they cannot belong together."""
    last = count - 1
    if not 0 <= index <= last:
        return None
    for step in steps:
        if last == 0:
            return None
        if index & 1 or index == last:
            digest = sha256(NODE + step + digest).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            digest = sha256(NODE + digest + step).digest()
        index, last = index >> 1, last >> 1
    return digest if last == 0 else None


def _above(level: Sequence[bytes]) -> list[bytes]:
    """Neighbours in pairs; one without a neighbour goes up as it is."""
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(NODE + left + right).digest() for left, right in pairs]
    if len(level) & 1:
        above.append(level[-1])
    return above
