"""Live notices of state topics: the newest value wins; sent after the commit, public figures only."""

from collections.abc import Mapping

from palio.infra.db import Tx


def publish(tx: Tx, topic: str, kind: str, facts: Mapping[str, object]) -> None:
    """Say what changed about a topic, once this transaction is committed: `race:<id>`, `race.updated`, {seq}."""
