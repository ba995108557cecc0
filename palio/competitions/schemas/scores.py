"""What programs submit, and what they are told."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from pydantic import AwareDatetime, BeforeValidator, Field, SkipValidation, TypeAdapter

from palio.competitions.types import (
    SCORE_MAX,
    CompetitionId,
    Counted,
    EntrantId,
    ListId,
    ProgramScore,
    Submission,
)
from palio.ui.bodies import Body

KEY_CHARS_MAX = 200
ITEMS_MAX = 10_000
QUOTES_OF_SCORE = 12
NAMED = r"^(user|player|team):.{1,200}$"


def _text_of_time(value: object) -> object:
    """A number is no time."""
    if not isinstance(value, str):
        raise ValueError("A time is a text, as in 2026-03-18T14:05:09Z.")  # noqa: TRY004 - pydantic answers this one
    return value


Number = Annotated[int, Field(strict=True, ge=-SCORE_MAX, le=SCORE_MAX)]
Time = Annotated[AwareDatetime, BeforeValidator(_text_of_time)]
Day = Annotated[date, BeforeValidator(_text_of_time)]


class ScoreForm(Body):
    """A change of somebody's score: `delta` where changes add up, `value` elsewhere, `version` where that decides.

    With the same `key` for the same instant it counts once, however often it is sent. On a board the instant is
    `happened_at`, or the beginning of a `day`; one of them is given.
    """

    entrant: Annotated[str, Field(strict=True, pattern=NAMED, examples=["user:019cffd0-4c00-7000-8000-000000000001"])]
    key: Annotated[str, Field(strict=True, min_length=1, max_length=KEY_CHARS_MAX)]
    delta: Number | None = None
    value: Number | None = None
    version: Number | None = None
    sub: Number = 0
    happened_at: Time | None = None
    day: Day | None = None
    kind: Literal["score", "correction"] = "score"
    facts: dict[str, Any] | None = None

    def score(self, *, board: str | None = None, competition_id: CompetitionId | None = None) -> ProgramScore:
        """What is meant, on a board or in a competition."""
        kind, _, named = self.entrant.partition(":")
        ref = named.lower() if kind == "user" else named
        submission = Submission(
            competition_id=competition_id,
            entrant_id=EntrantId(0),
            delta=self.delta,
            key=self.key,
            happened_at=self.happened_at,
            kind=self.kind,
            facts=self.facts,
            value=self.value,
            sub=self.sub,
            version=self.version,
            board=board,
            day=self.day,
        )
        return ProgramScore(kind, ref, submission)  # type: ignore[arg-type]  # the pattern knows the kinds


SHAPE: TypeAdapter[ScoreForm] = TypeAdapter(ScoreForm)


class ScoresForm(Body):
    """Up to 10,000 submissions, each judged and answered by itself; with mode `all` they happen together or not."""

    items: Annotated[list[SkipValidation[ScoreForm]], Field(max_length=ITEMS_MAX)]
    mode: Literal["each", "all"] = "each"


@dataclass(frozen=True, slots=True)
class ListScoreAnswer:
    """What somebody has on the list of a period; the rank is null while it is not known, and of who is out."""

    score: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """The score after the submission, by period; `skipped` are periods whose lists are final already."""

    score: int
    lists: Mapping[str, ListScoreAnswer]
    replayed: bool
    skipped: tuple[str, ...]

    @classmethod
    def of(cls, counted: Counted, ranks: Mapping[ListId, int]) -> "ScoreAnswer":
        lists = {each.period_key: ListScoreAnswer(each.score, ranks.get(each.list_id)) for each in counted.lists}
        return cls(counted.score, lists, counted.replayed, counted.skipped)


@dataclass(frozen=True, slots=True)
class ScoresAnswer:
    """A result for each item in its order, with a reference to its key, and how many there are of each status."""

    results: Sequence[Mapping[str, object]]
    counts: Mapping[str, int]


SCORE_EXAMPLE = ScoreAnswer(
    score=1_240,
    lists={"W:2026-W12": ListScoreAnswer(310, 4), "ALL": ListScoreAnswer(1_240, 17)},
    replayed=False,
    skipped=("D:2026-03-15",),
)
SCORES_EXAMPLE = ScoresAnswer(
    [{"index": 0, "ref": "walk:77", "status": "ok", "data": asdict(SCORE_EXAMPLE)}],
    {"ok": 1, "duplicate": 0, "refused": 0},
)


# The quick reader: what it takes, the shape above takes too, and means the same by it. It takes less.

Absent: TypeAlias = msgspec.UnsetType
NOT_GIVEN = msgspec.UNSET
Whole = Annotated[int, msgspec.Meta(ge=-SCORE_MAX, le=SCORE_MAX)]
QUOTE, ESCAPE = b'"', b"\\"
NAMED_FORM = re.compile(NAMED)


class _Quick(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A score as a program sends it in most cases."""

    entrant: str
    key: str
    happened_at: datetime
    delta: Whole | Absent = NOT_GIVEN
    value: Whole | Absent = NOT_GIVEN
    version: Whole | Absent = NOT_GIVEN


_read_score = msgspec.json.Decoder(_Quick).decode
encode = msgspec.json.Encoder().encode


def read_score(body: bytes, board: str) -> ProgramScore | None:
    """The score that a plain body means; None where the strict shape has to judge.

    The library takes a member that stands twice. Every name and text of a plain body has two quotes, so there are more
    of them then than what was read accounts for.
    """
    if ESCAPE in body:
        return None
    try:
        form = _read_score(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    given = sum([each is not NOT_GIVEN for each in (form.delta, form.value, form.version)])
    is_plain = body.count(QUOTE) == QUOTES_OF_SCORE + 2 * given and 0 < len(form.key) <= KEY_CHARS_MAX
    if not is_plain or form.happened_at.tzinfo is None or not NAMED_FORM.fullmatch(form.entrant):
        return None
    kind, _, named = form.entrant.partition(":")
    submission = Submission(
        None,
        EntrantId(0),
        None if form.delta is NOT_GIVEN else form.delta,
        form.key,
        form.happened_at,
        value=None if form.value is NOT_GIVEN else form.value,
        version=None if form.version is NOT_GIVEN else form.version,
        board=board,
    )
    return ProgramScore(kind, named.lower() if kind == "user" else named, submission)  # type: ignore[arg-type]  # as above


def written(counted: Counted, ranks: Mapping[ListId, int]) -> bytes:
    """The answer of a single score, as `ScoreAnswer` is written."""
    return encode(ScoreAnswer.of(counted, ranks))
