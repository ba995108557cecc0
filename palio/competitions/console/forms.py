"""What the forms of competitions say, and how the editor reads a prize rule from one line of text."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from palio.competitions.errors import PrizeShape
from palio.competitions.rules import prizes
from palio.competitions.types import BANDS_MAX, WHOLE_BPS, Band, NewCompetition, PrizeRule, Prizes
from palio.kernel.errors import Refusal
from palio.ui.values import Asset, Blank, Moment, decimal

DEFAULT_PRIZES = "50 30 20"
ZONELESS = "%Y-%m-%dT%H:%M"
Text = Annotated[str, Field(max_length=20_000)]
Why = Annotated[str, Field(min_length=5, max_length=500)]
Amount = Annotated[str, Field(max_length=20)]
Some = Annotated[int | None, Field(ge=1, le=1_000_000), Blank]


class FormBody(BaseModel):
    """What a form of staff says: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class EditorForm(FormBody):
    """A competition as the editor asks for it; `prizes` is a percentage for each place, amounts are in whole money."""

    title: Annotated[str, Field(max_length=200)] = ""
    product: Literal["custom", "quest", "steps", "game"] = "custom"
    starts_at: Annotated[Moment | None, Blank] = None
    ends_at: Annotated[Moment | None, Blank] = None
    asset: Annotated[str, Field(max_length=16)] = "USD"
    pool: Amount = "500.00"
    prizes: Annotated[str, Field(max_length=2_000)] = DEFAULT_PRIZES
    empty_rule: Literal["redistribute", "keep"] = "redistribute"
    tie_rule: Literal["share", "earliest"] = "share"
    join_mode: Literal["auto", "open", "invite"] = "auto"
    entry_fee: Amount = "0"
    min_score: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    min_participants: Some = None
    max_participants: Some = None
    review_h: Annotated[int, Field(ge=0, le=336)] = 24
    description: Text = ""
    rules_text: Text = ""

    def new(self, asset: Asset) -> NewCompetition:
        """The draft. Refuses with PrizeShape what cannot be read."""
        if self.starts_at is None or self.ends_at is None:
            raise PrizeShape(where="starts_at", expected="a start and an end")
        return NewCompetition(
            product=self.product,
            title=self.title,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            prize_asset=asset.code,
            guaranteed_pool=units_of(self.pool, asset),
            prize_rule=rule_of(self.prizes),
            description=self.description,
            rules_text=self.rules_text,
            min_score=self.min_score,
            tie_rule=self.tie_rule,
            empty_rule=self.empty_rule,
            join_mode=self.join_mode,
            entry_fee=units_of(self.entry_fee, asset),
            min_participants=self.min_participants,
            max_participants=self.max_participants,
            review_h=self.review_h,
        )


class VersionForm(FormBody):
    """An act on what was seen."""

    version: int


class ReasonForm(VersionForm):
    """Why."""

    reason: Why


class ExtendForm(ReasonForm):
    """A later end."""

    ends_at: Moment


class FundForm(FormBody):
    """So much for the pool, in whole money."""

    amount: Amount
    source: Literal["admin_fund", "bonus_event", "sponsor"] = "admin_fund"
    reason: Why


class EntrantForm(FormBody):
    """An entrant by his number, and the reason that he reads."""

    entrant_id: Annotated[int, Field(ge=1)]
    reason: Why


class AdjustForm(EntrantForm):
    """So much more or less."""

    delta: Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]


class AppealForm(FormBody):
    """What is decided about a doubt."""

    decision: Literal["upheld", "rejected"]
    answer: Annotated[str, Field(min_length=10, max_length=2_000)]


AsEditor = Annotated[EditorForm, Query()]


def units_of(text: str, asset: Asset) -> int:
    """An amount as people write it, in units. Refuses with PrizeShape what is none, or finer than the asset."""
    try:
        units = Decimal(text.replace(",", "").strip() or "0").scaleb(asset.scale)
    except InvalidOperation:
        units = Decimal("NaN")
    if not units.is_finite() or units % 1 or units < 0:
        raise PrizeShape(where=text, expected=f"an amount of {asset.code} with at most {asset.scale} decimals")
    return int(units)


def rule_of(text: str) -> PrizeRule:
    """The rule behind one line of percentages, one a place. Refuses with PrizeShape."""
    words = text.replace(",", " ").replace(";", " ").split()
    if not 0 < len(words) <= BANDS_MAX:
        raise PrizeShape(where="prizes", expected=f"1 to {BANDS_MAX} numbers")
    return PrizeRule("bps", "places", tuple(Band(n, n, _bps(word)) for n, word in enumerate(words, 1)))


def _bps(word: str) -> int:
    try:
        value = Decimal(word) * 100
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value % 1 or value <= 0:
        raise PrizeShape(where=word, expected="a percentage above 0 with at most two decimals")
    return int(value)


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a rule has come: what it gives away in hundredths of a percent, what places get, and what is wrong."""

    bps: int
    is_whole: bool
    places: tuple[Prizes, ...]
    pool: int
    problem: str

    @property
    def percent(self) -> str:
        """As the meter reads, always with two places."""
        return format(decimal(self.bps, 2), ".2f")


def meter_of(form: EditorForm, asset: Asset) -> Meter:
    """The meter over what was typed so far."""
    try:
        pool, rule = units_of(form.pool, asset), rule_of(form.prizes)
    except Refusal as refusal:
        return Meter(0, is_whole=False, places=(), pool=0, problem=refusal.detail)
    bps = sum(band.value for band in rule.bands)
    try:
        preview = prizes.preview_prizes(rule, pool=pool, entrants=len(rule.bands), empty_rule=form.empty_rule)
    except Refusal as refusal:
        return Meter(bps, is_whole=False, places=(), pool=pool, problem=refusal.detail)
    places = tuple(Prizes(share.place, share.place, share.amount) for share in preview.shares)
    return Meter(bps, is_whole=bps == WHOLE_BPS, places=places, pool=pool, problem="")


def typed(at: datetime | None) -> str:
    """A time as a field of a form holds it, in UTC."""
    return at.astimezone(UTC).strftime(ZONELESS) if at else ""
