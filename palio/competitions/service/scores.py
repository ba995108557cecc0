"""Entering and scoring: each call is a batch, two round trips whatever its size."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from palio.competitions import sql
from palio.competitions.rules import lifecycle
from palio.competitions.service import telling
from palio.competitions.types import (
    Admission,
    CompetitionId,
    Counted,
    EntrantId,
    Gate,
    ListId,
    Outcome,
    Participant,
    Refused,
    Scored,
    StateChange,
    Submission,
)
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge

ITEMS_MAX = 10_000

Receipt: TypeAlias = tuple[EntrantId, str, datetime, ListId]  # what makes a submission count once


async def gate_many(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, Gate]:
    """Status and window of competitions, held so that none can move to settling before this transaction ends."""
    return {gate.id: gate for gate in await sql.lock_gates(tx, sorted(set(competition_ids)))}


async def admit_many(tx: Tx, items: Sequence[Admission], *, now: datetime) -> list[EntrantId]:
    """Enter entrants, at most 10,000, numbered in the order given; a repeat only renews user and public spelling.

    Refuses with TooLarge.
    """
    _check_size(items)
    if not items:
        return []
    await sql.insert_entrants(tx, items)
    entered = await sql.insert_participants(tx, items, now)
    changed = {
        participant.entrant_id: (participant.entrant_id, item.user_id, item.label)
        for item, participant in zip(items, entered, strict=True)
        if (item.user_id, item.label) != (participant.user_id, participant.label)
    }
    if changed:
        await sql.update_entrants(tx, list(changed.values()))
    return [participant.entrant_id for participant in entered]


async def submit_many(tx: Tx, items: Sequence[Submission], *, now: datetime) -> list[Outcome]:
    """Add to scores, at most 10,000 changes, and answer in the order given; a refused one never fails its neighbours.

    Scores, and the times at which they were reached, do not depend on order, batching or repetition: the same key at
    the same time with the same change is a replay, with another change it is refused `key_mismatch`. Other refusals:
    `invalid`, `no_such_competition`, `not_live`, `paused`, `outside_window`, `not_entered`, `disqualified`.
    Refuses the whole with TooLarge.
    """
    _check_size(items)
    if not items:
        return []
    gates = await gate_many(tx, [item.competition_id for item in items])
    participants = await _participants(tx, [(item.competition_id, item.entrant_id) for item in items])
    judged = [_judge(item, gates, participants, now) for item in items]
    first: dict[Receipt, int] = {}  # where in the batch a receipt is met first
    for number, (item, refused) in enumerate(zip(items, judged, strict=True)):
        if refused is None:
            first.setdefault(_receipt(item, gates), number)
    sent = {receipt: items[number] for receipt, number in first.items()}
    fresh = await _insert(tx, sent, participants, now)
    telling.changed(tx, competition_ids=[sent[receipt].competition_id for receipt in fresh])
    missing = [(receipt[-1], item) for receipt, item in sent.items() if receipt not in fresh]
    stored = {_identity(row): row for row in await sql.list_receipts(tx, missing)} if missing else {}
    known = {**stored, **fresh}

    def outcome(number: int, item: Submission) -> Outcome:
        receipt = _receipt(item, gates)
        if known[receipt].delta != item.delta:
            return Refused("competitions.key_mismatch", {"key": item.key, "stored": known[receipt].delta})
        return Counted(known[receipt].score, replayed=receipt not in fresh or first[receipt] != number)

    return [refused or outcome(number, item) for number, (item, refused) in enumerate(zip(items, judged, strict=True))]


async def set_state_many(tx: Tx, items: Sequence[StateChange], *, now: datetime) -> int:
    """Take entrants out of the ranking or let them back in, scores kept; answers how many changes were new.

    Refuses with TooLarge. Changes of competitions that are not running, or of strangers, are left out.
    """
    _check_size(items)
    gates = await gate_many(tx, [item.competition_id for item in items])
    participants = await _participants(tx, [(item.competition_id, item.entrant_id) for item in items])
    open_gates = {gate.id: gate for gate in gates.values() if lifecycle.takes_scores(gate)}
    rows = [
        (open_gates[item.competition_id].list_id, participant.owner_id, item)
        for item in items
        if (participant := participants.get((item.competition_id, item.entrant_id)))
        and item.competition_id in open_gates
    ]
    telling.changed(tx, competition_ids=[item.competition_id for _, _, item in rows])
    return await sql.insert_state_receipts(tx, rows, now) if rows else 0


def _check_size(items: Sequence[object]) -> None:
    if len(items) > ITEMS_MAX:
        raise TooLarge(items=len(items), limit=ITEMS_MAX)


Participants: TypeAlias = Mapping[tuple[CompetitionId, EntrantId], Participant]


async def _participants(tx: Tx, pairs: Sequence[tuple[CompetitionId, EntrantId]]) -> Participants:
    found = await sql.list_participants(tx, list(dict.fromkeys(pairs)))
    return {(participant.competition_id, participant.entrant_id): participant for participant in found}


def _judge(
    item: Submission, gates: Mapping[CompetitionId, Gate], participants: Participants, now: datetime
) -> Refused | None:
    participant = participants.get((item.competition_id, item.entrant_id))
    return lifecycle.judge(item, gates.get(item.competition_id), participant.state if participant else None, now)


async def _insert(
    tx: Tx, sent: Mapping[Receipt, Submission], participants: Participants, now: datetime
) -> dict[Receipt, Scored]:
    if not sent:
        return {}
    rows = [
        (receipt[-1], participants[item.competition_id, item.entrant_id].owner_id, item)
        for receipt, item in sent.items()
    ]
    return {_identity(row): row for row in await sql.insert_receipts(tx, rows, now)}


def _receipt(item: Submission, gates: Mapping[CompetitionId, Gate]) -> Receipt:
    return item.entrant_id, item.key, item.happened_at, gates[item.competition_id].list_id


def _identity(row: Scored) -> Receipt:
    return row.entrant_id, row.key, row.happened_at, row.list_id
