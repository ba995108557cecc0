"""Settings: the environment, read once before the database answers, and what an operator changes while Palio runs."""

from palio.infra.settings.environment import Environment
from palio.infra.settings.runtime import (
    CHANNEL,
    Change,
    Line,
    NoSuchVersion,
    Version,
    change,
    declare,
    exact,
    history,
    list_all,
    revert,
    snapshot,
    value,
)

__all__ = [
    "CHANNEL",
    "Change",
    "Environment",
    "Line",
    "NoSuchVersion",
    "Version",
    "change",
    "declare",
    "exact",
    "history",
    "list_all",
    "revert",
    "snapshot",
    "value",
]
