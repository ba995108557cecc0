"""Who may be suspended, by whom, and until when."""

from collections.abc import Collection
from datetime import datetime

from palio.identity.errors import EndsInPast, NotSuspendable, OwnAccount
from palio.identity.types import Suspension
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId


def require_suspendable(
    known: Suspension, *, by: UserId | None, held: Collection[str], theirs: Collection[str]
) -> None:
    """Let an account be suspended, or its suspension be changed.

    Nobody suspends himself, nor somebody of the staff who may do what he may not: by nobody it is the house. Refuses
    with OwnAccount, Forbidden, NotSuspendable.
    """
    if by is not None:
        if by == known.user_id:
            raise OwnAccount
        if lacking := set(theirs) - set(held):
            raise Forbidden(permission=min(lacking))
    if known.status not in {"active", "suspended"}:
        raise NotSuspendable(status=known.status)


def require_suspended(known: Suspension, *, by: UserId | None) -> None:
    """Let an account in again. Refuses with OwnAccount, NotSuspendable."""
    if by is not None and by == known.user_id:
        raise OwnAccount
    if known.status != "suspended":
        raise NotSuspendable(status=known.status)


def require_later(until: datetime | None, now: datetime) -> None:
    """Refuse an end that has passed: EndsInPast."""
    if until is not None and until <= now:
        raise EndsInPast(until=until)
