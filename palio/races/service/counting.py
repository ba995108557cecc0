"""Turning changes of a feed into scores: one batch per race, whatever the number of snapshots in it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeVar

import structlog

from palio import affiliates, competitions, identity
from palio.affiliates.types import Flag, PlayerId, SnapshotView, WagerChange
from palio.competitions.types import Admission, Competition, EntrantId, Refused, StateChange, Submission
from palio.infra import outbox, realtime, settings
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId, new_id
from palio.races import sql
from palio.races.messages import RACE_UPDATED, RaceHeld, RaceLeaderChanged, RaceStandingsChanged
from palio.races.rules import news, pictures, totals
from palio.races.types import LEADER_GAP_MIN, Baseline, Hold, Plan, Race, Wager

CHANGES_MAX = 50_000  # of one look at a feed
BATCH_MAX = 10_000
LINKED, UNLINKED, BARRED = "linked", "nobody is linked to this player", "takes no part at present"

Item = TypeVar("Item")

log = structlog.get_logger()


async def catch_up(tx: Tx, *, race: Race, competition: Competition, now: datetime) -> bool:
    """Submit what the feed has changed since the last look, up to the picture that closes the race; False if nothing.

    The header and the race are locked by the caller.
    """
    newest = await newest_of(tx, race=race, competition=competition)
    if race.start_snapshot_id is None or newest is None or race.last_seq >= newest.seq:
        return False
    seq, counted = race.last_seq, 0
    while seq < newest.seq and (changes := await _changes(tx, race, seq, newest.seq)):
        counted += await _count(tx, race, competition, changes, now)
        seq = changes[-1].seq
    await tell(tx, race=race, competition=competition, snapshot=newest, counted=counted, now=now)
    return True


async def tell_decided(tx: Tx, *, race: Race, competition: Competition, now: datetime) -> None:
    """The same when a decision has changed the board; what the feed has brought since is told when it is counted."""
    (race,) = await sql.lock_races(tx, [race.competition_id])
    snapshot = await newest_of(tx, race=race, competition=competition)
    if snapshot and snapshot.seq <= race.last_seq:
        await tell(tx, race=race, competition=competition, snapshot=snapshot, counted=1, now=now)


async def tell(
    tx: Tx, *, race: Race, competition: Competition, snapshot: SnapshotView, counted: int, now: datetime
) -> None:
    """Let pages read the board again, and others know what has changed on it."""
    leader = await competitions.leader(tx, competition_id=race.competition_id)
    leading = news.leading(
        race, competition, leader, fetched_at=snapshot.fetched_at, gap_min=settings.value(LEADER_GAP_MIN), now=now
    )
    seq = max(race.last_seq, snapshot.seq)
    await sql.update_last_seq(tx, race.competition_id, seq, leading.entrant_id, leading.told_at)
    if counted:
        await outbox.send(tx, RaceStandingsChanged(race.competition_id, snapshot.seq))
    if leading.is_news and leader:
        await outbox.send(tx, RaceLeaderChanged(race.competition_id, leader))
    facts = {"seq": snapshot.seq, "as_of": clock.text(snapshot.as_of), "changed": counted, "leader": leader}
    realtime.publish(tx, f"race:{race.competition_id}", RACE_UPDATED, facts)


async def newest_of(tx: Tx, *, race: Race, competition: Competition) -> SnapshotView | None:
    """The last snapshot that counts: the one that closes the race, or the newest while there is none."""
    if race.final_snapshot_id:
        return await affiliates.applied_snapshot(tx, snapshot_id=race.final_snapshot_id)
    due_at = pictures.final_due_at(competition.ends_at, competition.grace_s)
    final = await affiliates.snapshot_from(tx, programme_id=race.programme_id, at=due_at)
    return final or await affiliates.snapshot_before(tx, programme_id=race.programme_id, at=due_at)


async def _changes(tx: Tx, race: Race, seq: int, through_seq: int) -> Sequence[WagerChange]:
    """Changes of whole snapshots after `seq`, in their order."""
    return await affiliates.changes_since(
        tx, programme_id=race.programme_id, seq=seq, through_seq=through_seq, limit=CHANGES_MAX
    )


async def _count(tx: Tx, race: Race, competition: Competition, changes: Sequence[WagerChange], now: datetime) -> int:
    """Turn changes into submissions; answers how many counted."""
    players = {str(change.player_id): change.player_id for change in changes}
    entered = await competitions.entered(tx, competition_id=race.competition_id, kind="player", refs=list(players))
    entrants = {players[ref]: entrant_id for ref, entrant_id in entered.items()}
    plan = await _plan(tx, race, changes, scored=entrants.keys())
    await _note(tx, race, plan, changes)
    entrants |= await enter(tx, race=race, player_ids=plan.entering, now=now)
    items = [_submission(wager, entrants[wager.player_id], competition) for wager in plan.wagers]
    return await submit(tx, race=race, items=items, now=now)


async def baselines_since(tx: Tx, *, race: Race, start: SnapshotView, through_seq: int) -> list[Baseline]:
    """Where the totals of those begin who turned up after a start picture, from everything the feed changed since."""
    found: dict[PlayerId, Baseline] = {}
    seq = start.seq
    while changes := await _changes(tx, race, seq, through_seq):
        plan = await _plan(tx, replace(race, start_snapshot_id=start.id), changes, scored=found)
        found |= {baseline.player_id: baseline for baseline in plan.baselines}
        seq = changes[-1].seq
    return list(found.values())


async def _plan(tx: Tx, race: Race, changes: Sequence[WagerChange], scored: Collection[PlayerId]) -> Plan:
    strangers = {change.player_id: change.uid for change in changes if change.player_id not in scored}
    if not strangers or race.start_snapshot_id is None:
        return totals.plan(changes, scored=scored, start={}, exceptions={}, joined=())
    start = await affiliates.applied_snapshot(tx, snapshot_id=race.start_snapshot_id)
    readings = await affiliates.readings_at(
        tx, programme_id=race.programme_id, snapshot_id=start.id, player_ids=list(strangers)
    )
    absent = {player_id: uid for player_id, uid in strangers.items() if player_id not in readings}
    return totals.plan(
        changes,
        scored=scored,
        start=readings,
        exceptions=await sql.list_baselines(tx, race.competition_id, list(strangers)),
        joined=await joined_since(tx, start=start, absent=absent),
    )


async def joined_since(tx: Tx, *, start: SnapshotView, absent: Mapping[PlayerId, str]) -> set[PlayerId]:
    """Those who were not there when the race was opened: a complete picture has no row of theirs, believed or not."""
    if not absent or not start.complete:
        return set()
    doubted = await affiliates.doubted_in(tx, snapshot_id=start.id, uids=list(absent.values()))
    return {player_id for player_id, uid in absent.items() if uid not in doubted}


async def _note(tx: Tx, race: Race, plan: Plan, changes: Sequence[WagerChange]) -> None:
    """Keep the baselines of newcomers, and hold those who turned up with a suspiciously large total."""
    if plan.baselines:
        await sql.upsert_baselines(tx, race.competition_id, plan.baselines)
    entering = set(plan.entering)
    new = list({change.player_id for change in changes if change.kind == "first" and change.player_id in entering})
    players = await affiliates.players_many(tx, new) if new else {}
    jumped = [player.id for player in players.values() if player.flags & Flag.FIRST_SEEN_JUMP]
    if not jumped:
        return
    first = {wager.player_id: wager for wager in reversed(plan.wagers)}
    holds = [Hold(player_id, "first_seen_jump", {"first_micro": first[player_id].after}) for player_id in jumped]
    held = await sql.insert_holds(tx, race.competition_id, holds)
    await outbox.send(tx, *(RaceHeld(race.competition_id, hold.player_id, hold.reason) for hold in held))


async def enter(tx: Tx, *, race: Race, player_ids: Sequence[PlayerId], now: datetime) -> dict[PlayerId, EntrantId]:
    """Enter players in the order given, with their public spelling and the user they are linked to."""
    entrants: dict[PlayerId, EntrantId] = {}
    for batch in _batches(player_ids):
        labels = await affiliates.public_labels(tx, player_ids=batch)
        users = {link.player_id: link.user_id for link in await affiliates.links_many(tx, player_ids=batch)}
        items = [
            Admission(race.competition_id, "player", str(player_id), users.get(player_id), labels.get(player_id))
            for player_id in batch
        ]
        entrants.update(zip(batch, await competitions.admit_many(tx, items, now=now), strict=True))
        out = await barred(tx, user_ids=users.values(), now=now)
        resting = [entrants[player_id] for player_id, user_id in users.items() if user_id in out]
        unlinked = [entrants[player_id] for player_id in batch if player_id not in users] if race.linked_only else []
        for why, entrant_ids in ((BARRED, resting), (UNLINKED, unlinked)):
            if entrant_ids:
                await set_ranked(tx, race=race, entrant_ids=entrant_ids, why=why, now=now)
    return entrants


async def barred(tx: Tx, *, user_ids: Collection[UserId], now: datetime) -> set[UserId]:
    """Those of at most 10,000 users who may not compete: by a break of theirs, or by what the house asks of players."""
    asked = sorted(set(user_ids))
    verdicts = await identity.require_play_many(tx, [(user_id, "compete") for user_id in asked], now=now)
    return {user_id for user_id, verdict in zip(asked, verdicts, strict=True) if isinstance(verdict, Forbidden)}


async def set_ranked(tx: Tx, *, race: Race, entrant_ids: Sequence[EntrantId], why: str, now: datetime) -> None:
    """Let entrants rank who are LINKED, and take those out who are UNLINKED or BARRED; scores stay."""
    state: Literal["in", "out"] = "in" if why == LINKED else "out"
    changes = [
        StateChange(race.competition_id, entrant_id, state, f"link:{new_id()}", now, why) for entrant_id in entrant_ids
    ]
    await competitions.set_state_many(tx, changes, now=now)


async def submit(tx: Tx, *, race: Race, items: Sequence[Submission], now: datetime) -> int:
    """Submit changes of totals, each once by its key; answers how many counted."""
    counted = 0
    for batch in _batches(items):
        outcomes = await competitions.submit_many(tx, batch, now=now)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        if refused:
            log.warning("wagers do not count", race=race.number, refused=len(refused), first=refused[0].code)
        counted += len(outcomes) - len(refused)
    return counted


def _submission(wager: Wager, entrant_id: EntrantId, competition: Competition) -> Submission:
    return Submission(
        competition.id,
        entrant_id,
        wager.delta,
        key=f"snap:{wager.seq}",
        happened_at=pictures.counted_at(wager.at, competition.starts_at, competition.ends_at),
        kind="correction" if wager.delta < 0 else "score",
        facts={
            "snapshot": str(wager.snapshot_id),
            "seq": wager.seq,
            "before": wager.before,
            "after": wager.after,
        },
    )


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + BATCH_MAX] for first in range(0, len(items), BATCH_MAX))
