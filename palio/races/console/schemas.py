"""How races look to staff: what is asked for, and what is answered. Amounts of wagers are micro-units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Path
from pydantic import AwareDatetime, Field, StrictBool, StrictInt

from palio.competitions.types import Board
from palio.infra.approvals import Approval
from palio.races.schemas import RACE_EXAMPLE, PictureAnswer, RaceAnswer
from palio.races.types import (
    Desk,
    Foreseen,
    HeldPlayer,
    HoldDecision,
    Line,
    Made,
    Picture,
    RaceView,
    Recomputed,
    Rehearsal,
    SeriesLine,
    StaffRow,
)
from palio.ui.bodies import Body
from palio.ui.paging import Paging
from palio.ui.values import Asset, Instant, Money, instant

AMOUNT_MAX = 2**53 - 1
Reason = Annotated[str, Field(min_length=5, max_length=500, description="Why; it stays in the audit")]
Note = Annotated[str, Field(min_length=5, max_length=500, description="What everybody reads beside the act")]
Player = Annotated[str, Path(min_length=1, max_length=200, examples=["5XLJobqamfk6lZCvYKGR"])]
PlayerText = Annotated[str, Field(min_length=1, max_length=200, description="The uid at the programme, or the id")]
Micro = Annotated[StrictInt, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Prizes = Annotated[
    object,
    Field(
        description="Percentages by place, as a list or a map, or a rule with kind and bands; left out: the default",
        examples=[[50, 30, 20]],
    ),
]


class Terms(Body):
    """What one race and a series have in common; what is left out has its default."""

    title: Annotated[str, Field(max_length=200)]
    programme: str = "default"
    pool: Annotated[object, Field(description='"500.00" dollars, or {"asset": "USD", "amount": 50000}')]
    prizes: Prizes = None
    min_wager_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX)] | None = None
    description: str | None = None
    rules_text: str | None = None
    grace_s: StrictInt | None = None
    review_h: StrictInt | None = None
    linked_only: StrictBool | None = None

    def spec(self) -> dict[str, object]:
        """The race as `races.read_spec` takes it."""
        given = self.model_dump(exclude_none=True, exclude={"draft"})
        return {name: exact(value) for name, value in given.items()}


class RaceBody(Terms):
    """A race to be made. A start in the past needs `backdated_reason`, which everybody reads, and a permission."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    cadence: Literal["daily", "weekly", "weekend", "monthly", "special"] = "special"
    previous: Annotated[StrictInt, Field(ge=1)] | None = None
    backdated_reason: str | None = None
    draft: Annotated[StrictBool, Field(description="Make it, and announce it later")] = False


class SeriesBody(Terms):
    """Races that follow each other by the calendar."""

    code: Annotated[str, Field(max_length=40)]
    cadence: Literal["daily", "weekly", "weekend", "monthly"]
    zone: str = "UTC"
    chained: StrictBool = True


class PublishBody(Body):
    """What announces a draft; a reason is needed when its start has passed."""

    backdated_reason: str | None = None


class ReasonBody(Body):
    """Why."""

    reason: Reason


class ExtendBody(ReasonBody):
    """A later end, and why."""

    ends_at: AwareDatetime


class NotedBody(ReasonBody):
    """A player, why, and what everybody reads."""

    player: PlayerText
    public_note: Note


class AdjustBody(NotedBody):
    """So much more or less, and which adjustment it takes back, if it does."""

    amount_micro: Micro
    undoes: UUID | None = None


class PictureBody(ReasonBody):
    """A stored snapshot, and why."""

    snapshot_id: UUID


class HoldBody(ReasonBody):
    """What is decided about a player who is being checked; `value_micro` is where his total begins."""

    decision: HoldDecision
    public_note: Note
    value_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX)] | None = None


class RehearseBody(Terms):
    """A race that never was, between stored snapshots."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    chained: StrictBool = False


def exact(value: object) -> object:
    """Numbers with a point as they are written, not as the nearest double."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, list):
        return [exact(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): exact(part) for name, part in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class ActAnswer:
    """What became of an act: `done`, or `waiting` for a second person (status 202), and then nothing has moved yet."""

    outcome: Literal["done", "waiting"]
    number: int
    approval_id: UUID | None = None
    summary: str | None = None
    needed: int | None = None
    expires_at: Instant | None = None

    @classmethod
    def of(cls, number: int, waiting: Approval | None) -> "ActAnswer":
        if waiting is None:
            return cls("done", number)
        return cls("waiting", number, waiting.id, waiting.summary, waiting.needed, waiting.expires_at)


@dataclass(frozen=True, slots=True)
class StaffRowAnswer:
    """One line of the board as staff see it; `lowered_micro` and `adjusted_micro` are parts of the total."""

    place: int
    rank: int | None
    player_id: UUID
    entrant_id: int
    uid: str
    name: str
    linked: bool
    total_micro: int
    lowered_micro: int
    adjusted_micro: int
    prize: Money
    flags: tuple[str, ...]
    reward_status: str | None
    trend: int | None

    @classmethod
    def of(cls, row: StaffRow, asset: Asset) -> "StaffRowAnswer":
        return cls(
            place=row.place,
            rank=row.rank,
            player_id=row.player_id,
            entrant_id=row.entrant_id,
            uid=row.uid,
            name=row.name,
            linked=row.is_linked,
            total_micro=row.total_micro,
            lowered_micro=row.lowered_micro,
            adjusted_micro=row.adjusted_micro,
            prize=Money.of(row.prize, asset),
            flags=row.flags,
            reward_status=row.reward_status,
            trend=row.trend,
        )


@dataclass(frozen=True, slots=True)
class StaffBoardAnswer:
    """Lines of the board with uids and full names."""

    items: tuple[StaffRowAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, rows: Sequence[StaffRow], board: Board, asset: Asset, page: Paging) -> "StaffBoardAnswer":
        lines = tuple(StaffRowAnswer.of(row, asset) for row in rows)
        return cls(lines, *page.beside(board.keys, after=board.after, of=board.entrants))


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """A player whose number was doubted: why, and what became of it."""

    player_id: UUID
    uid: str
    name: str
    reason: str
    facts: Mapping[str, object]
    state: str
    note: str | None
    decided_at: Instant | None
    total_micro: int | None
    rank: int | None

    @classmethod
    def of(cls, held: HeldPlayer) -> "HoldAnswer":
        return cls(
            player_id=held.player_id,
            uid=held.uid,
            name=held.name,
            reason=held.reason,
            facts=held.facts,
            state=held.state,
            note=held.note,
            decided_at=held.decided_at,
            total_micro=held.total_micro,
            rank=held.rank,
        )


@dataclass(frozen=True, slots=True)
class HoldsAnswer:
    """Players whose number was doubted, the open ones first."""

    items: tuple[HoldAnswer, ...]


@dataclass(frozen=True, slots=True)
class DecisionAnswer:
    """What a person decided about a race; the reason is for staff, the note for everybody."""

    what: str
    player_id: UUID | None
    after: Mapping[str, object]
    reason: str
    note: str | None
    by: UUID | None
    at: Instant

    @classmethod
    def of(cls, made: Made) -> "DecisionAnswer":
        return cls(made.what, made.player_id, made.after, made.reason, made.note, made.by, made.at)


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """A race as it lies before staff: its page, how far the settlement is, and what keeps it waiting."""

    race: RaceAnswer
    stage: str
    waits_for: str | None
    review_reasons: tuple[str, ...]
    previous: int | None
    successor: int | None
    pays_from: Instant | None
    forced_from: Instant | None
    own_account: bool
    needs_second: bool
    holds_open: int
    decisions: tuple[DecisionAnswer, ...]

    @classmethod
    def of(cls, race: RaceView, found: Desk) -> "DeskAnswer":
        return cls(
            race=RaceAnswer.of(race),
            stage=found.stage,
            waits_for=found.waits_for,
            review_reasons=found.review_reasons,
            previous=found.previous,
            successor=found.successor,
            pays_from=found.pays_from,
            forced_from=found.forced_from,
            own_account=found.is_own,
            needs_second=found.needs_second,
            holds_open=sum(held.state == "open" for held in found.held),
            decisions=tuple(map(DecisionAnswer.of, found.decisions)),
        )


@dataclass(frozen=True, slots=True)
class DifferenceAnswer:
    """A player whose score is not what the pictures say."""

    uid: str
    name: str
    submitted_micro: int
    recomputed_micro: int


@dataclass(frozen=True, slots=True)
class RecomputedAnswer:
    """Every total anew from the stored pictures, and whose score differs."""

    number: int
    start_picture: PictureAnswer
    final_picture: PictureAnswer
    players: int
    differences: tuple[DifferenceAnswer, ...]

    @classmethod
    def of(cls, found: Recomputed) -> "RecomputedAnswer":
        return cls(
            number=found.number,
            start_picture=_picture(found.start),
            final_picture=_picture(found.final),
            players=found.players,
            differences=tuple(
                DifferenceAnswer(each.uid, each.name, each.submitted_micro, each.recomputed_micro)
                for each in found.differences
            ),
        )


@dataclass(frozen=True, slots=True)
class RehearsedLineAnswer:
    """A line that would have been."""

    place: int
    rank: int | None
    uid: str
    name: str
    total_micro: int
    prize: Money

    @classmethod
    def of(cls, line: Line, asset: Asset) -> "RehearsedLineAnswer":
        prize = Money.of(line.prize, asset)
        return cls(line.place, line.rank, line.uid, line.name, line.total_micro, prize)


@dataclass(frozen=True, slots=True)
class RehearsalAnswer:
    """How a race between stored snapshots would have ended; nothing of it is written."""

    start_state: str
    start_picture: PictureAnswer
    final_state: str
    final_picture: PictureAnswer
    qualified: int
    undistributed: Money
    lines: tuple[RehearsedLineAnswer, ...]

    @classmethod
    def of(cls, found: Rehearsal, asset: Asset) -> "RehearsalAnswer":
        return cls(
            start_state=found.start_state,
            start_picture=_picture(found.start),
            final_state=found.final_state,
            final_picture=_picture(found.final),
            qualified=found.qualified,
            undistributed=Money.of(found.undistributed, asset),
            lines=tuple(RehearsedLineAnswer.of(line, asset) for line in found.lines),
        )


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """A series of races, and the numbers of those that are not over."""

    code: str
    cadence: str
    zone: str
    title: str
    pool: Money
    programme: str
    chained: bool
    races: tuple[int, ...]

    @classmethod
    def of(cls, line: SeriesLine) -> "SeriesAnswer":
        pool = Money.of(line.pool, Asset(line.asset, line.asset_scale))
        return cls(line.code, line.cadence, line.tz, line.title, pool, line.programme, line.chained, line.races)


@dataclass(frozen=True, slots=True)
class SeriesListAnswer:
    """Every series of races, by code."""

    items: tuple[SeriesAnswer, ...]


@dataclass(frozen=True, slots=True)
class ForeseenAnswer:
    """A line that an act would move; a rank of null is below the line or not on the board."""

    uid: str
    name: str
    total_before_micro: int
    total_after_micro: int
    rank_before: int | None
    rank_after: int | None
    prize_before: Money
    prize_after: Money

    @classmethod
    def of(cls, found: Foreseen, asset: Asset) -> "ForeseenAnswer":
        return cls(
            uid=found.uid,
            name=found.name,
            total_before_micro=found.total_before,
            total_after_micro=found.total_after,
            rank_before=found.rank_before,
            rank_after=found.rank_after,
            prize_before=Money.of(found.prize_before, asset),
            prize_after=Money.of(found.prize_after, asset),
        )


@dataclass(frozen=True, slots=True)
class PreviewAnswer:
    """Every line that an act would move."""

    items: tuple[ForeseenAnswer, ...]


def _picture(picture: Picture) -> PictureAnswer:
    return PictureAnswer(picture.seq, picture.fetched_at, picture.as_of, picture.sha256)


State: TypeAlias = Literal["draft", "upcoming", "live", "settling", "completed", "archived", "cancelled"]

_PLAYER = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
_AT = RACE_EXAMPLE.created_at
_DOLLARS = Money("USD", 25_000, "250.00")
ACT_EXAMPLE = ActAnswer("done", 38)
WAITING_EXAMPLE = ActAnswer("waiting", 38, _PLAYER, "Pay race 38 from a pool of 250000 USD", 1, _AT)
DESK_EXAMPLE = DeskAnswer(
    race=RACE_EXAMPLE,
    stage="none",
    waits_for=None,
    review_reasons=(),
    previous=37,
    successor=None,
    pays_from=None,
    forced_from=None,
    own_account=False,
    needs_second=False,
    holds_open=1,
    decisions=(DecisionAnswer("hold", _PLAYER, {"state": "kept"}, "the provider confirms it", None, _PLAYER, _AT),),
)
STAFF_BOARD_EXAMPLE = StaffBoardAnswer(
    items=(
        StaffRowAnswer(
            *(1, 1, _PLAYER, 112, "5XLJobqamfk6lZCvYKGR", "player0018", True, 170_628_429, 0, 100_000_000),
            *(_DOLLARS, ("adjusted",), None, 2),
        ),
    ),
    next=None,
    prev=None,
)
HOLDS_EXAMPLE = HoldsAnswer(
    items=(
        HoldAnswer(
            *(_PLAYER, "5XLJobqamfk6lZCvYKGR", "player0018", "first_seen_jump", {"all_time_micro": 50_000_000_000}),
            *("open", None, None, 50_000_000_000, 1),
        ),
    )
)
assert RACE_EXAMPLE.start_picture  # noqa: S101 - a live race has one
RECOMPUTED_EXAMPLE = RecomputedAnswer(38, RACE_EXAMPLE.start_picture, RACE_EXAMPLE.start_picture, 127, ())
REHEARSAL_EXAMPLE = RehearsalAnswer(
    start_state="exact",
    start_picture=RACE_EXAMPLE.start_picture,
    final_state="exact",
    final_picture=RACE_EXAMPLE.start_picture,
    qualified=13,
    undistributed=Money("USD", 0, "0.00"),
    lines=(RehearsedLineAnswer(1, 1, "5XLJobqamfk6lZCvYKGR", "player0018", 70_628_429, _DOLLARS),),
)
SERIES_EXAMPLE = SeriesListAnswer(
    items=(
        SeriesAnswer("weekly", "weekly", "UTC", "Weekly wager race", _DOLLARS, "Northwind", chained=True, races=(38,)),
    )
)
PREVIEW_EXAMPLE = PreviewAnswer(
    items=(
        ForeseenAnswer(
            *("5XLJobqamfk6lZCvYKGR", "player0018", 70_628_429, 170_628_429, 3, 1),
            *(Money("USD", 5_000, "50.00"), _DOLLARS),
        ),
    )
)
