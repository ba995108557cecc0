"""What a world writes down, so that it goes on where it was killed: every exchange, and all that was ordered."""

import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from palio.sim.exchanges import EXCHANGES_MAX, Exchange
from palio.sim.shaping import shaped


class Keeping:
    """`<name>.jsonl` is the journal, `<name>.snapshot` the state: replaced as a whole, so that none is half there."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._journal, self._state = folder / f"{name}.jsonl", folder / f"{name}.snapshot"
        self._lines = 0

    def state(self) -> dict[str, Any] | None:
        """The state of the world that was here; None if there was none."""
        try:
            found: dict[str, Any] = json.loads(self._state.read_bytes())
        except FileNotFoundError:
            return None
        return found

    def keep(self, state: Mapping[str, object]) -> None:
        """Have this state to go on from."""
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(state, default=str))
        new.replace(self._state)

    def exchanges(self) -> list[Exchange]:
        """The newest exchanges; a line that was being written when the world was killed is left out."""
        found: deque[object] = deque(maxlen=EXCHANGES_MAX)
        whole = 0
        if self._journal.exists():
            with self._journal.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    found.append(json.loads(line))
            os.truncate(self._journal, whole)
        self._lines = len(found)
        return shaped(list[Exchange], [*found])

    def note(self, exchange: Exchange) -> None:
        """Write down an exchange. Of many the newest are kept: here as many as in memory, and as many before them."""
        if self._lines >= EXCHANGES_MAX:
            self._journal.replace(self._journal.with_suffix(".jsonl.1"))
            self._lines = 0
        with self._journal.open("a") as file:
            file.write(json.dumps(asdict(exchange), default=str) + "\n")
        self._lines += 1

    def begin_again(self) -> None:
        """Forget all exchanges."""
        self._journal.unlink(missing_ok=True)
        self._lines = 0
