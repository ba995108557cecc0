"""Bodies of feeds, and the way in for them: what a programme sends, from one row to a hundred thousand."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Tx
from palio.infra.storage import Storage

FIXTURES = Path(__file__).parents[1] / "fixtures"
T1 = datetime(2025, 3, 26, 8, 21, 15, tzinfo=UTC)
T2 = datetime(2025, 3, 26, 20, 28, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

Row = Mapping[str, object]


def fixture(name: str) -> bytes:
    """A capture or variant of the fixtures, as it came."""
    return (FIXTURES / f"{name}.json").read_bytes()


def row(uid: str, all_time: object = 0, *, name: str | None = None, **columns: object) -> Row:
    """One player as the feed lists him; `today`, `week` and `month` are 0 where they are not given."""
    wagered = {
        "today": columns.get("today", 0),
        "this_week": columns.get("week", 0),
        "this_month": columns.get("month", 0),
        "all_time": all_time,
    }
    return {"uid": uid, "name": name or f"name of {uid}", "wagered": wagered}


def body(*rows: object, **members: object) -> bytes:
    """The normal form."""
    return json.dumps({"success": True, "data": rows, **members}).encode()


async def ingest(
    tx: Tx,
    programme: types.Programme,
    content: bytes,
    at: datetime,
    storage: Storage,
    *,
    content_type: str = "application/json",
) -> types.Snapshot:
    """Archive and apply a body through the upload feed of a programme."""
    payload = await affiliates.archive(storage, body=content, content_type=content_type, received_at=at)
    return await affiliates.ingest(tx, feed_id=programme.upload_feed_id, payload=payload, fetched_at=at)


class Crowd:
    """Many players with numbers like those of real feeds: doubles with noise, most idle today, always in one order."""

    def __init__(self, players: int, *, seed: int = 1) -> None:
        self._chance = Random(seed)  # noqa: S311 - the same crowd each time
        self._rows = [self._row(number) for number in range(players)]

    def _row(self, number: int) -> dict[str, object]:
        chance = self._chance
        wagered = {
            "today": 0 if number % 3 else chance.random() * 100,
            "this_week": chance.random() * 1_000,
            "this_month": chance.random() * 10_000,
            "all_time": 20_000 + chance.random() * 100_000,
        }
        return {"uid": f"{chance.getrandbits(80):020x}", "name": f"player{number:06}", "wagered": wagered}

    def play(self, share: float) -> None:
        """Let this share of the players wager something."""
        for number in self._chance.sample(range(len(self._rows)), round(len(self._rows) * share)):
            wagered = self._rows[number]["wagered"]
            assert isinstance(wagered, dict)
            amount = self._chance.random() * 50
            for column in wagered:
                wagered[column] += amount

    def shuffle(self) -> None:
        """List them in another order."""
        self._chance.shuffle(self._rows)

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    def body(self) -> bytes:
        """What the feed answers now."""
        return body(*self._rows)
