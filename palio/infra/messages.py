"""What the doors tell, and what they have to do."""

from dataclasses import dataclass
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
class KeepPartitions(Job):
    """Make the partitions that are due, and move stray rows into theirs."""


@dataclass(frozen=True, slots=True)
class PruneRuns(Job):
    """Forget finished runs that are older than `jobs.retention_days`."""


@dataclass(frozen=True, slots=True)
class PruneRequests(Job):
    """Forget answers to requests and their keys that are past their time, and limits that nobody is near."""
