"""Seals and proofs as everybody can check them: digests, keys and signatures in hexadecimal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field

from palio.infra.seals import Seal
from palio.ledger.service.sealing import TransferProof
from palio.ui.examples import THING
from palio.ui.paging import Paging
from palio.ui.values import Blank, Instant


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """The seal over the transfers of the transactions from `from_tx` to below `to_tx`; `sums` is JSON text: by asset
    what moved and what is left, 0. `signature` is of the key `key_id`.
    """

    n: int
    rows: int
    from_tx: int
    to_tx: int
    root: str
    sums: str
    prev: str
    at: Instant
    head: str
    key_id: int
    signature: str

    @classmethod
    def of(cls, seal: Seal) -> "HeadAnswer":
        return cls(
            n=seal.n,
            rows=seal.rows,
            from_tx=seal.from_tx,
            to_tx=seal.to_tx,
            root=seal.root.hex(),
            sums=seal.sums,
            prev=seal.prev.hex(),
            at=seal.sealed_at,
            head=seal.head.hex(),
            key_id=seal.key_id,
            signature=seal.signature.hex(),
        )


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """A public key: 32 bytes of Ed25519."""

    id: int
    public_key: str


@dataclass(frozen=True, slots=True)
class HeadsAnswer:
    """Heads, the newest first, and the keys that their signatures are checked with."""

    items: tuple[HeadAnswer, ...]
    next: str | None
    prev: str | None
    keys: tuple[KeyAnswer, ...]

    @classmethod
    def of(cls, seals: Sequence[Seal], page: Paging, *, newest: int, keys: Mapping[int, bytes]) -> "HeadsAnswer":
        older, newer = beside(seals, page, newest=newest)
        return cls(
            items=tuple(map(HeadAnswer.of, seals)),
            next=older,
            prev=newer,
            keys=tuple(KeyAnswer(number, key.hex()) for number, key in sorted(keys.items())),
        )


@dataclass(frozen=True, slots=True)
class ProofAnswer:
    """That a transfer is among those of a seal. SHA-256 of a zero byte and `content` is `leaf`; it stands at `index`
    (from 0), and `path` leads from it to `seal.root`. `content` is null where other people are in it.
    """

    id: UUID
    chain: str
    content: str | None
    leaf: str
    index: int
    path: tuple[str, ...]
    seal: HeadAnswer
    public_key: str | None

    @classmethod
    def of(cls, found: TransferProof) -> "ProofAnswer":
        proof = found.proof
        return cls(
            id=found.transfer_id,
            chain=proof.chain,
            content=found.content,
            leaf=proof.leaf.hex(),
            index=proof.index,
            path=tuple(step.hex() for step in proof.path),
            seal=HeadAnswer.of(proof.seal),
            public_key=proof.public_key.hex() if proof.public_key else None,
        )


SEAL_NUMBER_MAX = 2**63 - 2
At = Annotated[
    Annotated[int, Field(ge=1, le=SEAL_NUMBER_MAX)] | None,
    Query(description="The page that begins with this seal"),
    Blank,
]


def wanted(page: Paging, at: int | None = None) -> tuple[int | None, int | None]:
    """The numbers `(before, after)` that bound a page of heads; without a cursor it begins with seal `at`."""
    if page.position is None:
        return at + 1 if at else None, None
    number = int(page.position.key[0])
    return (None, number) if page.position.is_back else (number, None)


def beside(seals: Sequence[Seal], page: Paging, *, newest: int) -> tuple[str | None, str | None]:
    """The cursors `(next, prev)` beside a page of heads; next is older."""
    if not seals:
        return None, None
    older = page.behind(seals[-1].n) if seals[-1].n > 1 else None
    return older, page.before(seals[0].n) if seals[0].n < newest else None


_HEAD = HeadAnswer(
    n=4217,
    rows=2,
    from_tx=918_204,
    to_tx=918_377,
    root="5f1b3c0e6ad2f8c7b1c9d4a70f3e2b6190ad84c5e7f6123a4bd0c9e81f7a2d36",
    sums='{"USD":[10000,0]}',
    prev="a0c4e2f96b7d185332c1f0e9d8b7a695847362514f3e2d1c0b9a8f7e6d5c4b3a",
    at=datetime(2026, 3, 18, 14, 5, 30, tzinfo=UTC),
    head="c2d97f6e0b1a4835d6e7f80912a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5",
    key_id=1,
    signature="3b" * 64,
)
_KEY = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
HEADS_EXAMPLE = HeadsAnswer(items=(_HEAD,), next=None, prev=None, keys=(KeyAnswer(1, _KEY),))
PROOF_EXAMPLE = ProofAnswer(
    id=THING,
    chain="ledger",
    content=None,
    leaf="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    index=0,
    path=("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    seal=_HEAD,
    public_key=_KEY,
)
