"""What siblings tell of somebody beside his account: the sections of `GET /me?include=`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from palio import affiliates, identity, ledger
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.permissions import ObjectKind
from palio.ui.including import Section
from palio.ui.values import Asset, Instant, Money


@dataclass(frozen=True, slots=True)
class WalletSection:
    """What one has of an asset; `available` is what may be spent."""

    asset: str
    balance: Money
    held: Money
    available: Money


@dataclass(frozen=True, slots=True)
class LinkSection:
    """An external player that is one's own."""

    player_id: UUID


@dataclass(frozen=True, slots=True)
class RoleSection:
    """A role one holds, everywhere or of one thing alone; without an end for good."""

    role: str
    granted_at: Instant
    expires_at: Instant | None
    object_kind: ObjectKind | None = None
    object_id: UUID | None = None


async def _wallets(tx: Tx, user_id: UserId) -> Sequence[WalletSection]:
    return [
        WalletSection(
            one.asset,
            *(Money.of(units, Asset(one.asset, one.scale)) for units in (one.balance, one.held, one.available)),
        )
        for one in await ledger.wallets(tx, owner_id=user_id)
    ]


async def _links(tx: Tx, user_id: UserId) -> Sequence[LinkSection]:
    return [LinkSection(one.player_id) for one in await affiliates.links_many(tx, user_ids=[user_id])]


async def _roles(tx: Tx, user_id: UserId) -> Sequence[RoleSection]:
    found = await identity.grants_of(tx, user_id=user_id, now=clock.now())
    return [RoleSection(one.role, one.granted_at, one.expires_at, one.object_kind, one.object_id) for one in found]


SECTIONS: Mapping[str, Section] = {
    "wallets": Section("ledger:read", _wallets),
    "links": Section("affiliates:read", _links),
    "roles": Section("identity:read", _roles),
}
