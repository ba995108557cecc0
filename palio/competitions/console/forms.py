"""What the forms of competitions say, and how the editor reads a prize rule from one line of text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import Field

from palio.competitions.errors import (
    AdjustmentInvalid,
    AdjustmentUndone,
    AmountInvalid,
    EligibilityInvalid,
    EndsEarlier,
    InvitedUnknown,
    NoSuchAdjustment,
    NoSuchEntrant,
    NoSuchPrize,
    NothingFollows,
    NotWithheld,
    PrizeIncreasing,
    PrizeShape,
    PrizeSum,
    ReasonMissing,
    RecurrenceInvalid,
    SeriesExists,
    WindowInvalid,
    ZoneUnknown,
)
from palio.competitions.rules import prizes, recurrence
from palio.competitions.service.desk import Trial
from palio.competitions.types import (
    AMOUNT_MAX,
    BANDS_MAX,
    ENTRANT_ID_MAX,
    WHOLE_BPS,
    Band,
    Competition,
    Direction,
    EmptyRule,
    Item,
    JoinMode,
    NewCompetition,
    NewSeries,
    Op,
    Preview,
    PrizeRule,
    ResultsVisible,
    RuleKind,
    Series,
    Split,
)
from palio.kernel.errors import Refusal
from palio.ui.bodies import Body
from palio.ui.problems import Problem, wrong_of
from palio.ui.values import Asset, Blank, Moment, decimal

DEFAULT_PRIZES = "50 30 20"
ZONELESS = "%Y-%m-%dT%H:%M"
SHOWN_MAX = 50  # places of a preview on a page
WINDOW = ("starts_at", "ends_at")
BLAMED = {  # the field of a form that a refusal is about
    AdjustmentInvalid.code: "delta",
    NoSuchAdjustment.code: "delta",
    AdjustmentUndone.code: "delta",
    EligibilityInvalid.code: "eligibility",
    InvitedUnknown.code: "users",
    NoSuchEntrant.code: "entrant_id",
    NoSuchPrize.code: "entrant_id",
    NotWithheld.code: "entrant_id",
    ReasonMissing.code: "reason",
    WindowInvalid.code: "ends_at",
    EndsEarlier.code: "ends_at",
    PrizeShape.code: "prizes",
    PrizeSum.code: "prizes",
    PrizeIncreasing.code: "prizes",
    NothingFollows.code: "leftover_to",
    ZoneUnknown.code: "tz",
    RecurrenceInvalid.code: "rrule",
    SeriesExists.code: "code",
}
ENTRANTS_MAX = 100_000
INVITED_CHARS_MAX = 40_000  # a thousand ids
PLACES = r"(?:(?P<first>[1-9]\d{0,6})(?P<open>-(?P<last>[1-9]\d{0,6})?)?:)?"
WORD = re.compile(PLACES + r"(?P<value>\d{1,16}(?:\.\d{1,6})?)", re.ASCII)
ITEM = re.compile(
    r"(?P<first>[1-9]\d{0,3})(?:\s*-\s*(?P<last>[1-9]\d{0,3}))?\s+(?P<kind>code|badge|goods)\s+(?P<ref>\S+)\s+(?P<title>\S.*)"
)
TIE = re.compile(r"([1-9]\d{0,5}):([1-9]\d{0,5})", re.ASCII)
Text = Annotated[str, Field(max_length=20_000)]
Why = Annotated[str, Field(min_length=5, max_length=500)]
Amount = Annotated[str, Field(max_length=20)]
Some = Annotated[int | None, Field(ge=1, le=1_000_000), Blank]
Line = Annotated[str, Field(max_length=2_000)]
Score = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Ticked = Literal["", "1"]  # a box that is not ticked sends nothing


class PrizesForm(Body):
    """Prizes as they are typed: `prizes` is a percentage or an amount for each place, or for bands `2-5:40`."""

    pool: Amount = "500.00"
    kind: RuleKind = "bps"
    split: Split = "places"
    prizes: Line = DEFAULT_PRIZES
    empty_rule: EmptyRule = "redistribute"
    tie_rule: Literal["share", "earliest"] = "share"


class TermsForm(PrizesForm):
    """What a competition, and each of a series, has in common; amounts are in whole money."""

    title: Annotated[str, Field(max_length=200)] = ""
    product: Literal["custom", "quest", "steps", "game"] = "custom"
    asset: Annotated[str, Field(max_length=16)] = "USD"
    tz: Annotated[str, Field(max_length=64)] = "UTC"
    op: Op = "add"
    direction: Direction = "desc"
    has_subscore: Ticked = ""
    score_scale: Annotated[int, Field(ge=0, le=6)] = 0
    min_score: Score = 0
    allow_nonpositive: Ticked = ""
    join_mode: JoinMode = "auto"
    entry_fee: Amount = "0"
    treasury: Annotated[str, Field(max_length=8)] = ""
    min_participants: Some = None
    max_participants: Some = None
    eligibility: Annotated[str, Field(max_length=4_000)] = ""
    results_visible: ResultsVisible = "live"
    rank_events: Literal["yes", "no"] = "yes"
    collect_s: Annotated[int | None, Field(ge=0, le=2_592_000), Blank] = None
    leftover_to: Literal["treasury", "house", "rollover"] = "treasury"
    no_winner: Literal["treasury", "rollover", "refund"] = "treasury"
    items: Text = ""
    blackout_s: Annotated[int | None, Field(ge=0, le=2_592_000), Blank] = None
    grace_s: Annotated[int | None, Field(ge=0, le=86_400), Blank] = None
    review_h: Annotated[int | None, Field(ge=0, le=336), Blank] = None
    description: Text = ""
    rules_text: Text = ""
    entrants: Annotated[int | None, Field(ge=0, le=ENTRANTS_MAX), Blank] = None
    ties: Annotated[str, Field(max_length=500)] = ""


class EditorForm(TermsForm):
    """A competition as the editor asks for it."""

    starts_at: Annotated[Moment | None, Blank] = None
    ends_at: Annotated[Moment | None, Blank] = None

    def new(self, asset: Asset) -> NewCompetition:
        """The draft. Refuses with PrizeShape, EligibilityInvalid what cannot be read."""
        if self.starts_at is None or self.ends_at is None:
            raise PrizeShape(where="starts_at", expected="a start and an end")
        return NewCompetition(
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            **common(self, asset),  # type: ignore[arg-type]  # each field has the type of its name
        )


class EditForm(EditorForm):
    """The same for what is there: only the fields that its state leaves open are sent."""

    version: int = 0

    def changes(self, asset: Asset, kept: PrizeRule) -> dict[str, object]:
        """What is asked for, by the names of terms. Refuses with PrizeShape, EligibilityInvalid."""
        sent = self.model_fields_set
        new = self.new(asset)
        named = {"pool": "guaranteed_pool", "asset": "prize_asset", "treasury": "treasury_bps"}
        plain = {
            *("title", "description", "rules_text", "starts_at", "ends_at", "tz", "min_score", "empty_rule"),
            *("tie_rule", "leftover_to", "no_winner", "blackout_s", "grace_s", "collect_s", "review_h"),
            "results_visible",
            *("join_mode", "entry_fee", "min_participants", "max_participants", "eligibility"),
        }
        found = {name: getattr(new, name) for name in plain & sent}
        found |= {to: getattr(new, to) for name, to in named.items() if name in sent}
        if "prizes" in sent:
            found["prize_rule"] = prizes.written(_read_over(kept, self, asset))
            found["allow_nonpositive"] = new.allow_nonpositive  # a box that is not ticked sends nothing
            if found["prize_rule"] == prizes.written(kept):
                del found["prize_rule"]
        return {name: value for name, value in found.items() if value is not None or name in CAN_BE_NONE}


CAN_BE_NONE = ("min_participants", "max_participants")


class SeriesForm(TermsForm):
    """A series as its editor asks for it."""

    code: Annotated[str, Field(max_length=40)] = ""
    cadence: Literal["daily", "weekly", "weekend", "monthly", "custom"] = "weekly"
    rrule: Annotated[str, Field(max_length=recurrence.TEXT_CHARS_MAX)] = ""
    create_lead_h: Annotated[int, Field(ge=1, le=720)] = 24

    def new(self, asset: Asset) -> NewSeries:
        """The series. Refuses with PrizeShape, EligibilityInvalid what cannot be read."""
        return NewSeries(
            code=self.code,
            cadence=self.cadence,
            rrule=self.rrule.replace("\r", "").strip() or None,
            create_lead_h=self.create_lead_h,
            **common(self, asset),  # type: ignore[arg-type]  # each field has the type of its name
        )


class NewSeriesForm(SeriesForm):
    """The same when it is made: its code must be one."""

    code: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{1,39}$")] = ""


class SeriesEditForm(SeriesForm):
    """The same for one that is there; its code, product, cadence and zone stay."""

    version: int = 0
    active: Ticked = ""

    def over(self, known: Series, asset: Asset) -> NewSeries:
        """The series with what was typed; what the form does not ask for stays. Refuses with PrizeShape,
        EligibilityInvalid.
        """
        kept = {each.name: getattr(known, each.name) for each in fields(NewSeries)}
        typed = common(self, asset) | {"create_lead_h": self.create_lead_h}
        read = _read_over(prizes.read(known.prize_rule), self, asset)
        return NewSeries(**kept | typed | {"prize_rule": read})


@dataclass(frozen=True, slots=True)
class TrialQuery:
    """Other prizes for a ranking as it is, as they stand in an address; what is left out is that of the competition."""

    pool: str | None = None
    prizes: str | None = None
    kind: RuleKind = "bps"
    split: Split = "places"
    empty_rule: EmptyRule | None = None


async def tried(
    pool: Annotated[str | None, Query(max_length=20, description="Another pool, in whole money"), Blank] = None,
    prizes: Annotated[
        str | None,
        Query(max_length=2_000, description="Other prizes as in the editor: 50 30 20, 1:50 2-5:50"),
        Blank,
    ] = None,
    kind: RuleKind = "bps",
    split: Split = "places",
    empty_rule: Annotated[EmptyRule | None, Blank] = None,
) -> TrialQuery:
    """Read what is tried."""
    return TrialQuery(pool, prizes, kind, split, empty_rule)


class VersionForm(Body):
    """An act on what was seen."""

    version: int


class ReasonForm(VersionForm):
    """Why."""

    reason: Why


class ExtendForm(ReasonForm):
    """A later end."""

    ends_at: Moment


class FundForm(Body):
    """So much for the pool, in whole money."""

    amount: Amount
    source: Literal["admin_fund", "bonus_event", "sponsor"] = "admin_fund"
    reason: Why


class EntrantForm(Body):
    """An entrant by his number, and the reason that he reads."""

    entrant_id: Annotated[int, Field(ge=1, le=ENTRANT_ID_MAX)]
    reason: Why


class AdjustForm(EntrantForm):
    """So much more or less, and which adjustment it takes back, if it does."""

    delta: Score
    undoes: Annotated[UUID | None, Blank] = None


class InviteForm(Body):
    """Players who may join, by user name or id, with blanks or commas between them."""

    users: Annotated[str, Field(min_length=1, max_length=INVITED_CHARS_MAX)]

    @property
    def named(self) -> list[str]:
        """Each of them once, in the order given."""
        return list(dict.fromkeys(self.users.replace(",", " ").replace(";", " ").split()))


class AppealForm(Body):
    """What is decided about a doubt."""

    decision: Literal["upheld", "rejected"]
    answer: Annotated[str, Field(min_length=10, max_length=2_000)]


AsEditor = Annotated[EditorForm, Query()]
AsTrial = Annotated[TrialQuery, Depends(tried)]


def common(form: TermsForm, asset: Asset) -> dict[str, object]:
    """What competitions and series ask for alike. Refuses with PrizeShape, EligibilityInvalid, AmountInvalid."""
    plain = (
        *("title", "product", "tz", "score_scale", "min_score", "leftover_to", "no_winner", "grace_s", "review_h"),
        *("description", "rules_text", "tie_rule", "empty_rule", "op", "direction", "join_mode", "min_participants"),
        *("max_participants", "results_visible", "collect_s"),
    )
    return {
        **{name: getattr(form, name) for name in plain},
        "has_subscore": bool(form.has_subscore),
        "allow_nonpositive": bool(form.allow_nonpositive),
        "rank_events": form.rank_events == "yes",
        "entry_fee": units_of(form.entry_fee, asset),
        "treasury_bps": bps_of(form.treasury) if form.treasury.strip() else None,
        "eligibility": eligibility_of(form.eligibility),
        "prize_asset": asset.code,
        "guaranteed_pool": units_of(form.pool, asset),
        "blackout_s": form.blackout_s or 0,
        "prize_rule": replace(rule_of(form, asset), items=items_of(form.items)),
    }


def units_of(text: str, asset: Asset) -> int:
    """An amount as people write it, in units. Refuses with AmountInvalid what is none, finer than the asset, or more
    than can be counted.
    """
    try:
        units = Decimal(text.replace(",", "").strip() or "0").scaleb(asset.scale)
    except InvalidOperation:
        units = Decimal("NaN")
    if not units.is_finite() or not 0 <= units <= AMOUNT_MAX or units % 1:
        raise AmountInvalid(amount=text, asset=asset.code, places=asset.scale)
    return int(units)


def bps_of(text: str) -> int:
    """A percentage as people write it, in hundredths of a percent. Refuses with PrizeShape."""
    try:
        value = Decimal(text.replace("%", "").strip()) * 100
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= WHOLE_BPS or value % 1:
        raise PrizeShape(where="treasury", expected="a percentage from 0 to 100 with at most two decimals")
    return int(value)


def eligibility_of(text: str) -> Mapping[str, object]:
    """Who may enter, as JSON. Refuses with EligibilityInvalid."""
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EligibilityInvalid(rule="eligibility", expected='an object of JSON like {"countries": {"allow": ["NP"]}}')
    return found


def rule_of(form: PrizesForm, asset: Asset) -> PrizeRule:
    """The rule behind one line: `50 30 20` a place each, `1:50 2-5:40 6-:10` by bands. Refuses with PrizeShape."""
    return _rule(form.prizes, form.kind, form.split, asset)


def _rule(text: str, kind: RuleKind, split: Split, asset: Asset) -> PrizeRule:
    words = re.sub(r"\s*([:-])\s*", r"\1", text).replace(",", " ").replace(";", " ").replace("%", " ").split()
    if not 0 < len(words) <= BANDS_MAX:
        raise PrizeShape(where="prizes", expected=f"1 to {BANDS_MAX} numbers")
    return prizes.read(prizes.written(PrizeRule(kind, split, tuple(_bands(words, kind, asset)))))


def _bands(words: list[str], kind: RuleKind, asset: Asset) -> Iterator[Band]:
    place = 1
    for word in words:
        found = WORD.fullmatch(word)
        if found is None:
            raise PrizeShape(where=word, expected="a number, or places before one like 2-5:40")
        first = int(found["first"] or place)
        last = int(found["last"]) if found["last"] else None if found["open"] else first
        yield Band(first, last, units_of(found["value"], asset) if kind == "fixed" else _share(word, found["value"]))
        place = (last or first) + 1


def _share(word: str, text: str) -> int:
    value = Decimal(text) * 100
    if value % 1 or value <= 0:
        raise PrizeShape(where=word, expected="a percentage above 0 with at most two decimals")
    return int(value)


def text_of(rule: PrizeRule, asset: Asset) -> str:
    """The line behind which a rule stands: what `rule_of` reads back."""
    scale = asset.scale if rule.kind == "fixed" else 2
    return " ".join(_word(band, scale) for band in rule.bands)


def items_of(text: str) -> tuple[Item, ...]:
    """What places win besides money: a line each, like `1-3 badge champion Champion of the week`.

    Refuses with PrizeShape.
    """
    return prizes.read_items([_item(line) for line in text.splitlines() if line.strip()])


def _item(line: str) -> dict[str, object]:
    found = ITEM.fullmatch(line.strip())
    if found is None:
        expected = "in each line places, code badge or goods, a reference and a title"
        raise PrizeShape(where="items", expected=f"{expected}, not {line.strip()}")
    first = int(found["first"])
    last = int(found["last"] or first)
    return {"from": first, "to": last, "kind": found["kind"], "ref": found["ref"], "title": found["title"]}


def items_text(rule: PrizeRule) -> str:
    """The lines behind which the items of a rule stand: what `items_of` reads back."""
    return "\n".join(f"{_places(item)} {item.kind} {item.ref} {item.title}" for item in rule.items)


def _places(item: Item) -> str:
    return str(item.first) if item.first == item.last else f"{item.first}-{item.last}"


def _read_over(kept: PrizeRule, form: TermsForm, asset: Asset) -> PrizeRule:
    """The rule with what a form says of it; what nobody has touched stays as it is, also where its text says less."""
    read = kept if is_written(kept, form, asset) else rule_of(form, asset)
    is_untouched = "items" not in form.model_fields_set or form.items.split() == items_text(kept).split()
    return replace(read, items=kept.items if is_untouched else items_of(form.items))


def is_written(rule: PrizeRule, form: PrizesForm, asset: Asset) -> bool:
    """Is this rule what stands in the form, so that nobody has changed it?"""
    return text_of(rule, asset) == form.prizes and (rule.kind, rule.split) == (form.kind, form.split)


def _word(band: Band, scale: int) -> str:
    value = format(decimal(band.value, scale).normalize(), "f")
    if band.last == band.first:
        return value
    return f"{band.first}-{band.last or ''}:{value}"


def trial_of(asked: TrialQuery, asset: Asset) -> Trial:
    """What is tried. Refuses with PrizeShape."""
    return Trial(
        rule=_rule(asked.prizes, asked.kind, asked.split, asset) if asked.prizes else None,
        pool=units_of(asked.pool, asset) if asked.pool else None,
        empty_rule=asked.empty_rule,
    )


def ties_of(text: str) -> dict[int, int]:
    """How many share which rank, like `2:3 9:2`. Refuses with PrizeShape."""
    words = text.replace(",", " ").replace(";", " ").split()
    found = {word: TIE.fullmatch(word) for word in words}
    for word, match in found.items():
        if match is None:
            raise PrizeShape(where=word, expected="a rank and how many share it, like 2:3")
    return {int(match[1]): int(match[2]) for match in found.values() if match}


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a rule has come: what it gives away in hundredths of a percent, what places get, and what is wrong."""

    bps: int
    is_whole: bool
    preview: Preview
    entrants: int
    pool: int
    problem: str

    @property
    def percent(self) -> str:
        """As the meter reads, always with two places."""
        return format(decimal(self.bps, 2), ".2f")


NOTHING = Preview((), 0)


def meter_of(form: TermsForm, asset: Asset) -> Meter:
    """The meter over what was typed so far, and the prizes of so many entrants: of every paid place, if none are named.

    Fixed amounts are measured against the pool; shares by scores are those of people who all have the same.
    """
    try:
        pool, rule, ties = units_of(form.pool, asset), rule_of(form, asset), ties_of(form.ties)
    except Refusal as refusal:
        return Meter(0, is_whole=False, preview=NOTHING, entrants=0, pool=0, problem=refusal.detail)
    bps = _given(rule, pool)
    entrants = prizes.places_of(rule) or rule.bands[-1].first if form.entrants is None else form.entrants
    try:
        found = prizes.preview_prizes(
            rule,
            pool=pool,
            entrants=min(entrants, ENTRANTS_MAX),
            ties=ties,
            tie_rule=form.tie_rule,
            empty_rule=form.empty_rule,
            scores=[1] * min(entrants, ENTRANTS_MAX) if rule.kind == "proportional" else (),
        )
    except Refusal as refusal:
        return Meter(bps, is_whole=False, preview=NOTHING, entrants=entrants, pool=pool, problem=refusal.detail)
    return Meter(bps, is_whole=bps == WHOLE_BPS, preview=found, entrants=entrants, pool=pool, problem="")


def _given(rule: PrizeRule, pool: int) -> int:
    if rule.kind != "fixed":
        return sum(band.value for band in rule.bands)
    promised = sum(band.value * ((band.last or band.first) - band.first + 1) for band in rule.bands)
    return promised * WHOLE_BPS // pool if pool else 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pool comes to with so many who pay to enter, in units."""

    entrants: int
    fees_to_pool: int
    fees_to_treasury: int
    pool: int


def forecast_of(form: EditorForm, asset: Asset, treasury_bps: int) -> list[Forecast]:
    """What comes in with the fewest and the most who may enter, with as many as are previewed, and with ten times the
    prizes; nothing without a fee.
    """
    try:
        pool, fee = units_of(form.pool, asset), units_of(form.entry_fee, asset)
        share = bps_of(form.treasury) if form.treasury.strip() else treasury_bps
    except Refusal:
        return []
    if not fee:
        return []
    wanted = {form.min_participants or 1, form.entrants or 100, form.max_participants or 1_000}
    to_treasury = fee * share // WHOLE_BPS
    return [
        Forecast(count, count * (fee - to_treasury), count * to_treasury, pool + count * (fee - to_treasury))
        for count in sorted(wanted)
    ]


def typed(at: datetime | None) -> str:
    """A time as a field of a form holds it, in UTC."""
    return at.astimezone(UTC).strftime(ZONELESS) if at else ""


def edited(competition: Competition, asset: Asset) -> EditForm:
    """What the editor shows of a competition that is there."""
    rule = prizes.read(competition.prize_rule)
    return EditForm.model_construct(
        **{name: getattr(competition, name) for name in EditForm.model_fields if hasattr(competition, name)}
        | written(rule, competition.guaranteed_pool, competition.prize_asset, asset)
        | entered(competition, asset)
    )


def edited_series(series: Series, asset: Asset) -> SeriesEditForm:
    """What the editor shows of a series that is there."""
    return SeriesEditForm.model_construct(
        **{name: getattr(series, name) for name in SeriesEditForm.model_fields if hasattr(series, name)}
        | written(prizes.read(series.prize_rule), series.guaranteed_pool, series.prize_asset, asset)
        | entered(series, asset)
        | {"active": _ticked(series.active), "rank_events": "yes" if series.rank_events else "no"}
    )


def written(rule: PrizeRule, pool: int, code: str, asset: Asset) -> dict[str, object]:
    """A pool and a rule as they are typed."""
    return {
        "asset": code,
        "pool": format(decimal(pool, asset.scale), "f"),
        "kind": rule.kind,
        "split": rule.split,
        "prizes": text_of(rule, asset),
        "items": items_text(rule),
    }


def entered(terms: Competition | Series, asset: Asset) -> dict[str, object]:
    """Who takes part and for what, as it is typed."""
    share = "" if terms.treasury_bps is None else format(decimal(terms.treasury_bps, 2).normalize(), "f")
    return {
        "has_subscore": _ticked(terms.has_subscore),
        "allow_nonpositive": _ticked(terms.allow_nonpositive),
        "entry_fee": format(decimal(terms.entry_fee, asset.scale), "f"),
        "treasury": share,
        "eligibility": json.dumps(dict(terms.eligibility)) if terms.eligibility else "",
    }


def _ticked(is_so: bool) -> Ticked:
    return "1" if is_so else ""


def wrong_in(problem: Problem | None, typed: Mapping[str, str]) -> Mapping[str, str]:
    """What is wrong with a form, by its fields: what cannot be read, or the field that a refusal is about."""
    if problem is None or problem.errors:
        return wrong_of(problem)
    named = str(problem.facts.get("where") or problem.facts.get("rule") or "")
    if problem.code == AmountInvalid.code:
        amount = problem.facts["amount"]
        field = next((name for name, text in typed.items() if text.strip() == amount), "prizes")
    else:
        field = named if named in TermsForm.model_fields or named in WINDOW else BLAMED.get(problem.code, "")
    return {field: problem.detail} if field else {}
