"""Whether the ledger adds up: where every unit is, what reconciliations have found, and the seals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field

from palio.infra.seals import Seal
from palio.ledger.service.sealing import Sealing
from palio.ledger.types import Conserved, KeptFinding, Origin
from palio.ui.bodies import Body
from palio.ui.examples import AT, PLAYER, THING, money
from palio.ui.paging import Listed
from palio.ui.values import Asset, Instant, Money


@dataclass(frozen=True, slots=True)
class OriginAnswer:
    """What players have of one origin, what of it is held or over, and what was taken as expired."""

    origin: Origin
    outstanding: Money
    held: Money
    lapsed: Money
    expired: Money


@dataclass(frozen=True, slots=True)
class ConservedAnswer:
    """Where the units of an asset are: `total` is 0, or something is wrong; `by_family` adds up to it.

    `issued` was made and not unmade again; `liability` is what players could ask for. `by_origin` is told of an asset
    that expires, or has.
    """

    asset: str
    total: Money
    issued: Money
    liability: Money
    wallets: Money
    held: Money
    owed: Money
    by_family: Mapping[str, int]
    by_origin: tuple[OriginAnswer, ...]

    @classmethod
    def of(cls, found: Conserved) -> "ConservedAnswer":
        asset = Asset(found.asset, found.scale)
        return cls(
            asset=found.asset,
            total=Money.of(found.total, asset),
            issued=Money.of(found.issued, asset),
            liability=Money.of(found.liability, asset),
            wallets=Money.of(found.wallets, asset),
            held=Money.of(found.held, asset),
            owed=Money.of(found.owed, asset),
            by_family=found.by_family,
            by_origin=tuple(
                OriginAnswer(
                    one.origin,
                    *[Money.of(units, asset) for units in (one.outstanding, one.held, one.lapsed, one.expired)],
                )
                for one in found.origins
            ),
        )


@dataclass(frozen=True, slots=True)
class FindingAnswer:
    """Something that is not as it must be: which check, of what, both figures, and what came of it."""

    id: UUID
    check: str
    subject: str
    account: int | None
    expected: str
    actual: str
    found_at: Instant
    resolved_at: Instant | None
    resolution: str | None

    @classmethod
    def of(cls, found: KeptFinding) -> "FindingAnswer":
        return cls(
            id=found.id,
            check=found.check,
            subject=found.subject,
            account=found.account_id,
            expected=found.expected,
            actual=found.actual,
            found_at=found.found_at,
            resolved_at=found.resolved_at,
            resolution=found.resolution,
        )


class ResolveBody(Body):
    """What was found out about a finding, and what was done."""

    resolution: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True, slots=True)
class SealAnswer:
    """A seal over the transfers of the transactions from `from_tx` to below `to_tx`, signed by the key `key_id`.

    `is_anchored` is null where this machine has no anchors.
    """

    n: int
    at: Instant
    rows: int
    from_tx: int
    to_tx: int
    head: str
    key_id: int
    is_anchored: bool | None

    @classmethod
    def of(cls, seal: Seal, far: Sealing) -> "SealAnswer":
        return cls(
            n=seal.n,
            at=seal.sealed_at,
            rows=seal.rows,
            from_tx=seal.from_tx,
            to_tx=seal.to_tx,
            head=seal.head.hex(),
            key_id=seal.key_id,
            is_anchored=far.is_anchored(seal.n),
        )


@dataclass(frozen=True, slots=True)
class SealsAnswer:
    """Seals, the newest first; `is_late` says that transfers have waited for more than five minutes."""

    items: tuple[SealAnswer, ...]
    next: str | None
    prev: str | None
    is_late: bool


CONSERVATION_EXAMPLE = Listed(
    (
        ConservedAnswer(
            asset="USD",
            total=money(0),
            issued=money(0),
            liability=money(140_000),
            wallets=money(50_000),
            held=money(1_000),
            owed=money(0),
            by_family={"user": 50_000, "pool": 90_000, "external": -140_000},
            by_origin=(),
        ),
    ),
    None,
    None,
)
FINDING_EXAMPLE = FindingAnswer(
    id=THING,
    check="R1",
    subject=f"user:{PLAYER}:main USD",
    account=6553603,
    expected="50000",
    actual="50001",
    found_at=AT,
    resolved_at=None,
    resolution=None,
)
SEAL_EXAMPLE = SealAnswer(
    n=4217,
    at=AT,
    rows=2,
    from_tx=918_204,
    to_tx=918_377,
    head="c2d97f6e0b1a4835d6e7f80912a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5",
    key_id=1,
    is_anchored=True,
)
SEALS_EXAMPLE = SealsAnswer((SEAL_EXAMPLE,), None, None, is_late=False)
FINDINGS_EXAMPLE = Listed((FINDING_EXAMPLE,), None, None)
