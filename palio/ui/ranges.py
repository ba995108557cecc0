"""Filters of lists: a range of time (`created_at.gte`), and some words out of a few (`state=a,b`, `state.ne=c`).

A list declares for which of its fields it has them; parameters that are not declared are refused like all others.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime

TICK = timedelta(microseconds=1)  # what is stored has no finer time
WORDS_MAX = 100
WORDS_CHARACTERS_MAX = 4_000

Edge: TypeAlias = AwareDatetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """The instants `[since, until)`; None: without that end."""

    since: datetime | None = None
    until: datetime | None = None

    def within(self, since: datetime | None, until: datetime | None) -> "Span":
        """What of it lies in another span."""
        return Span(
            since=max((at for at in (self.since, since) if at), default=None),
            until=min((at for at in (self.until, until) if at), default=None),
        )


def of_times(field: str) -> Callable[..., Awaitable[Span]]:
    """What reads the range of a field that holds a time, for `Annotated[Span, Depends(of_times("created_at"))]`."""

    async def span(
        gte: Annotated[Edge, Query(alias=f"{field}.gte", description="Then or later")] = None,
        gt: Annotated[Edge, Query(alias=f"{field}.gt", description="Later")] = None,
        lte: Annotated[Edge, Query(alias=f"{field}.lte", description="Then or earlier")] = None,
        lt: Annotated[Edge, Query(alias=f"{field}.lt", description="Earlier")] = None,
    ) -> Span:
        return Span(gte, lt).within(_after(gt), _after(lte))

    return span


def _after(at: datetime | None) -> datetime | None:
    """The next instant; the last of all has none, and stands for itself."""
    try:
        return at + TICK if at else None
    except OverflowError:
        return at


def of_words(field: str, known: Sequence[str]) -> Callable[..., Awaitable[list[str]]]:
    """What reads which of a few words a field may have, for `Annotated[list[str], Depends(of_words("state", STATES))]`.

    Empty: all of them. Refuses with RequestValidationError a word that is none of them, and what leaves none over.
    """
    words = f"Between commas: {', '.join(known)}"

    async def chosen(
        wanted: Annotated[str | None, Query(alias=field, max_length=WORDS_CHARACTERS_MAX, description=words)] = None,
        unwanted: Annotated[
            str | None, Query(alias=f"{field}.ne", max_length=WORDS_CHARACTERS_MAX, description="All but these")
        ] = None,
    ) -> list[str]:
        taken, left_out = _read(field, wanted, known), _read(f"{field}.ne", unwanted, known)
        if not left_out:
            return taken
        found = [word for word in taken or known if word not in left_out]
        if not found:
            raise _wrong(f"{field}.ne", "Nothing is left: it names all that may be.")
        return found

    return chosen


def _read(name: str, text: str | None, known: Sequence[str]) -> list[str]:
    words = text.split(",") if text else []
    if len(words) > WORDS_MAX:
        raise _wrong(name, f"At most {WORDS_MAX} at once.")
    if odd := [word for word in words if word not in known]:
        raise _wrong(name, f"There is no {odd[0]!r}; there are {', '.join(known)}.")
    return words


def _wrong(name: str, words: str) -> RequestValidationError:
    return RequestValidationError([{"type": "literal_error", "loc": ("query", name), "msg": words}])
