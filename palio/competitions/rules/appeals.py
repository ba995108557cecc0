"""When a frozen ranking can be doubted, and how often."""

from collections.abc import Sequence

from palio.competitions.errors import AppealDecidedBefore, AppealsClosed, AppealTextInvalid, TooManyAppeals
from palio.competitions.types import APPEALS_MAX, Appeal, Competition

TEXT_MIN, TEXT_MAX = 10, 2_000


def checked_text(text: str) -> str:
    """What somebody wrote, trimmed. Refuses with AppealTextInvalid."""
    trimmed = text.strip()
    if not TEXT_MIN <= len(trimmed) <= TEXT_MAX:
        raise AppealTextInvalid(low=TEXT_MIN, high=TEXT_MAX)
    return trimmed


def check_opening(competition: Competition, earlier: Sequence[Appeal]) -> None:
    """Accept a doubt during the review, one at a time. Refuses with AppealsClosed, TooManyAppeals."""
    if competition.phase != "review":
        raise AppealsClosed(status=competition.status)
    if not may_open(competition, earlier):
        raise TooManyAppeals(limit=APPEALS_MAX)


def may_open(competition: Competition, earlier: Sequence[Appeal]) -> bool:
    """Whether a page offers to doubt the result."""
    is_waiting = any(appeal.state == "open" for appeal in earlier)
    return competition.phase == "review" and len(earlier) < APPEALS_MAX and not is_waiting


def check_deciding(competition: Competition, appeal: Appeal) -> None:
    """Accept the answer to what is open. Refuses with AppealDecidedBefore, AppealsClosed."""
    if appeal.state != "open":
        raise AppealDecidedBefore(state=appeal.state)
    if competition.phase != "review":
        raise AppealsClosed(status=competition.status)
