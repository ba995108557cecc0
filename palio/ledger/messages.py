"""What the ledger tells others."""

from dataclasses import dataclass
from uuid import UUID

from palio.kernel.messages import Event


@dataclass(frozen=True, slots=True)
class LedgerMismatch(Event):
    """A reconciliation found something that does not add up; its account, if it has one, is frozen."""

    finding: UUID
