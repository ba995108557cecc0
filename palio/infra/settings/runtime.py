"""What an operator changes while Palio runs: typed values with a default, a range, a history and a revert."""

from palio.infra.db import Tx
from palio.kernel.settings import Setting, Value


def value(setting: Setting[Value]) -> Value:
    """The value in this process's snapshot; costs no query and is at most seconds old."""
    return setting.default


async def exact(tx: Tx, setting: Setting[Value]) -> Value:
    """The value as this transaction sees it: for limits that guard money."""
    return setting.default
