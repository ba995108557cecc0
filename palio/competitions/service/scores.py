"""Entering and scoring: each call is a batch, two round trips whatever its size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeAlias

from palio.competitions import sql
from palio.competitions.rules import lifecycle, periods, submitting
from palio.competitions.rules.submitting import Aim, Placed
from palio.competitions.service import countries, telling
from palio.competitions.service.known import KnownLists, boards_many
from palio.competitions.types import (
    Admission,
    CompetitionId,
    Counted,
    EntrantId,
    Gate,
    ListId,
    ListScore,
    NewEntrant,
    NewList,
    Outcome,
    Participant,
    Refused,
    Scored,
    ScoreList,
    Sent,
    StateChange,
    Submission,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge

ITEMS_MAX = 10_000

Identity: TypeAlias = tuple[ListId, EntrantId, str, datetime]  # what makes a submission count once on a list
Participants: TypeAlias = Mapping[tuple[CompetitionId, EntrantId], Participant]


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
    met = await sql.insert_entrants(tx, items)
    entered = await sql.insert_participants(tx, items, now)
    changed = {
        participant.entrant_id: (participant.entrant_id, item.user_id, item.label)
        for item, participant in zip(items, entered, strict=True)
        if (item.user_id, item.label) != (participant.user_id, participant.label)
    }
    if changed:
        await sql.update_entrants(tx, list(changed.values()))
    linked = [user_id for _, user_id, _ in changed.values() if user_id]
    await countries.renew(tx, user_ids={*met, *linked})
    return [participant.entrant_id for participant in entered]


async def enter_many(tx: Tx, items: Sequence[NewEntrant]) -> list[EntrantId]:
    """Who is to stand on boards of everybody, at most 10,000, numbered in the order given; a repeat changes nothing.

    Refuses with TooLarge.
    """
    _check_size(items)
    named = [(item.kind, item.ref) for item in items]
    known = await sql.list_entrants_of(tx, named)
    if missing := [item for item in items if (item.kind, item.ref) not in known]:
        await sql.insert_board_entrants(tx, missing)
        await countries.renew(tx, user_ids={item.user_id for item in missing if item.user_id})
        known = await sql.list_entrants_of(tx, named)
    return [known[name] for name in named]


async def submit_many(tx: Tx, items: Sequence[Submission], *, now: datetime) -> list[Outcome]:
    """Change scores, at most 10,000 changes, and answer in the order given; a refused one never fails its neighbours.

    Scores, and the times at which they were reached, do not depend on order, batching or repetition: the same key at
    the same time with the same change or value is a replay, with another one it is refused `key_mismatch`. A list of a
    board that is final is skipped while others are open. Other refusals: `invalid`, `no_such_competition`,
    `no_such_board`, `no_such_entrant`, `not_live`, `paused`, `outside_window`, `not_entered`, `disqualified`,
    `list_final`. Refuses the whole with TooLarge.
    """
    _check_size(items)
    if not items:
        return []
    placed = await _placed(tx, items, now)
    written = await _write(tx, placed, now)
    _tell(tx, items, placed, written)
    return [each if isinstance(each, Refused) else written.outcome(each, number) for number, each in enumerate(placed)]


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


async def _placed(tx: Tx, items: Sequence[Submission], now: datetime) -> list[Placed | Refused]:
    """What each submission becomes: receipts on the lists that it counts on, or a refusal."""
    competition_ids = [item.competition_id for item in items if item.competition_id]
    gates = await gate_many(tx, competition_ids) if competition_ids else {}
    pairs = [(item.competition_id, item.entrant_id) for item in items if item.competition_id]
    participants = await _participants(tx, pairs) if pairs else {}
    boards = await boards_many(tx, {item.board for item in items if item.board and not item.competition_id})
    aims = [
        _judged(item, gates, participants, now)
        if item.competition_id or item.board is None
        else submitting.aim(item, boards.get(item.board), now)
        for item in items
    ]
    lists = await _lists(tx, [each for each in aims if isinstance(each, Aim)])
    return [
        submitting.place(item, each, lists[each.board.id]) if isinstance(each, Aim) else each
        for item, each in zip(items, aims, strict=True)
    ]


def _judged(
    item: Submission, gates: Mapping[CompetitionId, Gate], participants: Participants, now: datetime
) -> Placed | Refused:
    """What becomes of a submission to a competition; without one there is none."""
    gate = gates.get(item.competition_id) if item.competition_id else None
    participant = participants.get((gate.id, item.entrant_id)) if gate else None
    refused = submitting.judge(item, gate, participant.state if participant else None, now)
    return refused or submitting.place_in(item, gate)  # type: ignore[arg-type]  # it is refused without a gate


async def _lists(tx: Tx, aims: Sequence[Aim]) -> dict[int, dict[str, ScoreList]]:
    """The lists that submissions go to, by board and period, held against being made final; the missing are made."""
    wanted = submitting.wanted_lists(aims)
    if not wanted:
        return {}
    found = await sql.lock_lists(tx, list(wanted))
    if len(found) < len(wanted):
        present = {(each.board_id, each.period_key) for each in found}
        missing = [NewList(board.id, span) for key, (board, span) in wanted.items() if key not in present]
        await sql.insert_lists(tx, missing)
        found = await sql.lock_lists(tx, list(wanted))
    db.after_commit(tx, partial(db.memory(tx, KnownLists).learn, found))
    by_board: dict[int, dict[str, ScoreList]] = {}
    for each in found:
        by_board.setdefault(each.board_id, {})[each.period_key] = each
    return by_board


@dataclass(frozen=True, slots=True)
class _Written:
    """What the tables say of receipts: those that are new, those that were there, and which submission came first."""

    fresh: Mapping[Identity, Scored]
    stored: Mapping[Identity, Scored]
    first: Mapping[Identity, int]

    def is_new(self, receipt: Sent, number: int) -> bool:
        """Whether it was written for this submission."""
        identity = _identity(receipt)
        return identity in self.fresh and self.first[identity] == number

    def outcome(self, placed: Placed, number: int) -> Outcome:
        """What became of a submission."""
        lists = []
        for receipt, period in zip(placed.receipts, placed.periods, strict=True):
            identity = _identity(receipt)
            known = self.fresh.get(identity) or self.stored.get(identity)
            if known is None:
                return Refused("competitions.no_such_entrant", {"entrant_id": receipt.entrant_id})
            if known.amount != receipt.amount:
                return Refused("competitions.key_mismatch", {"key": receipt.key, "stored": known.amount})
            lists.append(ListScore(receipt.list_id, receipt.entrant_id, period, known.score))
        replayed = not any(self.is_new(receipt, number) for receipt in placed.receipts)
        return Counted(lists[-1].score, replayed, tuple(lists), placed.skipped)


async def _write(tx: Tx, placed: Sequence[Placed | Refused], now: datetime) -> _Written:
    """Write what is met for the first time. Lists that add come before the others, so that nobody waits in a circle."""
    first: dict[Identity, int] = {}
    changes: list[Sent] = []
    values: list[Sent] = []
    for number, each in enumerate(placed):
        for receipt in each.receipts if isinstance(each, Placed) else ():
            if first.setdefault(_identity(receipt), number) == number:
                (changes if isinstance(each, Placed) and each.adds else values).append(receipt)
    rows = await sql.insert_changes(tx, changes, now) if changes else []
    if values:
        await sql.lock_scores(tx, list(dict.fromkeys((value.list_id, value.entrant_id) for value in values)))
        rows += await sql.insert_values(tx, values, now)
    fresh = {_identity(row): row for row in rows}
    missing = [receipt for receipt in (*changes, *values) if _identity(receipt) not in fresh]
    stored = {_identity(row): row for row in await sql.list_receipts(tx, missing)} if missing else {}
    return _Written(fresh, stored, first)


def _tell(tx: Tx, items: Sequence[Submission], placed: Sequence[Placed | Refused], written: _Written) -> None:
    """Say of each list that it has changed, once a batch."""
    changed: list[CompetitionId] = []
    kinds: Counter[tuple[str, str]] = Counter()
    lists: Counter[ListId] = Counter()
    for number, (item, each) in enumerate(zip(items, placed, strict=True)):
        if isinstance(each, Refused):
            continue
        new = [
            (receipt.list_id, period)
            for receipt, period in zip(each.receipts, each.periods, strict=True)
            if written.is_new(receipt, number)
        ]
        lists.update(list_id for list_id, _ in new)
        if item.competition_id:
            changed += [item.competition_id] * len(new)
        elif item.board:
            kinds.update((item.board, periods.kind_of(period)) for _, period in new)
    telling.changed(tx, competition_ids=changed)
    telling.ranked(tx, changes=kinds)
    telling.listed(tx, changes=lists)


def _check_size(items: Sequence[object]) -> None:
    if len(items) > ITEMS_MAX:
        raise TooLarge(items=len(items), limit=ITEMS_MAX)


async def _participants(tx: Tx, pairs: Sequence[tuple[CompetitionId, EntrantId]]) -> Participants:
    found = await sql.list_participants(tx, list(dict.fromkeys(pairs)))
    return {(participant.competition_id, participant.entrant_id): participant for participant in found}


def _identity(row: Sent | Scored) -> Identity:
    return row.list_id, row.entrant_id, row.key, row.happened_at
