"""How the limits of a player look from outside, and what he asks for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from palio.ledger.errors import InvalidPost
from palio.ledger.types import AMOUNT_UNITS_MAX, Asset, LimitGroup, PendingLimit, Period, PlayerLimit
from palio.ui.bodies import Body
from palio.ui.values import Asset as Unit
from palio.ui.values import Instant, Money

DIGITS_MAX = 20
WRITTEN = re.compile(r"([0-9]{1,16})(?:[.,]([0-9]{1,8}))?")
PRESETS = (10, 50, 100, 500)  # whole units of the asset
Preset = Literal["", "10", "50", "100", "500", "none"]


class LimitForm(Body):
    """How much one allows oneself of an asset in a period, in its smallest unit; null is no limit."""

    asset: Annotated[str, Field(min_length=1, max_length=12, examples=["USD"])]
    group: LimitGroup
    period: Period
    amount: Annotated[int | None, Field(ge=0, le=AMOUNT_UNITS_MAX, strict=True, examples=[50_000])]


class LimitPageForm(Body):
    """The same from the page: as it is written, or by one of its buttons."""

    asset: Annotated[str, Field(min_length=1, max_length=12)]
    group: LimitGroup
    period: Period
    amount: Annotated[str, Field(max_length=DIGITS_MAX)] = ""
    preset: Preset = ""

    def units(self, asset: Asset) -> int | None:
        """What is wanted, in the smallest unit; None is no limit. Refuses with InvalidPost what is no such amount."""
        if self.preset == "none":
            return None
        return units_of(self.preset or self.amount.strip(), asset.scale)


def units_of(text: str, scale: int) -> int:
    """An amount as people write it, in the smallest unit. Refuses with InvalidPost, also more places than there are."""
    found = WRITTEN.fullmatch(text)
    places = (found.group(2) or "") if found else ""
    if found is None or len(places) > scale:
        raise InvalidPost(field="amount")
    units = int(found.group(1) + places.ljust(scale, "0"))
    if units > AMOUNT_UNITS_MAX:
        raise InvalidPost(field="amount")
    return units


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """What the limit will be, and from when; null is no limit."""

    limit: Money | None
    starts_at: Instant

    @classmethod
    def of(cls, pending: PendingLimit, unit: Unit) -> "PendingAnswer":
        return cls(None if pending.amount is None else Money.of(pending.amount, unit), pending.starts_at)


@dataclass(frozen=True, slots=True)
class LimitAnswer:
    """One limit, what of it is used and left in this period, and when the next period begins."""

    asset: str
    scale: int
    group: LimitGroup
    period: Period
    limit: Money | None
    used: Money
    left: Money | None
    resets_at: Instant
    pending: PendingAnswer | None

    @classmethod
    def of(cls, limit: PlayerLimit) -> "LimitAnswer":
        unit = Unit(limit.asset, limit.scale)
        return cls(
            asset=limit.asset,
            scale=limit.scale,
            group=limit.group,
            period=limit.period,
            limit=None if limit.amount is None else Money.of(limit.amount, unit),
            used=Money.of(limit.used, unit),
            left=None if limit.left is None else Money.of(limit.left, unit),
            resets_at=limit.resets_at,
            pending=PendingAnswer.of(limit.pending, unit) if limit.pending else None,
        )


@dataclass(frozen=True, slots=True)
class LimitsAnswer:
    """Every limit that is in force or waits."""

    items: tuple[LimitAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, limits: Sequence[PlayerLimit]) -> "LimitsAnswer":
        return cls(tuple(map(LimitAnswer.of, limits)), None, None)


LIMITS_EXAMPLE = LimitsAnswer.of(
    [
        PlayerLimit(
            "USD",
            2,
            "stake",
            "day",
            10_000,
            6_500,
            datetime(2026, 3, 19, tzinfo=UTC),
            PendingLimit(50_000, datetime(2026, 3, 19, 14, 5, 9, 123456, tzinfo=UTC)),
        )
    ]
)
