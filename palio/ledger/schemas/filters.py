"""What lists of movements are narrowed by: of calls, in units of the asset, and of pages, as people write it."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeAlias, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BeforeValidator, Field

from palio.ledger.rules.months import midnight
from palio.ledger.types import AMOUNT_UNITS_MAX, Asset, Filter
from palio.ui.values import Blank, Whole, decimal

DAY = timedelta(days=1)
DAY_CHARS = len("2026-03-18")
WORDS_MAX = 100
WORDS_CHARS_MAX = 4_000
SUBJECT_CHARS_MAX = 200
AMOUNT_CHARS_MAX = 25
AMOUNT = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,8})?")

Direction: TypeAlias = Literal["credit", "debit"]
Category: TypeAlias = Literal[
    "bet",
    "win",
    "bonus",
    "admin_adjustment",
    "prize",
    "steps",
    "achievement",
    "challenge",
    "purchase",
    "order",
    "refund",
    "deposit",
    "withdrawal",
    "fee",
    "transfer",
    "contribution",
    "commission",
    "expiry",
    "clawback",
    "reversal",
]
CATEGORIES: tuple[str, ...] = get_args(Category)


def _begins(value: object) -> object:
    """A date is the instant at which it begins in UTC."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == DAY_CHARS else value


Edge = Annotated[AwareDatetime, BeforeValidator(_begins)]
From = Annotated[Edge | None, Query(alias="from", description="A time with its offset, or a date in UTC")]
To = Annotated[Edge | None, Query(alias="to", description="The same; what happened then is left out")]
Words = Annotated[str | None, Query(max_length=WORDS_CHARS_MAX, description="One, or several between commas")]
Units = Annotated[
    Whole | None, Query(ge=0, le=AMOUNT_UNITS_MAX, description="Units of the asset, whichever way they went")
]
Subject = Annotated[
    str | None,
    Query(
        max_length=SUBJECT_CHARS_MAX,
        description="What it is about: the subject of a hold, or a fact of the metadata, alone or as `name:fact`",
    ),
]
Hidden = Annotated[bool, Query(description="Also what you have hidden")]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a call asks for, beside the edges of time."""

    type: Direction | None = None
    category: Words = None
    kind: Words = None
    min: Units = None
    max: Units = None
    subject: Subject = None
    include_hidden: Hidden = False

    def filter(
        self, *, since: datetime | None, until: datetime | None, kinds: Collection[str], with_hidden: bool
    ) -> Filter:
        """The lines that are wanted. A category or a kind that nobody knows is refused, and named."""
        return Filter(
            direction=self.type,
            categories=_known(self.category, "category", CATEGORIES),
            kinds=_known(self.kind, "kind", kinds),
            since=since,
            until=until,
            amount_min=self.min,
            amount_max=self.max,
            subject=self.subject or None,
            with_hidden=with_hidden or self.include_hidden,
        )


def _known(words: str | None, name: str, known: Collection[str]) -> Sequence[str]:
    found = words.split(",") if words else []
    if len(found) > WORDS_MAX:
        raise _wrong(name, "too_long", f"At most {WORDS_MAX} at once.")
    if unknown := [word for word in found if word not in known]:
        raise _wrong(name, "literal_error", f"There is no {name} {unknown[0]!r}.")
    return found


def _wrong(name: str, kind: str, words: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("query", name), "type": kind, "msg": words}])


Day = Annotated[date | None, Blank]
Listed = Annotated[Annotated[str, Field(max_length=WORDS_CHARS_MAX)] | None, Blank]
Written = Annotated[Annotated[str, Field(max_length=AMOUNT_CHARS_MAX)] | None, Blank]
Told = Annotated[Annotated[str, Field(max_length=SUBJECT_CHARS_MAX)] | None, Blank]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a page is narrowed to: whole days, both in it, and amounts as people write them."""

    type: Annotated[Direction | None, Blank] = None
    category: Listed = None
    kind: Listed = None
    since: Annotated[Day, Query(alias="from")] = None
    until: Annotated[Day, Query(alias="to")] = None
    min: Written = None
    max: Written = None
    subject: Told = None
    include_hidden: bool = False

    @property
    def behind(self) -> date | None:
        """The day after the last one."""
        return self.until + DAY if self.until and self.until < date.max else None

    def filter(self, asset: Asset, kinds: Collection[str]) -> Filter:
        """The lines that are wanted. What cannot be read is refused, and named."""
        return Filter(
            direction=self.type,
            categories=_known(self.category, "category", CATEGORIES),
            kinds=_known(self.kind, "kind", kinds),
            since=midnight(self.since) if self.since else None,
            until=midnight(self.behind) if self.behind else None,
            amount_min=units_of(self.min, asset, "min"),
            amount_max=units_of(self.max, asset, "max"),
            subject=self.subject,
            with_hidden=self.include_hidden,
        )

    def query(self) -> str:
        """The part of the address that says so; empty when everything is shown."""
        return _query(self._words() | {"from": self.since, "to": self.until, "min": self.min, "max": self.max})

    def fields(self) -> list[tuple[str, str]]:
        """The same as hidden fields of another form of the page."""
        return parse_qsl(self.query())

    def query_of_table(self, wanted: Filter) -> str:
        """The same for the call: it takes units, and the day behind the last one."""
        edges = {"from": self.since, "to": self.behind, "min": wanted.amount_min, "max": wanted.amount_max}
        return _query(self._words() | edges)

    def _words(self) -> dict[str, object]:
        return {
            "type": self.type,
            "category": self.category,
            "kind": self.kind,
            "subject": self.subject,
            "include_hidden": "true" if self.include_hidden else None,
        }


EVERYTHING = Choice()


def units_of(text: str | None, asset: Asset, name: str) -> int | None:
    """An amount that somebody wrote, in units; one with more places than the asset has is refused, not rounded."""
    if text is None:
        return None
    places = len(text.partition(".")[2])
    if not AMOUNT.fullmatch(text) or places > asset.scale:
        raise _wrong(
            name,
            "amount",
            f"{'An amount' if asset.scale else 'A whole number'} such as {decimal(1250, asset.scale):f}.",
        )
    try:
        units = int(Decimal(text).scaleb(asset.scale))
    except InvalidOperation:
        units = AMOUNT_UNITS_MAX + 1
    if units > AMOUNT_UNITS_MAX:
        raise _wrong(name, "amount", "That is more than can be counted exactly.")
    return units


def _query(chosen: Mapping[str, object]) -> str:
    return urlencode({name: str(value) for name, value in chosen.items() if value is not None})
