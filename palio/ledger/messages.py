"""What the ledger tells others."""

from dataclasses import dataclass
from uuid import UUID

from palio.kernel.messages import Event, Job
from palio.kernel.topics import OWNER, LiveType, Topic


@dataclass(frozen=True, slots=True)
class TransfersPosted(Event):
    """A batch has moved something: the ids of its transfers, and nothing of what they are about."""

    transfers: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class LedgerMismatch(Event):
    """A reconciliation found something that does not add up; its account, if it has one, is frozen."""

    finding: UUID


@dataclass(frozen=True, slots=True)
class HoldExpired(Event):
    """What remained of a hold went back to its owner, because its time was over."""

    hold: UUID
    owner: UUID
    subject: str


@dataclass(frozen=True, slots=True)
class DebtCreated(Event):
    """Somebody's wallet did not have what was taken back: he owes so many units more."""

    owner: UUID
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class CollectDebts(Job):
    """Let those who owe something pay it from what they have again."""


@dataclass(frozen=True, slots=True)
class RollUp(Job):
    """Add what was posted to the sums of open accounts."""


@dataclass(frozen=True, slots=True)
class Reconcile(Job):
    """Check what was touched since nothing was found the last time, or `everything`."""

    everything: bool = False


@dataclass(frozen=True, slots=True)
class ExpireLots(Job):
    """Move what has expired out of wallets."""


@dataclass(frozen=True, slots=True)
class ExpireHolds(Job):
    """Release what remains of holds whose time is over."""


@dataclass(frozen=True, slots=True)
class AdjustmentDecided(Event):
    """A correction by staff was posted, rejected, cancelled by its maker, failed, or nobody decided in time."""

    adjustment: UUID
    status: str


@dataclass(frozen=True, slots=True)
class ExpireAdjustments(Job):
    """End corrections that nobody has decided about in time."""


@dataclass(frozen=True, slots=True)
class SealTransfers(Job):
    """Seal the transfers that are final."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a transfer did to a wallet, in smallest units: `amount` came or went, then there is `balance`, of which
    `held` is set aside. Empty after a payment to very many: the wallet is to be read again.
    """

    transfer: UUID | None = None
    asset: str | None = None
    amount: int | None = None
    balance: int | None = None
    held: int | None = None


WALLET_CHANGED = LiveType(  # told by the functions that write entries: 0003_ledger.sql
    "wallet.changed",
    "Something has moved in a wallet, or was set aside there.",
    Movement,
    {"transfer": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", "asset": "COIN", "amount": 40, "balance": 140, "held": 0},
)
TOPICS = (Topic("me:wallet", "My wallet.", (WALLET_CHANGED,), is_log=True, access=OWNER, scope="ledger:read"),)
