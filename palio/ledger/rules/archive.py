"""What lies in the archive, by the time in its number."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from palio.ledger import errors
from palio.ledger.types import AnyOutcome, Item, Refused, Reverse

BY_TIME = 7  # the version of UUIDs that begin with their time, in milliseconds
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def is_archived(number: UUID, until: datetime | None) -> bool:
    """Was this transfer, which is not here, made before the archive ends?"""
    return until is not None and number.version == BY_TIME and EPOCH + timedelta(milliseconds=number.int >> 80) < until


def missed(items: Sequence[Item], outcomes: Sequence[AnyOutcome]) -> list[int]:
    """The places of reversals whose original is not here."""
    return [
        place
        for place, (item, outcome) in enumerate(zip(items, outcomes, strict=True))
        if isinstance(item, Reverse) and isinstance(outcome, Refused) and outcome.code == errors.NoSuchTransfer.code
    ]


def named(item: Item, outcome: AnyOutcome, until: datetime | None) -> AnyOutcome:
    """The refusal of such a reversal: the transfer lies in the archive, or there never was one."""
    if isinstance(item, Reverse) and until is not None and is_archived(item.original_id, until):
        return Refused(errors.Archived.code, {"before": until})
    return outcome
