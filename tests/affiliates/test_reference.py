"""The clever way of applying snapshots gives what the plain one does: row by row, from decimals, without memory."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from palio import affiliates
from palio.affiliates import types
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.affiliates import QUARTER, T1, Crowd, body

SYSTEM = Actor("system", None, RequestId(new_id()))
COLUMNS = ("today", "this_week", "this_month", "all_time")


@dataclass
class PlainPlayer:
    """A player of the reference."""

    numbers: list[int]
    name: str
    is_stale: bool = False


class Reference:
    """What the specification says, in the plainest way."""

    def __init__(self) -> None:
        self.players: dict[str, PlainPlayer] = {}
        self.stats: list[tuple[str, object, str, int]] = []

    def apply(self, content: bytes, at: object) -> None:
        """One complete snapshot in which every row can be believed."""
        rows = json.loads(content, parse_float=Decimal)["data"]
        is_first = not self.players
        for line in rows:
            numbers = [int(Decimal(line["wagered"][name]).quantize(Decimal("0.000001")).scaleb(6)) for name in COLUMNS]
            self._read(line["uid"], line["name"], numbers, at, is_first=is_first)
        listed = {line["uid"] for line in rows}
        for uid, player in self.players.items():
            player.is_stale = uid not in listed

    def _read(self, uid: str, name: str, numbers: list[int], at: object, *, is_first: bool) -> None:
        player = self.players.get(uid)
        if player is None:
            joined = 0 if is_first or numbers[3] > 10_000_000_000 else numbers[3]
            self.stats.append((uid, at, "first", joined))
            self.players[uid] = PlainPlayer(numbers, name)
            return
        delta = numbers[3] - player.numbers[3]
        if numbers != player.numbers:
            kind = "change" if delta > 0 else "correction" if delta else "columns_only"
            self.stats.append((uid, at, kind, delta))
        player.numbers, player.name = numbers, name


def history(crowd: Crowd) -> list[bytes]:
    """Play, another order, a restart's worth of nothing, a few who leave, come and come back, a fall, a rename."""
    everybody = [crowd.body()]
    for share in (0.05, 0.0, 0.5):
        crowd.play(share)
        everybody.append(crowd.body())
    crowd.shuffle()
    crowd.play(0.05)
    few = [*crowd.rows[3:], {"uid": "late", "name": "Late", "wagered": dict.fromkeys(COLUMNS, 5)}]
    everybody.append(body(*few))
    fallen = {**crowd.rows[7], "wagered": {**crowd.rows[7]["wagered"], "all_time": 1}}  # type: ignore[dict-item]
    renamed = {**crowd.rows[8], "name": "Another"}
    everybody.append(body(*crowd.rows[:7], fallen, renamed, *crowd.rows[9:], few[-1]))
    crowd.play(1.0)
    everybody.append(body(*crowd.rows, few[-1]))
    return everybody


@pytest.mark.parametrize("players", [2_000, pytest.param(100_000, marks=pytest.mark.nightly)])
async def test_a_history_gives_what_the_plain_way_gives(
    database: Database, storage: Storage, code: str, players: int
) -> None:
    """Acceptance 16."""
    async with database.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=code)
    reference, last = Reference(), None
    for place, content in enumerate(history(Crowd(players))):
        at = T1 + place * QUARTER + timedelta(microseconds=place)
        reference.apply(content, at)
        last = await affiliates.take_in(
            database,
            storage,
            actor=SYSTEM,
            feed_id=programme.upload_feed_id,
            body=content,
            content_type="application/json",
            fetched_at=at,
            trigger="upload",
            now=at,
        )
        assert last.status == "applied"
    assert await stored_players(database, programme) == {
        uid: (player.name, *player.numbers, player.is_stale) for uid, player in reference.players.items()
    }
    assert await stored_stats(database, programme) == sorted(reference.stats, key=str)


async def stored_players(database: Database, programme: types.Programme) -> dict[str, tuple[object, ...]]:
    statement = """
        select uid, name, today_micro, week_micro, month_micro, all_time_micro, stale_since is not null
        from affiliates.players where programme_id = %s"""
    async with database.begin(SYSTEM) as tx:
        return {uid: tuple(rest) for uid, *rest in await (await tx.execute(statement, [programme.id])).fetchall()}


async def stored_stats(database: Database, programme: types.Programme) -> list[tuple[object, ...]]:
    statement = """
        select p.uid, s.at, s.kind, s.delta_micro
        from affiliates.stats s join affiliates.players p on p.id = s.player_id where p.programme_id = %s"""
    async with database.begin(SYSTEM) as tx:
        return sorted(await (await tx.execute(statement, [programme.id])).fetchall(), key=str)
