"""What the forms of races say, and how the wizard reads a prize rule from one line of text."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from palio import competitions
from palio.competitions.types import Band, Cadence, PrizeRule
from palio.kernel.errors import Refusal
from palio.races.rules import showing, terms
from palio.races.types import PrizePlaces
from palio.ui.bodies import Body
from palio.ui.values import Asset, Blank, Moment, decimal

WHOLE_BPS = 10_000
PLACES_MAX = terms.PLACES_MAX
DEFAULT_PRIZES = "50 15 10 5 5 3.75 3.75 2.5 2.5 2.5"
ZONELESS = "%Y-%m-%dT%H:%M"


Text = Annotated[str, Field(max_length=20_000)]
Why = Annotated[str, Field(min_length=5, max_length=500)]


class WizardForm(Body):
    """A race as the wizard asks for it; `prizes` is one value a place, in percent or in whole units of money."""

    title: Annotated[str, Field(max_length=200)] = ""
    programme: Annotated[str, Field(max_length=40)] = ""
    starts_at: Annotated[Moment | None, Blank] = None
    ends_at: Annotated[Moment | None, Blank] = None
    cadence: Cadence = "special"
    pool: Annotated[str, Field(max_length=20)] = "500.00"
    kind: Literal["bps", "fixed"] = "bps"
    prizes: Annotated[str, Field(max_length=2_000)] = DEFAULT_PRIZES
    min_wager: Annotated[str, Field(max_length=20)] = "0"
    grace_s: Annotated[int | None, Field(ge=0, le=86_400), Blank] = None
    review_h: Annotated[int | None, Field(ge=0, le=336), Blank] = None
    previous: Annotated[int | None, Blank] = None
    linked_only: bool = False
    description: Text = ""
    rules_text: Text = ""
    backdated_reason: Annotated[str, Field(max_length=300)] = ""
    draft: Literal["0", "1"] = "0"

    def spec(self) -> dict[str, object]:
        """The race as `races.read_spec` takes it; a sum that is not whole is refused there."""
        given: dict[str, object] = {
            "title": self.title,
            "programme": self.programme,
            "starts_at": self.starts_at.isoformat() if self.starts_at else None,
            "ends_at": self.ends_at.isoformat() if self.ends_at else None,
            "cadence": self.cadence,
            "pool": self.pool,
            "prizes": bands_of(self.prizes, self.kind),
            "min_wager": self.min_wager,
            "grace_s": self.grace_s,
            "review_h": self.review_h,
            "previous": self.previous,
            "linked_only": self.linked_only,
            "description": self.description,
            "rules_text": self.rules_text,
            "backdated_reason": self.backdated_reason,
        }
        return {name: value for name, value in given.items() if value not in (None, "")}


class PublishForm(Body):
    """What announces a draft."""

    version: int
    backdated_reason: Annotated[str, Field(max_length=300)] = ""


class VersionForm(Body):
    """Why, and which version was seen."""

    version: int
    reason: Why


class ExtendForm(VersionForm):
    """A later end."""

    ends_at: Moment


class PlayerForm(Body):
    """A player, why, and what everybody reads."""

    player: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Why
    public_note: Why


class AdjustForm(PlayerForm):
    """So much more or less, in units with up to six places."""

    amount: Annotated[str, Field(min_length=1, max_length=20)]


class HoldForm(Body):
    """What is decided about a player who is being checked."""

    decision: Literal["kept", "from_zero", "from_value", "excluded"]
    value: Annotated[str, Field(max_length=20)] = ""
    reason: Why
    public_note: Why


class PictureForm(Body):
    """A stored snapshot, and why."""

    snapshot_id: UUID
    reason: Why


class SeriesForm(Body):
    """Races that follow each other by the calendar."""

    code: Annotated[str, Field(max_length=40)]
    title: Annotated[str, Field(max_length=180)]
    programme: Annotated[str, Field(max_length=40)]
    cadence: Literal["daily", "weekly", "weekend", "monthly"]
    zone: Annotated[str, Field(max_length=60)] = "UTC"
    pool: Annotated[str, Field(max_length=20)]
    kind: Literal["bps", "fixed"] = "bps"
    prizes: Annotated[str, Field(max_length=2_000)] = DEFAULT_PRIZES
    min_wager: Annotated[str, Field(max_length=20)] = "0"
    chained: bool = False
    linked_only: bool = False

    def spec(self) -> dict[str, object]:
        """The series as `races.read_series` takes it."""
        given = self.model_dump(exclude={"kind", "prizes"})
        return {**given, "prizes": bands_of(self.prizes, self.kind)}


class RehearsalQuery(Body):
    """What the rehearsal asks: past periods of a programme, a pool, and up to three rules side by side."""

    programme: Annotated[str, Field(max_length=40)] = ""
    cadence: Literal["daily", "weekly", "weekend", "monthly"] = "daily"
    count: Annotated[int, Field(ge=1, le=12)] = 4
    pool: Annotated[str, Field(max_length=20)] = "500.00"
    min_wager: Annotated[str, Field(max_length=20)] = "0"
    chained: bool = False
    first: Annotated[str, Field(max_length=2_000)] = DEFAULT_PRIZES
    second: Annotated[str, Field(max_length=2_000)] = "60 25 15"
    third: Annotated[str, Field(max_length=2_000)] = ""


AsWizard = Annotated[WizardForm, Query()]
AsRehearsal = Annotated[RehearsalQuery, Query()]


def values_of(text: str) -> list[Decimal]:
    """The values of one line, one a place. Raises ValueError for what is no number."""
    try:
        found = [Decimal(word) for word in text.replace(",", " ").replace(";", " ").split()]
    except InvalidOperation:
        raise ValueError(text) from None
    if any(not value.is_finite() for value in found):
        raise ValueError(text)
    return found


def bands_of(text: str, kind: str) -> object:
    """The rule behind one line of values, as `races.read_spec` takes it; what it refuses is what is wrong with it."""
    try:
        values = values_of(text)
    except ValueError:
        return text
    if kind == "bps":
        return values
    bands = [{"from": n, "to": n, "value": int(value * 100)} for n, value in enumerate(values, 1)]
    return {"kind": "fixed", "bands": bands}


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a rule has come: what it gives away beside the whole, in hundredths of a percent, and what places get.

    `whole` says that it reads 100.00 %; only then is there something to publish.
    """

    bps: int
    is_whole: bool
    problem: str
    places: tuple[PrizePlaces, ...]
    pool: int
    asset: Asset

    @property
    def percent(self) -> str:
        """As the meter reads, always with two places."""
        return format(decimal(self.bps, 2), ".2f")

    @property
    def missing(self) -> int:
        """Hundredths of a percent that are missing; negative when it is too much."""
        return WHOLE_BPS - self.bps


def meter_of(pool: str, prizes: str, kind: str) -> Meter:
    """The meter over what was typed so far. Pools of the wizard are dollars."""
    asset = Asset("USD", 2)
    try:
        amount = int(Decimal(pool) * 100)
        values = values_of(prizes)
    except (InvalidOperation, ValueError):
        return Meter(0, is_whole=False, problem="numbers", places=(), pool=0, asset=asset)
    if not values or amount <= 0 or len(values) > PLACES_MAX:
        return Meter(0, is_whole=False, problem="numbers", places=(), pool=max(amount, 0), asset=asset)
    given = sum(values) * 100
    bps = int(given if kind == "bps" else given * WHOLE_BPS / amount)
    try:
        rule = rule_of(prizes, kind)
        preview = competitions.preview_prizes(rule, pool=amount, entrants=len(values))
    except Refusal as refusal:
        return Meter(bps, is_whole=False, problem=refusal.code, places=(), pool=amount, asset=asset)
    return Meter(bps, is_whole=True, problem="", places=showing.prize_places(preview.shares), pool=amount, asset=asset)


def rule_of(prizes: str, kind: str) -> PrizeRule:
    """The rule behind one line. Refuses with PrizePrecision, SpecInvalid. Raises ValueError for what is no number."""
    values = values_of(prizes)
    if kind == "bps":
        return terms.percents(dict(enumerate(values, 1)))
    bands = tuple(Band(n, n, int(value * 100)) for n, value in enumerate(values, 1))
    return PrizeRule("fixed", "places", bands)


def micro_of(text: str) -> int:
    """An amount of units with a sign and up to six places. Raises ValueError."""
    try:
        micro = Decimal(text.replace(",", "").replace("\N{MINUS SIGN}", "-")).scaleb(6)
    except InvalidOperation:
        raise ValueError(text) from None
    if not micro.is_finite() or micro % 1:
        raise ValueError(text)
    return int(micro)


def typed(at: datetime | None) -> str:
    """A time as a field of a form holds it, in UTC."""
    return at.astimezone(UTC).strftime(ZONELESS) if at else ""
