"""Shapes that modules offer upward; `entry/wiring.py` holds the literal tuples of who offers what."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from palio.kernel.ids import Actor, UserId

Tx = TypeVar("Tx")
Database = TypeVar("Database")

RowKey: TypeAlias = tuple[int, ...]  # what orders the lines of a board: score, subscore, time reached in µs, entrant
ROW_KEY_PARTS = 4


class Spot(NamedTuple):
    """How far somebody has read a board whose lines move: behind a line, or, going back, in front of one.

    The line is named by what ordered it then. Whoever moves meanwhile may be met twice or not at all, but everybody
    who stays stands on the same side of it, whatever his place is by now.
    """

    key: RowKey
    is_back: bool = False

    def span(self, passed: int, limit: int) -> tuple[int, int]:
        """Behind which place to go on, and how many lines to take, when so many lines are on the near side of it."""
        if not self.is_back:
            return passed, limit
        taken = min(limit, passed)
        return passed - taken, taken


After: TypeAlias = int | Spot  # behind a place, or where somebody has come to


@dataclass(frozen=True, slots=True)
class BulkDone:
    """What came of bulk work: the body that its call would have answered, and the code of a refusal of all of it."""

    body: bytes
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Wished:
    """A bulk call as it was asked: its `operationId`, the names in its address, and its body."""

    call: str
    names: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bulk(Generic[Database]):
    """What carries a bulk call out later, for an actor; again, items that were done before stay done."""

    call: str
    carry_out: Callable[[Database, Actor, Wished], Awaitable[BulkDone]]


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values, `schema.table` and its name; `row_id` is the column that names the row.

    Values belong to the user of the column `user_id`, and those of nobody, like all where there is no such column, to
    `purpose`.
    """

    table: str
    column: str
    row_id: str = "id"
    user_id: str | None = "user_id"
    purpose: str = "general"


@dataclass(frozen=True, slots=True)
class PersonalRow:
    """One thing that is known of somebody, as he is handed it: what it is of, and its facts."""

    kind: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What of a module forbids to forget somebody now: in English, and how many of it there are."""

    module: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class PrivacySection(Generic[Tx]):
    """What a module knows of somebody. Each part may be asked for again, and does what is left to do.

    `export` tells all of it; `blocks` what forbids to forget him, as far as it is younger than an instant; `files` are
    the stored objects that are his alone, removed before `erase` forgets the rest. What must be kept, like entries of
    the ledger, keeps his id.
    """

    module: str
    export: Callable[[Tx, UserId], AsyncIterator[PersonalRow]]
    blocks: Callable[[Tx, UserId, datetime], Awaitable[Sequence[Obstacle]]]
    files: Callable[[Tx, UserId], Awaitable[Sequence[str]]]
    erase: Callable[[Tx, UserId, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that players do on purpose in a module; of no product, or of one. A passive one makes no active day."""

    name: str
    product: str | None = None
    is_passive: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """How often somebody did something on a day of UTC."""

    user_id: UserId
    act: str
    count: int


PERIOD_WORDS = ("today", "week", "weekend", "month", "all")  # beside the keys: D:2026-03-18, W:2026-W12, …


@dataclass(frozen=True, slots=True)
class BoardHead:
    """A board as a list of boards names it. Scores are integers, `scale` of their digits are decimals of `unit`."""

    code: str
    title: str
    metric: str
    scale: int
    unit: str | None
    periods: tuple[str, ...]  # of PERIOD_WORDS


@dataclass(frozen=True, slots=True)
class BoardPeriod:
    """A period of a board, `[starts_at, ends_at)`; ALL has neither. What is final does not change any more."""

    key: str
    starts_at: datetime | None
    ends_at: datetime | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One line: strict place, shown rank, how many share it; `trend` is by how many ranks it rose within the hour.

    `entrant` names who stands there, for `around` and `ranks_many`; `name` is what everybody may read; `key` is what
    orders it, unknown while the order is. `among` is its rank in a part of the board, as of friends.
    """

    place: int
    rank: int
    entrant: str
    name: str
    score: int
    ties: int = 1
    trend: int | None = None
    key: RowKey = ()
    among: int | None = None


@dataclass(frozen=True, slots=True)
class BoardView:
    """Lines of a board as of an instant; `of` is how many stand on it, `version` changes with every change of a line.

    `after` is how many of those come before its lines.
    While the order is not known (`is_warming`) there are no lines, rather than wrong ones.
    """

    head: BoardHead
    period: BoardPeriod
    lines: tuple[BoardLine, ...]
    of: int
    version: int
    as_of: datetime | None
    is_stale: bool
    is_warming: bool = False
    after: int = 0


@dataclass(frozen=True, slots=True)
class BoardAsk:
    """Which board is asked for: its code, and a period by its key or as one of PERIOD_WORDS as of `now`."""

    code: str
    period: str
    now: datetime


@dataclass(frozen=True, slots=True)
class BoardSource(Generic[Tx]):
    """Boards that a module orders itself: all whose code begins with `prefix`, served like those of `competitions`.

    Every read but `heads` answers None for a board or a period that does not exist, `around` and `my_rank` also for
    somebody who does not stand there; `ranks_many` leaves them out. A module that does not know which of its lines are
    those of some users, or of a country, leaves that read away.
    """

    prefix: str
    heads: Callable[[Tx], Awaitable[Sequence[BoardHead]]]
    top: Callable[[Tx, BoardAsk, After, int], Awaitable[BoardView | None]]  # behind what, how many lines
    around: Callable[[Tx, BoardAsk, str, int], Awaitable[BoardView | None]]  # an entrant, lines on either side of him
    my_rank: Callable[[Tx, BoardAsk, UUID], Awaitable[BoardLine | None]]  # of a user
    ranks_many: Callable[[Tx, BoardAsk, Sequence[str]], Awaitable[Mapping[str, BoardLine] | None]]
    of_users: Callable[[Tx, BoardAsk, Sequence[UserId], After, int], Awaitable[BoardView | None]] | None = None
    of_country: Callable[[Tx, BoardAsk, str, After, int], Awaitable[BoardView | None]] | None = None


@dataclass(frozen=True, slots=True)
class EntryCheck(Generic[Tx]):
    """A rule that a competition may set for whoever wants to enter, about facts of another module.

    `name` stands in its eligibility with what is asked; `admits` answers which of the users meet that. `expected` says
    to staff how it is written, and `is_sound` whether it was.
    """

    name: str
    expected: str
    is_sound: Callable[[object], bool]
    admits: Callable[[Tx, Sequence[UserId], object, datetime], Awaitable[Collection[UserId]]]


@dataclass(frozen=True, slots=True)
class OwnPage:
    """Where a competition is shown by the module that runs it, with the last digit of its number there."""

    path: str
    digit: int


@dataclass(frozen=True, slots=True)
class ProductPages(Generic[Tx]):
    """A product that shows its competitions on pages of its own: where those of its competitions that exist are."""

    product: str
    pages_many: Callable[[Tx, Sequence[UUID]], Awaitable[Mapping[UUID, OwnPage]]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many things wait for somebody, and since when the oldest does."""

    count: int
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Queue(Generic[Tx]):
    """Something that waits for staff: its English name, its page in the console, who may see it, and how much waits."""

    label: str
    path: str
    permission: str
    waiting: Callable[[Tx, datetime], Awaitable[Waiting]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a panel. An amount has the code and scale of its asset; `note` explains, `path` leads on."""

    label: str
    value: str | int | datetime | None
    asset: tuple[str, int] | None = None
    note: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class PanelAct:
    """What can be done about somebody: its English name, its page (`{user}` stands for his id), and who may."""

    label: str
    path: str
    permission: str


@dataclass(frozen=True, slots=True)
class Panel(Generic[Tx]):
    """What a module shows of a player on his card: its English title, who may see it, its lines, what can be done."""

    module: str
    title: str
    permission: str
    load: Callable[[Tx, UUID, datetime], Awaitable[Sequence[Fact]]]
    acts: Sequence[PanelAct] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an act would change: whose it is (empty: of the thing itself), its English name, before and after.

    An amount has the code and scale of its asset; None is nothing at all.
    """

    whose: str
    what: str
    before: str | int | datetime | None
    after: str | int | datetime | None
    asset: tuple[str, int] | None = None


# what can be exported

ExportFilterKind: TypeAlias = Literal["instant", "id", "text"]
ExportKey: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A field of what is exported, named as in the API. `cells` are its names in a table where it has parts.

    A personal one says who somebody is: it is given only to whoever may have it, and marked.
    """

    name: str
    is_personal: bool = False
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """By what an export can be narrowed; `words` say in English what it is."""

    name: str
    kind: ExportFilterKind
    words: str
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class ExportAsk:
    """What is to be exported: values of filters by name, fields in their order, and the snapshot whose rows they are.

    The snapshot is PostgreSQL's own text of what was committed when the export began.
    """

    filter: Mapping[str, datetime | UUID | str]
    fields: tuple[str, ...]
    snapshot: str


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row: where to go on behind it, and at least the fields that were asked for, as JSON values."""

    key: ExportKey
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExportSource(Generic[Tx]):
    """Something that staff can have as a file: its English name, the page of the list that it is of, who may, its
    fields and filters.

    `check` refuses values of filters that do not go together; `count` answers how many rows there are, but no more than
    it is told; `rows` answers at most so many behind a key, in an order that is total and never changes.
    """

    name: str
    label: str
    path: str
    permission: str
    columns: tuple[ExportColumn, ...]
    filters: tuple[ExportFilter, ...]
    check: Callable[[Mapping[str, datetime | UUID | str]], None]
    count: Callable[[Tx, ExportAsk, int], Awaitable[int]]
    rows: Callable[[Tx, ExportAsk, ExportKey | None, int], Awaitable[Sequence[ExportRow]]]
