"""How a player meets a competition: whether he takes part, and what he doubts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from palio.competitions.types import Appeal, CompetitionId, EntrantId, Participation
from palio.kernel.ids import UserId
from palio.ui.bodies import Body
from palio.ui.values import Instant


@dataclass(frozen=True, slots=True)
class JoinedAnswer:
    """Where the player stands: `state` is active, left, or disqualified with the reason. His fee is a transfer."""

    competition_id: UUID
    entrant_id: int
    state: str
    joined_at: Instant
    via: str
    reason: str | None
    fee_transfer_id: UUID | None

    @classmethod
    def of(cls, found: Participation) -> "JoinedAnswer":
        return cls(
            competition_id=found.competition_id,
            entrant_id=found.entrant_id,
            state=found.state,
            joined_at=found.joined_at,
            via=found.via,
            reason=found.reason,
            fee_transfer_id=found.fee_transfer_id,
        )


class AppealBody(Body):
    """What is wrong with the result."""

    text: Annotated[str, Field(min_length=10, max_length=2_000)]


@dataclass(frozen=True, slots=True)
class AppealAnswer:
    """A doubt about a result, whose it is, and its answer."""

    id: UUID
    competition_id: UUID
    entrant_id: int
    text: str
    state: str
    answer: str | None
    created_at: Instant
    decided_at: Instant | None
    updated_at: Instant

    @classmethod
    def of(cls, appeal: Appeal) -> "AppealAnswer":
        return cls(
            id=appeal.id,
            competition_id=appeal.competition_id,
            entrant_id=appeal.entrant_id,
            text=appeal.text,
            state=appeal.state,
            answer=appeal.answer,
            created_at=appeal.created_at,
            decided_at=appeal.decided_at,
            updated_at=appeal.decided_at or appeal.created_at,
        )


@dataclass(frozen=True, slots=True)
class AppealsAnswer:
    """Doubts about results."""

    items: tuple[AppealAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, appeals: Sequence[Appeal]) -> "AppealsAnswer":
        return cls(tuple(map(AppealAnswer.of, appeals)), None, None)


ID = UUID("019cffd0-4c00-7000-8000-0000000000c1")
AT = datetime(2026, 3, 18, 14, tzinfo=UTC)
APPEAL = Appeal(
    id=UUID("019cffd0-4c00-7000-8000-0000000000a1"),
    competition_id=CompetitionId(ID),
    entrant_id=EntrantId(112),
    user_id=UserId(UUID("019cffd0-4c00-7000-8000-000000000001")),
    text="My last game is missing.",
    state="open",
    answer=None,
    decided_by=None,
    created_at=AT,
    decided_at=None,
)
ANSWERED = replace(APPEAL, state="rejected", answer="It was played after the end.", decided_at=AT)
APPEAL_EXAMPLE = AppealAnswer.of(APPEAL)
ANSWERED_EXAMPLE = AppealAnswer.of(ANSWERED)
APPEALS_EXAMPLE = AppealsAnswer.of([APPEAL])
JOINED_EXAMPLE = JoinedAnswer(ID, 112, "active", AT, "join", None, UUID("019cffd0-4c00-7000-8000-0000000000f1"))
