"""Pages of a list: opaque cursors that go on behind a row or in front of one, only for whoever got them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Generic, TypeAlias, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError

from palio.infra import settings
from palio.kernel import parts
from palio.kernel.providers import ROW_KEY_PARTS, After, RowKey, Spot
from palio.ui import tables
from palio.ui.actor import Ask, Asking
from palio.ui.refusals import CursorExpired, CursorInvalid, CursorMismatch
from palio.ui.types import CURSOR_DAYS, LIMIT_MAX
from palio.ui.values import Whole

Key: TypeAlias = tuple[int | str, ...]  # the sort values of one row, its id last
Row = TypeVar("Row")
Told = TypeVar("Told")
Wanted = TypeVar("Wanted")

LIMIT_DEFAULT = 50
MAC_BYTES = 16
HOUR_S = 3_600
COUNT, AROUND = "count", "around"  # parameters of lists: how many there are, and in whose middle a part begins
OF_A_PART = frozenset({"limit", "cursor", "fields", "include", COUNT})  # what changes neither rows nor their order
BEFORE_ALL: Key = (parts.EVER[0][0].isoformat(), str(parts.EVER[0][1]))  # where rows have an instant and an id
WHOLE = "palio.whole"  # in the scope of a request whose list is read as far as may be


@dataclass(frozen=True, slots=True)
class Listing:
    """What a cursor belongs to: which list in which order, what it was narrowed to, and who reads it."""

    address: str
    sort: str
    filters: str
    caller: str

    def digest(self) -> str:
        """The same text for the same list only."""
        parts = json.dumps([self.address, self.sort, self.filters, self.caller])
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: behind a row, or, going back, in front of one."""

    key: Key
    is_back: bool = False


class Cursors:
    """Writes cursors and reads them back. Their issue time is the hour, so that an unchanged list keeps its ETag."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, position: Position, listing: Listing, now: datetime) -> str:
        """The cursor of a position."""
        hour = int(now.timestamp()) // HOUR_S
        content = json.dumps([position.key, position.is_back, listing.digest(), hour], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(content) + content).rstrip(b"=").decode()

    def read(self, text: str, listing: Listing, now: datetime) -> Position:
        """The position of a cursor. Refuses with CursorInvalid, CursorMismatch, CursorExpired."""
        key, is_back, digest, hour = self._opened(text)
        if digest != listing.digest():
            raise CursorMismatch
        days_max = settings.value(CURSOR_DAYS)
        if now - timedelta(days=days_max) > datetime.fromtimestamp((hour + 1) * HOUR_S, now.tzinfo):
            raise CursorExpired(days_max=days_max)
        return Position(tuple(key), is_back)

    def _opened(self, text: str) -> tuple[list[int | str], bool, str, int]:
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise CursorInvalid from None
        mac, content = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content)):
            raise CursorInvalid
        key, is_back, digest, hour = json.loads(content)
        return key, is_back, digest, hour

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, b"palio-cursor|" + content, "sha256")[:MAC_BYTES]


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """A part of a list, and the cursors of what comes behind and in front of it; null where there is nothing."""

    items: Sequence[Row]
    next: str | None
    prev: str | None


@dataclass(frozen=True, slots=True)
class Part(Generic[Row]):
    """The rows of a page in the order of their list, and the cursors of its neighbours."""

    rows: Sequence[Row]
    next: str | None
    prev: str | None

    def told(self, say: Callable[[Row], Told]) -> Listed[Told]:
        """The same as an answer."""
        return Listed([say(row) for row in self.rows], self.next, self.prev)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is asked for, and the cursors of its neighbours.

    With `turned_at` the list is read the other way round: that is a key beyond its last row, from which it begins.
    """

    limit: int
    position: Position | None
    listing: Listing
    cursors: Cursors
    now: datetime
    turned_at: Key | None = None

    def behind(self, *key: int | str) -> str:
        """The cursor of what follows a row."""
        return self.cursors.write(Position(key), self.listing, self.now)

    def before(self, *key: int | str) -> str:
        """The cursor of what precedes a row."""
        return self.cursors.write(Position(key, is_back=True), self.listing, self.now)

    @property
    def sides(self) -> tuple[Key | None, Key | None]:
        """The row behind which the page begins, and the one in front of which it ends: one of them, or none.

        Behind and in front are meant in the order that the list has by itself.
        """
        if self.position is None:
            return None, self.turned_at
        is_back = self.position.is_back != (self.turned_at is not None)
        return (None, self.position.key) if is_back else (self.position.key, None)

    def wanted(self, read: Callable[..., Wanted]) -> parts.Part[Wanted]:
        """Which part of a list is asked for that is read newest first; `read` makes what orders a row of a cursor."""
        older_than, newer_than = self.sides
        return parts.Part(
            self.limit, read(*older_than) if older_than else None, read(*newer_than) if newer_than else None
        )

    def shown(self, cut: parts.Cut[Row], key: Callable[[Row], Key]) -> Part[Row]:
        """The page of such a part."""
        has_next, has_prev = cut.has_older, cut.has_newer
        rows = cut.rows
        if self.turned_at is not None:
            rows, has_next, has_prev = rows[::-1], has_prev, has_next and self.position is not None
        return Part(
            rows,
            self.behind(*key(rows[-1])) if rows and has_next else None,
            self.before(*key(rows[0])) if rows and has_prev else None,
        )

    def part(self, found: Sequence[Row], key: Callable[[Row], Key]) -> Part[Row]:
        """The page, out of the rows on that side in the order of the list: one more than it takes, if there are more.

        Going back, the one that is too many is the first.
        """
        return self.shown(parts.Part(self.limit, *self.sides).cut(found), key)

    def span(self) -> tuple[int, int]:
        """For a list whose rows are numbered without gaps: behind which number it goes on, and how many at most."""
        if self.position is None:
            return 0, self.limit
        number = int(self.position.key[0])
        if not self.position.is_back:
            return number, self.limit
        limit = min(self.limit, number - 1)
        return number - 1 - limit, limit

    def around(self, first: int, last: int, *, of: int) -> tuple[str | None, str | None]:
        """The cursors `(next, prev)` beside the rows numbered `first` to `last` of so many."""
        return self.behind(last) if last < of else None, self.before(first) if first > 1 else None

    def cut(self) -> After:
        """For a list whose rows change places: behind or in front of which of them the page lies.

        Refuses with CursorInvalid.
        """
        if self.position is None:
            return 0
        if len(self.position.key) != ROW_KEY_PARTS:
            raise CursorInvalid
        return Spot(tuple(map(int, self.position.key)), self.position.is_back)

    def beside(self, keys: Sequence[RowKey], *, after: int, of: int) -> tuple[str | None, str | None]:
        """The cursors `(next, prev)` beside rows with these keys, when so many of all come before them."""
        if not keys:
            return None, None
        following = self.behind(*keys[-1]) if after + len(keys) < of else None
        return following, self.before(*keys[0]) if after else None


async def paging(
    request: Request,
    ask: Ask,
    limit: Annotated[Whole, Query(ge=1, le=LIMIT_MAX.high, description="How many rows at most")] = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=1_000, description="`next` or `prev` of an answer")] = None,
) -> Paging:
    """Read what part is asked for; a table (CSV) and a count go as far as one may. Refuses as a cursor does.

    Refuses with RequestValidationError a limit above what the operator allows.
    """
    if limit > (most := settings.value(LIMIT_MAX)):
        words = f"Input should be less than or equal to {most}"
        raise RequestValidationError([{"type": "less_than_equal", "loc": ("query", "limit"), "msg": words}])
    is_whole = tables.is_wanted(request) or WHOLE in request.scope
    listing = listing_of(request, str(ask.actor.user_id or ""))
    cursors: Cursors = request.app.state.cursors
    position = cursors.read(cursor, listing, ask.now) if cursor else None
    return Paging(tables.ROWS_MAX if is_whole else limit, position, listing, cursors, ask.now)


Paged = Annotated[Paging, Depends(paging)]


def sorted_by(order: str, *, end: Key) -> Callable[..., Awaitable[Paging]]:
    """What reads a part of a list that can be had in both directions of the one order it has.

    `order` is its usual one, `-created_at` where the newest comes first, and `end` a key beyond its last row; for
    `Annotated[Paging, Depends(sorted_by("-created_at", end=BEFORE_ALL))]`.
    """
    words = f"By `{order.removeprefix('-')}`: upwards, or downwards with a minus in front"
    orders = {"enum": [order, _turned(order)]}

    async def part(
        page: Paged, sort: Annotated[str, Query(description=words, json_schema_extra=orders)] = order
    ) -> Paging:
        return ordered(page, sort, of=order, end=end)

    return part


def ordered(page: Paging, sort: str, *, of: str, end: Key) -> Paging:
    """The same part in this order, where `of` is the one that the list has, and `end` a key beyond its last row.

    Refuses with RequestValidationError an order that is neither that nor the other way round.
    """
    if sort not in (of, _turned(of)):
        why = f"There is no order {sort!r}; there are {of} and {_turned(of)}."
        raise RequestValidationError([{"type": "literal_error", "loc": ("query", "sort"), "msg": why}])
    return page if sort == of else replace(page, turned_at=end)


def _turned(order: str) -> str:
    field = order.removeprefix("-")
    return field if order != field else f"-{field}"


PagedById: TypeAlias = Annotated[Paging, Depends(sorted_by("-id", end=(str(parts.IDS[0]),)))]
PagedByAt: TypeAlias = Annotated[Paging, Depends(sorted_by("-at", end=BEFORE_ALL))]


def dated(at: object, row_id: object) -> tuple[datetime, UUID]:
    """What orders a row, out of a cursor, where rows have an instant and an id."""
    return datetime.fromisoformat(str(at)), UUID(str(row_id))


def numbered(row_id: object) -> UUID:
    """What orders a row, out of a cursor, where rows have ids."""
    return UUID(str(row_id))


async def first_part(request: Request, ask: Asking, address: str) -> Paging:
    """The first part of the list at another address, for a page that is drawn again because a form was refused."""
    listing = Listing(address, "", "", str(ask.actor.user_id or ""))
    return replace(await paging(request, ask), position=None, listing=listing)


def listing_of(request: Request, caller: str) -> Listing:
    """The list that a request is about: its address without what only says which part of it."""
    asked = {name: value for name, value in request.query_params.items() if value}
    sort = asked.pop("sort", "")
    filters = urlencode(sorted((name, value) for name, value in asked.items() if name not in OF_A_PART))
    return Listing(request.url.path.removesuffix(tables.ENDING), sort, filters, caller)
