"""What the doors tell, and what they have to do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from palio.kernel.messages import Event, Job


@dataclass(frozen=True, slots=True)
class JobDead(Event):
    """A job has used up its attempts, or killed two processes; `run` is its last row of `infra.job_runs`."""

    run: UUID


@dataclass(frozen=True, slots=True)
class PartitionMissing(Event):
    """Rows were found in the default partition of a table: nobody had made theirs."""

    table: str


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    key: str
    version: int


@dataclass(frozen=True, slots=True)
class ApprovalOpened(Event):
    """Somebody has proposed what takes two people."""

    approval: UUID
    command: str
    state: str


@dataclass(frozen=True, slots=True)
class ApprovalDecided(Event):
    """Somebody has approved, rejected or withdrawn a proposal; `state` is what became of it."""

    approval: UUID
    command: str
    state: str


@dataclass(frozen=True, slots=True)
class ApprovalExecuted(Event):
    """A proposal has ended: `executed`, `failed` or `expired`."""

    approval: UUID
    command: str
    state: str


@dataclass(frozen=True, slots=True)
class ExecuteApproval(Job):
    """Carry out what was approved."""

    approval: UUID


@dataclass(frozen=True, slots=True)
class ExpireApprovals(Job):
    """End proposals that nobody has decided, or carried out, in time."""


@dataclass(frozen=True, slots=True)
class KeepPartitions(Job):
    """Make the partitions that are due, and move stray rows into theirs."""


@dataclass(frozen=True, slots=True)
class Reencrypt(Job):
    """Seal anew what lies under older keys of the keyring."""


@dataclass(frozen=True, slots=True)
class PruneRuns(Job):
    """Forget finished runs that are older than `jobs.retention_days`."""


@dataclass(frozen=True, slots=True)
class PruneRequests(Job):
    """Forget answers to requests and their keys that are past their time, limits that nobody is near, and tickets."""


@dataclass(frozen=True, slots=True)
class SealLate(Event):
    """Rows of a chain wait for their seal for more than five minutes."""

    chain: str


@dataclass(frozen=True, slots=True)
class SealAudit(Job):
    """Seal the audit rows that are final."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as machines outside hear of it: its public type, and its fields as JSON."""

    event_id: UUID
    type: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TellWebhooks(Job):
    """Pass events on to every endpoint that wants them."""

    events: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class DeliverWebhooks(Job):
    """Send an endpoint what is due there."""

    endpoint: UUID


@dataclass(frozen=True, slots=True)
class WakeWebhooks(Job):
    """Have everything sent that is due by now: tries that come again, and what a killed process has left."""


@dataclass(frozen=True, slots=True)
class WatchWebhooks(Job):
    """Tell of endpoints that fail for days, switch off those that never recover, and end secrets that were replaced."""


@dataclass(frozen=True, slots=True)
class TellWebhookOwner(Job):
    """Write to whoever is responsible for an endpoint: it has failed for so many days, or hears nothing any more."""

    endpoint: UUID
    days: int


@dataclass(frozen=True, slots=True)
class WebhookDisabled(Event):
    """An endpoint hears nothing any more: it is gone, or has failed for five days."""

    endpoint: UUID


@dataclass(frozen=True, slots=True)
class RunOperation(Job):
    """Carry out a long piece of work, or go on with it."""

    operation: UUID


@dataclass(frozen=True, slots=True)
class KeepOperations(Job):
    """Have work go on whose worker is gone, and remove files that are past their time."""


@dataclass(frozen=True, slots=True)
class ExportReady(Event):
    """An export is done, and whoever asked for it can fetch it."""

    operation: UUID
