"""Sums of rows: a day of every asset, periods of wallets, where everything is. Every figure is exact."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.types import (
    FAMILY_OF_PLAYERS,
    Asset,
    AssetDay,
    CategorySum,
    Conserved,
    DayFlow,
    FamilyDay,
    OfOrigin,
    PeriodStatement,
)

MONTH = re.compile(r"M:(?P<year>[1-9][0-9]{3})-(?P<month>0[1-9]|1[0-2])")
YEAR_LAST = 9998


class DayPart(NamedTuple):
    """A row of a day: open accounts of a family with both sums, a flow with both sides, or what was held."""

    part: str
    asset_id: int
    family: str
    category: str
    first: Decimal
    second: Decimal


class AccountPart(NamedTuple):
    """A row of a period: a main wallet, and one category that moved in it, if any did."""

    owner_id: UserId
    asset: str
    scale: int
    opening: int
    closing: int
    category: str | None
    came: Decimal
    went: Decimal


class PlacePart(NamedTuple):
    """A row of where everything is: a family of accounts, of which wallets and debts are told apart."""

    asset_id: int
    family: str
    balance: Decimal
    held: Decimal


def span_of(period_key: str) -> tuple[datetime, datetime]:
    """The instants between which a period lies, half-open, in UTC. Refuses with PeriodInvalid."""
    found = MONTH.fullmatch(period_key)
    if not found or int(found["year"]) > YEAR_LAST:
        raise errors.PeriodInvalid(period=period_key)
    begins = datetime(int(found["year"]), int(found["month"]), 1, tzinfo=UTC)
    return begins, (begins + timedelta(days=31)).replace(day=1)


def days_of_assets(assets: Sequence[Asset], parts: Iterable[DayPart]) -> list[AssetDay]:
    """A day of each asset that has an account. What players hold is what is missing from all other families."""
    by_asset: dict[int, list[DayPart]] = defaultdict(list)
    for part in parts:
        by_asset[part.asset_id].append(part)
    return [_day_of(asset, by_asset[asset.id]) for asset in assets if asset.id in by_asset]


def _day_of(asset: Asset, parts: Sequence[DayPart]) -> AssetDay:
    families = [FamilyDay(p.family, int(p.first), int(p.second)) for p in parts if p.part == "family"]
    players = FamilyDay(
        FAMILY_OF_PLAYERS, -sum(each.opening for each in families), -sum(each.closing for each in families)
    )
    flows = [DayFlow(p.category, p.family, int(p.first), int(p.second)) for p in parts if p.part == "flow"]
    return AssetDay(
        asset.code,
        asset.scale,
        families=sorted([*families, players], key=lambda each: each.family),
        flows=sorted(flows, key=lambda flow: (flow.family, flow.category)),
        held=sum(int(p.first) for p in parts if p.part == "held"),
    )


def statements(owners: Iterable[UserId], parts: Iterable[AccountPart]) -> dict[UserId, list[PeriodStatement]]:
    """Each owner with his wallets in the order of the rows; wallets in which nothing was or moved are left out."""
    rows: dict[tuple[UserId, str], list[AccountPart]] = defaultdict(list)
    for part in parts:
        rows[part.owner_id, part.asset].append(part)
    found: dict[UserId, list[PeriodStatement]] = {owner: [] for owner in owners}
    for (owner, asset), same in rows.items():
        flows = [CategorySum(p.category, int(p.came), int(p.went)) for p in same if p.category is not None]
        if flows or same[0].opening:
            found[owner].append(PeriodStatement(asset, same[0].scale, same[0].opening, flows, same[0].closing))
    return found


def conserved(assets: Sequence[Asset], parts: Iterable[PlacePart], origins: Sequence[OfOrigin]) -> list[Conserved]:
    """Where the units of each asset are, zeros included."""
    by_asset: dict[int, dict[str, PlacePart]] = defaultdict(dict)
    for part in parts:
        by_asset[part.asset_id][part.family] = part
    return [_conserved(asset, by_asset[asset.id], origins) for asset in assets]


def _conserved(asset: Asset, parts: dict[str, PlacePart], origins: Sequence[OfOrigin]) -> Conserved:
    wallets = int(parts["wallets"].balance) if "wallets" in parts else 0
    debts = int(parts["debts"].balance) if "debts" in parts else 0
    families = {name: int(part.balance) for name, part in sorted(parts.items()) if name not in {"wallets", "debts"}}
    if "wallets" in parts or "debts" in parts:
        families[FAMILY_OF_PLAYERS] = wallets + debts
    return Conserved(
        asset.code,
        asset.scale,
        by_family=families,
        wallets=wallets,
        held=sum(int(part.held) for part in parts.values()),
        owed=-debts,
        origins=tuple(one for one in origins if one.asset == asset.code),
    )
