"""Which submissions count, and on which lists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeGuard

from palio.competitions.rules import lifecycle, periods
from palio.competitions.types import (
    SCORE_MAX,
    BoardId,
    Gate,
    ListId,
    ListPeriod,
    Op,
    Refused,
    ScoreBoard,
    ScoreList,
    Sent,
    Submission,
)

AHEAD_MAX: Final = timedelta(minutes=5)
ZONES_AHEAD_MAX: Final = timedelta(hours=14)  # where a day begins first
KEY_CHARS_MAX: Final = 200
FACTS_CHARS_MAX: Final = 2_048
NO_SUCH_COMPETITION: Final = "competitions.no_such_competition"
NO_SUCH_BOARD: Final = "competitions.no_such_board"


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a submission to a board goes: the day it belongs to, its instant, the periods that are open and not."""

    board: ScoreBoard
    at: datetime
    open: tuple[ListPeriod, ...]
    closed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """The receipts that a submission becomes, and the periods whose lists are final."""

    receipts: tuple[Sent, ...]
    periods: tuple[str, ...]
    adds: bool
    skipped: tuple[str, ...] = ()


def judge(item: Submission, gate: Gate | None, participant_state: str | None, now: datetime) -> Refused | None:
    """Why a submission to a competition does not count, or None. Whatever a client says, the window decides."""
    if gate is None:
        return Refused(NO_SUCH_COMPETITION, {"competition_id": str(item.competition_id)})
    if wrong := _shape(item, gate.op, has_subscore=gate.has_subscore):
        return wrong
    if not lifecycle.takes_scores(gate):
        return Refused("competitions.not_live", {"status": gate.status})
    if gate.paused_at:
        return Refused("competitions.paused", {"since": gate.paused_at.isoformat()})
    at = item.happened_at
    if at is None or not gate.starts_at <= at < gate.ends_at or at > now + AHEAD_MAX:
        return Refused("competitions.outside_window", {"happened_at": at.isoformat() if at else None})
    if participant_state == "disqualified":
        return Refused("competitions.disqualified", {})
    if participant_state != "active":
        return Refused("competitions.not_entered", {})
    return None


def aim(item: Submission, board: ScoreBoard | None, now: datetime) -> Aim | Refused:
    """The periods of a board in which a submission counts, or why it does not."""
    if board is None:
        return Refused(NO_SUCH_BOARD, {"code": item.board, "period": periods.ALL.key})
    if wrong := _shape(item, board.op, has_subscore=board.has_subscore):
        return wrong
    if (item.happened_at is None) == (item.day is None):  # with both, one instant could count on two days
        return _invalid(item)
    day = item.day or periods.day_of(item.happened_at or now, board.tz)
    if not _has_begun(item, day, board.tz, now):
        return Refused("competitions.outside_window", {"happened_at": _said(item)})
    spans = open_ones = periods.on(board.kinds, day, board.tz)
    closed = tuple([span.key for span in spans if is_over(span, board, now)])
    if closed:
        open_ones = tuple([span for span in spans if span.key not in closed])
    if not open_ones:
        return Refused("competitions.list_final", {"periods": list(closed)})
    return Aim(board, item.happened_at or periods.midnight(day, board.tz), open_ones, closed)


def place(item: Submission, found: Aim, lists: Mapping[str, ScoreList]) -> Placed | Refused:
    """The receipts of a submission on those of its lists that nobody has made final meanwhile."""
    live = [lists[span.key] for span in found.open if lists[span.key].state == "live"]
    final = tuple(span.key for span in found.open if lists[span.key].state == "final")
    if not live:
        return Refused("competitions.list_final", {"periods": [*found.closed, *final]})
    receipts = tuple(_sent(item, each.id, found.at) for each in live)
    return Placed(receipts, tuple(each.period_key for each in live), found.board.op == "add", (*found.closed, *final))


def place_in(item: Submission, gate: Gate) -> Placed:
    """The receipt of a submission to a competition that takes it."""
    assert item.happened_at  # noqa: S101 - it has been judged
    return Placed((_sent(item, gate.list_id, item.happened_at),), (periods.ALL.key,), gate.op == "add")


def is_over(span: ListPeriod, board: ScoreBoard, now: datetime) -> bool:
    """Whether the list of a period takes nothing any more."""
    return span.ends_at is not None and now >= span.ends_at + timedelta(hours=board.final_after_h)


def amount_of(item: Submission) -> int:
    """What a submission says: a change, or a value."""
    return item.value if item.delta is None else item.delta  # type: ignore[return-value]  # one of them is there


def written(facts: Mapping[str, object] | None) -> str | None:
    """Facts as they are kept."""
    return None if facts is None else json.dumps(facts)


def _sent(item: Submission, list_id: ListId, at: datetime) -> Sent:
    return Sent(
        list_id=list_id,
        entrant_id=item.entrant_id,
        key=item.key,
        happened_at=at,
        kind=item.kind,
        amount=amount_of(item),
        sub=item.sub,
        version=item.version,
        facts=written(item.facts),
    )


def _shape(item: Submission, op: Op, *, has_subscore: bool) -> Refused | None:
    """Whether it is what the operator works with: a change or a value, whole and not too large."""
    wanted, other = (item.delta, item.value) if op == "add" else (item.value, item.delta)
    is_right = (
        _is_score(wanted)
        and other is None
        and _is_score(item.sub)
        and (has_subscore or item.sub == 0)
        and (_is_score(item.version) if op == "set" else item.version is None)
        and 0 < len(item.key) <= KEY_CHARS_MAX
        and "\0" not in item.key
        and (op == "add" or item.kind != "adjust")
    )
    return None if is_right and _fits(item.facts) else _invalid(item)


def _is_score(value: object) -> TypeGuard[int]:
    """Python takes True for 1; a score is a whole number and nothing else."""
    return type(value) is int and abs(value) <= SCORE_MAX


def _fits(facts: Mapping[str, object] | None) -> bool:
    if facts is None:
        return True
    try:
        text = json.dumps(facts, allow_nan=False)
        json.loads(text, parse_float=_refuse)
    except (TypeError, ValueError):
        return False
    return len(text) <= FACTS_CHARS_MAX and "\\u0000" not in text


def _refuse(number: str) -> object:
    """A fraction may be many digits long where it is kept."""
    raise ValueError(number)


def _has_begun(item: Submission, day: date, tz: str, now: datetime) -> bool:
    """Whether the event can lie behind us: a day may have begun elsewhere already."""
    if day.year < periods.YEAR_FIRST:
        return False
    if item.happened_at is not None:
        return item.happened_at <= now + AHEAD_MAX
    return day <= periods.day_of(now + ZONES_AHEAD_MAX, tz)


def _invalid(item: Submission) -> Refused:
    return Refused("competitions.invalid", {"key": item.key[:KEY_CHARS_MAX]})


def _said(item: Submission) -> str:
    return item.happened_at.isoformat() if item.happened_at else str(item.day)


def wanted_lists(aims: Sequence[Aim]) -> dict[tuple[BoardId, str], tuple[ScoreBoard, ListPeriod]]:
    """The lists that submissions go to, each once, by board and period."""
    return {(found.board.id, span.key): (found.board, span) for found in aims for span in found.open}
