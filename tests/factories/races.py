"""Feeds and races as the product makes them, for tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from palio import affiliates, races
from palio.affiliates.types import Payload, PlayerId, ProgrammeId, Snapshot
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.races.types import NewRace, Race

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
T1 = (FIXTURES / "affiliate_snapshot_T1.json").read_bytes()
T2 = (FIXTURES / "affiliate_snapshot_T2.json").read_bytes()
EXPECTED = json.loads((FIXTURES / "expected_race_deltas_T1_T2.json").read_text())["pairs"]["T1->T2"]
SYSTEM = Actor("system", None, RequestId(new_id()))
DEFAULT = (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)


def at(clock: str, day: int = 26) -> datetime:
    """An instant of the day on which the captures were made, like `08:21:15`."""
    return datetime.fromisoformat(f"2025-03-{day:02}T{clock}").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Feed:
    """A programme of its own with the bytes that are uploaded to it."""

    code: str
    programme_id: ProgrammeId
    upload_feed_id: object

    async def take(self, tx: Tx, body: bytes, fetched_at: datetime) -> Snapshot:
        """Apply a body as it came."""
        digest = sha256(body).digest()
        key = f"payloads/{digest.hex()}"
        payload = Payload(digest, len(body), "application/json", key, fetched_at, body)
        return await affiliates.ingest(tx, feed_id=self.upload_feed_id, payload=payload, fetched_at=fetched_at)  # type: ignore[arg-type]

    async def show(self, tx: Tx, fetched_at: datetime, totals: Mapping[str, str | None], **more: object) -> Snapshot:
        """Apply a snapshot in which these uids have wagered so much; a bad number quarantines its row."""
        rows = [{"uid": uid, "name": f"name-{uid}", "wagered": {"all_time": total}} for uid, total in totals.items()]
        return await self.take(tx, json.dumps({"data": rows, **more}).encode(), fetched_at)


async def feed(tx: Tx, *, coverage: str = "full") -> Feed:
    """A fresh programme."""
    programme = await affiliates.ensure_programme(tx, code=f"p-{new_id().hex[-12:]}", coverage=coverage)  # type: ignore[arg-type]
    return Feed(programme.code, programme.id, programme.upload_feed_id)


async def race(tx: Tx, source: Feed, now: datetime, **changes: object) -> Race:
    """From 08:30 to 20:00 for 500.00 dollars over ten places, paid without review."""
    plain = NewRace(
        title="Spring race",
        programme=source.code,
        starts_at=at("08:30:00"),
        ends_at=at("20:00:00"),
        pool_asset="USD",
        pool=50_000,
        prize_rule=races.by_place(DEFAULT),
        min_wager_micro=0,
        review_h=0,
        backdated_reason="announced in the chat",
    )
    return await races.create_race(tx, new=replace(plain, **changes), actor=SYSTEM, now=now)  # type: ignore[arg-type]


async def setup_r(tx: Tx, **changes: object) -> tuple[Feed, Race]:
    """The two captures around a race that is backdated, and the clock after its end."""
    source = await feed(tx)
    await source.take(tx, T1, at("08:21:15"))
    made = await race(tx, source, at("12:00:00"), **changes)
    await source.take(tx, T2, at("20:28:00"))
    return source, made


async def run(tx: Tx, now: datetime) -> None:
    """Ticks until nothing changes."""
    for _ in range(20):
        if not await races.tick(tx, now=now):
            return
    raise AssertionError("it never comes to rest")


STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
SECOND = UserId(new_id())


async def player(tx: Tx, source: Feed, uid: str) -> PlayerId:
    """The player of a programme with this uid, or this name where the captures have it."""
    statement = "select id from affiliates.players where programme_id = %s and %s in (uid, name)"
    return PlayerId(await db.value(tx, statement, source.programme_id, uid))


async def linked(tx: Tx, source: Feed, uid: str, user_id: UserId) -> PlayerId:
    """The same, with an active link to a user."""
    player_id = await player(tx, source, uid)
    await db.run(
        tx,
        """
        insert into affiliates.links (id, programme_id, player_id, user_id, state, proof, linked_at)
        values (%s, %s, %s, %s, 'active', 'staff', '2025-03-26T00:00:00Z')""",
        *(new_id(), source.programme_id, player_id, user_id),
    )
    return player_id
