"""Who of the staff may look as whom, and when a sealed value takes a second person."""

from datetime import timedelta

from palio.identity.errors import NotAPlayer, NoteInvalid, OwnAccount, ReasonTooShort
from palio.identity.types import UserKind, UserStatus
from palio.kernel.ids import UserId

REASON_CHARACTERS_MIN = 10
NOTE_CHARACTERS_MAX = 2_000
REVEALS_AN_HOUR_MAX = 30
HOUR = timedelta(hours=1)
OPEN = timedelta(minutes=5)  # how long a value that was revealed can be read
PERMIT = timedelta(hours=1)  # how long an agreed reveal waits for its maker


def require_player(
    user_id: UserId, kind: UserKind, status: UserStatus, *, is_staff: bool, by: UserId | None, reason: str
) -> str:
    """The reason without the space around it, if somebody may be looked as. By nobody nobody is.

    Refuses with ReasonTooShort, OwnAccount, NotAPlayer.
    """
    reason = reason.strip()
    if len(reason) < REASON_CHARACTERS_MIN:
        raise ReasonTooShort(shortest=REASON_CHARACTERS_MIN)
    if by == user_id:
        raise OwnAccount
    if by is None or is_staff or kind != "person" or status not in {"active", "suspended", "closing"}:
        raise NotAPlayer
    return reason


def require_note(body: str) -> str:
    """A note without the space around it. Refuses with NoteInvalid."""
    text = body.strip()
    if not 1 <= len(text) <= NOTE_CHARACTERS_MAX:
        raise NoteInvalid(longest=NOTE_CHARACTERS_MAX)
    return text
