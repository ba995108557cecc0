"""How requests, links and one's own account at a programme look from outside: what calls take, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Base64Bytes, Field, StrictBool, StringConstraints, model_validator

from palio.affiliates.types import (
    ImportLine,
    LinkLine,
    LinkRequest,
    LinkRow,
    LinkStep,
    LinkWish,
    MyProgramme,
    Proof,
    ProofShown,
    QueuedRequest,
    RequestState,
)
from palio.infra.approvals import Approval
from palio.kernel.ids import UserId
from palio.ui.bodies import Body
from palio.ui.paging import Listed
from palio.ui.values import Blank, Instant

INERT = {  # of a file that somebody has sent: it runs nothing, wherever it is opened
    "Content-Disposition": "inline",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
LINE = r"^[^\x00-\x1f\x7f]*$"
WORDS = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
LIST_CHARACTERS_MAX = 200_000
PICTURE_CHARACTERS_MAX = 7 << 20  # five MiB, written as Base64
Line = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200, pattern=LINE)]
Words = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, max_length=1_000, pattern=WORDS)]
Note = Annotated[str, StringConstraints(strict=True, max_length=1_000, pattern=WORDS)]  # a rule says what is too short
Reason = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=5, max_length=500, pattern=WORDS)
]


class AskToLink(Body):
    """Which player one is: by uid or by the exact name (the uid is looked at first), how one proves it, and a note.

    `programme` is a code; without it, the default programme.
    """

    programme: Line | None = None
    uid: Line | None = None
    name: Line | None = None
    proof: ProofShown = "other"
    note: Words = ""

    @model_validator(mode="after")
    def _says_who(self) -> "AskToLink":
        if not (self.uid or self.name):
            raise ValueError("uid or name says which player it is")
        return self

    def wish(self, user_id: UserId) -> LinkWish:
        """What the user asks for."""
        return LinkWish(user_id, self.proof, self.programme, self.uid, self.name, self.note)


class LinkForm(Body):
    """The same, from a page: one field takes name or uid."""

    programme: Annotated[Line | None, Blank] = None
    player: Line
    proof: ProofShown = "name_code"
    note: Words = ""

    def wish(self, user_id: UserId) -> LinkWish:
        """What the user asks for."""
        return LinkWish(user_id, self.proof, self.programme, self.player, self.player, self.note)


class SendPicture(Body):
    """A JPEG, PNG, WebP or GIF, as Base64."""

    picture: Annotated[Base64Bytes, Field(max_length=PICTURE_CHARACTERS_MAX)]


class Answer(Body):
    """What a user adds to an open request."""

    note: Note


class AskMore(Body):
    """What staff still want to see: the user reads the note, staff alone the other one."""

    note: Note
    staff_note: Words = ""


class Decide(Body):
    """A decision: the user reads the note, staff alone the other one."""

    note: Note = ""
    staff_note: Words = ""


class Because(Body):
    """Why."""

    reason: Reason


class MoveLink(Body):
    """Whose player it is to be, and why."""

    programme: Line | None = None
    uid: Line
    to_user: Line
    reason: Reason


class ImportLinks(Body):
    """A CSV with the columns `uid` and `user`; a dry run says what would become of each line."""

    programme: Line | None = None
    links: Annotated[str, StringConstraints(strict=True, max_length=LIST_CHARACTERS_MAX)]
    reason: Reason
    dry_run: StrictBool = Field(default=True)


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """A step of a request or link; the note is meant for the user, `by_staff` says that somebody else did it."""

    at: Instant
    from_state: str | None
    to_state: str
    note: str
    by_staff: bool

    @classmethod
    def of(cls, step: LinkStep) -> "StepAnswer":
        is_other = step.actor_id is not None and step.actor_id != step.user_id
        return cls(step.at, step.from_state, step.to_state, step.note, is_other)


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """A request as its user sees it: `proof_code` in the name at the programme proves that the account is his."""

    id: UUID
    ref: str
    uid: str
    name: str | None
    state: RequestState
    proof: Proof
    proof_code: str
    code_seen_at: Instant | None
    pictures: tuple[UUID, ...]
    note: str
    answer: str
    created_at: Instant
    decided_at: Instant | None
    updated_at: Instant
    steps: tuple[StepAnswer, ...]

    @classmethod
    def of(cls, one: LinkRequest, steps: Sequence[LinkStep] = ()) -> "RequestAnswer":
        return cls(
            id=one.id,
            ref=one.ref,
            uid=one.uid,
            name=one.name_at_request,
            state=one.state,
            proof=one.proof,
            proof_code=one.proof_code,
            code_seen_at=one.code_seen_at,
            pictures=tuple(one.attachments),
            note=one.note,
            answer=one.player_note,
            created_at=one.created_at,
            decided_at=one.decided_at,
            updated_at=one.updated_at,
            steps=tuple(StepAnswer.of(step) for step in reversed(steps) if step.request_id == one.id),
        )


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """Whose player an external player is, or was."""

    id: UUID
    user_id: UUID
    player_id: UUID
    state: str
    linked_at: Instant

    @classmethod
    def of(cls, one: LinkRow) -> "LinkAnswer":
        return cls(one.id, one.user_id, one.player_id, one.state, one.linked_at)


@dataclass(frozen=True, slots=True)
class RankAnswer:
    """Where one stands on a current board."""

    period: str
    rank: int | None
    ties: int
    wagered_micro: int


@dataclass(frozen=True, slots=True)
class MineAnswer:
    """A programme as one of its players sees it. `state`: linked, pending, or none.

    The four columns are the provider's own; `total_wager_micro` is the total of the month (UTC) that is on, by
    `total_wager_source`.
    """

    programme: str
    name: str
    currency: str
    as_of: Instant | None
    stale: bool
    state: str
    link_id: UUID | None
    linked_at: Instant | None
    request: RequestAnswer | None
    uid: str | None
    player_name: str | None
    today_micro: int | None
    week_micro: int | None
    month_micro: int | None
    all_time_micro: int | None
    total_wager_micro: int | None
    total_wager_source: str | None
    ranks: tuple[RankAnswer, ...]

    @classmethod
    def of(cls, mine: MyProgramme, now: datetime) -> "MineAnswer":
        player, link = mine.player, mine.link
        return cls(
            programme=mine.status.code,
            name=mine.status.name,
            currency=mine.status.currency,
            as_of=mine.status.as_of,
            stale=mine.status.is_stale(now),
            state="linked" if link else "pending" if mine.request else "none",
            link_id=link.id if link else None,
            linked_at=link.linked_at if link else None,
            request=RequestAnswer.of(mine.request) if mine.request else None,
            uid=player.uid if player else None,
            player_name=player.name if player else None,
            today_micro=player.today_micro if player else None,
            week_micro=player.week_micro if player else None,
            month_micro=player.month_micro if player else None,
            all_time_micro=player.all_time_micro if player else None,
            total_wager_micro=mine.month_micro,
            total_wager_source=mine.month_source,
            ranks=tuple(RankAnswer(kind, row.rank, row.ties, row.wagered_micro) for kind, row in mine.ranks),
        )


@dataclass(frozen=True, slots=True)
class QueuedAnswer:
    """A request as staff see it; `contested`: `others` ask for the same player now."""

    id: UUID
    ref: str
    programme: str
    user_id: UUID
    username: str
    player_id: UUID
    uid: str
    name_at_request: str | None
    player_name: str | None
    all_time_micro: int | None
    state: RequestState
    proof: Proof
    proof_code: str
    code_seen_at: Instant | None
    pictures: tuple[UUID, ...]
    note: str
    answer: str
    staff_notes: str
    contested: bool
    others: int
    earlier: int
    source: str
    telegram_name: str | None
    taken_by: UUID | None
    taken_until: Instant | None
    decided_by: UUID | None
    decided_at: Instant | None
    created_at: Instant
    updated_at: Instant
    steps: tuple[StepAnswer, ...] = ()

    @classmethod
    def of(cls, one: QueuedRequest, steps: Sequence[LinkStep] = ()) -> "QueuedAnswer":
        request = one.request
        return cls(
            id=request.id,
            ref=request.ref,
            programme=one.programme,
            user_id=request.user_id,
            username=one.username,
            player_id=request.player_id,
            uid=request.uid,
            name_at_request=request.name_at_request,
            player_name=one.player_name,
            all_time_micro=one.all_time_micro,
            state=request.state,
            proof=request.proof,
            proof_code=request.proof_code,
            code_seen_at=request.code_seen_at,
            pictures=tuple(request.attachments),
            note=request.note,
            answer=request.player_note,
            staff_notes=request.staff_notes,
            contested=one.is_contested,
            others=one.others,
            earlier=one.earlier,
            source=request.source,
            telegram_name=request.telegram_name,
            taken_by=request.taken_by,
            taken_until=request.taken_until,
            decided_by=request.decided_by,
            decided_at=request.decided_at,
            created_at=request.created_at,
            updated_at=request.updated_at,
            steps=tuple(StepAnswer.of(step) for step in steps),
        )


@dataclass(frozen=True, slots=True)
class LinkedAnswer:
    """A link as staff see it: whose player, since when, by what proof, and how it ended."""

    id: UUID
    programme: str
    player_id: UUID
    uid: str
    player_name: str | None
    all_time_micro: int | None
    user_id: UUID
    username: str
    state: str
    proof: Proof
    linked_at: Instant
    unlinked_at: Instant | None
    reason: str

    @classmethod
    def of(cls, one: LinkLine) -> "LinkedAnswer":
        return cls(
            id=one.id,
            programme=one.programme,
            player_id=one.player_id,
            uid=one.uid,
            player_name=one.player_name,
            all_time_micro=one.all_time_micro,
            user_id=one.user_id,
            username=one.username,
            state=one.state,
            proof=one.proof,
            linked_at=one.linked_at,
            unlinked_at=one.unlinked_at,
            reason=one.reason,
        )


@dataclass(frozen=True, slots=True)
class ProposalAnswer:
    """A proposal that waits for a second person; nothing has moved yet."""

    approval_id: UUID
    state: str
    summary: str
    expires_at: Instant

    @classmethod
    def of(cls, one: Approval) -> "ProposalAnswer":
        return cls(one.id, one.state, one.summary, one.expires_at)


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """What became of a line, or would: `linked`, `present`, or the code of what is in its way."""

    line: int
    uid: str
    user: str
    verdict: str
    detail: str

    @classmethod
    def of(cls, one: ImportLine) -> "ImportedAnswer":
        return cls(one.line, one.uid, one.user, one.verdict, one.detail)


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """What became of a list: with one line in the way, or in a dry run, nothing was written."""

    written: bool
    lines: tuple[ImportedAnswer, ...]


_AT = datetime(2026, 3, 18, 14, 0, 12, tzinfo=UTC)
_ID = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
REQUEST_EXAMPLE = RequestAnswer(
    id=_ID,
    ref="V-7K2M9Q",
    uid="5XLJobqamfk6lZCvYKGR",
    name="NightHeron",
    state="rejected",
    proof="screenshot",
    proof_code="PL4T7V2XQ9",
    code_seen_at=None,
    pictures=(_ID,),
    note="it is me on the picture",
    answer="The picture shows another name.",
    created_at=_AT,
    decided_at=_AT + timedelta(hours=2),
    updated_at=_AT + timedelta(hours=2),
    steps=(
        StepAnswer(_AT, None, "pending", "", by_staff=False),
        StepAnswer(_AT + timedelta(hours=2), "pending", "rejected", "The picture shows another name.", by_staff=True),
    ),
)
REQUESTS_EXAMPLE = Listed((REQUEST_EXAMPLE,), None, None)
LINK_EXAMPLE = LinkAnswer(_ID, _ID, _ID, "unlinked", _AT)
MINE_EXAMPLE = Listed(
    (
        MineAnswer(
            programme="harbour-club",
            name="Harbour Club",
            currency="USD",
            as_of=_AT,
            stale=False,
            state="linked",
            link_id=_ID,
            linked_at=_AT,
            request=None,
            uid="5XLJobqamfk6lZCvYKGR",
            player_name="NightHeron",
            today_micro=503_809_659,
            week_micro=5_707_591_426,
            month_micro=136_219_502_291,
            all_time_micro=457_433_951_725,
            total_wager_micro=136_219_502_291,
            total_wager_source="reported",
            ranks=(RankAnswer("M", 1, 1, 136_219_502_291),),
        ),
    ),
    None,
    None,
)
QUEUED_EXAMPLE = QueuedAnswer(
    id=_ID,
    ref="V-7K2M9Q",
    programme="harbour-club",
    user_id=_ID,
    username="heron",
    player_id=_ID,
    uid="5XLJobqamfk6lZCvYKGR",
    name_at_request="NightHeron",
    player_name="NightHeron",
    all_time_micro=457_433_951_725,
    state="pending",
    proof="name_code",
    proof_code="PL4T7V2XQ9",
    code_seen_at=_AT,
    pictures=(),
    note="",
    answer="",
    staff_notes="",
    contested=False,
    others=0,
    earlier=0,
    source="web",
    telegram_name=None,
    taken_by=None,
    taken_until=None,
    decided_by=None,
    decided_at=None,
    created_at=_AT,
    updated_at=_AT,
)
QUEUE_EXAMPLE = Listed((QUEUED_EXAMPLE,), None, None)
LINKED_EXAMPLE = Listed(
    (
        LinkedAnswer(
            id=_ID,
            programme="harbour-club",
            player_id=_ID,
            uid="5XLJobqamfk6lZCvYKGR",
            player_name="NightHeron",
            all_time_micro=457_433_951_725,
            user_id=_ID,
            username="heron",
            state="active",
            proof="name_code",
            linked_at=_AT,
            unlinked_at=None,
            reason="request V-7K2M9Q",
        ),
    ),
    None,
    None,
)
PROPOSAL_EXAMPLE = ProposalAnswer(
    _ID, "open", "Link player NightHeron (5XLJobqamfk6lZCvYKGR) to heron", _AT + timedelta(days=3)
)
IMPORT_EXAMPLE = ImportAnswer(
    written=False,
    lines=(
        ImportedAnswer(
            2, "5XLJobqamfk6lZCvYKGR", "nobody", "identity.no_such_user", "There is no user of this name or id."
        ),
    ),
)
